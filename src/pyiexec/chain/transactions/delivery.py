"""Handing signed transactions to the node, in the order of their nonces, and dealing with its refusals."""

from __future__ import annotations

import heapq
from functools import partial

import anyio
import msgspec
import sqlalchemy as sa

from pyiexec.chain.gas import TRANSFER_GAS
from pyiexec.chain.rpc import JsonRpc, RpcError
from pyiexec.chain.signer import Signer
from pyiexec.chain.transactions import queue
from pyiexec.chain.transactions.flights import Board, Flight, records, signed
from pyiexec.chain.transactions.nonces import Nonces
from pyiexec.chain.transactions.pricing import Pricing
from pyiexec.chain.transactions.records import TransactionRecord, TransactionStatus
from pyiexec.chain.transactions.refusals import Refusal, classify
from pyiexec.foundation.database import Database
from pyiexec.foundation.logs import get_logger
from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.primitives import to_hex

log = get_logger(__name__)

#: A node nearby answers before this many seconds, so nonces arrive in order; a distant one must not slow the pipeline.
PACE_SECONDS = 0.02
#: How many requests to a distant node may be open.
OPEN_REQUESTS = 8
#: Unexplained refusals of one transaction after which it is given up.
PATIENCE = 8


class Delivery:
    """Sends what is put into it, again and again until the node has it or will never take it."""

    def __init__(
        self,
        rpc: JsonRpc,
        signer: Signer,
        database: Database,
        chain_id: int,
        board: Board,
        nonces: Nonces,
        pricing: Pricing,
    ) -> None:
        self._rpc = rpc
        self._signer = signer
        self._database = database
        self._chain_id = chain_id
        self._board = board
        self._nonces = nonces
        self._pricing = pricing
        self._heap: list[int] = []
        self._listed: set[int] = set()
        self._sending: set[Flight] = set()
        self._wake = anyio.Event()

    def put(self, flight: Flight) -> None:
        """Have a pending flight sent as soon as its turn comes."""
        if flight.is_pending and flight.nonce not in self._listed:
            self._listed.add(flight.nonce)
            heapq.heappush(self._heap, flight.nonce)
            self._wake.set()

    def promote(self) -> None:
        """Have queued flights take the room there is."""
        self._wake.set()

    async def run(self) -> None:
        """Deliver until cancelled."""
        limiter = anyio.CapacityLimiter(OPEN_REQUESTS)
        async with anyio.create_task_group() as group:
            while True:
                await self._wake.wait()
                self._wake = anyio.Event()
                try:
                    await self._promote_queued()
                except IexecError as error:
                    log.info("queued transactions wait for the node", reason=str(error))
                while self._heap:
                    nonce = heapq.heappop(self._heap)
                    self._listed.discard(nonce)
                    flight = self._board.pending.get(nonce)
                    if flight is None or flight in self._sending:
                        continue
                    self._sending.add(flight)
                    answered = anyio.Event()
                    await limiter.acquire_on_behalf_of(flight)
                    group.start_soon(self._send, flight, limiter, answered)
                    with anyio.move_on_after(PACE_SECONDS):
                        await answered.wait()

    async def _promote_queued(self) -> None:
        if not self._board.queued:
            return
        fees = await self._pricing.offer()
        promoted: list[Flight] = []
        while self._board.queued and (nonce := self._nonces.take_waiting()) is not None:
            flight = self._board.queued.popleft()
            flight.record = signed(self._signer, self._chain_id, flight.record, nonce, fees)
            promoted.append(flight)
        if promoted:
            await self._store(*promoted)
            for flight in promoted:
                self._board.pending[flight.nonce] = flight
                self.put(flight)

    async def _store(self, *flights: Flight) -> None:
        await self._database.insist(partial(queue.update, records=records(flights)))

    async def _send(self, flight: Flight, limiter: anyio.CapacityLimiter, answered: anyio.Event) -> None:
        record = flight.record
        try:
            await self._offer(flight)
        except IexecError as error:
            # Stays pending; the next head shows that the node is back, and then it is sent again.
            flight.unsent = True
            log.info("a transaction could not be sent yet", hash=flight.record.hash, reason=str(error))
        finally:
            answered.set()
            limiter.release_on_behalf_of(flight)
            self._sending.discard(flight)
            if flight.record is not record:
                # It was signed anew while the node was slow to answer for the former signature.
                self.put(flight)

    async def _offer(self, flight: Flight) -> None:
        record, flight.unsent = flight.record, False
        try:
            await self._rpc.call("eth_sendRawTransaction", to_hex(record.raw))
            flight.with_node, flight.rejections = True, 0
        except RpcError as error:
            if flight.is_pending and flight.record.hash == record.hash:
                await self._on_refusal(flight, error)

    async def _on_refusal(self, flight: Flight, error: RpcError) -> None:
        refusal = classify(error.message)
        record = flight.record
        log.debug("the node refused a transaction", hash=record.hash, nonce=record.nonce, reason=error.message)
        if refusal is Refusal.KNOWN:
            flight.with_node = True
        elif refusal is Refusal.FEE_TOO_LOW:
            await self.reprice(flight)
        elif refusal is Refusal.NO_FUNDS:
            what = f"{record.sender} cannot pay for the gas of {_title(record)}: {error.message}"
            await self._refuse(flight, IexecError("INSUFFICIENT_FUNDS", what, account=record.sender))
        elif refusal is Refusal.INVALID:
            await self._refuse(flight, IexecError("CHAIN_REFUSED", f"{_title(record)}: {error.message}"))
        elif refusal is Refusal.LATER:
            flight.rejections += 1
            if flight.rejections >= PATIENCE:
                await self._refuse(flight, IexecError("CHAIN_REFUSED", f"{_title(record)}: {error.message}"))
        # NONCE_USED and NONCE_OCCUPIED are decided by what the blocks show: it may be our own.

    async def reprice(self, flight: Flight) -> None:
        """Offer more for the same nonce."""
        record = flight.record
        if not flight.is_pending:
            return
        assert record.fees is not None, "a pending transaction has an offer"
        fees = await self._pricing.raised(record.fees)
        if flight.record is not record:
            return
        if fees == record.fees:
            log.info("no more may be offered, waiting for cheaper blocks", hash=record.hash, max_fee=fees.max_fee)
            return
        flight.record = signed(self._signer, self._chain_id, record, flight.nonce, fees)
        self._board.totals.replaced += 1
        log.info("offering more", hash=flight.record.hash, nonce=flight.nonce, max_fee=fees.max_fee)
        await self._store(flight)
        self.put(flight)

    async def renumber(self, flight: Flight) -> None:
        """Give a flight another nonce: its own was used by a transaction that is not ours."""
        fees = await self._pricing.offer()
        if not flight.is_pending:
            return
        former = flight.nonce
        nonce = self._nonces.exchange()
        self._board.totals.replaced += 1
        log.warning("another program used the account's nonce", account=flight.record.sender, nonce=former)
        flight.record = signed(self._signer, self._chain_id, flight.record, nonce, fees)
        flight.missed_at = None
        del self._board.pending[former]
        self._board.pending[nonce] = flight
        await self._store(flight)
        self.put(flight)

    async def _refuse(self, flight: Flight, error: IexecError) -> None:
        if flight.with_node:
            found = await self._rpc.batch([("eth_getTransactionByHash", [known]) for known in flight.record.hashes])
            if any(found):
                return
        if flight.is_pending:
            nonce = flight.nonce
            await self._drop(flight, error)
            self._nonces.give_back(nonce)
            self.promote()

    async def abandon(self, flight: Flight) -> None:
        """Give up a transaction that only filled a gap, when somebody else has filled it."""
        await self._drop(flight, IexecError("TRANSACTION_REPLACED", f"the nonce {flight.nonce} is in use"))
        self._nonces.landed()

    async def _drop(self, flight: Flight, error: IexecError) -> None:
        del self._board.pending[flight.nonce]
        self._board.totals.refused += 1
        flight.change(
            status=TransactionStatus.REFUSED, error_code=error.code, error=error.what, nonce=None, former_hashes=()
        )
        flight.error = error
        await self._store(flight)
        self._board.forget(flight)
        flight.settled.set()

    async def fill_gap(self) -> None:
        """Close a hole that holds up transactions already sent, by a transfer of nothing to oneself."""
        highest = max(self._board.pending, default=-1)
        nonce = self._nonces.gap_below(highest)
        if nonce is not None and not self._board.queued:
            await self.fill(nonce)

    async def fill(self, nonce: int) -> None:
        """Use up one nonce."""
        self._nonces.claim(nonce)
        fees = await self._pricing.offer()
        draft = TransactionRecord(
            sender=self._signer.address,
            object_id=self._signer.address,
            action=f"fill nonce {nonce}",
            to=self._signer.address,
            data=b"",
            gas=TRANSFER_GAS,
        )

        def enter(connection: sa.Connection) -> TransactionRecord:
            former = queue.find(connection, self._chain_id, draft.sender, draft.key)
            attempt = former.attempt + 1 if former else 1
            record = msgspec.structs.replace(draft, attempt=attempt)
            return queue.insert(connection, self._chain_id, signed(self._signer, self._chain_id, record, nonce, fees))

        flight = Flight(await self._database.insist(enter))
        log.info("filling a gap", nonce=nonce)
        self._board.add(flight)
        self.put(flight)


def _title(record: TransactionRecord) -> str:
    return f"“{record.action}” of {record.object_id}"
