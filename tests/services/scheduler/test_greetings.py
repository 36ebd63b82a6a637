"""Workers of other versions: who is let in, and how one speaks with it afterwards."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.services.scheduler.conftest import Net, shown, until_shown
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from pyiexec.protocol.messages import (
    GREETING,
    GREETING_FORM,
    Challenge,
    Offer,
    Refused,
    Welcome,
    decode_message,
    encode_message,
    login_hash,
)
from pyiexec.protocol.primitives import to_hex
from pyiexec.protocol.versions import SPEECH

pytestmark = pytest.mark.anyio


def channel(url: str, query: str = "") -> Any:
    return connect(url.replace("http", "ws") + "/v1/worker" + query, proxy=None)


async def answer(net: Net, socket: ClientConnection, text: str | bytes, **more: object) -> Any:
    """What the scheduler says to a worker that answers a challenge in the form of version 2, with more beside."""
    challenge, worker = decode_message(text), net.workers[0]
    assert isinstance(challenge, Challenge)
    hello = {
        "type": "Hello",
        "worker": worker.address,
        "signature": to_hex(worker.signer.sign_message_hash(login_hash(challenge, worker.address))),
        "capabilities": {"slots": 1, "runtimes": ["wasm"], "cached": []},
        "received": 0,
    }
    await socket.send(json.dumps(hello | more))
    return decode_message(await socket.recv())


async def test_a_worker_from_before_negotiation_is_greeted_with_what_it_knows_and_let_in(net: Net) -> None:
    async with net.scheduler() as url, channel(url) as socket:
        text = await socket.recv()
        # It refused whatever field it did not know, and any version but this one.
        assert set(json.loads(text)) == {"type", "nonce", "chain_id", "workerpool", "protocol"}
        assert json.loads(text)["protocol"] == 2
        welcome = await answer(net, socket, text)
        assert isinstance(welcome, Welcome)
        assert set(json.loads(encode_message(welcome))) == {"type", "received", "heartbeat_seconds"}
        (worker,) = [worker for worker in await shown(url, "/workers") if worker["connected"]]
        assert (worker["slots"], worker["cpus"], worker["memoryBytes"], worker["gpus"]) == (1, None, None, 0)


async def test_a_worker_with_no_version_in_common_is_told_both_ranges(net: Net) -> None:
    async with net.scheduler() as url, channel(url, f"?{GREETING}={GREETING_FORM}") as socket:
        text = await socket.recv()
        assert decode_message(text).speech == SPEECH
        refused = await answer(net, socket, text, speech={"lowest": 7, "highest": 9})
        assert isinstance(refused, Refused)
        assert refused.code == "VERSION_MISMATCH"
        assert f"the scheduler speaks {SPEECH}, the worker versions 7 to 9" in refused.message


async def test_a_newer_worker_is_let_in_whatever_else_it_says(net: Net) -> None:
    async with net.scheduler() as url, channel(url, f"?{GREETING}=9") as socket:
        speech = {"lowest": 1, "highest": 99, "features": ["offers", "telepathy"], "dialects": 3}
        welcome = await answer(net, socket, await socket.recv(), speech=speech, mood="good")
        assert isinstance(welcome, Welcome)


async def test_an_offer_changes_what_is_known_of_a_worker_that_has_the_feature(net: Net) -> None:
    async with net.scheduler() as url, channel(url, f"?{GREETING}={GREETING_FORM}") as socket:
        text = await socket.recv()
        welcome = await answer(net, socket, text, speech=json.loads(encode_message(decode_message(text)))["speech"])
        assert isinstance(welcome, Welcome)
        offer = net.workers[0].hello("0x" + "00" * 65).capabilities
        await socket.send(encode_message(Offer(capabilities=offer)).replace(b'"gpus":0', b'"gpus":3'), text=True)
        await until_shown(url, "/workers", lambda workers: any(worker["gpus"] == 3 for worker in workers))


async def test_one_without_the_feature_may_not_make_offers(net: Net) -> None:
    async with net.scheduler() as url, channel(url) as socket:
        assert isinstance(await answer(net, socket, await socket.recv()), Welcome)
        await socket.send(encode_message(Offer(capabilities=net.workers[0].hello("0x").capabilities)), text=True)
        with pytest.raises(ConnectionClosed, match="Offer is out of place here"):
            await socket.recv()
