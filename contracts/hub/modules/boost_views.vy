# pragma version 0.4.3
"""
@title Boost deals as clients see them
@license Apache-2.0
@dev    What does not exist reads as all zeros.
"""
from hub.modules import boost_deals

uses: boost_deals

struct DealBoost:
    appOwner: address
    appPrice: uint96
    datasetOwner: address
    datasetPrice: uint96
    workerpoolOwner: address
    workerpoolPrice: uint96
    requester: address
    workerReward: uint96
    callback: address
    deadline: uint40
    botFirst: uint16
    botSize: uint16
    shortTag: bytes3
    sponsor: address


@external
@view
def viewDealBoost(id: bytes32) -> DealBoost:
    """@return The deal; its `shortTag` is the last three bytes of the tag that was agreed on."""
    scope: boost_deals.Scope = boost_deals._scope(id)
    if scope.tasks == 0:
        return empty(DealBoost)
    parties: boost_deals.Parties = boost_deals._parties(id)
    return DealBoost(
        appOwner=parties.app_owner,
        appPrice=convert(parties.app_price, uint96),
        datasetOwner=parties.dataset_owner,
        datasetPrice=convert(parties.dataset_price, uint96),
        workerpoolOwner=parties.scheduler,
        workerpoolPrice=convert(parties.workerpool_price, uint96),
        requester=parties.requester,
        workerReward=convert(parties.worker_reward, uint96),
        callback=scope.callback,
        deadline=convert(scope.deadline, uint40),
        botFirst=convert(scope.first, uint16),
        botSize=convert(scope.tasks, uint16),
        shortTag=convert(convert(scope.tag, uint24), bytes3),
        sponsor=parties.sponsor,
    )
