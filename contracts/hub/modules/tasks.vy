# pragma version 0.4.3
"""
@title Tasks
@license Apache-2.0
@notice The state of a task: two words, of which the first is the id of its deal.
@dev    Second word, low bits first: status 8 | index 32 | contribution deadline 40 | reveal deadline 40 | final
        deadline 40 | reveals 16 | winners 16 | contributors 16 | consensus 16 | digest 16 | results kept 1.

        "Consensus" and "digest" are positions in the list of contributors, plus one: of the first whose result hash is
        the consensus value, and of the first who revealed and keeps the digest. Group weights and their total have no
        words: they are recomputed from the list (see contributions).

        A task with a deal was initialised, and `initialize` asked storage whether that deal exists: later steps need
        not ask again. A task of Boost has a final status and nothing else, not even a deal.
"""
from hub.modules import blobs
from hub.modules import contributions
from hub.modules import deals
from hub.modules import rules
from hub.modules import store

uses: store
uses: contributions
uses: deals

struct State:
    status: uint256
    index: uint256
    contribution_deadline: uint256
    reveal_deadline: uint256
    final_deadline: uint256
    reveals: uint256
    winners: uint256
    contributors: uint256
    consensus_at: uint256
    digest_at: uint256
    results_kept: uint256

event TaskInitialize:
    taskid: indexed(bytes32)
    workerpool: indexed(address)

DEAL: constant(uint256) = 0
STATE: constant(uint256) = 1

INDEX_AT: constant(uint256) = 8
CONTRIBUTION_DEADLINE_AT: constant(uint256) = 40
REVEAL_DEADLINE_AT: constant(uint256) = 80
FINAL_DEADLINE_AT: constant(uint256) = 120
REVEALS_AT: constant(uint256) = 160
WINNERS_AT: constant(uint256) = 176
CONTRIBUTORS_AT: constant(uint256) = 192
CONSENSUS_AT: constant(uint256) = 208
DIGEST_AT: constant(uint256) = 224
RESULTS_KEPT_AT: constant(uint256) = 240

STATUS_MASK: constant(uint256) = 2**8 - 1
INDEX_MASK: constant(uint256) = 2**32 - 1
TIME_MASK: constant(uint256) = 2**40 - 1
COUNT_MASK: constant(uint256) = 2**16 - 1


@internal
@pure
def _id(deal_id: bytes32, index: uint256) -> bytes32:
    return keccak256(concat(deal_id, convert(index, bytes32)))


@internal
@view
def _deal_id(task_id: bytes32) -> bytes32:
    return convert(store.tasks[task_id][DEAL], bytes32)


@internal
@view
def _load(task_id: bytes32) -> State:
    """@return The state of the task; status UNSET for one that was never initialised."""
    word: uint256 = store.tasks[task_id][STATE]
    return State(
        status=word & STATUS_MASK,
        index=word >> INDEX_AT & INDEX_MASK,
        contribution_deadline=word >> CONTRIBUTION_DEADLINE_AT & TIME_MASK,
        reveal_deadline=word >> REVEAL_DEADLINE_AT & TIME_MASK,
        final_deadline=word >> FINAL_DEADLINE_AT & TIME_MASK,
        reveals=word >> REVEALS_AT & COUNT_MASK,
        winners=word >> WINNERS_AT & COUNT_MASK,
        contributors=word >> CONTRIBUTORS_AT & COUNT_MASK,
        consensus_at=word >> CONSENSUS_AT & COUNT_MASK,
        digest_at=word >> DIGEST_AT & COUNT_MASK,
        results_kept=word >> RESULTS_KEPT_AT,
    )


@internal
def _save(task_id: bytes32, state: State):
    store.tasks[task_id][STATE] = (
        state.status
        | state.index << INDEX_AT
        | state.contribution_deadline << CONTRIBUTION_DEADLINE_AT
        | state.reveal_deadline << REVEAL_DEADLINE_AT
        | state.final_deadline << FINAL_DEADLINE_AT
        | state.reveals << REVEALS_AT
        | state.winners << WINNERS_AT
        | state.contributors << CONTRIBUTORS_AT
        | state.consensus_at << CONSENSUS_AT
        | state.digest_at << DIGEST_AT
        | state.results_kept << RESULTS_KEPT_AT
    )


@internal
@view
def _is_unset(task_id: bytes32) -> bool:
    """@return Whether nothing has ever been written of the task."""
    return store.tasks[task_id][STATE] == 0


@internal
def _end(task_id: bytes32, status: uint256):
    """
    @notice End a task that never had any other state, as those of Boost do.
    @dev Its first word, the id of a classic deal, stays empty.
    """
    store.tasks[task_id][STATE] = status


@internal
def _initialize(deal_id: bytes32, index: uint256) -> bytes32:
    """
    @notice Start task `index` of a deal.
    @dev Deadlines run from the match, not from now, and there is none for starting: a task started late can only be
         claimed.
    """
    assert deals._exists(deal_id)
    terms: deals.Terms = deals._terms(blobs._location(deal_id))
    assert index >= terms.first
    assert index < terms.first + terms.tasks
    task_id: bytes32 = self._id(deal_id, index)
    assert self._is_unset(task_id)
    store.tasks[task_id][DEAL] = convert(deal_id, uint256)
    state: State = empty(State)
    state.status = rules.TASK_ACTIVE
    state.index = index
    state.contribution_deadline = terms.start + rules.CONTRIBUTION_DEADLINE_RATIO * terms.timeref
    state.final_deadline = terms.start + rules.FINAL_DEADLINE_RATIO * terms.timeref
    self._save(task_id, state)
    log TaskInitialize(taskid=task_id, workerpool=terms.workerpool)
    return task_id


@internal
@view
def _consensus(task_id: bytes32, state: State) -> bytes32:
    """@return The result hash that reached consensus, or zero."""
    if state.consensus_at == 0:
        return empty(bytes32)
    return contributions._result_hash(task_id, contributions._worker(task_id, state.consensus_at - 1))


@internal
@view
def _digest(task_id: bytes32, state: State) -> bytes32:
    """@return The result digest revealed, or zero."""
    if state.digest_at == 0:
        return empty(bytes32)
    return contributions._kept_digest(task_id, contributions._worker(task_id, state.digest_at - 1))
