"""Bulk deals: lists of dataset orders that the chain only names, fetched beside the stream of events.

A deal's list and its slices are files named by their content. They may come late, be wrong or never come: the stream
does not wait for them, and what they say is stored when they are here. A file that came once is kept, so that an index
built anew needs nobody to still have it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

import anyio
import sqlalchemy as sa

from pyiexec.foundation.database import Database, Leadership
from pyiexec.foundation.logs import get_logger
from pyiexec.indexer.rules import bulk_cid, followed, read_bulk_orders, read_slices
from pyiexec.indexer.tables import BULK_FILES, BULK_LISTS, BULK_PLACES, LIST_TABLES, TABLES
from pyiexec.indexer.working_set import Row
from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.ids import task_id
from pyiexec.protocol.primitives import NULL_ADDRESS, Bytes32, DealId

log = get_logger(__name__)

WANTED, FOUND, REFUSED = "wanted", "found", "refused"
#: Files fetched at a time.
PARALLEL = 4
#: Seconds before a file that could not be had is asked for again: at first, and at most.
RETRY_FIRST, RETRY_LAST = 5.0, 3600.0


# --- in the database ----------------------------------------------------------------------------------------------


def begin(connection: sa.Connection, deals: Iterable[Row]) -> None:
    """Ask for the lists of those of these new deals that are bulk deals; what is here already is read at once."""
    for deal in deals:
        if deal["bulk"] is None:
            continue
        cid = bulk_cid(deal["dataset"] or NULL_ADDRESS, deal["params"])
        assert cid is not None, "a bulk deal names its list"
        values = {"deal": deal["id"], "cid": cid, "bot_first": deal["bot_first"], "bot_size": deal["bot_size"]}
        connection.execute(sa.insert(BULK_LISTS).values(values))
        content = _content(connection, cid)
        if content is not None:
            _read_list(connection, values, content)


def wanted(connection: sa.Connection) -> list[str]:
    """The files that are still to be fetched."""
    return list(connection.execute(sa.select(BULK_FILES.c.cid).where(BULK_FILES.c.state == WANTED)).scalars())


def store(connection: sa.Connection, cid: str, content: bytes) -> None:
    """Keep a file that came, and read it wherever it is a part of a bulk deal."""
    values = {"state": FOUND, "content": content}
    connection.execute(sa.update(BULK_FILES).where(BULK_FILES.c.cid == cid).values(values))
    for deal in connection.execute(sa.select(BULK_LISTS).where(BULK_LISTS.c.cid == cid)).mappings().all():
        _read_list(connection, dict(deal), content)
    for place in connection.execute(sa.select(BULK_PLACES).where(BULK_PLACES.c.cid == cid)).mappings().all():
        _read_slice(connection, place["deal"], place["index"], cid, content)


def refuse(connection: sa.Connection, cid: str) -> None:
    """Never ask for a file again."""
    connection.execute(sa.update(BULK_FILES).where(BULK_FILES.c.cid == cid).values(state=REFUSED))


def _content(connection: sa.Connection, cid: str) -> bytes | None:
    """The file if it is here; otherwise it is asked for."""
    row = connection.execute(sa.select(BULK_FILES.c.content).where(BULK_FILES.c.cid == cid)).first()
    if row is None:
        connection.execute(sa.insert(BULK_FILES).values(cid=cid, state=WANTED))
        return None
    content: bytes | None = row.content
    return content


def _read_list(connection: sa.Connection, deal: Row, content: bytes) -> None:
    slices = read_slices(content)
    bulks = TABLES["bulks"]
    if slices is None or _is_there(connection, bulks, deal["deal"]):
        return
    connection.execute(sa.insert(bulks).values(id=deal["deal"], hash=deal["cid"]))
    places = followed(slices, deal["bot_first"], deal["bot_size"])
    if places:
        rows = [{"deal": deal["deal"], "index": index, "cid": cid} for index, cid in places]
        connection.execute(sa.insert(BULK_PLACES), rows)
    for index, cid in places:
        found = _content(connection, cid)
        if found is not None:
            _read_slice(connection, deal["deal"], index, cid, found)


def _read_slice(connection: sa.Connection, deal: str, index: int, cid: str, content: bytes) -> None:
    orders = read_bulk_orders(content)
    slices = TABLES["bulk_slices"]
    slice_id = f"{deal}-{index}"
    if orders is None or _is_there(connection, slices, slice_id):
        return
    task = task_id(DealId(Bytes32(deal)), index)
    connection.execute(
        sa.insert(slices).values({"id": slice_id, "bulk": deal, "hash": cid, "task": task, "index": index})
    )
    valid = [(position, order) for position, order in enumerate(orders) if order is not None]
    if not valid:
        return
    connection.execute(
        sa.insert(TABLES["dataset_orders"]),
        [
            {
                "id": f"{task}-{position}",
                "dataset": order.dataset,
                "datasetprice": order.datasetprice,
                "volume": order.volume,
                "tag": order.tag,
                "apprestrict": order.apprestrict,
                "workerpoolrestrict": order.workerpoolrestrict,
                "requesterrestrict": order.requesterrestrict,
                "salt": order.salt,
                "sign": order.sign,
            }
            for position, order in valid
        ],
    )
    for table, members in (
        ("bulk_slices_datasets", [(position, order.dataset) for position, order in valid]),
        ("bulk_slices_dataset_orders", [(position, f"{task}-{position}") for position, _ in valid]),
    ):
        connection.execute(
            sa.insert(LIST_TABLES[table]),
            [{"parent": slice_id, "position": position, "child": child} for position, child in members],
        )


def _is_there(connection: sa.Connection, table: sa.Table, row_id: str) -> bool:
    return connection.execute(sa.select(table.c.id).where(table.c.id == row_id)).first() is not None


# --- beside the stream --------------------------------------------------------------------------------------------


class Gateway(Protocol):
    """Where files come from, checked against their names."""

    async def fetch(self, cid: str, max_bytes: int) -> bytes:
        """A file, or the `IexecError` that says why not."""


class BulkFetcher:
    """Fetches what bulk deals name.

    Args:
        seconds: for how long one file may take.
        max_bytes: how large it may be.
        retry_first: seconds before a file that could not be had is asked for again, doubled each time.
    """

    def __init__(
        self,
        database: Database,
        gateway: Gateway,
        *,
        seconds: float,
        max_bytes: int,
        retry_first: float = RETRY_FIRST,
    ) -> None:
        self._database = database
        self._gateway = gateway
        self._seconds = seconds
        self._max_bytes = max_bytes
        self._retry_first = retry_first
        self._news = anyio.Event()
        #: When a file is asked for again, and how long was waited for it.
        self._waiting: dict[str, tuple[float, float]] = {}

    def wake(self) -> None:
        """There may be something new to fetch."""
        self._news.set()

    async def run(self, leadership: Leadership) -> None:
        """Fetch until cancelled.

        Raises:
            IexecError: ``LEADERSHIP_LOST``, ``DATABASE_UNAVAILABLE``.
        """
        while True:
            self._news = news = anyio.Event()
            asked = await self._database.read(wanted)
            self._waiting = {cid: times for cid, times in self._waiting.items() if cid in set(asked)}
            now = anyio.current_time()
            due = [cid for cid in asked if self._waiting.get(cid, (0.0, 0.0))[0] <= now]
            if due:
                await self._fetch_all(leadership, due)
                continue
            next_time = min((at for at, _ in self._waiting.values()), default=None)
            with anyio.move_on_after(None if next_time is None else next_time - now):
                await news.wait()

    async def _fetch_all(self, leadership: Leadership, due: list[str]) -> None:
        # Those that failed least come first: files that never come do not hold up others.
        remaining = iter(sorted(due, key=lambda cid: self._waiting.get(cid, (0.0, 0.0))[1]))

        async def fetch() -> None:
            for cid in remaining:
                await self._fetch(leadership, cid)

        async with anyio.create_task_group() as group:
            for _ in range(PARALLEL):
                group.start_soon(fetch)

    async def _fetch(self, leadership: Leadership, cid: str) -> None:
        try:
            with anyio.fail_after(self._seconds):
                content = await self._gateway.fetch(cid, self._max_bytes)
        except TimeoutError:
            self._put_off(cid, "it takes too long")
        except IexecError as error:
            if error.code == "CONTENT_TOO_LARGE":
                log.info("a file of a bulk deal is too large", cid=cid)
                await leadership.write(lambda connection: refuse(connection, cid))
            else:
                self._put_off(cid, error.what)
        else:
            await leadership.write(lambda connection: store(connection, cid, content))

    def _put_off(self, cid: str, reason: str) -> None:
        _, waited = self._waiting.get(cid, (0.0, 0.0))
        wait = min(waited * 2 or self._retry_first, RETRY_LAST)
        self._waiting[cid] = (anyio.current_time() + wait, wait)
        log.info("a file of a bulk deal is not to be had yet", cid=cid, reason=reason, retry_seconds=wait)
