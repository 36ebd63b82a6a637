"""What the blocks say about an account's transactions: included, taken back, stuck, dropped, or overtaken by another's.

Every new head leads to at most a few requests in one batch, and to none while nothing is on its way.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import anyio

from pyiexec.chain.heads import Head, HeadFeed
from pyiexec.chain.rpc import JsonRpc
from pyiexec.chain.transactions import queue
from pyiexec.chain.transactions.delivery import Delivery
from pyiexec.chain.transactions.flights import Board, Flight, records
from pyiexec.chain.transactions.nonces import Nonces
from pyiexec.chain.transactions.pricing import Pricing
from pyiexec.chain.transactions.records import Receipt, TransactionStatus
from pyiexec.foundation.clock import Clock
from pyiexec.foundation.database import Database
from pyiexec.foundation.logs import get_logger
from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.primitives import Address

log = get_logger(__name__)

#: Receipts asked for on the chance that they exist; the account's nonce tells of all others.
PROBES = 4
#: Requests in one batch.
BATCH = 100
#: Blocks after which a transaction stays where it is.
FINAL_BLOCKS = 64
#: Blocks without progress after which transactions are sent again, and after which the first one offers more.
RESEND_BLOCKS, BUMP_BLOCKS = 3, 6
#: Neither happens sooner than this many seconds after the last progress.
STUCK_SECONDS = 1.5
#: With something on its way and no new head for so long, the node is asked anyway.
SILENCE_SECONDS = 3.0
#: A hole of more nonces than this cannot be ours to fill: the chain has been reset.
GAP_LIMIT = 256


class Reconciler:
    """Keeps the board of one account true to the chain."""

    def __init__(
        self,
        account: Address,
        rpc: JsonRpc,
        database: Database,
        feed: HeadFeed,
        clock: Clock,
        chain_id: int,
        board: Board,
        nonces: Nonces,
        pricing: Pricing,
        delivery: Delivery,
    ) -> None:
        self._account = account
        self._rpc = rpc
        self._database = database
        self._feed = feed
        self._clock = clock
        self._chain_id = chain_id
        self._board = board
        self._nonces = nonces
        self._pricing = pricing
        self._delivery = delivery
        self._syncing = anyio.Lock()
        self._synced = False
        self._loaded = False
        self._last: Head | None = None
        #: Lowest pending nonce, since which block and moment it is that, and the block it was last acted upon.
        self._front: tuple[int, int, float, int] | None = None
        self._gap: tuple[int, int] | None = None

    async def run(self) -> None:
        """Follow the heads until cancelled."""
        async with self._feed.subscribe() as heads:
            while True:
                news: list[Head] = []
                with anyio.move_on_after(SILENCE_SECONDS):
                    news = await heads.take_all()
                try:
                    await self._on_heads(news)
                except IexecError as error:
                    log.info("the chain could not be asked", reason=str(error))

    async def synced(self) -> None:
        """Return once the account's nonce is known and what an earlier process left is taken up again.

        Raises:
            IexecError: ``CHAIN_UNREACHABLE``; ``CHAIN_REFUSED`` when the node is of another chain.
        """
        if self._synced:
            return
        async with self._syncing:
            if not self._synced:
                await self._sync()

    async def load(self) -> None:
        """Read what an earlier process left."""
        left = await self._database.read(
            partial(queue.unsettled, chain_id=self._chain_id, sender=self._account),
        )
        for record in left:
            self._board.add(Flight(record, with_node=True))
        self._loaded = True

    async def _sync(self) -> None:
        chain, latest, pending, block = await self._rpc.batch(
            [
                ("eth_chainId", []),
                ("eth_getTransactionCount", [self._account, "latest"]),
                ("eth_getTransactionCount", [self._account, "pending"]),
                ("eth_getBlockByNumber", ["latest", False]),
            ]
        )
        if int(chain, 16) != self._chain_id:
            raise IexecError("CHAIN_REFUSED", f"the node is of chain {int(chain, 16)}, not {self._chain_id}")
        await self._pricing.refresh()
        head = Head.from_json(block)
        await self._recall(head.number - FINAL_BLOCKS)
        self._take_stock(max(int(latest, 16), int(pending, 16)))
        await self._check_recent()
        # What was in a block and is in none any more holds its nonce again: nobody else may be given it.
        self._take_stock(max(int(latest, 16), int(pending, 16)))
        await self._check_pending(everything=True)
        for flight in self._board.in_order():
            self._delivery.put(flight)
        self._delivery.promote()
        self._last = self._last or head
        self._synced = True

    def _take_stock(self, count: int) -> None:
        """Go on after the nonces that the chain counts and those that are held here."""
        following = max(count, max(self._board.pending, default=-1) + 1)
        self._nonces.reset(following, len(self._board.pending), len(self._board.queued))

    async def _recall(self, block: int) -> None:
        """Take up again what was last seen in blocks from this number on."""
        query = partial(queue.included_since, chain_id=self._chain_id, sender=self._account, block=block)
        for record in await self._database.read(query):
            if self._board.by_id(record.id) is None:
                flight = Flight(record)
                flight.settled.set()
                self._board.add(flight)

    async def _on_heads(self, heads: Sequence[Head]) -> None:
        broken, former = self._is_broken(heads), self._last
        if heads:
            self._last = heads[-1]
        if not self._synced:
            await self.synced()
        if broken and former and self._last and self._last.number < former.number:
            # A node that came back with an older state forgot more than a reorganisation takes back.
            await self._recall(self._last.number - FINAL_BLOCKS)
        if broken and self._board.recent:
            await self._check_recent()
        if self._board.pending:
            await self._check_pending()
            await self._push()
        if self._last and self._board.recent:
            self._board.forget_below(self._last.number - FINAL_BLOCKS)

    def _is_broken(self, heads: Sequence[Head]) -> bool:
        """Whether the heads do not simply continue the chain known so far."""
        last, broken = self._last, False
        for head in heads:
            broken |= last is not None and head.hash != last.hash and head.parent_hash != last.hash
            last = head
        return broken

    async def _receipts(self, flights: Sequence[Flight]) -> dict[int, Receipt]:
        """Receipts of those that are in a block, by record id."""
        wanted = [(flight.record.id, known) for flight in flights for known in flight.record.hashes]
        found: dict[int, Receipt] = {}
        for start in range(0, len(wanted), BATCH):
            part = wanted[start : start + BATCH]
            answers = await self._rpc.batch([("eth_getTransactionReceipt", [known]) for _, known in part])
            for (identifier, _), answer in zip(part, answers, strict=True):
                if answer and answer.get("blockNumber"):
                    found[identifier] = Receipt.from_json(answer)
        return found

    async def _check_pending(self, *, everything: bool = False) -> None:
        pending = self._board.in_order()
        probes = pending if everything else pending[:PROBES]
        requests: list[tuple[str, list[str]]] = [("eth_getTransactionCount", [self._account, "latest"])]
        wanted = [(flight, known) for flight in probes for known in flight.record.hashes][: BATCH - 1]
        requests += [("eth_getTransactionReceipt", [known]) for _, known in wanted]
        count_answer, *answers = await self._rpc.batch(requests)
        count = int(count_answer, 16)
        found = {
            flight.record.id: Receipt.from_json(answer)
            for (flight, _), answer in zip(wanted, answers, strict=True)
            if answer and answer.get("blockNumber")
        }
        probed = {flight.record.id for flight, _ in wanted}
        # While the node was thinking, the delivery may have given up some.
        pending = self._board.in_order()
        rest = [flight for flight in pending if flight.nonce < count and flight.record.id not in probed]
        if rest:
            found |= await self._receipts(rest)
            pending = self._board.in_order()
        landed = [flight for flight in pending if flight.record.id in found]
        self._nonces.used_up_to(count)
        if landed:
            await self._land(landed, found)
        for flight in pending:
            if flight.is_pending and flight.record.id not in found and flight.nonce < count:
                await self._on_missing(flight)
        await self._mind_gap(count)

    async def _on_missing(self, flight: Flight) -> None:
        """A block holds its nonce but not the flight; a node that lags behind another may say so for a moment."""
        now = self._clock.monotonic()
        if flight.missed_at is None:
            flight.missed_at = now
        elif now - flight.missed_at < STUCK_SECONDS:
            return
        elif flight.record.object_id == self._account:
            await self._delivery.abandon(flight)
        else:
            await self._delivery.renumber(flight)

    async def _land(self, flights: Sequence[Flight], receipts: dict[int, Receipt]) -> None:
        for flight in flights:
            receipt = receipts[flight.record.id]
            del self._board.pending[flight.nonce]
            status = TransactionStatus.INCLUDED if receipt.succeeded else TransactionStatus.REVERTED
            others = (*flight.record.former_hashes, flight.record.hash)
            flight.change(
                status=status,
                hash=receipt.transaction_hash,
                former_hashes=tuple(known for known in others if known != receipt.transaction_hash),
                block_number=receipt.block_number,
                block_hash=receipt.block_hash,
            )
            flight.receipt = receipt
            self._board.totals.landed(flight.record, receipt, self._clock.now())
            self._nonces.landed()
            self._board.recent[flight.record.id] = flight
            # Those who wait go on at once: what is on chain holds, whether our table says so yet or not.
            flight.settled.set()
        self._delivery.promote()
        await self._store(flights)

    async def _store(self, flights: Sequence[Flight]) -> None:
        await self._database.insist(partial(queue.update, records=records(flights)))

    async def _check_recent(self) -> None:
        """After a reorganisation: is what was in a block still in one?"""
        recent = list(self._board.recent.values())
        found = await self._receipts(recent)
        changed: list[Flight] = []
        for flight in recent:
            receipt = found.get(flight.record.id)
            if receipt is None:
                changed.append(flight)
                del self._board.recent[flight.record.id]
                flight.change(status=TransactionStatus.PENDING, block_number=None, block_hash="")
                flight.receipt, flight.revert, flight.missed_at, flight.with_node = None, None, None, True
                flight.settled = anyio.Event()
                self._nonces.taken_off()
                self._board.pending[flight.nonce] = flight
                self._delivery.put(flight)
            elif receipt.block_hash != flight.record.block_hash or flight.receipt is None:
                if receipt.block_hash != flight.record.block_hash:
                    changed.append(flight)
                status = TransactionStatus.INCLUDED if receipt.succeeded else TransactionStatus.REVERTED
                flight.change(status=status, block_number=receipt.block_number, block_hash=receipt.block_hash)
                flight.receipt = receipt
        if changed:
            log.info("a reorganisation moved transactions", account=self._account, count=len(changed))
            await self._store(changed)

    async def _mind_gap(self, count: int) -> None:
        """Fill nonces that nobody holds and that keep later ones from being mined."""
        await self._delivery.fill_gap()
        lowest = min(self._board.pending, default=count)
        if lowest <= count or self._last is None:
            self._gap = None
            return
        if self._gap is None or self._gap[0] != count:
            self._gap = (count, self._last.number)
            return
        if self._last.number - self._gap[1] < RESEND_BLOCKS:
            return
        if lowest - count > GAP_LIMIT:
            log.error("the chain has forgotten this account's transactions", account=self._account, missing=lowest)
            return
        self._gap = None
        for nonce in range(count, lowest):
            await self._delivery.fill(nonce)

    async def _push(self) -> None:
        """Send again what the node may have dropped; offer more for what stands in the way of all others."""
        if not self._board.pending or self._last is None:
            self._front = None
            return
        for flight in self._board.in_order():
            if flight.unsent:
                self._delivery.put(flight)
        lowest, block, now = min(self._board.pending), self._last.number, self._clock.monotonic()
        if self._front is None or self._front[0] != lowest or block < self._front[1]:
            self._front = (lowest, block, now, block)
            return
        _, since, moment, acted = self._front
        if block - acted < RESEND_BLOCKS or now - moment < STUCK_SECONDS:
            return
        self._front = (lowest, since, moment, block)
        for flight in self._board.in_order():
            self._delivery.put(flight)
        if block - since >= BUMP_BLOCKS:
            base_fee = self._pricing.base_fee
            for flight in self._board.in_order():
                fees = flight.record.fees
                if flight.nonce == lowest or (fees is not None and fees.max_fee < base_fee):
                    await self._delivery.reprice(flight)
