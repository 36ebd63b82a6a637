"""The factory creates for its caller alone, at the address that was foretold, and keeps nothing for itself."""

from __future__ import annotations

from typing import Any

import pytest

from pyiexec.chain.abi import Function
from pyiexec.chain.anvil import MNEMONIC
from pyiexec.chain.artifacts import load
from pyiexec.chain.deployment import Manifest
from pyiexec.chain.deployment.factory import CREATED, create, create_factory
from pyiexec.chain.mnemonic import derive
from pyiexec.chain.signer import Signer
from pyiexec.chain.token import FUNCTIONS, transfer
from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.primitives import Address, keccak256

SALT, NO_SALT = b"\x07" * 32, bytes(32)
PREDICT = Function.parse("predict(address creator, bytes32 salt, bytes32 code_hash) view returns (address)")
SET_NAME = Function.parse("setName(address _ens, string _name)")
STRANGER = derive(MNEMONIC, 9)
SUPPLY = 87_000_000 * 10**9


@pytest.fixture
def factory(deployed: Manifest) -> Address:
    """The factory on the chain."""
    assert deployed.contracts["Factory"].address == create_factory().address
    return deployed.contracts["Factory"].address


def test_the_factory_foretells_what_we_reckon(node: Any, factory: Address, deployer: Signer) -> None:
    code = load("DiamondInit").initcode
    for creator in (deployer.address, STRANGER.address):
        for salt in (NO_SALT, SALT):
            foretold = node.read(factory, PREDICT, creator, salt, keccak256(code))
            assert foretold == create(factory, creator, salt, code).address


def test_nobody_can_take_somebody_else_s_address(node: Any, factory: Address, deployer: Signer) -> None:
    code = load("DiamondInit").initcode
    wanted = create(factory, deployer.address, SALT, code)
    node.send(STRANGER.address, factory, wanted.data)
    assert node.code(wanted.address) == "0x"
    assert node.code(create(factory, STRANGER.address, SALT, code).address) != "0x"
    node.send(deployer.address, factory, wanted.data)
    assert node.code(wanted.address) != "0x"


def test_what_a_contract_gives_to_its_creator_is_passed_on_at_once(
    node: Any, factory: Address, deployer: Signer
) -> None:
    made = create(factory, deployer.address, SALT, load("RLC").initcode, [transfer(deployer.address, SUPPLY)])
    node.send(deployer.address, factory, made.data)
    assert node.read(made.address, FUNCTIONS["balanceOf"], deployer.address) == SUPPLY
    assert node.read(made.address, FUNCTIONS["balanceOf"], factory) == 0


def test_calls_are_made_in_their_order_and_all_or_none(node: Any, factory: Address, deployer: Signer) -> None:
    halves = [transfer(deployer.address, SUPPLY // 2), transfer(STRANGER.address, SUPPLY // 2)]
    made = create(factory, deployer.address, SALT, load("RLC").initcode, halves)
    too_much = create(factory, deployer.address, SALT, load("RLC").initcode, [*halves, transfer(factory, SUPPLY)])
    with pytest.raises(IexecError):
        node.run(node.rpc.eth_call(factory, too_much.data, sender=deployer.address))
    receipt = node.send(deployer.address, factory, made.data)
    transfers = [log for log in receipt["logs"] if log["address"] == made.address.lower()]
    assert [int(log["topics"][2], 16) for log in transfers[1:]] == [
        int(deployer.address, 16),
        int(STRANGER.address, 16),
    ]
    assert node.read(made.address, FUNCTIONS["balanceOf"], STRANGER.address) == SUPPLY // 2


def test_creating_again_does_nothing(node: Any, factory: Address, deployer: Signer) -> None:
    made = create(factory, deployer.address, SALT, load("RLC").initcode, [transfer(deployer.address, SUPPLY)])
    node.send(deployer.address, factory, made.data)
    # The call would fail: the factory has nothing left to transfer.
    node.send(deployer.address, factory, made.data)
    assert node.read(made.address, FUNCTIONS["balanceOf"], deployer.address) == SUPPLY


def test_a_creation_whose_call_fails_leaves_nothing(node: Any, factory: Address, deployer: Signer) -> None:
    made = create(factory, deployer.address, SALT, load("RLC").initcode, [transfer(deployer.address, SUPPLY + 1)])
    with pytest.raises(IexecError) as failure:
        node.run(node.rpc.eth_call(factory, made.data, sender=deployer.address))
    assert failure.value.code == "CONTRACT_REVERTED"
    named = SET_NAME.encode(factory, "apps.eth")
    made = create(factory, deployer.address, SALT, load("AppRegistry").initcode, [named])
    with pytest.raises(IexecError) as failure:
        node.run(node.rpc.eth_call(factory, made.data, sender=deployer.address))
    assert "Operation not supported on this chain" in failure.value.what


def test_a_constructor_that_fails_is_no_creation(node: Any, factory: Address, deployer: Signer) -> None:
    with pytest.raises(IexecError) as failure:
        # revert(0, 0)
        node.run(node.rpc.eth_call(factory, create(factory, deployer.address, SALT, b"\x5f\x5f\xfd").data))
    assert failure.value.code == "CONTRACT_REVERTED"


def test_a_creation_is_told_with_its_creator(node: Any, factory: Address, deployer: Signer) -> None:
    made = create(factory, deployer.address, SALT, load("DiamondInit").initcode)
    (log,) = node.send(deployer.address, factory, made.data)["logs"]
    assert log["topics"][0] == CREATED.topic
    assert CREATED.decode(log) == {
        "created": made.address,
        "creator": deployer.address,
        "salt": "0x" + SALT.hex(),
    }


def test_the_largest_creation_code_there_may_be_is_taken(node: Any, factory: Address, deployer: Signer) -> None:
    # return(0, 1), and padding up to the limit of EIP-3860
    code = bytes.fromhex("60015ff3").ljust(49_152, b"\0")
    made = create(factory, deployer.address, SALT, code)
    node.send(deployer.address, factory, made.data)
    assert node.code(made.address) == "0x00"
    with pytest.raises(IexecError):
        node.run(node.rpc.eth_call(factory, create(factory, deployer.address, SALT, code + b"\0").data))


def test_value_is_refused(node: Any, factory: Address, deployer: Signer) -> None:
    made = create(factory, deployer.address, SALT, load("DiamondInit").initcode)
    with pytest.raises(IexecError):
        node.run(node.rpc.eth_call(factory, made.data, sender=deployer.address, value=1))
