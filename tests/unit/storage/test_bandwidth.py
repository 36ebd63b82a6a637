"""A budget of bytes a second holds for all transfers together, and costs no more than it must."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from pyiexec.foundation.clock import SystemClock
from pyiexec.storage.bandwidth import BURST_SECONDS, Bandwidth
from pyiexec.storage.client import ContentClient
from pyiexec.storage.unixfs import file_cid


class StoppedClock:
    """Time that passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.time = 1000.0

    def now(self) -> float:
        return self.time

    def monotonic(self) -> float:
        return self.time

    async def sleep(self, seconds: float) -> None:
        self.time += seconds


@given(
    rate=st.integers(1, 10**9),
    transfers=st.lists(st.tuples(st.integers(0, 10**7), st.floats(0, 100)), max_size=30),
)
def test_never_more_is_moved_than_the_rate_and_one_burst_allow(rate: int, transfers: list[tuple[int, float]]) -> None:
    clock = StoppedClock()
    bandwidth, began, moved = Bandwidth(rate, clock), clock.time, 0

    async def move() -> None:
        nonlocal moved
        for size, pause in transfers:
            await bandwidth.take(size)
            moved += size
            assert moved <= rate * (clock.time - began + BURST_SECONDS) * (1 + 1e-6) + 1
            clock.time += pause

    asyncio.run(move())


@given(rate=st.integers(1, 10**9), sizes=st.lists(st.integers(0, 10**7), max_size=30))
def test_nobody_waits_longer_than_the_bytes_take(rate: int, sizes: list[int]) -> None:
    clock = StoppedClock()
    bandwidth, began = Bandwidth(rate, clock), clock.time

    async def move() -> None:
        for size in sizes:
            await bandwidth.take(size)

    asyncio.run(move())
    assert clock.time - began <= max(sum(sizes) / rate - BURST_SECONDS, 0) + 1e-3


def test_a_slow_line_moves_small_pieces_and_a_fast_one_large_ones() -> None:
    clock = StoppedClock()
    assert Bandwidth(4096, clock).piece_bytes(1 << 18) == 1024
    assert Bandwidth(1 << 30, clock).piece_bytes(1 << 18) == 1 << 18
    assert Bandwidth(1, clock).piece_bytes(1 << 18) > 0


def test_a_bandwidth_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one byte"):
        Bandwidth(0, StoppedClock())


@pytest.mark.parametrize("from_disk", [False, True])
def test_content_comes_and_goes_no_faster_than_allowed(tmp_path: Path, from_disk: bool) -> None:
    content, rate = b"c" * 60_000, 40_000
    stored: list[bytes] = []

    async def answer(request: web.Request) -> web.Response:
        if request.method == "GET":
            return web.Response(body=content)
        part = await (await request.multipart()).next()
        stored.append(await part.read())  # type: ignore[union-attr]
        return web.json_response({"Hash": str(file_cid(stored[-1]))})

    async def transfer() -> tuple[float, float]:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", answer)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        clock = SystemClock()
        download, upload = Bandwidth(rate, clock), Bandwidth(rate, clock)
        url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            async with ContentClient(url, download=download, upload=upload) as client:
                began = clock.monotonic()
                assert await client.fetch(file_cid(content), len(content)) == content
                fetched = clock.monotonic()
                source: bytes | Path = content
                if from_disk:
                    source = tmp_path / "content"
                    source.write_bytes(content)
                assert await client.add(source) == file_cid(content)
                return fetched - began, clock.monotonic() - fetched
        finally:
            await runner.cleanup()

    least = len(content) / rate - BURST_SECONDS
    down, up = asyncio.run(transfer())
    assert least * 0.9 <= down
    assert least * 0.9 <= up
    assert stored == [content]
