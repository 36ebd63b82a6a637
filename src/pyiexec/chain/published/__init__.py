"""The published ABI of PoCo's contracts: the names by which clients know functions, arguments, fields and results.

The compiler's ABI has the same types, but other names where the language keeps one for itself, and it says nothing of
errors. What is published is therefore written down in `poco.abi`, beside this file.

Source: ABI of PoCo 6.2; JSON form of the Solidity contract ABI specification.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple

from pyiexec.chain.abi import Event, Function, Parameter
from pyiexec.protocol.errors import IexecError

Json = dict[str, Any]

_HEAD = re.compile(r"(?:abstract|contract) (\w+)(?: is ([\w, ]+))?")
_STRUCT = re.compile(r"struct ([\w.]+)\((.*)\)")
_WORD = re.compile(r"\b[A-Z]\w+\b")


class _Source(NamedTuple):
    """What the file says: tuples by their fields, and the entries of every contract, in order of appearance."""

    structs: Mapping[tuple[Parameter, ...], str]
    contracts: Mapping[str, tuple[str, ...]]


def _expanded(signature: str, tuples: Mapping[str, str]) -> str:
    """A signature with the fields of every tuple in the place of its name; the name before the bracket stays."""
    name, bracket, rest = signature.partition("(")
    return name + bracket + _WORD.sub(lambda word: tuples.get(word[0], word[0]), rest)


@cache
def _source() -> _Source:
    tuples: dict[str, str] = {}
    structs: dict[tuple[Parameter, ...], str] = {}
    contracts: dict[str, list[str]] = {}
    current: list[str] = []
    for line in files(__name__).joinpath("poco.abi").read_text().splitlines():
        if struct := _STRUCT.fullmatch(line):
            fields = _expanded(f"struct({struct[2]})", tuples).removeprefix("struct")
            tuples[struct[1].rpartition(".")[2]] = fields
            structs[Function.parse(f"struct{fields}").inputs] = struct[1]
        elif head := _HEAD.fullmatch(line):
            shared = head[2].split(", ") if head[2] else []
            current = contracts[head[1]] = [entry for name in shared for entry in contracts[name]]
        elif line.startswith("  "):
            current.append(_expanded(line.strip(), tuples))
    return _Source(structs, {name: tuple(entries) for name, entries in contracts.items()})


def _typed(parameter: Parameter) -> Json:
    if not parameter.components:
        return {"name": parameter.name, "type": parameter.type}
    brackets = parameter.type[parameter.type.rindex(")") + 1 :]
    return {
        "name": parameter.name,
        "type": f"tuple{brackets}",
        "internalType": f"struct {_source().structs[parameter.components]}{brackets}",
        "components": [_typed(component) for component in parameter.components],
    }


def _entry(signature: str) -> Json:
    """The JSON form of one line."""
    kind, _, rest = signature.partition(" ")
    kind = kind.partition("(")[0]
    if kind in ("receive", "fallback"):
        return {"type": kind, "stateMutability": rest}
    if kind == "event":
        event = Event.parse(rest)
        inputs = [_typed(field) | {"indexed": field.indexed} for field in event.inputs]
        return {"type": kind, "name": event.name, "inputs": inputs, "anonymous": False}
    function = Function.parse(signature if kind == "constructor" else rest)
    inputs = [_typed(argument) for argument in function.inputs]
    if kind == "error":
        return {"type": kind, "name": function.name, "inputs": inputs}
    if kind == "constructor":
        return {"type": kind, "inputs": inputs, "stateMutability": function.mutability}
    outputs = [_typed(result) for result in function.outputs]
    entry = {"type": kind, "name": function.name, "inputs": inputs, "outputs": outputs}
    return entry | {"stateMutability": function.mutability}


def abi(name: str) -> list[Json]:
    """The entries of the JSON ABI of a contract or of one of the hub's interfaces, sorted by kind and name.

    Raises:
        IexecError: ``ARTIFACT_MISSING`` when no such contract is published.
    """
    entries = _source().contracts.get(name)
    if entries is None:
        raise IexecError("ARTIFACT_MISSING", f"no contract called {name} is published", remedy="Check its name.")
    return sorted(map(_entry, entries), key=lambda entry: (entry["type"], entry.get("name", "")))


def functions(name: str) -> Iterator[Function]:
    """The functions of a contract or of one of the hub's interfaces.

    Raises:
        IexecError: ``ARTIFACT_MISSING``.
    """
    if name not in _source().contracts:
        raise IexecError("ARTIFACT_MISSING", f"no contract called {name} is published", remedy="Check its name.")
    for signature in _source().contracts[name]:
        if signature.startswith("function "):
            yield Function.parse(signature.removeprefix("function "))
