"""All SQL of the result proxy. Times are seconds since the epoch."""

from __future__ import annotations

from typing import NamedTuple

import sqlalchemy as sa

from pyiexec.protocol.primitives import Address, Bytes32, TaskId
from pyiexec.results.tables import TASK_RESULTS, UPLOAD_CHALLENGES, UPLOAD_PERMISSIONS


class TaskResult(NamedTuple):
    """The archive uploaded for a task."""

    task_id: TaskId
    cid: str
    size: int
    uploader: Address
    uploaded_at: int


def result_of(connection: sa.Connection, task_id: TaskId) -> TaskResult | None:
    """What was uploaded for a task."""
    row = connection.execute(sa.select(TASK_RESULTS).where(TASK_RESULTS.c.task_id == task_id)).one_or_none()
    return TaskResult(*row) if row else None


def add_result(connection: sa.Connection, result: TaskResult) -> TaskResult:
    """Note an upload; what is noted for the task, which is another one when somebody came first."""
    known = result_of(connection, result.task_id)
    if known is None:
        connection.execute(sa.insert(TASK_RESULTS).values(result._asdict()))
    return known or result


def uploaded_bytes(connection: sa.Connection, uploader: Address, since: int) -> int:
    """How much an account uploaded from `since` on."""
    column = TASK_RESULTS.c
    total = sa.select(sa.func.coalesce(sa.func.sum(column.size), 0))
    return int(connection.execute(total.where(column.uploader == uploader, column.uploaded_at >= since)).scalar_one())


def allow(
    connection: sa.Connection, task_id: TaskId, worker: Address, enclave_challenge: Address, expires_at: int, now: int
) -> None:
    """Remember a permission in place of an earlier one, and forget those that expired."""
    column = UPLOAD_PERMISSIONS.c
    connection.execute(
        sa.delete(UPLOAD_PERMISSIONS).where(
            sa.or_(column.expires_at <= now, sa.and_(column.task_id == task_id, column.worker == worker))
        )
    )
    connection.execute(
        sa.insert(UPLOAD_PERMISSIONS).values(
            task_id=task_id, worker=worker, enclave_challenge=enclave_challenge, expires_at=expires_at
        )
    )


def enclave_of(connection: sa.Connection, task_id: TaskId, worker: Address, now: int) -> Address | None:
    """The enclave challenge of a permission; None when there is none."""
    column = UPLOAD_PERMISSIONS.c
    found = connection.execute(
        sa.select(column.enclave_challenge).where(
            column.task_id == task_id, column.worker == worker, column.expires_at > now
        )
    ).scalar_one_or_none()
    return Address(found) if found is not None else None


def disallow(connection: sa.Connection, task_id: TaskId, worker: Address) -> None:
    """Forget a permission that was used."""
    column = UPLOAD_PERMISSIONS.c
    connection.execute(sa.delete(UPLOAD_PERMISSIONS).where(column.task_id == task_id, column.worker == worker))


def add_challenge(connection: sa.Connection, digest: Bytes32, address: Address, now: int, expires_at: int) -> None:
    """Remember a challenge, and forget those that expired."""
    connection.execute(sa.delete(UPLOAD_CHALLENGES).where(UPLOAD_CHALLENGES.c.expires_at <= now))
    connection.execute(sa.insert(UPLOAD_CHALLENGES).values(digest=digest, address=address, expires_at=expires_at))


def burn_challenge(connection: sa.Connection, digest: Bytes32, address: Address, now: int) -> bool:
    """Use a challenge up; false when it could not be answered any more."""
    column = UPLOAD_CHALLENGES.c
    used = connection.execute(
        sa.delete(UPLOAD_CHALLENGES).where(column.digest == digest, column.address == address, column.expires_at > now)
    )
    return bool(used.rowcount)
