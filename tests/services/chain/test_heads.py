"""New heads are pushed, whatever happens to the node in between."""

import json

import anyio
import pytest
from aiohttp import web
from websockets.asyncio.server import ServerConnection, serve

from pyiexec.chain.anvil import Anvil, AnvilOptions
from pyiexec.chain.heads import HeadFeed
from pyiexec.chain.rpc import JsonRpc

pytestmark = pytest.mark.anyio


@pytest.fixture
def options() -> AnvilOptions:
    # No block comes by itself within a test.
    return AnvilOptions(block_time=600)


async def test_a_stream_begins_with_the_newest_head_and_goes_on_with_every_block(feed: HeadFeed, rpc: JsonRpc) -> None:
    async with feed.subscribe() as heads:
        with anyio.fail_after(10):
            first = await anext(heads)
            for _ in range(3):
                await rpc.call("anvil_mine", "0x1")
            following = [await anext(heads) for _ in range(3)]
    assert [head.number for head in following] == [first.number + 1, first.number + 2, first.number + 3]
    assert [head.parent_hash for head in following] == [head.hash for head in (first, *following[:2])]


async def test_every_reader_sees_every_head(feed: HeadFeed, rpc: JsonRpc) -> None:
    async with feed.subscribe() as one, feed.subscribe() as other:
        await rpc.call("anvil_mine", "0x2")
        with anyio.fail_after(10):
            seen = [[(await anext(reader)).number for _ in range(3)] for reader in (one, other)]
    assert seen == [[0, 1, 2], [0, 1, 2]]


async def test_a_restarted_node_is_followed_again_from_its_newest_head(anvil: Anvil, feed: HeadFeed) -> None:
    async with feed.subscribe() as heads:
        with anyio.fail_after(20):
            await anext(heads)
            await anvil.stop()
            async with Anvil(AnvilOptions(port=anvil.port, block_time=600)) as again, JsonRpc(again.url) as rpc:
                await rpc.call("anvil_mine", "0x5")
                while (await anext(heads)).number < 5:
                    pass
                await rpc.call("anvil_mine", "0x1")
                assert (await anext(heads)).number == 6


async def test_a_feed_may_be_started_before_its_node() -> None:
    node = Anvil(AnvilOptions(block_time=600))
    async with HeadFeed(node.url) as feed, feed.subscribe() as heads:
        assert feed.newest is None
        assert not feed.connected
        async with node:
            with anyio.fail_after(20):
                assert (await anext(heads)).number == 0
            assert feed.connected


async def test_a_node_without_websockets_is_asked_once_a_second_at_most(anvil: Anvil, rpc: JsonRpc) -> None:
    asked: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        body = await request.json()
        asked.append(body["method"])
        return web.json_response(
            {"jsonrpc": "2.0", "id": body["id"], "result": await rpc.call(body["method"], *body["params"])}
        )

    app = web.Application()
    app.router.add_post("/", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    try:
        async with HeadFeed(f"http://{host}:{port}") as feed, feed.subscribe() as heads:
            with anyio.fail_after(10):
                first = await anext(heads)
                await rpc.call("anvil_mine", "0x1")
                assert (await anext(heads)).parent_hash == first.hash
        assert len(asked) <= 3
    finally:
        await runner.cleanup()


async def test_a_node_that_talks_nonsense_is_left_and_met_again(anvil: Anvil, rpc: JsonRpc) -> None:
    talks: list[int] = []
    often = anyio.Event()

    async def talk(socket: ServerConnection) -> None:
        talks.append(len(talks))
        if len(talks) == 4:
            often.set()
        for method, params in (("eth_subscribe", ["newHeads"]), ("eth_getBlockByNumber", ["latest", False])):
            number = json.loads(await socket.recv())["id"]
            result = "0x1" if method == "eth_subscribe" else await rpc.call(method, *params)
            await socket.send(json.dumps({"jsonrpc": "2.0", "id": number, "result": result}))
        nonsense = ["not JSON", '{"method": "eth_subscription"}', '{"method": "eth_subscription", "params": 5}']
        await socket.send(nonsense[talks[-1] % len(nonsense)])
        await socket.wait_closed()

    async with serve(talk, "127.0.0.1", 0) as server:
        host, port = server.sockets[0].getsockname()
        async with HeadFeed(f"http://{host}:{port}"):
            with anyio.fail_after(20):
                await often.wait()


async def test_slow_readers_take_the_newest_head_alone(feed: HeadFeed, rpc: JsonRpc) -> None:
    async with feed.subscribe() as slow, feed.subscribe() as quick:
        await rpc.call("anvil_mine", "0x4")
        with anyio.fail_after(10):
            while (await anext(quick)).number < 4:
                pass
            assert (await slow.newest()).number == 4
