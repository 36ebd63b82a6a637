# pragma version 0.4.3
"""
@title Registry of workerpools
@license Apache-2.0
@notice Anyone creates a workerpool for anyone; the workerpool's token says who owns it. A workerpool's policy, the two
        ratios, is kept with its token, so that matching reads owner and policy at once. See README.md.
"""

from modules import clones
from modules import collection
from modules import ownership
from modules import registry

initializes: clones
initializes: collection
initializes: ownership
initializes: registry[collection := collection, ownership := ownership]

exports: clones.__interface__
exports: collection.__interface__
exports: ownership.__interface__
exports: registry.__interface__

MAX_DESCRIPTION: constant(uint256) = 4096
# The description as call data: one word of head, its size, contents padded to words, selector.
MAX_ARGUMENTS: constant(uint256) = 4 + 2 * 32 + MAX_DESCRIPTION

DEFAULT_STAKE_RATIO: constant(uint256) = 30
DEFAULT_REWARD_RATIO: constant(uint256) = 1
DEFAULT_RATIOS: constant(uint256) = DEFAULT_STAKE_RATIO | DEFAULT_REWARD_RATIO << 32

name: public(constant(String[32])) = "iExec Workerpool Registry (V5)"
symbol: public(constant(String[32])) = "iExecWorkerpoolV5"


@deploy
def __init__(workerpool_code: Bytes[12_288]):
    clones.__init__(workerpool_code)
    ownership.__init__()


@internal
@pure
def _salt(workerpool_owner: address, description: String[MAX_DESCRIPTION]) -> bytes32:
    """@dev keccak256(call data of the workerpool's `initialize` ‖ owner), as the registries in service have it."""
    arguments: Bytes[MAX_ARGUMENTS] = abi_encode(description, method_id=method_id("initialize(string)"))
    return keccak256(concat(arguments, convert(workerpool_owner, bytes20)))


@external
def createWorkerpool(_workerpoolOwner: address, _workerpoolDescription: String[MAX_DESCRIPTION]) -> address:
    """
    @notice Create a workerpool with a worker stake of 30 % and a scheduler reward of 1 %.
    @return its address, which depends on owner and description alone.
    @custom:reverts `Create2: Failed on deploy` when the owner has this very workerpool.
    """
    workerpool: address = clones._create(
        self._salt(_workerpoolOwner, _workerpoolDescription),
        concat(convert(self, bytes20), convert(_workerpoolDescription, Bytes[MAX_DESCRIPTION])),
    )
    collection._mint(_workerpoolOwner, convert(workerpool, uint256), DEFAULT_RATIOS)
    return workerpool


@external
@view
def predictWorkerpool(_workerpoolOwner: address, _workerpoolDescription: String[MAX_DESCRIPTION]) -> address:
    """@return the address `createWorkerpool` would give, or gave."""
    return clones._predict(self._salt(_workerpoolOwner, _workerpoolDescription))


@external
def setPolicy(_stakeRatio: uint256, _rewardRatio: uint256):
    """
    @notice A workerpool records its own policy; it has checked who asks.
    @dev No code but the master's runs at the address of a token, so the caller is a workerpool if it is a token.
    """
    token_id: uint256 = convert(msg.sender, uint256)
    policy: uint256 = _stakeRatio << collection.STAKE_RATIO_SHIFT | _rewardRatio << collection.REWARD_RATIO_SHIFT
    assert collection.entries[token_id] != 0
    assert _stakeRatio <= collection.STAKE_RATIO_MASK and _rewardRatio <= collection.REWARD_RATIO_MASK
    rest: uint256 = collection.entries[token_id] & ~(collection.TERMS_MASK - collection.OWNER_MASK)
    collection.entries[token_id] = rest | policy
