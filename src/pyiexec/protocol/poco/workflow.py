"""The classic workflow of a task: contribute, reveal, finalize; or reopen, or claim.

Conditions refuse without a reason. Times are seconds of chain time. Source: PoCo 6.2, `initialize` to `claim`, the
state machines of tasks and contributions; ERC-1154.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from msgspec.structs import replace

from pyiexec.protocol import ids, trust
from pyiexec.protocol.deadlines import deadlines, reveal_deadline
from pyiexec.protocol.deals import Deal
from pyiexec.protocol.eip712 import ethereum_message_digest
from pyiexec.protocol.poco.refusals import ASSERTION_FAILED, error, panic, require
from pyiexec.protocol.poco.settlement import Settlement
from pyiexec.protocol.poco.store import (
    CONTRIBUTORS_MAX,
    GROUP_WEIGHT_MAX,
    ITEMS_MAX,
    RESULTS_MAX,
    RESULTS_OF_TASK_MAX,
    RESULTS_READ_MAX,
    SIGNATURE_MAX,
    VOTE_WEIGHT_MAX,
)
from pyiexec.protocol.poco.world import transaction
from pyiexec.protocol.primitives import (
    NULL_ADDRESS,
    NULL_BYTES32,
    Address,
    DealId,
    ResultDigest,
    ResultHash,
    ResultSeal,
    TaskId,
    keccak256,
    to_bytes,
)
from pyiexec.protocol.tags import requires_tee
from pyiexec.protocol.tasks import Contribution, ContributionStatus, Task, TaskStatus


class Workflow(Settlement):
    """Tasks of classic deals."""

    # --- steps that several calls share -------------------------------------------------------------------------------

    def _initialize(self, deal_id: DealId, index: int) -> TaskId:
        deal = self.deals.get(deal_id)
        require(deal is not None and index in deal.indexes)
        assert deal is not None
        task_id = ids.task_id(deal_id, index)
        require(task_id not in self.tasks)
        timeref = self.categories[deal.category].work_clock_time_ref
        terms = deadlines(deal.start_time, timeref)
        self.tasks[task_id] = Task(
            status=TaskStatus.ACTIVE,
            deal_id=deal_id,
            index=index,
            timeref=timeref,
            contribution_deadline=terms.contribution,
            final_deadline=terms.final,
        )
        self.world.emit(self.address, "TaskInitialize", taskid=task_id, workerpool=deal.workerpool.pointer)
        return task_id

    def _claim(self, task_id: TaskId, now: int) -> None:
        task = self.task(task_id)
        require(task.may_claim(now))
        self.tasks[task_id] = replace(task, status=TaskStatus.FAILED)
        self._fail(task_id, self.deals[task.deal_id], task.contributors)
        self.world.emit(self.address, "TaskClaimed", taskid=task_id)

    def _contributor_signer(self, scheduler: Address, enclave: Address) -> Address:
        """Who must have authorised a contribution: for one from an enclave the broker, if there is one."""
        return self.tee_broker if NULL_ADDRESS not in (enclave, self.tee_broker) else scheduler

    def _is_authorized(
        self, worker: Address, task_id: TaskId, scheduler: Address, enclave: Address, authorization: bytes
    ) -> bool:
        digest = ethereum_message_digest(ids.authorization_hash(worker, task_id, enclave))
        return self._signed(self._contributor_signer(scheduler, enclave), digest, authorization)

    def _check_papers(
        self,
        worker: Address,
        task_id: TaskId,
        deal: Deal,
        enclave: Address,
        message: tuple[ResultHash, ResultSeal],
        enclave_sign: bytes,
        authorization: bytes,
    ) -> None:
        """The worker was given the task, and the result comes from the enclave that it names."""
        require(enclave != NULL_ADDRESS or not requires_tee(deal.tag))
        require(self._is_authorized(worker, task_id, deal.workerpool.owner, enclave, authorization))
        if enclave != NULL_ADDRESS:
            require(self._signed(enclave, ethereum_message_digest(ids.enclave_hash(*message)), enclave_sign))

    @staticmethod
    def _check_results(deal: Deal, results: bytes, callback_data: bytes, digest: ResultDigest) -> None:
        require(len(results) <= RESULTS_MAX, "results too long")
        require(len(callback_data) <= RESULTS_MAX, "resultsCallback too long")
        require(not (deal.has_callback or callback_data) or keccak256(callback_data) == to_bytes(digest))

    def _call_back(
        self, callback: Address, task_id: TaskId, data: bytes, refusal: Exception, *, now: int, starved: bool
    ) -> None:
        """Tell the deal's contract; its failure is nobody's concern, but it was offered all its gas."""
        if callback == NULL_ADDRESS:
            return
        contract = self.world.contracts.get(callback)
        if contract is not None:
            self.world.succeeds(partial(contract.receive_result, task_id, data, sender=self.address, now=now))
        if starved:
            raise refusal

    def _vote(self, task_id: TaskId, result: ResultHash, weight: int) -> dict[ResultHash, int]:
        before = self.groups.get(task_id, {})
        require(result in before or len(before) < RESULTS_OF_TASK_MAX, "too many different results")
        groups = trust.vote(before, result, weight)
        groups[result] = min(groups[result], GROUP_WEIGHT_MAX)
        self.groups[task_id] = groups
        return groups

    # --- calls --------------------------------------------------------------------------------------------------------

    @transaction
    def initialize(self, deal_id: DealId, index: int) -> TaskId:
        """Start one task of a deal; deadlines run from the match."""
        return self._initialize(deal_id, index)

    @transaction
    def initialize_array(self, deal_ids: Sequence[DealId], indexes: Sequence[int]) -> bool:
        """Start several tasks, all or none."""
        require(len(deal_ids) == len(indexes) <= ITEMS_MAX)
        for deal_id, index in zip(deal_ids, indexes, strict=True):
            self._initialize(deal_id, index)
        return True

    @transaction
    def contribute(
        self,
        task_id: TaskId,
        result_hash: ResultHash,
        result_seal: ResultSeal,
        enclave_challenge: Address,
        enclave_sign: bytes,
        authorization_sign: bytes,
        *,
        sender: Address,
        now: int,
    ) -> None:
        """Commit to a result and stake on it; the result may stand by that."""
        require(max(len(enclave_sign), len(authorization_sign)) <= SIGNATURE_MAX)
        task = self.task(task_id)
        require(task.may_contribute(now))
        require((task_id, sender) not in self.contributions)
        deal = self.deals[task.deal_id]
        message = result_hash, result_seal
        self._check_papers(sender, task_id, deal, enclave_challenge, message, enclave_sign, authorization_sign)
        require(result_hash != NULL_BYTES32, "resultHash empty")
        require(len(task.contributors) < CONTRIBUTORS_MAX, "too many contributors")

        score = self.score(sender)
        weight = min(trust.worker_weight(score), VOTE_WEIGHT_MAX)
        self.contributions[task_id, sender] = Contribution(
            status=ContributionStatus.CONTRIBUTED,
            result_hash=result_hash,
            result_seal=result_seal,
            enclave_challenge=enclave_challenge,
            weight=weight.bit_length() - 1,
        )
        task = replace(task, contributors=(*task.contributors, sender))
        self._lock(sender, deal.worker_stake)
        self.world.emit(self.address, "TaskContribute", taskid=task_id, worker=sender, hash=result_hash)
        groups = self._vote(task_id, result_hash, weight)
        if trust.stands(groups, result_hash, deal.trust):
            task = replace(
                task,
                status=TaskStatus.REVEALING,
                consensus_value=result_hash,
                reveal_deadline=reveal_deadline(now, task.timeref),
                reveal_counter=0,
                winner_counter=self._votes(task_id, task, result_hash),
            )
            self.world.emit(self.address, "TaskConsensus", taskid=task_id, consensus=result_hash)
        self.tasks[task_id] = task

    def _votes(self, task_id: TaskId, task: Task, result: ResultHash) -> int:
        """Contributions for `result` that were not rejected."""
        contributions = (self.contributions[task_id, worker] for worker in task.contributors)
        return sum(
            each.result_hash == result and each.status is ContributionStatus.CONTRIBUTED for each in contributions
        )

    @transaction
    def reveal(self, task_id: TaskId, result_digest: ResultDigest, *, sender: Address, now: int) -> None:
        """Disclose the digest that hash and seal commit to."""
        task = self.task(task_id)
        require(task.may_reveal(now))
        contribution = self.contribution(task_id, sender)
        require(contribution.status is ContributionStatus.CONTRIBUTED)
        require(contribution.result_hash == task.consensus_value)
        require(contribution.result_hash == ids.result_hash(task_id, result_digest))
        require(contribution.result_seal == ids.result_seal(sender, task_id, result_digest))
        self.contributions[task_id, sender] = replace(contribution, status=ContributionStatus.PROVED)
        self.tasks[task_id] = replace(task, reveal_counter=task.reveal_counter + 1, result_digest=result_digest)
        self.world.emit(self.address, "TaskReveal", taskid=task_id, worker=sender, digest=result_digest)

    @transaction
    def reopen(self, task_id: TaskId, *, sender: Address, now: int) -> None:
        """The scheduler discards a consensus that nobody revealed in time; its workers are out of the task."""
        task = self.task(task_id)
        require(task_id in self.tasks and sender == self.deal(task.deal_id).workerpool.owner)
        require(task.may_reopen(now))
        for worker in task.contributors:
            contribution = self.contributions[task_id, worker]
            if contribution.result_hash == task.consensus_value:
                self.contributions[task_id, worker] = replace(contribution, status=ContributionStatus.REJECTED)
        self.groups[task_id] = trust.reopened(self.groups[task_id], task.consensus_value)
        self.tasks[task_id] = replace(
            task,
            status=TaskStatus.ACTIVE,
            consensus_value=ResultHash(NULL_BYTES32),
            reveal_deadline=0,
            winner_counter=0,
        )
        self.world.emit(self.address, "TaskReopen", taskid=task_id)

    @transaction
    def finalize(
        self,
        task_id: TaskId,
        results: bytes,
        results_callback: bytes,
        *,
        sender: Address,
        now: int,
        starved: bool = False,
    ) -> None:
        """The scheduler ends a task once all winners have revealed, or some have and the others' time is up.

        `starved` says that the sender's gas is too little for the callback to be offered its allowance.
        """
        require(max(len(results), len(results_callback)) <= RESULTS_READ_MAX)
        task = self.task(task_id)
        deal = self.deal(task.deal_id)
        require(task_id in self.tasks and sender == deal.workerpool.owner)
        require(task.may_finalize(now))
        self._check_results(deal, results, results_callback, task.result_digest)
        self.tasks[task_id] = replace(
            task, status=TaskStatus.COMPLETED, results=results, results_callback=results_callback
        )
        self._succeed(task_id, deal)
        self._share_out(task_id, deal, task.contributors)
        self.world.emit(self.address, "TaskFinalize", taskid=task_id, results=results)
        refusal = panic(ASSERTION_FAILED)
        self._call_back(deal.callback, task_id, results_callback, refusal, now=now, starved=starved)

    @transaction
    def contribute_and_finalize(
        self,
        task_id: TaskId,
        result_digest: ResultDigest,
        results: bytes,
        results_callback: bytes,
        enclave_challenge: Address,
        enclave_sign: bytes,
        authorization_sign: bytes,
        *,
        sender: Address,
        now: int,
        starved: bool = False,
    ) -> None:
        """One worker does the whole task without a stake: only for trust 1, and before any contribution."""
        require(max(len(enclave_sign), len(authorization_sign)) <= SIGNATURE_MAX)
        require(max(len(results), len(results_callback)) <= RESULTS_READ_MAX)
        task = self.task(task_id)
        require(task.may_contribute(now))
        require(not task.contributors)
        deal = self.deals[task.deal_id]
        require(deal.trust == 1)
        self._check_results(deal, results, results_callback, result_digest)
        result_hash = ids.result_hash(task_id, result_digest)
        message = result_hash, ids.result_seal(sender, task_id, result_digest)
        self._check_papers(sender, task_id, deal, enclave_challenge, message, enclave_sign, authorization_sign)

        self.contributions[task_id, sender] = Contribution(
            status=ContributionStatus.PROVED,
            result_hash=result_hash,
            result_seal=message[1],
            enclave_challenge=enclave_challenge,
        )
        self.tasks[task_id] = replace(
            task,
            status=TaskStatus.COMPLETED,
            consensus_value=result_hash,
            reveal_deadline=reveal_deadline(now, task.timeref),
            reveal_counter=1,
            winner_counter=1,
            contributors=(sender,),
            result_digest=result_digest,
            results=results,
            results_callback=results_callback,
        )
        self._succeed(task_id, deal)
        self._share_with_one(task_id, deal, sender)
        self.world.emit(self.address, "TaskContribute", taskid=task_id, worker=sender, hash=result_hash)
        self.world.emit(self.address, "TaskConsensus", taskid=task_id, consensus=result_hash)
        self.world.emit(self.address, "TaskReveal", taskid=task_id, worker=sender, digest=result_digest)
        self.world.emit(self.address, "TaskFinalize", taskid=task_id, results=results)
        refusal = panic(ASSERTION_FAILED)
        self._call_back(deal.callback, task_id, results_callback, refusal, now=now, starved=starved)

    @transaction
    def claim(self, task_id: TaskId, *, now: int) -> None:
        """Anybody ends a task whose time is up."""
        self._claim(task_id, now)

    @transaction
    def claim_array(self, task_ids: Sequence[TaskId], *, now: int) -> bool:
        """End several tasks, all or none."""
        require(len(task_ids) <= ITEMS_MAX)
        for task_id in task_ids:
            self._claim(task_id, now)
        return True

    @transaction
    def initialize_and_claim_array(self, deal_ids: Sequence[DealId], indexes: Sequence[int], *, now: int) -> bool:
        """End several tasks that were never started, all or none."""
        require(len(deal_ids) == len(indexes) <= ITEMS_MAX)
        for deal_id, index in zip(deal_ids, indexes, strict=True):
            self._claim(self._initialize(deal_id, index), now)
        return True

    # --- views --------------------------------------------------------------------------------------------------------

    def result_for(self, task_id: TaskId) -> bytes:
        """What the callback of a completed task received (ERC-1154).

        Raises:
            Refusal: ``task-pending``.
        """
        task = self.task(task_id)
        if task.status is not TaskStatus.COMPLETED:
            raise error("task-pending")
        return task.results_callback
