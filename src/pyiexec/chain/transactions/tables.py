"""The persisted queue of transactions."""

from __future__ import annotations

from typing import Any

import msgspec
import sqlalchemy as sa

from pyiexec.chain.gas import Fees
from pyiexec.chain.transactions.records import TransactionRecord, TransactionStatus
from pyiexec.foundation.database import Migrations
from pyiexec.protocol.primitives import Address

#: To be given to `Database.open` by every service that sends transactions.
MIGRATIONS = Migrations("pyiexec.chain.transactions.migrations", lineage="transactions")

metadata = sa.MetaData()

transactions = sa.Table(
    "transactions",
    metadata,
    sa.Column("id", sa.Integer().with_variant(sa.BigInteger, "postgresql"), primary_key=True),
    sa.Column("chain_id", sa.BigInteger, nullable=False),
    sa.Column("sender", sa.String(42), nullable=False),
    sa.Column("object_id", sa.Text, nullable=False),
    sa.Column("action", sa.Text, nullable=False),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("to_address", sa.String(42), nullable=True),
    sa.Column("data", sa.LargeBinary, nullable=False),
    sa.Column("value", sa.Text, nullable=False),
    sa.Column("gas", sa.BigInteger, nullable=False),
    sa.Column("status", sa.String(16), nullable=False),
    sa.Column("nonce", sa.BigInteger, nullable=True),
    sa.Column("max_fee", sa.BigInteger, nullable=True),
    sa.Column("tip", sa.BigInteger, nullable=True),
    sa.Column("raw", sa.LargeBinary, nullable=False),
    sa.Column("hash", sa.String(66), nullable=False),
    sa.Column("former_hashes", sa.Text, nullable=False),
    sa.Column("block_number", sa.BigInteger, nullable=True),
    sa.Column("block_hash", sa.String(66), nullable=False),
    sa.Column("error_code", sa.String(64), nullable=False),
    sa.Column("error", sa.Text, nullable=False),
    sa.Column("created_at", sa.Float, nullable=False),
    sa.UniqueConstraint("chain_id", "sender", "object_id", "action", "attempt", name="uq_transactions_action"),
    sa.Index("ix_transactions_status", "chain_id", "sender", "status", "block_number"),
)

#: What changes during a record's life.
STATE_COLUMNS = (
    "status",
    "nonce",
    "max_fee",
    "tip",
    "raw",
    "hash",
    "former_hashes",
    "block_number",
    "block_hash",
    "error_code",
    "error",
)


def to_row(record: TransactionRecord, chain_id: int) -> dict[str, Any]:
    """Column values of a record, without its id."""
    return {
        "chain_id": chain_id,
        "sender": record.sender,
        "object_id": record.object_id,
        "action": record.action,
        "attempt": record.attempt,
        "to_address": record.to,
        "data": record.data,
        # Wei does not fit into 64 bits.
        "value": str(record.value),
        "gas": record.gas,
        "created_at": record.created_at,
    } | state_of(record)


def state_of(record: TransactionRecord) -> dict[str, Any]:
    """Values of `STATE_COLUMNS`."""
    return {
        "status": record.status.value,
        "nonce": record.nonce,
        "max_fee": record.fees.max_fee if record.fees else None,
        "tip": record.fees.tip if record.fees else None,
        "raw": record.raw,
        "hash": record.hash,
        "former_hashes": msgspec.json.encode(record.former_hashes).decode(),
        "block_number": record.block_number,
        "block_hash": record.block_hash,
        "error_code": record.error_code,
        "error": record.error,
    }


def from_row(row: Any) -> TransactionRecord:
    """The record of a row, which has the columns' values as attributes."""
    return TransactionRecord(
        id=row.id,
        sender=Address(row.sender),
        object_id=row.object_id,
        action=row.action,
        attempt=row.attempt,
        to=Address(row.to_address) if row.to_address else None,
        data=bytes(row.data),
        value=int(row.value),
        gas=row.gas,
        status=TransactionStatus(row.status),
        nonce=row.nonce,
        fees=Fees(row.max_fee, row.tip) if row.max_fee is not None else None,
        raw=bytes(row.raw),
        hash=row.hash,
        former_hashes=msgspec.json.decode(row.former_hashes, type=tuple[str, ...]),
        block_number=row.block_number,
        block_hash=row.block_hash,
        error_code=row.error_code,
        error=row.error,
        created_at=row.created_at,
    )
