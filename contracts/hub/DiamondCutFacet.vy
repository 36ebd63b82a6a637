# pragma version 0.4.3
"""
@title DiamondCutFacet
@license Apache-2.0
"""
from hub.modules import cuts
from hub.modules import ownership
from hub.modules import routes
from hub.modules import store

initializes: store
initializes: ownership[store := store]
initializes: routes[store := store]
initializes: cuts[store := store, ownership := ownership, routes := routes]

exports: cuts.diamondCut
