"""Proof that what is on chain is what was compiled, linked and configured as the manifest says."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from pyiexec.chain.abi import Function
from pyiexec.chain.deployment.facets import DIAMOND_FACETS, FALLBACK, RECEIVE, facet_cuts, hub_facets
from pyiexec.chain.deployment.manifest import Manifest
from pyiexec.chain.deployment.plan import REGISTRIES, HubSettings, RegistrySettings, is_code_of, make_plan, master_of
from pyiexec.chain.deployment.survey import hub_settings, registry_settings
from pyiexec.chain.published import functions
from pyiexec.chain.reading import Reading, read_all
from pyiexec.chain.registries import PROXY_CODE
from pyiexec.chain.rpc import JsonRpc
from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.primitives import Address, keccak256, to_bytes, to_hex

_FACETS = Function.parse("facets() view returns ((address facetAddress, bytes4[] functionSelectors)[])")
_SUPPORTS = Function.parse("supportsInterface(bytes4 _interfaceId) view returns (bool)")
_MASTER = Function.parse("master() view returns (address)")
_PROXY_CODE = Function.parse("proxyCode() view returns (bytes)")
_PROXY_CODE_HASH = Function.parse("proxyCodeHash() view returns (bytes32)")

#: EIP-165, both interfaces of EIP-2535, EIP-173: what `DiamondInit` declares.
_INTERFACES = ("0x01ffc9a7", "0x1f931c1c", "0x48e2b093", "0x7f5828d0")


class Check(msgspec.Struct, frozen=True):
    """One thing that was looked at.

    Attributes:
        subject: a contract by its name.
        what: which of its properties.
        difference: what is there instead of what should be; empty when it is right.
    """

    subject: str
    what: str
    difference: str = ""

    @property
    def right(self) -> bool:
        """Whether it is as it should be."""
        return not self.difference


async def verify(rpc: JsonRpc, manifest: Manifest, *, owner: Address | None = None) -> list[Check]:
    """Everything that a manifest claims, looked up on its chain and compared with the compiled contracts.

    Args:
        owner: who should own hub and registries; by default whoever deployed, if the manifest tells.

    Raises:
        IexecError: ``CHAIN_ID_WRONG`` when the node is one of another chain; ``ARTIFACT_MISSING``;
            ``CHAIN_UNREACHABLE``.
    """
    chain_id = await rpc.chain_id()
    if chain_id != manifest.chain_id:
        raise IexecError("CHAIN_ID_WRONG", f"{rpc.host} is a node of chain {chain_id}, not {manifest.chain_id}")
    owner = owner or manifest.deployer
    checks = [*_contents(manifest), *_addresses(manifest), *await _codes(rpc, manifest)]
    checks += await _links(rpc, manifest)
    checks += await _hub(rpc, manifest, owner)
    for kind, name in REGISTRIES.items():
        checks += await _registry(rpc, name, getattr(manifest.registries, kind), owner)
    return checks


def _compare(subject: str, what: str, there: Any, expected: Any) -> Check:
    return Check(subject, what, "" if there == expected else f"{there}, not {expected}")


def _parts(manifest: Manifest) -> tuple[str, ...]:
    """Contracts that a marketplace has whatever its token."""
    facets = (*DIAMOND_FACETS, *hub_facets(manifest.variant, manifest.chain_id))
    return (*REGISTRIES.values(), "DiamondInit", *facets, "Diamond")


def _contents(manifest: Manifest) -> Iterator[Check]:
    """The manifest names every contract that there must be, and says twice the same."""
    missing = [name for name in _parts(manifest) if name not in manifest.contracts]
    yield Check("manifest", "contracts", f"{', '.join(missing)} missing" if missing else "")
    twice = {"Diamond": manifest.hub, "RLC": manifest.token}
    twice |= {name: getattr(manifest.registries, kind) for kind, name in REGISTRIES.items()}
    for name, address in twice.items():
        if name in manifest.contracts:
            yield _compare("manifest", f"address of {name}", address, manifest.contracts[name].address)


def _addresses(manifest: Manifest) -> Iterator[Check]:
    """The addresses are those that follow from deployer, salt and code, where the manifest tells the former two."""
    if manifest.deployer is None or manifest.salt is None:
        return
    plan = make_plan(
        manifest.deployer,
        chain_id=manifest.chain_id,
        variant=manifest.variant,
        token_address=None if manifest.variant == "native" or "RLC" in manifest.contracts else manifest.token,
        salt=manifest.salt,
    )
    for name, part in plan.parts.items():
        if name in manifest.contracts:
            there = manifest.contracts[name]
            yield _compare(name, "address", there.address, part.address)
            yield _compare(name, "constructor arguments", there.constructor_args, to_hex(part.arguments))


async def _codes(rpc: JsonRpc, manifest: Manifest) -> list[Check]:
    places = [(name, contract.address) for name, contract in manifest.contracts.items()]
    places += [
        (kind.capitalize(), master_of(manifest.contracts[name].address))
        for kind, name in REGISTRIES.items()
        if name in manifest.contracts
    ]
    codes = await rpc.batch([("eth_getCode", [address, "latest"]) for _, address in places])
    return [_code(name, address, to_bytes(code)) for (name, address), code in zip(places, codes, strict=True)]


def _code(name: str, address: Address, code: bytes) -> Check:
    try:
        right = is_code_of(name, address, code)
    except IexecError:
        return Check(name, "code", "no contract of this name is compiled")
    stands = f"{len(code)} bytes of other code" if code else "nothing"
    return Check(name, "code", "" if right else f"{stands} at {address}")


def _names(facets: Sequence[str]) -> dict[bytes, str]:
    """Functions of the facets by selector, as people call them."""
    named = {function.selector: function.name for facet in facets for function in functions(facet)}
    return named | {RECEIVE: "receive", FALLBACK: "fallback"}


async def _links(rpc: JsonRpc, manifest: Manifest) -> list[Check]:
    """Each facet answers its functions and no others."""
    facets = (*DIAMOND_FACETS, *hub_facets(manifest.variant, manifest.chain_id))
    listed = [(name, manifest.contracts[name].address) for name in facets if name in manifest.contracts]
    subject = {address: name for name, address in listed}
    expected = {selector: address for address, _, found in facet_cuts(listed) for selector in found}
    answer = await _asked(lambda: Reading(rpc, manifest.hub, _FACETS.encode(), lambda data: _FACETS.decode(data)[0]))
    if isinstance(answer, IexecError):
        return [Check("Diamond", "facets", answer.what)]
    linked = {selector: address for address, found in answer for selector in found}
    names = _names(facets)
    wrong: dict[str, list[str]] = {name: [] for name in ("Diamond", *subject.values())}
    for selector in expected.keys() | linked.keys():
        shown = names.get(selector, to_hex(selector))
        there, should = linked.get(selector), expected.get(selector)
        if there is None and should is not None:
            wrong[subject[should]].append(f"{shown} is linked nowhere")
        elif there is not None and should is None:
            wrong["Diamond"].append(f"{shown} is linked to {there} and should not be there")
        elif there != should and should is not None:
            wrong[subject[should]].append(f"{shown} is linked to {there}")
    return [Check(name, "links", "; ".join(sorted(found))) for name, found in wrong.items()]


async def _asked(reading: Callable[[], Any]) -> Any:
    """The answer, or the error when what stands there does not answer as it should."""
    try:
        return await reading()
    except IexecError as error:
        if error.code == "CHAIN_UNREACHABLE":
            raise
        return error


async def _hub(rpc: JsonRpc, manifest: Manifest, owner: Address | None) -> list[Check]:
    found = await _asked(lambda: hub_settings(rpc, manifest.hub))
    if not isinstance(found, HubSettings):
        return [Check("Diamond", "settings", found.what)]
    wanted = {kind: getattr(manifest.registries, kind) for kind in REGISTRIES}
    checks = [_compare("Diamond", "token", found.token, manifest.token)]
    checks += [_compare("Diamond", f"{kind} registry", found.registries[kind], wanted[kind]) for kind in REGISTRIES]
    checks += _owned("Diamond", found.owner, owner)
    for number, category in enumerate(manifest.categories):
        there = found.categories[number] if number < len(found.categories) else None
        checks.append(_compare("Diamond", f"category {number}", _told(there), _told(category)))
    return [*checks, await _interfaces(rpc, manifest.hub)]


def _told(category: Any) -> str:
    return f"{category.name} {category.description} of {category.work_clock_time_ref} s" if category else "none"


async def _interfaces(rpc: JsonRpc, hub: Address) -> Check:
    def supports(interface: str) -> Reading[bool]:
        return Reading(rpc, hub, _SUPPORTS.encode(interface), lambda data: bool(_SUPPORTS.decode(data)[0]))

    answers = await _asked(lambda: read_all(*map(supports, _INTERFACES)))
    if isinstance(answers, IexecError):
        return Check("Diamond", "interfaces", answers.what)
    missing = [interface for interface, answer in zip(_INTERFACES, answers, strict=True) if not answer]
    return Check("Diamond", "interfaces", f"{', '.join(missing)} not declared" if missing else "")


async def _registry(rpc: JsonRpc, name: str, address: Address, owner: Address | None) -> list[Check]:
    found = await _asked(lambda: registry_settings(rpc, address))
    if not isinstance(found, RegistrySettings):
        return [Check(name, "settings", found.what)]

    def ask(function: Function) -> Reading[Any]:
        return Reading(rpc, address, function.encode(), lambda data: function.decode(data)[0])

    assets: Mapping[str, Any] = {
        "master": (_MASTER, master_of(address)),
        "asset's creation code": (_PROXY_CODE, PROXY_CODE),
        "its hash": (_PROXY_CODE_HASH, to_hex(keccak256(PROXY_CODE))),
    }
    answers = await _asked(lambda: read_all(*(ask(function) for function, _ in assets.values())))
    if isinstance(answers, IexecError):
        return [Check(name, "assets", answers.what)]
    checks = [
        _compare(name, what, answer, expected)
        for (what, (_, expected)), answer in zip(assets.items(), answers, strict=True)
    ]
    return [*checks, _compare(name, "initialized", found.initialized, True), *_owned(name, found.owner, owner)]


def _owned(subject: str, there: Address, owner: Address | None) -> list[Check]:
    return [_compare(subject, "owner", there, owner)] if owner else []
