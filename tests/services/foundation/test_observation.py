"""Services show how they do: over HTTP, with a real database, also while that is away."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import anyio
import pytest
import sqlalchemy as sa
from litestar import Litestar, get
from litestar.params import FromPath
from prometheus_client.parser import text_string_to_metric_families
from tests.databases import PostgresqlServer

from pyiexec.foundation import http
from pyiexec.foundation.clock import SystemClock
from pyiexec.foundation.database import Database
from pyiexec.foundation.logs import current_trace, traced
from pyiexec.foundation.observation import Observation
from pyiexec.foundation.openapi import documented
from pyiexec.protocol.traces import TraceId, traceparent

pytestmark = pytest.mark.anyio
TRACE = TraceId("0123456789abcdef0123456789abcdef")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresqlServer]:
    """One to be stopped and started, apart from the one that other tests use."""
    server = PostgresqlServer()
    yield server
    server.remove()


@get("/things/{name:str}")
async def thing(name: FromPath[str]) -> dict[str, Any]:
    return {"name": name, "trace": current_trace()}


@get("/echo")
async def echo() -> dict[str, Any]:
    return {"trace": current_trace()}


@asynccontextmanager
async def observed(database: Database | None = None) -> AsyncIterator[str]:
    """The URL of a service with a few routes."""
    observation = Observation("test", SystemClock())
    if database is not None:
        observation.database(database)
    routes = documented("test", [thing, echo, *observation.routes()])
    app = Litestar(routes, exception_handlers=http.EXCEPTION_HANDLERS, openapi_config=None, logging_config=None)
    stop, answered, urls = anyio.Event(), anyio.Event(), list[str]()

    def ready(url: str) -> None:
        urls.append(url)
        answered.set()

    async def run() -> None:
        await http.serve(observation.around(app), "127.0.0.1", 0, ready=ready, stop=stop)

    async with anyio.create_task_group() as group:
        group.start_soon(run)
        await answered.wait()
        yield urls[0]
        stop.set()


async def ask(session: aiohttp.ClientSession, url: str, **headers: str) -> tuple[int, Any]:
    async with session.get(url, headers=headers) as response:
        return response.status, await response.json()


async def samples(session: aiohttp.ClientSession, url: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """All values by name and labels."""
    async with session.get(f"{url}/metrics") as response:
        assert response.status == 200
        text = await response.text()
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def requests(found: dict[Any, float], route: str, status: str, method: str = "GET") -> float:
    labels = (("method", method), ("route", route), ("status", status))
    return found.get(("pyiexec_http_request_duration_seconds_count", labels), 0)


async def test_requests_are_counted_by_route_whatever_strangers_put_into_them() -> None:
    async with observed() as url, aiohttp.ClientSession() as session:
        for number in range(20):
            assert (await ask(session, f"{url}/things/{number}"))[0] == 200
            assert (await ask(session, f"{url}/guess-{number}"))[0] == 404
        async with session.request("PROPFIND", f"{url}/things/1") as response:
            refused = str(response.status)
        found = await samples(session, url)
    assert requests(found, "/things/{name}", "200") == 20
    assert requests(found, "unmatched", "404") == 20
    routes = {
        dict(labels)["route"] for (name, labels) in found if name == "pyiexec_http_request_duration_seconds_count"
    }
    assert routes <= {"/things/{name}", "unmatched", "/metrics"}
    methods = {dict(labels).get("method") for (_, labels) in found}
    assert "PROPFIND" not in methods
    assert any(requests(found, route, refused, "other") for route in routes)


async def test_a_trace_is_taken_from_a_request_and_passed_on_with_the_next() -> None:
    async with observed() as url, aiohttp.ClientSession() as stranger:
        _, found = await ask(stranger, f"{url}/things/1", traceparent=traceparent(TRACE))
        assert found["trace"] == TRACE
        assert (await ask(stranger, f"{url}/things/1"))[1]["trace"] is None
        assert (await ask(stranger, f"{url}/things/1", traceparent="nonsense"))[1]["trace"] is None
        async with http.http_session() as session:
            with traced(TRACE):
                assert (await ask(session, f"{url}/echo"))[1]["trace"] == TRACE
            assert (await ask(session, f"{url}/echo"))[1]["trace"] is None


async def test_a_databases_work_is_measured(database_url: str) -> None:
    database = await Database.open(database_url)
    try:
        async with observed(database) as url, aiohttp.ClientSession() as session:
            for _ in range(3):
                await database.write(lambda connection: connection.execute(sa.text("SELECT 1")))
            await database.read(lambda connection: connection.execute(sa.text("SELECT 1")))
            found = await samples(session, url)
            assert (await ask(session, f"{url}/health/ready"))[0] == 200
    finally:
        await database.close()
    assert found["pyiexec_database_write_duration_seconds_count", ()] == 3
    assert found["pyiexec_database_write_duration_seconds_sum", ()] > 0
    assert found["pyiexec_database_read_duration_seconds_count", ()] >= 1
    assert found["pyiexec_database_writes_waiting", ()] == 0
    assert found["pyiexec_ready", (("dependency", "database"),)] == 1


async def test_a_service_is_not_ready_while_its_database_is_away_and_lives_on(server: PostgresqlServer) -> None:
    database = await Database.open(server.create_database())
    try:
        async with observed(database) as url, aiohttp.ClientSession() as session:
            assert (await ask(session, f"{url}/health/ready"))[0] == 200
            server.stop()
            try:
                found = await until(session, f"{url}/health/ready", 503)
                (dependency,) = found["dependencies"]
                assert (dependency["name"], dependency["ok"], bool(dependency["why"])) == ("database", False, True)
                assert str(server.port) not in str(found)
                assert (await ask(session, f"{url}/health/live"))[0] == 200
                assert (await samples(session, url))["pyiexec_ready", (("dependency", "database"),)] == 0
            finally:
                server.start()
            found = await until(session, f"{url}/health/ready", 200)
            assert found == {
                "ok": True,
                "service": "test",
                "dependencies": [{"name": "database", "ok": True, "why": ""}],
            }
    finally:
        await database.close()


async def until(session: aiohttp.ClientSession, url: str, status: int) -> Any:
    """The first answer of this status; probes are what a balancer would send."""
    with anyio.fail_after(30):
        while True:
            answered, found = await ask(session, url)
            if answered == status:
                return found
            # Readiness is asked for, and keeps what it found for a while.
            await anyio.sleep(0.1)
