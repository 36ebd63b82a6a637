"""What an authorisation allows, once; and what copies of old ones do not."""

from __future__ import annotations

import os
from pathlib import Path

import anyio
import msgspec
import pytest
from tests.services.sms.conftest import Sms, legacy, running
from tests.services.sms.marketplace import APP_OWNER, DATASET_OWNER, REQUESTER, STRANGER, WALLET_KEY, Marketplace
from tests.services.sms.test_endpoints import owned, place

from pyiexec.protocol.eip712 import Domain
from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.primitives import NULL_ADDRESS, bytes32
from pyiexec.protocol.secrets import (
    MAX_LIFE_SECONDS,
    Action,
    BoundAuthorization,
    app_secret,
    bound_header,
    dataset_secret,
    requester_secret,
    web2_secret,
)

pytestmark = pytest.mark.anyio

NAME = "iexec-result-dropbox-token"


async def status(sms: Sms, method: str, secret: object, value: str, header: str) -> int:
    path, query = place(secret)  # type: ignore[arg-type]
    return (await sms.send(method, path, value, header, **query))[0]


# --- the bound form -----------------------------------------------------------------------------------------------


async def test_every_kind_of_secret_is_set_replaced_listed_and_deleted(sms: Sms) -> None:
    for secret, owner in owned(sms.chain):
        with pytest.raises(IexecError, match="is not set"):
            await sms.service.rotate(secret, "two", owner)
        await sms.service.push(secret, "one", owner)
        assert await sms.service.has(secret)
        with pytest.raises(IexecError) as refusal:
            await sms.service.push(secret, "two", owner)
        assert refusal.value.code == "SECRET_EXISTS"
        sms.clock.offset += 5
        await sms.service.rotate(secret, "two", owner)
        [known] = [each for each in await sms.service.names(owner) if each.secret == secret]
        assert known.updated_at - known.created_at == 5000
        await sms.service.delete(secret, owner)
        assert not await sms.service.has(secret)
        assert secret not in [each.secret for each in await sms.service.names(owner)]
        with pytest.raises(IexecError) as refusal:
            await sms.service.delete(secret, owner)
        assert refusal.value.code == "SECRET_UNKNOWN"
        await sms.service.push(secret, "three", owner)
        [known] = [each for each in await sms.service.names(owner) if each.secret == secret]
        assert known.updated_at == known.created_at == int(sms.clock.now() * 1000)


async def test_nobody_else_lists_changes_or_deletes(sms: Sms) -> None:
    for secret, owner in owned(sms.chain):
        await sms.service.push(secret, "mine", owner)
        for change in (sms.service.rotate(secret, "x", STRANGER), sms.service.delete(secret, STRANGER)):
            with pytest.raises(IexecError) as refusal:
                await change
            assert refusal.value.code == "SECRET_REFUSED"
        assert await sms.service.has(secret)
    assert await sms.service.names(STRANGER) == []
    nonce, deadline = bytes32(os.urandom(32)), int(sms.clock.now()) + 60
    forged = BoundAuthorization(
        action=Action.LIST, subject=REQUESTER.address, service=sms.url, nonce=nonce, deadline=deadline
    )
    header = bound_header(nonce, deadline, STRANGER.sign_digest(forged.digest(sms.chain.domain)))
    answer = await sms.send("GET", "/secrets", header=header, ownerAddress=REQUESTER.address)
    assert answer[0] == 401
    answer = await sms.send("GET", "/secrets", header="0x" + "00" * 65, ownerAddress=REQUESTER.address)
    assert answer[0] == 401


async def test_an_authorisation_serves_once_whatever_comes_of_it(sms: Sms) -> None:
    secret = requester_secret(REQUESTER.address, "foo")
    create = sms.bound(Action.CREATE, secret, "one", REQUESTER)
    erase = sms.bound(Action.DELETE, secret, "", REQUESTER)
    # Refused, and used up: it must not delete what is set later.
    assert await status(sms, "DELETE", secret, "", erase) == 404
    assert await status(sms, "POST", secret, "one", create) == 204
    assert await status(sms, "DELETE", secret, "", erase) == 401
    assert await status(sms, "POST", secret, "one", create) == 401
    await sms.service.delete(secret, REQUESTER)
    assert await status(sms, "POST", secret, "one", create) == 401
    assert not await sms.service.has(secret)


