"""Typed hashes of orders, order operations and login challenges.

The encoding is written out by hand: every member is one 32-byte word, so a hash is a few string joins and two keccaks
(some tens of microseconds), where a general encoder takes hundreds.

Source: EIP-712; EIP-191; PoCo's type strings, domain ``iExecODB`` version ``5.0.0``.
"""

from __future__ import annotations

from functools import cache, lru_cache
from typing import Any

import msgspec

from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.orders import (
    AppOrder,
    DatasetOrder,
    Order,
    OrderOperation,
    RequestOrder,
    WorkerpoolOrder,
    kind_of,
)
from pyiexec.protocol.primitives import Address, Bytes32, OrderHash, bytes32, keccak256, to_bytes

DOMAIN_NAME = "iExecODB"
DOMAIN_VERSION = "5.0.0"


class Domain(msgspec.Struct, frozen=True):
    """Where orders are valid: one hub on one chain."""

    chain_id: int
    verifying_contract: Address


_MEMBERS: dict[type[Order], tuple[str, str]] = {
    AppOrder: (
        "AppOrder",
        "address app,uint256 appprice,uint256 volume,bytes32 tag,address datasetrestrict,"
        "address workerpoolrestrict,address requesterrestrict,bytes32 salt",
    ),
    DatasetOrder: (
        "DatasetOrder",
        "address dataset,uint256 datasetprice,uint256 volume,bytes32 tag,address apprestrict,"
        "address workerpoolrestrict,address requesterrestrict,bytes32 salt",
    ),
    WorkerpoolOrder: (
        "WorkerpoolOrder",
        "address workerpool,uint256 workerpoolprice,uint256 volume,bytes32 tag,uint256 category,uint256 trust,"
        "address apprestrict,address datasetrestrict,address requesterrestrict,bytes32 salt",
    ),
    RequestOrder: (
        "RequestOrder",
        "address app,uint256 appmaxprice,address dataset,uint256 datasetmaxprice,address workerpool,"
        "uint256 workerpoolmaxprice,address requester,uint256 volume,bytes32 tag,uint256 category,uint256 trust,"
        "address beneficiary,address callback,string params,bytes32 salt",
    ),
}
#: EIP-712 type string of each order.
TYPE_STRINGS = {struct: f"{name}({members})" for struct, (name, members) in _MEMBERS.items()}
_FIELDS = {
    struct: [tuple(member.split(" ")) for member in members.split(",")] for struct, (_, members) in _MEMBERS.items()
}

_DOMAIN_MEMBERS = "string name,string version,uint256 chainId"
_DOMAIN_TYPE = f"EIP712Domain({_DOMAIN_MEMBERS},address verifyingContract)"
_CHALLENGE_DOMAIN_TYPE = f"EIP712Domain({_DOMAIN_MEMBERS})"
_CHALLENGE_TYPE_HASH = keccak256(b"Challenge(string challenge)")


@cache
def type_hash(struct: type[Order]) -> bytes:
    """EIP-712 type hash of an order."""
    return keccak256(TYPE_STRINGS[struct].encode())


@cache
def operation_type_hash(struct: type[Order]) -> bytes:
    """EIP-712 type hash of an order's operation; its number is ``uint256`` here where the ABI says ``uint8``."""
    name = _MEMBERS[struct][0]
    return keccak256(f"{name}Operation({name} order,uint256 operation){TYPE_STRINGS[struct]}".encode())


def _word(kind: str, value: Any) -> str:
    """The 32-byte word of one member, as 64 hexadecimal digits."""
    if kind == "uint256":
        word = f"{value:064x}"
    elif kind == "address":
        word = "0" * 24 + value[2:] if len(value) == 42 else ""
    elif kind == "bytes32":
        word = value[2:]
    else:
        return keccak256(value.encode()).hex()
    if len(word) != 64:
        raise ValueError
    return word


@lru_cache(maxsize=64)
def domain_separator(domain: Domain) -> bytes:
    """The 32 bytes that bind every order hash to one hub on one chain."""
    return keccak256(
        keccak256(_DOMAIN_TYPE.encode())
        + keccak256(DOMAIN_NAME.encode())
        + keccak256(DOMAIN_VERSION.encode())
        + domain.chain_id.to_bytes(32, "big")
        + to_bytes(domain.verifying_contract).rjust(32, b"\0")
    )


