"""A node's answers, good and bad, become values and coded errors."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from pyiexec.chain.anvil import Anvil
from pyiexec.chain.reading import Reading, read_all
from pyiexec.chain.rpc import JsonRpc, RpcError
from pyiexec.chain.token import Token
from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.primitives import Address, to_hex

from . import bell

pytestmark = pytest.mark.anyio
Serve = Callable[[Any], AbstractAsyncContextManager[JsonRpc]]


@pytest.fixture
def serve() -> Serve:
    """A node that gives one answer, whatever it is asked."""

    @asynccontextmanager
    async def open_it(answer: Any) -> AsyncIterator[JsonRpc]:
        async def reply(_: web.Request) -> web.Response:
            return web.json_response(answer) if not isinstance(answer, str) else web.Response(text=answer, status=502)

        app = web.Application()
        app.router.add_post("/{path:.*}", reply)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        async with JsonRpc(f"http://127.0.0.1:{runner.addresses[0][1]}/v3/access-key") as rpc:
            yield rpc
        await runner.cleanup()

    return open_it


async def test_a_batch_is_answered_in_the_order_it_was_asked(rpc: JsonRpc) -> None:
    before = rpc.count
    chain, count, block = await rpc.batch(
        [("eth_chainId", []), ("eth_getTransactionCount", [bell.ADDRESS, "latest"]), ("eth_blockNumber", [])]
    )
    assert (int(chain, 16), int(count, 16), int(block, 16)) == (31337, 0, await rpc.block_number())
    assert rpc.count - before == 4
    assert await rpc.batch([]) == []


async def test_one_refused_request_does_not_spoil_the_others_of_its_batch(rpc: JsonRpc) -> None:
    good, bad, also_good = await rpc.batch_outcomes([("eth_chainId", []), ("eth_nonsense", []), ("eth_chainId", [])])
    assert good == also_good == "0x7a69"
    assert isinstance(bad, RpcError)
    with pytest.raises(RpcError):
        await rpc.batch([("eth_chainId", []), ("eth_nonsense", [])])


async def test_a_revert_is_explained(rpc: JsonRpc) -> None:
    for attempt in (rpc.eth_call(bell.ADDRESS, b""), rpc.estimate_gas(bell.ADDRESS, bell.ADDRESS, b"")):
        with pytest.raises(IexecError, match="the contract reverted: silence") as refusal:
            await attempt
        assert refusal.value.code == "CONTRACT_REVERTED"
        assert refusal.value.details["data"].startswith("0x08c379a0")


async def test_readings_are_awaited_alone_or_together_and_at_any_block(rpc: JsonRpc) -> None:
    account: Address = (await rpc.call("eth_accounts"))[0]
    # Copies its call data back, whatever is asked of it.
    await rpc.call("anvil_setCode", bell.ADDRESS, "0x365f5f37365ff3")

    def echo(number: int) -> Reading[int]:
        return Reading(rpc, bell.ADDRESS, number.to_bytes(32, "big"), lambda data: int.from_bytes(data, "big"))

    assert await echo(5) == 5
    before = rpc.count
    assert await read_all(echo(1), echo(2), echo(3)) == (1, 2, 3)
    assert rpc.count - before == 3
    await rpc.call("anvil_mine", "0x2")
    assert await echo(7).at(1) == 7
    with pytest.raises(IexecError) as refusal:
        await Token(rpc, account).balance_of(account)
    assert refusal.value.code == "CHAIN_REFUSED"


async def test_what_reverts_in_silence_is_told_in_the_words_of_the_reading(rpc: JsonRpc) -> None:
    await rpc.call("anvil_setCode", bell.ADDRESS, to_hex(bytes.fromhex("5f5ffd")))
    reading = Reading(rpc, bell.ADDRESS, b"", bytes, missing=("APP_UNKNOWN", "no app stands there"))
    for attempt in (reading, read_all(reading, reading)):
        with pytest.raises(IexecError) as refusal:
            await attempt
        assert refusal.value.code == "APP_UNKNOWN"


async def test_a_node_that_is_down_is_unreachable_and_used_again_when_it_is_back(anvil: Anvil) -> None:
    async with JsonRpc(anvil.url) as rpc:
        assert await rpc.chain_id() == 31337
        await anvil.stop()
        with pytest.raises(IexecError) as refusal:
            await rpc.chain_id()
        assert refusal.value.code == "CHAIN_UNREACHABLE"
        assert refusal.value.retry
        await anvil.start()
        assert await rpc.chain_id() == 31337


@pytest.mark.parametrize("answer", ["<html>Bad gateway</html>", [], {}, 7, {"jsonrpc": "2.0", "id": 1}])
async def test_what_does_not_speak_the_protocol_is_unreachable_and_its_key_not_repeated(
    serve: Serve, answer: Any
) -> None:
    async with serve(answer) as rpc:
        for attempt in (rpc.call("eth_chainId"), rpc.batch([("eth_chainId", [])])):
            with pytest.raises(IexecError) as refusal:
                await attempt
            assert refusal.value.code in ("CHAIN_UNREACHABLE", "CHAIN_REFUSED")
            assert "access-key" not in str(refusal.value)


async def test_an_unreachable_nodes_key_is_not_repeated() -> None:
    async with JsonRpc("http://user:password@127.0.0.1:1/v3/access-key?token=hidden") as rpc:
        with pytest.raises(IexecError) as refusal:
            await rpc.chain_id()
    for secret in ("access-key", "hidden", "password"):
        assert secret not in str(refusal.value)


async def test_a_null_error_beside_a_result_is_no_error(serve: Serve) -> None:
    async with serve({"jsonrpc": "2.0", "id": 1, "result": "0x1", "error": None}) as rpc:
        assert await rpc.chain_id() == 1


async def test_a_refusal_keeps_the_nodes_words(serve: Serve) -> None:
    async with serve({"jsonrpc": "2.0", "id": 1, "error": {"code": -32005, "message": "limit exceeded"}}) as rpc:
        with pytest.raises(RpcError, match="eth_chainId: limit exceeded") as refusal:
            await rpc.chain_id()
    assert refusal.value.rpc_code == -32005
