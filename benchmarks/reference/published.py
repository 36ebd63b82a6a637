"""npm ``@iexec/poco`` 6.1.0: fetched into the cache, its compiled contracts put together as its own deployment does.

`npm pack` is used, not `npm install`: of the package's dependencies, sources all of them, nothing is needed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pyiexec.chain.npm import cache_directory, fetch

PACKAGE = "@iexec/poco"
VERSION = "6.1.0"
INTEGRITY = "sha512-BPbDtf2fgQuotr6rf74ACVdwlKqkErEZ8qLbTWM+2CIBj2EX3+6KBGWsFoudoOGjgT7vUJ3jeNX8SWvHzSHg6A=="

#: The facets of the hub on chains with a token, besides those of the diamond itself, which the package does not hold.
FACETS = (
    "IexecAccessorsABILegacyFacet",
    "IexecCategoryManagerFacet",
    "IexecConfigurationExtraFacet",
    "IexecConfigurationFacet",
    "IexecERC20Facet",
    "IexecEscrowTokenFacet",
    "IexecOrderManagementFacet",
    "IexecPoco1Facet",
    "IexecPoco2Facet",
    "IexecPocoAccessorsFacet",
    "IexecPocoBoostFacet",
    "IexecPocoBoostAccessorsFacet",
    "IexecRelayFacet",
)
#: On chains whose own coin is RLC.
NATIVE_FACETS = tuple(name.replace("EscrowToken", "EscrowNative") for name in FACETS)
LIBRARY = "IexecLibOrders_v5"


def fetch_contracts(environment: Mapping[str, str]) -> Path:
    """The folder of compiled contracts, downloaded with npm once and checked against its pinned hash."""
    folder = cache_directory(environment) / f"poco-{VERSION}"
    fetch(PACKAGE, VERSION, INTEGRITY, folder, environment, wanted=lambda name: name.startswith("artifacts/"))
    return folder / "artifacts" / "contracts"


def artifact(folder: Path, name: str) -> dict[str, Any]:
    """A compiled contract by its name."""
    (path,) = folder.glob(f"**/{name}.sol/{name}.json")
    found: dict[str, Any] = json.loads(path.read_bytes())
    return found


def linked(contract: dict[str, Any], library: str) -> bytes:
    """Creation code with the library's address in every place that waits for it."""
    code = bytearray.fromhex(_without_placeholders(contract["bytecode"]))
    for libraries in contract["linkReferences"].values():
        for places in libraries.values():
            for place in places:
                code[place["start"] : place["start"] + place["length"]] = bytes.fromhex(library[2:])
    return bytes(code)


def _without_placeholders(bytecode: str) -> str:
    """The compiler marks the places with `__$…$__`, which is not hexadecimal."""
    return re.sub(r"__\$[0-9a-f]{34}\$__", "0" * 40, bytecode[2:])
