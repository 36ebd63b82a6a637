"""The chain as the order book sees it: deals take tasks off orders, closings cancel them, stakes and owners come and
go, and all of it may be taken back.

Effects of a batch of logs and the place reached are stored in one transaction, so a crash at any moment loses nothing
and doubles nothing. What events do not say is read of the chain beforehand, as of the batch's last block; should that
turn out to be too little, because the book changed meanwhile, the batch waits until the rest is read as well.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import msgspec
import sqlalchemy as sa

from pyiexec.chain.follower import Batch, LogFollower, save_cursor
from pyiexec.chain.follower.cursor import cursors, marks
from pyiexec.chain.hub import EVENTS, decode_log
from pyiexec.chain.registries import TRANSFER, asset_of
from pyiexec.foundation.clock import Clock
from pyiexec.foundation.logs import get_logger
from pyiexec.market import chain_state, deals, events
from pyiexec.market.chain_reader import ChainReader, Needs, Readings
from pyiexec.market.chain_state import OWNER, PRESIGNER, STAKE, Closed, Copy, Matched, NewCategory
from pyiexec.market.changes import Cause, Changes
from pyiexec.market.deals import BoostNotice
from pyiexec.market.listing import Status
from pyiexec.market.queries import CURSOR, cursor_block
from pyiexec.market.review import review
from pyiexec.market.tables import ORDERS
from pyiexec.protocol.deals import BoostDeal, Deal
from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.primitives import NULL_ADDRESS, Address, DealId, bytes32, checksum
from pyiexec.protocol.traces import trace_of

T = TypeVar("T")

log = get_logger(__name__)

#: Event that cancels an order, and which of its fields names it.
CLOSINGS = {
    "ClosedAppOrder": "appHash",
    "ClosedDatasetOrder": "datasetHash",
    "ClosedWorkerpoolOrder": "workerpoolHash",
    "ClosedRequestOrder": "requestHash",
}
#: Event that signs one, likewise.
SIGNINGS = {name.replace("Closed", "Signed"): field for name, field in CLOSINGS.items()}
TOPICS = [
    EVENTS[name].topic
    for name in ("OrdersMatched", "SchedulerNoticeBoost", "CreateCategory", "Transfer", *CLOSINGS, *SIGNINGS)
]
#: Seconds before the chain is asked again after it could not answer.
_RETRY_SECONDS = 1.0

#: `Database.write`, or that of a leader.
Write = Callable[[Callable[[sa.Connection], T]], Awaitable[T]]


class Touched(NamedTuple):
    """A log after which a copy of the chain is not what it was; `value` where the log itself tells the new one."""

    copy: Copy
    subject: str
    cause: Cause
    value: Address | None = None


class Noticed(NamedTuple):
    """What only its event says of a Boost deal."""

    deal_id: str
    notice: BoostNotice


Fact = Matched | Closed | NewCategory | Touched | Noticed


def read_log(raw: Mapping[str, Any], hub: Address) -> list[Fact]:
    """What a log of the hub or of a registry means for the book."""
    block, transaction = int(raw["blockNumber"], 16), str(raw["transactionHash"])
    cause = Cause(block, transaction)
    if raw["address"].lower() != hub.lower():
        if raw["topics"][0] != TRANSFER.topic or len(raw["topics"]) != 4:
            return []
        return [Touched(OWNER, asset_of(raw["topics"][3]), cause, asset_of(raw["topics"][2]))]
    try:
        decoded = decode_log(raw)
    except IexecError as error:
        # Texts in events need not be UTF-8; only those of Boost deals and categories have any.
        log.warning("an event cannot be read", transaction=transaction, reason=error.what)
        return []
    if decoded is None:
        return []
    name, fields = decoded
    if name in CLOSINGS:
        return [Closed(fields[CLOSINGS[name]], block, transaction)]
    if name in SIGNINGS:
        return [Touched(PRESIGNER, fields[SIGNINGS[name]], cause)]
    if name == "Transfer":
        parties = {fields["from"], fields["to"]} - {NULL_ADDRESS, checksum(hub.lower())}
        return [Touched(STAKE, party, cause) for party in sorted(parties)]
    if name == "CreateCategory":
        plain = (fields["catid"], fields["name"], fields["description"], fields["workClockTimeRef"])
        return [NewCategory(*plain, block, transaction)]
    if name == "SchedulerNoticeBoost":
        known = {key: fields[key] for key in BoostNotice.__struct_fields__}
        return [Noticed(fields["dealId"], BoostNotice(**known))]
    return [
        Matched(
            deal_id=fields["dealid"],
            apporder_hash=fields["appHash"],
            datasetorder_hash=fields["datasetHash"],
            workerpoolorder_hash=fields["workerpoolHash"],
            requestorder_hash=fields["requestHash"],
            volume=fields["volume"],
            block_number=block,
            transaction_hash=transaction,
        )
    ]


class News(msgspec.Struct, frozen=True):
    """A batch, understood."""

    batch: Batch
    facts: Sequence[Fact]

    @classmethod
    def of(cls, batch: Batch, hub: Address) -> News:
        """What the logs of a batch say."""
        return cls(batch, [fact for raw in batch.logs for fact in read_log(raw, hub)])

    def touched(self, copy: Copy) -> dict[str, Touched]:
        """The last log about each subject of a copy."""
        return {fact.subject: fact for fact in self.facts if isinstance(fact, Touched) and fact.copy is copy}


def needs_of(connection: sa.Connection, news: News) -> Needs:
    """What has to be read before the news can be applied to the book as it is now."""
    before = cursor_block(connection)
    rewound_to = news.batch.rewound_to
    # What publications read ahead of the cursor is read again, as of a block that the cursor stands on.
    floor = before if rewound_to is None else min(before, rewound_to)
    wanted: dict[Copy, set[str]] = {}
    for copy in (STAKE, OWNER, PRESIGNER):
        touched = news.touched(copy)
        wanted[copy] = chain_state.stale(connection, copy, floor, [] if copy is OWNER else touched)
        if before == -1:
            wanted[copy] |= chain_state.uncopied(connection, copy)
        if copy is OWNER:
            wanted[copy] -= touched.keys()
    matched = [fact.deal_id for fact in news.facts if isinstance(fact, Matched)]
    boost = {fact.deal_id for fact in news.facts if isinstance(fact, Noticed)}
    return Needs(
        stakes=frozenset(wanted[STAKE]),
        owners=frozenset(wanted[OWNER]),
        presigners=frozenset(wanted[PRESIGNER]),
        deals=frozenset(deal_id for deal_id in matched if not _is_kept(connection, deal_id, rewound_to)),
        times=frozenset(
            fact.block_number
            for fact in news.facts
            if isinstance(fact, NewCategory) or (isinstance(fact, Matched) and fact.deal_id in boost)
        ),
    )


def _is_kept(connection: sa.Connection, deal_id: str, rewound_to: int | None) -> bool:
    block = chain_state.block_of_deal(connection, deal_id)
    return block is not None and (rewound_to is None or block <= rewound_to)


def apply_news(connection: sa.Connection, news: News, readings: Readings, *, chain_id: int, now: int) -> Needs:
    """Bring the book in line with the news, in one transaction; or say what else has to be read, and write nothing.

    Args:
        connection: transaction.
        news: what happened.
        readings: what was read for it.
        chain_id: of the chain, for those who are told of deals.
        now: milliseconds since the Unix epoch.
    """
    missing = needs_of(connection, news).without(readings)
    if missing:
        return missing
    changes = Changes()
    cursor = news.batch.cursor
    if news.batch.rewound_to is not None:
        for deal in chain_state.rewind(connection, news.batch.rewound_to, changes):
            _tell_of_deal(connection, "deal_removed", deal, reason="reorganised")
    notices = {fact.deal_id: fact.notice for fact in news.facts if isinstance(fact, Noticed)}
    for fact in news.facts:
        if isinstance(fact, Matched):
            details = _details(fact, readings, notices.get(fact.deal_id), chain_id)
            if chain_state.add_deal(connection, fact, details, changes):
                _tell_of_deal(connection, "deal_created", fact._asdict() | details)
        elif isinstance(fact, Closed):
            chain_state.close_order(connection, fact, changes)
        elif isinstance(fact, NewCategory):
            chain_state.add_category(connection, fact, readings.times[fact.block_number])
    chain_state.catch_up_with(connection, cursor.number, changes)
    _save_copies(connection, news, readings, changes)
    review(connection, changes, now)
    save_cursor(connection, CURSOR, cursor)
    return Needs()


def _save_copies(connection: sa.Connection, news: News, readings: Readings, changes: Changes) -> None:
    as_of = news.batch.cursor.number
    # Of an owner the event itself tells, but only of assets that are sold in the book somebody wants to know.
    told = news.touched(OWNER)
    known = chain_state.stale(connection, OWNER, as_of, told)
    owners = {**readings.owners, **{asset: told[asset].value for asset in known & told.keys()}}
    for copy, values in ((STAKE, readings.stakes), (OWNER, owners), (PRESIGNER, readings.presigners)):
        touched = news.touched(copy)
        for subject, value in values.items():
            if chain_state.save_copy(connection, copy, subject, value, as_of):
                cause = touched[subject].cause if subject in touched else None
                chain_state.note(copy, subject, cause, changes)


def _details(deal: Matched, readings: Readings, notice: BoostNotice | None, chain_id: int) -> dict[str, Any]:
    read = readings.deals.get(deal.deal_id)
    if isinstance(read, BoostDeal):
        read = deals.of_boost(read, notice, readings.times[deal.block_number]) if notice else None
    if not isinstance(read, Deal):
        log.warning("a deal cannot be read", deal=deal.deal_id)
        return {}
    hashes = {name: value for name, value in deal._asdict().items() if name.endswith("order_hash")}
    return deals.details(
        deal.deal_id,
        read,
        hashes,
        chain_id=chain_id,
        block_number=deal.block_number,
        transaction_hash=deal.transaction_hash,
    )


def _tell_of_deal(connection: sa.Connection, event: str, deal: Mapping[str, Any], reason: str | None = None) -> None:
    if deal.get("document") is None:
        return
    events.record(
        connection,
        room="deals",
        event=event,
        payload=msgspec.json.decode(deal["document"]),
        reason=reason,
        block_number=deal["block_number"],
        transaction_hash=deal["transaction_hash"],
    )


def forget(connection: sa.Connection, now: int) -> None:
    """Drop all that was derived from the chain, and the place reached: it will be read from the beginning."""
    chain_state.forget(connection)
    connection.execute(sa.delete(marks).where(marks.c.name == CURSOR))
    connection.execute(sa.delete(cursors).where(cursors.c.name == CURSOR))
    published = connection.execute(sa.select(ORDERS.c.order_hash).where(ORDERS.c.status != Status.UNPUBLISHED))
    # Until they are read again, owners are taken to be unchanged, and stakes to be none.
    review(connection, Changes(orders=dict.fromkeys(published.scalars())), now)


async def watch(
    follower: LogFollower, reader: ChainReader, hub: Address, chain_id: int, write: Write[Any], clock: Clock
) -> None:
    """Follow the chain until cancelled.

    Args:
        follower: of the hub and the registries, with `TOPICS`.
        reader: for what the logs do not say.
        hub: PoCo's contract.
        chain_id: of the chain.
        write: runs a function in a transaction.
        clock: for the moment orders are suspended, and for waiting while the node is away.
    """
    async for batch in follower.batches():
        news = News.of(batch, hub)
        readings = Readings()
        while True:
            needs: Needs = await write(
                lambda connection, news=news, readings=readings: apply_news(  # type: ignore[misc]
                    connection, news, readings, chain_id=chain_id, now=int(clock.now() * 1000)
                )
            )
            if not needs:
                break
            try:
                readings = readings.plus(await reader.read(needs, batch.cursor))
            except IexecError as error:
                log.info("the chain could not be read yet", reason=str(error))
                await clock.sleep(_RETRY_SECONDS)
        if batch.rewound_to is not None:
            log.info("the chain went back", to=batch.rewound_to)
        for fact in news.facts:
            if isinstance(fact, Matched):
                deal_id = DealId(bytes32(fact.deal_id))
                log.info("orders matched", deal=deal_id, trace=trace_of(deal_id), block=fact.block_number)
        if batch.logs:
            log.info("the chain moved orders", events=len(batch.logs), block=batch.cursor.number)
