"""The transactions of one account that something may still happen to, in memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import anyio
import msgspec

from pyiexec.chain.gas import Fees
from pyiexec.chain.signer import Signer, Transaction, transaction_hash
from pyiexec.chain.transactions.records import Receipt, TransactionRecord, TransactionStatus
from pyiexec.protocol.errors import IexecError


class Flight:
    """One transaction on its way.

    Attributes:
        record: as last decided; the database may be a moment behind when the chain had the last word.
        settled: set once it is in a block or refused; replaced by a fresh event when a reorganisation takes it back.
        receipt: of its block.
        error: why it never reached one.
        with_node: whether a node may hold it: it accepted it, or the process died before it could say.
        unsent: whether the last attempt to send it did not reach the node.
        missed_at: the moment (monotonic) its nonce was first seen used without a receipt.
        rejections: how many unexplained refusals in a row.
    """

    __slots__ = ("error", "missed_at", "receipt", "record", "rejections", "revert", "settled", "unsent", "with_node")

    def __init__(self, record: TransactionRecord, *, with_node: bool = False) -> None:
        self.record = record
        self.settled = anyio.Event()
        self.receipt: Receipt | None = None
        self.error: IexecError | None = None
        self.revert: IexecError | None = None
        self.with_node = with_node
        self.unsent = False
        self.missed_at: float | None = None
        self.rejections = 0

    @property
    def nonce(self) -> int:
        """Its nonce; it must have one."""
        assert self.record.nonce is not None, "a queued transaction has no nonce"
        return self.record.nonce

    @property
    def is_pending(self) -> bool:
        """Whether it has a nonce and is in no block."""
        return self.record.status is TransactionStatus.PENDING

    def change(self, **fields: object) -> TransactionRecord:
        """Replace fields of the record."""
        self.record = msgspec.structs.replace(self.record, **fields)
        return self.record


@dataclass(eq=False)
class Totals:
    """What became of an account's transactions; a reorganisation may have one count twice.

    Attributes:
        included: in a block, and did what they should.
        reverted: in a block, and did nothing.
        refused: never reached a block.
        replaced: offers raised, and transactions given another nonce.
        gas: units used in blocks.
        fees: wei paid for them.
        on_block: told how many seconds passed from a transaction's submission to its block.
    """

    included: int = 0
    reverted: int = 0
    refused: int = 0
    replaced: int = 0
    gas: int = 0
    fees: int = 0
    on_block: Callable[[float], None] = lambda _seconds: None

    def landed(self, record: TransactionRecord, receipt: Receipt, now: float) -> None:
        """A transaction is in a block; `now` in Unix seconds."""
        self.included += receipt.succeeded
        self.reverted += not receipt.succeeded
        self.gas += receipt.gas_used
        self.fees += receipt.fee
        if record.created_at:
            self.on_block(max(now - record.created_at, 0.0))


class Board:
    """All flights of one account.

    Attributes:
        totals: what became of them.
        pending: those with a nonce and not in a block, by nonce.
        queued: those that wait for room.
        recent: those in blocks that a reorganisation may still take back.
    """

    def __init__(self, totals: Totals) -> None:
        self.totals = totals
        self.pending: dict[int, Flight] = {}
        self.queued: deque[Flight] = deque()
        self.recent: dict[int, Flight] = {}
        self._by_id: dict[int, Flight] = {}
        self._by_key: dict[tuple[str, str], Flight] = {}

    def by_id(self, identifier: int) -> Flight | None:
        """The flight of a record."""
        return self._by_id.get(identifier)

    def by_key(self, key: tuple[str, str]) -> Flight | None:
        """The latest flight for (object, action)."""
        return self._by_key.get(key)

    def add(self, flight: Flight) -> None:
        """Put a flight where its record says it belongs."""
        record = flight.record
        self._by_id[record.id] = flight
        self._by_key[record.key] = flight
        if record.status is TransactionStatus.QUEUED:
            self.queued.append(flight)
        elif record.status is TransactionStatus.PENDING:
            self.pending[flight.nonce] = flight
        else:
            self.recent[record.id] = flight

    def forget(self, flight: Flight) -> None:
        """Nothing more will happen to it."""
        self.recent.pop(flight.record.id, None)
        self._by_id.pop(flight.record.id, None)
        if self._by_key.get(flight.record.key) is flight:
            del self._by_key[flight.record.key]

    def in_order(self) -> list[Flight]:
        """Pending flights by nonce."""
        return [self.pending[nonce] for nonce in sorted(self.pending)]

    def forget_below(self, block: int) -> None:
        """Drop what no reorganisation will take back any more."""
        final = [f for f in self.recent.values() if f.record.block_number is not None and f.record.block_number < block]
        for flight in final:
            self.forget(flight)


def signed(signer: Signer, chain_id: int, record: TransactionRecord, nonce: int, fees: Fees) -> TransactionRecord:
    """The record with a nonce, an offer and a signature; a former signature's hash is kept."""
    transaction = Transaction(
        chain_id=chain_id,
        nonce=nonce,
        max_priority_fee_per_gas=fees.tip,
        max_fee_per_gas=fees.max_fee,
        gas=record.gas,
        to=record.to,
        data=record.data,
        value=record.value,
    )
    raw = signer.sign_transaction(transaction)
    return msgspec.structs.replace(
        record,
        status=TransactionStatus.PENDING,
        nonce=nonce,
        fees=fees,
        raw=raw,
        hash=transaction_hash(raw),
        former_hashes=(*record.former_hashes, record.hash) if record.hash else record.former_hashes,
    )


def records(flights: Iterable[Flight]) -> list[TransactionRecord]:
    """Their records, for storing."""
    return [flight.record for flight in flights]
