"""Creating assets, their addresses, what they tell and what they refuse."""

from __future__ import annotations

from typing import Any

import pytest

from pyiexec.chain.abi import Function
from pyiexec.chain.artifacts import load
from pyiexec.chain.deployment import selectors
from pyiexec.chain.registries import FUNCTIONS, POLICY_UPDATE, TRANSFER, asset_of
from pyiexec.chain.signer import create2_address
from pyiexec.protocol.primitives import NULL_ADDRESS, Address, checksum, keccak256, to_bytes, to_hex

Registries = dict[str, Address]

CHECKSUM = "0x" + "5a" * 32
INITIALIZE = {
    "app": Function.parse("initialize(string a, string b, bytes c, bytes32 d, bytes e)"),
    "dataset": Function.parse("initialize(string a, bytes b, bytes32 c)"),
    "workerpool": Function.parse("initialize(string a)"),
}
GETTERS = {
    "app": (
        "m_appName() view returns (string)",
        "m_appType() view returns (string)",
        "m_appMultiaddr() view returns (bytes)",
        "m_appChecksum() view returns (bytes32)",
        "m_appMREnclave() view returns (bytes)",
    ),
    "dataset": (
        "m_datasetName() view returns (string)",
        "m_datasetMultiaddr() view returns (bytes)",
        "m_datasetChecksum() view returns (bytes32)",
    ),
    "workerpool": ("m_workerpoolDescription() view returns (string)",),
}
FIELDS: list[tuple[str, tuple[Any, ...]]] = [
    ("app", ("blender", "DOCKER", b"registry.hub.docker.com/iexechub/blender:1.0", CHECKSUM, b'{"provider":"SCONE"}')),
    ("app", ("", "", b"", "0x" + "00" * 32, b"")),
    ("app", ("n" * 31, "t" * 32, b"m" * 33, CHECKSUM, b"e" * 1)),
    ("app", ("né" * 682, "t" * 256, b"\xff" * 2048, CHECKSUM, b"\x00" * 2048)),
    ("dataset", ("weights", b"/ipfs/QmbWqxBEKC3P8tqsKc98xmWNzrzDtRLMiMPL8wBuTGsMnR", CHECKSUM)),
    ("dataset", ("", b"", CHECKSUM)),
    ("dataset", ("n" * 2048, b"\x00" * 2048, CHECKSUM)),
    ("workerpool", ("a pool",)),
    ("workerpool", ("",)),
    ("workerpool", ("p" * 4096,)),
]
SAMPLES = dict(reversed(FIELDS))
KINDS = tuple(SAMPLES)
OWNER = Function.parse("owner() view returns (address)")
REGISTRY = Function.parse("registry() view returns (address)")
SET_NAME = Function.parse("setName(address ens, string name)")
ENTRY = Function.parse("entry(uint256 id) view returns (uint256)")
STAKE_RATIO = Function.parse("m_workerStakeRatioPolicy() view returns (uint256)")
REWARD_RATIO = Function.parse("m_schedulerRewardRatioPolicy() view returns (uint256)")


def create(chain: Any, registries: Registries, kind: str, owner: Address, *fields: Any) -> Address:
    receipt = chain.send(registries[kind], FUNCTIONS[f"create{kind.capitalize()}"], owner, *(fields or SAMPLES[kind]))
    return asset_of(receipt["logs"][0]["topics"][3])


def message(refusal: pytest.ExceptionInfo[BaseException]) -> str:
    return str(refusal.value)


@pytest.mark.parametrize(("kind", "fields"), FIELDS)
def test_an_asset_tells_what_it_was_created_with(
    chain: Any, registries: Registries, kind: str, fields: tuple[Any, ...]
) -> None:
    asset = create(chain, registries, kind, chain.accounts[4], *fields)
    told = tuple(chain.call(asset, Function.parse(getter)) for getter in GETTERS[kind])
    assert told == fields
    assert chain.call(asset, OWNER) == chain.accounts[4]
    assert chain.call(asset, REGISTRY) == registries[kind]


@pytest.mark.parametrize(("kind", "fields"), FIELDS)
def test_the_address_follows_from_owner_and_fields_as_clients_compute_it(
    chain: Any, registries: Registries, kind: str, fields: tuple[Any, ...]
) -> None:
    registry, owner = registries[kind], chain.accounts[4]
    code = chain.call(registry, Function.parse("proxyCode() view returns (bytes)"))
    code_hash = chain.call(registry, Function.parse("proxyCodeHash() view returns (bytes32)"))
    assert to_hex(keccak256(code)) == code_hash
    salt = keccak256(INITIALIZE[kind].encode(*fields) + to_bytes(owner))
    expected = create2_address(registry, salt, to_bytes(code_hash))
    predict = FUNCTIONS[f"predict{kind.capitalize()}"]
    assert chain.call(registry, predict, owner, *fields) == expected
    assert create(chain, registries, kind, owner, *fields) == expected
    assert chain.call(registry, predict, owner, *fields) == expected


