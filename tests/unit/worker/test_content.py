"""Kept content: fetched once, verified always, the oldest thrown away first."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path

import pytest
from aiohttp import ClientSession, web

from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.primitives import TaskId, bytes32
from pyiexec.storage.client import ContentClient
from pyiexec.storage.unixfs import file_cid
from pyiexec.worker.content import ContentCache
from pyiexec.worker.staging import Staging, TaskFolder

pytestmark = pytest.mark.anyio
FILES = {str(file_cid(content)): content for content in (b"a" * 400, b"b" * 400, b"c" * 400)}
A, B, C = (file_cid(content) for content in FILES.values())


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


class Gateway:
    """A gateway on a real socket that counts, and lies on demand."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.lies = False
        self.was_asked = asyncio.Event()
        self.answer = asyncio.Event()
        self.answer.set()

    async def handle(self, request: web.Request) -> web.Response:
        cid = request.match_info["cid"]
        self.asked.append(cid)
        self.was_asked.set()
        await self.answer.wait()
        if cid not in FILES:
            return web.Response(status=404)
        return web.Response(body=b"x" if self.lies else FILES[cid])


@pytest.fixture
async def gateway():  # type: ignore[no-untyped-def]
    gateway = Gateway()
    app = web.Application()
    app.router.add_get("/ipfs/{cid}", gateway.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    gateway.url = f"http://127.0.0.1:{runner.addresses[0][1]}"  # type: ignore[attr-defined]
    yield gateway
    await runner.cleanup()


@pytest.fixture
async def client(gateway):  # type: ignore[no-untyped-def]
    async with ContentClient(gateway.url) as client:
        yield client


def cache_in(folder: Path, client: ContentClient, capacity: int = 1000) -> ContentCache:
    cache = ContentCache(folder / "content", client, capacity=capacity, max_bytes=500)
    cache.open()
    return cache


async def test_content_asked_for_by_many_is_fetched_once(
    gateway: Gateway, client: ContentClient, tmp_path: Path
) -> None:
    cache = cache_in(tmp_path, client)
    checksums = await asyncio.gather(*(cache.checksum(A) for _ in range(20)))
    assert set(checksums) == {bytes32(hashlib.sha256(b"a" * 400).digest())}
    assert gateway.asked == [str(A)]


async def test_one_that_gives_up_does_not_take_the_transfer_from_the_others(
    gateway: Gateway, client: ContentClient, tmp_path: Path
) -> None:
    cache = cache_in(tmp_path, client)
    gateway.answer.clear()
    first, second = asyncio.create_task(cache.checksum(A)), asyncio.create_task(cache.checksum(A))
    await gateway.was_asked.wait()
    first.cancel()
    gateway.answer.set()
    assert await asyncio.wait_for(second, 5)
    assert gateway.asked == [str(A)]


async def test_a_link_is_the_content_under_another_name(
    gateway: Gateway, client: ContentClient, tmp_path: Path
) -> None:
    cache = cache_in(tmp_path, client)
    await cache.link(A, tmp_path / "app")
    await cache.link(A, tmp_path / "app")
    assert (tmp_path / "app").read_bytes() == b"a" * 400


async def test_an_input_that_is_refused_ends_the_transfer_of_the_others(
    gateway: Gateway, client: ContentClient, tmp_path: Path
) -> None:
    cache, folder = cache_in(tmp_path, client), TaskFolder(tmp_path / "tasks", TaskId(bytes32(1)))
    folder.prepare()
    gateway.answer.clear()
    async with ClientSession() as session:
        staging = Staging(cache, session, allow_unhashed=False, max_bytes=500)
        with pytest.raises(IexecError, match="names no content"):
            await staging.inputs([f"http://x/ipfs/{A}", "http://x/unhashed"], folder)
    folder.remove()
    gateway.answer.set()
    assert await asyncio.wait_for(cache.checksum(A), 5)
    assert gateway.asked.count(str(A)) <= 1


async def test_content_for_a_folder_that_is_gone_is_not_fetched_again_and_again(
    gateway: Gateway, client: ContentClient, tmp_path: Path
) -> None:
    cache = cache_in(tmp_path, client)
    with pytest.raises(FileNotFoundError):
        await asyncio.wait_for(cache.link(A, tmp_path / "gone" / "app"), 5)
    assert gateway.asked == [str(A)]


async def test_inputs_together_are_no_larger_than_one_may_be(
    gateway: Gateway, client: ContentClient, tmp_path: Path
) -> None:
    cache, folder = cache_in(tmp_path, client), TaskFolder(tmp_path / "tasks", TaskId(bytes32(1)))
    folder.prepare()
    async with ClientSession() as session:
        staging = Staging(cache, session, allow_unhashed=False, max_bytes=500)
        await staging.inputs([f"http://x/ipfs/{A}"], folder)
        with pytest.raises(IexecError, match="together"):
            await staging.inputs([f"http://x/ipfs/{cid}" for cid in (A, B)], folder)


async def test_a_lying_gateway_is_found_out(gateway: Gateway, client: ContentClient, tmp_path: Path) -> None:
    cache = cache_in(tmp_path, client)
    gateway.lies = True
    with pytest.raises(IexecError) as refusal:
        await cache.checksum(A)
    assert refusal.value.code == "CONTENT_MISMATCH"
    gateway.lies = False
    assert await cache.checksum(A)


async def test_what_is_missing_is_said_to_be(gateway: Gateway, client: ContentClient, tmp_path: Path) -> None:
    with pytest.raises(IexecError) as refusal:
        await cache_in(tmp_path, client).link(file_cid(b"nobody"), tmp_path / "app")
    assert refusal.value.code == "CONTENT_NOT_FOUND"


async def test_what_was_longest_not_used_goes_first(gateway: Gateway, client: ContentClient, tmp_path: Path) -> None:
    cache = cache_in(tmp_path, client)
    for cid in (A, B, A, C):
        await cache.checksum(cid)
    assert {path.name for path in (tmp_path / "content").iterdir()} == {str(A), str(C)}
    await cache.checksum(B)
    assert gateway.asked == [str(A), str(B), str(C), str(B)]


async def test_content_survives_a_restart_and_is_verified_again(
    gateway: Gateway, client: ContentClient, tmp_path: Path
) -> None:
    await cache_in(tmp_path, client).checksum(A)
    await cache_in(tmp_path, client).checksum(A)
    assert gateway.asked == [str(A)]
    kept = tmp_path / "content" / str(A)
    kept.chmod(0o644)
    kept.write_bytes(b"rotten")
    assert await cache_in(tmp_path, client).checksum(A) == bytes32(hashlib.sha256(b"a" * 400).digest())
    assert gateway.asked == [str(A), str(A)]


async def test_content_goes_when_room_is_asked_for_the_longest_unused_first(
    gateway: Gateway, client: ContentClient, tmp_path: Path
) -> None:
    cache = cache_in(tmp_path, client, capacity=10_000)
    for cid in (A, B, C):
        await cache.checksum(cid)
    await cache.checksum(A)
    assert await cache.collect(401) == 800
    await cache.checksum(A)
    assert gateway.asked == [str(A), str(B), str(C)]
    await cache.link(B, tmp_path / "b")
    assert gateway.asked[3:] == [str(B)]


async def test_content_that_does_not_fit_on_the_disk_is_not_kept(
    gateway: Gateway, client: ContentClient, tmp_path: Path
) -> None:
    cache = cache_in(tmp_path, client)

    async def fits(size: int) -> bool:
        return False

    cache.fits = fits
    with pytest.raises(IexecError) as refusal:
        await cache.checksum(A)
    assert refusal.value.code == "WORKER_DISK_FULL"
    assert not list((tmp_path / "content").iterdir())
