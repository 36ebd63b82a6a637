"""Put a whole marketplace on a chain: token, registries, hub with its facets, categories.

Addresses of created contracts follow from the deployer and its nonce, so the whole plan is made before anything is sent
and no transaction waits for the receipt of another.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import msgspec

from pyiexec.chain import calls, registries
from pyiexec.chain.abi import Function, Parameter, encode
from pyiexec.chain.artifacts import Artifact, load
from pyiexec.chain.hub import Category
from pyiexec.chain.rpc import JsonRpc
from pyiexec.chain.sending import Call, Progress, send_all
from pyiexec.chain.signer import Signer, create_address
from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.primitives import NULL_ADDRESS, Address, to_hex

#: The categories of the public networks; descriptions are the JSON text of an empty string, as they are there.
STANDARD_CATEGORIES = (
    Category("XS", '""', 300),
    Category("S", '""', 1_200),
    Category("M", '""', 3_600),
    Category("L", '""', 10_800),
    Category("XL", '""', 36_000),
)


def short_category(seconds: int) -> Category:
    """A category for development: contributions close after seven times `seconds`, everything ends after ten times."""
    return Category("XXS", '""', seconds)


#: Those, and as number 5 one whose deadlines can be lived through: 35 s and 50 s after the match.
DEFAULT_CATEGORIES = (*STANDARD_CATEGORIES, short_category(5))

#: Where the public networks publish the metadata of assets; `{kind}` is app, dataset or workerpool.
REGISTRY_BASE_URI = "https://nfts-metadata.iex.ec/{kind}/{chain_id}/"

#: What the hub holds: an ERC-20, or the chain's own coin at 10**9 wei for one nRLC.
Variant = Literal["token", "native"]

DIAMOND_FACETS = ("DiamondCutFacet", "DiamondLoupeFacet", "OwnershipFacet")
#: Facets of a hub with a token, in the order in which they are linked.
HUB_FACETS = (
    "IexecAccessorsABILegacyFacet",
    "IexecCategoryManagerFacet",
    "IexecConfigurationExtraFacet",
    "IexecConfigurationFacet",
    "IexecEscrowTokenFacet",
    "IexecOrderManagementFacet",
    "IexecPoco1Facet",
    "IexecPoco2Facet",
    "IexecPocoAccessorsFacet",
    "IexecPocoBoostFacet",
    "IexecPocoBoostAccessorsFacet",
    "IexecRelayFacet",
)
#: Arbitrum One and Arbitrum Sepolia: the hubs of PoCo 6.2 there have no Boost, and a hub that takes their place should
#: offer neither more nor less.
CHAINS_WITHOUT_BOOST = frozenset({42161, 421614})
ESCROW_FACETS: Mapping[Variant, str] = {"token": "IexecEscrowTokenFacet", "native": "IexecEscrowNativeFacet"}
REGISTRIES = {"app": "AppRegistry", "dataset": "DatasetRegistry", "workerpool": "WorkerpoolRegistry"}

#: Selectors under which the hub keeps the facet that answers plain transfers and unknown functions.
RECEIVE, FALLBACK = bytes(4), b"\xff" * 4

_ADD = 0
_DIAMOND_ARGUMENTS = (
    Parameter(
        "(address,uint8,bytes4[])[]", components=(Parameter("address"), Parameter("uint8"), Parameter("bytes4[]"))
    ),
    Parameter("(address,address,bytes)", components=(Parameter("address"), Parameter("address"), Parameter("bytes"))),
)
_INIT = Function.parse("init()")


def hub_facets(variant: Variant, chain_id: int) -> tuple[str, ...]:
    """The facets of a hub besides those of the diamond itself, in the order in which they are linked."""
    facets = (ESCROW_FACETS[variant] if name in ESCROW_FACETS.values() else name for name in HUB_FACETS)
    return tuple(name for name in facets if "Boost" not in name or chain_id not in CHAINS_WITHOUT_BOOST)


class Deployed(msgspec.Struct, frozen=True, rename="camel"):
    """A contract on chain: its address and its ABI-encoded constructor arguments (``0x`` when it takes none)."""

    address: Address
    constructor_args: str


class Registries(msgspec.Struct, frozen=True):
    """Addresses of the three registries."""

    app: Address
    dataset: Address
    workerpool: Address


class Manifest(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What was deployed.

    Attributes:
        chain_id: EIP-155 id of the chain.
        variant: ``token``: the hub holds an ERC-20; ``native``: the chain's own coin.
        contracts: every contract by the name of its artifact.
        hub: the diamond's address.
        token: address of RLC; the null address in the native variant.
        deployed_at: block in which the hub was created; it has no events before.
    """

    chain_id: int
    variant: Variant
    contracts: dict[str, Deployed]
    hub: Address
    token: Address
    registries: Registries
    deployed_at: int

    def save(self, path: Path) -> None:
        """Write it as JSON; a reader sees all of it or nothing."""
        scratch = path.with_name(path.name + ".part")
        scratch.write_bytes(msgspec.json.format(msgspec.json.encode(self)) + b"\n")
        scratch.replace(path)

    @classmethod
    def read(cls, path: Path) -> Manifest:
        """The manifest in a file.

        Raises:
            IexecError: ``NETWORK_UNKNOWN``.
        """
        try:
            return msgspec.json.decode(path.read_bytes(), type=cls)
        except OSError:
            raise IexecError("NETWORK_UNKNOWN", f"there is no deployment described in {path}") from None
        except msgspec.DecodeError as error:
            raise IexecError("NETWORK_UNKNOWN", f"{path} does not describe a deployment: {error}") from None


