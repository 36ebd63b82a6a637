"""Contract ABI: functions and events declared by their Solidity signature, encoded and decoded.

Source: Solidity contract ABI specification; EIP-838 for custom errors. The canonical types go to eth-abi, names are
kept so that results read as words.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from eth_abi import abi as eth_abi
from eth_abi.exceptions import DecodingError

from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.primitives import checksum, is_address, keccak256, to_bytes, to_hex

_TOKEN = re.compile(r"\s*([A-Za-z_][A-Za-z0-9_]*(?:\[\d*\])*|\(|\)(?:\[\d*\])*|,)")
_MODIFIERS = {"indexed", "memory", "calldata"}


@dataclass(frozen=True)
class Parameter:
    """One argument, output or event field: canonical ABI type, name, and whether an event indexes it."""

    type: str
    name: str = ""
    indexed: bool = False
    components: tuple[Parameter, ...] = ()

    @property
    def is_dynamic(self) -> bool:
        """Whether an indexed field of this type is stored as a hash."""
        return self.type in ("string", "bytes") or self.type.startswith("(") or self.type.endswith("]")


class _Parser:
    """Recursive descent over `name(type [indexed] [name], (type a, …) b)`."""

    def __init__(self, text: str) -> None:
        self.tokens = _TOKEN.findall(text)
        if "".join(self.tokens) != re.sub(r"\s+", "", text):
            raise ValueError(f"not a signature: {text}")
        self.at = 0

    def next(self) -> str:
        token: str = self.tokens[self.at]
        self.at += 1
        return token

    def peek(self) -> str:
        return self.tokens[self.at] if self.at < len(self.tokens) else ""

    def parameters(self) -> tuple[tuple[Parameter, ...], str]:
        """After an opening bracket: the list, and the closing token (`)`, `)[]`, …)."""
        found: list[Parameter] = []
        while not self.peek().startswith(")"):
            found.append(self.parameter())
            if self.peek() == ",":
                self.next()
        return tuple(found), self.next()

    def parameter(self) -> Parameter:
        token = self.next()
        components: tuple[Parameter, ...] = ()
        if token == "(":  # noqa: S105 - a bracket, not a password
            components, closing = self.parameters()
            token = f"({','.join(c.type for c in components)}{closing}"
        indexed, name = False, ""
        while self.peek() not in ("", ",") and not self.peek().startswith(")"):
            word = self.next()
            indexed |= word == "indexed"
            name = name if word in _MODIFIERS else word
        return Parameter(token, name, indexed, components)


def _split(signature: str) -> tuple[str, tuple[Parameter, ...], str]:
    name, bracket, rest = signature.partition("(")
    depth, end = 1, 0
    for end, character in enumerate(rest):  # noqa: B007 - the index is what we are after
        depth += (character == "(") - (character == ")")
        if depth == 0:
            break
    if not bracket or depth:
        raise ValueError(f"not a signature: {signature}")
    parameters, _ = _Parser(rest[: end + 1]).parameters()
    return name.strip(), parameters, rest[end + 1 :].strip()


def _plain(value: Any, parameter: Parameter) -> Any:
    """Addresses checksummed, `bytes32` as hexadecimal text, as the rest of the code speaks of them."""
    if parameter.type.endswith("]"):
        inner = Parameter(parameter.type[: parameter.type.rindex("[")], components=parameter.components)
        return tuple(_plain(item, inner) for item in value)
    if parameter.components:
        return tuple(_plain(item, component) for item, component in zip(value, parameter.components, strict=True))
    if parameter.type == "address":
        return checksum(value)
    if parameter.type == "bytes32":
        return to_hex(value)
    return value


def _native(value: Any, parameter: Parameter) -> Any:
    """What eth-abi wants: bytes for every bytesN given as hexadecimal text."""
    if parameter.type.endswith("]"):
        inner = Parameter(parameter.type[: parameter.type.rindex("[")], components=parameter.components)
        return [_native(item, inner) for item in value]
    if parameter.components:
        return tuple(_native(item, component) for item, component in zip(value, parameter.components, strict=True))
    if parameter.type.startswith("bytes") and isinstance(value, str):
        return to_bytes(value)
    return value


def _word_of(kind: str, value: Any) -> bytes | None:
    """The word of a value of one word, where there is nothing to decide about it."""
    if kind == "address" and isinstance(value, str) and is_address(value) and checksum(value.lower()) == value:
        return bytes.fromhex("0" * 24 + value[2:])
    if kind == "uint256" and type(value) is int and 0 <= value < 1 << 256:
        return value.to_bytes(32, "big")
    if kind == "bytes32" and isinstance(value, str) and len(value) == 66:
        return to_bytes(value)
    return None


def _value_of(kind: str, word: bytes) -> Any:
    """The value of a word, likewise."""
    if kind == "address" and not any(word[:12]):
        return checksum(word[12:])
    if kind == "uint256":
        return int.from_bytes(word, "big")
    if kind == "bytes32":
        return to_hex(word)
    return bool(word[31]) if kind == "bool" and word[31] < 2 and not any(word[:31]) else None


def encode(parameters: Sequence[Parameter], values: Sequence[Any]) -> bytes:
    """ABI-encode `values`; addresses and byte strings may be hexadecimal text."""
    # Most questions are about one thing or none, and eth-abi takes a tenth of a millisecond for each.
    if not parameters and not values:
        return b""
    if len(parameters) == len(values) == 1 and (word := _word_of(parameters[0].type, values[0])) is not None:
        return word
    native = [_native(value, parameter) for value, parameter in zip(values, parameters, strict=True)]
    return eth_abi.encode([parameter.type for parameter in parameters], native)


def decode(parameters: Sequence[Parameter], data: bytes) -> tuple[Any, ...]:
    """The values of `data`.

    Raises:
        IexecError: ``CHAIN_REFUSED`` when the answer does not have this shape, as when no contract stands there.
    """
    if len(parameters) == 1 and len(data) == 32 and (value := _value_of(parameters[0].type, data)) is not None:
        return (value,)
    try:
        values = eth_abi.decode([parameter.type for parameter in parameters], data, strict=False)
    except (DecodingError, OverflowError, UnicodeDecodeError) as error:
        shape = ", ".join(parameter.type for parameter in parameters)
        raise IexecError("CHAIN_REFUSED", f"the answer ({len(data)} bytes) is not ({shape}): {error}") from error
    return tuple(_plain(value, parameter) for value, parameter in zip(values, parameters, strict=True))


@dataclass(frozen=True)
class Function:
    """A contract function."""

    name: str
    inputs: tuple[Parameter, ...]
    outputs: tuple[Parameter, ...]
    mutability: str
    selector: bytes

    @classmethod
    def parse(cls, signature: str) -> Function:
        """From `name(type name, …) [view|pure|payable] [returns (type name, …)]`."""
        name, inputs, rest = _split(signature)
        before, _, after = rest.partition("returns")
        outputs = _Parser(after.strip()[1:]).parameters()[0] if after else ()
        canonical = f"{name}({','.join(p.type for p in inputs)})"
        return cls(name, inputs, outputs, before.strip() or "nonpayable", keccak256(canonical.encode())[:4])

    def encode(self, *arguments: Any) -> bytes:
        """Call data: selector and arguments."""
        return self.selector + encode(self.inputs, arguments)

    def decode(self, data: bytes) -> tuple[Any, ...]:
        """The returned values."""
        return decode(self.outputs, data)

    def decode_input(self, data: bytes) -> tuple[Any, ...]:
        """The arguments of call data made for this function."""
        return decode(self.inputs, data[4:])


@dataclass(frozen=True)
class Event:
    """A contract event."""

    name: str
    inputs: tuple[Parameter, ...]
    topic: str

    @classmethod
    def parse(cls, signature: str) -> Event:
        """From `Name(type indexed name, type name, …)`."""
        name, inputs, _ = _split(signature)
        canonical = f"{name}({','.join(p.type for p in inputs)})"
        return cls(name, inputs, to_hex(keccak256(canonical.encode())))

    def decode(self, log: Mapping[str, Any]) -> dict[str, Any]:
        """The fields of a JSON-RPC log by name; an indexed dynamic field is its hash."""
        plain = decode([p for p in self.inputs if not p.indexed], to_bytes(log["data"]))
        values, topics = iter(plain), iter(log["topics"][1:])
        fields: dict[str, Any] = {}
        for parameter in self.inputs:
            if not parameter.indexed:
                fields[parameter.name] = next(values)
            elif parameter.is_dynamic:
                fields[parameter.name] = next(topics)
            else:
                fields[parameter.name] = decode([parameter], to_bytes(next(topics)))[0]
        return fields


@dataclass(frozen=True)
class Revert:
    """Why a call reverted: `reason` is a text, a panic code or a custom error's name and arguments."""

    reason: str
    data: bytes

    def __str__(self) -> str:
        return self.reason or "no reason given"


