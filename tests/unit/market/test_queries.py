"""The database and the rules agree, on every book and every question."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from pyiexec.foundation.database import Migrations, migrate
from pyiexec.market import queries
from pyiexec.market.filters import read_filter
from pyiexec.market.listing import Listing, Status, ranking_price
from pyiexec.market.queries import Closed, Matched
from pyiexec.market.rules import wanted
from pyiexec.market.tables import METADATA, ORDERS
from pyiexec.protocol.orders import AppOrder
from pyiexec.protocol.primitives import NULL_BYTES32, OrderHash, bytes32

from .books import CHAIN, PEOPLE, books, everything, kinds, queries_for


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
        columns = {column["name"]: str(column["type"]) for column in inspector.get_columns(table.name)}
        assert columns == {column.name: str(column.type) for column in table.columns}
        assert {index["name"] for index in inspector.get_indexes(table.name)} == {i.name for i in table.indexes}


@settings(max_examples=150, deadline=None)
@given(books(), kinds.flatmap(lambda kind: st.tuples(st.just(kind), queries_for(kind))))
def test_a_page_holds_what_the_rules_want_in_their_order(
    engine: sa.Engine, listings: list[Listing], asked: tuple[str, dict[str, str]]
) -> None:
    query = everything(read_filter(*asked))
    with engine.connect() as connection, connection.begin() as transaction:
        for listing in listings:
            queries.publish(connection, listing, 0)
        page = queries.page(connection, query)
        transaction.rollback()
    expected = {listing.order_hash: listing for listing in listings if wanted(listing, query)}
    assert {listing.order_hash: listing for listing in page.listings} == expected
    assert page.total == len(expected)
    direction = -1 if query.kind == "requestorder" else 1
    places = [(direction * ranking_price(it.order), it.published_at, it.order_hash) for it in page.listings]
    assert places == sorted(places)


#: Deal number n is made in block n, and the order closed in this one.
VOLUME, CLOSED_IN = 6, 4
HASH = OrderHash(bytes32(77))
LISTING = Listing(
    order_hash=HASH,
    chain_id=CHAIN,
    order=AppOrder(app=PEOPLE[0], volume=VOLUME),
    signer=PEOPLE[1],
    remaining=VOLUME,
    status=Status.OPEN,
    published_at=1,
)


def deal(number: int, volume: int) -> Matched:
    return Matched(bytes32(number), HASH, NULL_BYTES32, bytes32(1), bytes32(2), volume, number, bytes32(number))


@st.composite
def histories(draw: st.DrawFn) -> list[tuple[str, int]]:
    """Deals of one task each, a closing, and the publication, in any order."""
    events = [("match", number) for number in range(draw(st.integers(0, VOLUME)))]
    if draw(st.booleans()):
        events.append(("close", 0))
    events.append(("publish", 0))
    return draw(st.permutations(events))


@settings(max_examples=100, deadline=None)
@given(histories(), st.integers(-1, VOLUME + 1))
def test_what_remains_depends_on_what_happened_not_on_when_it_was_published(
    engine: sa.Engine, history: list[tuple[str, int]], last_block: int
) -> None:
    with engine.connect() as connection, connection.begin() as transaction:
        for what, number in history:
            if what == "match":
                queries.apply_matched(connection, deal(number, 1))
                queries.apply_matched(connection, deal(number, 1))
            elif what == "close":
                queries.apply_closed(connection, Closed(HASH, CLOSED_IN, NULL_BYTES32))
            else:
                queries.publish(connection, LISTING, 0)
        matched = [number for what, number in history if what == "match"]
        closed = ("close", 0) in history
        _expect(connection, len(matched), closed)
        for _ in range(2):
            queries.rewind(connection, last_block)
            _expect(connection, sum(number <= last_block for number in matched), closed and last_block >= CLOSED_IN)
        transaction.rollback()


def _expect(connection: sa.Connection, consumed: int, closed: bool) -> None:
    listing = queries.listing(connection, "apporder", HASH)
    assert listing is not None
    if closed:
        assert (listing.status, listing.remaining) == (Status.CANCELED, 0)
    else:
        assert listing.remaining == VOLUME - consumed
        assert listing.status is (Status.FILLED if consumed == VOLUME else Status.OPEN)


def test_a_publication_ahead_of_the_events_does_not_offer_what_is_gone(engine: sa.Engine) -> None:
    with engine.connect() as connection, connection.begin() as transaction:
        assert queries.publish(connection, LISTING, 3).remaining == 3
        remaining = []
        for number in range(4):
            queries.apply_matched(connection, deal(number, 1))
            listing = queries.listing(connection, "apporder", HASH)
            assert listing is not None
            remaining.append(listing.remaining)
        assert remaining == [3, 3, 3, 2]
        transaction.rollback()


def test_a_revived_order_keeps_its_place(engine: sa.Engine) -> None:
    with engine.connect() as connection, connection.begin() as transaction:
        queries.publish(connection, LISTING, 0)
        connection.execute(sa.update(ORDERS).values(status=Status.DEAD))
        later = Listing(**{name: getattr(LISTING, name) for name in LISTING.__struct_fields__} | {"published_at": 9})
        revived = queries.publish(connection, later, 0)
        assert (revived.status, revived.published_at) == (Status.OPEN, 1)
        transaction.rollback()


def test_a_challenge_is_answered_once_by_whom_it_was_given_and_in_time(engine: sa.Engine) -> None:
    with engine.connect() as connection, connection.begin() as transaction:
        queries.add_challenge(connection, bytes32(1), PEOPLE[0], now=100, expires_at=400)
        assert not queries.burn_challenge(connection, bytes32(1), PEOPLE[1], now=101)
        assert not queries.burn_challenge(connection, bytes32(1), PEOPLE[0], now=400)
        assert queries.has_challenge(connection, bytes32(1), PEOPLE[0], now=399)
        assert queries.burn_challenge(connection, bytes32(1), PEOPLE[0], now=399)
        assert not queries.burn_challenge(connection, bytes32(1), PEOPLE[0], now=399)
        transaction.rollback()
