"""The commands around secrets, as processes of their own: also killed at the worst moment."""

from __future__ import annotations

import base64
import json
import os
import pty
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import anyio
import anyio.to_thread
import msgspec
import pytest
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from tests.services.sms.conftest import Sms, running
from tests.services.sms.marketplace import DATASET_OWNER, REQUESTER, Marketplace
from tests.services.sms.test_keeping import values

from pyiexec.chain.networks import NetworkProfile
from pyiexec.chain.signer import Signer
from pyiexec.foundation.clock import SystemClock
from pyiexec.foundation.settings import save_settings, to_json
from pyiexec.protocol.primitives import to_hex
from pyiexec.protocol.secrets import Secret, dataset_secret, requester_secret, web2_secret
from pyiexec.sdk import Client

pytestmark = pytest.mark.anyio
PYIEXEC = (sys.executable, "-m", "pyiexec")


async def pyiexec(
    *arguments: str, signer: Signer | None = None, stdin: bytes = b"", folder: Path | None = None
) -> subprocess.CompletedProcess[bytes]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYIEXEC_")}
    if signer is not None:
        environment["PYIEXEC_PRIVATE_KEY"] = to_hex(signer.secret)
    # The service answers from this process's event loop.
    return await anyio.run_process([*PYIEXEC, *arguments], input=stdin, env=environment, cwd=folder, check=False)


def profile(sms: Sms, folder: Path) -> str:
    """A network profile file."""
    nowhere = "http://127.0.0.1:1"
    network = NetworkProfile(
        name="test",
        chain_id=sms.chain.manifest.chain_id,
        rpc_url=sms.chain.url,
        hub=sms.chain.manifest.hub,
        market_url=nowhere,
        gateway_url=nowhere,
        sms_url=sms.url,
    )
    file = folder / "profile.json"
    file.write_bytes(to_json(network))
    return str(file)


@pytest.fixture
async def sms(marketplace: Marketplace, tmp_path: Path) -> AsyncIterator[Sms]:
    """A service by the machine's clock, as the commands are."""
    database = f"sqlite:///{tmp_path / 'sms.db'}"
    async with running(marketplace, database, tmp_path / "ring", clock=SystemClock()) as service:
        yield service


async def test_secrets_are_set_checked_listed_replaced_and_deleted(sms: Sms, tmp_path: Path) -> None:
    network = ("--network", profile(sms, tmp_path), "--json")
    dataset = sms.chain.dataset
    (tmp_path / "value").write_text("from a file\r\n")
    done = await pyiexec("secret", "push", "requester", "foo", *network, signer=REQUESTER, stdin=b"from stdin\n")
    assert (done.returncode, json.loads(done.stdout)["name"]) == (0, "foo"), done.stderr
    file = ("--file", str(tmp_path / "value"))
    done = await pyiexec("secret", "push", "dataset", dataset, *file, *network, signer=DATASET_OWNER)
    assert done.returncode == 0, done.stdout
    again = await pyiexec("secret", "push", "dataset", dataset, *file, *network, signer=DATASET_OWNER)
    assert (again.returncode, json.loads(again.stdout)["code"]) == (1, "SECRET_EXISTS")
    done = await pyiexec("secret", "check", "requester", "foo", "--owner", REQUESTER.address, *network)
    assert json.loads(done.stdout)["isSet"] is True
    done = await pyiexec("secret", "list", *network, signer=REQUESTER)
    [listed] = json.loads(done.stdout)["secrets"]
    assert listed["secret"] == {"kind": "requester", "subject": REQUESTER.address, "name": "foo"}
    done = await pyiexec("secret", "rotate", "dataset", dataset, *network, signer=DATASET_OWNER, stdin=b"new")
    assert done.returncode == 0, done.stdout
    done = await pyiexec("secret", "delete", "requester", "foo", *network, signer=REQUESTER)
    assert done.returncode == 0, done.stdout
    done = await pyiexec("secret", "check", "requester", "foo", "--owner", REQUESTER.address, *network)
    assert json.loads(done.stdout)["isSet"] is False
    done = await pyiexec("secret", "push", "requester", "sp ace", *network, signer=REQUESTER, stdin=b"v")
    assert (done.returncode, json.loads(done.stdout)["code"]) == (1, "BAD_SECRET")
    expected = {dataset_secret(dataset): "new"}
    assert await values(sms.settings.database_url, Path(sms.settings.key_file), list(expected)) == expected


