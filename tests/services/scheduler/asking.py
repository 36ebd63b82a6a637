"""How a client asks a scheduler, as the JavaScript client does and as a browser follows streams."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import aiohttp

from pyiexec.chain.signer import Signer
from pyiexec.foundation.server_events import Event, read_events
from pyiexec.protocol.eip712 import challenge_hash
from pyiexec.protocol.primitives import to_bytes, to_hex


class Answer(NamedTuple):
    """What came back."""

    status: int
    kind: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        assert self.kind == "application/json", self
        return json.loads(self.body)


async def ask(url: str, path: str, token: str | None = None, **headers: str) -> Answer:
    """A GET, whatever comes of it."""
    sent = headers | ({"Authorization": token} if token is not None else {})
    async with aiohttp.ClientSession() as session, session.get(url + path, headers=sent) as response:
        kind = response.headers.get("content-type", "").partition(";")[0]
        return Answer(response.status, kind, {k.lower(): v for k, v in response.headers.items()}, await response.read())


async def log_token(url: str, signer: Signer, chain_id: int) -> str:
    """A signed challenge, as the JavaScript client makes it."""
    answer = await ask(url, f"/tasks/logs/challenge?address={signer.address}&chainId={chain_id}")
    assert answer.status == 200
    domain, text = answer.json["domain"], answer.json["message"]["challenge"]
    assert domain == {"name": "iExec Core", "version": "1", "chainId": chain_id}
    digest = challenge_hash(text, chain_id, domain["name"], domain["version"])
    return f"{digest}_{to_hex(signer.sign_digest(to_bytes(digest)))}_{signer.address}"


@asynccontextmanager
async def stream(
    url: str, path: str, token: str | None = None, last_id: str | None = None
) -> AsyncIterator[AsyncIterator[Event]]:
    """The events of a stream."""
    headers = {"Authorization": token} if token is not None else {}
    if last_id is not None:
        headers["Last-Event-ID"] = last_id
    async with (
        aiohttp.ClientSession(read_bufsize=1 << 18) as session,
        session.get(url + path, headers=headers) as response,
    ):
        assert response.status == 200, await response.text()
        assert response.headers["content-type"].startswith("text/event-stream")
        assert response.headers["cache-control"] == "no-store"
        yield read_events(response.content)
