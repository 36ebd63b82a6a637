"""Contracts that the hub's tests call upon."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from vyper.compiler.input_bundle import FilesystemInputBundle
from vyper.compiler.phases import CompilerData
from vyper.compiler.settings import OptimizationLevel, Settings, anchor_settings

from pyiexec.chain.abi import Function
from pyiexec.chain.deployment import deploy
from pyiexec.chain.hub import FUNCTIONS, NATIVE_FUNCTIONS
from pyiexec.protocol.eip712 import Domain
from pyiexec.protocol.primitives import Address, bytes32, keccak256

MOCKS = Path(__file__).parent / "mocks"
SOURCES = Path(__file__).parents[3] / "contracts"
ACTOR_GAS = 28_000_000
WEI_PER_NRLC = 10**9


@pytest.fixture(scope="session")
def native_hub(session_market: Any) -> Address:
    """A second hub, for the chain's own coin."""
    chain = session_market.chain
    chain.ask("evm_setAutomine", True)
    signer = session_market.signers[session_market.admin]
    manifest = chain.runner.run(deploy(chain.rpc, signer, variant="native"))
    chain.ask("evm_setAutomine", False)
    hub: Address = manifest.hub
    return hub


@pytest.fixture
def native_market(session_market: Any, native_hub: Address) -> Iterator[Any]:
    """The marketplace of the session, but with the native hub, in which nobody has anything yet; assets are shared."""
    snapshot = session_market.chain.ask("evm_snapshot")
    market = copy.copy(session_market)
    market.hub = native_hub
    market.domain = Domain(session_market.manifest.chain_id, native_hub)
    # deposits are value
    market.fund = lambda account, amount: market.chain.send(
        native_hub, NATIVE_FUNCTIONS["depositFor"].encode(account), market.admin, value=amount * WEI_PER_NRLC
    )
    yield market
    session_market.chain.ask("evm_revert", snapshot)


@pytest.fixture
def mock(market: Any) -> Callable[..., Address]:
    """Create a contract of `mocks/` by name, with one number as its argument if it takes one."""

    def create(name: str, *mode: int) -> Address:
        address: Address = market.create(MOCKS / f"{name}.vy", *(value.to_bytes(32, "big") for value in mode))
        return address

    return create


def read_layout(name: str) -> dict[str, Any]:
    """What `vyper -f layout` says of a contract of the hub."""
    bundle = FilesystemInputBundle([SOURCES])
    settings = Settings(optimize=OptimizationLevel.GAS, evm_version="cancun")
    data = CompilerData(bundle.load_file(SOURCES / "hub" / f"{name}.vy"), bundle, settings=settings)
    with anchor_settings(settings):
        found: dict[str, Any] = data.storage_layout
    return found


@pytest.fixture(scope="session")
def layout() -> dict[str, Any]:
    """Slots of the hub's storage by variable."""
    store: dict[str, Any] = read_layout("Diamond")["storage_layout"]["store"]
    return store


@pytest.fixture(scope="session")
def layouts() -> dict[str, dict[str, Any]]:
    """Layouts of all contracts of the hub by name."""
    return {path.stem: read_layout(path.stem) for path in sorted((SOURCES / "hub").glob("*.vy"))}


@pytest.fixture
def write(market: Any, layout: dict[str, Any]) -> Callable[..., None]:
    """Write a word of the hub's storage: a variable, its keys, and the new value or how it follows from the old."""

    def put(
        name: str,
        *keys: Any,
        value: int | None = None,
        change: Callable[[int], int] | None = None,
        offset: int = 0,
    ) -> None:
        slot: bytes = layout[name]["slot"].to_bytes(32, "big")
        for key in keys:
            word = key.to_bytes(32, "big") if isinstance(key, int) else bytes.fromhex(key[2:]).rjust(32, b"\0")
            slot = keccak256(slot + word)
        at = bytes32(int.from_bytes(slot, "big") + offset)
        if change:
            value = change(int(market.chain.ask("eth_getStorageAt", market.hub, at, "latest"), 16))
        market.chain.ask("anvil_setStorageAt", market.hub, at, bytes32(value or 0))

    return put


class Actor:
    """A contract that is everybody at once (`mocks/Actor.vy`); it does as told, and as planned when it is called."""

    def __init__(self, market: Any, address: Address) -> None:
        self.market = market
        self.address = address

    def tell(self, signature: str, *arguments: Any, **options: Any) -> Any:
        data = Function.parse(signature).encode(*arguments)
        return self.market.chain.send(self.address, data, self.market.stranger, gas=ACTOR_GAS, **options)

    def plan(self, target: Address, data: bytes, coins: int = 0) -> None:
        """What it will do when it is called, after what was planned before."""
        self.tell("plan(address,uint256,bytes)", target, coins, data)

    def arm(self, armed: bool = True) -> None:
        self.tell("arm(bool)", armed)

    def carry_out(self, **options: Any) -> Any:
        """Do now what was planned."""
        return self.tell("carry_out()", **options)

    def perform(self, target: Address, data: bytes, **options: Any) -> Any:
        """Do this now; a refusal is raised."""
        return self.tell("perform(address,bytes)", target, data, **options)

    def does(self, name: str, *arguments: Any, **options: Any) -> Any:
        """Call a function of the hub now."""
        return self.perform(self.market.hub, FUNCTIONS[name].encode(*arguments), **options)

    def number(self, getter: str, *arguments: Any) -> int:
        """A public variable."""
        return int.from_bytes(self.market.chain.call(self.address, Function.parse(getter).encode(*arguments)), "big")

    def outcome(self, step: int = 0) -> bool | None:
        """Whether a step of the plan succeeded; None when it was never tried."""
        return {0: None, 1: False, 2: True}[self.number("outcomes(uint256)", step)]


@pytest.fixture
def actor(market: Any, mock: Callable[..., Address]) -> Actor:
    """A hostile contract with nRLC in the hub."""
    address = mock("Actor")
    market.fund(address)
    return Actor(market, address)
