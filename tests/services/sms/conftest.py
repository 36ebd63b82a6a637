"""A secret management service on a real socket, over a real chain and a real database."""

from __future__ import annotations

import io
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import anyio
import msgspec
import pytest
from tests.databases import database_url, postgresql, postgresql_url  # noqa: F401 - fixtures
from tests.services.sms.marketplace import Marketplace, marketplace  # noqa: F401 - fixture

from pyiexec.chain.signer import Signer
from pyiexec.foundation.http import http_session
from pyiexec.protocol.primitives import Bytes32, bytes32
from pyiexec.protocol.secrets import Action, BoundAuthorization, Secret, bound_header, legacy_message
from pyiexec.sdk.secret_service import SecretService
from pyiexec.sms.service import serve
from pyiexec.sms.settings import SmsSettings


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class SetClock:
    """Time that tests move."""

    def __init__(self) -> None:
        self.offset = 0.0

    def now(self) -> float:
        return 1_800_000_000.0 + self.offset

    def monotonic(self) -> float:
        return anyio.current_time()

    async def sleep(self, seconds: float) -> None:
        await anyio.sleep(seconds)


@dataclass
class Sms:
    """A running service and its client."""

    url: str
    settings: SmsSettings
    service: SecretService
    session: aiohttp.ClientSession
    chain: Marketplace
    clock: SetClock

    async def send(
        self, method: str, path: str, body: bytes | str = b"", header: str | None = None, **query: str
    ) -> tuple[int, Any]:
        """Status and JSON; None where there is no body."""
        headers = {"Authorization": header} if header is not None else {}
        data = body.encode() if isinstance(body, str) else body
        async with self.session.request(
            method, self.url + path, params=query, data=io.BytesIO(data) if data else None, headers=headers
        ) as response:
            content = await response.read()
            if not content:
                assert response.status in (204, 404) or method == "HEAD"
                return response.status, None
            assert response.content_type == "application/json"
            return response.status, await response.json()

    def bound(
        self,
        action: Action,
        secret: Secret,
        value: str,
        signer: Signer,
        *,
        nonce: Bytes32 | None = None,
        deadline: int | None = None,
        **changes: Any,
    ) -> str:
        """The header of a bound authorisation; `changes` falsify what is signed."""
        nonce = nonce or bytes32(os.urandom(32))
        deadline = int(self.clock.now()) + 60 if deadline is None else deadline
        domain = changes.pop("domain", self.chain.domain)
        signed = BoundAuthorization.over(action, secret, value, service=self.url, nonce=nonce, deadline=deadline)
        signed = msgspec.structs.replace(signed, **changes)
        return bound_header(nonce, deadline, signer.sign_digest(signed.digest(domain)))


def legacy(secret: Secret, value: str, signer: Signer) -> str:
    """The header that the JS SDK sends."""
    return "0x" + signer.sign_message_hash(legacy_message(secret, value)).hex()


@asynccontextmanager
async def running(
    chain: Marketplace, database: str, key_file: Path, *, clock: Any = None, **options: Any
) -> AsyncIterator[Sms]:
    """A service over a database and a key ring, stopped in the end."""
    stop, started = anyio.Event(), anyio.Event()
    urls: list[str] = []

    def ready(url: str) -> None:
        urls.append(url)
        started.set()

    settings = SmsSettings(
        database_url=database,
        key_file=str(key_file),
        chain_id=chain.manifest.chain_id,
        hub=chain.manifest.hub,
        **{"rpc_url": chain.url, "rate_limit": 0} | options,
    )
    clock = clock or SetClock()
    async with AsyncExitStack() as stack:
        group = await stack.enter_async_context(anyio.create_task_group())
        stack.callback(stop.set)
        group.start_soon(lambda: serve(settings, ready=ready, stop=stop, clock=clock))
        with anyio.fail_after(30):
            await started.wait()
        session = await stack.enter_async_context(http_session())
        service = SecretService(urls[0], chain.domain, clock, os.urandom, session)
        yield Sms(urls[0], settings, service, session, chain, clock)


@pytest.fixture
async def sms(marketplace: Marketplace, database_url: str, tmp_path: Path) -> AsyncIterator[Sms]:  # noqa: F811
    async with running(marketplace, database_url, tmp_path / "keys" / "ring.json") as service:
        yield service
