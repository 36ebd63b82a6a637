"""The Boost workflow: one transaction for each task, one worker, no stake and no vote.

Source: PoCo 6.2, `matchOrdersBoost` to `claimBoost`. Amounts are nRLC, times seconds of chain time.
"""

from __future__ import annotations

from pyiexec.protocol import ids, money
from pyiexec.protocol.deadlines import deadlines
from pyiexec.protocol.deals import BoostDeal
from pyiexec.protocol.eip712 import ethereum_message_digest
from pyiexec.protocol.orders import AppOrder, DatasetOrder, RequestOrder, WorkerpoolOrder
from pyiexec.protocol.poco.matching import FourOrders
from pyiexec.protocol.poco.refusals import custom, error, require
from pyiexec.protocol.poco.store import NO_TASK, RESULTS_MAX, RESULTS_READ_MAX, SIGNATURE_MAX, is_readable
from pyiexec.protocol.poco.workflow import Workflow
from pyiexec.protocol.poco.world import transaction
from pyiexec.protocol.primitives import NULL_ADDRESS, Address, DealId, ResultDigest, TaskId, bytes32, keccak256
from pyiexec.protocol.tags import combine_tags, requires_tee
from pyiexec.protocol.tasks import Task, TaskStatus

#: Widths of what a deal keeps, in bits.
AMOUNT_BITS = 96
COUNT_BITS = 16
TIME_BITS = 40
#: Tasks of one deal.
TASKS_MAX = 2**COUNT_BITS - 1

_SHORT_TAG_DIGITS = 6
#: What Boost says where the classic match gives a number.
_MISMATCHES = {
    "00": "Category mismatch",
    "01": "Unknown category",
    "03": "Overpriced app",
    "04": "Overpriced dataset",
    "05": "Overpriced workerpool",
    "06": "Workerpool tag does not match demand",
    "07": "App tag does not match demand",
    "10": "App mismatch",
    "11": "Dataset mismatch",
    "12": "Workerpool restricted by request order",
    "13": "Dataset restricted by app order",
    "14": "Workerpool restricted by app order",
    "15": "Requester restricted by app order",
    "16": "App restricted by dataset order",
    "17": "Workerpool restricted by dataset order",
    "18": "Requester restricted by dataset order",
    "19": "App restricted by workerpool order",
    "1a": "Dataset restricted by workerpool order",
    "1b": "Requester restricted by workerpool order",
}
_REFUSALS = {
    "20": "PocoBoost: App not registered",
    "21": "PocoBoost: Invalid app order signature",
    "30": "PocoBoost: Dataset not registered",
    "31": "PocoBoost: Invalid dataset order signature",
    "40": "PocoBoost: Workerpool not registered",
    "41": "PocoBoost: Invalid workerpool order signature",
    "50": "PocoBoost: Invalid request order signature",
}


def _require_width(value: int, bits: int) -> None:
    if value >> bits:
        raise custom("SafeCastOverflowedUintDowncast(uint8,uint256)", bits, value)