async def test_a_result_key_is_made_once_and_pushed(sms: Sms, tmp_path: Path) -> None:
    network = ("--network", profile(sms, tmp_path), "--json")
    done = await pyiexec("secret", "push-result-key", *network, signer=REQUESTER, folder=tmp_path)
    assert done.returncode == 0, done.stdout
    private = tmp_path / ".secrets" / "beneficiary" / f"{REQUESTER.address}_key"
    assert private.stat().st_mode & 0o777 == 0o600
    made = private.read_bytes()
    done = await pyiexec("secret", "push-result-key", "--replace", *network, signer=REQUESTER, folder=tmp_path)
    assert done.returncode == 0, done.stdout
    assert private.read_bytes() == made
    secret = web2_secret(REQUESTER.address, "iexec-result-encryption-public-key")
    [value] = (await values(sms.settings.database_url, Path(sms.settings.key_file), [secret])).values()
    pushed = base64.b64decode(value)
    assert pushed == private.with_name(private.name + ".pub").read_bytes()
    assert load_pem_public_key(pushed).key_size == 4096  # type: ignore[union-attr]
    done = await pyiexec("secret", "push-storage-token", "dropbox", *network, signer=REQUESTER, stdin=b"token")
    assert done.returncode == 0, done.stdout
    assert await sms.service.has(web2_secret(REQUESTER.address, "iexec-result-dropbox-token"))


async def test_programs_without_an_event_loop_keep_secrets_too(sms: Sms, tmp_path: Path) -> None:
    secret = requester_secret(REQUESTER.address, "foo")

    def use() -> list[Secret]:
        with Client(Path(profile(sms, tmp_path)), REQUESTER) as client:
            client.push_secret(secret, "one")
            client.rotate_secret(secret, "two")
            assert client.has_secret(secret)
            found = [each.secret for each in client.secrets()]
            client.delete_secret(secret)
            assert not client.has_secret(secret)
            return found

    assert await anyio.to_thread.run_sync(use) == [secret]


