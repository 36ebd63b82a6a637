"""The database keeps what it confirmed, and nothing of what failed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest
import sqlalchemy as sa

from pyiexec.chain.follower import MIGRATIONS as FOLLOWER
from pyiexec.chain.transactions import MIGRATIONS as TRANSACTIONS
from pyiexec.foundation.database import Database
from pyiexec.protocol.errors import IexecError

metadata = sa.MetaData()
notes = sa.Table("notes", metadata, sa.Column("number", sa.Integer, primary_key=True))


@asynccontextmanager
async def open_notes(url: str) -> AsyncIterator[Database]:
    database = await Database.open(url)
    try:
        await database.write(metadata.create_all)
        yield database
    finally:
        await database.close()


def add(number: int):  # type: ignore[no-untyped-def]
    return lambda connection: connection.execute(notes.insert().values(number=number))


def numbers(connection: sa.Connection) -> list[int]:
    return list(connection.execute(sa.select(notes.c.number).order_by(notes.c.number)).scalars())


def test_a_read_sees_every_write_confirmed_before_it(database_url: str) -> None:
    async def scenario() -> None:
        async with open_notes(database_url) as database:
            for number in range(20):
                await database.write(add(number))
                assert await database.read(numbers) == list(range(number + 1))

    asyncio.run(scenario())


def test_a_burst_of_writes_shares_commits(database_url: str) -> None:
    async def scenario() -> None:
        async with open_notes(database_url) as database:
            before = database.commits
            async with anyio.create_task_group() as group:
                for number in range(1_000):
                    group.start_soon(database.write, add(number))
            assert len(await database.read(numbers)) == 1_000
            assert database.commits - before < 100

    asyncio.run(scenario())


def test_a_failing_write_leaves_nothing_behind_and_spares_its_neighbours(database_url: str) -> None:
    async def scenario() -> None:
        failures: list[int] = []

        def half(connection: sa.Connection, number: int) -> None:
            connection.execute(notes.insert().values(number=number))
            raise LookupError(number)

        async with open_notes(database_url) as database:

            async def fail(number: int) -> None:
                try:
                    await database.write(lambda connection: half(connection, number))
                except LookupError:
                    failures.append(number)

            async with anyio.create_task_group() as group:
                for number in range(60):
                    group.start_soon(*((fail, number) if number % 3 == 0 else (database.write, add(number))))
            assert sorted(failures) == [number for number in range(60) if number % 3 == 0]
            assert await database.read(numbers) == [number for number in range(60) if number % 3]

    asyncio.run(scenario())


def test_a_cancelled_caller_leaves_the_database_usable(database_url: str) -> None:
    async def scenario() -> None:
        async with open_notes(database_url) as database:
            with anyio.move_on_after(0) as scope:
                await database.write(add(1))
            assert scope.cancelled_caught
            await database.write(add(2))
            assert 2 in await database.read(numbers)

    asyncio.run(scenario())


def test_a_closed_database_refuses_work_by_name(database_url: str) -> None:
    async def scenario() -> None:
        async with open_notes(database_url) as database:
            pass
        with pytest.raises(IexecError, match="closed") as caught:
            await database.write(add(1))
        assert caught.value.code == "DATABASE_UNAVAILABLE"

    asyncio.run(scenario())


def test_a_file_that_is_no_database_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "notes.db").write_bytes(b"not a database, and long enough to be read as one" * 30)

    async def scenario() -> None:
        with pytest.raises(IexecError) as caught:
            await Database.open(f"sqlite:///{tmp_path / 'notes.db'}", [FOLLOWER])
        assert caught.value.code == "DATABASE_UNAVAILABLE"

    asyncio.run(scenario())


def test_lineages_of_migrations_live_side_by_side_and_run_once(database_url: str) -> None:
    async def tables() -> set[str]:
        database = await Database.open(database_url, [FOLLOWER, TRANSACTIONS])
        try:
            return set(await database.read(lambda connection: sa.inspect(connection).get_table_names()))
        finally:
            await database.close()

    async def scenario() -> None:
        first = await tables()
        assert {"alembic_version_follower", "alembic_version_transactions", "log_cursors"} <= first
        assert await tables() == first

    asyncio.run(scenario())


def test_many_databases_migrate_at_once_in_one_process(tmp_path: Path) -> None:
    async def scenario() -> None:
        async def one(number: int) -> None:
            database = await Database.open(f"sqlite:///{tmp_path / f'{number}.db'}", [FOLLOWER, TRANSACTIONS])
            await database.close()

        async with anyio.create_task_group() as group:
            for number in range(6):
                group.start_soon(one, number)

    asyncio.run(scenario())


@pytest.mark.parametrize("durable", [False, True])
def test_a_durable_database_flushes_each_commit(database_url: str, durable: bool) -> None:
    def level(connection: sa.Connection) -> str:
        asked = "SHOW synchronous_commit" if connection.dialect.name == "postgresql" else "PRAGMA synchronous"
        return str(connection.exec_driver_sql(asked).scalar_one())

    async def scenario() -> None:
        database = await Database.open(database_url, durable=durable)
        try:
            # SQLite's 1 flushes at checkpoints, its 2 at each commit.
            assert await database.write(level) == ("on" if "postgresql" in database_url else "2" if durable else "1")
        finally:
            await database.close()

    asyncio.run(scenario())
