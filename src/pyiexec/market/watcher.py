"""The chain as the order book sees it: deals take tasks off orders, closings cancel them, and both may be taken back.

Effects of a batch of logs and the place reached are stored in one transaction, so a crash at any moment loses nothing
and doubles nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from pyiexec.chain.follower import Batch, LogFollower, save_cursor
from pyiexec.chain.hub import EVENTS, decode_log
from pyiexec.foundation.database import Database
from pyiexec.foundation.logs import get_logger
from pyiexec.market import queries
from pyiexec.market.queries import Closed, Matched

log = get_logger(__name__)

#: Under which the place reached is kept.
CURSOR = "market"
#: Event that cancels an order, and which of its fields names it.
CLOSINGS = {
    "ClosedAppOrder": "appHash",
    "ClosedDatasetOrder": "datasetHash",
    "ClosedWorkerpoolOrder": "workerpoolHash",
    "ClosedRequestOrder": "requestHash",
}
TOPICS = [EVENTS[name].topic for name in ("OrdersMatched", *CLOSINGS)]


def read_log(raw: Mapping[str, Any]) -> Matched | Closed | None:
    """What a log of the hub means for the book."""
    decoded = decode_log(raw)
    if decoded is None:
        return None
    name, fields = decoded
    block, transaction = int(raw["blockNumber"], 16), str(raw["transactionHash"])
    if name in CLOSINGS:
        return Closed(fields[CLOSINGS[name]], block, transaction)
    if name != "OrdersMatched":
        return None
    return Matched(
        deal_id=fields["dealid"],
        apporder_hash=fields["appHash"],
        datasetorder_hash=fields["datasetHash"],
        workerpoolorder_hash=fields["workerpoolHash"],
        requestorder_hash=fields["requestHash"],
        volume=fields["volume"],
        block_number=block,
        transaction_hash=transaction,
    )


def apply_batch(connection: sa.Connection, batch: Batch) -> None:
    """Bring the book in line with a batch of logs; runs in one transaction."""
    if batch.rewound_to is not None:
        queries.rewind(connection, batch.rewound_to)
    for raw in batch.logs:
        fact = read_log(raw)
        if isinstance(fact, Matched):
            queries.apply_matched(connection, fact)
        elif fact is not None:
            queries.apply_closed(connection, fact)
    save_cursor(connection, CURSOR, batch.cursor)


async def watch(follower: LogFollower, database: Database) -> None:
    """Follow the chain until cancelled."""
    async for batch in follower.batches():
        await database.write(lambda connection, batch=batch: apply_batch(connection, batch))  # type: ignore[misc]
        if batch.rewound_to is not None:
            log.info("the chain went back", to=batch.rewound_to)
        if batch.logs:
            log.info("the chain moved orders", events=len(batch.logs), block=batch.cursor.number)
