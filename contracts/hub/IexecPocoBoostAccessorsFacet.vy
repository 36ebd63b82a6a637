# pragma version 0.4.3
"""
@title IexecPocoBoostAccessorsFacet
@license Apache-2.0
@notice What the hub tells about Boost deals.
"""
from hub.modules import blobs
from hub.modules import boost_deals
from hub.modules import boost_views
from hub.modules import store

initializes: store
initializes: blobs[store := store]
initializes: boost_deals[store := store, blobs := blobs]
initializes: boost_views[boost_deals := boost_deals]

exports: boost_views.viewDealBoost
