# pragma version 0.4.3
"""
@title Workerpool
@license Apache-2.0
@notice A group of workers under a scheduler. Its policy says what share of a task's price a worker must stake, and what
        share of the reward the scheduler keeps, in percent. Deals keep the policy of the time they were made.
@dev Data: registry (20) | description, the rest. The policy is part of the registry's entry.
"""

from modules import asset
from modules import clones

exports: (asset.registry, asset.owner, asset.setName)

event PolicyUpdate:
    oldWorkerStakeRatioPolicy: uint256
    newWorkerStakeRatioPolicy: uint256
    oldSchedulerRewardRatioPolicy: uint256
    newSchedulerRewardRatioPolicy: uint256


interface WorkerpoolRegistry:
    def entry(id: uint256) -> uint256: view
    def setPolicy(stakeRatio: uint256, rewardRatio: uint256): nonpayable


DESCRIPTION: constant(uint256) = 20
STAKE_RATIO_SHIFT: constant(uint256) = 160
STAKE_RATIO_MASK: constant(uint256) = 2**32 - 1
REWARD_RATIO_SHIFT: constant(uint256) = 192
MAX_REWARD_RATIO: constant(uint256) = 100


@internal
@view
def _entry() -> uint256:
    return staticcall WorkerpoolRegistry(asset._registry()).entry(convert(self, uint256))


@external
def initialize(_workerpoolDescription: String[clones.MAX_DATA]):
    """@dev A workerpool is born initialised; clients encode its description as a call of this function."""
    raise "already initialized"


@external
@view
def m_workerpoolDescription() -> String[clones.MAX_DATA]:
    data: Bytes[clones.MAX_DATA] = asset._data()
    return convert(slice(data, DESCRIPTION, len(data) - DESCRIPTION), String[clones.MAX_DATA])


@external
@view
def m_workerStakeRatioPolicy() -> uint256:
    """@notice Percentage of a task's price that each of its workers locks."""
    return self._entry() >> STAKE_RATIO_SHIFT & STAKE_RATIO_MASK


@external
@view
def m_schedulerRewardRatioPolicy() -> uint256:
    """@notice Percentage of the workers' reward that goes to the scheduler."""
    return self._entry() >> REWARD_RATIO_SHIFT


@external
def changePolicy(_newWorkerStakeRatioPolicy: uint256, _newSchedulerRewardRatioPolicy: uint256):
    """
    @notice Change the policy for deals to come.
    @dev The scheduler cannot keep more than everything. Worker stake ratios beyond 2**32 - 1 do not fit the entry.
    """
    asset._only_owner()
    assert _newSchedulerRewardRatioPolicy <= MAX_REWARD_RATIO
    assert _newWorkerStakeRatioPolicy <= STAKE_RATIO_MASK, "worker stake ratio is too large"
    entry: uint256 = self._entry()
    log PolicyUpdate(
        oldWorkerStakeRatioPolicy=entry >> STAKE_RATIO_SHIFT & STAKE_RATIO_MASK,
        newWorkerStakeRatioPolicy=_newWorkerStakeRatioPolicy,
        oldSchedulerRewardRatioPolicy=entry >> REWARD_RATIO_SHIFT,
        newSchedulerRewardRatioPolicy=_newSchedulerRewardRatioPolicy,
    )
    extcall WorkerpoolRegistry(asset._registry()).setPolicy(
        _newWorkerStakeRatioPolicy, _newSchedulerRewardRatioPolicy
    )
