"""Services answer JSON whatever happens, and say where they listen."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest
from litestar import Litestar, get, post
from litestar.params import JSONBody

from pyiexec.foundation.http import EXCEPTION_HANDLERS, http_session, serve
from pyiexec.protocol.errors import CATALOGUE, IexecError


@get("/known")
async def known() -> dict[str, str]:
    raise IexecError("DEAL_UNKNOWN", "there is no such deal", deal="0x1")


@get("/broken")
async def broken() -> dict[str, str]:
    raise ZeroDivisionError("secret detail")


@post("/number")
async def number(data: JSONBody[dict[str, int]]) -> dict[str, int]:
    return data


@asynccontextmanager
async def running(host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[str]:
    app = Litestar([known, broken, number], exception_handlers=EXCEPTION_HANDLERS, logging_config=None)
    stop, answered = anyio.Event(), anyio.Event()
    urls: list[str] = []

    def ready(url: str) -> None:
        urls.append(url)
        answered.set()

    async def run() -> None:
        await serve(app, host, port, ready=ready, stop=stop)

    async with anyio.create_task_group() as group:
        group.start_soon(run)
        await answered.wait()
        yield urls[0]
        stop.set()


def ask(method: str, path: str, **options: Any) -> tuple[int, dict[str, Any]]:
    async def scenario() -> tuple[int, dict[str, Any]]:
        async with (
            running() as url,
            http_session() as session,
            session.request(method, url + path, **options) as answer,
        ):
            assert answer.content_type == "application/json"
            body: dict[str, Any] = await answer.json()
            return answer.status, body

    return asyncio.run(scenario())


def test_an_explained_error_keeps_its_code_remedy_and_status() -> None:
    status, body = ask("GET", "/known")
    assert status == CATALOGUE["DEAL_UNKNOWN"].http_status == 404
    assert body["ok"] is False
    assert body["code"] == "DEAL_UNKNOWN"
    assert body["remedy"] == CATALOGUE["DEAL_UNKNOWN"].remedy
    assert body["details"] == {"deal": "0x1"}


def test_an_unexpected_error_tells_nothing_of_the_inside() -> None:
    status, body = ask("GET", "/broken")
    assert status == 500
    assert body["code"] == "INTERNAL"
    assert "secret" not in str(body)


@pytest.mark.parametrize(
    ("method", "path", "data", "status"),
    [("GET", "/nowhere", None, 404), ("GET", "/number", None, 405), ("POST", "/number", b"{", 400)],
)
def test_refusals_are_json_too(method: str, path: str, data: bytes | None, status: int) -> None:
    found, body = ask(method, path, data=data)
    assert found == status
    assert body["ok"] is False


def test_a_taken_port_is_named() -> None:
    async def scenario() -> None:
        async with running() as url:
            port = int(url.rpartition(":")[2])
            with pytest.raises(IexecError, match=str(port)) as caught:
                await serve(
                    Litestar(logging_config=None), "127.0.0.1", port, ready=lambda _url: None, stop=anyio.Event()
                )
            assert caught.value.code == "PORT_TAKEN"

    asyncio.run(scenario())
