"""SQL of the transaction queue; each function runs inside one database transaction."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Iterable

import msgspec
import sqlalchemy as sa

from pyiexec.chain.transactions.records import TransactionRecord, TransactionStatus
from pyiexec.chain.transactions.tables import STATE_COLUMNS, from_row, state_of, to_row, transactions
from pyiexec.foundation.statements import Statement
from pyiexec.protocol.primitives import Address

_Row = namedtuple("_Row", [column.name for column in transactions.c])  # type: ignore[misc]
_FIND = Statement(
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
_INSERT = Statement(
    sa.insert(transactions).returning(transactions.c.id),
    columns=[column.name for column in transactions.c if column is not transactions.c.id],
)
_UPDATE = Statement(
    sa.update(transactions).where(transactions.c.id == sa.bindparam("identifier")), columns=STATE_COLUMNS
)


def find(connection: sa.Connection, chain_id: int, sender: Address, key: tuple[str, str]) -> TransactionRecord | None:
    """The latest attempt at an action."""
    rows = _FIND.run(connection, chain=chain_id, account=sender, object=key[0], deed=key[1])
    return from_row(_Row(*rows[0])) if rows else None


def by_id(connection: sa.Connection, identifier: int) -> TransactionRecord | None:
    """The record with this id."""
    row = connection.execute(sa.select(transactions).where(transactions.c.id == identifier)).first()
    return from_row(row) if row else None


def insert(connection: sa.Connection, chain_id: int, record: TransactionRecord) -> TransactionRecord:
    """Add a record; returned with its id."""
    [(identifier,)] = _INSERT.run(connection, **to_row(record, chain_id))
    return msgspec.structs.replace(record, id=identifier)


def update(connection: sa.Connection, records: Iterable[TransactionRecord]) -> None:
    """Store what changed about these records."""
    _UPDATE.run_all(connection, ({"identifier": record.id} | state_of(record) for record in records))


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
