"""Whatever blocks did to the rows, going back brings every row to what it was."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from pyiexec.indexer import queries
from pyiexec.indexer.tables import METADATA
from pyiexec.indexer.working_set import WorkingSet

NAMES = st.sampled_from(["a", "b", "c", "d"])
#: What a block does to accounts: set a balance, making the account if need be.
BLOCKS = st.lists(st.lists(st.tuples(NAMES, st.integers(-(2**70), 2**200)), max_size=5), min_size=1, max_size=8)

State = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def engine() -> Iterator[sa.Engine]:
    engine = sa.create_engine("sqlite://", poolclass=sa.pool.StaticPool)
    METADATA.create_all(engine)
    yield engine
    engine.dispose()


def take_in(connection: sa.Connection, batch: list[tuple[int, Any]], journaled: set[int]) -> None:
    """One batch of blocks, as the index takes them in."""
    wanted = {name for _, changes in batch for name, _ in changes}
    rows = WorkingSet({"accounts": queries.find_rows(connection, "accounts", wanted)}, journaled)
    for number, changes in batch:
        rows.begin_block(number)
        for name, balance in changes:
            row = rows.change("accounts", name)
            if row is None:
                row = rows.make("accounts", {"id": name, "balance": 0, "frozen": 0, "score": 0})
            row["balance"] = balance
    queries.insert_rows(connection, rows.new)
    queries.update_rows(connection, rows.changed)
    queries.save_undo(connection, rows.journal)


def state(connection: sa.Connection) -> State:
    return {row["id"]: row for row in queries.dump(connection)["accounts"]}


@settings(deadline=None)
@given(blocks=BLOCKS, data=st.data())
def test_going_back(engine: sa.Engine, blocks: list[Any], data: st.DataObject) -> None:
    """Blocks come in batches of any sizes, and only the last of them can be taken back."""
    final = data.draw(st.integers(0, len(blocks)), label="final blocks")
    journaled = set(range(final + 1, len(blocks) + 1))
    to = data.draw(st.integers(final, len(blocks)), label="back to")
    ends = sorted({len(blocks), *data.draw(st.lists(st.integers(1, len(blocks)), max_size=4), label="batches")})
    expected: State = {}
    at: dict[int, State] = {0: {}}
    for number, changes in enumerate(blocks, 1):
        for name, balance in changes:
            expected[name] = {"id": name, "balance": balance, "frozen": 0, "score": 0}
        at[number] = deepcopy(expected)
    with engine.connect() as connection, connection.begin() as transaction:
        start = 0
        for end in ends:
            take_in(connection, list(enumerate(blocks, 1))[start:end], journaled)
            start = end
            assert state(connection) == at[end]
        queries.undo(connection, to)
        assert state(connection) == at[to]
        assert all(number <= to for number in queries.undoable(connection))
        # And forth again, on another way.
        take_in(connection, [(to + 1, [("a", 5), ("e", 6)])], {to + 1})
        queries.undo(connection, to)
        assert state(connection) == at[to]
        transaction.rollback()
