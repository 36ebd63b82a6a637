"""What was acknowledged is kept, however the service ends; and clients say what is wrong with a service."""

from __future__ import annotations

import itertools
import os
import signal
import sys
from collections.abc import Awaitable
from pathlib import Path

import anyio
import pytest
from tests.services.sms.conftest import Sms
from tests.services.sms.marketplace import REQUESTER, Marketplace
from tests.services.sms.test_keeping import values

from pyiexec.chain.anvil import free_port
from pyiexec.foundation.clock import SystemClock
from pyiexec.foundation.settings import save_settings
from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.secrets import Secret, requester_secret
from pyiexec.sdk.secret_service import SecretService
from pyiexec.sms.settings import SmsSettings

pytestmark = pytest.mark.anyio
#: Secrets acknowledged before the kill.
ENOUGH = 40
REPOSITORY = Path(__file__).resolve().parents[3]


async def filled_and_killed(chain: Marketplace, settings: Path, names: str) -> dict[Secret, str]:
    """Start a service, push secrets from several clients at once, and kill it; what was acknowledged."""
    kept: dict[Secret, str] = {}
    killed = anyio.Event()
    command = [sys.executable, "-m", "tests.services.sms.serving", str(settings)]
    async with await anyio.open_process(command, cwd=REPOSITORY, stderr=None) as process:
        assert process.stdout is not None
        url = (await process.stdout.receive()).decode().strip()
        service = SecretService(url, chain.domain, SystemClock(), os.urandom)

        async def push(client: int) -> None:
            for number in itertools.count():
                secret = requester_secret(REQUESTER.address, f"{names}-{client}-{number}")
                try:
                    await service.push(secret, f"value {number} of {client}", REQUESTER)
                except IexecError:
                    assert killed.is_set()
                    return
                kept[secret] = f"value {number} of {client}"
                if len(kept) >= ENOUGH and not killed.is_set():
                    killed.set()
                    process.kill()

        async with service, anyio.create_task_group() as group:
            for client in range(5):
                group.start_soon(push, client)
        assert await process.wait() == -signal.SIGKILL
    return kept


async def test_what_was_acknowledged_survives_a_kill(
    marketplace: Marketplace, database_url: str, tmp_path: Path
) -> None:
    ring, file = tmp_path / "ring", tmp_path / "sms.json"
    settings = SmsSettings(
        database_url=database_url,
        key_file=str(ring),
        rpc_url=marketplace.url,
        chain_id=marketplace.manifest.chain_id,
        hub=marketplace.manifest.hub,
        rate_limit=0,
    )
    save_settings(settings, file)
    kept: dict[Secret, str] = {}
    for life in ("first", "second"):
        kept |= await filled_and_killed(marketplace, file, life)
        assert await values(database_url, ring, list(kept)) == kept
    assert len(kept) >= 2 * ENOUGH


async def test_clients_tell_a_service_that_is_away_or_none(marketplace: Marketplace) -> None:
    secret = requester_secret(REQUESTER.address, "foo")

    async def refused(request: Awaitable[object]) -> None:
        with pytest.raises(IexecError) as refusal:
            await request
        assert refusal.value.code == "SMS_UNREACHABLE"
        assert "FINDME" not in str(refusal.value)

    nobody = f"http://127.0.0.1:{free_port()}"
    async with SecretService(nobody, marketplace.domain, SystemClock(), os.urandom) as service:
        await refused(service.has(secret))
        await refused(service.rotate(secret, "FINDME", REQUESTER))
        await refused(service.delete(secret, REQUESTER))
    # A node of the chain answers in its own way, which for a check is that nothing is there.
    for url in (nobody, marketplace.url):
        async with SecretService(url, marketplace.domain, SystemClock(), os.urandom) as service:
            await refused(service.push(secret, "FINDME", REQUESTER))
            await refused(service.names(REQUESTER))


async def test_values_that_would_be_refused_are_not_sent(sms: Sms) -> None:
    secret = requester_secret(REQUESTER.address, "foo")
    nobody = SecretService(f"http://127.0.0.1:{free_port()}", sms.chain.domain, sms.clock, os.urandom)
    async with nobody:
        for value, code in (("", "BAD_SECRET"), ("  ", "BAD_SECRET"), ("x" * 4097, "SECRET_TOO_LARGE")):
            with pytest.raises(IexecError) as refusal:
                await nobody.push(secret, value, REQUESTER)
            assert refusal.value.code == code
