"""Orders that are suspended and come back, stakes and owners, whole deals, categories."""

import msgspec
import sqlalchemy as sa
from alembic import op

revision = "life_cycle"
down_revision = "events"
branch_labels = None
depends_on = None

NEW_ORDER_COLUMNS = (
    ("reason", sa.String(32)),
    ("since", sa.BigInteger),
    ("rank", sa.BigInteger),
    ("resource", sa.String(42)),
    ("app_max_price", sa.BigInteger),
    ("dataset_max_price", sa.BigInteger),
    ("task_stake", sa.BigInteger),
    ("fillable", sa.BigInteger),
    ("ahead_consumed", sa.BigInteger),
    ("ahead_block", sa.BigInteger),
    ("presigned", sa.Boolean),
)
REQUIRED = ("rank", "resource", "task_stake", "fillable", "presigned")
OLD_ORDER_INDEXES = ("app", "dataset", "workerpool", "category", "signer")
PLACE = ["rank", "published_at", "order_hash"]
DEAL_HASHES = ("apporder_hash", "datasetorder_hash", "workerpoolorder_hash", "requestorder_hash")
DEAL_PARTIES = (
    *("app", "app_owner", "dataset", "dataset_owner", "workerpool", "workerpool_owner"),
    *("requester", "beneficiary"),
)


def upgrade() -> None:
    _orders()
    op.create_table(
        "revisions",
        sa.Column("name", sa.String(16), primary_key=True),
        sa.Column("number", sa.BigInteger, nullable=False),
    )
    # What the chain did is read anew, from the beginning and in full.
    op.drop_table("deals")
    op.drop_table("closures")
    _chain()
    connection = op.get_bind()
    for table in ("log_cursors", "log_marks"):
        if sa.inspect(connection).has_table(table):
            connection.execute(sa.text(f"DELETE FROM {table} WHERE name = 'market'"))  # noqa: S608 - a constant


def _orders() -> None:
    for name in OLD_ORDER_INDEXES:
        op.drop_index(f"ix_orders_by_{name}", "orders")
    for name, kind in NEW_ORDER_COLUMNS:
        op.add_column("orders", sa.Column(name, kind))
    connection = op.get_bind()
    orders = sa.table(
        "orders",
        *(sa.column(name, kind) for name, kind in NEW_ORDER_COLUMNS),
        *(
            sa.column(name)
            for name in ("order_hash", "kind", "price", "remaining", "document", "status", "published_at")
        ),
        *(sa.column(name) for name in ("app", "dataset", "workerpool", "requester")),
    )
    kept = orders.c
    for row in connection.execute(sa.select(orders)).all():
        resource = "requester" if row.kind == "requestorder" else row.kind.removesuffix("order")
        values = {"rank": row.price, "task_stake": 0, "fillable": row.remaining, "presigned": False}
        values["resource"] = getattr(row, resource)
        if row.kind == "workerpoolorder":
            values["task_stake"] = row.price * 30 // 100
        elif row.kind == "requestorder":
            order = msgspec.json.decode(row.document)
            prices = {"app_max_price": order["appmaxprice"], "dataset_max_price": order["datasetmaxprice"]}
            values |= {"rank": -row.price, "task_stake": sum(prices.values()) + row.price, **prices}
        connection.execute(sa.update(orders).where(kept.order_hash == row.order_hash).values(**values))
    # Why an order is dead was not told; all are looked at again with the first news of the chain.
    dead = {"status": "suspended", "reason": "insufficient_stake", "since": kept.published_at, "fillable": 0}
    connection.execute(sa.update(orders).where(kept.status == "dead").values(**dead))
    with op.batch_alter_table("orders") as batch:
        batch.drop_column("consumed")
        for name, kind in NEW_ORDER_COLUMNS:
            if name in REQUIRED:
                batch.alter_column(name, existing_type=kind, nullable=False)
    op.create_index("ix_orders_by_rank", "orders", ["kind", "status", *PLACE])
    for name in ("resource", "category"):
        op.create_index(f"ix_orders_by_{name}", "orders", ["kind", "status", name, *PLACE])
    requests = sa.text("kind = 'requestorder'")
    for name in ("app", "dataset", "beneficiary"):
        op.create_index(
            f"ix_requests_by_{name}",
            "orders",
            ["status", name, *PLACE],
            sqlite_where=requests,
            postgresql_where=requests,
        )
    op.create_index("ix_orders_by_signer", "orders", ["signer", "kind", "status", *PLACE])
    op.create_index("ix_orders_ahead_block", "orders", ["ahead_block"])


def _chain() -> None:
    op.create_table(
        "deals",
        sa.Column("deal_id", sa.String(66), primary_key=True),
        *(sa.Column(name, sa.String(66), nullable=False) for name in DEAL_HASHES),
        sa.Column("volume", sa.BigInteger, nullable=False),
        sa.Column("block_number", sa.BigInteger, nullable=False),
        sa.Column("transaction_hash", sa.String(66), nullable=False),
        *(sa.Column(name, sa.String(42)) for name in DEAL_PARTIES),
        *(sa.Column(name, sa.BigInteger) for name in ("category", "workerpool_price", "block_timestamp")),
        sa.Column("document", sa.LargeBinary),
    )
    newest: list[str | sa.TextClause] = [sa.text("block_number DESC"), "deal_id"]
    op.create_index("ix_deals_by_block", "deals", newest)
    for name in (*DEAL_HASHES, *DEAL_PARTIES, "category"):
        op.create_index(f"ix_deals_by_{name}", "deals", [name, *newest])
    op.create_table(
        "categories",
        sa.Column("category", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("description", sa.Text, nullable=False),
        sa.Column("work_clock_time_ref", sa.BigInteger, nullable=False),
        sa.Column("block_number", sa.BigInteger, nullable=False),
        sa.Column("block_timestamp", sa.BigInteger, nullable=False),
        sa.Column("transaction_hash", sa.String(66), nullable=False),
    )
    op.create_table(
        "consumed",
        sa.Column("order_hash", sa.String(66), primary_key=True),
        sa.Column("volume", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "closures",
        sa.Column("order_hash", sa.String(66), primary_key=True),
        sa.Column("block_number", sa.BigInteger, nullable=False),
        sa.Column("transaction_hash", sa.String(66), nullable=False),
    )
    op.create_index("ix_closures_block_number", "closures", ["block_number"])
    for table, subject, value in (
        ("stakes", sa.Column("account", sa.String(42), primary_key=True), sa.Column("amount", sa.BigInteger)),
        ("owners", sa.Column("asset", sa.String(42), primary_key=True), sa.Column("owner", sa.String(42))),
        ("presigners", sa.Column("order_hash", sa.String(66), primary_key=True), sa.Column("presigner", sa.String(42))),
    ):
        op.create_table(
            table,
            subject,
            value,
            sa.Column("as_of", sa.BigInteger, nullable=False),
        )
        op.create_index(f"ix_{table}_as_of", table, ["as_of"])


def downgrade() -> None:
    raise NotImplementedError("what the chain did would have to be read anew: begin with a new database")
