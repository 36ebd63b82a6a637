"""Compiled contracts, as `contracts/compile.py` puts them into the package."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any

import msgspec

from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.primitives import to_bytes


class Artifact(msgspec.Struct, frozen=True, rename="camel"):
    """A compiled contract.

    Attributes:
        contract_name: its name, also that of the file.
        abi: the entries of its JSON ABI.
        bytecode: ``0x`` creation code, without constructor arguments.
        deployed_bytecode: ``0x`` runtime code; immutables, if any, follow it on chain.
    """

    contract_name: str
    abi: list[dict[str, Any]]
    bytecode: str
    deployed_bytecode: str

    @property
    def initcode(self) -> bytes:
        """Creation code as bytes."""
        return to_bytes(self.bytecode)


@cache
def load(name: str) -> Artifact:
    """The artifact of the contract called `name`.

    Raises:
        IexecError: ``ARTIFACT_MISSING``.
    """
    try:
        content = files("pyiexec.chain").joinpath("artifacts", f"{name}.json").read_bytes()
    except FileNotFoundError:
        raise IexecError("ARTIFACT_MISSING", f"the contract {name} has not been compiled") from None
    return msgspec.json.decode(content, type=Artifact)
