"""The rows that a batch of events reads and changes, in memory: handlers know nothing of SQL.

Blocks that may still be taken back are journaled: for each, which rows it made, and what the others were before. A
journal is as good as keeping every version of every row for ever, and costs nothing for the blocks that are final.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

Row = dict[str, Any]
#: Rows of a table by id as they were before a block; None for those it made.
Undo = dict[str, dict[str, Row | None]]

#: What changes of a row once it was made; the rest of it stays as it is.
MUTABLE: Mapping[str, tuple[str, ...]] = {
    "accounts": ("balance", "frozen", "score"),
    "apps": ("owner", "timestamp", "usage_count", "last_usage_timestamp"),
    "datasets": ("owner", "timestamp"),
    "workerpools": (
        "owner",
        "timestamp",
        "usage_count",
        "last_usage_timestamp",
        "worker_stake_ratio",
        "scheduler_reward_ratio",
    ),
    "categories": ("name", "description", "work_clock_time_ref", "timestamp"),
    "deals": ("completed_tasks_count", "claimed_tasks_count"),
    "tasks": (
        "status",
        "consensus",
        "result_digest",
        "results",
        "results_callback",
        "reveal_deadline",
        "timestamp",
    ),
    "contributions": ("status",),
    "protocols": (
        "categories_count",
        "apps_count",
        "datasets_count",
        "workerpools_count",
        "deals_count",
        "tasks_count",
        "completed_tasks_count",
        "claimed_tasks_count",
        "tvl",
    ),
}


class WorkingSet:
    """Rows by table and id.

    Args:
        stored: rows that are in the database already; whatever is not among them is taken not to exist.
        journaled: numbers of the blocks that may be taken back.

    Attributes:
        new: rows made.
        journal: what blocks did, by number.
    """

    def __init__(self, stored: Mapping[str, Mapping[str, Row]], journaled: Iterable[int] = ()) -> None:
        self._rows: dict[str, dict[str, Row]] = {table: dict(rows) for table, rows in stored.items()}
        self._changed: dict[str, set[str]] = {}
        self._journaled = frozenset(journaled)
        self._undo: Undo | None = None
        self.new: dict[str, dict[str, Row]] = {}
        self.journal: dict[int, Undo] = {}

    def begin_block(self, number: int) -> None:
        """What comes next is of this block; blocks come in order."""
        self._undo = self.journal.setdefault(number, {}) if number in self._journaled else None

    def find(self, table: str, row_id: str) -> Row | None:
        """A row, to be read only."""
        return self._rows.get(table, {}).get(row_id)

    def rows(self, table: str) -> Iterable[Row]:
        """All rows of a table that are at hand."""
        return self._rows.get(table, {}).values()

    def make(self, table: str, row: Row) -> Row:
        """Add a row that is not there yet."""
        row_id = row["id"]
        self._rows.setdefault(table, {})[row_id] = row
        self.new.setdefault(table, {})[row_id] = row
        if self._undo is not None:
            self._undo.setdefault(table, {})[row_id] = None
        return row

    def change(self, table: str, row_id: str) -> Row | None:
        """A row, of which what is `MUTABLE` may be changed; None when it is not there."""
        row = self._rows.get(table, {}).get(row_id)
        if row is None:
            return None
        if self._undo is not None:
            before = self._undo.setdefault(table, {})
            if row_id not in before:
                before[row_id] = {column: row[column] for column in MUTABLE[table]}
        if row_id not in self.new.get(table, {}):
            self._changed.setdefault(table, set()).add(row_id)
        return row

    @property
    def changed(self) -> dict[str, list[Row]]:
        """The rows changed that were there before, with their ids and what is mutable of them."""
        return {
            table: [
                {"id": row_id} | {column: self._rows[table][row_id][column] for column in MUTABLE[table]}
                for row_id in sorted(row_ids)
            ]
            for table, row_ids in self._changed.items()
        }
