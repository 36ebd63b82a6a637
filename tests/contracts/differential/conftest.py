"""Both hubs, deployed on one chain once per session."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pyiexec.chain import registries, token
from pyiexec.chain.anvil import CHAIN_ID, MNEMONIC, Anvil, AnvilOptions
from pyiexec.chain.artifacts import load
from pyiexec.chain.hub import FUNCTIONS
from pyiexec.chain.mnemonic import derive
from pyiexec.chain.rpc import JsonRpc
from pyiexec.protocol.primitives import bytes32, checksum, keccak256, to_hex

from ..conftest import creation_code
from ..hub.conftest import read_layout
from .worlds import GAS, Chain, World

BENCHMARKS = Path(__file__).parents[3] / "benchmarks"
MOCKS = Path(__file__).parents[1] / "hub" / "mocks"

PARTIES = (
    "admin",
    "app owner",
    "dataset owner",
    "scheduler",
    "requester",
    "sponsor",
    "stranger",
    "broker",
    "enclave",
    *(f"worker {number}" for number in range(7)),
)
#: Contracts both worlds share, by name: source and argument.
SHARED = {
    "yes": ("Wallet", 0),
    "no": ("Wallet", 1),
    "angry": ("Wallet", 2),
    "nonsense": ("Wallet", 5),
    "talkative": ("Wallet", 6),
    "recorder": ("Consumer", 0),
    "refuser": ("Consumer", 1),
    "reenterer": ("Consumer", 2),
}
FUNDS = 10**15
#: Scores that workers begin with, so that votes weigh 2, 3, 4, 8 and 32.
SCORES = {"worker 1": 12, "worker 2": 15, "worker 3": 27, "worker 5": 100, "worker 6": 11}
#: Where the published hub keeps them: the nineteenth word of its storage, which has a place of its own (ERC-7201).
PUBLISHED_SCORES = 0x5862653C6982C162832160CF30593645E8487B257E44D77CDD6B51EEE2651B00 + 18


def _benchmark_gas() -> Any:
    """The module that deploys the published contracts; benchmarks are scripts and import each other by bare names."""
    sys.path.insert(0, str(BENCHMARKS))
    try:
        import gas
    finally:
        sys.path.remove(str(BENCHMARKS))
    return gas


async def _found(rpc: JsonRpc) -> tuple[World, World]:
    gas = _benchmark_gas()
    signers = {name: derive(MNEMONIC, index) for index, name in enumerate(PARTIES)}
    worlds = []
    for title, deploy in (("the published hub", gas.deploy_reference), ("our hub", gas.deploy_ours)):
        ledger = gas.Ledger(rpc)
        market = await deploy(ledger, await ledger.create(load("RLC").initcode))
        world = World(title, market, CHAIN_ID, signers)
        await _settle(ledger, world)
        worlds.append(world)
    admin = signers["admin"]
    for name, (source, mode) in SHARED.items():
        data = creation_code(MOCKS / f"{source}.vy") + mode.to_bytes(32, "big")
        receipt = await gas.Ledger(rpc).send(admin, None, data)
        for world in worlds:
            world.call_it(name, checksum(receipt["contractAddress"]))
    theirs, ours = worlds
    # a wallet that owns a workerpool acts as its scheduler
    await rpc.call("anvil_impersonateAccount", theirs["yes"])
    await rpc.call("anvil_setBalance", theirs["yes"], hex(10**20))
    own_slot: int = read_layout("Diamond")["storage_layout"]["store"]["scores"]["slot"]
    for name, score in SCORES.items():
        key = bytes.fromhex(theirs[name][2:]).rjust(32, b"\0")
        # Solidity hashes key and slot, Vyper slot and key
        for world, place in (
            (theirs, key + PUBLISHED_SCORES.to_bytes(32, "big")),
            (ours, own_slot.to_bytes(32, "big") + key),
        ):
            await rpc.call("anvil_setStorageAt", world["hub"], to_hex(keccak256(place)), bytes32(score))
    return theirs, ours


async def _settle(ledger: Any, world: World) -> None:
    """Assets of different owners, and RLC and approvals for everyone."""
    made = (
        ("app 0", "app", "app owner", ("an app", "WASM", b"\x01", bytes32(1), b"")),
        ("app 1", "app", "requester", ("a app", "DOCKER", b"\x02", bytes32(2), b"enclave")),
        ("dataset 0", "dataset", "dataset owner", ("a dataset", b"\x03", bytes32(3))),
        ("dataset 1", "dataset", "scheduler", ("another", b"\x04", bytes32(4))),
        ("workerpool 0", "workerpool", "scheduler", ("a pool",)),
        ("workerpool 1", "workerpool", "worker 0", ("another pool",)),
    )
    for name, kind, owner, fields in made:
        registry = world[f"{kind}_registry"]
        data = registries.FUNCTIONS[f"create{kind.capitalize()}"].encode(world[owner], *fields)
        receipt = await ledger.send(world.signers[owner], registry, data)
        world.call_it(name, registries.created_asset(receipt, registry))
    admin = world.signers["admin"]
    for name in PARTIES:
        if name != "admin":
            await ledger.send(admin, world["token"], token.transfer(world[name], FUNDS))
        await ledger.send(world.signers[name], world["token"], token.approve(world["hub"], FUNDS))
    await ledger.send(admin, world["hub"], FUNCTIONS["setCallbackGas"].encode(200_000))


@pytest.fixture(scope="session")
def both_hubs() -> Iterator[Chain]:
    with asyncio.Runner() as runner:
        anvil = runner.run(Anvil(AnvilOptions(block_time=10**6, block_gas_limit=3 * GAS)).start())
        rpc = JsonRpc(anvil.url)
        try:
            chain = Chain(runner, rpc, runner.run(_found(rpc)))
            # From here on a block is mined when a test says so, and at no other time.
            chain.ask("evm_setIntervalMining", 0)
            yield chain
        finally:
            runner.run(rpc.close())
            runner.run(anvil.stop())


@pytest.fixture
def chain(both_hubs: Chain) -> Iterator[Chain]:
    """Both hubs as deployed."""
    snapshot = both_hubs.ask("evm_snapshot")
    yield both_hubs
    both_hubs.ask("evm_revert", snapshot)
