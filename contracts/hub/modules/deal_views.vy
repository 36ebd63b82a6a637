# pragma version 0.4.3
"""
@title Deals and tasks as clients see them
@license Apache-2.0
@dev    What does not exist reads as all zeros.
"""
from hub.modules import blobs
from hub.modules import bounds
from hub.modules import contributions
from hub.modules import deals
from hub.modules import results as _results
from hub.modules import rules
from hub.modules import store
from hub.modules import tasks

uses: store
uses: contributions
uses: deals
uses: tasks

struct Resource:
    pointer: address
    owner: address
    price: uint256

struct Deal:
    app: Resource
    dataset: Resource
    workerpool: Resource
    trust: uint256
    category: uint256
    tag: bytes32
    requester: address
    beneficiary: address
    callback: address
    params: String[bounds.PARAMS]
    startTime: uint256
    botFirst: uint256
    botSize: uint256
    workerStake: uint256
    schedulerRewardRatio: uint256
    sponsor: address

struct Task:
    status: uint8
    dealid: bytes32
    idx: uint256
    timeref: uint256
    contributionDeadline: uint256
    revealDeadline: uint256
    finalDeadline: uint256
    consensusValue: bytes32
    revealCounter: uint256
    winnerCounter: uint256
    contributors: DynArray[address, bounds.CONTRIBUTORS]
    resultDigest: bytes32
    results: Bytes[bounds.RESULTS]
    resultsTimestamp: uint256
    resultsCallback: Bytes[bounds.CALLBACK]

struct Contribution:
    status: uint8
    resultHash: bytes32
    resultSeal: bytes32
    enclaveChallenge: address
    weight: uint256


@internal
@view
def _deal(id: bytes32) -> Deal:
    if not deals._exists(id):
        return empty(Deal)
    location: address = blobs._location(id)
    terms: deals.Terms = deals._terms(location)
    extras: deals.Extras = deals._extras(location, terms)
    return Deal(
        app=Resource(pointer=terms.app, owner=terms.app_owner, price=terms.app_price),
        dataset=Resource(pointer=extras.dataset, owner=extras.dataset_owner, price=extras.dataset_price),
        workerpool=Resource(pointer=terms.workerpool, owner=terms.scheduler, price=terms.workerpool_price),
        trust=terms.trust,
        category=terms.category,
        tag=convert(extras.tag, bytes32),
        requester=terms.requester,
        beneficiary=extras.beneficiary,
        callback=extras.callback,
        params=deals._params(location, terms.flags),
        startTime=terms.start,
        botFirst=terms.first,
        botSize=terms.tasks,
        workerStake=terms.worker_stake,
        schedulerRewardRatio=terms.scheduler_ratio,
        sponsor=extras.sponsor,
    )


@internal
@view
def _task(id: bytes32) -> Task:
    state: tasks.State = tasks._load(id)
    if state.status == rules.TASK_UNSET:
        return empty(Task)
    deal_id: bytes32 = tasks._deal_id(id)
    if deal_id == empty(bytes32):
        boosted: Task = empty(Task)
        boosted.status = convert(state.status, uint8)
        return boosted
    workers: DynArray[address, bounds.CONTRIBUTORS] = []
    for i: uint256 in range(state.contributors, bound=bounds.CONTRIBUTORS):
        workers.append(contributions._worker(id, i))
    results: Bytes[bounds.RESULTS] = b""
    results_callback: Bytes[bounds.CALLBACK] = b""
    if state.results_kept != 0:
        results = _results._results(id)
        results_callback = _results._payload(id)
    return Task(
        status=convert(state.status, uint8),
        dealid=deal_id,
        idx=state.index,
        timeref=deals._terms(blobs._location(deal_id)).timeref,
        contributionDeadline=state.contribution_deadline,
        revealDeadline=state.reveal_deadline,
        finalDeadline=state.final_deadline,
        consensusValue=tasks._consensus(id, state),
        revealCounter=state.reveals,
        winnerCounter=state.winners,
        contributors=workers,
        resultDigest=tasks._digest(id, state),
        results=results,
        resultsTimestamp=0,
        resultsCallback=results_callback,
    )