@pytest.mark.parametrize("kind", KINDS)
def test_creating_logs_one_transfer_and_nothing_else(chain: Any, registries: Registries, kind: str) -> None:
    function = FUNCTIONS[f"create{kind.capitalize()}"]
    returned = chain.call(registries[kind], function, chain.accounts[4], *SAMPLES[kind])
    (log,) = chain.send(registries[kind], function, chain.accounts[4], *SAMPLES[kind])["logs"]
    assert checksum(log["address"]) == registries[kind]
    assert TRANSFER.decode(log) == {"from": NULL_ADDRESS, "to": chain.accounts[4], "tokenId": int(returned, 16)}


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_asset_cannot_be_created_twice_but_another_owner_may_have_its_like(
    chain: Any, registries: Registries, kind: str, reverted: Any
) -> None:
    first = create(chain, registries, kind, chain.accounts[4])
    with pytest.raises(reverted) as refusal:
        create(chain, registries, kind, chain.accounts[4])
    assert message(refusal) == "Create2: Failed on deploy"
    assert create(chain, registries, kind, chain.accounts[5]) != first


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_created_for_the_zero_address(chain: Any, registries: Registries, kind: str, reverted: Any) -> None:
    with pytest.raises(reverted) as refusal:
        create(chain, registries, kind, NULL_ADDRESS)
    assert message(refusal) == f"ERC721InvalidReceiver({NULL_ADDRESS})"


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("app", ("n" * 2049, "t", b"m", CHECKSUM, b"")),
        ("app", ("n", "t" * 257, b"m", CHECKSUM, b"")),
        ("app", ("n", "t", b"m" * 2049, CHECKSUM, b"")),
        ("app", ("n", "t", b"m", CHECKSUM, b"e" * 2049)),
        ("dataset", ("n" * 2049, b"m", CHECKSUM)),
        ("dataset", ("n", b"m" * 2049, CHECKSUM)),
        ("workerpool", ("p" * 4097,)),
    ],
)
def test_a_field_beyond_its_limit_is_refused(
    chain: Any, registries: Registries, kind: str, fields: tuple[Any, ...], reverted: Any
) -> None:
    with pytest.raises(reverted):
        create(chain, registries, kind, chain.accounts[4], *fields)


@pytest.mark.parametrize("kind", KINDS)
def test_an_asset_cannot_be_initialised_again(chain: Any, registries: Registries, kind: str, reverted: Any) -> None:
    asset = create(chain, registries, kind, chain.accounts[4])
    for target in (asset, chain.call(registries[kind], Function.parse("master() view returns (address)"))):
        with pytest.raises(reverted) as refusal:
            chain.send(target, INITIALIZE[kind], *SAMPLES[kind])
        assert message(refusal) == "already initialized"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b"", 1),
        (Function.parse("initialize(address a, bytes b)").encode(NULL_ADDRESS, b""), 0),
        (b"\x00", 0),
        (b"\xde\xad\xbe\xef", 0),
        (OWNER.encode(), 1),
    ],
    ids=["plain transfer", "proxy initialisation", "one byte", "unknown function", "value with a getter"],
)
def test_an_asset_refuses_value_and_unknown_calls_without_a_reason(
    chain: Any, registries: Registries, kind: str, data: bytes, value: int, reverted: Any
) -> None:
    asset = create(chain, registries, kind, chain.accounts[4])
    with pytest.raises(reverted) as refusal:
        chain.transact(asset, data, value=value)
    assert refusal.value.data == b""


@pytest.mark.parametrize("kind", KINDS)
def test_the_asset_follows_its_token(chain: Any, registries: Registries, kind: str) -> None:
    asset = create(chain, registries, kind, chain.accounts[4])
    seller, buyer = chain.accounts[4], chain.accounts[5]
    chain.send(registries[kind], FUNCTIONS["transferFrom"], seller, buyer, int(asset, 16), sender=seller)
    assert chain.call(asset, OWNER) == buyer


@pytest.mark.parametrize("kind", KINDS)
def test_the_master_is_the_artifact_and_has_neither_registry_nor_owner(
    chain: Any, registries: Registries, kind: str, reverted: Any
) -> None:
    master = chain.call(registries[kind], Function.parse("master() view returns (address)"))
    artifact = load(kind.capitalize())
    assert chain.ask("eth_getCode", master, "latest") == artifact.deployed_bytecode
    assert artifact.deployed_bytecode[2:] in artifact.bytecode
    assert chain.call(master, REGISTRY) == NULL_ADDRESS
    with pytest.raises(reverted):
        chain.call(master, OWNER)


@pytest.mark.parametrize("kind", KINDS)
def test_no_code_can_be_had_outside_of_a_creation(chain: Any, registries: Registries, kind: str) -> None:
    create(chain, registries, kind, chain.accounts[4])
    answer = chain.ask("eth_call", {"to": registries[kind], "data": "0xfde0e7a8"}, "latest")
    assert answer == "0x"


