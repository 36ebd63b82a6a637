# pragma version 0.4.3
"""
@title DiamondLoupeFacet
@license Apache-2.0
"""
from hub.modules import loupe
from hub.modules import routes
from hub.modules import store

initializes: store
initializes: routes[store := store]
initializes: loupe[store := store, routes := routes]

exports: (
    loupe.facets,
    loupe.facetFunctionSelectors,
    loupe.facetAddresses,
    loupe.facetAddress,
    loupe.supportsInterface,
)
