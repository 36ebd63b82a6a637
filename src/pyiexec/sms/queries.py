"""All SQL of the secret management service. Each function runs inside the transaction of the connection it is given."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import sqlalchemy as sa

from pyiexec.protocol.primitives import Address, Bytes32
from pyiexec.protocol.secrets import Secret, SecretKind
from pyiexec.sms.rules import Standing
from pyiexec.sms.tables import SECRETS, SPENT_MESSAGES, SPENT_NONCES

_SET = SECRETS.c.sealed.is_not(None)


class Sealed(NamedTuple):
    """A stored secret as it lies in the database."""

    secret: Secret
    key_id: str
    sealed: bytes


class Named(NamedTuple):
    """What may be shown of a secret; moments are milliseconds since the Unix epoch."""

    secret: Secret
    created_at: int
    updated_at: int


def _row_of(secret: Secret) -> sa.ColumnElement[bool]:
    return sa.and_(
        SECRETS.c.kind == str(secret.kind), SECRETS.c.subject == secret.subject, SECRETS.c.name == secret.name
    )


# --- reading ------------------------------------------------------------------------------------------------------


def exists(connection: sa.Connection, secret: Secret) -> bool:
    """Whether the secret has a value."""
    return connection.execute(sa.select(SECRETS.c.kind).where(_row_of(secret), _SET)).first() is not None


def standing(connection: sa.Connection, secret: Secret, fingerprint: str | None) -> Standing:
    """What bears on a request to change a secret.

    Args:
        connection: transaction.
        secret: which.
        fingerprint: of the legacy message that came with the request; None with a bound authorisation.
    """
    row = connection.execute(
        sa.select(_SET.label("exists"), SECRETS.c.bound, SECRETS.c.fingerprint).where(_row_of(secret))
    ).one_or_none()
    spent = connection.execute(
        sa.select(SPENT_MESSAGES.c.kind).where(SPENT_MESSAGES.c.fingerprint == fingerprint)
    ).scalar_one_or_none()
    return Standing(
        exists=row is not None and bool(row.exists),
        bound=row is not None and row.bound,
        spent=None if spent is None else SecretKind(spent),
        current=row is not None and fingerprint is not None and row.fingerprint == fingerprint,
    )


def sealed(connection: sa.Connection, secret: Secret) -> Sealed | None:
    """The secret as it is stored, if it is."""
    query = sa.select(SECRETS.c.key_id, SECRETS.c.sealed).where(_row_of(secret), _SET)
    row = connection.execute(query).one_or_none()
    return None if row is None else Sealed(secret, row.key_id, row.sealed)


def names_of(connection: sa.Connection, owner: Address) -> list[Named]:
    """The secrets that a person set, and those that are the person's own, in a fixed order."""
    mine = sa.and_(SECRETS.c.subject == owner, SECRETS.c.kind.in_([SecretKind.WEB2, SecretKind.REQUESTER]))
    query = (
        sa.select(SECRETS.c.kind, SECRETS.c.subject, SECRETS.c.name, SECRETS.c.created_at, SECRETS.c.updated_at)
        .where(_SET, sa.or_(mine, SECRETS.c.set_by == owner))
        .order_by(SECRETS.c.kind, SECRETS.c.subject, SECRETS.c.name)
    )
    return [
        Named(Secret(SecretKind(row.kind), row.subject, row.name), row.created_at, row.updated_at)
        for row in connection.execute(query)
    ]


def counts(connection: sa.Connection) -> dict[SecretKind, int]:
    """How many secrets of each kind are stored."""
    query = sa.select(SECRETS.c.kind, sa.func.count()).where(_SET).group_by(SECRETS.c.kind)
    found = dict.fromkeys(SecretKind, 0)
    for kind, number in connection.execute(query):
        found[SecretKind(kind)] = number
    return found


# --- changing -----------------------------------------------------------------------------------------------------


