"""Calls written in names: of the hub, the registries and the assets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from pyiexec.chain import token
from pyiexec.chain.abi import Function
from pyiexec.chain.hub import FUNCTIONS, NATIVE_FUNCTIONS
from pyiexec.protocol.orders import order_to_abi
from pyiexec.protocol.primitives import keccak256, to_hex

from .worlds import GAS, Call, OrderPlan, World


def _by_key(signatures: Sequence[str]) -> dict[str, Function]:
    """By name; of two with the same name the one with more arguments has its number of arguments beside it."""
    found: dict[str, Function] = {}
    for signature in signatures:
        function = Function.parse(signature)
        found[f"{function.name}/{len(function.inputs)}" if function.name in found else function.name] = function
    return found


_CATEGORY = "(string name, string description, uint256 workClockTimeRef)"
#: Every function of the hub with a token.
HUB: Mapping[str, Function] = {
    **FUNCTIONS,
    **_by_key(
        (
            "viewAccountABILegacy(address account) view returns (uint256, uint256)",
            "viewDealABILegacy_pt1(bytes32 id) view returns"
            " (address, address, uint256, address, address, uint256, address, address, uint256)",
            "viewDealABILegacy_pt2(bytes32 id) view returns (uint256, bytes32, address, address, address, string)",
            "viewConfigABILegacy(bytes32 id) view returns (uint256, uint256, uint256, uint256, uint256, uint256)",
            "viewTaskABILegacy(bytes32 id) view returns (uint8, bytes32, uint256, uint256, uint256, uint256, uint256,"
            " bytes32, uint256, uint256, address[], bytes)",
            "viewContributionABILegacy(bytes32 id, address worker) view returns (uint8, bytes32, bytes32, address)",
            "viewCategoryABILegacy(uint256 id) view returns (string, string, uint256)",
            # in the ABI, but of no facet
            "renounceOwnership()",
            "nowhere()",
        )
    ),
}
#: Every function of every registry.
REGISTRY = _by_key(
    (
        "approve(address to, uint256 tokenId)",
        "balanceOf(address owner) view returns (uint256)",
        "baseURI() view returns (string)",
        "getApproved(uint256 tokenId) view returns (address)",
        "initialize(address _previous)",
        "initialized() view returns (bool)",
        "isApprovedForAll(address owner, address operator) view returns (bool)",
        "isRegistered(address _entry) view returns (bool)",
        "master() view returns (address)",
        "name() view returns (string)",
        "owner() view returns (address)",
        "ownerOf(uint256 tokenId) view returns (address)",
        "previous() view returns (address)",
        "proxyCode() view returns (bytes)",
        "proxyCodeHash() view returns (bytes32)",
        "renounceOwnership()",
        "safeTransferFrom(address from, address to, uint256 tokenId)",
        "safeTransferFrom(address from, address to, uint256 tokenId, bytes data)",
        "setApprovalForAll(address operator, bool approved)",
        "setBaseURI(string _baseURI)",
        "setName(address _ens, string _name)",
        "supportsInterface(bytes4 interfaceId) view returns (bool)",
        "symbol() view returns (string)",
        "tokenByIndex(uint256 index) view returns (uint256)",
        "tokenOfOwnerByIndex(address owner, uint256 index) view returns (uint256)",
        "tokenURI(uint256 tokenId) view returns (string)",
        "totalSupply() view returns (uint256)",
        "transferFrom(address from, address to, uint256 tokenId)",
        "transferOwnership(address newOwner)",
        "createApp(address, string, string, bytes, bytes32, bytes) returns (address)",
        "predictApp(address, string, string, bytes, bytes32, bytes) view returns (address)",
        "createDataset(address, string, bytes, bytes32) returns (address)",
        "predictDataset(address, string, bytes, bytes32) view returns (address)",
        "createWorkerpool(address, string) returns (address)",
        "predictWorkerpool(address, string) view returns (address)",
    )
)
_ASSET = (
    "owner() view returns (address)",
    "registry() view returns (address)",
    "setName(address _ens, string _name)",
)
#: Every function of every kind of asset.
ASSET: Mapping[str, Mapping[str, Function]] = {
    "app": _by_key(
        (
            *_ASSET,
            "initialize(string, string, bytes, bytes32, bytes)",
            "m_appName() view returns (string)",
            "m_appType() view returns (string)",
            "m_appMultiaddr() view returns (bytes)",
            "m_appChecksum() view returns (bytes32)",
            "m_appMREnclave() view returns (bytes)",
        )
    ),
    "dataset": _by_key(
        (
            *_ASSET,
            "initialize(string, bytes, bytes32)",
            "m_datasetName() view returns (string)",
            "m_datasetMultiaddr() view returns (bytes)",
            "m_datasetChecksum() view returns (bytes32)",
        )
    ),
    "workerpool": _by_key(
        (
            *_ASSET,
            "initialize(string)",
            "m_workerpoolDescription() view returns (string)",
            "m_workerStakeRatioPolicy() view returns (uint256)",
            "m_schedulerRewardRatioPolicy() view returns (uint256)",
            "changePolicy(uint256 newWorkerStakeRatio, uint256 newSchedulerRewardRatio)",
        )
    ),
}


class Text(str):
    """A text that is meant as it is, and is no name."""

    __slots__ = ()


def said(world: World, argument: Any) -> Any:
    """The argument in a world: names of addresses and hashes are looked up."""
    if isinstance(argument, list):
        return [said(world, item) for item in argument]
    if isinstance(argument, str) and not isinstance(argument, Text) and not argument.startswith("0x"):
        return world[argument]
    return argument


def call(
    sender: str, to: str, function: Function, *arguments: Any, value: int = 0, gas: int = GAS, subject: str = ""
) -> Call:
    """Any function of any contract."""

    def resolved(world: World) -> list[Any]:
        return [said(world, argument) for argument in arguments]

    return Call(sender, to, function, resolved, f"{arguments}", value, subject, gas)


def hub(sender: str, name: str, *arguments: Any, value: int = 0, gas: int = GAS, to: str = "hub") -> Call:
    """A function of the hub."""
    return call(sender, to, HUB[name], *arguments, value=value, gas=gas)


def native(sender: str, name: str, *arguments: Any, value: int = 0) -> Call:
    """A deposit into a hub that holds the chain's own coin."""
    return call(sender, "hub", NATIVE_FUNCTIONS[name], *arguments, value=value)


