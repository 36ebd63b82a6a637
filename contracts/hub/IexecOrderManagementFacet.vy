# pragma version 0.4.3
"""
@title IexecOrderManagementFacet
@license Apache-2.0
@notice Orders signed and closed on chain.
"""
from hub.modules import order_management
from hub.modules import store

initializes: store
initializes: order_management[store := store]

exports: (
    order_management.manageAppOrder,
    order_management.manageDatasetOrder,
    order_management.manageWorkerpoolOrder,
    order_management.manageRequestOrder,
)
