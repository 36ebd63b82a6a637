"""Compiled contracts in the form in which other tools take them: one JSON file each, under the published names.

A file has `contractName`, `abi`, `bytecode` and `deployedBytecode`, as Hardhat, Truffle and TypeChain read them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import msgspec

from pyiexec.chain import published
from pyiexec.chain.artifacts import Artifact, load
from pyiexec.chain.registries import PROXY_CODE
from pyiexec.protocol.primitives import to_hex

#: Every contract that has code of its own.
CONTRACTS = (
    "RLC",
    "AppRegistry",
    "DatasetRegistry",
    "WorkerpoolRegistry",
    "App",
    "Dataset",
    "Workerpool",
    "Diamond",
    "DiamondInit",
    "DiamondCutFacet",
    "DiamondLoupeFacet",
    "OwnershipFacet",
    "IexecAccessorsABILegacyFacet",
    "IexecCategoryManagerFacet",
    "IexecConfigurationExtraFacet",
    "IexecConfigurationFacet",
    "IexecEscrowNativeFacet",
    "IexecEscrowTokenFacet",
    "IexecLibOrders_v5",
    "IexecOrderManagementFacet",
    "IexecPoco1Facet",
    "IexecPoco2Facet",
    "IexecPocoAccessorsFacet",
    "IexecPocoBoostAccessorsFacet",
    "IexecPocoBoostFacet",
    "IexecRelayFacet",
)

#: The hub behind one ABI, in each of its variants: these have no code.
INTERFACES = ("IexecInterfaceToken", "IexecInterfaceNative")

#: What every asset is created with; its runtime code is the registry's answer and differs from asset to asset.
ASSET_PROXY = "InitializableUpgradeabilityProxy"

_NO_CODE = "0x"


def exported() -> Iterator[Artifact]:
    """Every contract, its proxy and the interfaces, with the published ABI.

    Raises:
        IexecError: ``ARTIFACT_MISSING``.
    """
    for name in CONTRACTS:
        yield msgspec.structs.replace(load(name), abi=published.abi(name))
    yield Artifact(ASSET_PROXY, published.abi(ASSET_PROXY), to_hex(PROXY_CODE), _NO_CODE)
    for name in INTERFACES:
        yield Artifact(name, published.abi(name), _NO_CODE, _NO_CODE)


def export(folder: Path) -> list[Path]:
    """Write them into `folder`, which is made if need be; what is there under other names is left alone.

    A reader of any of the files sees the former content or all of the new one.

    Raises:
        IexecError: ``ARTIFACT_MISSING``, before anything is written.
        OSError: the folder cannot be written to.
    """
    artifacts = list(exported())
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for artifact in artifacts:
        path = folder / f"{artifact.contract_name}.json"
        scratch = path.with_suffix(f".{os.getpid()}.part")
        scratch.write_bytes(msgspec.json.format(msgspec.json.encode(artifact)) + b"\n")
        scratch.replace(path)
        written.append(path)
    return written
