"""A statement that goes straight to the driver does what SQLAlchemy would have it do, in the same transaction."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import sqlalchemy as sa

from pyiexec.foundation.database import Database
from pyiexec.foundation.glances import Glances
from pyiexec.foundation.statements import Statement, upsert
from pyiexec.protocol.errors import IexecError

pytestmark = pytest.mark.anyio
THINGS = sa.Table(
    "things", sa.MetaData(), sa.Column("name", sa.String(20), primary_key=True), sa.Column("size", sa.BigInteger)
)
ADD = Statement(sa.insert(THINGS))
SIZE = Statement(sa.select(THINGS.c.size).where(THINGS.c.name == sa.bindparam("wanted")))
PUT = upsert(THINGS)
PUT_KNOWN = upsert(THINGS, keep=("size",))
#: Has a value of its own besides the one it is given.
GROW = Statement(
    sa.update(THINGS)
    .where(THINGS.c.name == sa.bindparam("wanted"))
    .values(size=THINGS.c.size + 5)
    .returning(THINGS.c.size)
)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = await Database.open(database_url)
    await database.write(THINGS.create)
    yield database
    await database.close()


async def test_rows_go_in_and_come_out(database: Database, database_url: str) -> None:
    assert not await database.write(lambda connection: ADD.run(connection, name="'; --", size=1 << 60))
    assert [tuple(row) for row in await database.read(lambda db: SIZE.run(db, wanted="'; --"))] == [(1 << 60,)]
    assert [tuple(row) for row in await database.write(lambda db: GROW.run(db, wanted="'; --"))] == [((1 << 60) + 5,)]
    glances = Glances(database, database_url)
    assert [tuple(row) for row in await glances.ask(SIZE, wanted="'; --")] == [((1 << 60) + 5,)]
    assert not await glances.ask(SIZE, wanted="")
    glances.close()


async def test_rows_are_put_in_place_of_those_with_their_keys(database: Database) -> None:
    def sizes(connection: sa.Connection) -> list[int | None]:
        return [SIZE.run(connection, wanted=name)[0][0] for name in "abc"]

    rows = [{"name": name, "size": size} for size, name in enumerate("ab")]
    await database.write(lambda connection: ADD.run_all(connection, rows))
    await database.write(lambda db: PUT.run_all(db, [{"name": "b", "size": 7}, {"name": "c", "size": None}]))
    assert await database.read(sizes) == [0, 7, None]
    await database.write(lambda db: PUT_KNOWN.run_all(db, [{"name": "b", "size": None}, {"name": "c", "size": 9}]))
    assert await database.read(sizes) == [0, 7, 9]
    await database.write(lambda db: PUT.run_all(db, []))
    await database.write(lambda db: PUT.run(db, name="b", size=None))
    assert await database.read(sizes) == [0, None, 9]


async def test_one_row_that_fails_undoes_all_of_them(database: Database) -> None:
    rows = [{"name": name, "size": 1} for name in "xyx"]
    with pytest.raises(Exception, match=r"(?i)unique"):
        await database.write(lambda connection: ADD.run_all(connection, rows))
    assert await database.read(lambda db: SIZE.run(db, wanted="y")) == []


async def test_a_value_that_is_missing_is_an_error(database: Database) -> None:
    with pytest.raises(KeyError):
        await database.write(lambda connection: ADD.run(connection, name="a"))


async def test_what_fails_in_a_group_is_undone_alone(database: Database) -> None:
    def twice(connection: sa.Connection) -> None:
        ADD.run(connection, name="b", size=1)
        ADD.run(connection, name="a", size=1)

    def grow(connection: sa.Connection) -> int:
        return int(GROW.run(connection, wanted="a")[0][0])

    add = [lambda db, name=name: ADD.run(db, name=name, size=0) for name in ("c", "a")]
    before = database.commits
    outcomes = await asyncio.gather(*map(database.write, [*add, twice, grow]), return_exceptions=True)
    # The first may come alone; those that arrive meanwhile share a commit.
    assert database.commits - before <= 2
    assert not isinstance(outcomes[2], IexecError)
    assert "unique" in str(outcomes[2]).lower()
    assert outcomes[3] == 5
    assert await database.read(lambda db: [bool(SIZE.run(db, wanted=name)) for name in "abc"]) == [True, False, True]
