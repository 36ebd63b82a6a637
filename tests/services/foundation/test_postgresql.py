"""PostgreSQL goes away and comes back, connections break at the worst moment, and nothing is lost or told wrongly."""

from __future__ import annotations

import asyncio
import signal
import traceback
from collections.abc import Iterator
from contextlib import suppress
from urllib.parse import urlsplit

import anyio
import pytest
import sqlalchemy as sa
from tests.databases import ESCAPED_PASSWORD, PASSWORD, PostgresqlServer
from tests.services.foundation.test_sharing import neighbour, opened, run

from pyiexec.chain.follower import MIGRATIONS as FOLLOWER
from pyiexec.chain.transactions import MIGRATIONS as TRANSACTIONS
from pyiexec.foundation import database as database_module
from pyiexec.foundation import postgresql as engine
from pyiexec.foundation.database import Database, Leadership, announce
from pyiexec.protocol.errors import IexecError

notes = sa.Table("notes", sa.MetaData(), sa.Column("number", sa.Integer, primary_key=True))


def add(number: int):  # type: ignore[no-untyped-def]
    return lambda connection: connection.execute(notes.insert().values(number=number))


def numbers(connection: sa.Connection) -> list[int]:
    return list(connection.execute(sa.select(notes.c.number).order_by(notes.c.number)).scalars())


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresqlServer]:
    """One to be stopped and started, apart from the one that other tests use."""
    server = PostgresqlServer()
    yield server
    server.remove()


@pytest.fixture
def url(server: PostgresqlServer) -> str:
    return server.create_database()


def break_connections(server: PostgresqlServer, url: str, clause: str = "true") -> None:
    server.query(
        url,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        f" WHERE datname = current_database() AND pid <> pg_backend_pid() AND {clause}",
    )