def store(
    connection: sa.Connection,
    secret: Secret,
    key_id: str,
    ciphertext: bytes,
    *,
    fingerprint: str | None,
    set_by: Address,
    moment: int,
) -> None:
    """Give a secret its value; one that was changed with a bound authorisation once stays marked so.

    Args:
        connection: transaction.
        secret: which.
        key_id: of the key it is sealed with.
        ciphertext: sealed value.
        fingerprint: of the legacy message that set it; None with a bound authorisation.
        set_by: whoever signed.
        moment: milliseconds since the Unix epoch.
    """
    row = connection.execute(
        sa.select(_SET.label("exists"), SECRETS.c.bound, SECRETS.c.created_at).where(_row_of(secret))
    ).one_or_none()
    values = {
        "sealed": ciphertext,
        "key_id": key_id,
        "bound": fingerprint is None or (row is not None and row.bound),
        "fingerprint": fingerprint,
        "set_by": set_by,
        "created_at": row.created_at if row is not None and row.exists else moment,
        "updated_at": moment,
    }
    if row is None:
        name = {"kind": str(secret.kind), "subject": secret.subject, "name": secret.name}
        connection.execute(sa.insert(SECRETS).values(**name, **values))
    else:
        connection.execute(sa.update(SECRETS).where(_row_of(secret)).values(**values))
    if fingerprint is not None:
        connection.execute(sa.insert(SPENT_MESSAGES).values(fingerprint=fingerprint, kind=str(secret.kind)))


def erase(connection: sa.Connection, secret: Secret, moment: int) -> None:
    """Take a secret's value away; that a bound authorisation did so is kept."""
    gone = {"sealed": None, "key_id": None, "fingerprint": None, "bound": True, "updated_at": moment}
    connection.execute(sa.update(SECRETS).where(_row_of(secret)).values(**gone))


def spend_nonce(connection: sa.Connection, signer: Address, nonce: Bytes32, deadline: int, now: float) -> bool:
    """Use up a nonce; False when that was done before. Those that time has voided are forgotten."""
    connection.execute(sa.delete(SPENT_NONCES).where(SPENT_NONCES.c.deadline <= int(now)))
    known = sa.select(SPENT_NONCES.c.nonce).where(SPENT_NONCES.c.nonce == nonce, SPENT_NONCES.c.signer == signer)
    if connection.execute(known).first() is not None:
        return False
    connection.execute(sa.insert(SPENT_NONCES).values(nonce=nonce, signer=signer, deadline=deadline))
    return True


# --- keys ---------------------------------------------------------------------------------------------------------


def key_ids(connection: sa.Connection) -> set[str]:
    """Keys with which something is encrypted."""
    return set(connection.execute(sa.select(SECRETS.c.key_id).where(_SET).distinct()).scalars())


def is_used(connection: sa.Connection) -> bool:
    """Whether anything is remembered that takes the key ring to be understood."""
    tables = (SECRETS, SPENT_MESSAGES)
    return any(connection.execute(sa.select(sa.literal(1)).select_from(table).limit(1)).first() for table in tables)


def sealed_with(connection: sa.Connection, key_id: str, limit: int) -> list[Sealed]:
    """Some secrets encrypted with a key."""
    return _sealed(connection, SECRETS.c.key_id == key_id, limit)


def sealed_without(connection: sa.Connection, key_id: str, limit: int) -> list[Sealed]:
    """Some secrets encrypted with any other key."""
    return _sealed(connection, SECRETS.c.key_id != key_id, limit)


def count_without(connection: sa.Connection, key_id: str) -> int:
    """How many secrets are encrypted with any other key."""
    query = sa.select(sa.func.count()).select_from(SECRETS).where(_SET, SECRETS.c.key_id != key_id)
    return connection.execute(query).scalar_one()


def reseal(connection: sa.Connection, entries: Sequence[Sealed]) -> None:
    """Replace ciphertexts by others of the same values."""
    for entry in entries:
        values = {"key_id": entry.key_id, "sealed": entry.sealed}
        connection.execute(sa.update(SECRETS).where(_row_of(entry.secret)).values(**values))


def _sealed(connection: sa.Connection, clause: sa.ColumnElement[bool], limit: int) -> list[Sealed]:
    query = (
        sa.select(SECRETS.c.kind, SECRETS.c.subject, SECRETS.c.name, SECRETS.c.key_id, SECRETS.c.sealed)
        .where(_SET, clause)
        .limit(limit)
    )
    return [
        Sealed(Secret(SecretKind(row.kind), row.subject, row.name), row.key_id, row.sealed)
        for row in connection.execute(query)
    ]
