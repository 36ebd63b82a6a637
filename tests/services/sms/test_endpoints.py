"""The paths and statuses that clients of the network know."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest
from tests.services.sms.conftest import Sms, legacy, running
from tests.services.sms.marketplace import (
    APP_OWNER,
    DATASET_OWNER,
    POOL_OWNER,
    REQUESTER,
    STRANGER,
    WALLET_KEY,
    Marketplace,
)

from pyiexec.chain.anvil import free_port
from pyiexec.chain.signer import Signer
from pyiexec.protocol.primitives import Address, checksum, keccak256, to_bytes
from pyiexec.protocol.secrets import (
    Action,
    Secret,
    app_secret,
    dataset_secret,
    requester_secret,
    web2_secret,
)

pytestmark = pytest.mark.anyio

#: Something that shows up in no message unless the value does.
VALUE = "s3cr3t-<b>'; drop table secrets;--"


def place(secret: Secret) -> tuple[str, dict[str, str]]:
    return {
        "web3": ("/secrets/web3", {"secretAddress": secret.subject}),
        "web2": ("/secrets/web2", {"ownerAddress": secret.subject, "secretName": secret.name}),
        "app": (f"/apps/{secret.subject}/secrets", {}),
        "requester": (f"/requesters/{secret.subject}/secrets/{secret.name}", {}),
    }[secret.kind]


def owned(chain: Marketplace) -> list[tuple[Secret, Signer]]:
    return [
        (dataset_secret(chain.dataset), DATASET_OWNER),
        (app_secret(chain.app), APP_OWNER),
        (web2_secret(REQUESTER.address, "iexec-result-dropbox-token"), REQUESTER),
        (requester_secret(REQUESTER.address, "foo"), REQUESTER),
    ]


async def test_each_kind_of_secret_is_set_once_and_seen_by_anybody(sms: Sms) -> None:
    for secret, signer in owned(sms.chain):
        path, query = place(secret)
        assert await sms.send("HEAD", path, **query) == (404, None)
        header = legacy(secret, VALUE, signer)
        assert await sms.send("POST", path, VALUE, header, **query) == (204, None)
        assert await sms.send("HEAD", path, **query) == (204, None)
        status, answer = await sms.send("POST", path, VALUE, header, **query)
        assert (status, answer["code"], type(answer["error"])) == (409, "SECRET_EXISTS", list)


async def test_only_the_owner_sets_a_secret(sms: Sms) -> None:
    for secret, _owner in owned(sms.chain):
        path, query = place(secret)
        status, answer = await sms.send("POST", path, VALUE, legacy(secret, VALUE, STRANGER), **query)
        assert (status, answer["code"]) == (401, "SECRET_REFUSED")
        assert await sms.send("HEAD", path, **query) == (404, None)


async def test_a_signature_over_another_value_sets_nothing(sms: Sms) -> None:
    for secret, owner in owned(sms.chain):
        path, query = place(secret)
        status, _ = await sms.send("POST", path, VALUE + " ", legacy(secret, VALUE, owner), **query)
        assert status == 401


async def test_a_web2_secret_is_replaced_once_it_exists_and_no_other_is_by_a_legacy_signature(sms: Sms) -> None:
    for secret, owner in owned(sms.chain):
        path, query = place(secret)
        status, answer = await sms.send("PUT", path, "new", legacy(secret, "new", owner), **query)
        assert (status, answer["code"]) == (404, "SECRET_UNKNOWN")
        await sms.send("POST", path, VALUE, legacy(secret, VALUE, owner), **query)
        status, _ = await sms.send("PUT", path, "new", legacy(secret, "new", owner), **query)
        assert status == (204 if secret.kind == "web2" else 401)
        status, _ = await sms.send("DELETE", path, "", legacy(secret, "", owner), **query)
        assert status == 401


async def test_addresses_are_known_in_any_case(sms: Sms) -> None:
    secret = dataset_secret(sms.chain.dataset)
    header = legacy(secret, VALUE, DATASET_OWNER)
    lower = sms.chain.dataset.lower()
    assert (await sms.send("POST", "/secrets/web3", VALUE, header, secretAddress=lower))[0] == 204
    for spelling in (lower, sms.chain.dataset, "0x" + lower[2:].upper()):
        assert (await sms.send("HEAD", "/secrets/web3", secretAddress=spelling))[0] == 204


@pytest.mark.parametrize("size", [1, 4096])
async def test_values_up_to_four_kibibytes_are_taken(sms: Sms, size: int) -> None:
    value = "é" * (size // 2) if size > 1 else "x"
    for secret, owner in owned(sms.chain):
        path, query = place(secret)
        assert (await sms.send("POST", path, value, legacy(secret, value, owner), **query))[0] == 204


@pytest.mark.parametrize("size", [4097, 20_000, 2_000_000])
async def test_larger_ones_are_not(sms: Sms, size: int) -> None:
    value = "x" * size
    for secret, owner in owned(sms.chain):
        path, query = place(secret)
        status, answer = await sms.send("POST", path, value, legacy(secret, value, owner), **query)
        # Of a requester's, clients know it as malformed.
        assert status == (400 if secret.kind == "requester" else 413)
        assert "4096 bytes" in answer["error"][0]
        assert (await sms.send("HEAD", path, **query))[0] == 404


async def test_what_is_no_text_or_blank_is_refused(sms: Sms) -> None:
    for secret, owner in owned(sms.chain):
        path, query = place(secret)
        for value in (b"\xff\xfe", b"", b" \t\r\n", b"\x00"):
            header = legacy(secret, value.decode(errors="replace"), owner)
            status, answer = await sms.send("POST", path, value, header, **query)
            assert (status, answer["code"]) == (400, "BAD_SECRET")


async def test_parameters_are_refused_by_name(sms: Sms) -> None:
    requests = [
        ("GET", "/secrets", {}, "ownerAddress"),
        ("POST", "/secrets/web3", {}, "secretAddress"),
        ("POST", "/secrets/web3", {"secretAddress": "0x12"}, "secretAddress"),
        ("POST", "/secrets/web2", {"ownerAddress": REQUESTER.address}, "secretName"),
        ("POST", "/secrets/web2", {"ownerAddress": REQUESTER.address, "secretName": ""}, "secretName"),
        ("PUT", "/secrets/web2", {"ownerAddress": REQUESTER.address, "secretName": "x" * 256}, "secretName"),
        ("POST", "/secrets/web2", {"ownerAddress": REQUESTER.address, "secretName": "a\x00b"}, "secretName"),
        ("POST", "/secrets/web2", {"ownerAddress": "' or 1=1", "secretName": "n"}, "ownerAddress"),
        ("POST", "/apps/<script>/secrets", {}, "app's address"),
        ("POST", f"/requesters/{REQUESTER.address}x/secrets/foo", {}, "requester's address"),
        ("POST", f"/requesters/{REQUESTER.address}/secrets/{'k' * 65}", {}, "1 to 64"),
        ("POST", f"/requesters/{REQUESTER.address}/secrets/sp%20ace", {}, "1 to 64"),
        ("POST", f"/requesters/{REQUESTER.address}/secrets/%C3%A9", {}, "1 to 64"),
        ("POST", f"/requesters/{REQUESTER.address}/secrets/foo%0A", {}, "1 to 64"),
    ]
    for method, path, query, named in requests:
        status, answer = await sms.send(method, path, "value" if method != "GET" else "", "0x00", **query)
        assert status == 400, path
        assert named in answer["error"][0]
    bad = f"/requesters/{REQUESTER.address}/secrets/{'k' * 65}"
    assert (await sms.send("HEAD", bad))[0] == 400


async def test_names_with_slashes_lead_nowhere(sms: Sms) -> None:
    for name in ("a/b", "..%2F..%2Fx", "a%2Fb"):
        status, answer = await sms.send("POST", f"/requesters/{REQUESTER.address}/secrets/{name}", "v", "0x00")
        assert status == 404
        assert isinstance(answer["error"], list)


async def test_a_web2_name_may_be_any_text(sms: Sms) -> None:
    names = ["a/b?c#d", "näme", "'; drop table secrets;--", "<img src=x onerror=alert(1)>", "秘密", "%00", "x" * 255]
    for name in names:
        secret = web2_secret(REQUESTER.address, name)
        path, query = place(secret)
        assert (await sms.send("POST", path, VALUE, legacy(secret, VALUE, REQUESTER), **query))[0] == 204
        assert (await sms.send("HEAD", path, **query))[0] == 204
    known = await sms.service.names(REQUESTER)
    assert sorted(each.secret.name for each in known) == sorted(names)


async def test_contract_wallets_own_datasets_and_secrets(sms: Sms) -> None:
    for secret in (dataset_secret(sms.chain.wallets_dataset), requester_secret(sms.chain.wallet, "foo")):
        path, query = place(secret)
        assert (await sms.send("POST", path, VALUE, legacy(secret, VALUE, STRANGER), **query))[0] == 401
        assert (await sms.send("POST", path, VALUE, "0x" + "00" * 65, **query))[0] == 401
        assert (await sms.send("POST", path, VALUE, "0x" + "ab" * 1024, **query))[0] == 401
        assert (await sms.send("POST", path, VALUE, legacy(secret, VALUE, WALLET_KEY), **query))[0] == 204


async def test_compact_signatures_count(sms: Sms) -> None:
    secret = dataset_secret(sms.chain.dataset)
    raw = to_bytes(legacy(secret, VALUE, DATASET_OWNER))
    s = int.from_bytes(raw[32:64], "big") | (raw[64] - 27) << 255
    compact = "0x" + (raw[:32] + s.to_bytes(32, "big")).hex()
    assert (await sms.send("POST", "/secrets/web3", VALUE, compact, secretAddress=sms.chain.dataset))[0] == 204


async def test_what_is_not_registered_has_no_secrets(sms: Sms) -> None:
    nothing = checksum("0x" + "77" * 20)
    for address in (nothing, sms.chain.manifest.hub, sms.chain.wallet, Address("0x" + "0" * 40)):
        for secret in (dataset_secret(address), app_secret(address)):
            path, query = place(secret)
            status, answer = await sms.send("POST", path, VALUE, legacy(secret, VALUE, STRANGER), **query)
            assert (status, answer["code"]) == (401, "SECRET_REFUSED")
    # A dataset is no app.
    secret = app_secret(sms.chain.dataset)
    assert (await sms.send("POST", place(secret)[0], VALUE, legacy(secret, VALUE, DATASET_OWNER)))[0] == 401


@pytest.mark.parametrize(
    "header", [None, "", "0x", "0xzz", "Bearer x", "0x" + "00" * 65, "0x" + "ff" * 65, "0x" + "00" * 1025, "EIP712 x"]
)
async def test_no_signature_at_all_is_refused(sms: Sms, header: str | None) -> None:
    for secret, _owner in owned(sms.chain):
        path, query = place(secret)
        status, answer = await sms.send("POST", path, VALUE, header, **query)
        assert (status, answer["code"]) == (401, "SECRET_REFUSED")


async def test_of_two_who_set_a_secret_at_once_one_does(sms: Sms) -> None:
    secret = requester_secret(REQUESTER.address, "race")
    path, _ = place(secret)
    statuses: list[int] = []

    async def set_it(number: int) -> None:
        value = f"value {number}"
        statuses.append((await sms.send("POST", path, value, legacy(secret, value, REQUESTER)))[0])

    async with anyio.create_task_group() as group:
        for number in range(20):
            group.start_soon(set_it, number)
    assert sorted(statuses) == [204] + [409] * 19


async def test_enclaves_are_asked_for_by_the_pools_manager_and_refused_clearly(sms: Sms) -> None:
    task = sms.chain.task
    header = "0x" + POOL_OWNER.sign_message_hash(keccak256(to_bytes(task))).hex()
    status, answer = await sms.send("POST", f"/tee/challenges/{task}", header=header)
    assert (status, answer["code"]) == (501, "TEE_UNAVAILABLE")
    for name, signed, expected in [
        (task, "0x" + STRANGER.sign_message_hash(keccak256(to_bytes(task))).hex(), (401, "SECRET_REFUSED")),
        (task, None, (401, "SECRET_REFUSED")),
        (sms.chain.plain_task, header, (401, "SECRET_REFUSED")),
        ("0x" + "12" * 32, header, (404, "TASK_UNKNOWN")),
        ("0x12", header, (400, "BAD_REQUEST")),
    ]:
        status, answer = await sms.send("POST", f"/tee/challenges/{name}", header=signed)
        assert (status, answer["code"]) == expected


async def test_the_service_counts_and_tells_about_itself(sms: Sms) -> None:
    await sms.service.push(dataset_secret(sms.chain.dataset), VALUE, DATASET_OWNER)
    await sms.service.push(requester_secret(REQUESTER.address, "foo"), VALUE, REQUESTER)
    _, counts = await sms.send("GET", "/metrics")
    assert counts["secrets"] == {"web3": 1, "web2": 0, "app": 0, "requester": 1}
    for path in ("/health", "/version"):
        status, answer = await sms.send("GET", path)
        assert (status, answer["service"]) == (200, "sms")


async def test_browsers_may_ask_from_anywhere(sms: Sms) -> None:
    asked = {"Origin": "https://dapp.example", "Access-Control-Request-Method": "PUT"}
    async with sms.session.options(f"{sms.url}/secrets/web2", headers=asked) as response:
        allowed = response.headers["access-control-allow-methods"]
    assert {"GET", "HEAD", "POST", "PUT", "DELETE"} <= set(allowed.replace(" ", "").split(","))


async def test_without_the_chain_people_still_set_their_own_secrets(
    marketplace: Marketplace, database_url: str, tmp_path: Path
) -> None:
    nobody = f"http://127.0.0.1:{free_port()}"
    async with running(marketplace, database_url, tmp_path / "ring", rpc_url=nobody) as sms:
        for secret, owner in owned(marketplace):
            path, query = place(secret)
            status, _ = await sms.send("POST", path, VALUE, legacy(secret, VALUE, owner), **query)
            assert status == (503 if secret.kind in ("web3", "app") else 204)
            # Any but the person's own key might be that of a contract.
            path, query = place(web2_secret(STRANGER.address, "mine"))
            status, answer = await sms.send("POST", path, VALUE, legacy(secret, VALUE, owner), **query)
            assert (status, answer["retry"]) == (503, True)


async def test_a_service_can_refuse_legacy_signatures(
    marketplace: Marketplace, database_url: str, tmp_path: Path
) -> None:
    async with running(marketplace, database_url, tmp_path / "ring", accept_legacy=False) as sms:
        for secret, owner in owned(marketplace):
            path, query = place(secret)
            status, _ = await sms.send("POST", path, VALUE, legacy(secret, VALUE, owner), **query)
            assert status == 401
            header = sms.bound(Action.CREATE, secret, VALUE, owner)
            assert (await sms.send("POST", path, VALUE, header, **query))[0] == 204


async def test_nobody_asks_for_ever_more_names(marketplace: Marketplace, database_url: str, tmp_path: Path) -> None:
    async with running(marketplace, database_url, tmp_path / "ring", rate_limit=5) as sms:
        found = [
            (await sms.send("HEAD", f"/requesters/{REQUESTER.address}/secrets/guess-{number}"))[0]
            for number in range(8)
        ]
        assert found == [404] * 5 + [429] * 3
        sms.clock.offset += 60
        status, answer = await sms.send("GET", "/health")
        assert (status, answer["service"]) == (200, "sms")
