"""Several processes on one database: they do not get in each other's way, one of them leads, and all hear the news."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
import sqlalchemy as sa
from tests.services.foundation.neighbour import COUNT

from pyiexec.foundation import announcements
from pyiexec.foundation.database import PAYLOAD_LIMIT, Database, Leadership, announce
from pyiexec.protocol.errors import IexecError

PROGRAM = Path(__file__).with_name("neighbour.py")
counter = sa.Table("counter", sa.MetaData(), sa.Column("number", sa.Integer))


def run(scenario: Callable[[], Coroutine[Any, Any, None]], seconds: float = 60) -> None:
    async def bounded() -> None:
        with anyio.fail_after(seconds):
            await scenario()

    asyncio.run(bounded())


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[Database]:
    database = await Database.open(url)
    try:
        yield database
    finally:
        await database.close()


class Neighbour:
    """Another process on the database."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    async def line(self) -> str:
        assert self.process.stdout is not None
        return (await self.process.stdout.readline()).decode().strip()

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)


@asynccontextmanager
async def neighbour(mode: str, url: str) -> AsyncIterator[Neighbour]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, PROGRAM, mode), stdout=asyncio.subprocess.PIPE, env=os.environ | {"DATABASE_URL": url}
    )
    try:
        yield Neighbour(process)
    finally:
        if process.returncode is None:
            process.kill()
        with anyio.CancelScope(shield=True):
            await process.wait()


def test_nobody_comes_between_what_a_write_checks_and_what_it_writes(database_url: str) -> None:
    def begin(connection: sa.Connection) -> None:
        counter.create(connection)
        connection.execute(counter.insert().values(number=0))

    async def scenario() -> None:
        async with opened(database_url) as database:
            await database.write(begin)
            async with neighbour("count", database_url) as one, neighbour("count", database_url) as other:
                assert (await one.process.wait(), await other.process.wait()) == (0, 0)
            assert await database.read(lambda c: c.execute(sa.select(counter)).scalar_one()) == 2 * COUNT

    run(scenario)


class TestLeading:
    def test_one_leads_and_the_next_follows_at_once_when_it_leaves(self, database_url: str) -> None:
        leading: list[int] = []
        turns: list[int] = []

        async def one(number: int) -> None:
            async with opened(database_url) as database, database.lead("work"):
                leading.append(number)
                assert leading == [number]
                await anyio.sleep(0.01)
                leading.remove(number)
                turns.append(number)

        async def scenario() -> None:
            async with anyio.create_task_group() as group:
                for number in range(5):
                    group.start_soon(one, number)

        run(scenario)
        assert sorted(turns) == list(range(5))

    def test_names_are_led_apart(self, database_url: str) -> None:
        async def scenario() -> None:
            async with opened(database_url) as database, database.lead("one"), database.lead("other"):
                pass

        run(scenario)

    def test_a_killed_leader_is_followed_at_once(self, database_url: str) -> None:
        async def scenario() -> None:
            async with opened(database_url) as database, neighbour("lead", database_url) as leader:
                assert await leader.line() == "leading"
                with anyio.move_on_after(0.2) as scope:
                    async with database.lead("work"):
                        pytest.fail("two lead")
                assert scope.cancelled_caught
                async with anyio.create_task_group() as group:

                    async def follow() -> None:
                        async with database.lead("work"):
                            pass

                    group.start_soon(follow)
                    leader.send(signal.SIGKILL)
                    await leader.process.wait()
                    with anyio.fail_after(10):
                        async with database.lead("work"):
                            pass

        run(scenario)

    def test_who_gave_up_waiting_does_not_lead_later(self, database_url: str) -> None:
        async def scenario() -> None:
            async with opened(database_url) as database:
                async with database.lead("work"):
                    for _ in range(3):
                        with anyio.move_on_after(0.05):
                            async with database.lead("work"):
                                pytest.fail("two lead")
                with anyio.fail_after(10):
                    async with database.lead("work"):
                        pass

        run(scenario)

    def test_a_leader_of_yesterday_writes_nothing(self, database_url: str) -> None:
        async def scenario() -> None:
            async with opened(database_url) as database, opened(database_url) as other:
                await database.write(counter.create)
                async with database.lead("work") as former:
                    await former.write(lambda c: c.execute(counter.insert().values(number=1)))
                async with other.lead("work") as present:
                    with pytest.raises(IexecError) as caught:
                        await former.write(lambda c: c.execute(counter.insert().values(number=2)))
                    assert caught.value.code == "LEADERSHIP_LOST"
                    await present.write(lambda c: c.execute(counter.insert().values(number=3)))
                found = await database.read(lambda c: c.execute(sa.select(counter.c.number)).scalars().all())
                assert found == [1, 3]

        run(scenario)

    def test_a_job_that_fails_by_itself_is_not_repeated(self, database_url: str) -> None:
        async def scenario() -> None:
            async def job(_leadership: Leadership) -> None:
                raise LookupError("its own")

            async with opened(database_url) as database:
                with pytest.raises(LookupError):
                    await database.keep_leading("work", job)

        run(scenario)

    def test_a_name_that_is_none_is_refused(self, database_url: str) -> None:
        async def scenario() -> None:
            async with opened(database_url) as database:
                for name in ("", "../up", "UPPER", "x" * 49, "a b", "a\n"):
                    with pytest.raises(ValueError, match="no name"):
                        async with database.lead(name):
                            pass
                    with pytest.raises(ValueError, match="no name"):
                        database.listen(name)

        run(scenario)


