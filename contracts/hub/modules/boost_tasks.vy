# pragma version 0.4.3
"""
@title The Boost workflow of a task
@license Apache-2.0
@notice A worker whom the scheduler chose hands in the result, and everybody is paid; or time runs out, and the task can
        be claimed. Nothing comes in between.
@dev    Tasks of a deal are numbered from 0, also when it continues a request order. The only call that may change state
        elsewhere is the callback, and it comes last.
"""
from hub.modules import accounts
from hub.modules import authorizations
from hub.modules import boost_deals
from hub.modules import bounds
from hub.modules import callbacks
from hub.modules import rules
from hub.modules import settlement
from hub.modules import signatures
from hub.modules import tasks
from hub.modules import workflow

uses: accounts
uses: authorizations
uses: boost_deals
uses: callbacks
uses: tasks

event ResultPushedBoost:
    dealId: bytes32
    index: uint256
    results: Bytes[bounds.RESULTS_DECODED]


@internal
@view
def _require_unset(deal_id: bytes32, index: uint256, count: uint256) -> bytes32:
    """@return The id of task `index` of a deal of `count` tasks, which nobody has ended yet."""
    assert index < count, "PocoBoost: Unknown task"
    task_id: bytes32 = tasks._id(deal_id, index)
    assert tasks._is_unset(task_id), "PocoBoost: Task status not unset"
    return task_id


@internal
@pure
def _price(parties: boost_deals.Parties) -> uint256:
    """@return nRLC that one task costs its sponsor."""
    return parties.app_price + parties.dataset_price + parties.workerpool_price


@internal
def _settle(task_id: bytes32, parties: boost_deals.Parties):
    """@notice Take the price from the sponsor and pay the caller, app, dataset and scheduler, in this order."""
    accounts._seize(parties.sponsor, self._price(parties), task_id)
    accounts._reward(msg.sender, parties.worker_reward, task_id)
    if parties.app_price != 0:
        accounts._reward(parties.app_owner, parties.app_price, task_id)
    if parties.dataset_price != 0:
        accounts._reward(parties.dataset_owner, parties.dataset_price, task_id)
    accounts._unlock(parties.scheduler, settlement._scheduler_stake(parties.workerpool_price))
    reward: uint256 = parties.workerpool_price - parties.worker_reward
    kitty: uint256 = accounts._frozen(rules.KITTY_ADDRESS)
    if kitty != 0:
        part: uint256 = settlement._kitty_part(kitty)
        accounts._seize(rules.KITTY_ADDRESS, part, task_id)
        reward += part
    accounts._reward(parties.scheduler, reward, task_id)


@external
def pushResultBoost(
    dealId: bytes32,
    index: uint256,
    results: Bytes[bounds.RESULTS_DECODED],
    resultsCallback: Bytes[bounds.RESULTS_DECODED],
    authorizationSign: Bytes[bounds.SIGNATURE],
    enclaveChallenge: address,
    enclaveSign: Bytes[bounds.SIGNATURE],
):
    """
    @notice The worker does a whole task in one step, without a stake.
    @param index Between 0 and the deal's `botSize - 1`.
    @param results What to tell, usually a link; emitted, not kept. At most 4096 bytes.
    @param resultsCallback What the deal's callback receives; ignored without one. At most 4096 bytes.
    @param authorizationSign The scheduler's (or the enclave broker's) leave for this worker to work on this task.
    @param enclaveChallenge Key of the enclave that computed, or zero; the deal's tag may demand one.
    @param enclaveSign The enclave's signature over worker, task and digest of the result: of `resultsCallback` when the
           deal has a callback, of `results` otherwise.
    """
    scope: boost_deals.Scope = boost_deals._scope(dealId)
    task_id: bytes32 = self._require_unset(dealId, index, scope.tasks)
    assert block.timestamp < scope.deadline, "PocoBoost: Deadline reached"
    assert (
        enclaveChallenge != empty(address) or scope.tag & rules.TAG_TEE == 0
    ), "PocoBoost: Tag requires enclave challenge"
    parties: boost_deals.Parties = boost_deals._parties(dealId)
    assert authorizations._granted(
        task_id, parties.scheduler, enclaveChallenge, authorizationSign
    ), "PocoBoost: Invalid contribution authorization signature"
    if enclaveChallenge != empty(address):
        result_digest: bytes32 = empty(bytes32)
        if scope.callback == empty(address):
            result_digest = keccak256(results)
        else:
            result_digest = keccak256(resultsCallback)
        digest: bytes32 = signatures._ethereum_message(
            keccak256(concat(convert(msg.sender, bytes20), task_id, result_digest))
        )
        assert signatures._signed(enclaveChallenge, digest, enclaveSign), "PocoBoost: Invalid enclave signature"
    if scope.callback != empty(address):
        assert len(resultsCallback) != 0, "PocoBoost: Callback requires data"
    assert len(results) <= bounds.RESULTS, "results too long"
    assert len(resultsCallback) <= bounds.CALLBACK, "resultsCallback too long"

    tasks._end(task_id, rules.TASK_COMPLETED)
    self._settle(task_id, parties)
    log ResultPushedBoost(dealId=dealId, index=index, results=results)
    if scope.callback != empty(address):
        offered: bool = callbacks._notify(
            scope.callback, task_id, convert(resultsCallback, Bytes[bounds.CALLBACK])
        )
        assert offered, "PocoBoost: Not enough gas after callback"


@external
def claimBoost(dealId: bytes32, index: uint256):
    """@notice End a task whose time is up: the sponsor is refunded, the scheduler loses its stake."""
    scope: boost_deals.Scope = boost_deals._scope(dealId)
    task_id: bytes32 = self._require_unset(dealId, index, scope.tasks)
    assert scope.deadline <= block.timestamp, "PocoBoost: Deadline not reached"
    parties: boost_deals.Parties = boost_deals._parties(dealId)
    tasks._end(task_id, rules.TASK_FAILED)
    accounts._unlock(parties.sponsor, self._price(parties))
    stake: uint256 = settlement._scheduler_stake(parties.workerpool_price)
    accounts._seize(parties.scheduler, stake, task_id)
    accounts._feed_kitty(stake, task_id)
    log workflow.TaskClaimed(taskid=task_id)
