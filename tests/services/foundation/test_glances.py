"""A short read sees one consistent state, and a long one holds nobody up."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator
from typing import Any

import pytest
import sqlalchemy as sa

from pyiexec.foundation.database import Database
from pyiexec.foundation.glances import Glances, Run

pytestmark = pytest.mark.anyio
LONG = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500000) SELECT count(*) FROM n"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = await Database.open(database_url)
    await database.write(lambda connection: connection.execute(sa.text("CREATE TABLE numbers (number INTEGER)")))
    yield database
    await database.close()


@pytest.fixture
async def glances(database: Database, database_url: str) -> AsyncIterator[Glances]:
    glances = Glances(database, database_url)
    yield glances
    glances.close()


def insert(number: int) -> Any:
    return lambda connection: connection.execute(sa.text(f"INSERT INTO numbers VALUES ({number})"))


def total(run: Run) -> int:
    return int(run("SELECT count(*) FROM numbers", ())[0][0])


async def test_it_sees_what_was_committed_before(database: Database, glances: Glances) -> None:
    for number in range(3):
        await database.write(insert(number))
        assert await glances.read(total) == number + 1


async def test_statements_in_its_dialect_take_values(database: Database, glances: Glances) -> None:
    await database.write(insert(7))
    number = sa.column("number", sa.Integer)
    query = sa.select(number).select_from(sa.table("numbers")).where(number == sa.bindparam("wanted", type_=sa.Integer))
    statement = str(query.compile(dialect=glances.dialect))
    assert [tuple(row) for row in await glances.read(lambda run: run(statement, [7]))] == [(7,)]
    assert not await glances.read(lambda run: run(statement, [8]))


async def test_a_short_read_is_made_here_and_a_long_one_elsewhere(glances: Glances, database_url: str) -> None:
    threads: list[str] = []

    def read(statement: str) -> Any:
        def function(run: Run) -> Any:
            threads.append(threading.current_thread().name)
            return run(statement, ())[0][0]

        return function

    here = threading.current_thread().name
    assert await glances.read(read("SELECT 1")) == 1
    assert await glances.read(read(LONG)) == 500000
    assert await glances.read(read("SELECT 2")) == 2
    if database_url.startswith("sqlite"):
        assert [name == here for name in threads] == [True, True, False, True]


async def test_it_writes_nothing(glances: Glances, database_url: str) -> None:
    if database_url.startswith("postgresql"):
        with pytest.raises(Exception, match="read-only"):
            await glances.read(lambda run: run("INSERT INTO numbers VALUES (1)", ()))
    else:
        with pytest.raises(Exception, match=r"readonly|rows"):
            await glances.read(lambda run: run("INSERT INTO numbers VALUES (1)", ()))
    assert await glances.read(total) == 0
