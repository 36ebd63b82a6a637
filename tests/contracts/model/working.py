"""Steps with tasks of the classic workflow."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from pyiexec.chain.hub import FUNCTIONS
from pyiexec.protocol import ids
from pyiexec.protocol.eip712 import ethereum_message_digest
from pyiexec.protocol.primitives import NULL_ADDRESS, Address, DealId, ResultDigest, TaskId, bytes32, keccak256
from pyiexec.protocol.tags import requires_tee
from pyiexec.protocol.tasks import ContributionStatus, Task, TaskStatus

from .dice import Dice
from .invariants import task_id
from .player import Player
from .stage import WORKERS, Call
from .steps import step

RIGHT, WRONG = b"right", b"wrong"
DIGESTS = {result: ResultDigest(bytes32(keccak256(result))) for result in (RIGHT, WRONG)}
#: Tasks of one deal that are played; deals may be for far more.
PLAYED = 5
UNKNOWN = TaskId(bytes32("0x" + "ab" * 32))

Papers = tuple[str, str, str]


class Working(Player):
    """What schedulers, workers and claimants do."""

    # --- what there is to do ------------------------------------------------------------------------------------------

    def tasks_where(self, fits: Callable[[Task], bool]) -> list[TaskId]:
        return [name for name, task in self.hub.tasks.items() if fits(task)]

    def unstarted(self) -> list[tuple[DealId, int]]:
        """Tasks that could be started, some of each deal."""
        return [
            (name, index)
            for name, deal in self.hub.deals.items()
            for index in deal.indexes[:PLAYED]
            if task_id(name, index) not in self.hub.tasks
        ]

    def startable(self) -> list[tuple[DealId, int]]:
        """Those that somebody could still contribute to."""
        return [
            (name, index)
            for name, index in self.unstarted()
            if self.now() < self.hub.deals[name].start_time + 7 * self.timeref(name)
        ]

    def lapsed(self) -> list[tuple[DealId, int]]:
        """Those whose time is up."""
        return [
            (name, index)
            for name, index in self.unstarted()
            if self.hub.deals[name].start_time + 10 * self.timeref(name) <= self.now()
        ]

    def timeref(self, deal: DealId) -> int:
        return self.hub.categories[self.hub.deals[deal].category].work_clock_time_ref

    def open_tasks(self) -> list[TaskId]:
        return self.tasks_where(lambda task: task.may_contribute(self.now()))

    def open_for_one(self) -> list[TaskId]:
        """Tasks that one worker may do alone."""
        fits = [(name, self.hub.tasks[name]) for name in self.open_tasks()]
        return [name for name, task in fits if not task.contributors and self.hub.deals[task.deal_id].trust == 1]

    def sealed(self) -> list[tuple[TaskId, Address]]:
        """Winning contributions that may still be revealed."""
        return [
            (name, worker)
            for name in self.tasks_where(lambda task: task.may_reveal(self.now()))
            for worker in self.hub.tasks[name].contributors
            if self.hub.contributions[name, worker].status is ContributionStatus.CONTRIBUTED
            and self.hub.contributions[name, worker].result_hash == self.hub.tasks[name].consensus_value
        ]

    def finalizable(self) -> list[TaskId]:
        return self.tasks_where(lambda task: task.may_finalize(self.now()))

    def reopenable(self) -> list[TaskId]:
        return self.tasks_where(lambda task: task.may_reopen(self.now()))

    def claimable(self) -> list[TaskId]:
        return self.tasks_where(lambda task: task.may_claim(self.now()))

    def scheduler(self, task: TaskId) -> str:
        return self.name(self.hub.deal(self.hub.task(task).deal_id).workerpool.owner)

    @step(1, lambda history: history.hub.tasks)
    def ask_for_a_result(self, dice: Dice) -> None:
        completed = self.tasks_where(lambda task: task.status is TaskStatus.COMPLETED)
        task = dice.choose(completed if completed and dice.usually(80) else [*self.hub.tasks])
        self.ask("resultFor", [task], lambda: self.hub.result_for(task))

    # --- starting -----------------------------------------------------------------------------------------------------

    @step(4, lambda history: history.startable())
    def initialize(self, dice: Dice) -> None:
        name, index = dice.choose(self.startable()[-8:])
        deal = self.hub.deals[name]
        if dice.chance(8):
            index = dice.pick(deal.bot_first + deal.bot_size, max(deal.bot_first - 1, 0), 2**256 - 1)
        self.call("stranger", "initialize", [name, index], lambda _: self.hub.initialize(name, index))

    @step(1, lambda history: len(history.unstarted()) > 1)
    def initialize_several(self, dice: Dice) -> None:
        chosen = self.unstarted()[-dice.pick(1, 2, 3) :]
        deals, indexes = [deal for deal, _ in chosen], [index for _, index in chosen]
        if dice.chance(10):
            indexes.append(0)
        self.call("stranger", "initializeArray", [deals, indexes], lambda _: self.hub.initialize_array(deals, indexes))

    # --- contributing -------------------------------------------------------------------------------------------------

    @step(4, lambda history: history.open_tasks())
    def contribute(self, dice: Dice) -> None:
        task = dice.choose(self.open_tasks()[-8:])
        self.contribute_to(dice, task, self._fresh_worker(dice, task), dice.pick(RIGHT, RIGHT, RIGHT, WRONG))

    @step(6, lambda history: history.open_tasks())
    def contribute_with_the_majority(self, dice: Dice) -> None:
        task = self.open_tasks()[0]
        votes = Counter(self.votes[task, worker] for worker in self.hub.tasks[task].contributors)
        result = max(votes, key=lambda each: (votes[each], each), default=RIGHT)
        self.contribute_to(dice, task, self._fresh_worker(dice, task), result)

    def _fresh_worker(self, dice: Dice, task: TaskId) -> str:
        taken = self.hub.tasks[task].contributors
        fresh = [name for name in WORKERS[:6] if self.at(name) not in taken]
        return dice.choose(fresh or WORKERS)

    def papers(self, dice: Dice, scheduler: Address, *, tee: bool) -> Papers:
        """Enclave, who authorises and who signs for the enclave: mostly as it should be."""
        enclave = "enclave" if tee or dice.chance(10) else "nobody"
        odd = dice.pick(*[""] * 22, "enclave", "signer", "attester")
        if odd == "enclave":
            enclave = dice.pick("enclave", "nobody", "yes", "no")
        in_enclave = enclave != "nobody" and self.hub.tee_broker != NULL_ADDRESS
        signer = self.name(self.hub.tee_broker if in_enclave else scheduler)
        if odd == "signer":
            signer = dice.pick("stranger", "scheduler", "broker", "short")
        return enclave, signer, "stranger" if odd == "attester" else "enclave"

    def signature(self, signer: str, message: bytes) -> bytes:
        if signer == "short":
            return b"\x22" * 62
        if signer not in self.stage.signers:
            return b"\x22" * 65
        return self.stage.signers[signer].sign_digest(ethereum_message_digest(message))

    def permit(self, worker: str, task: TaskId, papers: Papers) -> bytes:
        enclave, signer, _ = papers
        return self.signature(signer, ids.authorization_hash(self.at(worker), task, self.at(enclave)))

    def attest(self, papers: Papers, message: bytes) -> bytes:
        enclave, _, attester = papers
        return self.signature(attester, message) if enclave != "nobody" else b""

    def contribute_to(self, dice: Dice, task: TaskId, worker: str, result: bytes) -> None:
        who, digest = self.at(worker), DIGESTS[result]
        deal = self.hub.deal(self.hub.task(task).deal_id)
        papers = self.papers(dice, deal.workerpool.owner, tee=requires_tee(deal.tag))
        vote = ids.result_hash(task, digest), ids.result_seal(who, task, digest)
        attested, permit = self.attest(papers, ids.enclave_hash(*vote)), self.permit(worker, task, papers)
        arguments = task, *vote, self.at(papers[0]), attested, permit
        if self.call(worker, "contribute", arguments, lambda now: self.hub.contribute(*arguments, sender=who, now=now)):
            self.votes[task, who] = result

    @step(2, lambda history: history.open_for_one())
    def contribute_and_finalize(self, dice: Dice) -> None:
        self.do_alone(dice, dice.choose(self.open_for_one()[-8:]), dice.choose(WORKERS))

    def do_alone(self, dice: Dice, task: TaskId, worker: str) -> None:
        who, digest = self.at(worker), DIGESTS[RIGHT]
        deal = self.hub.deal(self.hub.task(task).deal_id)
        papers = self.papers(dice, deal.workerpool.owner, tee=requires_tee(deal.tag))
        vote = ids.result_hash(task, digest), ids.result_seal(who, task, digest)
        attested, permit = self.attest(papers, ids.enclave_hash(*vote)), self.permit(worker, task, papers)
        results, payload = dice.pick(b"link", b""), self._payload(dice, task, RIGHT)
        arguments = task, digest, results, payload, self.at(papers[0]), attested, permit
        gas = self.too_little_gas(dice, deal.callback, worker, "contributeAndFinalize", arguments)
        self.call(
            worker,
            "contributeAndFinalize",
            arguments,
            lambda now: self.hub.contribute_and_finalize(*arguments, sender=who, now=now, starved=gas is not None),
            gas=gas,
        )

    # --- revealing and ending -----------------------------------------------------------------------------------------

    @step(4, lambda history: history.sealed())
    def reveal(self, dice: Dice) -> None:
        task, worker = dice.choose(self.sealed()[-8:])
        result = self.votes[task, worker] if dice.usually(95) else dice.pick(WRONG, RIGHT)
        self.reveal_it(task, self.name(worker), result)

    @step(6, lambda history: history.sealed())
    def reveal_next(self, _: Dice) -> None:
        task, worker = self.sealed()[0]
        self.reveal_it(task, self.name(worker), self.votes[task, worker])

    def reveal_it(self, task: TaskId, worker: str, result: bytes) -> None:
        digest = DIGESTS[result]
        self.call(
            worker,
            "reveal",
            [task, digest],
            lambda now: self.hub.reveal(task, digest, sender=self.at(worker), now=now),
        )

    @step(5, lambda history: history.finalizable())
    def finalize(self, dice: Dice) -> None:
        task = dice.choose(self.finalizable())
        proved = WRONG if self.hub.task(task).result_digest == DIGESTS[WRONG] else RIGHT
        results = dice.pick(b"link", b"", b"x" * 84, b"y" * (4097 if dice.chance(10) else 1000))
        sender = self.scheduler(task) if dice.usually(95) else "stranger"
        self.finalize_it(dice, task, sender, results, self._payload(dice, task, proved))

    def finalize_it(self, dice: Dice, task: TaskId, sender: str, results: bytes, payload: bytes) -> None:
        arguments = task, results, payload
        callback = self.hub.deal(self.hub.task(task).deal_id).callback
        gas = self.too_little_gas(dice, callback, sender, "finalize", arguments)
        self.call(
            sender,
            "finalize",
            arguments,
            lambda now: self.hub.finalize(*arguments, sender=self.at(sender), now=now, starved=gas is not None),
            gas=gas,
        )

    def _payload(self, dice: Dice, task: TaskId, result: bytes) -> bytes:
        """What the callback is to receive, mostly as it should be."""
        if dice.chance(5):
            return dice.pick(RIGHT, WRONG, b"", b"z" * 4097)
        return result if self.hub.deal(self.hub.task(task).deal_id).has_callback else b""

    def too_little_gas(
        self, dice: Dice, callback: Address, sender: str, name: str, arguments: Sequence[object]
    ) -> int | None:
        """For a callback that burns what it gets, now and then a little less gas than the call takes.

        None when there shall be enough, or the call would be refused for another reason.
        """
        if callback != self.at("waster") or not dice.chance(50):
            return None
        least = self.stage.estimate(Call(self.at(sender), self.hub_address, FUNCTIONS[name], arguments), self.now())
        return least - dice.pick(500, 5_000) if least else None

    @step(12, lambda history: history.reopenable())
    def reopen(self, dice: Dice) -> None:
        task = dice.choose(self.reopenable())
        self.reopen_it(task, self.scheduler(task) if dice.usually(90) else "stranger")

    def reopen_it(self, task: TaskId, sender: str) -> None:
        self.call(sender, "reopen", [task], lambda now: self.hub.reopen(task, sender=self.at(sender), now=now))

    @step(3, lambda history: history.claimable())
    def claim(self, dice: Dice) -> None:
        tasks = self.claimable()
        if dice.chance(50):
            task = dice.choose(tasks)
            self.call("stranger", "claim", [task], lambda now: self.hub.claim(task, now=now))
        else:
            several = [*tasks[: dice.pick(1, 2, 3)], *(tasks[:1] if dice.chance(20) else [])]
            self.call("stranger", "claimArray", [several], lambda now: self.hub.claim_array(several, now=now))

    @step(2, lambda history: history.lapsed())
    def initialize_and_claim(self, dice: Dice) -> None:
        chosen = (self.unstarted() if dice.chance(10) else self.lapsed())[: dice.pick(1, 2, 4)]
        deals, indexes = [deal for deal, _ in chosen], [index for _, index in chosen]
        self.call(
            "stranger",
            "initializeAndClaimArray",
            [deals, indexes],
            lambda now: self.hub.initialize_and_claim_array(deals, indexes, now=now),
        )
