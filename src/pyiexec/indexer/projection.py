"""One batch of events taken into the index, in one transaction with the place reached."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from pyiexec.chain.follower import Batch, save_cursor
from pyiexec.indexer import bulk, queries
from pyiexec.indexer.events import Event
from pyiexec.indexer.facts import Facts
from pyiexec.indexer.handlers import PROTOCOL, Projector
from pyiexec.indexer.queries import CURSOR, Place
from pyiexec.indexer.reading import Known, Unknown
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


def apply_batch(connection: sa.Connection, batch: Batch, events: Sequence[Event], facts: Facts) -> bool:
    """Take a batch in. False, with nothing changed, when it takes back blocks of which nothing is remembered."""
    before = queries.place(connection)
    floor = before.undo_floor if before else -1
    if batch.rewound_to is not None:
        if batch.rewound_to < floor:
            return False
        queries.undo(connection, batch.rewound_to)
    # Blocks whose logs the follower remembers are those it may take back.
    journaled = {mark.number for mark in batch.cursor.marks if mark.logs}
    rows = WorkingSet(_stored(connection, events, facts), journaled)
    projector = Projector(rows, facts)
    for event in events:
        projector.apply(event)
    queries.insert_rows(connection, rows.new)
    queries.update_rows(connection, rows.changed)
    queries.save_undo(connection, rows.journal)
    bulk.begin(connection, rows.new.get("deals", {}).values())
    final = [event.number for event in events if event.number not in journaled]
    forgotten = queries.forget_undo(connection, min(journaled, default=batch.cursor.number + 1))
    queries.save_place(
        connection,
        Place(
            number=batch.cursor.number,
            hash=batch.cursor.hash,
            timestamp=batch.timestamp,
            undo_floor=max(floor, *final, -1 if forgotten is None else forgotten),
        ),
    )
    save_cursor(connection, CURSOR, batch.cursor)
    return True


def _stored(connection: sa.Connection, events: Sequence[Event], facts: Facts) -> dict[str, dict[str, Row]]:
    """The rows that the events may read or change, as far as there are any."""
    if not events:
        return {}
    wanted: dict[str, set[str]] = {"protocols": {PROTOCOL}, "accounts": _accounts(events, facts)}
    reopened: set[str] = set()

    def want(table: str, row_id: str) -> None:
        wanted.setdefault(table, set()).add(row_id)

    for event in events:
        if event.name in _TASK_EVENTS:
            want("tasks", event.fields["taskid"])
        if event.name == "TaskReveal":
            want("contributions", f"{event.fields['taskid']}-{event.fields['worker']}")
        elif event.name == "TaskReopen":
            reopened.add(event.fields["taskid"])
        elif event.name == "OrdersMatched":
            want("app_orders", event.fields["appHash"])
            want("dataset_orders", event.fields["datasetHash"])
            want("workerpool_orders", event.fields["workerpoolHash"])
            want("request_orders", event.fields["requestHash"])
        elif event.name == "CreateCategory":
            want("categories", str(event.fields["catid"]))
        elif event.name == "PolicyUpdate":
            want("workerpools", event.address)
        elif event.name in _ASSETS:
            want(_ASSETS[event.name], event.fields["asset"])
    for deal in facts.deals.values():
        want("apps", deal.app.pointer)
        want("datasets", deal.dataset.pointer)
        want("workerpools", deal.workerpool.pointer)
        want("categories", str(deal.category))
    tasks = queries.find_rows(connection, "tasks", wanted.pop("tasks", set()))
    deals = {task["deal"] for task in tasks.values()} | {task.deal for task in facts.tasks.values()}
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
    for deal in facts.deals.values():
        found |= {deal.app.owner, deal.dataset.owner, deal.workerpool.owner}
        found |= {deal.requester, deal.beneficiary, deal.callback, deal.sponsor}
    return found
