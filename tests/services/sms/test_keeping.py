"""How secrets lie in the database: encrypted, each in its place, under keys that change."""

from __future__ import annotations

import io
import json
import os
import stat
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import anyio
import pytest
import sqlalchemy as sa
import structlog
from tests.databases import PostgresqlServer
from tests.services.serving import SetClock
from tests.services.sms.conftest import legacy, running
from tests.services.sms.marketplace import DATASET_OWNER, REQUESTER, STRANGER, Marketplace
from tests.services.sms.test_endpoints import owned, place

from pyiexec.foundation.database import Database
from pyiexec.foundation.logs import configure_logging
from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.secrets import Secret, dataset_secret, requester_secret, web2_secret
from pyiexec.sms.keyring import KeyFile
from pyiexec.sms.rotation import rotate
from pyiexec.sms.service import MIGRATIONS
from pyiexec.sms.tables import SECRETS
from pyiexec.sms.vault import Vault

pytestmark = pytest.mark.anyio


async def values(database_url: str, ring: Path, secrets: list[Secret]) -> dict[Secret, str]:
    """What the vault holds, opened from outside of the service."""
    database = await Database.open(database_url, [MIGRATIONS])
    try:
        vault = Vault(database, KeyFile(ring), SetClock(), os.urandom)
        await vault.open()
        return {secret: await vault.reveal(secret) for secret in secrets}
    finally:
        await database.close()


async def rotated(database_url: str, ring: Path, **options: object) -> object:
    database = await Database.open(database_url, [MIGRATIONS])
    try:
        return await rotate(database, KeyFile(ring), os.urandom, **options)  # type: ignore[arg-type]
    finally:
        await database.close()


async def tampered(database_url: str, statement: sa.Executable) -> None:
    database = await Database.open(database_url, [MIGRATIONS])
    await database.write(lambda db: db.execute(statement).rowcount)
    await database.close()


async def test_values_are_kept_without_the_blanks_around_them(
    marketplace: Marketplace, database_url: str, tmp_path: Path
) -> None:
    kept: dict[Secret, str] = {}
    async with running(marketplace, database_url, tmp_path / "ring") as sms:
        for number, (secret, owner) in enumerate(owned(marketplace)):
            value = f" \tvalue {number} é\n"
            path, query = place(secret)
            assert (await sms.send("POST", path, value, legacy(secret, value, owner), **query))[0] == 204
            kept[secret] = f"value {number} é"
    assert await values(database_url, tmp_path / "ring", list(kept)) == kept