async def test_of_one_authorisation_sent_many_times_at_once_one_counts(sms: Sms) -> None:
    secret = web2_secret(REQUESTER.address, NAME)
    await sms.service.push(secret, "one", REQUESTER)
    header = sms.bound(Action.REPLACE, secret, "two", REQUESTER)
    found: list[int] = []

    async def replace() -> None:
        found.append(await status(sms, "PUT", secret, "two", header))

    async with anyio.create_task_group() as group:
        for _ in range(10):
            group.start_soon(replace)
    assert sorted(found) == [204] + [401] * 9


@pytest.mark.parametrize(
    "change",
    [
        {"action": Action.REPLACE},
        {"kind": "web2"},
        {"kind": ""},
        {"name": "bar"},
        {"subject": STRANGER.address},
        {"value": "another"},
        {"service": "https://another.example"},
        {"domain": Domain(1, NULL_ADDRESS)},
        {"nonce_signed": bytes32(7)},
        {"deadline_signed": 1},
    ],
    ids=lambda change: next(iter(change)),
)
async def test_a_signature_over_anything_else_does_not_count(sms: Sms, change: dict[str, object]) -> None:
    secret = requester_secret(REQUESTER.address, "foo")
    nonce, deadline = bytes32(os.urandom(32)), int(sms.clock.now()) + 60
    signed = BoundAuthorization.over(Action.CREATE, secret, "value", service=sms.url, nonce=nonce, deadline=deadline)
    domain = change.get("domain", sms.chain.domain)
    assert isinstance(domain, Domain)
    changes = {name.removesuffix("_signed"): new for name, new in change.items() if name != "domain"}
    signed = msgspec.structs.replace(signed, **changes)
    header = bound_header(nonce, deadline, REQUESTER.sign_digest(signed.digest(domain)))
    assert await status(sms, "POST", secret, "value", header) == 401
    assert not await sms.service.has(secret)


async def test_the_chain_is_part_of_what_is_signed(sms: Sms) -> None:
    secret = requester_secret(REQUESTER.address, "foo")
    hub, chain = sms.chain.manifest.hub, sms.chain.manifest.chain_id
    for domain in (Domain(chain + 1, hub), Domain(chain, sms.chain.wallet)):
        header = sms.bound(Action.CREATE, secret, "value", REQUESTER, domain=domain)
        assert await status(sms, "POST", secret, "value", header) == 401


async def test_it_expires_and_must_not_be_for_long(sms: Sms) -> None:
    secret = requester_secret(REQUESTER.address, "foo")
    now = int(sms.clock.now())
    for deadline in (0, now, now + MAX_LIFE_SECONDS + 1, 10**12 - 1):
        header = sms.bound(Action.CREATE, secret, "value", REQUESTER, deadline=deadline)
        assert await status(sms, "POST", secret, "value", header) == 401
    header = sms.bound(Action.CREATE, secret, "value", REQUESTER, deadline=now + 60)
    sms.clock.offset += 60
    assert await status(sms, "POST", secret, "value", header) == 401
    header = sms.bound(Action.CREATE, secret, "value", REQUESTER, deadline=now + 60 + MAX_LIFE_SECONDS)
    assert await status(sms, "POST", secret, "value", header) == 204


async def test_used_authorisations_are_remembered_over_a_restart(
    marketplace: Marketplace, database_url: str, tmp_path: Path
) -> None:
    secret = requester_secret(REQUESTER.address, "foo")
    origin = "https://sms.example"
    options = {"origins": (origin, "https://other.example/")}
    async with running(marketplace, database_url, tmp_path / "ring", **options) as sms:
        header = sms.bound(Action.CREATE, secret, "one", REQUESTER, service=origin)
        assert await status(sms, "POST", secret, "one", header) == 204
        header_by_address = sms.bound(Action.DELETE, secret, "", REQUESTER, service=sms.url)
        assert await status(sms, "DELETE", secret, "", header_by_address) == 401
        other = sms.bound(Action.DELETE, secret, "", REQUESTER, service="https://other.example")
        assert await status(sms, "DELETE", secret, "", other) == 204
    async with running(marketplace, database_url, tmp_path / "ring", **options) as sms:
        assert await status(sms, "POST", secret, "one", header) == 401
        assert not await sms.service.has(secret)


async def test_contract_wallets_sign_both_forms(sms: Sms) -> None:
    for secret in (dataset_secret(sms.chain.wallets_dataset), requester_secret(sms.chain.wallet, "foo")):
        assert await status(sms, "POST", secret, "one", sms.bound(Action.CREATE, secret, "one", STRANGER)) == 401
        assert await status(sms, "POST", secret, "one", sms.bound(Action.CREATE, secret, "one", WALLET_KEY)) == 204


