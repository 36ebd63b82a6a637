"""The database and the rules agree, on every book and every question."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite

from pyiexec.foundation.database import Migrations, migrate
from pyiexec.foundation.glances import runner
from pyiexec.market import queries
from pyiexec.market.filters import Filter, Window, read_filter
from pyiexec.market.listing import Listing, Status, listing_to_json, ranking_price
from pyiexec.market.pages import Lists
from pyiexec.market.queries import Counts
from pyiexec.market.rows import bump, row_of
from pyiexec.market.rules import wanted
from pyiexec.market.tables import METADATA, ORDERS
from pyiexec.protocol.orders import AppOrder
from pyiexec.protocol.primitives import OrderHash, bytes32

from .books import CHAIN, PEOPLE, books, kinds, queries_for

EVERYTHING = Window(0, 10**6)


@pytest.fixture(scope="module")
def engine() -> Iterator[sa.Engine]:
    engine = sa.create_engine("sqlite://", poolclass=sa.pool.StaticPool)
    with engine.begin() as connection:
        migrate(connection, Migrations("pyiexec.market.migrations", lineage="market"))
    yield engine
    engine.dispose()


def test_the_migrations_make_the_tables_the_code_uses(engine: sa.Engine) -> None:
    inspector = sa.inspect(engine)
    for table in METADATA.tables.values():
        found = {column["name"]: column for column in inspector.get_columns(table.name)}
        assert {name: str(it["type"]) for name, it in found.items()} == {
            column.name: str(column.type) for column in table.columns
        }
        assert {name: it["nullable"] for name, it in found.items()} == {
            column.name: column.nullable for column in table.columns
        }
        assert {index["name"] for index in inspector.get_indexes(table.name)} == {i.name for i in table.indexes}


def page_of(connection: sa.Connection, query: Filter, window: Window, counts: Counts | None = None) -> Any:
    """The answer to a list, as JSON."""
    lists = Lists(SQLiteDialect_pysqlite(paramstyle="qmark"), counts or Counts(), CHAIN)
    return json.loads(lists.answer(runner(connection), query, window))


def insert(connection: sa.Connection, *listings: Listing) -> None:
    for listing in listings:
        connection.execute(sa.insert(ORDERS).values(row_of(listing)))


@settings(max_examples=150, deadline=None)
@given(books(), kinds.flatmap(lambda kind: st.tuples(st.just(kind), queries_for(kind))))
def test_a_page_holds_what_the_rules_want_in_their_order(
    engine: sa.Engine, listings: list[Listing], asked: tuple[str, dict[str, str]]
) -> None:
    query = read_filter(*asked)
    with engine.connect() as connection, connection.begin() as transaction:
        insert(connection, *listings)
        page = page_of(connection, query, EVERYTHING)
        parts = [page_of(connection, query, Window(start, 3)) for start in range(0, len(listings), 3)]
        transaction.rollback()
    expected = {listing.order_hash: listing for listing in listings if wanted(listing, query)}
    assert {item["orderHash"]: item for item in page["orders"]} == {
        order_hash: listing_to_json(listing) for order_hash, listing in expected.items()
    }
    assert page["count"] == len(expected)
    direction = -1 if query.kind == "requestorder" else 1
    found = [expected[item["orderHash"]] for item in page["orders"]]
    places = [(direction * ranking_price(it.order), it.published_at, it.order_hash) for it in found]
    assert places == sorted(places)
    assert [item for part in parts for item in part["orders"]] == page["orders"]


LISTING = Listing(
    order_hash=OrderHash(bytes32(77)),
    chain_id=CHAIN,
    order=AppOrder(app=PEOPLE[0], volume=6),
    signer=PEOPLE[1],
    remaining=6,
    fillable=6,
    status=Status.OPEN,
    published_at=1,
)


def test_what_was_counted_is_counted_again_after_a_change(engine: sa.Engine) -> None:
    counts, query = Counts(), read_filter("apporder", {"app": "any"})
    with engine.connect() as connection, connection.begin() as transaction:

        def total() -> int:
            return int(page_of(connection, query, EVERYTHING, counts)["count"])

        assert total() == 0
        for number in range(1, 4):
            insert(connection, msgspec.structs.replace(LISTING, order_hash=OrderHash(bytes32(number))))
            bump(connection, "apporder")
            assert total() == number
        # Without a change of the kind nothing is counted.
        bump(connection, "datasetorder")
        connection.execute(sa.delete(ORDERS))
        assert total() == 3
        transaction.rollback()


@pytest.mark.parametrize(
    ("kind", "query", "index"),
    [
        ("workerpoolorder", {}, "ix_orders_by_rank"),
        ("workerpoolorder", {"category": "2", "minTrust": "3", "minTag": bytes32(9)}, "ix_orders_by_category"),
        ("workerpoolorder", {"workerpool": PEOPLE[0]}, "ix_orders_by_resource"),
        ("apporder", {"app": PEOPLE[0], "requester": PEOPLE[1]}, "ix_orders_by_resource"),
        ("datasetorder", {"dataset": PEOPLE[0], "app": "any"}, "ix_orders_by_resource"),
        ("requestorder", {"requester": PEOPLE[0]}, "ix_orders_by_resource"),
        ("requestorder", {"app": PEOPLE[0], "workerpool": PEOPLE[1]}, "ix_requests_by_app"),
        ("apporder", {"appOwner": PEOPLE[0]}, "ix_orders_by_signer"),
    ],
)
def test_the_best_orders_are_found_without_sorting(
    engine: sa.Engine, kind: str, query: dict[str, str], index: str
) -> None:
    statement = sa.text("EXPLAIN QUERY PLAN " + compiled(kind, query))
    with engine.connect() as connection:
        plan = " ".join(row.detail for row in connection.execute(statement))
    assert index in plan
    assert "TEMP B-TREE" not in plan


def compiled(kind: str, query: dict[str, str]) -> str:
    statement = queries.page_query(read_filter(kind, query), Window())
    return str(statement.compile(dialect=sa.dialects.sqlite.dialect(), compile_kwargs={"literal_binds": True}))


def test_a_challenge_is_answered_once_by_whom_it_was_given_and_in_time(engine: sa.Engine) -> None:
    with engine.connect() as connection, connection.begin() as transaction:
        new = [queries.NewChallenge(bytes32(number), PEOPLE[0], expires_at=400) for number in (1, 2)]
        queries.add_challenges(connection, new, now=100)
        assert not queries.burn_challenge(connection, bytes32(1), PEOPLE[1], now=101)
        assert not queries.burn_challenge(connection, bytes32(1), PEOPLE[0], now=400)
        assert queries.ANSWERABLE.run(connection, digest=bytes32(1), address=PEOPLE[0], now=399)
        assert queries.burn_challenge(connection, bytes32(1), PEOPLE[0], now=399)
        assert not queries.burn_challenge(connection, bytes32(1), PEOPLE[0], now=399)
        # The other one of the same address is as good as before.
        assert queries.burn_challenge(connection, bytes32(2), PEOPLE[0], now=399)
        transaction.rollback()
