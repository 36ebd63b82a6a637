# pragma version 0.4.3
"""
@title What the registries say of a resource
@license Apache-2.0
@dev    One call answers with one word: owner (160 bits) | worker stake ratio (32) | scheduler reward ratio (8), zero
        for what is not registered. A registry that does not know `entry` cannot be used with this hub: the call
        reverts.
"""
from hub.modules import rules

interface Registry:
    def entry(id: uint256) -> uint256: view

STAKE_RATIO_AT: constant(uint256) = 160
STAKE_RATIO_MASK: constant(uint256) = 2**32 - 1
REWARD_RATIO_AT: constant(uint256) = 192
REWARD_RATIO_MASK: constant(uint256) = 2**8 - 1


@internal
@view
def _entry(registry: address, resource: address) -> uint256:
    """@return The word of `resource`, 0 when it is not registered."""
    return staticcall Registry(registry).entry(convert(resource, uint256))


@internal
@pure
def _owner(entry: uint256) -> address:
    return convert(entry & rules.ADDRESS_MASK, address)


@internal
@pure
def _worker_stake_ratio(entry: uint256) -> uint256:
    """@return Percentage of the workerpool price a worker stakes per task."""
    return entry >> STAKE_RATIO_AT & STAKE_RATIO_MASK


@internal
@pure
def _scheduler_reward_ratio(entry: uint256) -> uint256:
    """@return Percentage of the reward the scheduler keeps."""
    return entry >> REWARD_RATIO_AT & REWARD_RATIO_MASK
