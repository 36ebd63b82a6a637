"""The transaction manager: everything one account sends goes through here, once, in order, and survives a crash.

A transaction is signed and stored before it is sent, so that whatever happens to the process, the next one finds the
very same transaction and asks the chain what became of it. It is known by (object, action): submitting it again gives
the same record.
"""

from __future__ import annotations

from functools import partial

import anyio
import anyio.abc
import msgspec
import sqlalchemy as sa

from pyiexec.chain import gas as gas_rules
from pyiexec.chain.heads import HeadFeed
from pyiexec.chain.rpc import JsonRpc, RpcError
from pyiexec.chain.running import Running
from pyiexec.chain.signer import Signer
from pyiexec.chain.transactions import queue
from pyiexec.chain.transactions.delivery import Delivery
from pyiexec.chain.transactions.flights import Board, Flight, Totals, signed
from pyiexec.chain.transactions.nonces import Nonces
from pyiexec.chain.transactions.pricing import Pricing
from pyiexec.chain.transactions.reconciler import Reconciler
from pyiexec.chain.transactions.records import Receipt, TransactionRecord, TransactionStatus
from pyiexec.chain.transactions.refusals import Refusal, classify
from pyiexec.foundation.clock import Clock, SystemClock
from pyiexec.foundation.database import Database
from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.primitives import Address, to_hex

#: Transactions in flight at a time; nodes keep no more than this many of one account in their pool.
IN_FLIGHT = 64