#: Custom errors whose names are worth showing.
CUSTOM_ERRORS = {
    error.selector: error
    for error in map(
        Function.parse,
        (
            "FunctionNotFound(bytes4 selector)",
            "UnsupportedOperation(bytes4 selector)",
            "OperationFailed()",
            "CallerIsNotTheRequester()",
            "IncompatibleDatasetOrder(string reason)",
            "NotContractOwner(address user, address owner)",
            "ERC721NonexistentToken(uint256 tokenId)",
            "ERC721IncorrectOwner(address sender, uint256 tokenId, address owner)",
            "ERC721InvalidReceiver(address receiver)",
            "ERC721InsufficientApproval(address operator, uint256 tokenId)",
        ),
    )
}
_ERROR_STRING = bytes.fromhex("08c379a0")
_PANIC = bytes.fromhex("4e487b71")


def decode_revert(data: bytes) -> Revert:
    """Explain revert data; never fails, unknown data is shown as it is."""
    selector, body = data[:4], data[4:]
    try:
        if selector == _ERROR_STRING:
            return Revert(eth_abi.decode(["string"], body)[0], data)
        if selector == _PANIC:
            return Revert(f"panic 0x{eth_abi.decode(['uint256'], body)[0]:02x}", data)
        if error := CUSTOM_ERRORS.get(selector):
            values = ", ".join(str(value) for value in decode(error.inputs, body))
            return Revert(f"{error.name}({values})", data)
    except (DecodingError, IexecError, UnicodeDecodeError):
        return Revert(f"malformed revert data {to_hex(data)}", data)
    return Revert(f"unknown revert data {to_hex(data)}" if data else "", data)
