"""Both marketplaces on one chain: assets of different owners, money for everyone, and contracts that both share."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.reference.ledger import Ledger
from benchmarks.reference.markets import Market, deploy_ours, deploy_reference, diamond_creation

from pyiexec.chain import registries, token
from pyiexec.chain.anvil import CHAIN_ID, MNEMONIC, Anvil, AnvilOptions
from pyiexec.chain.artifacts import load
from pyiexec.chain.deployment import Variant
from pyiexec.chain.hub import FUNCTIONS
from pyiexec.chain.mnemonic import derive
from pyiexec.chain.rpc import JsonRpc
from pyiexec.protocol.primitives import NULL_ADDRESS, bytes32, checksum, keccak256, to_hex

from ..conftest import creation_code
from ..hub.conftest import read_layout
from .chain import Chain
from .worlds import World

HERE = Path(__file__).parent
HUB_MOCKS = HERE.parent / "hub" / "mocks"

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
    "pauper",
)
#: Contracts both worlds share, by name: source and argument.
SHARED: dict[str, tuple[Path, int | None]] = {
    "yes": (HUB_MOCKS / "Wallet.vy", 0),
    "no": (HUB_MOCKS / "Wallet.vy", 1),
    "angry": (HUB_MOCKS / "Wallet.vy", 2),
    "nonsense": (HUB_MOCKS / "Wallet.vy", 5),
    "talkative": (HUB_MOCKS / "Wallet.vy", 6),
    "recorder": (HUB_MOCKS / "Consumer.vy", 0),
    "refuser": (HUB_MOCKS / "Consumer.vy", 1),
    "reenterer": (HUB_MOCKS / "Consumer.vy", 2),
    "burner": (HERE / "mocks" / "Burner.vy", None),
    "grumbler": (HERE / "mocks" / "Grumbler.vy", None),
    "spender": (HUB_MOCKS / "Spender.vy", None),
    "older hub": (HUB_MOCKS / "OlderHub.vy", None),
    "stingy token": (HERE / "mocks" / "StingyToken.vy", None),
}
FUNDS = 10**15
#: Scores that workers begin with, so that votes weigh 2, 3, 4, 8 and 32.
SCORES = {"worker 1": 12, "worker 2": 15, "worker 3": 27, "worker 5": 100, "worker 6": 11}
#: Where the published hub keeps them: the nineteenth word of its storage, which has a place of its own (ERC-7201).
PUBLISHED_SCORES = 0x5862653C6982C162832160CF30593645E8487B257E44D77CDD6B51EEE2651B00 + 18
#: Owner, fields of the creation after the owner.
ASSETS: tuple[tuple[str, str, str, tuple[Any, ...]], ...] = (
    ("app 0", "app", "app owner", ("an app", "WASM", b"\x01", bytes32(1), b"")),
    ("app 1", "app", "requester", ("a app", "DOCKER", b"\x02", bytes32(2), b"enclave")),
    ("dataset 0", "dataset", "dataset owner", ("a dataset", b"\x03", bytes32(3))),
    ("dataset 1", "dataset", "scheduler", ("another", b"\x04", bytes32(4))),
    ("workerpool 0", "workerpool", "scheduler", ("a pool",)),
    ("workerpool 1", "workerpool", "worker 0", ("another pool",)),
)
#: Senders that have no key here.
IMPERSONATED = ("yes", "no", "nobody")


async def _found(rpc: JsonRpc, variant: Variant) -> tuple[World, World]:
    signers = {name: derive(MNEMONIC, index) for index, name in enumerate(PARTIES)}
    admin = signers["admin"].address
    worlds = []
    for title, deploy in (("the published hub", deploy_reference), ("our hub", deploy_ours)):
        ledger = Ledger(rpc)
        rlc = NULL_ADDRESS if variant == "native" else await ledger.create(load("RLC").initcode)
        market = await deploy(ledger, rlc, variant)
        world = World(title, market, CHAIN_ID, signers)
        await _settle(ledger, world, variant)
        # A hub that was never configured.
        world.call_it("bare hub", await ledger.create(_bare(market, admin)))
        worlds.append(world)
    theirs, ours = worlds
    # who pays for everybody's deposits where coins are deposited
    await rpc.call("anvil_setBalance", admin, hex(10**30))
    ledger = Ledger(rpc)
    for name, (source, mode) in SHARED.items():
        data = creation_code(source) + (b"" if mode is None else mode.to_bytes(32, "big"))
        created = await ledger.create(data)
        for world in worlds:
            world.call_it(name, created)
    for name in IMPERSONATED:
        await rpc.call("anvil_impersonateAccount", theirs[name])
        await rpc.call("anvil_setBalance", theirs[name], hex(10**20))
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


def _bare(market: Market, owner: str) -> bytes:
    return diamond_creation(market.diamond, market.cuts, checksum(owner))


async def _settle(ledger: Ledger, world: World, variant: Variant) -> None:
    """Assets of different owners, and RLC and approvals for everyone."""
    for name, kind, owner, fields in ASSETS:
        registry = world[f"{kind}_registry"]
        data = registries.FUNCTIONS[f"create{kind.capitalize()}"].encode(world[owner], *fields)
        receipt = await ledger.send(world[owner], registry, data)
        world.call_it(name, registries.created_asset(receipt, registry))
        world.call_it(f"{kind} master", await _master(ledger.rpc, registry))
    for kind in ("app", "dataset", "workerpool"):
        data = registries.FUNCTIONS["setBaseURI"].encode(f"https://nfts.example.org/{kind}/")
        await ledger.send(world["admin"], world[f"{kind}_registry"], data)
    if variant == "token":
        for name in PARTIES:
            if name != "admin":
                await ledger.send(world["admin"], world["token"], token.transfer(world[name], FUNDS))
            await ledger.send(world[name], world["token"], token.approve(world["hub"], FUNDS))
    # 6.1 begins with half of this
    await ledger.send(world["admin"], world["hub"], FUNCTIONS["setCallbackGas"].encode(200_000))


async def _master(rpc: JsonRpc, registry: str) -> str:
    answer = await rpc.eth_call(checksum(registry), keccak256(b"master()")[:4])
    return checksum(answer[-20:])


@contextmanager
def both_hubs(variant: Variant = "token") -> Iterator[Chain]:
    """A chain with both hubs as deployed; blocks are mined on demand, and at no other time."""
    with asyncio.Runner() as runner:
        options = AnvilOptions(block_time=10**6, block_gas_limit=4 * 10**9)
        anvil = runner.run(Anvil(options).start())
        rpc = JsonRpc(anvil.url)
        try:
            chain = Chain(runner, rpc, runner.run(_found(rpc, variant)))
            chain.ask("evm_setIntervalMining", 0)
            yield chain
        finally:
            runner.run(rpc.close())
            runner.run(anvil.stop())