def rlc(sender: str, name: str, *arguments: Any) -> Call:
    """A function of the token."""
    return call(sender, "token", token.FUNCTIONS[name], *arguments)


def registry(sender: str, kind: str, name: str, *arguments: Any) -> Call:
    """A function of a registry; an argument that names an asset is its token's id where the function takes one."""
    function = REGISTRY[name]

    def resolved(world: World) -> list[Any]:
        values = [said(world, argument) for argument in arguments]
        return [
            int(value, 16) if parameter.type == "uint256" and isinstance(value, str) else value
            for value, parameter in zip(values, function.inputs, strict=True)
        ]

    return Call(sender, f"{kind}_registry", function, resolved, f"{arguments}")


def asset(sender: str, name: str, function: str, *arguments: Any) -> Call:
    """A function of an asset."""
    return call(sender, name, ASSET[name.split()[0]][function], *arguments)


def view(name: str, *arguments: Any) -> Call:
    """A question to the hub."""
    return call("stranger", "hub", HUB[name], *arguments, subject=str(arguments[0]) if arguments else "")


# --- orders -------------------------------------------------------------------------------------------------------


def orders(sender: str, name: str, plans: Sequence[OrderPlan], *, value: int = 0) -> Call:
    """A function that takes the four orders."""
    note = "\n    ".join(["", *(f"{plan.fields} by {plan.signer} ({plan.flavour})" for plan in plans)])
    return Call(
        sender,
        "hub",
        HUB[name],
        lambda world: [order_to_abi(world.order(plan)) for plan in plans],
        note,
        value,
    )


def manage(sender: str, plan: OrderPlan, operation: int, signer: str = "", *, malformed: bool = False) -> Call:
    """Sign (0) or close (1) an order."""
    return Call(
        sender,
        "hub",
        HUB[f"manage{plan.kind.capitalize()}Order"],
        lambda world: [world.operation(plan, operation, signer, malformed=malformed)],
        f"{operation} by signature of {signer or 'nobody'} on {plan}",
    )


def broadcast(sender: str, plan: OrderPlan) -> Call:
    """Tell everybody of an order."""
    function = HUB[f"broadcast{plan.kind.capitalize()}Order"]
    return Call(sender, "hub", function, lambda world: [order_to_abi(world.order(plan))], f"{plan}")


