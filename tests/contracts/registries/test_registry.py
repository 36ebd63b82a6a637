"""A registry's ABI, its owner, its predecessor and what it tells the hub."""

from __future__ import annotations

from typing import Any

import pytest

from pyiexec.chain.abi import Event, Function
from pyiexec.chain.artifacts import load
from pyiexec.chain.deployment import selectors
from pyiexec.chain.registries import FUNCTIONS, asset_of
from pyiexec.protocol.primitives import NULL_ADDRESS, Address, bytes32, to_bytes

Registries = dict[str, Address]

NAMES = {
    "app": ("iExec Application Registry (V5)", "iExecAppsV5"),
    "dataset": ("iExec Dataset Registry (V5)", "iExecDatasetsV5"),
    "workerpool": ("iExec Workerpool Registry (V5)", "iExecWorkerpoolV5"),
}
#: The 29 functions that PoCo's registries share, by selector.
COMMON = (
    "095ea7b3 70a08231 6c0360eb 081812fc c4d66de8 158ef93e e985e9c5 c3c5a547 "
    "ee97f7f3 06fdde03 8da5cb5b 6352211e 7c2b2e71 6fa59bbc eee39111 715018a6 "
    "42842e0e b88d4fde a22cb465 55f804b3 3121db1c 01ffc9a7 95d89b41 4f6ccce7 "
    "2f745c59 c87b56dd 18160ddd 23b872dd f2fde38b"
)
OWN = {
    "app": ("3f7868ff", "e92118ed"),
    "dataset": ("3354bcdb", "fe17fc7a"),
    "workerpool": ("e40238f4", "064a6c2a"),
}
#: Ours: `entry`, `blob`, and `setPolicy` of workerpools.
ADDED = {"app": 2, "dataset": 2, "workerpool": 3}

OWNERSHIP = Event.parse("OwnershipTransferred(address indexed previousOwner, address indexed newOwner)")
RENOUNCE = Function.parse("renounceOwnership()")
SET_NAME = Function.parse("setName(address ens, string name)")
INITIALIZED = Function.parse("initialized() view returns (bool)")
PREVIOUS = Function.parse("previous() view returns (address)")
BASE_URI = Function.parse("baseURI() view returns (string)")
TOKEN_URI = Function.parse("tokenURI(uint256 id) view returns (string)")
ENTRY = Function.parse("entry(uint256 id) view returns (uint256)")
STRANGER = "Ownable: caller is not the owner"


def create_pool(chain: Any, registry: Address, owner: Address, description: str = "pool") -> Address:
    receipt = chain.send(registry, FUNCTIONS["createWorkerpool"], owner, description)
    return asset_of(receipt["logs"][0]["topics"][3])


@pytest.mark.parametrize("kind", NAMES)
def test_a_registry_has_all_functions_of_the_protocol(kind: str) -> None:
    present = [selector.hex() for selector in selectors(load(f"{kind.capitalize()}Registry"))]
    assert {*COMMON.split(), *OWN[kind]} <= set(present)
    assert len(present) == len(COMMON.split()) + 2 + ADDED[kind]


@pytest.mark.parametrize("kind", NAMES)
def test_the_constructor_takes_no_argument_and_leaves_the_deployer_as_owner(chain: Any, kind: str) -> None:
    name = f"{kind.capitalize()}Registry"
    (constructor,) = [entry for entry in load(name).abi if entry["type"] == "constructor"]
    assert constructor["inputs"] == []
    deployer = chain.accounts[3]
    (log,) = chain.transact(None, load(name).initcode, sender=deployer)["logs"]
    assert OWNERSHIP.decode(log) == {"previousOwner": NULL_ADDRESS, "newOwner": deployer}


@pytest.mark.parametrize("kind", NAMES)
def test_a_fresh_registry_is_named_and_empty(chain: Any, registries: Registries, kind: str) -> None:
    registry = registries[kind]
    assert chain.call(registry, Function.parse("name() view returns (string)")) == NAMES[kind][0]
    assert chain.call(registry, Function.parse("symbol() view returns (string)")) == NAMES[kind][1]
    assert chain.call(registry, FUNCTIONS["owner"]) == chain.accounts[0]
    assert chain.call(registry, FUNCTIONS["totalSupply"]) == 0
    assert chain.call(registry, INITIALIZED) is False
    assert chain.call(registry, PREVIOUS) == NULL_ADDRESS
    assert chain.call(registry, BASE_URI) == ""


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        (FUNCTIONS["initialize"], (NULL_ADDRESS,)),
        (FUNCTIONS["setBaseURI"], ("https://example.org/",)),
        (SET_NAME, (NULL_ADDRESS, "name")),
        (FUNCTIONS["transferOwnership"], (NULL_ADDRESS,)),
        (RENOUNCE, ()),
    ],
)
def test_only_the_owner_configures(
    chain: Any, registries: Registries, reverted: Any, function: Function, arguments: tuple[Any, ...]
) -> None:
    for registry in registries.values():
        with pytest.raises(reverted) as refusal:
            chain.send(registry, function, *arguments, sender=chain.accounts[1])
        assert str(refusal.value) == STRANGER


def test_a_registry_is_initialised_once(chain: Any, registries: Registries, reverted: Any) -> None:
    registry = registries["app"]
    assert chain.send(registry, FUNCTIONS["initialize"], chain.accounts[9])["logs"] == []
    assert chain.call(registry, INITIALIZED) is True
    assert chain.call(registry, PREVIOUS) == chain.accounts[9]
    with pytest.raises(reverted) as refusal:
        chain.send(registry, FUNCTIONS["initialize"], NULL_ADDRESS)
    assert refusal.value.data == b""


