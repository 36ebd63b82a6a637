"""The published marketplace and ours, deployed alike."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from pyiexec.chain import calls, registries
from pyiexec.chain.abi import Parameter, encode
from pyiexec.chain.artifacts import Artifact, load
from pyiexec.chain.deployment import (
    DIAMOND_FACETS,
    STANDARD_CATEGORIES,
    Variant,
    deploy,
    facet_cuts,
    hub_facets,
    selectors,
)
from pyiexec.protocol.primitives import NULL_ADDRESS, Address, to_bytes

from . import published
from .ledger import ADMIN, Ledger

Cut = tuple[Address, int, list[bytes]]

_FACET_CUT = Parameter(
    "(address,uint8,bytes4[])", components=(Parameter("address"), Parameter("uint8"), Parameter("bytes4[]"))
)
CONSTRUCTOR = (
    Parameter("(address,uint8,bytes4[])[]", components=_FACET_CUT.components),
    Parameter("(address,address,bytes)", components=(Parameter("address"), Parameter("address"), Parameter("bytes"))),
)
OWNER = bytes.fromhex("8da5cb5b")


class Market(msgspec.Struct, frozen=True):
    """A hub, its token and registries, and what more such hubs are made of.

    Attributes:
        diamond: creation code of the hub, without arguments.
        cuts: the facets to link.
    """

    hub: Address
    token: Address
    app_registry: Address
    dataset_registry: Address
    workerpool_registry: Address
    diamond: bytes
    cuts: list[Cut]

    @property
    def registries(self) -> tuple[Address, Address, Address]:
        """In the order in which hubs are told of them."""
        return self.app_registry, self.dataset_registry, self.workerpool_registry


def diamond_creation(
    code: bytes, cuts: Sequence[Cut], owner: Address, initializer: Address = NULL_ADDRESS, data: bytes = b""
) -> bytes:
    """Creation code and arguments of a diamond."""
    return code + encode(CONSTRUCTOR, (list(cuts), (owner, initializer, data)))


def compiled(name: str) -> bytes:
    """Creation code of a contract of this folder."""
    path = Path(__file__).parents[2] / "contracts" / "compile.py"
    spec = importlib.util.spec_from_file_location("compile_contracts", path)
    assert spec is not None
    assert spec.loader is not None
    compiler = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(compiler)
    return to_bytes(compiler.compile_source(Path(__file__).parent / f"{name}.vy")["bytecode"])


def published_selectors(contract: dict[str, Any]) -> tuple[bytes, ...]:
    """What a hub routes to a published facet."""
    return selectors(Artifact("", contract["abi"], "0x", "0x"))


async def deploy_reference(ledger: Ledger, rlc: Address, variant: Variant = "token") -> Market:
    """The published contracts, configured like ours."""
    folder = published.fetch_contracts(os.environ)
    library = await ledger.create(to_bytes(published.artifact(folder, published.LIBRARY)["bytecode"]))
    owner_facet = await ledger.create(compiled("OwnerFacet") + encode((Parameter("address"),), (ADMIN.address,)))
    seen = {OWNER}
    cuts: list[Cut] = [(owner_facet, 0, list(seen))]
    for name in published.NATIVE_FACETS if variant == "native" else published.FACETS:
        contract = published.artifact(folder, name)
        facet = await ledger.create(published.linked(contract, library))
        new = [selector for selector in published_selectors(contract) if selector not in seen]
        seen.update(new)
        cuts.append((facet, 0, new))
    code = to_bytes(published.artifact(folder, "Diamond")["bytecode"])
    hub = await ledger.create(diamond_creation(code, cuts, ADMIN.address))
    made = [
        await ledger.create(to_bytes(published.artifact(folder, name)["bytecode"]))
        for name in ("AppRegistry", "DatasetRegistry", "WorkerpoolRegistry")
    ]
    await ledger.send(ADMIN.address, hub, calls.configure(rlc, *made))
    for category in STANDARD_CATEGORIES:
        data = calls.create_category(category.name, category.description, category.work_clock_time_ref)
        await ledger.send(ADMIN.address, hub, data)
    for registry in made:
        await ledger.send(ADMIN.address, registry, registries.FUNCTIONS["initialize"].encode(NULL_ADDRESS))
    return Market(hub, rlc, *made, code, cuts)


async def deploy_ours(ledger: Ledger, rlc: Address, variant: Variant = "token") -> Market:
    """Ours, from the package's artifacts."""
    token = None if variant == "native" else rlc
    manifest = await deploy(ledger.rpc, ADMIN, variant=variant, token=token, categories=STANDARD_CATEGORIES)
    made = manifest.registries
    names = (*DIAMOND_FACETS, *hub_facets(variant, manifest.chain_id))
    cuts = facet_cuts([(name, manifest.contracts[name].address) for name in names])
    return Market(manifest.hub, rlc, made.app, made.dataset, made.workerpool, load("Diamond").initcode, cuts)
