"""Clients find the scheduler of a pool where the pool's owner said."""

from __future__ import annotations

from typing import Any

import anyio
import msgspec
import pytest
from tests.services.compass.conftest import Running, running
from tests.services.sms.marketplace import POOL_OWNER, STRANGER, WALLET_KEY, Marketplace

from pyiexec.chain.anvil import free_port
from pyiexec.chain.signer import Signer
from pyiexec.protocol.eip712 import Domain
from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.pool_urls import MAX_LIFE_SECONDS, PoolUrl
from pyiexec.protocol.primitives import checksum, to_hex

pytestmark = pytest.mark.anyio

URL = "https://pool.example:8443"


def signed(compass: Running, signer: Signer, url: str = URL, *, life: int = 60, **changes: Any) -> dict[str, Any]:
    """A body whose signature is over something changed."""
    claim = PoolUrl(workerpool=compass.chain.workerpool, api_url=url, deadline=int(compass.clock.now()) + life)
    domain = changes.pop("domain", compass.chain.domain)
    signature = signer.sign_digest(msgspec.structs.replace(claim, **changes).digest(domain))
    return {"apiUrl": url, "deadline": claim.deadline, "signature": to_hex(signature)}


async def test_the_owner_registers_a_url_and_everybody_finds_it(compass: Running) -> None:
    pool = compass.chain.workerpool
    status, answer = await compass.send("GET", compass.path(pool))
    assert (status, answer["code"]) == (404, "WORKERPOOL_URL_UNKNOWN")
    await compass.client.register(pool, URL, POOL_OWNER)
    for spelling in (pool, pool.lower(), "0x" + pool[2:].upper()):
        assert await compass.send("GET", compass.path(spelling)) == (200, {"apiUrl": URL})
    assert await compass.client.url_of(pool) == URL


async def test_the_owner_changes_it_and_takes_it_back(compass: Running) -> None:
    pool = compass.chain.workerpool
    await compass.client.register(pool, URL, POOL_OWNER)
    compass.clock.offset += 1
    await compass.client.register(pool, "http://127.0.0.1:13000", POOL_OWNER)
    assert await compass.client.url_of(pool) == "http://127.0.0.1:13000"
    compass.clock.offset += 1
    await compass.client.register(pool, "", POOL_OWNER)
    with pytest.raises(IexecError) as refusal:
        await compass.client.url_of(pool)
    assert refusal.value.code == "WORKERPOOL_URL_UNKNOWN"


async def test_contracts_own_pools(compass: Running) -> None:
    pool = compass.chain.wallets_workerpool
    with pytest.raises(IexecError) as refusal:
        await compass.client.register(pool, URL, STRANGER)
    assert refusal.value.code == "NOT_OWNER"
    await compass.client.register(pool, URL, WALLET_KEY)
    assert await compass.client.url_of(pool) == URL


@pytest.mark.parametrize(
    "change",
    [
        {"signer": STRANGER},
        {"workerpool": checksum("0x" + "11" * 20)},
        {"api_url": "https://evil.example"},
        {"deadline": 1},
        {"domain": "chain"},
        {"domain": "hub"},
    ],
    ids=lambda change: "-".join(map(str, change.values()))[:20],
)
async def test_a_registration_that_the_owner_did_not_sign_is_refused(compass: Running, change: dict[str, Any]) -> None:
    chain = compass.chain
    domains = {
        "chain": Domain(chain.manifest.chain_id + 1, chain.manifest.hub),
        "hub": Domain(chain.manifest.chain_id, chain.wallet),
    }
    changes = dict(change)
    signer = changes.pop("signer", POOL_OWNER)
    if "domain" in changes:
        changes["domain"] = domains[changes["domain"]]
    status, answer = await compass.send("PUT", compass.path(chain.workerpool), signed(compass, signer, **changes))
    assert (status, answer["code"]) == (403, "NOT_OWNER")


async def test_an_older_registration_does_not_come_back(compass: Running) -> None:
    path = compass.path(compass.chain.workerpool)
    old = signed(compass, POOL_OWNER, "http://old.example", life=100)
    new = signed(compass, POOL_OWNER, URL, life=101)
    assert (await compass.send("PUT", path, old))[0] == 200
    assert (await compass.send("PUT", path, new))[0] == 200
    for replayed in (old, new):
        status, answer = await compass.send("PUT", path, replayed)
        assert (status, answer["code"]) == (409, "REGISTRATION_OUTDATED")
    assert await compass.client.url_of(compass.chain.workerpool) == URL


async def test_of_one_registration_sent_many_times_at_once_one_counts(compass: Running) -> None:
    path, body = compass.path(compass.chain.workerpool), signed(compass, POOL_OWNER)
    statuses: list[int] = []

    async def send() -> None:
        statuses.append((await compass.send("PUT", path, body))[0])

    async with anyio.create_task_group() as group:
        for _ in range(10):
            group.start_soon(send)
    assert sorted(statuses) == [200] + [409] * 9