async def test_a_dataset_is_encrypted_and_decrypted(tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_bytes(b"a,b\n" * 10_000)
    done = await pyiexec("dataset", "encrypt", "data.csv", "--json", folder=tmp_path)
    assert done.returncode == 0, done.stdout
    assert (tmp_path / "data.csv.key").stat().st_mode & 0o777 == 0o600
    again = await pyiexec("dataset", "encrypt", "data.csv", "--json", folder=tmp_path)
    assert json.loads(again.stdout)["code"] == "OUTPUT_EXISTS"
    arguments = ("--key-file", "data.csv.key", "--output", "plain", "--json")
    done = await pyiexec("dataset", "decrypt", "data.csv.enc", *arguments, folder=tmp_path)
    assert done.returncode == 0, done.stdout
    assert (tmp_path / "plain").read_bytes() == (tmp_path / "data.csv").read_bytes()


async def fill(marketplace: Marketplace, database_url: str, ring: Path, count: int) -> dict[Secret, str]:
    kept = {requester_secret(REQUESTER.address, f"n{number}"): f"value {number}" for number in range(count)}
    async with running(marketplace, database_url, ring) as sms:
        limit = anyio.CapacityLimiter(20)

        async def push(secret: Secret, value: str) -> None:
            async with limit:
                await sms.service.push(secret, value, REQUESTER)

        async with anyio.create_task_group() as group:
            for secret, value in kept.items():
                group.start_soon(push, secret, value)
        save_settings(sms.settings, ring.with_name("sms.json"))
    return kept


async def test_a_rotation_killed_half_way_loses_nothing_and_is_finished_by_the_next(
    marketplace: Marketplace, database_url: str, tmp_path: Path
) -> None:
    ring = tmp_path / "ring"
    kept = await fill(marketplace, database_url, ring, 300)
    rotate: Sequence[str] = (*PYIEXEC, "sms", "rotate-key", "--config", str(tmp_path / "sms.json"), "--batch", "1")

    def kill_half_way() -> bytes:
        child = subprocess.Popen(rotate, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert child.stderr is not None
        first = child.stderr.readline()
        os.kill(child.pid, signal.SIGKILL)
        child.communicate()
        assert child.returncode == -signal.SIGKILL
        return first

    assert await anyio.to_thread.run_sync(kill_half_way) == b"1 of 300\n"
    keys = json.loads(ring.read_bytes())["keys"]
    assert len(keys) == 2, "the rotation was over before it was killed"
    # Everything can be read, and a service runs on what there is.
    assert await values(database_url, ring, list(kept)) == kept
    async with running(marketplace, database_url, ring) as sms:
        between = requester_secret(REQUESTER.address, "between")
        await sms.service.push(between, "between", REQUESTER)
        kept[between] = "between"
        done = await anyio.run_process([*rotate[:-2], "--json"], check=False)
        assert done.returncode == 0, done.stdout
    outcome = msgspec.json.decode(done.stdout)
    assert outcome["resumed"] is True
    assert 0 < outcome["secrets"] < 300
    assert list(json.loads(ring.read_bytes())["keys"]) == [outcome["keyId"]]
    assert await values(database_url, ring, list(kept)) == kept


async def test_a_service_with_the_wrong_ring_says_so_and_ends(
    marketplace: Marketplace, database_url: str, tmp_path: Path
) -> None:
    ring = tmp_path / "ring"
    await fill(marketplace, database_url, ring, 1)
    ring.unlink()
    for command in ("start", "rotate-key"):
        done = await pyiexec("sms", command, "--config", str(tmp_path / "sms.json"))
        assert done.returncode == 1
        assert b"KEY_RING_MISSING" in done.stderr
        assert not ring.exists()


def served_on_a_terminal(kind: str, settings: Path) -> int:
    """Start a service as a person would, ask it whether it is well, and end it; its exit code."""
    terminal, side = pty.openpty()
    service = subprocess.Popen(
        [*PYIEXEC, kind, "start", "--config", str(settings)], stdin=subprocess.DEVNULL, stdout=side, stderr=side
    )
    os.close(side)
    printed = b""
    try:
        while (ready := re.search(rb"is ready (http://127\.0\.0\.1:\d+)\s", printed)) is None:
            piece = os.read(terminal, 4096)
            assert piece, printed.decode()
            printed += piece
        with urllib.request.urlopen(f"{ready[1].decode()}/health") as answer:
            assert json.loads(answer.read())["service"] == kind
    finally:
        service.send_signal(signal.SIGTERM)
        ended = service.wait(20)
        os.close(terminal)
    return ended


async def test_services_start_from_their_settings_and_end_in_order(marketplace: Marketplace, tmp_path: Path) -> None:
    place = {"database_url": f"sqlite:///{tmp_path / 'service.db'}"}
    chain = {
        "chain_id": marketplace.manifest.chain_id,
        "rpc_url": marketplace.url,
        "hub": marketplace.manifest.hub,
    }
    (tmp_path / "sms.json").write_text(json.dumps(place | chain | {"key_file": str(tmp_path / "ring")}))
    (tmp_path / "compass.json").write_text(json.dumps(place | {"chains": [chain]}))
    for kind in ("sms", "compass"):
        assert await anyio.to_thread.run_sync(served_on_a_terminal, kind, tmp_path / f"{kind}.json") == 0
