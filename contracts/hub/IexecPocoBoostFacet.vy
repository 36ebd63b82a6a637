# pragma version 0.4.3
"""
@title IexecPocoBoostFacet
@license Apache-2.0
@notice Deals whose tasks take one transaction each.
"""
from hub.modules import accounts
from hub.modules import authorizations
from hub.modules import blobs
from hub.modules import boost_deals
from hub.modules import boost_matching
from hub.modules import boost_tasks
from hub.modules import callbacks
from hub.modules import contributions
from hub.modules import deals
from hub.modules import store
from hub.modules import tasks

initializes: store
initializes: accounts[store := store]
initializes: authorizations[store := store]
initializes: blobs[store := store]
initializes: boost_deals[store := store, blobs := blobs]
initializes: boost_matching[store := store, accounts := accounts, boost_deals := boost_deals]
initializes: callbacks[store := store]
initializes: contributions[store := store]
initializes: deals[store := store, blobs := blobs]
initializes: tasks[store := store, contributions := contributions, deals := deals]
initializes: boost_tasks[
    accounts := accounts,
    authorizations := authorizations,
    boost_deals := boost_deals,
    callbacks := callbacks,
    tasks := tasks,
]

exports: (
    boost_matching.matchOrdersBoost,
    boost_matching.sponsorMatchOrdersBoost,
    boost_tasks.pushResultBoost,
    boost_tasks.claimBoost,
)
