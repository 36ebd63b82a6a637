"""A contract for tests, assembled by hand: it logs what it is called with, and reverts when called with nothing."""

from __future__ import annotations

from typing import Any

from pyiexec.chain.rpc import JsonRpc
from pyiexec.protocol.primitives import Address, checksum, keccak256, to_hex

TOPIC = to_hex(keccak256(b"Rung"))
OTHER_TOPIC = to_hex(keccak256(b"Tolled"))
ADDRESS = checksum(b"\xbe" * 20)
#: Gas that ringing takes at most.
GAS = 60_000


def _push(data: bytes) -> bytes:
    return bytes([0x5F + len(data)]) + data


def _assemble() -> bytes:
    # CALLDATASIZE ISZERO PUSH1 refusal JUMPI
    # CALLDATACOPY(0, 0, size); LOG1(32, size - 32, mem[0]); STOP
    ringing = bytes.fromhex("36 5f 5f 37 5f 51 6020 36 03 6020 a1 00")
    refusal = 5 + len(ringing)
    words = [(0x00, bytes.fromhex("08c379a0").ljust(32, b"\0")), (0x04, b"\x20"), (0x24, b"\x07")]
    words.append((0x44, b"silence".ljust(32, b"\0")))
    stores = b"".join(_push(word) + _push(bytes([at])) + b"\x52" for at, word in words)
    # JUMPDEST … REVERT(0, 0x64)
    return (
        bytes.fromhex("36 15")
        + _push(bytes([refusal]))
        + b"\x57"
        + ringing
        + b"\x5b"
        + stores
        + _push(b"\x64")
        + bytes.fromhex("5f fd")
    )


async def hang(rpc: JsonRpc, address: Address = ADDRESS) -> Address:
    """Put the contract at an address."""
    await rpc.call("anvil_setCode", address, to_hex(_assemble()))
    return address


def ring(number: int, topic: str = TOPIC) -> bytes:
    """Call data that has the bell log `number` under `topic`."""
    return bytes.fromhex(topic[2:]) + number.to_bytes(32, "big")


def number_of(log: Any) -> int:
    """What a log says."""
    return int(log["data"], 16)