class TestAnnouncements:
    def test_what_is_committed_is_told_in_order_and_what_is_not_is_not(self, database_url: str) -> None:
        def failing(connection: sa.Connection, number: int) -> None:
            announce(connection, "news", f"undone {number}")
            raise LookupError(number)

        def half(connection: sa.Connection, number: int) -> None:
            announce(connection, "news", f"{number}")
            with pytest.raises(LookupError), connection.begin_nested():
                failing(connection, number)
            announce(connection, "other", f"{number}")
            announce(connection, "news", "same")

        async def fail(database: Database, number: int) -> None:
            with pytest.raises(LookupError):
                await database.write(lambda connection: failing(connection, number))

        async def scenario() -> None:
            async with (
                opened(database_url) as database,
                opened(database_url) as other,
                database.listen("news") as here,
                other.listen("news") as there,
            ):
                await fail(database, -1)
                async with anyio.create_task_group() as group:
                    for number in range(30):
                        group.start_soon(fail, database, number)
                        group.start_soon(database.write, lambda c, number=number: half(c, number))
                for inbox in (here, there):
                    heard = [await anext(inbox) for _ in range(60)]
                    assert heard[0::2] == [str(number) for number in range(30)]
                    assert heard[1::2] == ["same"] * 30

        run(scenario)

    def test_only_who_listens_to_a_channel_hears_it(self, database_url: str) -> None:
        async def scenario() -> None:
            async with opened(database_url) as database:
                async with database.listen("one") as one, database.listen("other") as other:
                    await database.write(lambda c: announce(c, "one", "1"))
                    await database.write(lambda c: announce(c, "other", "2"))
                    assert (await anext(one), await anext(other)) == ("1", "2")
                async with database.listen("one") as one:
                    await database.write(lambda c: announce(c, "one", "3"))
                    assert await anext(one) == "3"

        run(scenario)

    def test_other_processes_hear_too_and_killed_ones_do_no_harm(self, database_url: str) -> None:
        async def scenario() -> None:
            async with opened(database_url) as database, neighbour("listen", database_url) as listener:
                assert await listener.line() == "listening"
                async with neighbour("listen", database_url) as killed:
                    assert await killed.line() == "listening"
                for payload in ("größer", "", "end"):
                    await database.write(lambda c, payload=payload: announce(c, "news", payload))
                assert [await listener.line() for _ in range(3)] == ["größer", "", "end"]
                assert await listener.process.wait() == 0

        run(scenario)

    def test_a_process_that_stood_still_hears_all_or_that_it_missed_some(self, database_url: str) -> None:
        async def scenario() -> None:
            async with opened(database_url) as database, neighbour("listen", database_url) as listener:
                assert await listener.line() == "listening"
                listener.send(signal.SIGSTOP)
                await database.write(lambda c: [announce(c, "news", f"{number}") for number in range(2_000)])
                listener.send(signal.SIGCONT)
                heard: list[str] = []
                # Its socket may be full of the oldest; what follows comes when there is room.
                while heard[-1:] not in (["1999"], ["None"]):
                    heard.append(await listener.line())
                assert len(heard) == 2_000 or "None" in heard
                await database.write(lambda c: announce(c, "news", "end"))
                while await listener.line() != "end":
                    pass

        run(scenario)

    def test_a_reader_that_is_too_slow_is_told_so(self, database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(announcements, "BACKLOG", 10)

        async def scenario() -> None:
            async with opened(database_url) as database, database.listen("news") as inbox:
                async with opened(database_url) as other, other.listen("news") as observer:
                    for number in range(25):
                        await database.write(lambda c, number=number: announce(c, "news", f"{number}"))
                        assert await anext(observer) == f"{number}"
                    await database.write(lambda c: announce(c, "news", "last"))
                    assert await anext(observer) == "last"
                heard = [await anext(inbox)]
                while heard[-1] != "last":
                    heard.append(await anext(inbox))
                assert None in heard
                assert len(heard) <= 10

        run(scenario)

    def test_what_does_not_fit_is_refused_by_the_writer(self, database_url: str) -> None:
        async def scenario() -> None:
            async with opened(database_url) as database, database.listen("news") as inbox:
                await database.write(lambda c: announce(c, "news", "x" * PAYLOAD_LIMIT))
                assert await anext(inbox) == "x" * PAYLOAD_LIMIT
                for payload in ("x" * (PAYLOAD_LIMIT + 1), "é" * PAYLOAD_LIMIT, "a\0b"):
                    with pytest.raises(ValueError, match="announcement"):
                        await database.write(lambda c, payload=payload: announce(c, "news", payload))

        run(scenario)
