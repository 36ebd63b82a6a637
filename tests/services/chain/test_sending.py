"""Calls sent one after the other, to a node that does not keep all of them."""

from __future__ import annotations

import anyio
import pytest

from pyiexec.chain.anvil import AnvilOptions
from pyiexec.chain.rpc import JsonRpc
from pyiexec.chain.sending import Call, send_all
from pyiexec.chain.signer import Signer

from . import bell

pytestmark = pytest.mark.anyio


@pytest.fixture
def options() -> AnvilOptions:
    """Blocks come seldom enough to take something out of the pool before."""
    return AnvilOptions(block_time=2.0, mixed=False)


async def pending(rpc: JsonRpc) -> dict[int, str]:
    """Hashes of what the node's pool has, by nonce; the tests send from one account."""
    accounts = (await rpc.call("txpool_content"))["pending"].values()
    return {int(nonce): found["hash"] for account in accounts for nonce, found in account.items()}


async def test_what_a_node_dropped_is_sent_again(rpc: JsonRpc, signer: Signer) -> None:
    receipts: list[dict[str, str]] = []

    async def send() -> None:
        receipts.extend(await send_all(rpc, signer, [Call(bell.ADDRESS, bell.ring(number)) for number in range(3)]))

    with anyio.fail_after(30):
        async with anyio.create_task_group() as group:
            group.start_soon(send)
            while len(known := await pending(rpc)) < 3:  # noqa: ASYNC110 - the pool tells nobody
                await anyio.sleep(0.02)
            await rpc.call("anvil_dropTransaction", known[min(known)])
    assert [bell.number_of(receipt["logs"][0]) for receipt in receipts] == [0, 1, 2]
