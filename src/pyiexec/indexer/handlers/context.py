"""What every handler works with: the rows at hand, the facts beyond the logs, and the time."""

from __future__ import annotations

from typing import Any

from pyiexec.indexer.events import Event
from pyiexec.indexer.facts import Facts
from pyiexec.indexer.working_set import Row, WorkingSet

#: Id of the one row of totals.
PROTOCOL = "iExec"
_TOTALS = (
    "categories_count",
    "apps_count",
    "datasets_count",
    "workerpools_count",
    "deals_count",
    "tasks_count",
    "completed_tasks_count",
    "claimed_tasks_count",
    "tvl",
)


class Context:
    """Rows that several kinds of events need.

    Attributes:
        rows: those that the events may concern.
        facts: what the logs do not say.
        now: time of the event's block, seconds.
    """

    def __init__(self, rows: WorkingSet, facts: Facts) -> None:
        self.rows = rows
        self.facts = facts
        self.now = 0
        self._number = -1

    def begin(self, event: Event) -> None:
        """What comes next is of this event; events come in order."""
        if event.number != self._number:
            self._number = event.number
            self.rows.begin_block(event.number)
        self.now = self.facts.timestamps[event.block_hash]

    def id_of(self, address: str) -> str:
        """The id of an account, which is there from now on."""
        if self.rows.find("accounts", address) is None:
            self.rows.make("accounts", {"id": address, "balance": 0, "frozen": 0, "score": 0})
        return address

    def account(self, address: str) -> Row:
        """An account, to be changed."""
        return there(self.rows.change("accounts", self.id_of(address)))

    def protocol(self) -> Row:
        """The totals, to be changed."""
        row = self.rows.change("protocols", PROTOCOL)
        return row or self.rows.make("protocols", {"id": PROTOCOL} | dict.fromkeys(_TOTALS, 0))

    def transaction(self, event: Event) -> str:
        """The id of the transaction of an event, which is there from now on."""
        name = event.transaction
        if self.rows.find("transactions", name) is None:
            fact = self.facts.transactions[name]
            self.rows.make(
                "transactions",
                {
                    "id": name,
                    "from": self.id_of(fact.sender),
                    "to": self.id_of(fact.to) if fact.to else None,
                    "value": fact.value,
                    "gas_limit": fact.gas,
                    # As published: clients know the limit under both names.
                    "gas_used": fact.gas,
                    "gas_price": fact.gas_price,
                    "timestamp": self.now,
                    "block_number": event.number,
                },
            )
        return name

    def record(self, table: str, event: Event, kind: str | None = None, **columns: Any) -> None:
        """Make the row of the event itself."""
        row: Row = {"id": event.id, "transaction": self.transaction(event), "timestamp": self.now}
        self.rows.make(table, row | ({"kind": kind} if kind else {}) | columns)


def there(row: Row | None) -> Row:
    """A row that was made before whatever refers to it."""
    assert row is not None, "events come in the order of the chain"
    return row