class TransactionManager(Running):
    """Sends the transactions of one account.

    Start it with ``await group.start(manager.run)``, or use it as an asynchronous context manager. An account should be
    used by one manager at a time; foreign transactions are survived, not welcomed.

    Args:
        database: opened with `MIGRATIONS`.
        feed: must be running.
        in_flight: bound on transactions that have a nonce and are not yet in a block.
        max_gas_price: wei per gas that is never offered more than; what is too little for the moment waits.
        totals: counts what becomes of transactions.
    """

    def __init__(
        self,
        rpc: JsonRpc,
        signer: Signer,
        database: Database,
        feed: HeadFeed,
        *,
        chain_id: int,
        clock: Clock | None = None,
        in_flight: int = IN_FLIGHT,
        max_gas_price: int | None = None,
        totals: Totals | None = None,
    ) -> None:
        self._rpc = rpc
        self._signer = signer
        self._database = database
        self._chain_id = chain_id
        self._clock: Clock = clock or SystemClock()
        self._board = Board(totals or Totals())
        self._nonces = Nonces(in_flight)
        self._pricing = Pricing(rpc, feed, max_gas_price)
        self._delivery = Delivery(rpc, signer, database, chain_id, self._board, self._nonces, self._pricing)
        self._reconciler = Reconciler(
            signer.address,
            rpc,
            database,
            feed,
            self._clock,
            chain_id,
            self._board,
            self._nonces,
            self._pricing,
            self._delivery,
        )

    @property
    def address(self) -> Address:
        """The account."""
        return self._signer.address

    async def run(self, *, task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Send and watch until cancelled; takes up what an earlier process left as soon as the chain answers."""
        await self._reconciler.load()
        async with anyio.create_task_group() as group:
            group.start_soon(self._delivery.run)
            group.start_soon(self._reconciler.run)
            task_status.started()

    async def submit(
        self,
        object_id: str,
        action: str,
        to: Address | None,
        data: bytes,
        *,
        gas: int | None = None,
        value: int = 0,
        retry: bool = False,
    ) -> TransactionRecord:
        """Have a transaction sent; it is stored when this returns, and will reach the chain unless it cannot.

        The same (object, action) again returns the first record, whatever the other arguments are.

        Args:
            object_id: what it is about.
            action: what it does.
            to: the contract; None creates one.
            data: call data.
            gas: limit; estimated with a margin when None.
            value: wei.
            retry: send anew if the last attempt reverted.

        Raises:
            IexecError: ``CONTRACT_REVERTED`` when the estimate shows that it would revert, nothing is stored then;
                ``INSUFFICIENT_FUNDS``; ``CHAIN_UNREACHABLE``.
        """
        known = self._board.by_key((object_id, action))
        if known is not None and not known.record.may_be_renewed(retry=retry):
            return known.record
        if gas is None:
            stored = await self.find(object_id, action)
            if stored is not None and not stored.may_be_renewed(retry=retry):
                return stored
            gas = gas_rules.limit(await self._estimate(to, data, value))
        await self._reconciler.synced()
        fees = await self._pricing.offer()
        draft = TransactionRecord(
            sender=self.address,
            object_id=object_id,
            action=action,
            to=to,
            data=data,
            value=value,
            gas=gas,
            created_at=self._clock.now(),
        )
        return await self._enter(draft, fees, retry)

    async def _enter(self, draft: TransactionRecord, fees: gas_rules.Fees, retry: bool) -> TransactionRecord:
        taken: list[int | None] = []

        def enter(connection: sa.Connection) -> tuple[TransactionRecord, bool]:
            former = queue.find(connection, self._chain_id, draft.sender, draft.key)
            if former is not None and not former.may_be_renewed(retry=retry):
                return former, False
            attempt = former.attempt + 1 if former else 1
            record = msgspec.structs.replace(draft, attempt=attempt)
            nonce = self._nonces.take()
            taken.append(nonce)
            if nonce is not None:
                record = signed(self._signer, self._chain_id, record, nonce, fees)
            return queue.insert(connection, self._chain_id, record), True

        try:
            # A write happens even if whoever waits for it is cancelled; what is stored must be taken up here too.
            with anyio.CancelScope(shield=True):
                record, is_new = await self._database.write(enter)
        except BaseException:
            for nonce in taken:
                self._nonces.give_back(nonce)
            raise
        if not is_new:
            known = self._board.by_id(record.id)
            return known.record if known else record
        flight = Flight(record)
        self._board.add(flight)
        if record.status is TransactionStatus.PENDING:
            self._delivery.put(flight)
        else:
            self._delivery.promote()
        return record

    async def wait(self, record: TransactionRecord) -> Receipt:
        """The receipt, once it is in a block.

        Raises:
            IexecError: ``TRANSACTION_REVERTED`` with the contract's reason; ``INSUFFICIENT_FUNDS`` or
                ``CHAIN_REFUSED`` when the node would not take it; ``CHAIN_UNREACHABLE``.
        """
        flight = self._board.by_id(record.id)
        if flight is None:
            flight = await self._recall(record)
        # A reorganisation may take it back between the signal and our turn: then there is a new signal to wait for.
        while flight.receipt is None:
            if flight.error is not None:
                raise flight.error
            await flight.settled.wait()
            if flight.receipt is None and flight.error is None and flight.record.status.is_settled:
                flight = await self._recall(flight.record)
        if not flight.receipt.succeeded:
            raise await self._explain(flight, flight.receipt)
        return flight.receipt

    async def execute(
        self,
        object_id: str,
        action: str,
        to: Address | None,
        data: bytes,
        *,
        gas: int | None = None,
        value: int = 0,
        retry: bool = False,
    ) -> Receipt:
        """`submit` and `wait`."""
        return await self.wait(
            await self.submit(object_id, action, to, data, gas=gas, value=value, retry=retry),
        )

    async def find(self, object_id: str, action: str) -> TransactionRecord | None:
        """The latest attempt at an action, or None when it was never submitted."""
        known = self._board.by_key((object_id, action))
        if known is not None:
            return known.record
        query = partial(queue.find, chain_id=self._chain_id, sender=self.address, key=(object_id, action))
        return await self._database.read(query)

    async def settled(self) -> None:
        """Return once nothing that was submitted so far is on its way, be it by an earlier process."""
        for flight in [*self._board.in_order(), *self._board.queued]:
            await flight.settled.wait()

    @property
    def in_flight(self) -> int:
        """How many transactions have a nonce and are not yet in a block."""
        return len(self._board.pending)

    @property
    def queued(self) -> int:
        """How many transactions wait for room."""
        return len(self._board.queued)

    async def _estimate(self, to: Address | None, data: bytes, value: int) -> int:
        try:
            return await self._rpc.estimate_gas(self.address, to, data, value)
        except RpcError as error:
            if classify(error.message) is Refusal.NO_FUNDS:
                what = f"{self.address} cannot pay: {error.message}"
                raise IexecError("INSUFFICIENT_FUNDS", what, account=self.address) from None
            raise

    async def _recall(self, record: TransactionRecord) -> Flight:
        """A transaction that was settled long ago or by an earlier process."""
        stored = await self._database.read(partial(queue.by_id, identifier=record.id))
        if stored is None:
            raise IexecError("INTERNAL", f"the queue has no transaction {record.id}")
        flight = Flight(stored)
        if stored.status is TransactionStatus.REFUSED:
            flight.error = IexecError(stored.error_code, stored.error)
            return flight
        for known in stored.hashes:
            answer = await self._rpc.call("eth_getTransactionReceipt", known)
            if answer:
                flight.receipt = Receipt.from_json(answer)
                return flight
        raise IexecError("CHAIN_REFUSED", f"the chain no longer has the transaction {stored.hash}")

    async def _explain(self, flight: Flight, receipt: Receipt) -> IexecError:
        """Why it reverted: found by running it again on the state it met."""
        if flight.revert is None:
            record = flight.record
            reason, data = "", "0x"
            if receipt.gas_used >= record.gas:
                reason = f"it ran out of its {record.gas} units of gas"
            else:
                try:
                    if record.to is None:
                        await self._rpc.estimate_gas(self.address, None, record.data, record.value)
                    else:
                        await self._rpc.eth_call(
                            record.to,
                            record.data,
                            sender=self.address,
                            value=record.value,
                            gas=record.gas,
                            block=hex(receipt.block_number - 1),
                        )
                    reason = "the same call succeeds on the state before its block"
                except RpcError as error:
                    reason = f"the node cannot tell why ({error.message})"
                except IexecError as error:
                    reason, data = error.what.removeprefix("the contract reverted: "), error.details.get("data", "0x")
            flight.revert = IexecError(
                "TRANSACTION_REVERTED",
                f"“{record.action}” of {record.object_id} reverted: {reason}",
                transaction=receipt.transaction_hash,
                block=receipt.block_number,
                data=data if isinstance(data, str) else to_hex(data),
            )
        return flight.revert
