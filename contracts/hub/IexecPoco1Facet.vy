# pragma version 0.4.3
"""
@title IexecPoco1Facet
@license Apache-2.0
@notice From orders to deals.
"""
from hub.modules import accounts
from hub.modules import blobs
from hub.modules import compatibility
from hub.modules import deals
from hub.modules import matching
from hub.modules import signature_views
from hub.modules import store

initializes: store
initializes: accounts[store := store]
initializes: blobs[store := store]
initializes: deals[store := store, blobs := blobs]
initializes: matching[store := store, accounts := accounts, deals := deals]
initializes: compatibility[store := store, deals := deals]
initializes: signature_views[store := store]

exports: (
    matching.matchOrders,
    matching.sponsorMatchOrders,
    signature_views.verifySignature,
    signature_views.verifyPresignature,
    signature_views.verifyPresignatureOrSignature,
    compatibility.assertDatasetDealCompatibility,
)
