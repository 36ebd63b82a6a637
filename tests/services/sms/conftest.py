"""A secret management service on a real socket, over a real chain and a real database."""

from __future__ import annotations

import io
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest
from tests.databases import database_url, postgresql, postgresql_url  # noqa: F401 - fixtures
from tests.services.serving import SetClock, served
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
    settings = SmsSettings(
        database_url=database,
        key_file=str(key_file),
        chain_id=chain.manifest.chain_id,
        hub=chain.manifest.hub,
        **{"rpc_url": chain.url, "rate_limit": 0} | options,
    )
    clock = clock or SetClock()
    async with served(serve, settings, clock=clock) as url, http_session() as session:
        service = SecretService(url, chain.domain, clock, os.urandom, session)
        yield Sms(url, settings, service, session, chain, clock)


@pytest.fixture
async def sms(marketplace: Marketplace, database_url: str, tmp_path: Path) -> AsyncIterator[Sms]:  # noqa: F811
    async with running(marketplace, database_url, tmp_path / "keys" / "ring.json") as service:
        yield service