class Plan:
    """The transactions of a deployment in order, and the contracts they will have created."""

    def __init__(self, deployer: Address, nonce: int) -> None:
        self.deployer = deployer
        self.first_nonce = nonce
        self.steps: list[Call] = []
        self.contracts: dict[str, Deployed] = {}
        self.created_by: dict[str, int] = {}

    def create(self, name: str, arguments: bytes = b"", *, execution_gas: int = 0) -> Address:
        """Add the creation of a contract; its address is known at once."""
        artifact = load(name)
        address = create_address(self.deployer, self.first_nonce + len(self.steps))
        data = artifact.initcode + arguments
        self.created_by[name] = len(self.steps)
        gas = creation_gas(artifact, data) + execution_gas
        self.steps.append(Call(None, data, gas, f"create {name}"))
        self.contracts[name] = Deployed(address, to_hex(arguments))
        return address

    def call(self, title: str, to: Address, data: bytes, *, gas: int = 600_000) -> None:
        """Add a call."""
        self.steps.append(Call(to, data, gas, title))


def creation_gas(artifact: Artifact, data: bytes) -> int:
    """Enough gas to create a contract whose constructor does little.

    Intrinsic gas, 16 per byte of data and 2 per word (EIP-2028, EIP-3860), 200 per byte of code, and a margin for what
    the constructor stores.
    """
    return 53_000 + 18 * len(data) + 200 * (len(artifact.deployed_bytecode) // 2) + 300_000


def selectors(artifact: Artifact) -> tuple[bytes, ...]:
    """What the hub has to route to a facet: its functions, and both pseudo-selectors if it has a fallback."""
    found = [
        Function.parse(f"{entry['name']}({','.join(_type(argument) for argument in entry['inputs'])})").selector
        for entry in artifact.abi
        if entry["type"] == "function"
    ]
    if any(entry["type"] == "fallback" for entry in artifact.abi):
        found += [RECEIVE, FALLBACK]
    return tuple(found)


def _type(argument: dict[str, object]) -> str:
    name = str(argument["type"])
    components = argument.get("components")
    if not isinstance(components, list):
        return name
    return f"({','.join(map(_type, components))}){name.removeprefix('tuple')}"


def facet_cuts(facets: Sequence[tuple[str, Address]]) -> list[tuple[Address, int, list[bytes]]]:
    """One addition for each facet; a selector that two facets have goes to the first."""
    seen: set[bytes] = set()
    cuts = []
    for name, address in facets:
        new = [selector for selector in selectors(load(name)) if selector not in seen]
        seen.update(new)
        cuts.append((address, _ADD, new))
    return cuts


def make_plan(
    deployer: Address,
    nonce: int,
    *,
    chain_id: int,
    variant: Variant = "token",
    token: Address | None,
    registry_base_uri: str,
    categories: Sequence[Category],
) -> Plan:
    """Everything there is to send.

    Raises:
        IexecError: ``ARTIFACT_MISSING``.
    """
    plan = Plan(deployer, nonce)
    rlc = NULL_ADDRESS if variant == "native" else token or plan.create("RLC")
    # A factory creates its master: 200 gas per byte of its code, which is part of the factory's own.
    registry = {
        kind: plan.create(name, execution_gas=200 * len(load(kind.capitalize()).initcode))
        for kind, name in REGISTRIES.items()
    }
    init = plan.create("DiamondInit")
    cuts = facet_cuts([(name, plan.create(name)) for name in (*DIAMOND_FACETS, *hub_facets(variant, chain_id))])
    arguments = encode(_DIAMOND_ARGUMENTS, (cuts, (deployer, init, _INIT.encode())))
    hub = plan.create("Diamond", arguments, execution_gas=60_000 * sum(len(cut[2]) for cut in cuts))

    plan.call(
        "configure the hub", hub, calls.configure(rlc, registry["app"], registry["dataset"], registry["workerpool"])
    )
    for category in categories:
        data = calls.create_category(category.name, category.description, category.work_clock_time_ref)
        plan.call(f"create category {category.name}", hub, data)
    for kind, address in registry.items():
        uri = registry_base_uri.format(kind=kind, chain_id=chain_id)
        plan.call(f"open the {kind} registry", address, registries.FUNCTIONS["initialize"].encode(NULL_ADDRESS))
        plan.call(f"name the {kind} registry's URI", address, registries.FUNCTIONS["setBaseURI"].encode(uri))
    return plan


async def deploy(
    rpc: JsonRpc,
    signer: Signer,
    *,
    variant: Variant = "token",
    token: Address | None = None,
    registry_base_uri: str = REGISTRY_BASE_URI,
    categories: Sequence[Category] = DEFAULT_CATEGORIES,
    progress: Progress = lambda _what, _done, _total: None,
    timeout: float = 120.0,
) -> Manifest:
    """Deploy everything from one account, which becomes the owner of hub and registries.

    The account must send nothing else meanwhile. On a chain without RLC (`token` None) it receives the whole supply
    of a new one.

    Args:
        variant: what the hub holds.
        token: address of RLC if the chain has it; the native variant needs none.
        registry_base_uri: prefix of the assets' metadata; ``{kind}`` and ``{chain_id}`` are filled in.
        progress: called after each transaction.
        timeout: seconds until all must be mined.

    Raises:
        IexecError: ``ARTIFACT_MISSING``; ``CHAIN_REFUSED`` when a transaction is not accepted or not mined in time;
            ``TRANSACTION_REVERTED`` naming the step.
    """
    chain, count = await rpc.batch([("eth_chainId", []), ("eth_getTransactionCount", [signer.address, "pending"])])
    chain_id, nonce = int(chain, 16), int(count, 16)
    plan = make_plan(
        signer.address,
        nonce,
        chain_id=chain_id,
        variant=variant,
        token=token,
        registry_base_uri=registry_base_uri,
        categories=categories,
    )
    receipts = await send_all(rpc, signer, plan.steps, progress=progress, timeout=timeout)
    address = {name: contract.address for name, contract in plan.contracts.items()}
    return Manifest(
        chain_id=chain_id,
        variant=variant,
        contracts=plan.contracts,
        hub=address["Diamond"],
        token=NULL_ADDRESS if variant == "native" else token or address["RLC"],
        registries=Registries(**{kind: address[name] for kind, name in REGISTRIES.items()}),
        deployed_at=int(receipts[plan.created_by["Diamond"]]["blockNumber"], 16),
    )
