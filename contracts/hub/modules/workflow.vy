# pragma version 0.4.3
"""
@title The classic workflow of a task
@license Apache-2.0
@notice contribute, reveal, finalize; or reopen, or claim. `contributeAndFinalize` is the shortcut of a single worker.
@dev    Conditions revert without a reason, as clients of PoCo expect; limits of this implementation give one.
        The only call that may change state elsewhere is the callback, and it comes last.
"""
from hub.modules import accounts
from hub.modules import authorizations
from hub.modules import blobs
from hub.modules import bounds
from hub.modules import callbacks
from hub.modules import contributions
from hub.modules import deals
from hub.modules import results as _results
from hub.modules import rules
from hub.modules import settlement
from hub.modules import signatures
from hub.modules import store
from hub.modules import tasks

uses: store
uses: accounts
uses: authorizations
uses: contributions
uses: callbacks
uses: _results
uses: settlement
uses: tasks

event TaskContribute:
    taskid: indexed(bytes32)
    worker: indexed(address)
    hash: bytes32

event TaskConsensus:
    taskid: indexed(bytes32)
    consensus: bytes32

event TaskReveal:
    taskid: indexed(bytes32)
    worker: indexed(address)
    digest: bytes32

event TaskReopen:
    taskid: indexed(bytes32)

event TaskFinalize:
    taskid: indexed(bytes32)
    results: Bytes[bounds.RESULTS]

event TaskClaimed:
    taskid: indexed(bytes32)

ASSERTION_FAILED: constant(uint256) = 1


@internal
@view
def _location_of(task_id: bytes32) -> address:
    """@return Where the deal of a task is kept."""
    return blobs._location(tasks._deal_id(task_id))


@internal
@view
def _check_authorization(
    task_id: bytes32,
    location: address,
    terms: deals.Terms,
    enclave: address,
    authorization: Bytes[bounds.SIGNATURE],
):
    """@notice The caller was given this task, and runs in an enclave if the deal asks for one."""
    if enclave == empty(address) and terms.flags & deals.TAG != 0:
        assert deals._extras(location, terms).tag & rules.TAG_TEE == 0
    assert authorizations._granted(task_id, terms.scheduler, enclave, authorization)


@internal
@view
def _check_enclave(enclave: address, result_hash: bytes32, seal: bytes32, signature: Bytes[bounds.SIGNATURE]):
    """@notice The result comes from the enclave that was authorised, if any."""
    if enclave != empty(address):
        digest: bytes32 = signatures._ethereum_message(keccak256(concat(result_hash, seal)))
        assert signatures._signed(enclave, digest, signature)


@internal
@pure
def _fail_assertion():
    """@custom:reverts Panic(1), by which clients know that the gas did not suffice for the callback."""
    raw_revert(abi_encode(ASSERTION_FAILED, method_id=method_id("Panic(uint256)")))


@internal
def _claim(task_id: bytes32):
    state: tasks.State = tasks._load(task_id)
    assert state.status == rules.TASK_ACTIVE or state.status == rules.TASK_REVEALING
    assert state.final_deadline <= block.timestamp
    state.status = rules.TASK_FAILED
    tasks._save(task_id, state)
    location: address = self._location_of(task_id)
    terms: deals.Terms = deals._terms(location)
    settlement._fail(task_id, terms, deals._extras(location, terms), state.contributors)
    log TaskClaimed(taskid=task_id)


@external
def initialize(dealId: bytes32, index: uint256) -> bytes32:
    """
    @notice Start one task of a deal.
    @param index Between the deal's `botFirst` and `botFirst + botSize - 1`.
    @return The id of the task.
    """
    return tasks._initialize(dealId, index)


@external
def initializeArray(dealIds: DynArray[bytes32, bounds.ITEMS], indexes: DynArray[uint256, bounds.ITEMS]) -> bool:
    """@notice Start several tasks, all or none."""
    assert len(dealIds) == len(indexes)
    for i: uint256 in range(len(dealIds), bound=bounds.ITEMS):
        tasks._initialize(dealIds[i], indexes[i])
    return True


