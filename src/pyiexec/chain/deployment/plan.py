"""What a deployment consists of, where each part will be, and what is missing of it: no I/O.

Addresses of contracts follow from the deployer's account and the contracts themselves, so the whole plan stands before
anything is sent, and comparing it with what a chain has tells what is left to do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import IntEnum

import msgspec

from pyiexec.chain import calls, registries, token
from pyiexec.chain.abi import Function, Parameter, encode
from pyiexec.chain.artifacts import Artifact, load
from pyiexec.chain.deployment import factory
from pyiexec.chain.deployment.facets import DIAMOND_FACETS, Variant, facet_cuts, hub_facets
from pyiexec.chain.deployment.manifest import Deployed, Manifest, Registries
from pyiexec.chain.hub import Category
from pyiexec.chain.sending import Call
from pyiexec.chain.signer import create_address
from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.primitives import NULL_ADDRESS, Address, Bytes32, to_bytes, to_hex

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

REGISTRIES = {"app": "AppRegistry", "dataset": "DatasetRegistry", "workerpool": "WorkerpoolRegistry"}

#: Bytes of a base URI (contracts/registries/README.md).
MAX_URI = 512

#: nRLC of a new token.
SUPPLY = 87_000_000 * 10**9

#: The salt of whoever deploys once.
NO_SALT = Bytes32("0x" + 64 * "0")

_DIAMOND_ARGUMENTS = (
    Parameter(
        "(address,uint8,bytes4[])[]", components=(Parameter("address"), Parameter("uint8"), Parameter("bytes4[]"))
    ),
    Parameter("(address,address,bytes)", components=(Parameter("address"), Parameter("address"), Parameter("bytes"))),
)
_INIT = Function.parse("init()")


class Stage(IntEnum):
    """What a step needs to be done before: everything of the stages before its own."""

    FACTORY = 0
    PARTS = 1
    HUB = 2
    SETTINGS = 3


class Step(msgspec.Struct, frozen=True):
    """A transaction of a deployment."""

    stage: Stage
    call: Call


class Part(msgspec.Struct, frozen=True):
    """A contract of a deployment: its address, its constructor's arguments, and the step that creates it."""

    address: Address
    arguments: bytes
    creation: Step


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """A whole marketplace for one account on one chain.

    Attributes:
        owner: the account that deploys, and owns hub and registries.
        salt: what sets this deployment apart from another of the same account.
        token: address of RLC; the null address in the native variant.
        parts: every contract by the name of its artifact, in the order of their creation.
        base_uris: of the metadata of assets, by kind of registry.
    """

    chain_id: int
    variant: Variant
    owner: Address
    salt: Bytes32
    token: Address
    parts: Mapping[str, Part]
    base_uris: Mapping[str, str]
    categories: tuple[Category, ...]

    @property
    def hub(self) -> Address:
        """The diamond."""
        return self.parts["Diamond"].address

    @property
    def registries(self) -> dict[str, Address]:
        """Registries by kind."""
        return {kind: self.parts[name].address for kind, name in REGISTRIES.items()}

    def manifest(self, deployed_at: int) -> Manifest:
        """What there is to tell of it once it is on chain."""
        return Manifest(
            chain_id=self.chain_id,
            variant=self.variant,
            contracts={name: Deployed(part.address, to_hex(part.arguments)) for name, part in self.parts.items()},
            hub=self.hub,
            token=self.token,
            registries=Registries(**self.registries),
            deployed_at=deployed_at,
            deployer=self.owner,
            salt=self.salt,
            categories=self.categories,
        )


class HubSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What a hub was told after its creation.

    Attributes:
        registries: by kind; null addresses until it is configured.
    """

    owner: Address
    token: Address
    registries: Mapping[str, Address]
    categories: tuple[Category, ...]


class RegistrySettings(msgspec.Struct, frozen=True, kw_only=True):
    """What a registry was told after its creation."""

    owner: Address
    initialized: bool
    previous: Address
    base_uri: str


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """What of a plan a chain has.

    Attributes:
        standing: names of the parts that stand.
        hub: None while there is none.
        registries: those that stand, by kind.
    """

    standing: frozenset[str]
    hub: HubSettings | None = None
    registries: Mapping[str, RegistrySettings] = {}


class _Parts:
    """Collects the parts of a plan."""

    def __init__(self, owner: Address, salt: Bytes32) -> None:
        made = factory.create_factory()
        self._owner, self._salt, self._factory = owner, to_bytes(salt), made.address
        self.found: dict[str, Part] = {}
        self._add("Factory", made, b"", Stage.FACTORY, 0)

    def _add(self, name: str, made: factory.Creation, arguments: bytes, stage: Stage, execution_gas: int) -> Address:
        gas = creation_gas(load(name), made.data) + execution_gas
        step = Step(stage, Call(made.to, made.data, gas, f"create {name}"))
        self.found[name] = Part(made.address, arguments, step)
        return made.address

    def create(
        self,
        name: str,
        arguments: bytes = b"",
        *,
        calls: Sequence[bytes] = (),
        stage: Stage = Stage.PARTS,
        execution_gas: int = 0,
    ) -> Address:
        """Add a contract, on which the factory makes `calls` at once; its address is known from now on."""
        code = load(name).initcode + arguments
        made = factory.create(self._factory, self._owner, self._salt, code, calls)
        return self._add(name, made, arguments, stage, execution_gas)


def creation_gas(artifact: Artifact, data: bytes) -> int:
    """Enough gas to create a contract whose constructor does little.

    Intrinsic gas, 16 per byte of data and 2 per word (EIP-2028, EIP-3860), 200 per byte of code, and a margin for what
    the factory does with the data and what the constructor stores.
    """
    return 53_000 + 18 * len(data) + 200 * (len(artifact.deployed_bytecode) // 2) + 300_000


def make_plan(
    owner: Address,
    *,
    chain_id: int,
    variant: Variant = "token",
    token_address: Address | None = None,
    registry_base_uri: str = REGISTRY_BASE_URI,
    categories: Sequence[Category] = DEFAULT_CATEGORIES,
    salt: Bytes32 = NO_SALT,
) -> Plan:
    """Everything that a marketplace of `owner` consists of.

    Addresses depend on the contracts, `owner` and `salt`; that of the hub, through its list of facets, on variant and
    on whether the chain is one without Boost as well.

    Args:
        token_address: RLC if the chain has it; the native variant needs none.
        registry_base_uri: prefix of the assets' metadata; ``{kind}`` and ``{chain_id}`` are filled in.
        salt: sets several deployments of one account apart.

    Raises:
        IexecError: ``ARTIFACT_MISSING``; ``BAD_REQUEST`` for a token of a hub that has none, and for a base URI that
            cannot be filled in or is too long.
    """
    parts = _Parts(owner, salt)
    if variant == "native" and token_address:
        raise IexecError("BAD_REQUEST", "a hub of the native variant has no token", remedy="Leave the token out.")
    # The factory is the creator of all: what creators are given is passed on.
    give = registries.FUNCTIONS["transferOwnership"].encode(owner)
    if variant == "native":
        rlc = NULL_ADDRESS
    else:
        rlc = token_address or parts.create("RLC", calls=[token.transfer(owner, SUPPLY), give])
    registry = {
        # It creates its master: 200 gas per byte of the master's code, which is part of its own.
        kind: parts.create(name, calls=[give], execution_gas=200 * len(load(kind.capitalize()).initcode))
        for kind, name in REGISTRIES.items()
    }
    init = parts.create("DiamondInit")
    cuts = facet_cuts([(name, parts.create(name)) for name in (*DIAMOND_FACETS, *hub_facets(variant, chain_id))])
    arguments = encode(_DIAMOND_ARGUMENTS, (cuts, (owner, init, _INIT.encode())))
    links = 60_000 * sum(len(cut[2]) for cut in cuts)
    parts.create("Diamond", arguments, stage=Stage.HUB, execution_gas=links)
    return Plan(
        chain_id=chain_id,
        variant=variant,
        owner=owner,
        salt=salt,
        token=rlc,
        parts=parts.found,
        base_uris={kind: _filled_in(registry_base_uri, kind, chain_id) for kind in registry},
        categories=tuple(categories),
    )


def _filled_in(base_uri: str, kind: str, chain_id: int) -> str:
    try:
        uri = base_uri.format(kind=kind, chain_id=chain_id)
    except (AttributeError, LookupError, ValueError):
        remedy = "Use no braces but those of {kind} and {chain_id}."
        raise IexecError("BAD_REQUEST", f"the base URI {base_uri!r} cannot be filled in", remedy=remedy) from None
    if len(uri.encode()) > MAX_URI:
        raise IexecError("BAD_REQUEST", f"the base URI is longer than {MAX_URI} bytes", remedy="Give a shorter one.")
    return uri


def check_codes(plan: Plan, codes: Mapping[str, bytes]) -> None:
    """Refuse to build upon anything but the parts of the plan.

    Args:
        codes: runtime code that stands at the addresses of parts, by their names.

    Raises:
        IexecError: ``DEPLOYMENT_CONFLICT``.
    """
    for name, code in codes.items():
        if not is_code_of(name, plan.parts[name].address, code):
            raise _conflict(f"something else than {name} stands at {plan.parts[name].address}")


def missing_steps(plan: Plan, found: Found) -> list[Step]:
    """What is left to send, in order.

    Raises:
        IexecError: ``DEPLOYMENT_CONFLICT`` when what is on chain is not what was planned, and sending more would not
            make it so; ``NOT_OWNER`` when it is somebody else's to complete.
    """
    steps = [part.creation for name, part in plan.parts.items() if name not in found.standing]
    for kind in REGISTRIES:
        steps += _registry_steps(plan, kind, found.registries.get(kind))
    steps += _hub_steps(plan, found.hub)
    return sorted(steps, key=lambda step: step.stage)


def _conflict(what: str) -> IexecError:
    return IexecError("DEPLOYMENT_CONFLICT", what)


def _setting(stage: Stage, title: str, to: Address, data: bytes) -> Step:
    return Step(stage, Call(to, data, 600_000, title))


def _registry_steps(plan: Plan, kind: str, found: RegistrySettings | None) -> list[Step]:
    address, uri = plan.registries[kind], plan.base_uris[kind]
    steps = []
    if found is None or not found.initialized:
        data = registries.FUNCTIONS["initialize"].encode(NULL_ADDRESS)
        steps.append(_setting(Stage.HUB, f"open the {kind} registry", address, data))
    if found is None or found.base_uri != uri:
        data = registries.FUNCTIONS["setBaseURI"].encode(uri)
        steps.append(_setting(Stage.HUB, f"name the {kind} registry's URI", address, data))
    _check_owner(plan, f"the {kind} registry", found.owner if found else None, steps)
    return steps


def _hub_steps(plan: Plan, found: HubSettings | None) -> list[Step]:
    wanted = plan.registries
    steps = []
    if found is None or not any(to_bytes(address).strip(b"\0") for address in found.registries.values()):
        data = calls.configure(plan.token, wanted["app"], wanted["dataset"], wanted["workerpool"])
        steps.append(_setting(Stage.SETTINGS, "configure the hub", plan.hub, data))
    elif found.token != plan.token:
        raise _conflict(f"the hub {plan.hub} is configured with the token {found.token}, not {plan.token}")
    elif found.registries != wanted:
        raise _conflict(f"the hub {plan.hub} is configured with other registries: {dict(found.registries)}")
    present = found.categories if found else ()
    for number, (there, category) in enumerate(zip(present, plan.categories, strict=False)):
        if there != category:
            shown = f"{there.name} of {there.work_clock_time_ref} s"
            raise _conflict(f"category {number} of the hub {plan.hub} is {shown}, not {category.name}")
    for category in plan.categories[len(present) :]:
        data = calls.create_category(category.name, category.description, category.work_clock_time_ref)
        steps.append(_setting(Stage.SETTINGS, f"create category {category.name}", plan.hub, data))
    _check_owner(plan, "the hub", found.owner if found else None, steps)
    return steps


def _check_owner(plan: Plan, what: str, owner: Address | None, steps: Sequence[Step]) -> None:
    if steps and owner is not None and owner != plan.owner:
        raise IexecError("NOT_OWNER", f"{steps[0].call.title}: {what} belongs to {owner} now")


def is_code_of(name: str, address: Address, code: bytes) -> bool:
    """Whether `code` is what the contract called `name` has at `address`.

    A registry's code ends with the address of its master, its first creation.

    Raises:
        IexecError: ``ARTIFACT_MISSING``.
    """
    expected = to_bytes(load(name).deployed_bytecode)
    if name in REGISTRIES.values():
        expected += to_bytes(master_of(address)).rjust(32, b"\0")
    return code == expected


def master_of(registry: Address) -> Address:
    """The contract whose code all assets of a registry run."""
    return create_address(registry, 1)