def struct_hash(order: Order) -> bytes:
    """Hash of the order's members; its signature is not one of them.

    Raises:
        IexecError: ``BAD_ORDER`` when a member of an order built by hand does not fit its type.
    """
    struct = type(order)
    try:
        words = [_word(kind, getattr(order, name)) for kind, name in _FIELDS[struct]]
        return keccak256(type_hash(struct) + bytes.fromhex("".join(words)))
    except (ValueError, TypeError, AttributeError):
        raise IexecError("BAD_ORDER", f"{kind_of(order)} has a member that does not fit its type") from None


def _typed_hash(separator: bytes, struct: bytes) -> bytes:
    return keccak256(b"\x19\x01" + separator + struct)


def order_hash(order: Order, domain: Domain) -> OrderHash:
    """What the owner signs, and the name under which the hub and the order book know the order."""
    return OrderHash(bytes32(_typed_hash(domain_separator(domain), struct_hash(order))))


def operation_hash(order: Order, operation: OrderOperation | int, domain: Domain) -> Bytes32:
    """What the owner signs for somebody else to presign (0) or close (1) the order."""
    members = struct_hash(order) + OrderOperation(operation).to_bytes(32, "big")
    struct = keccak256(operation_type_hash(type(order)) + members)
    return bytes32(_typed_hash(domain_separator(domain), struct))


def typed_data(order: Order, domain: Domain) -> dict[str, Any]:
    """The JSON that a wallet signs through ``eth_signTypedData_v4``; 256-bit numbers are decimal strings."""
    fields = _FIELDS[type(order)]
    return {
        "types": {
            "EIP712Domain": [
                {"name": "name", "type": "string"},
                {"name": "version", "type": "string"},
                {"name": "chainId", "type": "uint256"},
                {"name": "verifyingContract", "type": "address"},
            ],
            _MEMBERS[type(order)][0]: [{"name": name, "type": kind} for kind, name in fields],
        },
        "primaryType": _MEMBERS[type(order)][0],
        "domain": {
            "name": DOMAIN_NAME,
            "version": DOMAIN_VERSION,
            "chainId": domain.chain_id,
            "verifyingContract": domain.verifying_contract,
        },
        "message": {
            name: str(getattr(order, name)) if kind == "uint256" else getattr(order, name) for kind, name in fields
        },
    }


def ethereum_message_digest(hash32: bytes) -> bytes:
    """What ``personal_sign`` signs for a 32-byte hash (EIP-191, version 0x45)."""
    return keccak256(b"\x19Ethereum Signed Message:\n32" + hash32)


def challenge_hash(challenge: str, chain_id: int, name: str = "iExec Gateway", version: str = "1") -> Bytes32:
    """What a user signs to log into a service: `name` is the service, this order book's by default."""
    separator = _challenge_separator(chain_id, name, version)
    return bytes32(_typed_hash(separator, keccak256(_CHALLENGE_TYPE_HASH + keccak256(challenge.encode()))))


@lru_cache(maxsize=64)
def _challenge_separator(chain_id: int, name: str, version: str) -> bytes:
    return keccak256(
        keccak256(_CHALLENGE_DOMAIN_TYPE.encode())
        + keccak256(name.encode())
        + keccak256(version.encode())
        + chain_id.to_bytes(32, "big")
    )


def challenge_typed_data(
    challenge: str, chain_id: int, name: str = "iExec Gateway", version: str = "1"
) -> dict[str, Any]:
    """The JSON that `challenge_hash` is the hash of, as a service hands it out; the chain id is a decimal string."""
    return {
        "types": {
            "EIP712Domain": [
                {"name": "name", "type": "string"},
                {"name": "version", "type": "string"},
                {"name": "chainId", "type": "uint256"},
            ],
            "Challenge": [{"name": "challenge", "type": "string"}],
        },
        "domain": {"name": name, "version": version, "chainId": str(chain_id)},
        "primaryType": "Challenge",
        "message": {"challenge": challenge},
    }