@external
def contribute(
    taskId: bytes32,
    resultHash: bytes32,
    resultSeal: bytes32,
    enclaveChallenge: address,
    enclaveSign: Bytes[bounds.SIGNATURE],
    authorizationSign: Bytes[bounds.SIGNATURE],
):
    """
    @notice Commit to a result without disclosing it, and stake on it.
    @param resultHash keccak256(taskId, digest): equal for all who agree.
    @param resultSeal keccak256(worker, taskId, digest): the worker's own.
    @param enclaveChallenge Key of the enclave that computed, or zero; the deal's tag may demand one.
    @param enclaveSign The enclave's signature over hash and seal.
    @param authorizationSign The scheduler's (or the enclave broker's) leave for this worker to work on this task.
    """
    state: tasks.State = tasks._load(taskId)
    assert state.status == rules.TASK_ACTIVE
    assert block.timestamp < state.contribution_deadline
    assert contributions._result_hash(taskId, msg.sender) == empty(bytes32)
    location: address = self._location_of(taskId)
    terms: deals.Terms = deals._terms(location)
    self._check_authorization(taskId, location, terms, enclaveChallenge, authorizationSign)
    self._check_enclave(enclaveChallenge, resultHash, resultSeal, enclaveSign)
    assert resultHash != empty(bytes32), "resultHash empty"
    assert state.contributors < bounds.CONTRIBUTORS, "too many contributors"

    position: uint256 = state.contributors
    weight: uint256 = contributions._weight(msg.sender)
    contributions._vote(taskId, msg.sender, resultHash, resultSeal, enclaveChallenge)
    store.contributors[taskId][position] = contributions._pack(
        msg.sender, rules.CONTRIBUTION_CONTRIBUTED, contributions._log2(weight), weight
    )
    state.contributors = position + 1
    accounts._lock(msg.sender, terms.worker_stake)
    log TaskContribute(taskid=taskId, worker=msg.sender, hash=resultHash)

    tally: contributions.Tally = contributions._tally(taskId, position, resultHash, weight)
    if contributions._stands(tally, terms.trust):
        state.status = rules.TASK_REVEALING
        state.reveal_deadline = block.timestamp + rules.REVEAL_DEADLINE_RATIO * terms.timeref
        state.reveals = 0
        state.winners = tally.votes
        state.consensus_at = tally.first + 1
        log TaskConsensus(taskid=taskId, consensus=resultHash)
    tasks._save(taskId, state)


@external
def reveal(taskId: bytes32, resultDigest: bytes32):
    """@notice Disclose the digest that the caller's hash and seal commit to."""
    state: tasks.State = tasks._load(taskId)
    assert state.status == rules.TASK_REVEALING
    assert block.timestamp < state.reveal_deadline
    position: uint256 = contributions._position(taskId, state.contributors, msg.sender)
    assert position < state.contributors
    contributor: uint256 = store.contributors[taskId][position]
    assert contributions._status_of(contributor) == rules.CONTRIBUTION_CONTRIBUTED
    voted: bytes32 = contributions._result_hash(taskId, msg.sender)
    if position != state.consensus_at - 1:
        assert voted == tasks._consensus(taskId, state)
    assert voted == contributions._expected_hash(taskId, resultDigest)
    assert contributions._seal(taskId, msg.sender) == contributions._expected_seal(msg.sender, taskId, resultDigest)

    store.contributors[taskId][position] = contributions._with_status(contributor, rules.CONTRIBUTION_PROVED)
    state.reveals += 1
    if state.digest_at == 0:
        state.digest_at = position + 1
        contributions._keep_digest(taskId, msg.sender, resultDigest)
    else:
        contributions._keep_digest(taskId, msg.sender, empty(bytes32))
    tasks._save(taskId, state)
    log TaskReveal(taskid=taskId, worker=msg.sender, digest=resultDigest)


@external
def reopen(taskId: bytes32):
    """@notice The scheduler discards a consensus that nobody revealed in time; its workers are out of the task."""
    terms: deals.Terms = deals._terms(self._location_of(taskId))
    assert msg.sender == terms.scheduler
    state: tasks.State = tasks._load(taskId)
    assert state.status == rules.TASK_REVEALING
    assert block.timestamp < state.final_deadline
    assert state.reveal_deadline <= block.timestamp and state.reveals == 0
    consensus: bytes32 = tasks._consensus(taskId, state)
    for i: uint256 in range(state.contributors, bound=bounds.CONTRIBUTORS):
        contributor: uint256 = store.contributors[taskId][i]
        if contributions._result_hash(taskId, contributions._worker_of(contributor)) == consensus:
            store.contributors[taskId][i] = contributions._with_status(contributor, rules.CONTRIBUTION_REJECTED)
    state.status = rules.TASK_ACTIVE
    state.reveal_deadline = 0
    state.winners = 0
    state.consensus_at = 0
    tasks._save(taskId, state)
    log TaskReopen(taskid=taskId)