@pytest.mark.parametrize("kind", KINDS)
def test_every_view_of_an_asset_answers_without_arguments(chain: Any, registries: Registries, kind: str) -> None:
    """Clients that list an asset's ABI call them all."""
    asset = create(chain, registries, kind, chain.accounts[4])
    views = [entry for entry in load(kind.capitalize()).abi if entry.get("stateMutability") == "view"]
    assert len(views) == len(GETTERS[kind]) + (4 if kind == "workerpool" else 2)
    for entry in views:
        (output,) = entry["outputs"]
        assert entry["inputs"] == []
        chain.call(asset, Function.parse(f"{entry['name']}() view returns ({output['type']})"))


def test_the_asset_functions_are_those_of_the_protocol() -> None:
    for kind, count in (("app", 9), ("dataset", 7), ("workerpool", 8)):
        present = selectors(load(kind.capitalize()))
        assert len(present) == count
        wanted = [Function.parse(getter).selector for getter in GETTERS[kind]]
        assert {*wanted, INITIALIZE[kind].selector, SET_NAME.selector} <= set(present)


def test_a_new_workerpool_stakes_thirty_percent_and_keeps_one(chain: Any, registries: Registries) -> None:
    pool = create(chain, registries, "workerpool", chain.accounts[6])
    assert chain.call(pool, STAKE_RATIO) == 30
    assert chain.call(pool, REWARD_RATIO) == 1


@pytest.mark.parametrize("policy", [(0, 0), (35, 5), (100, 100), (2**32 - 1, 100)])
def test_a_policy_change_is_logged_by_the_workerpool_and_then_holds(
    chain: Any, registries: Registries, policy: tuple[int, int]
) -> None:
    pool = create(chain, registries, "workerpool", chain.accounts[6])
    (log,) = chain.send(pool, FUNCTIONS["changePolicy"], *policy, sender=chain.accounts[6])["logs"]
    assert checksum(log["address"]) == pool
    assert tuple(POLICY_UPDATE.decode(log).values()) == (30, policy[0], 1, policy[1])
    assert (chain.call(pool, STAKE_RATIO), chain.call(pool, REWARD_RATIO)) == policy
    word = chain.call(registries["workerpool"], ENTRY, int(pool, 16))
    assert word == int(chain.accounts[6], 16) | policy[0] << 160 | policy[1] << 192


def test_a_policy_survives_the_sale_of_the_workerpool(chain: Any, registries: Registries) -> None:
    seller, buyer = chain.accounts[6], chain.accounts[7]
    pool = create(chain, registries, "workerpool", seller)
    chain.send(pool, FUNCTIONS["changePolicy"], 77, 9, sender=seller)
    chain.send(registries["workerpool"], FUNCTIONS["transferFrom"], seller, buyer, int(pool, 16), sender=seller)
    assert (chain.call(pool, STAKE_RATIO), chain.call(pool, REWARD_RATIO)) == (77, 9)


@pytest.mark.parametrize(
    ("sender", "policy", "reason"),
    [
        (0, (35, 5), "caller is not the owner"),
        (6, (35, 101), ""),
        (6, (2**32, 5), "worker stake ratio is too large"),
        (6, (35, 2**256 - 1), ""),
    ],
)
def test_a_policy_is_refused(
    chain: Any,
    registries: Registries,
    sender: int,
    policy: tuple[int, int],
    reason: str,
    reverted: Any,
) -> None:
    pool = create(chain, registries, "workerpool", chain.accounts[6])
    with pytest.raises(reverted) as refusal:
        chain.send(pool, FUNCTIONS["changePolicy"], *policy, sender=chain.accounts[sender])
    assert message(refusal) == reason


def test_only_a_workerpool_can_record_a_policy(chain: Any, registries: Registries, reverted: Any) -> None:
    create(chain, registries, "workerpool", chain.accounts[6])
    set_policy = Function.parse("setPolicy(uint256 stake, uint256 reward)")
    for sender in (chain.accounts[0], chain.accounts[6]):
        with pytest.raises(reverted):
            chain.send(registries["workerpool"], set_policy, 1, 1, sender=sender)


#: Gas of the first creation in PoCo 6.1 by the published artifacts.
REFERENCE_GAS = {"app": 626_867, "dataset": 598_031, "workerpool": 549_395}


@pytest.mark.parametrize("kind", KINDS)
def test_creating_costs_at_most_a_third_of_the_reference(chain: Any, registries: Registries, kind: str) -> None:
    fields = {
        "app": ("vanityeth", "DOCKER", b"registry.hub.docker.com/iexechub/vanityeth:1.1.1", CHECKSUM, b""),
        "dataset": ("weights", b"/ipfs/QmbWqxBEKC3P8tqsKc98xmWNzrzDtRLMiMPL8wBuTGsMnR", CHECKSUM),
        "workerpool": ("a pool",),
    }[kind]
    function = FUNCTIONS[f"create{kind.capitalize()}"]
    receipt = chain.send(registries[kind], function, chain.accounts[4], *fields)
    assert int(receipt["gasUsed"], 16) <= 0.33 * REFERENCE_GAS[kind]
