# pragma version 0.4.3
"""
@title IexecPocoAccessorsFacet
@license Apache-2.0
@notice Everything the hub tells about itself.
"""
from hub.modules import account_views
from hub.modules import accounts
from hub.modules import blobs
from hub.modules import contributions
from hub.modules import deal_views
from hub.modules import deals
from hub.modules import resource_views
from hub.modules import setting_views
from hub.modules import store
from hub.modules import tasks
from hub.modules import volumes

initializes: store
initializes: accounts[store := store]
initializes: account_views[store := store, accounts := accounts]
initializes: blobs[store := store]
initializes: contributions[store := store]
initializes: deals[store := store, blobs := blobs]
initializes: tasks[store := store, contributions := contributions, deals := deals]
initializes: deal_views[store := store, contributions := contributions, deals := deals, tasks := tasks]
initializes: setting_views[store := store]
initializes: volumes[store := store]

exports: (
    account_views.name,
    account_views.symbol,
    account_views.decimals,
    account_views.totalSupply,
    account_views.balanceOf,
    account_views.frozenOf,
    account_views.allowance,
    account_views.viewAccount,
    account_views.token,
    account_views.viewScore,
    account_views.viewConsumed,
    account_views.viewPresigned,
)
exports: (
    deal_views.viewDeal,
    deal_views.viewTask,
    deal_views.viewContribution,
    deal_views.resultFor,
    volumes.computeDealVolume,
    resource_views.viewApp,
    resource_views.viewDataset,
    resource_views.viewWorkerpool,
)
exports: (
    setting_views.viewCategory,
    setting_views.countCategory,
    setting_views.appregistry,
    setting_views.datasetregistry,
    setting_views.workerpoolregistry,
    setting_views.teebroker,
    setting_views.callbackgas,
    setting_views.eip712domain_separator,
    setting_views.contribution_deadline_ratio,
    setting_views.reveal_deadline_ratio,
    setting_views.final_deadline_ratio,
    setting_views.workerpool_stake_ratio,
    setting_views.kitty_ratio,
    setting_views.kitty_min,
    setting_views.kitty_address,
    setting_views.groupmember_purpose,
)
