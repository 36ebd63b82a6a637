"""Events taken into the index, in one transaction with the place reached."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec
import sqlalchemy as sa

from pyiexec.chain.follower import Batch, Cursor, Mark, save_cursor
from pyiexec.indexer import bulk, queries
from pyiexec.indexer.events import Event
from pyiexec.indexer.facts import Facts
from pyiexec.indexer.handlers import PROTOCOL, apply_events
from pyiexec.indexer.queries import CURSOR, Place
from pyiexec.indexer.reading import Known, Unknown
from pyiexec.indexer.rules import claimed_boost_task
from pyiexec.indexer.working_set import Row, WorkingSet

#: Events of one task.
_TASK_EVENTS = frozenset(
    {
        "TaskInitialize",
        "TaskContribute",
        "TaskConsensus",
        "TaskReveal",
        "TaskReopen",
        "TaskFinalize",
        "TaskClaimed",
    }
)
_ASSETS = {"AppTransfer": "apps", "DatasetTransfer": "datasets", "WorkerpoolTransfer": "workerpools"}
_ADDRESSES = ("from", "to", "owner", "worker")


def look_up(connection: sa.Connection, unknown: Unknown) -> Known:
    """What the index has already of what events speak of."""
    accounts = queries.find_rows(connection, "accounts", unknown.workers)
    categories = queries.known_ids(connection, "categories", map(str, unknown.categories))
    return Known(
        queries.known_ids(connection, "apps", unknown.apps),
        queries.known_ids(connection, "datasets", unknown.datasets),
        queries.known_ids(connection, "workerpools", unknown.workerpools),
        {int(category) for category in categories},
        {worker: row["score"] for worker, row in accounts.items()},
    )


#: Events of one transaction of the database, unless a single block has more.
PART_EVENTS = 2_000


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """Some blocks of a batch, taken in at once.

    Attributes:
        rewound_to: as in `Batch`, in the first part.
        cursor: to be stored with the part's effects; whoever begins there reads the rest again.
        timestamp: of the cursor's block in seconds; None when it is that of the last event.
    """

    rewound_to: int | None
    events: Sequence[Event]
    cursor: Cursor
    timestamp: int | None


def split(batch: Batch, events: Sequence[Event], most: int) -> Iterator[Part]:
    """The batch in parts of whole blocks, so that neither memory nor a transaction holds all of a long history."""
    rewound_to, start, end = batch.rewound_to, 0, 0
    while len(events) - start > most:
        end = start + most
        while end < len(events) and events[end].number == events[end - 1].number:
            end += 1
        if end == len(events):
            break
        last = events[end - 1]
        marks = [mark for mark in batch.cursor.marks if mark.number <= last.number]
        if not marks or marks[-1].number != last.number:
            # By this mark it is known, after a start from here, whether the block is still there.
            marks.append(Mark(last.number, last.block_hash))
        cursor = Cursor(last.number, last.block_hash, tuple(marks))
        yield Part(rewound_to=rewound_to, events=events[start:end], cursor=cursor, timestamp=None)
        rewound_to, start = None, end
    yield Part(rewound_to=rewound_to, events=events[start:], cursor=batch.cursor, timestamp=batch.timestamp)


def apply_part(connection: sa.Connection, part: Part, facts: Facts) -> bool:
    """Take some blocks in. False, with nothing changed, when they take back some of which nothing is remembered."""
    before = queries.place(connection)
    floor = before.undo_floor if before else -1
    if part.rewound_to is not None:
        if part.rewound_to < floor:
            return False
        queries.undo(connection, part.rewound_to)
    events, cursor = part.events, part.cursor
    # Blocks whose logs the follower remembers are those it may take back.
    journaled = {mark.number for mark in cursor.marks if mark.logs}
    rows = WorkingSet(_stored(connection, events, facts), journaled)
    apply_events(events, rows, facts)
    queries.insert_rows(connection, rows.new)
    queries.update_rows(connection, rows.changed)
    queries.save_undo(connection, rows.journal)
    bulk.begin(connection, rows.new.get("deals", {}).values())
    final = [event.number for event in events if event.number not in journaled]
    forgotten = queries.forget_undo(connection, min(journaled, default=cursor.number + 1))
    queries.save_place(
        connection,
        Place(
            number=cursor.number,
            hash=cursor.hash,
            timestamp=facts.timestamps[cursor.hash] if part.timestamp is None else part.timestamp,
            undo_floor=max(floor, *final, -1 if forgotten is None else forgotten),
        ),
    )
    save_cursor(connection, CURSOR, cursor)
    return True


def _stored(connection: sa.Connection, events: Sequence[Event], facts: Facts) -> dict[str, dict[str, Row]]:
    """The rows that the events may read or change, as far as there are any."""
    if not events:
        return {}
    wanted: dict[str, set[str]] = {"protocols": {PROTOCOL}, "accounts": _accounts(events, facts)}
    reopened: set[str] = set()
    deals: set[str] = set()

    def want(table: str, row_id: str) -> None:
        wanted.setdefault(table, set()).add(row_id)

    for event in events:
        if event.name in _TASK_EVENTS:
            task = event.fields["taskid"]
            want("tasks", task)
            if task in facts.tasks:
                deals.add(facts.tasks[task].deal)
        if event.name == "TaskReveal":
            want("contributions", f"{event.fields['taskid']}-{event.fields['worker']}")
        elif event.name == "TaskReopen":
            reopened.add(event.fields["taskid"])
        elif event.name == "OrdersMatched":
            want("app_orders", event.fields["appHash"])
            want("dataset_orders", event.fields["datasetHash"])
            want("workerpool_orders", event.fields["workerpoolHash"])
            want("request_orders", event.fields["requestHash"])
            if deal := facts.deals.get(event.fields["dealid"]):
                want("apps", deal.app.pointer)
                want("datasets", deal.dataset.pointer)
                want("workerpools", deal.workerpool.pointer)
                want("categories", str(deal.category))
        elif event.name == "ResultPushedBoost":
            deals.add(event.fields["dealid"])
        elif event.name == "TaskClaimed":
            claimed = claimed_boost_task(event.fields["taskid"], facts.transactions[event.transaction].data)
            if claimed:
                deals.add(claimed[0])
        elif event.name == "CreateCategory":
            want("categories", str(event.fields["catid"]))
        elif event.name == "PolicyUpdate":
            want("workerpools", event.address)
        elif event.name in _ASSETS:
            want(_ASSETS[event.name], event.fields["asset"])
    tasks = queries.find_rows(connection, "tasks", wanted.pop("tasks", set()))
    deals |= {row["deal"] for row in tasks.values()}
    found = {"tasks": tasks, "deals": queries.find_rows(connection, "deals", deals)}
    for deal_row in found["deals"].values():
        want("categories", deal_row["category"])
    for table, ids in wanted.items():
        found[table] = queries.find_rows(connection, table, ids)
    if reopened:
        found.setdefault("contributions", {}).update(
            queries.find_rows(connection, "contributions", reopened, column="task")
        )
    return found


def _accounts(events: Sequence[Event], facts: Facts) -> set[str]:
    found = {event.fields[name] for event in events for name in _ADDRESSES if name in event.fields}
    for transaction in facts.transactions.values():
        found.add(transaction.sender)
        if transaction.to:
            found.add(transaction.to)
    for event in events:
        deal = facts.deals.get(event.fields["dealid"]) if event.name == "OrdersMatched" else None
        if deal:
            found |= {deal.app.owner, deal.dataset.owner, deal.workerpool.owner}
            found |= {deal.requester, deal.beneficiary, deal.callback, deal.sponsor}
    return found