@external
def finalize(taskId: bytes32, results: Bytes[bounds.RESULTS_DECODED], resultsCallback: Bytes[bounds.RESULTS_DECODED]):
    """
    @notice The scheduler ends a task once all winners have revealed, or some have and the others' time is up.
    @param results What to keep on chain, usually a link; at most 4096 bytes.
    @param resultsCallback What the deal's callback receives; its hash is the digest. At most 4096 bytes.
    """
    location: address = self._location_of(taskId)
    terms: deals.Terms = deals._terms(location)
    assert msg.sender == terms.scheduler
    state: tasks.State = tasks._load(taskId)
    assert state.status == rules.TASK_REVEALING
    assert block.timestamp < state.final_deadline
    assert state.reveals == state.winners or (state.reveals != 0 and state.reveal_deadline <= block.timestamp)
    assert len(results) <= bounds.RESULTS, "results too long"
    assert len(resultsCallback) <= bounds.CALLBACK, "resultsCallback too long"
    if terms.flags & deals.CALLBACK != 0 or len(resultsCallback) != 0:
        assert keccak256(resultsCallback) == tasks._digest(taskId, state)

    state.status = rules.TASK_COMPLETED
    if _results._keep(
        taskId, convert(results, Bytes[bounds.RESULTS]), convert(resultsCallback, Bytes[bounds.CALLBACK])
    ):
        state.results_kept = 1
    tasks._save(taskId, state)
    extras: deals.Extras = deals._extras(location, terms)
    settlement._succeed(taskId, terms, extras)
    settlement._share_out(taskId, terms, state.contributors)
    log TaskFinalize(taskid=taskId, results=convert(results, Bytes[bounds.RESULTS]))
    if extras.callback != empty(address):
        if not callbacks._notify(extras.callback, taskId, convert(resultsCallback, Bytes[bounds.CALLBACK])):
            self._fail_assertion()


@external
def contributeAndFinalize(
    taskId: bytes32,
    resultDigest: bytes32,
    results: Bytes[bounds.RESULTS_DECODED],
    resultsCallback: Bytes[bounds.RESULTS_DECODED],
    enclaveChallenge: address,
    enclaveSign: Bytes[bounds.SIGNATURE],
    authorizationSign: Bytes[bounds.SIGNATURE],
):
    """
    @notice One worker does the whole task, in one step and without a stake; only for trust 1 and before any
            contribution. Parameters as in `contribute` and `finalize`.
    """
    state: tasks.State = tasks._load(taskId)
    assert state.status == rules.TASK_ACTIVE
    assert block.timestamp < state.contribution_deadline
    assert state.contributors == 0
    location: address = self._location_of(taskId)
    terms: deals.Terms = deals._terms(location)
    assert terms.trust == 1
    assert len(results) <= bounds.RESULTS, "results too long"
    assert len(resultsCallback) <= bounds.CALLBACK, "resultsCallback too long"
    if terms.flags & deals.CALLBACK != 0 or len(resultsCallback) != 0:
        assert keccak256(resultsCallback) == resultDigest
    result_hash: bytes32 = contributions._expected_hash(taskId, resultDigest)
    seal: bytes32 = contributions._expected_seal(msg.sender, taskId, resultDigest)
    self._check_authorization(taskId, location, terms, enclaveChallenge, authorizationSign)
    self._check_enclave(enclaveChallenge, result_hash, seal, enclaveSign)

    contributions._vote(taskId, msg.sender, result_hash, resultDigest, enclaveChallenge)
    store.contributors[taskId][0] = contributions._pack(msg.sender, rules.CONTRIBUTION_PROVED, 0, 0)
    state.status = rules.TASK_COMPLETED
    state.reveal_deadline = block.timestamp + rules.REVEAL_DEADLINE_RATIO * terms.timeref
    state.reveals = 1
    state.winners = 1
    state.contributors = 1
    state.consensus_at = 1
    state.digest_at = 1
    if _results._keep(
        taskId, convert(results, Bytes[bounds.RESULTS]), convert(resultsCallback, Bytes[bounds.CALLBACK])
    ):
        state.results_kept = 1
    tasks._save(taskId, state)
    extras: deals.Extras = deals._extras(location, terms)
    settlement._succeed(taskId, terms, extras)
    settlement._share_with_one(taskId, terms, msg.sender)
    log TaskContribute(taskid=taskId, worker=msg.sender, hash=result_hash)
    log TaskConsensus(taskid=taskId, consensus=result_hash)
    log TaskReveal(taskid=taskId, worker=msg.sender, digest=resultDigest)
    log TaskFinalize(taskid=taskId, results=convert(results, Bytes[bounds.RESULTS]))
    if extras.callback != empty(address):
        if not callbacks._notify(extras.callback, taskId, convert(resultsCallback, Bytes[bounds.CALLBACK])):
            self._fail_assertion()


@external
def claim(taskId: bytes32):
    """@notice End a task whose time is up: the sponsor is refunded, the scheduler loses its stake."""
    self._claim(taskId)


@external
def claimArray(taskIds: DynArray[bytes32, bounds.ITEMS]) -> bool:
    """@notice End several tasks, all or none."""
    for task_id: bytes32 in taskIds:
        self._claim(task_id)
    return True


@external
def initializeAndClaimArray(
    dealIds: DynArray[bytes32, bounds.ITEMS], indexes: DynArray[uint256, bounds.ITEMS]
) -> bool:
    """@notice End several tasks that were never started, all or none."""
    assert len(dealIds) == len(indexes)
    for i: uint256 in range(len(dealIds), bound=bounds.ITEMS):
        self._claim(tasks._initialize(dealIds[i], indexes[i]))
    return True
