"""The keeper's work: deals are noted as they are made, and looked at again after their final deadline.

What is claimed is decided anew from the chain each time, as of one block, and only when nothing sent before is on its
way any more. So the process may be killed at any instruction, and the chain may take blocks back: nothing is forgotten,
and nothing is sent twice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import aclosing
from functools import partial
from itertools import chain, islice

import anyio
import sqlalchemy as sa

from pyiexec.chain import calls
from pyiexec.chain.chain_time import ChainTime
from pyiexec.chain.follower import Batch, LogFollower, load_cursor, save_cursor
from pyiexec.chain.heads import HeadFeed
from pyiexec.chain.hub import EVENTS, Hub, decode_log
from pyiexec.chain.reading import read_each
from pyiexec.chain.signer import Signer
from pyiexec.chain.transactions import Totals, TransactionManager
from pyiexec.foundation.clock import Clock
from pyiexec.foundation.database import Database, Leadership
from pyiexec.foundation.logs import get_logger
from pyiexec.keeper import store
from pyiexec.keeper.rules import Claim, Slot, Way, alone, gas_limit, holds_money, plan
from pyiexec.keeper.settings import KeeperSettings
from pyiexec.keeper.store import Facts, Notice, Patronage
from pyiexec.protocol.deadlines import deadlines
from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.primitives import DealId
from pyiexec.protocol.tasks import Task
from pyiexec.protocol.traces import trace_of

log = get_logger(__name__)

#: Name under which the follower's place in the chain's log is kept.
CURSOR = "keeper"
_NOTICES = ("SchedulerNotice", "SchedulerNoticeBoost")
#: Deals and tasks read in one round trip.
_DEALS_TOGETHER, _TASKS_TOGETHER = 100, 200
#: Seconds before a task that could not be claimed, or a deal that could not be read, is looked at again.
AGAIN_SECONDS = 30
#: Before the chain is asked again when it could not be, and while it is behind our own transactions.
_RETRY_SECONDS = 1.0
#: Refusals of a batch after which its tasks are tried one by one: somebody else may have claimed one of them.
_REFUSED = ("CHAIN_REFUSED", "CONTRACT_REVERTED", "TRANSACTION_REVERTED")


class Keeper:
    """Claims forgotten tasks out of one account.

    Attributes:
        leading: whether this process is the one that works.
        claimed: tasks claimed since the start.
        stuck: deals with tasks that could not be claimed; they are tried again.
        totals: what became of the account's transactions since the start.
        transactions: those under way, while this process leads.
    """

    def __init__(
        self,
        settings: KeeperSettings,
        *,
        database: Database,
        hub: Hub,
        feed: HeadFeed,
        signer: Signer,
        chain_id: int,
        clock: Clock,
    ) -> None:
        self._settings = settings
        self._database = database
        self._hub = hub
        self._feed = feed
        self._signer = signer
        self._chain_id = chain_id
        self._clock = clock
        self._chain_time = ChainTime(clock)
        self._patronage = Patronage(settings.workerpools, settings.requesters)
        self._timerefs: dict[int, int] = {}
        self._news = anyio.Event()
        self._next_look: int | None = None
        #: The newest block that holds a claim of ours.
        self._claimed_block = 0
        self.leading = False
        self.claimed = 0
        self.stuck: set[DealId] = set()
        self.totals = Totals()
        self.transactions: TransactionManager | None = None
        self._follower: LogFollower | None = None
        self._chain_trouble: IexecError | None = None
        self._claim_trouble: IexecError | None = None

    @property
    def trouble(self) -> IexecError | None:
        """What keeps it from its work; None while nothing does."""
        return self._chain_trouble or (self._claim_trouble if self.stuck else None)

    async def open_deals(self) -> int:
        """How many of the deals looked after may still hold money."""
        return await self._database.read(lambda connection: store.count_open(connection, self._patronage))

    def followed(self) -> int | None:
        """The last block whose logs were read; None while another process leads."""
        return None if self._follower is None else self._follower.cursor.number

    async def lead(self, leadership: Leadership) -> None:
        """Look after deals, as the only one, until cancelled.

        Raises:
            IexecError: ``LEADERSHIP_LOST``, ``DATABASE_UNAVAILABLE``.
        """
        manager = TransactionManager(
            self._hub.rpc,
            self._signer,
            self._database,
            self._feed,
            chain_id=self._chain_id,
            clock=self._clock,
            max_gas_price=self._settings.max_gas_price,
            totals=self.totals,
        )
        self.leading, self.transactions = True, manager
        try:
            async with manager, anyio.create_task_group() as group:
                group.start_soon(self._tell_time)
                group.start_soon(self._take_notice, leadership)
                await self._look_after(leadership, manager)
        finally:
            self.leading, self.transactions, self._follower = False, None, None

    # --- what the chain tells -----------------------------------------------------------------------------------------

    async def _tell_time(self) -> None:
        async with self._feed.subscribe() as heads:
            while True:
                head = await heads.newest()
                self._chain_time.observe(head.timestamp)
                if self._next_look is not None and self._next_look <= head.timestamp:
                    self._news.set()

    async def _take_notice(self, leadership: Leadership) -> None:
        self._follower = follower = LogFollower(
            self._hub.rpc,
            self._feed,
            addresses=[self._hub.address],
            topics=[[EVENTS[name].topic for name in _NOTICES]],
            cursor=await self._database.read(lambda connection: load_cursor(connection, CURSOR)),
            start_block=self._settings.start_block,
        )
        async with aclosing(follower.batches()) as batches:
            async for batch in batches:
                await leadership.write(partial(_take_in, batch, list(_notices(batch))))
                if batch.rewound_to is not None:
                    # What was claimed above is claimed no more.
                    self._claimed_block = min(self._claimed_block, batch.rewound_to)
                self._news.set()

    # --- what is done about it ----------------------------------------------------------------------------------------

    async def _look_after(self, leadership: Leadership, transactions: TransactionManager) -> None:
        # What an earlier process sent is waited for: whether more is to be done shows afterwards.
        await transactions.settled()
        while True:
            self._news = anyio.Event()
            try:
                more = await self._round(leadership, transactions)
                self._chain_trouble = None
                if not more:
                    await self._rest()
            except IexecError as error:
                if not error.code.startswith("CHAIN_"):
                    raise
                self._chain_trouble = error
                log.warning("the chain could not be asked", reason=str(error))
                await self._clock.sleep(_RETRY_SECONDS)

    async def _rest(self) -> None:
        """Until the next deal is due, or there is news of another."""
        self._next_look = await self._database.read(lambda connection: store.next_look(connection, self._patronage))
        left = AGAIN_SECONDS if self._next_look is None else self._next_look - self._chain_time.precise()
        with anyio.move_on_after(min(max(left, 0.0), AGAIN_SECONDS)):
            await self._news.wait()

    async def _round(self, leadership: Leadership, transactions: TransactionManager) -> bool:
        """Read what is new, claim what is due; whether there may be more to do at once."""
        unread = await self._database.read(lambda connection: store.unread(connection, _DEALS_TOGETHER))
        read = await self._read_deals(unread)
        if read:
            await leadership.write(lambda connection: store.learn(connection, read, self._settings.patience_seconds))
        block, now = await self._hub.rpc.block_number(), self._chain_time.now()
        if block < self._claimed_block:
            # The node is behind, and does not know of what was claimed already.
            await self._clock.sleep(_RETRY_SECONDS)
            return True
        bags = await self._database.read(
            lambda connection: store.due(connection, now, self._patronage, _DEALS_TOGETHER)
        )
        holding: set[DealId] = set()
        missed: set[DealId] = set()
        slots = chain.from_iterable(bag.slots for bag in bags)
        while part := list(islice(slots, _TASKS_TOGETHER)):
            tasks = await read_each([self._hub.task(slot.task_id).at(block) for slot in part])
            found = list(zip(part, tasks, strict=True))
            holding |= {slot.deal_id for slot, task in found if holds_money(task)}
            missed |= await self._claim_all(found, now, block, transactions)
        over = {bag.deal_id for bag in bags} - holding
        self.stuck = (self.stuck - {bag.deal_id for bag in bags}) | missed
        if over or missed:

            def write(connection: sa.Connection) -> None:
                store.settle(connection, over, block)
                store.postpone(connection, missed, now + AGAIN_SECONDS)

            await leadership.write(write)
        return bool(read or bags)

    async def _read_deals(self, notices: Sequence[Notice]) -> dict[DealId, Facts]:
        """What the chain knows of deals; one that a reorganisation has just undone is left out."""
        plain = [notice.deal_id for notice in notices if not notice.boost]
        boost = [notice.deal_id for notice in notices if notice.boost]
        deals = await read_each([self._hub.find_deal(deal_id) for deal_id in plain])
        unknown = sorted({deal.category for deal in deals if deal.exists} - self._timerefs.keys())
        categories = await read_each([self._hub.category(number) for number in unknown])
        self._timerefs |= {n: found.work_clock_time_ref for n, found in zip(unknown, categories, strict=True)}
        read = {
            deal_id: Facts(
                requester=deal.requester,
                first_index=deal.bot_first,
                tasks=deal.bot_size,
                final_deadline=deadlines(deal.start_time, self._timerefs[deal.category]).final,
            )
            for deal_id, deal in zip(plain, deals, strict=True)
            if deal.exists
        }
        boosted = await read_each([self._hub.find_boost_deal(deal_id) for deal_id in boost])
        return read | {
            deal_id: Facts(requester=deal.requester, first_index=0, tasks=deal.bot_size, final_deadline=deal.deadline)
            for deal_id, deal in zip(boost, boosted, strict=True)
            if deal.exists
        }

    async def _claim_all(
        self, found: Sequence[tuple[Slot, Task]], now: int, block: int, transactions: TransactionManager
    ) -> set[DealId]:
        """Claim what can be claimed; deals that hold money afterwards."""
        tasks = {slot: task for slot, task in found if holds_money(task)}
        claims = plan(found, now, batch_size=self._settings.batch_size, batch_gas=self._settings.batch_gas)
        claimed: set[Slot] = set()

        async def run(claim: Claim) -> None:
            limit = gas_limit(claim, [tasks[slot] for slot in claim.slots])
            claimed.update(await self._claim(claim, limit, block, transactions))

        async with anyio.create_task_group() as group:
            for claim in claims:
                group.start_soon(run, claim)
        return {slot.deal_id for slot in tasks.keys() - claimed}

    async def _claim(self, claim: Claim, gas: int | None, block: int, transactions: TransactionManager) -> list[Slot]:
        """Send a claim; the tasks that are claimed."""
        first, last = claim.slots[0].task_id, claim.slots[-1].task_id
        # A transaction has a name for ever; after a reorganisation the same tasks are claimed under another.
        name = f"{first}..{last} at {block}"
        try:
            receipt = await transactions.execute(
                name, "claim", self._hub.address, call_data(claim), gas=gas, retry=gas is None
            )
        except IexecError as error:
            if len(claim.slots) > 1 and error.code in _REFUSED:
                return [slot for part in alone(claim) for slot in await self._claim(part, None, block, transactions)]
            # What the hub refuses is no trouble of ours: most often somebody else was faster.
            if error.code not in _REFUSED:
                self._claim_trouble = error
            log.warning("tasks could not be claimed", first=first, tasks=len(claim.slots), reason=str(error))
            return []
        self._claimed_block = max(self._claimed_block, receipt.block_number)
        self._claim_trouble = None
        self.claimed += len(claim.slots)
        for deal_id, tasks in Counter(slot.deal_id for slot in claim.slots).items():
            told = {"deal": deal_id, "tasks": tasks, "way": claim.way.name, "block": receipt.block_number}
            log.info("claimed", trace=trace_of(deal_id), **told)
        return list(claim.slots)


def call_data(claim: Claim) -> bytes:
    """What the hub is sent."""
    match claim.way:
        case Way.CLAIM:
            ids = [slot.task_id for slot in claim.slots]
            return calls.claim(ids[0]) if len(ids) == 1 else calls.claim_array(ids)
        case Way.OPEN_AND_CLAIM:
            return calls.initialize_and_claim_array(
                [slot.deal_id for slot in claim.slots], [slot.index for slot in claim.slots]
            )
        case Way.CLAIM_BOOST:
            (slot,) = claim.slots
            return calls.claim_boost(slot.deal_id, slot.index)


def _notices(batch: Batch) -> Iterator[Notice]:
    for entry in batch.logs:
        decoded = decode_log(entry)
        if decoded is None or decoded[0] not in _NOTICES:
            continue
        name, fields = decoded
        boost = name == "SchedulerNoticeBoost"
        deal_id = fields["dealId" if boost else "dealid"]
        yield Notice(deal_id, boost, fields["workerpool"], int(str(entry["blockNumber"]), 16))


def _take_in(batch: Batch, notices: Sequence[Notice], connection: sa.Connection) -> None:
    if batch.rewound_to is not None:
        store.go_back(connection, batch.rewound_to)
    store.note(connection, notices)
    save_cursor(connection, CURSOR, batch.cursor)
