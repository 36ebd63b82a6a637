"""A transfer that breaks off goes on where it stood, and a store killed in the middle shows nothing by halves."""

from __future__ import annotations

import asyncio
import contextlib
import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import anyio
import pytest

from pyiexec.protocol.errors import IexecError
from pyiexec.results import sessions
from pyiexec.storage.client import RESUMABLE_BYTES, ContentClient
from pyiexec.storage.unixfs import file_cid

from .conftest import MovableClock, running
from .process import StoreProcess

pytestmark = pytest.mark.anyio
CONTENT = bytes(range(251)) * 48_000
assert len(CONTENT) > 2 * RESUMABLE_BYTES
MIB = 1 << 20
TUS = {"Tus-Resumable": "1.0.0"}
BODY = TUS | {"Content-Type": "application/offset+octet-stream"}


class Line:
    """A line to a server that breaks after so many bytes in one direction, as often as told."""

    def __init__(self, target: str) -> None:
        host, _, port = target.removeprefix("http://").partition(":")
        self._target = (host, int(port))
        self._server: asyncio.Server
        #: Bytes after which a connection breaks; the next ones hold when the list is empty.
        self.breaks: list[int] = []
        #: Bytes that went to the server, and that came from it.
        self.sent = self.received = 0
        self.url = ""
        self._connections: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Line]:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        try:
            yield self
        finally:
            self._server.close()
            for connection in self._connections:
                connection.cancel()
            await asyncio.gather(*self._connections, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = asyncio.current_task()
        assert connection is not None, "asyncio runs each connection in a task"
        self._connections.add(connection)
        connection.add_done_callback(self._connections.discard)
        left = self.breaks[0] if self.breaks else None
        there, back = await asyncio.open_connection(*self._target)

        async def carry(source: asyncio.StreamReader, target: asyncio.StreamWriter, up: bool) -> None:
            nonlocal left
            while piece := await source.read(16_384):
                if up:
                    self.sent += len(piece)
                else:
                    self.received += len(piece)
                if left is not None:
                    left -= len(piece)
                    if left < 0 and self.breaks:
                        self.breaks.pop(0)
                        raise ConnectionAbortedError
                target.write(piece)
                await target.drain()

        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(carry(reader, back, True))
                group.create_task(carry(there, writer, False))
        except* OSError:
            pass
        finally:
            for end in (writer, back):
                end.transport.abort()


@pytest.fixture
async def line(tmp_path: Path) -> AsyncIterator[Line]:
    async with running(tmp_path / "content", max_upload_bytes=64 * MIB) as url, Line(url).open() as line:
        yield line


def client_of(url: str, **options: Any) -> ContentClient:
    return ContentClient(url, **{"pause": 0.01} | options)


def visible(directory: Path) -> list[Path]:
    return [path for name in ("files", "raw", "folders") for path in (directory / name).iterdir()]


async def test_an_upload_goes_on_after_every_break(line: Line, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(CONTENT)
    line.breaks = [3 * MIB, 3 * MIB, 4 * MIB]
    async with client_of(line.url) as client:
        assert await client.add(source) == file_cid(CONTENT)
        assert line.breaks == []
        assert line.sent < len(CONTENT) + 8 * MIB
        assert await client.fetch(file_cid(CONTENT), len(CONTENT)) == CONTENT


async def test_a_download_goes_on_after_every_break(line: Line, tmp_path: Path) -> None:
    async with client_of(line.url) as client:
        cid = await client.add(CONTENT)
        line.received = 0
        line.breaks = [3 * MIB, 3 * MIB, 4 * MIB]
    async with client_of(line.url) as client:
        assert await client.fetch_to(cid, tmp_path / "target", len(CONTENT)) == len(CONTENT)
        assert (tmp_path / "target").read_bytes() == CONTENT
        assert line.breaks == []
        assert line.received < len(CONTENT) + 8 * MIB


async def test_patience_has_an_end(line: Line) -> None:
    async with client_of(line.url, attempts=2) as client:
        line.breaks = [100] * 50
        with pytest.raises(IexecError) as given_up:
            await client.add(CONTENT)
        assert given_up.value.code == "STORE_UNREACHABLE"
        assert len(line.breaks) > 40


async def test_a_session_stands_where_it_broke_and_refuses_other_places(
    tmp_path: Path, session: aiohttp.ClientSession
) -> None:
    clock = MovableClock()
    async with running(tmp_path, clock, max_upload_bytes=1000) as url:
        async with session.post(f"{url}/v1/uploads", headers=TUS | {"Upload-Length": "10"}) as response:
            assert response.status == 201
            place = url + response.headers["Location"]

        async def send(offset: str, data: bytes, **headers: str) -> tuple[int, Any]:
            more = BODY | {"Upload-Offset": offset} | headers
            async with session.patch(place, data=data, headers=more) as response:
                return response.status, response.headers.get("Upload-Offset")

        assert await send("0", b"01234") == (204, "5")
        assert (await send("0", b"01234"))[0] == 409
        assert (await send("9", b"9"))[0] == 409
        assert (await send("5", b"56789too much"))[0] == 413
        assert (await send("x", b"5"))[0] == 400
        assert (await send("5", b"5", **{"Content-Type": "text/plain"}))[0] == 400
        async with session.head(place) as response:
            assert response.headers["Upload-Offset"] == "5"
            assert response.headers["Cache-Control"] == "no-store"
            assert "X-Ipfs-Path" not in response.headers
        assert visible(tmp_path) == []
        assert await send("5", b"56789") == (204, "10")
        async with session.head(place) as response:
            assert response.headers["X-Ipfs-Path"] == f"/ipfs/{file_cid(b'0123456789')}"
        async with session.get(f"{url}/ipfs/{file_cid(b'0123456789')}") as response:
            assert await response.read() == b"0123456789"
        clock.offset += 86_401
        async with session.head(place) as response:
            assert response.status == 404


async def test_a_sender_that_falls_silent_lets_go_of_its_upload(
    tmp_path: Path, session: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "IDLE_SECONDS", 0.3)
    async with running(tmp_path) as url:
        async with session.post(f"{url}/v1/uploads", headers=TUS | {"Upload-Length": "10"}) as response:
            place = response.headers["Location"]
        host, _, port = url.removeprefix("http://").partition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        head = f"PATCH {place} HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\nUpload-Offset: 0\r\n"
        writer.write(f"{head}Content-Type: application/offset+octet-stream\r\n\r\n01234".encode())
        answer = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 20)
        assert b"204" in answer.partition(b"\r\n")[0]
        assert b"upload-offset: 5" in answer.lower()
        rest = BODY | {"Upload-Offset": "5"}
        async with session.patch(url + place, data=b"56789", headers=rest) as response:
            assert response.headers["X-Ipfs-Path"] == f"/ipfs/{file_cid(b'0123456789')}"
        writer.close()


async def test_sessions_are_limited_forgotten_and_dropped(tmp_path: Path, session: aiohttp.ClientSession) -> None:
    async with running(tmp_path, max_upload_bytes=1000, capacity_bytes=1500) as url:

        async def begin(length: str) -> tuple[int, str]:
            async with session.post(f"{url}/v1/uploads", headers={"Upload-Length": length}) as response:
                return response.status, url + response.headers.get("Location", "")

        assert (await begin("1001"))[0] == 413
        assert (await begin("-1"))[0] == 400
        assert (await begin(""))[0] == 400
        assert (await begin("1" * 30))[0] == 400
        status, place = await begin("1000")
        assert status == 201
        assert (await begin("1000"))[0] == 507
        async with session.delete(place) as response:
            assert response.status == 204
        async with session.delete(place) as response:
            assert response.status == 404
        assert (await begin("1000"))[0] == 201
        status, place = await begin("0")
        assert status == 201
        async with session.head(place) as response:
            assert response.headers["X-Ipfs-Path"] == f"/ipfs/{file_cid(b'')}"
        for name in ("..", "../files", "%2e%2e%2ffiles", "x" * 32, "A" * 32, "0" * 31):
            async with session.head(f"{url}/v1/uploads/{name}") as response:
                assert response.status in (404, 405), name


async def test_a_store_killed_in_the_middle_shows_nothing_by_halves_and_goes_on(
    tmp_path: Path, session: aiohttp.ClientSession
) -> None:
    half = len(CONTENT) // 2

    async def part() -> AsyncIterator[bytes]:
        for start in range(0, half, MIB):
            yield CONTENT[start : min(half, start + MIB)]
        await anyio.sleep_forever()

    async def until(condition: Any) -> None:
        with anyio.fail_after(20):
            while not condition():  # noqa: ASYNC110 - a file that another process writes
                await anyio.sleep(0.02)

    with StoreProcess(tmp_path) as store:
        headers = TUS | {"Upload-Length": str(len(CONTENT))}
        async with session.post(f"{store.url}/v1/uploads", headers=headers) as response:
            place = response.headers["Location"]
        content = tmp_path / "incoming" / place.rpartition("/")[2] / "content"

        async def send(method: str, url: str, **more: Any) -> None:
            with contextlib.suppress(aiohttp.ClientError, OSError):
                async with session.request(method, url, **more):
                    pass

        form = aiohttp.MultipartWriter("form-data")
        form.append(part(), {"Content-Type": "application/octet-stream"}).set_content_disposition(
            "form-data", name="file", filename=""
        )
        async with anyio.create_task_group() as group:
            group.start_soon(
                lambda: send("PATCH", store.url + place, data=part(), headers=BODY | {"Upload-Offset": "0"})
            )
            group.start_soon(lambda: send("POST", f"{store.url}/api/v0/add", data=form))
            await until(lambda: content.stat().st_size >= half // 2)
            await until(
                lambda: any(p.is_file() and p.stat().st_size >= half // 2 for p in content.parent.parent.iterdir())
            )
            store.kill()
            # Those who send need not have noticed.
            group.cancel_scope.cancel()
    assert visible(tmp_path) == []

    with StoreProcess(tmp_path) as store:
        assert [path for path in (tmp_path / "incoming").iterdir() if path.is_file()] == []
        async with session.head(store.url + place) as response:
            stands = int(response.headers["Upload-Offset"])
        assert 0 < stands <= half
        rest = BODY | {"Upload-Offset": str(stands)}
        async with session.patch(store.url + place, data=io.BytesIO(CONTENT[stands:]), headers=rest) as response:
            assert response.headers["X-Ipfs-Path"] == f"/ipfs/{file_cid(CONTENT)}"
        async with ContentClient(store.url) as client:
            assert await client.fetch(file_cid(CONTENT), len(CONTENT)) == CONTENT


async def test_large_files_pass_in_little_memory(tmp_path: Path) -> None:
    size = 96 * MIB
    source = tmp_path / "source"
    with source.open("wb") as file:
        file.truncate(size)
    with StoreProcess(tmp_path / "content") as store:
        async with ContentClient(store.url) as client:
            small = await client.add(b"warm")
            await client.fetch(small, 10)
            before = store.peak_bytes()
            cid = await client.add(source)
            assert await client.fetch_to(cid, tmp_path / "target", size) == size
        assert store.peak_bytes() - before < 32 * MIB
