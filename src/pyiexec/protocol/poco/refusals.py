"""How a contract refuses a call: with nothing, a text, a panic or an error of its own.

Source: Solidity ABI, "Errors"; PoCo's revert strings and custom errors.
"""

from __future__ import annotations

from functools import cache

from pyiexec.protocol.primitives import Address, keccak256, to_bytes

#: Selectors of ``Error(string)`` and ``Panic(uint256)``.
ERROR = bytes.fromhex("08c379a0")
PANIC = bytes.fromhex("4e487b71")
#: What a failed assertion, and an arithmetic underflow, panic with.
ASSERTION_FAILED = 0x01
UNDERFLOW = 0x11

_WORD = 32


class Refusal(Exception):  # noqa: N818 - a call is refused; that is no error of the program
    """A call that was refused and changed nothing.

    Attributes:
        reason: for people: the text, ``panic 0x01``, ``Name(arguments)``, or nothing.
        data: the revert data, byte for byte.
    """

    def __init__(self, reason: str = "", data: bytes = b"") -> None:
        super().__init__(reason or "(no reason)")
        self.reason = reason
        self.data = data


def _number(value: int) -> bytes:
    return value.to_bytes(_WORD, "big")


def _string(text: str) -> bytes:
    data = text.encode()
    return _number(_WORD) + _number(len(data)) + data.ljust(-(-len(data) // _WORD) * _WORD, b"\0")


@cache
def _selector(signature: str) -> bytes:
    return keccak256(signature.encode())[:4]


def nothing() -> Refusal:
    """A refusal without a reason."""
    return Refusal()


def error(text: str) -> Refusal:
    """A refusal with a text, as ``require`` makes it."""
    return Refusal(text, ERROR + _string(text))


def panic(code: int) -> Refusal:
    """A refusal by the compiler's own checks."""
    return Refusal(f"panic 0x{code:02x}", PANIC + _number(code))


def custom(signature: str, *arguments: Address | int | bytes) -> Refusal:
    """A contract's own error with arguments of one word each: addresses, whole numbers, or ``bytesN``."""
    words = b"".join(
        _number(value)
        if isinstance(value, int)
        else value.ljust(_WORD, b"\0")
        if isinstance(value, bytes)
        else to_bytes(value).rjust(_WORD, b"\0")
        for value in arguments
    )
    told = ", ".join(f"0x{value.hex()}" if isinstance(value, bytes) else str(value) for value in arguments)
    return Refusal(f"{signature.partition('(')[0]}({told})", _selector(signature) + words)


def incompatible_dataset_order(reason: str) -> Refusal:
    """``IncompatibleDatasetOrder(string)``."""
    return Refusal(
        f"IncompatibleDatasetOrder({reason})", _selector("IncompatibleDatasetOrder(string)") + _string(reason)
    )


def require(condition: bool, text: str = "") -> None:
    """Refuse unless `condition` holds; without a text, for no reason told.

    Raises:
        Refusal: when it does not hold.
    """
    if not condition:
        raise error(text) if text else nothing()