def test_the_token_uri_is_the_base_and_the_decimal_id(chain: Any, registries: Registries) -> None:
    registry = registries["workerpool"]
    token = int(create_pool(chain, registry, chain.accounts[6]), 16)
    assert chain.call(registry, TOKEN_URI, token) == ""
    base = "https://nfts-metadata.iex.ec/workerpool/31337/"
    assert chain.send(registry, FUNCTIONS["setBaseURI"], base)["logs"] == []
    assert chain.call(registry, BASE_URI) == base
    assert chain.call(registry, TOKEN_URI, token) == f"{base}{token}"


def test_a_base_uri_has_512_bytes_at_most(chain: Any, registries: Registries, reverted: Any) -> None:
    registry = registries["workerpool"]
    token = int(create_pool(chain, registry, chain.accounts[6]), 16)
    with pytest.raises(reverted) as refusal:
        chain.send(registry, FUNCTIONS["setBaseURI"], "u" * 513)
    assert refusal.value.data == b""
    chain.send(registry, FUNCTIONS["setBaseURI"], "u" * 512)
    assert chain.call(registry, BASE_URI) == "u" * 512
    assert chain.call(registry, TOKEN_URI, token) == "u" * 512 + str(token)


def test_a_registry_is_full_when_its_serial_numbers_are_used_up(
    chain: Any, registries: Registries, layout: dict[str, Any], reverted: Any
) -> None:
    registry = registries["workerpool"]
    slot = bytes32(layout["collection"]["totalSupply"]["slot"])
    chain.ask("anvil_setStorageAt", registry, slot, bytes32(2**24 - 2))
    pool = create_pool(chain, registry, chain.accounts[6])
    assert chain.call(registry, FUNCTIONS["totalSupply"]) == 2**24 - 1
    assert chain.call(registry, FUNCTIONS["tokenByIndex"], 2**24 - 2) == int(pool, 16)
    assert chain.call(registry, FUNCTIONS["tokenOfOwnerByIndex"], chain.accounts[6], 0) == int(pool, 16)
    with pytest.raises(reverted) as refusal:
        create_pool(chain, registry, chain.accounts[6], "one too many")
    assert str(refusal.value) == "registry is full"


def test_ownership_is_handed_over_at_once(chain: Any, registries: Registries, reverted: Any) -> None:
    registry, old, new = registries["dataset"], chain.accounts[0], chain.accounts[1]
    (log,) = chain.send(registry, FUNCTIONS["transferOwnership"], new)["logs"]
    assert OWNERSHIP.decode(log) == {"previousOwner": old, "newOwner": new}
    assert chain.call(registry, FUNCTIONS["owner"]) == new
    with pytest.raises(reverted):
        chain.send(registry, RENOUNCE, sender=old)
    (log,) = chain.send(registry, RENOUNCE, sender=new)["logs"]
    assert OWNERSHIP.decode(log) == {"previousOwner": new, "newOwner": NULL_ADDRESS}
    assert chain.call(registry, FUNCTIONS["owner"]) == NULL_ADDRESS


def test_ownership_is_not_transferred_to_nobody(chain: Any, registries: Registries, reverted: Any) -> None:
    with pytest.raises(reverted) as refusal:
        chain.send(registries["app"], FUNCTIONS["transferOwnership"], NULL_ADDRESS)
    assert refusal.value.data == Function.parse("OwnableInvalidOwner(address a)").encode(NULL_ADDRESS)


def test_assets_of_older_registries_stay_registered(chain: Any) -> None:
    oldest, older, newest = (chain.create("WorkerpoolRegistry") for _ in range(3))
    chain.send(older, FUNCTIONS["initialize"], oldest)
    chain.send(newest, FUNCTIONS["initialize"], older)
    for index, registry in enumerate((oldest, older, newest)):
        owner = chain.accounts[4 + index]
        pool = create_pool(chain, registry, owner)
        assert chain.call(newest, FUNCTIONS["isRegistered"], pool) is True
        assert chain.call(newest, ENTRY, int(pool, 16)) == int(owner, 16) | 30 << 160 | 1 << 192
    assert chain.call(oldest, FUNCTIONS["isRegistered"], pool) is False
    assert chain.call(newest, FUNCTIONS["isRegistered"], chain.accounts[1]) is False
    assert chain.call(newest, ENTRY, 1) == 0


@pytest.mark.parametrize("kind", ["app", "dataset"])
def test_the_entry_of_an_asset_without_policy_is_its_owner(chain: Any, registries: Registries, kind: str) -> None:
    fields = {"app": ("n", "t", b"", "0x" + "00" * 32, b""), "dataset": ("n", b"", "0x" + "00" * 32)}[kind]
    create = FUNCTIONS[f"create{kind.capitalize()}"]
    first, second = (
        int(chain.send(registries[kind], create, owner, *fields)["logs"][0]["topics"][3], 16)
        for owner in chain.accounts[4:6]
    )
    assert chain.call(registries[kind], ENTRY, first) == int(chain.accounts[4], 16)
    assert chain.call(registries[kind], ENTRY, second) == int(chain.accounts[5], 16)
    assert chain.call(registries[kind], FUNCTIONS["isRegistered"], asset_of(second)) is True


def test_a_registry_refuses_value(chain: Any, registries: Registries, reverted: Any) -> None:
    for data in (b"", to_bytes("0x" + OWN["workerpool"][0])):
        with pytest.raises(reverted):
            chain.transact(registries["workerpool"], data, value=1)
