# pragma version 0.4.3
"""
@title Settlement
@license Apache-2.0
@notice Who is paid and who is punished when a task ends. The order of the steps is the order of the events, and clients
        rely on it.
"""
from hub.modules import accounts
from hub.modules import bounds
from hub.modules import contributions
from hub.modules import deals
from hub.modules import rules
from hub.modules import store

uses: store
uses: accounts
uses: contributions

event AccurateContribution:
    worker: indexed(address)
    taskid: indexed(bytes32)

event FaultyContribution:
    worker: indexed(address)
    taskid: indexed(bytes32)


@internal
@pure
def _scheduler_stake(workerpool_price: uint256) -> uint256:
    """@return nRLC a scheduler stakes per task, rounded down per task."""
    return workerpool_price * rules.WORKERPOOL_STAKE_RATIO // rules.PERCENT


@internal
@pure
def _workers_part(amount: uint256, scheduler_ratio: uint256) -> uint256:
    return amount * (rules.PERCENT - scheduler_ratio) // rules.PERCENT


@internal
@pure
def _kitty_part(kitty: uint256) -> uint256:
    """@return nRLC of a kitty, not empty, that a task which succeeds wins for its scheduler."""
    return min(max(kitty * rules.KITTY_RATIO // rules.PERCENT, rules.KITTY_MIN), kitty)


@internal
def _succeed(task_id: bytes32, terms: deals.Terms, extras: deals.Extras):
    """@notice Take the price from the sponsor, pay app and dataset, free the scheduler's stake, share out the kitty."""
    accounts._seize(extras.sponsor, terms.app_price + extras.dataset_price + terms.workerpool_price, task_id)
    if terms.app_price != 0:
        accounts._reward(terms.app_owner, terms.app_price, task_id)
    if extras.dataset_price != 0:
        accounts._reward(extras.dataset_owner, extras.dataset_price, task_id)
    accounts._unlock(terms.scheduler, self._scheduler_stake(terms.workerpool_price))
    kitty: uint256 = accounts._frozen(rules.KITTY_ADDRESS)
    if kitty != 0:
        part: uint256 = self._kitty_part(kitty)
        accounts._seize(rules.KITTY_ADDRESS, part, task_id)
        accounts._reward(terms.scheduler, part, task_id)


@internal
def _share_out(task_id: bytes32, terms: deals.Terms, count: uint256):
    """
    @notice Pay those who were proved right by the logarithm of their weight, seize the others' stakes for them, and
            give the scheduler its share and what rounding left.
    """
    total: uint256 = terms.workerpool_price
    log_weights: uint256 = 0
    for i: uint256 in range(count, bound=bounds.CONTRIBUTORS):
        contributor: uint256 = store.contributors[task_id][i]
        if contributions._status_of(contributor) == rules.CONTRIBUTION_PROVED:
            log_weights += contributions._log_weight_of(contributor)
        else:
            total += terms.worker_stake
    shared: uint256 = self._workers_part(total, terms.scheduler_ratio)
    for i: uint256 in range(count, bound=bounds.CONTRIBUTORS):
        contributor: uint256 = store.contributors[task_id][i]
        worker: address = contributions._worker_of(contributor)
        if contributions._status_of(contributor) == rules.CONTRIBUTION_PROVED:
            part: uint256 = shared * contributions._log_weight_of(contributor) // log_weights
            total -= part
            accounts._unlock(worker, terms.worker_stake)
            accounts._reward(worker, part, task_id)
            # a result nobody else checked says nothing of its worker
            if count > 1:
                store.scores[worker] += 1
                log AccurateContribution(worker=worker, taskid=task_id)
        else:
            accounts._seize(worker, terms.worker_stake, task_id)
            score: uint256 = store.scores[worker]
            store.scores[worker] = score - (score + 2) // 3
            log FaultyContribution(worker=worker, taskid=task_id)
    accounts._reward(terms.scheduler, total, task_id)


@internal
def _share_with_one(task_id: bytes32, terms: deals.Terms, worker: address):
    """@notice The shortcut of a task with one worker, who staked nothing."""
    part: uint256 = self._workers_part(terms.workerpool_price, terms.scheduler_ratio)
    accounts._reward(worker, part, task_id)
    accounts._reward(terms.scheduler, terms.workerpool_price - part, task_id)


@internal
def _fail(task_id: bytes32, terms: deals.Terms, extras: deals.Extras, count: uint256):
    """
    @notice Refund the sponsor, give the scheduler's stake to the kitty, free every worker: the scheduler alone
            pays.
    """
    accounts._unlock(extras.sponsor, terms.app_price + extras.dataset_price + terms.workerpool_price)
    stake: uint256 = self._scheduler_stake(terms.workerpool_price)
    accounts._seize(terms.scheduler, stake, task_id)
    accounts._feed_kitty(stake, task_id)
    for i: uint256 in range(count, bound=bounds.CONTRIBUTORS):
        accounts._unlock(contributions._worker(task_id, i), terms.worker_stake)