async def test_a_registration_expires_and_must_not_be_for_long(compass: Running) -> None:
    path = compass.path(compass.chain.workerpool)
    for life, expected in ((0, 409), (-5, 409), (MAX_LIFE_SECONDS + 1, 400), (MAX_LIFE_SECONDS, 200)):
        assert (await compass.send("PUT", path, signed(compass, POOL_OWNER, life=life)))[0] == expected


@pytest.mark.parametrize(
    "url",
    [
        "ftp://pool.example",
        "https://user:password@pool.example",
        "https://pool.example/path",
        "https://pool.example?query",
        "https://pool.example#x",
        "javascript:alert(1)",
        "//pool.example",
        "https://",
        "https://pool.example:0",
        "https://pool.example:65536",
        "https://pool.exämple",
        "https://<script>",
        "https://pool.example\r\nX: y",
        "https://pool.example\n",
        " https://pool.example",
        "https://" + "p" * 250,
        "' or 1=1",
    ],
)
async def test_only_origins_are_urls(compass: Running, url: str) -> None:
    pool = compass.chain.workerpool
    status, answer = await compass.send("PUT", compass.path(pool), signed(compass, POOL_OWNER, url))
    assert status == 400
    assert answer["code"] in ("BAD_URL", "BAD_REQUEST")
    with pytest.raises(IexecError) as refusal:
        await compass.client.register(pool, url, POOL_OWNER)
    assert refusal.value.code == "BAD_URL"


@pytest.mark.parametrize(
    "body",
    [
        None,
        [],
        {},
        {"apiUrl": URL},
        {"apiUrl": 1, "deadline": 1, "signature": "0x00"},
        {"apiUrl": URL, "deadline": "1", "signature": "0x00"},
        {"apiUrl": URL, "deadline": -1, "signature": "0x00"},
        {"apiUrl": URL, "deadline": 1, "signature": "zz"},
        {"apiUrl": URL, "deadline": 1, "signature": "0x" + "00" * 1025},
        {"apiUrl": URL * 100, "deadline": 1, "signature": "0x00"},
    ],
)
async def test_bodies_are_refused_by_field(compass: Running, body: Any) -> None:
    status, answer = await compass.send("PUT", compass.path(compass.chain.workerpool), body)
    assert (status, answer["code"]) == (400, "BAD_REQUEST")


async def test_oversize_bodies_are_not_read(compass: Running) -> None:
    body = {"apiUrl": URL, "deadline": 1, "signature": "0x" + "00" * 100_000}
    assert (await compass.send("PUT", compass.path(compass.chain.workerpool), body))[0] == 413


async def test_paths_are_refused_by_what_is_wrong(compass: Running) -> None:
    pool = compass.chain.workerpool
    for path, expected in [
        (f"/x/workerpools/{pool}", 400),
        (f"/99999999999999999999/workerpools/{pool}", 400),
        (f"/1/workerpools/{pool}", 404),
        (compass.path("0x12"), 400),
        (compass.path("<script>"), 400),
        (compass.path(checksum("0x" + "11" * 20)), 404),
        ("/nothing", 404),
    ]:
        assert (await compass.send("GET", path))[0] == expected
    unknown = checksum("0x" + "11" * 20)
    assert (await compass.send("PUT", compass.path(unknown), signed(compass, POOL_OWNER)))[0] == 404


async def test_settings_name_urls_until_their_owners_do(marketplace: Marketplace, database_url: str) -> None:
    known = {marketplace.workerpool.lower(): "http://127.0.0.1:8543"}
    async with running(marketplace, database_url, known) as compass:
        assert await compass.client.url_of(marketplace.workerpool) == "http://127.0.0.1:8543"
        await compass.client.register(marketplace.workerpool, URL, POOL_OWNER)
    # Registered ones are there after a restart, and while the chain is away.
    nobody = f"http://127.0.0.1:{free_port()}"
    async with running(marketplace, database_url, known, rpc_url=nobody) as compass:
        assert await compass.client.url_of(marketplace.workerpool) == URL
        compass.clock.offset += 10
        with pytest.raises(IexecError) as refusal:
            await compass.client.register(marketplace.workerpool, URL, POOL_OWNER)
        assert refusal.value.code == "CHAIN_UNREACHABLE"


@pytest.mark.parametrize("known", [{"0x12": URL}, {"0x" + "12" * 20: "https://user@pool.example"}])
async def test_settings_are_held_to_the_same_rules(
    marketplace: Marketplace, database_url: str, known: dict[str, str]
) -> None:
    with pytest.raises(BaseExceptionGroup) as group:
        async with running(marketplace, database_url, known):
            raise AssertionError("it started")
    error: BaseException = group.value
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    assert isinstance(error, IexecError)
    assert error.code == "BAD_SETTINGS"
