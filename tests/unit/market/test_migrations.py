"""A book of an earlier version is taken over with its orders."""

from __future__ import annotations

import importlib

import msgspec
import sqlalchemy as sa
from alembic.migration import MigrationContext
from alembic.operations import Operations

from pyiexec.chain.follower.cursor import cursors, metadata
from pyiexec.foundation.database import Migrations, migrate
from pyiexec.market.rows import LISTING_COLUMNS, read_listing, row_of
from pyiexec.market.tables import METADATA, ORDERS
from pyiexec.protocol.orders import AppOrder, Order, RequestOrder, WorkerpoolOrder, kind_of
from pyiexec.protocol.primitives import bytes32, checksum

APP, POOL, OWNER = (checksum(f"0x{number:040x}") for number in (10, 12, 1))
ORDERS_THERE: list[tuple[Order, str]] = [
    (AppOrder(app=APP, appprice=3, volume=5), "open"),
    (WorkerpoolOrder(workerpool=POOL, workerpoolprice=109, volume=5, category=2), "dead"),
    (RequestOrder(app=APP, appmaxprice=3, datasetmaxprice=4, workerpoolmaxprice=5, requester=OWNER, volume=5), "open"),
]


def test_orders_of_the_first_version_keep_their_places() -> None:
    engine = sa.create_engine("sqlite://", poolclass=sa.pool.StaticPool)
    with engine.begin() as connection:
        metadata.create_all(connection)
        connection.execute(sa.insert(cursors).values(name="market", number=7, hash="0x"))
        with Operations.context(MigrationContext.configure(connection)):
            for name in ("first_tables", "events"):
                importlib.import_module(f"pyiexec.market.migrations.versions.{name}").upgrade()
        connection.execute(sa.text("CREATE TABLE alembic_version_market (version_num VARCHAR(32) NOT NULL)"))
        connection.execute(sa.text("INSERT INTO alembic_version_market VALUES ('events')"))
        old = sa.Table("orders", sa.MetaData(), autoload_with=connection)
        for number, (order, status) in enumerate(ORDERS_THERE):
            row = {column.name: None for column in old.columns} | {
                "order_hash": bytes32(number),
                "chain_id": 1,
                "kind": kind_of(order),
                "status": status,
                "signer": OWNER,
                **dict.fromkeys(("app", "dataset", "workerpool", "requester"), f"0x{0:040x}"),
                **{f"tag{word}": 0 for word in range(4)},
                "consumed": 1,
                "remaining": 4,
                "volume": 5,
                "published_at": number,
                "document": msgspec.json.encode(order),
                "price": getattr(order, "appprice", getattr(order, "workerpoolprice", 5)),
            }
            named = {"apporder": {"app": APP}, "workerpoolorder": {"workerpool": POOL}}
            connection.execute(sa.insert(old).values(row | named.get(kind_of(order), {"app": APP, "requester": OWNER})))
        migrate(connection, Migrations("pyiexec.market.migrations", lineage="market"))
        # What the chain did is read again, from the beginning.
        assert connection.execute(sa.select(cursors)).all() == []
        assert set(METADATA.tables) <= set(sa.inspect(connection).get_table_names())
        for number, (order, status) in enumerate(ORDERS_THERE):
            which = ORDERS.c.order_hash == bytes32(number)
            listing = read_listing(connection.execute(sa.select(*LISTING_COLUMNS).where(which)).one())
            assert listing.order == order
            assert listing.status == {"dead": "suspended"}.get(status, status)
            assert (listing.remaining, listing.published_at) == (4, number)
            assert listing.fillable == (0 if status == "dead" else 4)
            assert (listing.reason is None) == (status != "dead")
            row = connection.execute(sa.select(*ORDERS.c).where(which)).one()
            fresh = row_of(listing)
            for name in ("rank", "resource", "task_stake", "app_max_price", "dataset_max_price", "presigned"):
                assert getattr(row, name) == fresh[name], name
    engine.dispose()
