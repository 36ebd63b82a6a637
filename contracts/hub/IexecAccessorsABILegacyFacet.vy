# pragma version 0.4.3
"""
@title IexecAccessorsABILegacyFacet
@license Apache-2.0
@notice Answers without structs, for clients whose tools cannot decode them.
"""
from hub.modules import account_views
from hub.modules import accounts
from hub.modules import blobs
from hub.modules import contributions
from hub.modules import deal_views
from hub.modules import deals
from hub.modules import setting_views
from hub.modules import store
from hub.modules import tasks

initializes: store
initializes: accounts[store := store]
initializes: account_views[store := store, accounts := accounts]
initializes: blobs[store := store]
initializes: contributions[store := store]
initializes: deals[store := store, blobs := blobs]
initializes: tasks[store := store, contributions := contributions, deals := deals]
initializes: deal_views[store := store, contributions := contributions, deals := deals, tasks := tasks]
initializes: setting_views[store := store]

exports: (
    account_views.viewAccountABILegacy,
    deal_views.viewDealABILegacy_pt1,
    deal_views.viewDealABILegacy_pt2,
    deal_views.viewConfigABILegacy,
    deal_views.viewTaskABILegacy,
    deal_views.viewContributionABILegacy,
    setting_views.viewCategoryABILegacy,
)