class TestRestarts:
    @pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT])
    def test_work_goes_on_when_the_server_is_back(
        self, server: PostgresqlServer, url: str, how: signal.Signals
    ) -> None:
        async def scenario() -> None:
            async with opened(url) as database:
                await database.write(notes.create)
                await database.write(add(1))
                await asyncio.to_thread(server.stop, how)
                async with anyio.create_task_group() as group:
                    # Asked while it is away, answered when it is back.
                    group.start_soon(database.write, add(2))
                    group.start_soon(database.read, numbers)
                    await anyio.wait_all_tasks_blocked()
                    server.start()
                assert await database.read(numbers) == [1, 2]

        run(scenario)

    def test_a_burst_across_crashes_loses_nothing_that_was_confirmed(self, server: PostgresqlServer, url: str) -> None:
        confirmed: list[int] = []
        refused: list[str] = []
        done = False
        more = asyncio.Queue[None]()

        async def write(database: Database, first: int) -> None:
            number = first
            while not done:
                number += 10
                try:
                    await database.write(add(number))
                    confirmed.append(number)
                    more.put_nowait(None)
                except IexecError as error:
                    refused.append(error.code)

        async def scenario() -> None:
            nonlocal done
            async with opened(url) as database:
                await database.write(notes.create)
                async with anyio.create_task_group() as group:
                    for first in range(10):
                        group.start_soon(write, database, first)
                    for _ in range(4):
                        for _ in range(100):
                            await more.get()
                        await asyncio.to_thread(server.stop, signal.SIGQUIT)
                        server.start()
                    done = True
                assert await database.read(numbers) == sorted(confirmed)
                assert set(refused) <= {"DATABASE_UNAVAILABLE"}

        run(scenario)

    def test_a_server_that_stays_away_is_an_error_that_says_so(
        self, server: PostgresqlServer, url: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(engine, "PATIENCE", 0.3)

        async def scenario() -> None:
            async with opened(url) as database:
                await asyncio.to_thread(server.stop)
                try:
                    for work in (database.write(numbers), database.read(numbers), Database.open(url)):
                        with pytest.raises(IexecError) as caught:
                            await work
                        assert caught.value.code == "DATABASE_UNAVAILABLE"
                        assert caught.value.retry
                finally:
                    server.start()
                assert await database.read(lambda c: c.execute(sa.text("SELECT 1")).scalar_one()) == 1

        run(scenario)

    def test_a_write_that_is_insisted_on_is_done_in_the_end_and_once(
        self, server: PostgresqlServer, url: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(engine, "PATIENCE", 0.1)
        monkeypatch.setattr(database_module, "_TRY_AGAIN", 0.1)

        async def scenario() -> None:
            async with opened(url) as database:
                await database.write(notes.create)
                await asyncio.to_thread(server.stop)
                async with anyio.create_task_group() as group:
                    group.start_soon(database.insist, add(1))
                    with anyio.move_on_after(0.5) as scope:
                        await database.insist(add(2))
                    assert scope.cancelled_caught
                    server.start()
                assert await database.read(numbers) == [1]
                with pytest.raises(sa.exc.IntegrityError):
                    await database.insist(add(1))
            with pytest.raises(IexecError) as caught:
                await database.insist(add(3))
            assert caught.value.code == "DATABASE_UNAVAILABLE"

        run(scenario)

    def test_listeners_hear_again_and_know_that_they_missed_some(self, server: PostgresqlServer, url: str) -> None:
        async def scenario() -> None:
            async with opened(url) as database, database.listen("news") as inbox:
                await database.write(lambda c: announce(c, "news", "before"))
                assert await anext(inbox) == "before"
                await asyncio.to_thread(server.stop)
                server.start()
                assert await anext(inbox) is None
                await database.write(lambda c: announce(c, "news", "after"))
                assert await anext(inbox) == "after"
                async with database.listen("more") as more:
                    await database.write(lambda c: announce(c, "more", "too"))
                    assert await anext(more) == "too"

        run(scenario)

    def test_a_leader_that_is_cut_off_stops_and_leads_again(self, server: PostgresqlServer, url: str) -> None:
        terms: list[Leadership] = []
        ended: list[int] = []

        async def scenario() -> None:
            async with opened(url) as database, anyio.create_task_group() as group:
                began = asyncio.Queue[None]()

                async def job(leadership: Leadership) -> None:
                    terms.append(leadership)
                    began.put_nowait(None)
                    try:
                        await anyio.sleep_forever()
                    finally:
                        ended.append(len(terms))

                group.start_soon(database.keep_leading, "work", job)
                await began.get()
                await asyncio.to_thread(server.stop)
                server.start()
                await began.get()
                assert ended == [1]
                with pytest.raises(IexecError) as caught:
                    await terms[0].write(lambda _: None)
                assert caught.value.code == "LEADERSHIP_LOST"
                await terms[1].write(lambda _: None)
                group.cancel_scope.cancel()

        run(scenario)

    def test_a_cut_off_leader_is_told_by_name(self, server: PostgresqlServer, url: str) -> None:
        async def scenario() -> None:
            async with opened(url) as database:

                async def be_cut_off() -> None:
                    async with database.lead("work"):
                        await asyncio.to_thread(break_connections, server, url, "query LIKE '%pg_advisory_lock%'")
                        await anyio.sleep_forever()

                with pytest.raises(IexecError) as caught:
                    await be_cut_off()
                assert caught.value.code == "LEADERSHIP_LOST"

        run(scenario)


class Proxy:
    """Stands between client and server, and cuts the line at a COMMIT: before it reached the server, or after."""

    def __init__(self) -> None:
        self.cuts = ""
        self.port = 0

    async def serve(self, port: int) -> asyncio.Server:
        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            upstream_reader, upstream_writer = await asyncio.open_connection("127.0.0.1", port)
            with suppress(asyncio.CancelledError):
                await asyncio.gather(self._ask(reader, upstream_writer, writer), self._answer(upstream_reader, writer))
            upstream_writer.close()
            writer.close()

        server = await asyncio.start_server(connected, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        return server

    async def _ask(self, source: asyncio.StreamReader, to: asyncio.StreamWriter, back: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while data := await source.read(1 << 16):
                if self.cuts and b"COMMIT" in data:
                    back.transport.abort()
                    if self.cuts == "after":
                        to.write(data)
                        await to.drain()
                    self.cuts = ""
                    break
                to.write(data)
        to.close()

    async def _answer(self, source: asyncio.StreamReader, to: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while data := await source.read(1 << 16):
                to.write(data)
        to.close()


class TestBrokenConnections:
    @pytest.mark.parametrize("count", [1, 5])
    @pytest.mark.parametrize("cut", ["before", "after"])
    def test_the_truth_about_a_commit_is_told_though_the_connection_broke_in_it(
        self, server: PostgresqlServer, url: str, cut: str, count: int
    ) -> None:
        async def scenario() -> None:
            proxy = Proxy()
            proxy_server = await proxy.serve(server.port)
            through = url.replace(f":{server.port}/", f":{proxy.port}/")
            async with proxy_server, opened(through) as database:
                await database.write(notes.create)
                proxy.cuts = cut
                found = await asyncio.gather(
                    *(database.write(add(number)) for number in range(count)), return_exceptions=True
                )
                stored = await database.read(numbers)
                if cut == "after":
                    assert not [error for error in found if isinstance(error, BaseException)]
                    assert stored == list(range(count))
                else:
                    assert {getattr(error, "code", None) for error in found} == {"DATABASE_UNAVAILABLE"}
                    assert stored == []
                await database.write(add(99))

        run(scenario)

    def test_a_connection_that_breaks_inside_a_write_takes_its_group_along(
        self, server: PostgresqlServer, url: str
    ) -> None:
        def cut(connection: sa.Connection) -> None:
            add(5)(connection)
            connection.execute(sa.text("SELECT pg_terminate_backend(pg_backend_pid())"))

        async def scenario() -> None:
            async with opened(url) as database:
                await database.write(notes.create)
                found = await asyncio.gather(
                    *(database.write(function) for function in (add(1), add(2), cut, add(3))), return_exceptions=True
                )
                failed = [number for number, error in enumerate(found) if isinstance(error, BaseException)]
                assert 2 in failed
                assert all(getattr(found[number], "code", "") == "DATABASE_UNAVAILABLE" for number in failed)
                kept = [number for index, number in ((0, 1), (1, 2), (3, 3)) if index not in failed]
                assert await database.read(numbers) == kept

        run(scenario)

    def test_idle_connections_that_broke_are_not_noticed(self, server: PostgresqlServer, url: str) -> None:
        async def scenario() -> None:
            async with opened(url) as database:
                await database.write(notes.create)
                await database.read(numbers)
                for number in range(3):
                    await asyncio.to_thread(break_connections, server, url)
                    await database.write(add(number))
                    assert len(await database.read(numbers)) == number + 1

        run(scenario)

    def test_the_errors_of_a_function_are_its_own(self, url: str) -> None:
        calls: list[Exception] = []

        def refuse(error: Exception):  # type: ignore[no-untyped-def]
            def function(_connection: sa.Connection) -> None:
                calls.append(error)
                raise error

            return function

        async def scenario() -> None:
            async with opened(url) as database:
                for error in (TimeoutError("mine"), ConnectionError("mine"), IexecError("BAD_ORDER", "mine")):
                    for work in (database.write, database.read):
                        with pytest.raises(type(error), match="mine"):
                            await work(refuse(error))
            assert len(calls) == 6

        run(scenario)

    def test_a_writer_that_stands_still_holds_the_others_up_for_a_while_only(
        self, url: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(engine._WRITER, "idle_in_transaction_session_timeout", "300ms")

        async def scenario() -> None:
            async with opened(url) as database, opened(url) as stuck:
                await database.write(notes.create)

                def stand_still(connection: sa.Connection) -> None:
                    add(1)(connection)
                    writing.set()
                    sa.util.await_(others_wrote.wait())

                writing, others_wrote = asyncio.Event(), asyncio.Event()
                async with anyio.create_task_group() as group:

                    async def stick() -> None:
                        with pytest.raises(IexecError) as caught:
                            await stuck.write(stand_still)
                        assert caught.value.code == "DATABASE_UNAVAILABLE"

                    group.start_soon(stick)
                    await writing.wait()
                    await database.write(add(2))
                    others_wrote.set()
                assert await database.read(numbers) == [2]

        run(scenario)


class TestOpening:
    def test_processes_that_start_at_once_migrate_once(self, server: PostgresqlServer, url: str) -> None:
        async def scenario() -> None:
            server.query(url, "CREATE TABLE counter (number int); INSERT INTO counter VALUES (0)")
            async with neighbour("count", url) as one, neighbour("count", url) as other:
                async with anyio.create_task_group() as group:
                    for _ in range(4):
                        group.start_soon(open_once)
                assert (await one.process.wait(), await other.process.wait()) == (0, 0)
            assert server.query(url, "SELECT count(*) FROM alembic_version_follower") == "1"

        async def open_once() -> None:
            database = await Database.open(url, [FOLLOWER, TRANSACTIONS])
            await database.close()

        run(scenario)

    @pytest.mark.parametrize(
        "change",
        [
            ("@127.0.0.1:{port}/", "@127.0.0.1:1/"),
            ("@127.0.0.1:{port}/", "@does-not-exist.invalid/"),
            ("@127.0.0.1:{port}/", "@127.0.0.1:{port}/no"),
            ("@127.0.0.1:{port}/", "@127.0.0.1:many/"),
            ("pyiexec:", "nobody:"),
            (f"{ESCAPED_PASSWORD}@", f"{ESCAPED_PASSWORD}x@"),
            (ESCAPED_PASSWORD, PASSWORD),
            ("postgresql://", "mysql://"),
            ("/test", "/test?sslmode=verify-full&x="),
        ],
        ids=lambda change: change[1],
    )
    def test_what_cannot_be_opened_is_refused_without_its_password(
        self, server: PostgresqlServer, url: str, change: tuple[str, str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(engine, "PATIENCE", 0.1)
        before, after = (text.format(port=server.port) for text in change)
        wrong = url.replace(before, after, 1)
        assert wrong != url

        async def scenario() -> None:
            with pytest.raises(IexecError) as caught:
                await Database.open(wrong)
            assert caught.value.code == "DATABASE_UNAVAILABLE"
            told = "".join(traceback.format_exception(caught.value)) + repr(caught.value)
            for secret in (PASSWORD, ESCAPED_PASSWORD, PASSWORD.rpartition("/")[2]):
                assert secret not in told

        run(scenario)

    def test_the_password_is_not_shown_by_what_holds_it(self, url: str) -> None:
        async def scenario() -> None:
            async with opened(url) as database:
                shown = repr(database) + repr(vars(database))
                assert urlsplit(url).password == ESCAPED_PASSWORD
                assert ESCAPED_PASSWORD not in shown
                assert PASSWORD not in shown

        run(scenario)

    def test_a_statement_that_fails_does_not_show_its_parameters(self, url: str) -> None:
        async def scenario() -> None:
            async with opened(url) as database:
                await database.write(notes.create)
                await database.write(add(424242))
                with pytest.raises(sa.exc.IntegrityError) as caught:
                    await database.write(add(424242))
                assert "parameters: [" not in str(caught.value).replace("SQL parameters hidden", "")

        run(scenario)


def test_who_is_cancelled_while_others_migrate_leaves_the_lock_to_them(postgresql_url: str) -> None:
    async def story() -> None:
        assert engine.ALEMBIC.acquire(timeout=10)
        asyncio.get_running_loop().call_later(0.2, engine.ALEMBIC.release)
        with anyio.move_on_after(0.05):
            await Database.open(postgresql_url, [FOLLOWER])
        with anyio.fail_after(20):
            database = await Database.open(postgresql_url, [FOLLOWER])
        await database.close()

    asyncio.run(story())
