"""SQL of the transaction queue; each function runs inside one database transaction."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
import sqlalchemy as sa

from pyiexec.chain.transactions.records import TransactionRecord, TransactionStatus
from pyiexec.chain.transactions.tables import from_row, state_of, to_row, transactions
from pyiexec.protocol.primitives import Address

_of_key = (
    sa.select(transactions)
    .where(
        transactions.c.chain_id == sa.bindparam("chain"),
        transactions.c.sender == sa.bindparam("account"),
        transactions.c.object_id == sa.bindparam("object"),
        transactions.c.action == sa.bindparam("deed"),
    )
    .order_by(transactions.c.attempt.desc())
    .limit(1)
)
_insert = sa.insert(transactions)


def find(connection: sa.Connection, chain_id: int, sender: Address, key: tuple[str, str]) -> TransactionRecord | None:
    """The latest attempt at an action."""
    parameters = {"chain": chain_id, "account": sender, "object": key[0], "deed": key[1]}
    row = connection.execute(_of_key, parameters).first()
    return from_row(row) if row else None


def by_id(connection: sa.Connection, identifier: int) -> TransactionRecord | None:
    """The record with this id."""
    row = connection.execute(sa.select(transactions).where(transactions.c.id == identifier)).first()
    return from_row(row) if row else None


def insert(connection: sa.Connection, chain_id: int, record: TransactionRecord) -> TransactionRecord:
    """Add a record; returned with its id."""
    inserted = connection.execute(_insert, to_row(record, chain_id)).inserted_primary_key
    assert inserted is not None, "the table has a primary key"
    return msgspec.structs.replace(record, id=inserted[0])


def update(connection: sa.Connection, records: Iterable[TransactionRecord]) -> None:
    """Store what changed about these records."""
    for record in records:
        connection.execute(sa.update(transactions).where(transactions.c.id == record.id).values(**state_of(record)))


def unsettled(connection: sa.Connection, chain_id: int, sender: Address) -> list[TransactionRecord]:
    """Everything queued or pending, in the order of submission."""
    statuses = (TransactionStatus.QUEUED.value, TransactionStatus.PENDING.value)
    query = _of_account(chain_id, sender).where(transactions.c.status.in_(statuses)).order_by(transactions.c.id)
    return [from_row(row) for row in connection.execute(query)]


def included_since(connection: sa.Connection, chain_id: int, sender: Address, block: int) -> list[TransactionRecord]:
    """Everything that was last seen in a block of this number or above."""
    statuses = (TransactionStatus.INCLUDED.value, TransactionStatus.REVERTED.value)
    query = _of_account(chain_id, sender).where(
        transactions.c.status.in_(statuses), transactions.c.block_number >= block
    )
    return [from_row(row) for row in connection.execute(query.order_by(transactions.c.nonce))]


def _of_account(chain_id: int, sender: Address) -> sa.Select[tuple[object, ...]]:
    return sa.select(transactions).where(transactions.c.chain_id == chain_id, transactions.c.sender == sender)
