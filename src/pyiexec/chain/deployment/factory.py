"""Creation of contracts at addresses that depend on no nonce.

Two steps lead to the same addresses on every chain. The deterministic deployment proxy is a public contract with one
address everywhere, because it is created by a transaction signed with no chain id and by a key that nobody has. It
creates our own factory, which binds each address to the account that asks for it (contracts/deployment/Factory.vy).

Source: EIP-1014 (CREATE2); Arachnid's deterministic deployment proxy, which development chains have from the start.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from pyiexec.chain.abi import Event, Function, encode
from pyiexec.chain.artifacts import load
from pyiexec.chain.signer import create2_address
from pyiexec.protocol.primitives import Address, keccak256

#: The deterministic deployment proxy, and what stands there.
PROXY = Address("0x4e59b44847b379578588920cA78FbF26c0B4956C")
PROXY_CODE = bytes.fromhex(
    "7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffe03601600081602082378035828234f58015156039578182"
    "fd5b8082525050506014600cf3"
)
#: The account that creates it, by this transaction, once it has what that may cost.
PROXY_CREATOR = Address("0x3fAB184622Dc19b6109349B94811493BF2a45362")
PROXY_COST = 100_000 * 100 * 10**9
PROXY_TRANSACTION = bytes.fromhex(
    "f8a58085174876e800830186a08080b853604580600e600039806000f350fe7fffffffffffffffffffffffffffffffffffffffffffffffff"
    "ffffffffffffffe03601600081602082378035828234f58015156039578182fd5b8082525050506014600cf31ba022222222222222222222"
    "22222222222222222222222222222222222222222222a02222222222222222222222222222222222222222222222222222222222222222"
)

_NO_SALT = bytes(32)
_CREATOR_AND_SALT = Function.parse("creator(address creator, bytes32 salt)").inputs
_CREATE = Function.parse("create(bytes[] calls, bytes32 salt, bytes code) returns (address)")
#: Emitted by the factory for every contract.
CREATED = Event.parse("Created(address indexed created, address indexed creator, bytes32 salt)")


class Creation(NamedTuple):
    """A contract to be created: call data for `to`, and the address that it will have."""

    to: Address
    data: bytes
    address: Address


def create_factory() -> Creation:
    """The factory itself, created by the proxy.

    Raises:
        IexecError: ``ARTIFACT_MISSING``.
    """
    code = load("Factory").initcode
    return Creation(PROXY, _NO_SALT + code, create2_address(PROXY, _NO_SALT, keccak256(code)))


def create(factory: Address, creator: Address, salt: bytes, code: bytes, calls: Sequence[bytes] = ()) -> Creation:
    """A contract created by the factory for `creator`, which must send the transaction.

    Args:
        code: creation code with constructor arguments.
        calls: what the factory calls on it at once, at most four times 256 bytes.
    """
    own_salt = keccak256(encode(_CREATOR_AND_SALT, (creator, salt)))
    return Creation(factory, _CREATE.encode(calls, salt, code), create2_address(factory, own_salt, keccak256(code)))
