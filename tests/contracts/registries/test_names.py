"""Reverse names of registries and assets: given where there is a name service, refused as unsupported elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pyiexec.chain.abi import Function
from pyiexec.chain.registries import FUNCTIONS, asset_of
from pyiexec.protocol.primitives import NULL_ADDRESS, Address, keccak256, to_hex

Registries = dict[str, Address]

SET_NAME = Function.parse("setName(address ens, string name)")
NAME_OF = Function.parse("name_of(address account) view returns (string)")
FIELDS: dict[str, tuple[Any, ...]] = {
    "app": ("an app", "WASM", b"", "0x" + "00" * 32, b""),
    "dataset": ("a dataset", b"", "0x" + "00" * 32),
    "workerpool": ("a workerpool",),
}
UNSUPPORTED = "Operation not supported on this chain"


@pytest.fixture
def registrar(chain: Any) -> Address:
    address: Address = chain.create_double("ReverseRegistrar")
    return address


@pytest.fixture
def ens(chain: Any, registrar: Address) -> Address:
    address: Address = chain.create_double("NameService", int(registrar, 16))
    return address


@pytest.fixture(params=["registry", *FIELDS])
def named(request: Any, chain: Any, registries: Registries) -> tuple[Address, Address, str]:
    """What can be named, its owner, and what others are told."""
    kind = request.param
    if kind == "registry":
        return registries["app"], chain.accounts[0], "Ownable: caller is not the owner"
    owner = chain.accounts[4]
    receipt = chain.send(registries[kind], FUNCTIONS[f"create{kind.capitalize()}"], owner, *FIELDS[kind])
    return asset_of(receipt["logs"][0]["topics"][3]), owner, "caller is not the owner"


def test_the_owner_names_it_at_the_reverse_registrar(
    chain: Any, named: tuple[Address, Address, str], ens: Address, registrar: Address
) -> None:
    contract, owner, _ = named
    for name in ("first.pools.iexec.eth", "n" * 256):
        chain.send(contract, SET_NAME, ens, name, sender=owner)
        assert chain.call(registrar, NAME_OF, contract) == name


def test_nobody_else_names_it(chain: Any, named: tuple[Address, Address, str], ens: Address, reverted: Any) -> None:
    contract, _, reason = named
    for service in (ens, NULL_ADDRESS):
        with pytest.raises(reverted) as refusal:
            chain.send(contract, SET_NAME, service, "stolen.eth", sender=chain.accounts[7])
        assert str(refusal.value) == reason


@pytest.mark.parametrize(
    "where", ["nowhere", "an account", "another contract", "no reverse names", "a registrar without code", "no address"]
)
def test_naming_is_not_supported_without_a_name_service(
    chain: Any, named: tuple[Address, Address, str], registries: Registries, where: str, reverted: Any
) -> None:
    contract, owner, _ = named
    service = {
        "nowhere": lambda: NULL_ADDRESS,
        "an account": lambda: chain.accounts[9],
        "another contract": lambda: registries["dataset"],
        "no reverse names": lambda: chain.create_double("NameService", 0),
        "a registrar without code": lambda: chain.create_double("NameService", int(chain.accounts[9], 16)),
        "no address": lambda: chain.create_double("NameService", 1 << 160 | int(registries["app"], 16)),
    }[where]()
    with pytest.raises(reverted) as refusal:
        chain.send(contract, SET_NAME, service, "name.eth", sender=owner)
    assert str(refusal.value) == UNSUPPORTED


def test_what_the_registrar_refuses_is_passed_on(
    chain: Any, named: tuple[Address, Address, str], ens: Address, reverted: Any
) -> None:
    contract, owner, _ = named
    with pytest.raises(reverted) as refusal:
        chain.send(contract, SET_NAME, ens, "", sender=owner)
    assert str(refusal.value) == "a name has letters"


def test_a_name_of_more_than_256_bytes_is_refused(
    chain: Any, named: tuple[Address, Address, str], ens: Address, reverted: Any
) -> None:
    contract, owner, _ = named
    with pytest.raises(reverted) as refusal:
        chain.send(contract, SET_NAME, ens, "n" * 257, sender=owner)
    assert refusal.value.data == b""


def test_the_reverse_node_is_the_namehash_of_addr_reverse() -> None:
    node = bytes(32)
    for label in (b"reverse", b"addr"):
        node = keccak256(node + keccak256(label))
    source = Path(__file__).parents[3] / "contracts" / "registries" / "modules" / "ens.vy"
    assert f"REVERSE_NODE: constant(bytes32) = {to_hex(node)}" in source.read_text()
