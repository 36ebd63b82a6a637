"""All SQL of the compass. Each function runs inside the transaction of the connection it is given."""

from __future__ import annotations

import sqlalchemy as sa

from pyiexec.compass.tables import POOL_URLS
from pyiexec.protocol.pool_urls import PoolUrl, check_moment
from pyiexec.protocol.primitives import Address


def url_of(connection: sa.Connection, chain_id: int, workerpool: Address) -> str | None:
    """The URL that was registered last for a pool; empty when that took it back, None when there was none."""
    query = (
        sa.select(POOL_URLS.c.api_url)
        .where(POOL_URLS.c.chain_id == chain_id, POOL_URLS.c.workerpool == workerpool)
        .order_by(POOL_URLS.c.version.desc())
        .limit(1)
    )
    return connection.execute(query).scalar_one_or_none()


def register(connection: sa.Connection, chain_id: int, owner: Address, registration: PoolUrl, now: float) -> None:
    """Take a registration signed by the pool's owner.

    Raises:
        IexecError: as `check_moment`.
    """
    pool = sa.and_(POOL_URLS.c.chain_id == chain_id, POOL_URLS.c.workerpool == registration.workerpool)
    mine = sa.and_(pool, POOL_URLS.c.owner == owner)
    latest = connection.execute(sa.select(POOL_URLS.c.deadline).where(mine)).scalar_one_or_none()
    check_moment(registration.deadline, now, latest)
    version = connection.execute(sa.select(sa.func.max(POOL_URLS.c.version)).where(pool)).scalar_one() or 0
    values = {"api_url": registration.api_url, "deadline": registration.deadline, "version": version + 1}
    if latest is None:
        name = {"chain_id": chain_id, "workerpool": registration.workerpool, "owner": owner}
        connection.execute(sa.insert(POOL_URLS).values(**name, **values))
    else:
        connection.execute(sa.update(POOL_URLS).where(mine).values(**values))