async def test_the_value_is_in_nothing_that_the_service_writes(
    marketplace: Marketplace, database_url: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    value, key_like = "FINDME-value-of-a-secret", "FINDME-another-one"
    printed, configuration = io.StringIO(), structlog.get_config()
    try:
        with redirect_stdout(printed), redirect_stderr(printed):
            configure_logging(level="debug", json=True, service="sms")
            async with running(marketplace, database_url, tmp_path / "ring") as sms:
                answers = []
                for secret, owner in owned(marketplace):
                    path, query = place(secret)
                    right = legacy(secret, value, owner)
                    for header in (legacy(secret, value, STRANGER), "0x00", right, right):
                        answers += [await sms.send("POST", path, value, header, **query)]
                    answers += [await sms.send("PUT", path, value * 400, right, **query)]
                    answers += [await sms.send("PUT", path, value.encode() + b"\xff", right, **query)]
                    await sms.service.rotate(secret, key_like, owner)
                    answers += [await sms.send("GET", "/metrics"), await sms.send("HEAD", path, **query)]
                assert "FINDME" not in repr(answers)
                changes = [line for line in printed.getvalue().splitlines() if "a secret was changed" in line]
                # One of each form for each kind of secret.
                assert len(changes) == 8, printed.getvalue()
                # While it runs: what is not yet in the database file is in its log.
                assert not _holding(tmp_path, b"FINDME")
    finally:
        structlog.configure(**configuration)
        structlog.contextvars.clear_contextvars()
    assert "FINDME" not in printed.getvalue()
    assert not _holding(tmp_path, b"FINDME")
    if database_url.startswith("postgresql"):
        server: PostgresqlServer = request.getfixturevalue("postgresql")
        dumped = server.query(database_url, "select * from secrets, spent_messages, spent_nonces")
        assert dumped
        assert "FINDME" not in dumped
        assert b"FINDME".hex() not in dumped
    else:
        assert _holding(tmp_path, b"iexec-result-dropbox-token"), "the database was not looked at"


def _holding(folder: Path, text: bytes) -> list[Path]:
    return [file for file in folder.rglob("*") if file.is_file() and text in file.read_bytes()]


async def test_equal_values_do_not_look_equal(marketplace: Marketplace, database_url: str, tmp_path: Path) -> None:
    async with running(marketplace, database_url, tmp_path / "ring") as sms:
        for name in ("a", "b"):
            await sms.service.push(requester_secret(REQUESTER.address, name), "same", REQUESTER)
    database = await Database.open(database_url, [MIGRATIONS])
    rows = await database.read(lambda db: db.execute(sa.select(SECRETS.c.sealed)).scalars().all())
    await database.close()
    assert len(rows) == 2
    # Nonce, ciphertext and tag: nothing of them is the same.
    assert rows[0][:12] != rows[1][:12]
    assert rows[0][12:] != rows[1][12:]


async def test_rows_that_are_swapped_renamed_or_altered_do_not_open(
    marketplace: Marketplace, database_url: str, tmp_path: Path
) -> None:
    ring = tmp_path / "ring"
    mine, other = requester_secret(REQUESTER.address, "foo"), requester_secret(STRANGER.address, "foo")
    async with running(marketplace, database_url, ring) as sms:
        await sms.service.push(mine, "mine", REQUESTER)
        await sms.service.push(other, "theirs", STRANGER)
    row = (SECRETS.c.subject == mine.subject) & (SECRETS.c.kind == "requester")
    theirs = sa.select(SECRETS.c.sealed).where(SECRETS.c.subject == other.subject).scalar_subquery()
    await tampered(database_url, sa.update(SECRETS).where(row).values(sealed=theirs))
    with pytest.raises(IexecError) as refusal:
        await values(database_url, ring, [mine])
    assert refusal.value.code == "SECRET_CORRUPT"
    await tampered(database_url, sa.delete(SECRETS).where(row))
    # Another kind, the same ciphertext: a requester's secret given out as a storage token.
    await tampered(database_url, sa.update(SECRETS).values(kind="web2"))
    with pytest.raises(IexecError) as refusal:
        await values(database_url, ring, [web2_secret(other.subject, "foo")])
    assert refusal.value.code == "SECRET_CORRUPT"


async def test_the_ring_is_for_its_owner_alone_and_the_service_insists(
    marketplace: Marketplace, database_url: str, tmp_path: Path
) -> None:
    ring = tmp_path / "new" / "ring"
    secret = dataset_secret(marketplace.dataset)
    async with running(marketplace, database_url, ring) as sms:
        assert stat.S_IMODE(ring.stat().st_mode) == 0o600
        await sms.service.push(secret, "value", DATASET_OWNER)
        for mode in (0o640, 0o604, 0o610, 0o666):
            ring.chmod(mode)
            with pytest.raises(IexecError) as refusal:
                await sms.service.rotate(secret, "other", DATASET_OWNER)
            # Where its files are is nothing for clients.
            assert refusal.value.code == "INTERNAL"
            assert "ring" not in refusal.value.what
    for mode in (0o640, 0o644):
        ring.chmod(mode)
        with pytest.raises(IexecError) as refusal:
            await values(database_url, ring, [])
        assert refusal.value.code == "KEY_RING_UNSAFE"
    ring.chmod(0o600)
    assert await values(database_url, ring, [secret]) == {secret: "value"}


async def test_a_service_does_not_start_over_secrets_it_cannot_read(
    marketplace: Marketplace, database_url: str, tmp_path: Path
) -> None:
    ring, other = tmp_path / "ring", tmp_path / "other"
    async with running(marketplace, database_url, ring) as sms:
        await sms.service.push(dataset_secret(marketplace.dataset), "value", DATASET_OWNER)
    async with running(marketplace, f"sqlite:///{tmp_path / 'elsewhere.db'}", other):
        pass
    right = ring.read_bytes()

    async def refusal() -> str:
        with pytest.raises(BaseExceptionGroup) as group:
            async with running(marketplace, database_url, ring):
                raise AssertionError("it started")
        error: BaseException = group.value
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        assert isinstance(error, IexecError), error
        assert right.decode() not in str(error)
        return error.code

    ring.write_bytes(other.read_bytes())
    assert await refusal() == "KEY_RING_WRONG"
    for broken in (b"", b"{}", right[:50], right.replace(b'"active"', b'"actives"')):
        ring.write_bytes(broken)
        assert await refusal() == "KEY_RING_WRONG"
    document = json.loads(right)
    # Another key under the right one's name.
    document["keys"] = dict.fromkeys(document["keys"], json.loads(other.read_bytes())["fingerprint"])
    ring.write_bytes(json.dumps(document).encode())
    assert await refusal() == "KEY_RING_WRONG"
    ring.unlink()
    assert await refusal() == "KEY_RING_MISSING"
    assert not ring.exists()
    ring.touch(0o600)
    ring.write_bytes(right)
    async with running(marketplace, database_url, ring) as sms:
        assert await sms.service.has(dataset_secret(marketplace.dataset))


async def test_a_rotation_gives_every_secret_a_new_key_and_forgets_the_old(
    marketplace: Marketplace, database_url: str, tmp_path: Path
) -> None:
    ring = tmp_path / "ring"
    secrets = [requester_secret(REQUESTER.address, f"n{number}") for number in range(25)]
    async with running(marketplace, database_url, ring) as sms:
        for number, secret in enumerate(secrets):
            await sms.service.push(secret, f"value {number}", REQUESTER)
        old = json.loads(ring.read_bytes())
        told: list[tuple[int, int]] = []
        await rotated(database_url, ring, batch=10, on_progress=lambda done, total: told.append((done, total)))
        assert told == [(10, 25), (20, 25), (25, 25)]
        new = json.loads(ring.read_bytes())
        assert len(new["keys"]) == 1
        assert new["active"] != old["active"]
        assert new["fingerprint"] == old["fingerprint"]
        assert stat.S_IMODE(ring.stat().st_mode) == 0o600
        # The service that was running all the time uses the new key from the next request on.
        await sms.service.push(requester_secret(REQUESTER.address, "later"), "later", REQUESTER)
        assert (await sms.send("GET", "/metrics"))[1]["secrets"]["requester"] == 26
    expected = {secret: f"value {number}" for number, secret in enumerate(secrets)}
    assert await values(database_url, ring, secrets) == expected
    later = requester_secret(REQUESTER.address, "later")
    assert await values(database_url, ring, [later]) == {later: "later"}


async def test_secrets_that_come_in_while_keys_rotate_are_not_lost(
    marketplace: Marketplace, database_url: str, tmp_path: Path
) -> None:
    ring = tmp_path / "ring"
    kept: dict[Secret, str] = {}
    async with running(marketplace, database_url, ring) as sms:

        async def push(start: int) -> None:
            for number in range(start, start + 40):
                secret = requester_secret(REQUESTER.address, f"n{number}")
                await sms.service.push(secret, f"value {number}", REQUESTER)
                kept[secret] = f"value {number}"

        async def rotate_often() -> None:
            for _ in range(4):
                await rotated(database_url, ring, batch=5)

        async with anyio.create_task_group() as group:
            group.start_soon(rotate_often)
            for start in (0, 100):
                group.start_soon(push, start)
    assert len(kept) == 80
    assert await values(database_url, ring, list(kept)) == kept
    assert len(json.loads(ring.read_bytes())["keys"]) == 1


async def test_a_rotation_stops_at_what_does_not_open_and_keeps_the_old_key(
    marketplace: Marketplace, database_url: str, tmp_path: Path
) -> None:
    ring = tmp_path / "ring"
    good, bad = requester_secret(REQUESTER.address, "a"), requester_secret(REQUESTER.address, "b")
    async with running(marketplace, database_url, ring) as sms:
        await sms.service.push(good, "good", REQUESTER)
        await sms.service.push(bad, "bad", REQUESTER)
    await tampered(database_url, sa.update(SECRETS).where(SECRETS.c.name == "b").values(sealed=b"\0" * 40))
    with pytest.raises(IexecError) as refusal:
        await rotated(database_url, ring)
    assert refusal.value.code == "SECRET_CORRUPT"
    assert len(json.loads(ring.read_bytes())["keys"]) == 2
    await tampered(database_url, sa.delete(SECRETS).where(SECRETS.c.name == "b"))
    outcome = await rotated(database_url, ring)
    assert outcome.resumed  # type: ignore[attr-defined]
    assert await values(database_url, ring, [good]) == {good: "good"}
