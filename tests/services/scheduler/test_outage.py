"""The database server goes away under a running scheduler, and tasks come to their end all the same."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator

import anyio
import pytest
from tests.databases import PostgresqlServer
from tests.services.scheduler.conftest import Net

from pyiexec.foundation import postgresql
from pyiexec.protocol.messages import Assign
from pyiexec.protocol.tasks import TaskStatus

pytestmark = pytest.mark.anyio


@pytest.fixture
def server() -> Iterator[PostgresqlServer]:
    server = PostgresqlServer()
    yield server
    server.remove()


@pytest.fixture
def database_url(server: PostgresqlServer) -> str:
    return server.create_database()


async def test_a_crash_of_the_database_holds_tasks_up_and_no_longer_than_it_lasts(
    net: Net, server: PostgresqlServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker, *others = net.workers[:3]
    assigned, go_on = anyio.Event(), anyio.Event()

    async def wait_and_vote(assign: Assign) -> None:
        assigned.set()
        await go_on.wait()
        await worker.vote(assign)

    worker.on_assign = wait_and_vote
    # So short that attempts fail, and have to be repeated by who made them.
    monkeypatch.setattr(postgresql, "PATIENCE", 0.1)
    async with net.scheduler() as url, anyio.create_task_group() as group:
        group.start_soon(worker.run, url)
        first = await net.buy(trust=5)
        await assigned.wait()
        await asyncio.to_thread(server.stop, signal.SIGQUIT)
        # The chain goes on, and so do workers.
        second = await net.buy()
        for other in others:
            group.start_soon(other.run, url)
        go_on.set()
        await anyio.sleep(1)
        server.start()
        assert await net.settled(first) == [TaskStatus.COMPLETED]
        assert await net.settled(second) == [TaskStatus.COMPLETED]
        group.cancel_scope.cancel()