class Boost(Workflow):
    """Deals of the Boost workflow and their tasks."""

    def _match_boost(self, orders: FourOrders, sponsor: Address, now: int) -> DealId:
        require(all(map(is_readable, orders.each)))
        app, dataset, workerpool, request = orders
        require(request.trust <= 1, "PocoBoost: Bad trust level")
        mismatches = [_MISMATCHES[number] for number in self._mismatches(orders) if number in _MISMATCHES]
        if mismatches:
            raise error(f"PocoBoost: {mismatches[0]}")
        match = self._authentic(orders, _REFUSALS)
        require(match.volume > 0, "PocoBoost: One or more orders consumed")
        volume = min(match.volume, TASKS_MAX)

        request_hash = match.hashes[3]
        first = self.consumed.get(request_hash, 0)
        dataset_price = dataset.datasetprice if orders.has_dataset else 0
        deadline = deadlines(now, self.categories[request.category].work_clock_time_ref).contribution
        _require_width(app.appprice, AMOUNT_BITS)
        _require_width(workerpool.workerpoolprice, AMOUNT_BITS)
        _require_width(first, COUNT_BITS)
        _require_width(deadline, TIME_BITS)
        _require_width(dataset_price, AMOUNT_BITS)

        deal_id = ids.deal_id(request_hash, first)
        tag = combine_tags(app.tag, dataset.tag, request.tag)
        worker_reward, _ = money.single_worker_reward(workerpool.workerpoolprice, match.workerpool.reward_ratio)
        deal = BoostDeal(
            app_owner=match.app.owner,
            app_price=app.appprice,
            dataset_owner=match.dataset.owner,
            dataset_price=dataset_price,
            workerpool_owner=match.workerpool.owner,
            workerpool_price=workerpool.workerpoolprice,
            requester=request.requester,
            worker_reward=worker_reward,
            callback=request.callback,
            deadline=deadline,
            bot_first=first,
            bot_size=volume,
            short_tag=f"0x{tag[-_SHORT_TAG_DIGITS:]}",
            sponsor=sponsor,
        )
        self.boost_deals[deal_id] = deal
        self._consume(match.hashes, volume)
        self._lock(sponsor, deal.task_cost * volume)
        self._lock(deal.workerpool_owner, money.scheduler_stake(deal.workerpool_price) * volume)
        self.world.emit(
            self.address,
            "SchedulerNoticeBoost",
            workerpool=workerpool.workerpool,
            dealId=deal_id,
            app=app.app,
            dataset=dataset.dataset,
            category=request.category,
            tag=tag,
            params=request.params,
            beneficiary=request.beneficiary,
        )
        self._tell_match(deal_id, match.hashes, volume)
        return deal_id

    def _unset_task(self, deal_id: DealId, index: int) -> tuple[BoostDeal, TaskId]:
        deal = self.boost_deal(deal_id)
        require(index < deal.bot_size, "PocoBoost: Unknown task")
        task_id = ids.task_id(deal_id, index)
        require(self.task(task_id) is NO_TASK, "PocoBoost: Task status not unset")
        return deal, task_id

    @transaction
    def match_orders_boost(
        self,
        app: AppOrder,
        dataset: DatasetOrder,
        workerpool: WorkerpoolOrder,
        request: RequestOrder,
        *,
        now: int,
    ) -> DealId:
        """Make a deal, paid by the requester."""
        return self._match_boost(FourOrders(app, dataset, workerpool, request), request.requester, now)

    @transaction
    def sponsor_match_orders_boost(
        self,
        app: AppOrder,
        dataset: DatasetOrder,
        workerpool: WorkerpoolOrder,
        request: RequestOrder,
        *,
        sender: Address,
        now: int,
    ) -> DealId:
        """Make a deal, paid by the sender, which is refunded for tasks that fail."""
        deal_id = self._match_boost(FourOrders(app, dataset, workerpool, request), sender, now)
        self.world.emit(self.address, "DealSponsoredBoost", dealId=deal_id, sponsor=sender)
        return deal_id

    @transaction
    def push_result_boost(
        self,
        deal_id: DealId,
        index: int,
        results: bytes,
        results_callback: bytes,
        authorization_sign: bytes,
        enclave_challenge: Address,
        enclave_sign: bytes,
        *,
        sender: Address,
        now: int,
        starved: bool = False,
    ) -> None:
        """A worker does task `index`, counting from 0 in every deal.

        `starved` says that the sender's gas is too little for the callback to be offered its allowance.
        """
        require(max(len(results), len(results_callback)) <= RESULTS_READ_MAX)
        require(max(len(enclave_sign), len(authorization_sign)) <= SIGNATURE_MAX)
        deal, task_id = self._unset_task(deal_id, index)
        require(now < deal.deadline, "PocoBoost: Deadline reached")
        in_enclave = enclave_challenge != NULL_ADDRESS
        tag = bytes32(int(deal.short_tag, 16))
        require(in_enclave or not requires_tee(tag), "PocoBoost: Tag requires enclave challenge")
        granted = self._is_authorized(sender, task_id, deal.workerpool_owner, enclave_challenge, authorization_sign)
        require(granted, "PocoBoost: Invalid contribution authorization signature")
        has_callback = deal.callback != NULL_ADDRESS
        if in_enclave:
            digest = ResultDigest(bytes32(keccak256(results_callback if has_callback else results)))
            message = ethereum_message_digest(ids.boost_enclave_hash(sender, task_id, digest))
            attested = self._signed(enclave_challenge, message, enclave_sign)
            require(attested, "PocoBoost: Invalid enclave signature")
        require(bool(results_callback) or not has_callback, "PocoBoost: Callback requires data")
        require(len(results) <= RESULTS_MAX, "results too long")
        require(len(results_callback) <= RESULTS_MAX, "resultsCallback too long")

        self.tasks[task_id] = Task(status=TaskStatus.COMPLETED)
        self._seize(deal.sponsor, deal.task_cost, task_id)
        self._reward(sender, deal.worker_reward, task_id)
        if deal.app_price:
            self._reward(deal.app_owner, deal.app_price, task_id)
        if deal.dataset_price:
            self._reward(deal.dataset_owner, deal.dataset_price, task_id)
        self._unlock(deal.workerpool_owner, money.scheduler_stake(deal.workerpool_price))
        part = self._open_kitty(task_id)
        self._reward(deal.workerpool_owner, deal.workerpool_price - deal.worker_reward + part, task_id)
        self.world.emit(self.address, "ResultPushedBoost", dealId=deal_id, index=index, results=results)
        refusal = error("PocoBoost: Not enough gas after callback")
        self._call_back(deal.callback, task_id, results_callback, refusal, now=now, starved=starved)

    @transaction
    def claim_boost(self, deal_id: DealId, index: int, *, now: int) -> None:
        """Anybody ends a task whose time is up."""
        deal, task_id = self._unset_task(deal_id, index)
        require(deal.deadline <= now, "PocoBoost: Deadline not reached")
        stake = money.scheduler_stake(deal.workerpool_price)
        self.tasks[task_id] = Task(status=TaskStatus.FAILED)
        self._unlock(deal.sponsor, deal.task_cost)
        self._seize(deal.workerpool_owner, stake, task_id)
        self._feed_kitty(stake, task_id)
        self.world.emit(self.address, "TaskClaimed", taskid=task_id)