def compatible(plan: OrderPlan, deal: str) -> Call:
    """Does the dataset's order fit the deal?"""
    return Call(
        "stranger",
        "hub",
        HUB["assertDatasetDealCompatibility"],
        lambda world: [order_to_abi(world.order(plan)), world[deal]],
        f"{plan} {deal}",
    )


# --- tasks --------------------------------------------------------------------------------------------------------


def contribute(
    worker: str,
    task: str,
    result: bytes,
    *,
    signer: str,
    enclave: str = "nobody",
    attester: str = "enclave",
    malformed: str = "",
) -> Call:
    """Commit to a result.

    Args:
        signer: who authorises the worker.
        attester: who signs for the enclave.
        malformed: ``authorization`` or ``attestation``, to be cut short.
    """

    def arguments(world: World) -> list[Any]:
        hash_, seal = world.commitment(task, worker, result)
        authorization, attestation = _papers(world, worker, task, result, signer, enclave, attester, malformed)
        return [world[task], hash_, seal, world[enclave], attestation, authorization]

    note = f"{result!r} for {task}, {enclave}, authorised by {signer}"
    return Call(worker, "hub", HUB["contribute"], arguments, note)


def contribute_and_finalize(
    worker: str,
    task: str,
    result: bytes,
    *,
    signer: str,
    results: bytes = b"link",
    payload: bytes = b"",
    enclave: str = "nobody",
    attester: str = "enclave",
    malformed: str = "",
) -> Call:
    """All steps of a task in one; parameters as in `contribute`."""

    def arguments(world: World) -> list[Any]:
        world.commitment(task, worker, result)
        authorization, attestation = _papers(world, worker, task, result, signer, enclave, attester, malformed)
        digest = to_hex(keccak256(result))
        return [world[task], digest, results, payload, world[enclave], attestation, authorization]

    note = f"{task}, {enclave}, authorised by {signer}, callback {payload!r}"
    return Call(worker, "hub", HUB["contributeAndFinalize"], arguments, note)


def _papers(
    world: World, worker: str, task: str, result: bytes, signer: str, enclave: str, attester: str, malformed: str
) -> tuple[bytes, bytes]:
    authorization, attestation = world.authorization(task, worker, enclave, signer), b""
    if enclave != "nobody":
        attestation = world.enclave_signature(task, worker, result, attester)
    if malformed == "authorization":
        authorization = authorization[:-3]
    return authorization, attestation[:-3] if malformed == "attestation" else attestation


def plagiarise(worker: str, task: str, result: bytes, *, signer: str, of: str) -> Call:
    """Contribute with hash and seal of somebody else."""

    def arguments(world: World) -> list[Any]:
        hash_, seal = world.commitment(task, of, result)
        authorization = world.authorization(task, worker, "nobody", signer)
        return [world[task], hash_, seal, world["nobody"], b"", authorization]

    return Call(worker, "hub", HUB["contribute"], arguments, f"{task}, as {of} did")


def limited(whole: Call, limits: Mapping[str, int]) -> Call:
    """The same call with a gas limit for each world, by its title."""
    return replace(whole, gas=lambda world: limits[world.title])


def reveal(worker: str, task: str, result: bytes) -> Call:
    """Disclose a result."""
    return hub(worker, "reveal", task, to_hex(keccak256(result)))


def push(
    worker: str,
    deal: str,
    index: int,
    *,
    signer: str,
    results: bytes = b"link",
    payload: bytes = b"",
    digest_of: bytes | None = None,
    enclave: str = "nobody",
    attester: str = "enclave",
    malformed: str = "",
) -> Call:
    """Do a Boost task; `digest_of` is what the enclave vouches for."""

    def arguments(world: World) -> list[Any]:
        task = world.task(deal, index)
        authorization = world.authorization(task, worker, enclave, signer)
        attestation = b""
        if enclave != "nobody":
            vouched = digest_of if digest_of is not None else payload or results
            attestation = world.boost_enclave_signature(task, worker, vouched, attester)
        if malformed == "authorization":
            authorization = authorization[:-3]
        if malformed == "attestation":
            attestation = attestation[:-3]
        return [world[deal], index, results, payload, authorization, world[enclave], attestation]

    note = f"{deal}, {index}, {enclave}, authorised by {signer}, callback {payload!r}"
    return Call(worker, "hub", HUB["pushResultBoost"], arguments, note)
