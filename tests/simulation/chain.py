"""The chain: blocks of transactions over the Python model of the hub, with a mempool and reorganisations."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from pyiexec.chain.abi import encode
from pyiexec.chain.hub import EVENTS
from pyiexec.chain.signer import Signer, recover
from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.poco import Event, Hub, Outcome, Refusal, Registry, Token, World
from pyiexec.protocol.primitives import Address, TaskId, checksum, keccak256, to_hex
from pyiexec.scheduler.chain_logs import FOLLOWED
from tests.simulation.agenda import GENESIS, Agenda

BLOCK_SECONDS = 1.0
#: Blocks that a reorganisation may undo at most.
DEEPEST = 4
#: Share of the transactions that a block leaves to the next one.
LEFT_OUT = 0.03
#: Seconds of the category that all tasks are in; its other deadlines follow from it.
TIMEREF = 30


def account(name: str) -> Address:
    """An address that nobody has the key of."""
    return checksum(keccak256(name.encode())[12:])


def key_of(name: str) -> Signer:
    """A real key for somebody in the simulation."""
    return Signer.from_key(keccak256(b"simulation " + name.encode()))


@cache
def _recover(digest: bytes, signature: bytes) -> Address | None:
    try:
        return recover(digest, signature)
    except IexecError:
        return None


class RewindableWorld(World):
    """A world that keeps what its calls replaced until it is told to forget, so that blocks can be undone."""

    def __init__(self) -> None:
        super().__init__(_recover)
        # Never the outermost call: the changes of all calls stay.
        self._depth = 1
        self._forgotten = 0

    def mark(self) -> int:
        """This moment."""
        self._events.clear()
        return self._forgotten + len(self._changes)

    def rewind(self, mark: int) -> None:
        """Undo everything since `mark`."""
        self._undo(mark - self._forgotten)

    def forget(self, mark: int) -> None:
        """What was before `mark` will never be undone."""
        del self._changes[: mark - self._forgotten]
        self._forgotten = mark


@dataclass(eq=False)
class Transaction:
    """A call on its way into a block.

    Attributes:
        call: made with the block's chain time.
        done: told once, with the refusal if it was refused.
        status: ``pending``, ``mined`` or ``refused``, by the newest block that held it.
    """

    name: str
    sender: Address
    call: Callable[[int], Outcome[Any]]
    done: Callable[[Refusal | None], None]
    status: str = "pending"
    told: bool = False


@dataclass(eq=False)
class Block:
    """One block, with what the hub announced in it.

    Attributes:
        mark: the world before it.
        logs: as a node tells them, of the events that a scheduler follows.
        news: names of the events by task.
    """

    number: int
    timestamp: int
    mark: int
    transactions: list[Transaction] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    logs: list[Mapping[str, Any]] = field(default_factory=list)
    news: defaultdict[TaskId, set[str]] = field(default_factory=lambda: defaultdict(set))


class Chain:
    """The hub and all that leads to it.

    Attributes:
        canonical: all blocks, by number.
        blocks: the newest of them, which may still be undone, after one that is final.
        on_block: called after each block with it, and whether older blocks were undone for it.
    """

    def __init__(self, agenda: Agenda) -> None:
        self._agenda = agenda
        self._chance: random.Random = agenda.chance("chain")
        self.world = RewindableWorld()
        self.admin = account("admin")
        self.token = Token(self.world, account("token"), self.admin)
        self.apps, self.datasets, self.workerpools = (
            Registry(self.world, account(kind)) for kind in ("apps", "datasets", "workerpools")
        )
        self.hub = Hub(
            self.world,
            account("hub"),
            chain_id=1,
            token=self.token,
            apps=self.apps,
            datasets=self.datasets,
            workerpools=self.workerpools,
            owner=self.admin,
        )
        self.hub.create_category("simulated", "", TIMEREF, sender=self.admin)
        self.token.approve(self.hub.address, 10**18, sender=self.admin)
        self.blocks: list[Block] = [Block(0, GENESIS, self.world.mark())]
        self.canonical = list(self.blocks)
        self._pending: list[Transaction] = []
        self.on_block: Callable[[Block, list[Block]], None] = lambda _block, _undone: None

    def fund(self, who: Address, amount: int) -> None:
        """Stake `amount` nRLC for `who`, before the simulation begins."""
        self.hub.deposit_for(amount, who, sender=self.admin)

    def send(self, transaction: Transaction) -> None:
        """Let a transaction wait for a block; those of one sender are taken in their order."""
        self._pending.append(transaction)

    def start(self) -> None:
        """Begin to make blocks."""
        self.world.forget(self.world.mark())
        self._agenda.after(BLOCK_SECONDS, self._make_block)

    def _make_block(self) -> None:
        self._mine([])
        self._agenda.after(BLOCK_SECONDS, self._make_block)

    def reorganise(self, depth: int) -> None:
        """Undo the newest `depth` blocks; what was in them is mined again, in another order or later."""
        depth = min(depth, DEEPEST, len(self.blocks) - 1)
        if not depth:
            return
        undone = self.blocks[-depth:]
        del self.blocks[-depth:], self.canonical[-depth:]
        self.world.rewind(undone[0].mark)
        self._agenda.note("reorganisation", depth)
        again = [transaction for block in undone for transaction in block.transactions]
        self._chance.shuffle(again)
        # Nobody's own transactions overtake one another.
        order = {id(t): place for place, t in enumerate(t for block in undone for t in block.transactions)}
        queues: dict[Address, list[Transaction]] = {}
        for transaction in sorted(again, key=lambda t: order[id(t)]):
            queues.setdefault(transaction.sender, []).append(transaction)
        self._pending = [queues[t.sender].pop(0) for t in again] + self._pending
        self._mine(undone)

    def _mine(self, undone: list[Block]) -> None:
        number = self.blocks[-1].number + 1
        timestamp = max(self._agenda.chain_now, self.blocks[-1].timestamp + 1)
        block = Block(number, timestamp, self.world.mark())
        waiting, held = [], set()
        for transaction in self._pending:
            if transaction.sender in held or self._chance.random() < LEFT_OUT:
                held.add(transaction.sender)
                waiting.append(transaction)
            else:
                self._execute(transaction, block)
        self._pending = waiting
        self.blocks.append(block)
        self.canonical.append(block)
        if len(self.blocks) > DEEPEST + 1:
            del self.blocks[0]
            self.world.forget(self.blocks[0].mark)
        self.on_block(block, undone)

    def _execute(self, transaction: Transaction, block: Block) -> None:
        refusal = None
        try:
            outcome = transaction.call(block.timestamp)
        except Refusal as refused:
            refusal = refused
        else:
            for event in outcome.events:
                self._announce(event, block)
        transaction.status = "refused" if refusal else "mined"
        block.transactions.append(transaction)
        self._agenda.note("block", block.number, transaction.name, transaction.status)
        if not transaction.told:
            transaction.told = True
            self._agenda.after(0.0, lambda: transaction.done(refusal))

    def _announce(self, event: Event, block: Block) -> None:
        if event.emitter != self.hub.address:
            return
        block.events.append(event)
        task = event.fields.get("taskid")
        if task is not None:
            block.news[task].add(event.name)
        if event.name in FOLLOWED:
            block.logs.append(_log(event, block))


def _log(event: Event, block: Block) -> Mapping[str, Any]:
    """An event as a node tells it."""
    form = EVENTS[event.name]
    indexed = [p for p in form.inputs if p.indexed]
    plain = [p for p in form.inputs if not p.indexed]
    return {
        "topics": [form.topic, *(to_hex(encode([p], [event.fields[p.name]])) for p in indexed)],
        "data": to_hex(encode(plain, [event.fields[p.name] for p in plain])),
        "blockTimestamp": hex(block.timestamp),
        "blockNumber": hex(block.number),
    }