@internal
@view
def _contribution(task_id: bytes32, worker: address) -> Contribution:
    result_hash: bytes32 = contributions._result_hash(task_id, worker)
    if result_hash == empty(bytes32):
        return empty(Contribution)
    state: tasks.State = tasks._load(task_id)
    position: uint256 = contributions._position(task_id, state.contributors, worker)
    contributor: uint256 = store.contributors[task_id][position]
    status: uint256 = contributions._status_of(contributor)
    seal: bytes32 = contributions._seal(task_id, worker)
    if status == rules.CONTRIBUTION_PROVED:
        seal = contributions._expected_seal(worker, task_id, tasks._digest(task_id, state))
    return Contribution(
        status=convert(status, uint8),
        resultHash=result_hash,
        resultSeal=seal,
        enclaveChallenge=contributions._enclave(task_id, worker),
        weight=contributions._log_weight_of(contributor),
    )


@external
@view
def viewDeal(_id: bytes32) -> Deal:
    return self._deal(_id)


@external
@view
def viewTask(_taskid: bytes32) -> Task:
    """@dev `resultsTimestamp` has never been used and is zero."""
    return self._task(_taskid)


@external
@view
def viewContribution(_taskid: bytes32, _worker: address) -> Contribution:
    """@dev `weight` is the logarithm by which rewards are shared."""
    return self._contribution(_taskid, _worker)


@external
@view
def resultFor(id: bytes32) -> Bytes[bounds.CALLBACK]:
    """
    @return What the callback of a completed task received (ERC-1154).
    @custom:reverts `task-pending`.
    """
    state: tasks.State = tasks._load(id)
    assert state.status == rules.TASK_COMPLETED, "task-pending"
    if state.results_kept == 0:
        return b""
    return _results._payload(id)


# The same for clients whose tools cannot decode structs.

@external
@view
def viewDealABILegacy_pt1(
    _id: bytes32,
) -> (address, address, uint256, address, address, uint256, address, address, uint256):
    """@return Pointer, owner and price of app, dataset and workerpool."""
    deal: Deal = self._deal(_id)
    return (
        deal.app.pointer,
        deal.app.owner,
        deal.app.price,
        deal.dataset.pointer,
        deal.dataset.owner,
        deal.dataset.price,
        deal.workerpool.pointer,
        deal.workerpool.owner,
        deal.workerpool.price,
    )


@external
@view
def viewDealABILegacy_pt2(_id: bytes32) -> (uint256, bytes32, address, address, address, String[bounds.PARAMS]):
    """@return Trust, tag, requester, beneficiary, callback, params."""
    deal: Deal = self._deal(_id)
    return deal.trust, deal.tag, deal.requester, deal.beneficiary, deal.callback, deal.params


@external
@view
def viewConfigABILegacy(_id: bytes32) -> (uint256, uint256, uint256, uint256, uint256, uint256):
    """@return Category, start, first task, tasks, worker stake, scheduler reward ratio."""
    deal: Deal = self._deal(_id)
    return (
        deal.category, deal.startTime, deal.botFirst, deal.botSize, deal.workerStake, deal.schedulerRewardRatio
    )


@external
@view
def viewTaskABILegacy(
    _taskid: bytes32,
) -> (
    uint8,
    bytes32,
    uint256,
    uint256,
    uint256,
    uint256,
    uint256,
    bytes32,
    uint256,
    uint256,
    DynArray[address, bounds.CONTRIBUTORS],
    Bytes[bounds.RESULTS],
):
    """@return As viewTask, without digest, timestamp and callback payload."""
    task: Task = self._task(_taskid)
    return (
        task.status,
        task.dealid,
        task.idx,
        task.timeref,
        task.contributionDeadline,
        task.revealDeadline,
        task.finalDeadline,
        task.consensusValue,
        task.revealCounter,
        task.winnerCounter,
        task.contributors,
        task.results,
    )


@external
@view
def viewContributionABILegacy(_taskid: bytes32, _worker: address) -> (uint8, bytes32, bytes32, address):
    """@return Status, result hash, seal, enclave challenge."""
    contribution: Contribution = self._contribution(_taskid, _worker)
    return (
        contribution.status, contribution.resultHash, contribution.resultSeal, contribution.enclaveChallenge
    )
