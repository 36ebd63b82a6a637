"""Who asks too often is told to wait, whatever it pretends to be."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import socketio

from .conftest import Chain, Market, running

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def limited(chain: Chain, folder: Path, limit: int = 5, **options: Any) -> AsyncIterator[Market]:
    options = {"rate_limit": limit, "rate_limit_seconds": 60.0} | options
    async with running(chain, f"sqlite:///{folder / 'market.db'}", **options) as market:
        yield market


async def ask(market: Market, headers: Mapping[str, str] | None = None, path: str = "/version") -> Any:
    async with market.session.get(market.url + path, headers=headers) as response:
        await response.read()
        return response


async def exhaust(market: Market) -> None:
    while (await ask(market)).status == 200:
        pass


async def test_a_client_is_told_what_it_has_left_and_when_to_come_back(chain: Chain, tmp_path: Path) -> None:
    async with limited(chain, tmp_path) as market:
        left = [await ask(market) for _ in range(5)]
        assert [response.headers["x-ratelimit-remaining"] for response in left] == ["4", "3", "2", "1", "0"]
        assert {response.headers["x-ratelimit-limit"] for response in left} == {"5"}
        assert left[-1].headers["x-ratelimit-reset"] == str(int(market.clock.now()) + 60)
        async with market.session.get(market.url + "/apporders", headers={"origin": "https://a.example"}) as refused:
            assert refused.status == 429
            assert refused.headers["retry-after"] == "12"
            assert refused.headers["access-control-allow-origin"] == "*"
            assert "Retry-After" in refused.headers["access-control-expose-headers"]
            answer = await refused.json()
        assert answer["error"] == "Rate limit exceeded"
        assert (answer["ok"], answer["code"], answer["retry"]) == (False, "RATE_LIMITED", True)
        market.clock.offset += 12
        assert (await ask(market)).status == 200
        assert (await ask(market)).status == 429


@pytest.mark.parametrize(
    "headers",
    [
        {"x-real-ip": "198.51.100.1"},
        {"x-forwarded-for": "198.51.100.1"},
        {"x-forwarded-for": "::ffff:127.0.0.1"},
        {"forwarded": "for=198.51.100.1"},
        {"cf-connecting-ip": "198.51.100.1", "true-client-ip": "198.51.100.1"},
        {"origin": "https://market.iex.ec"},
        {"origin": "https://iex.ec", "x-real-ip": "::1", "x-forwarded-for": "10.0.0.1, 127.0.0.1"},
    ],
)
async def test_no_header_gets_around_it(chain: Chain, tmp_path: Path, headers: dict[str, str]) -> None:
    async with limited(chain, tmp_path) as market:
        await exhaust(market)
        assert (await ask(market, headers)).status == 429


async def test_a_thousand_pretended_origins_have_one_budget(chain: Chain, tmp_path: Path) -> None:
    async with limited(chain, tmp_path) as market:
        served = 0
        for number in range(300):
            address = f"198.51.{number // 250}.{number % 250}"
            served += (await ask(market, {"x-forwarded-for": address, "x-real-ip": address})).status == 200
        assert served == 5


async def test_a_trusted_proxy_tells_clients_apart_and_nobody_fools_it(chain: Chain, tmp_path: Path) -> None:
    async with limited(chain, tmp_path, trusted_proxies=("127.0.0.1",)) as market:
        for _ in range(5):
            assert (await ask(market, {"x-forwarded-for": "198.51.100.1"})).status == 200
        assert (await ask(market, {"x-forwarded-for": "198.51.100.1"})).status == 429
        assert (await ask(market, {"x-forwarded-for": "203.0.113.9, 198.51.100.1"})).status == 429
        assert (await ask(market, {"x-forwarded-for": "198.51.100.2"})).status == 200


async def test_every_path_and_method_counts_and_so_do_handshakes(chain: Chain, tmp_path: Path) -> None:
    async with limited(chain, tmp_path, 4) as market:
        for path in ("/nowhere", "/docs", "/apporders", "/ws/?EIO=4&transport=polling&sid=invented"):
            assert (await ask(market, path=path)).status != 429
        for method in ("GET", "HEAD", "POST", "OPTIONS"):
            async with market.session.request(method, market.url + "/apporders") as response:
                assert response.status == 429
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await market.session.ws_connect(market.url + "/ws/?EIO=4&transport=websocket")
        assert refused.value.status == 429


async def test_listening_by_polls_costs_nothing_once_connected(chain: Chain, tmp_path: Path) -> None:
    room = {"chainId": chain.manifest.chain_id, "topic": "orders"}
    async with limited(chain, tmp_path, 3) as market:
        client = socketio.AsyncClient(reconnection=False)
        await client.connect(market.url, socketio_path="ws", transports=["polling"])
        for _ in range(10):
            assert await client.call("join", room) is True
            assert await client.call("leaveAll") is True
        await client.disconnect()


async def test_two_processes_that_share_a_file_count_together(chain: Chain, tmp_path: Path) -> None:
    shared = {"rate_limit_file": tmp_path / "budgets"}
    (tmp_path / "other").mkdir()
    async with limited(chain, tmp_path, **shared) as one, limited(chain, tmp_path / "other", **shared) as other:
        served = [(await ask(market)).status == 200 for _ in range(4) for market in (one, other)]
        assert sum(served) == 5