async def test_a_signature_in_one_form_is_none_in_the_other(sms: Sms) -> None:
    secret = requester_secret(REQUESTER.address, "foo")
    signature = sms.bound(Action.CREATE, secret, "one", REQUESTER).split('signature="')[1].rstrip('"')
    assert await status(sms, "POST", secret, "one", signature) == 401
    raw = bytes.fromhex(legacy(secret, "one", REQUESTER)[2:])
    header = bound_header(bytes32(1), int(sms.clock.now()) + 60, raw)
    assert await status(sms, "POST", secret, "one", header) == 401


# --- the legacy form, and copies of it ----------------------------------------------------------------------------


async def test_an_old_value_of_a_web2_secret_does_not_come_back(sms: Sms) -> None:
    secret = web2_secret(REQUESTER.address, NAME)
    first, second = (legacy(secret, value, REQUESTER) for value in ("one", "two"))
    assert await status(sms, "POST", secret, "one", first) == 204
    assert await status(sms, "PUT", secret, "two", second) == 204
    assert await status(sms, "PUT", secret, "one", first) == 401
    # Saying again what holds is no harm, and clients do.
    assert await status(sms, "PUT", secret, "two", second) == 204
    third = legacy(secret, "three", REQUESTER)
    assert await status(sms, "PUT", secret, "three", third) == 204
    for value, header in (("one", first), ("two", second)):
        assert await status(sms, "PUT", secret, value, header) == 401


async def test_what_set_a_web2_secret_does_not_set_the_requester_secret_of_that_name(sms: Sms) -> None:
    web2, requester = web2_secret(REQUESTER.address, "foo"), requester_secret(REQUESTER.address, "foo")
    header = legacy(web2, "value", REQUESTER)
    assert header == legacy(requester, "value", REQUESTER)
    assert await status(sms, "POST", web2, "value", header) == 204
    assert await status(sms, "POST", requester, "value", header) == 401
    # Nor the other way.
    web2, requester = web2_secret(REQUESTER.address, "bar"), requester_secret(REQUESTER.address, "bar")
    header = legacy(requester, "value", REQUESTER)
    assert await status(sms, "POST", requester, "value", header) == 204
    assert await status(sms, "POST", web2, "value", header) == 401
    await sms.service.push(web2, "value", REQUESTER)


async def test_of_both_kinds_at_once_one_is_set(sms: Sms) -> None:
    pair = web2_secret(REQUESTER.address, "foo"), requester_secret(REQUESTER.address, "foo")
    header = legacy(pair[0], "value", REQUESTER)
    found: list[int] = []

    async def push(secret: object) -> None:
        found.append(await status(sms, "POST", secret, "value", header))

    async with anyio.create_task_group() as group:
        for secret in pair:
            group.start_soon(push, secret)
    assert sorted(found) == [204, 401]


async def test_what_was_changed_with_a_bound_authorisation_takes_no_legacy_one(sms: Sms) -> None:
    for secret, owner in owned(sms.chain):
        old = legacy(secret, "old", owner)
        await sms.service.push(secret, "old", owner)
        await sms.service.rotate(secret, "new", owner)
        # It was never sent here: a copy from another service or chain.
        assert await status(sms, "PUT", secret, "old", old) == 401
        await sms.service.delete(secret, owner)
        assert await status(sms, "POST", secret, "old", old) == 401
        assert not await sms.service.has(secret)
        await sms.service.push(secret, "again", owner)
        assert await status(sms, "POST", secret, "old", old) == 409


async def test_a_legacy_secret_can_be_deleted_and_does_not_come_back(sms: Sms) -> None:
    for secret, owner in [
        (dataset_secret(sms.chain.dataset), DATASET_OWNER),
        (app_secret(sms.chain.app), APP_OWNER),
    ]:
        header = legacy(secret, "value", owner)
        assert await status(sms, "POST", secret, "value", header) == 204
        await sms.service.delete(secret, owner)
        assert await status(sms, "POST", secret, "value", header) == 401


async def test_our_client_speaks_the_legacy_form_to_services_that_know_no_other(sms: Sms) -> None:
    secret = web2_secret(REQUESTER.address, NAME)
    await sms.service.push(secret, "one", REQUESTER, legacy=True)
    await sms.service.rotate(secret, "two", REQUESTER, legacy=True)
    assert await status(sms, "PUT", secret, "one", legacy(secret, "one", REQUESTER)) == 401
