"""The published client of socket.io listens to the order book as it did to the marketplace."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import anyio
import pytest
from benchmarks.peers.javascript import installed, node, node_environment

from .conftest import APP_OWNER, Chain, running

pytestmark = pytest.mark.anyio

PROJECT = Path(__file__).with_name("javascript")


class Listener:
    """A node process that listens."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def say(self, command: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{command}\n".encode())
        await self._process.stdin.drain()

    async def hear(self) -> list[Any]:
        assert self._process.stdout is not None
        with anyio.fail_after(30):
            line = await self._process.stdout.readline()
        heard: list[Any] = json.loads(line)
        return heard


@pytest.mark.parametrize("transport", ["default", "polling", "websocket"])
async def test_it_joins_is_told_and_leaves(chain: Chain, tmp_path: Path, transport: str) -> None:
    folder = await asyncio.to_thread(installed, PROJECT)
    async with running(chain, f"sqlite:///{tmp_path / 'market.db'}") as market:
        process = await asyncio.create_subprocess_exec(
            *(str(node()), str(PROJECT / "listen.mjs"), str(folder)),
            *(market.url, str(chain.manifest.chain_id), transport),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env=node_environment(os.environ),
        )
        listener = Listener(process)
        try:
            assert await listener.hear() == ["refused", False, "topic is a required field"]
            assert await listener.hear() == ["joined", True]
            orders = [chain.app_order(appprice=price) for price in range(4)]
            order_hash = await market.book.publish(orders[0], APP_OWNER)
            told, event, item = await listener.hear()
            assert (told, event, item["orderHash"], item["status"]) == (
                "told",
                "apporder_published",
                order_hash,
                "open",
            )
            assert "chainId" not in item
            assert item["order"]["sign"] == orders[0].sign
            await market.book.unpublish("apporder", APP_OWNER, order_hash=order_hash)
            assert await listener.hear() == ["told", "apporder_unpublished", order_hash]
            await listener.say("transport")
            assert await listener.hear() == ["transport", "polling" if transport == "polling" else "websocket"]
            for command, answer in (("leave", "left"), ("leaveAll", "left all")):
                await listener.say(command)
                assert await listener.hear() == [answer, True]
                await market.book.publish(orders.pop(), APP_OWNER)
            # What it is answered now comes after anything it would have been told.
            await listener.say("transport")
            assert (await listener.hear())[0] == "transport"
        finally:
            await listener.say("end")
            assert await process.wait() == 0
