"""The contracts on anvil, and the model of the very same situation."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pyiexec.chain import registries, token
from pyiexec.chain.abi import Event, Function
from pyiexec.chain.anvil import MNEMONIC
from pyiexec.chain.deployment import deploy
from pyiexec.chain.hub import EVENTS_BY_TOPIC, FUNCTIONS
from pyiexec.chain.mnemonic import derive
from pyiexec.chain.rpc import JsonRpc, RpcError
from pyiexec.chain.signer import recover
from pyiexec.protocol.eip712 import Domain
from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.poco import Category, Hub, Registry, Token, World
from pyiexec.protocol.primitives import NULL_ADDRESS, Address, bytes32, checksum, keccak256, to_bytes, to_hex

from ..conftest import creation_code
from ..hub.conftest import read_layout
from .actors import (
    CLAIM,
    REGRET,
    SPEND,
    WALLET_ACCEPTS,
    WALLET_DECLINES,
    WALLET_EMPTY,
    WALLET_LONG,
    WALLET_REVERTS,
    WASTE,
    Consumer,
    OlderHub,
    Spender,
    Wallet,
)

HERE = Path(__file__).parent
MOCKS = HERE.parent / "hub" / "mocks"
GAS = 8_000_000

PEOPLE = (
    *("admin", "app owner", "dataset owner", "scheduler", "requester", "sponsor", "stranger", "broker", "enclave"),
    *(f"worker {number}" for number in range(7)),
)
WORKERS = PEOPLE[9:]
#: Contracts of the tests: source and mode.
WALLETS = {
    "yes": WALLET_ACCEPTS,
    "no": WALLET_DECLINES,
    "angry": WALLET_REVERTS,
    "silent": WALLET_EMPTY,
    "talkative": WALLET_LONG,
}
CONSUMERS = {"recorder": 0, "spender": SPEND, "waverer": REGRET, "waster": WASTE, "claimer": CLAIM}
ASSETS = {
    "app 0": ("app", "app owner", ("an app", "WASM", b"\x01", bytes32(1), b"")),
    "app 1": ("app", "requester", ("another", "DOCKER", b"\x02", bytes32(2), b"enclave")),
    "dataset 0": ("dataset", "dataset owner", ("a dataset", b"\x03", bytes32(3))),
    "dataset 1": ("dataset", "scheduler", ("another", b"\x04", bytes32(4))),
    "workerpool 0": ("workerpool", "scheduler", ("a pool",)),
    "workerpool 1": ("workerpool", "worker 0", ("another pool",)),
}
#: RLC in every wallet, and what the hub may take of it; staked RLC of those who need some.
FUNDS = 10**15
STAKED = 10**12
STAKERS = ("scheduler", "requester", "sponsor", "yes", *WORKERS[:6], "spender", "waverer")
#: Scores to begin with, so that votes weigh 2, 3, 4, 8 and 32.
SCORES = {"worker 1": 12, "worker 2": 15, "worker 3": 27, "worker 5": 100, "worker 6": 11}

_RLC_EVENTS = {event.topic: event for event in (token.TRANSFER, token.APPROVAL)}
#: Events of what is neither hub nor token.
_OTHER_EVENTS = {
    event.topic: event
    for event in (
        registries.TRANSFER,
        registries.POLICY_UPDATE,
        Event.parse("Approval(address indexed owner, address indexed approved, uint256 indexed tokenId)"),
        Event.parse("ApprovalForAll(address indexed owner, address indexed operator, bool approved)"),
        Event.parse("GotResult(bytes32 indexed id, bytes result)"),
    )
}


class Call(NamedTuple):
    """One transaction: addresses are given, not names."""

    sender: Address
    to: Address
    function: Function
    arguments: Sequence[Any]
    gas: int | None = None


class Answer(NamedTuple):
    """What the contracts made of a call: values or revert data, and events as `(emitter, name, fields)`."""

    succeeded: bool
    value: Any
    refusal: bytes
    events: tuple[Any, ...]


class Mirror(NamedTuple):
    """The model of what stands on chain."""

    world: World
    hub: Hub
    token: Token
    registries: dict[str, Registry]


def recover_any(digest: bytes, signature: bytes) -> Address | None:
    """By real keys; a recovery id of 0 or 1 means 27 or 28."""
    if len(signature) == 65 and signature[64] < 2:
        signature = signature[:64] + bytes([signature[64] + 27])
    try:
        return recover(digest, signature)
    except IexecError:
        return None


class Stage:
    """anvil with the hub and everybody who takes part; addresses by name."""

    def __init__(self, runner: asyncio.Runner, rpc: JsonRpc) -> None:
        self.runner = runner
        self.rpc = rpc
        self.signers = {name: derive(MNEMONIC, index) for index, name in enumerate(PEOPLE)}
        self.addresses: dict[str, Address] = {name: signer.address for name, signer in self.signers.items()}
        self.addresses["nobody"] = NULL_ADDRESS
        self.runner.run(self._set_up())
        self._names = {address: name for name, address in self.addresses.items()}

    def __getitem__(self, name: str) -> Address:
        return self.addresses[name]

    def name(self, address: Address) -> str:
        """The name of an address; the address itself when it has none."""
        return self._names.get(address, address)

    def ask(self, method: str, *params: Any) -> Any:
        return self.runner.run(self.rpc.call(method, *params))

    def now(self) -> int:
        return int(self.ask("eth_getBlockByNumber", "latest", False)["timestamp"], 16)

    # --- set-up -------------------------------------------------------------------------------------------------------

    async def _set_up(self) -> None:
        rpc, addresses = self.rpc, self.addresses
        manifest = await deploy(rpc, self.signers["admin"])
        self.chain_id, self.domain = manifest.chain_id, Domain(manifest.chain_id, manifest.hub)
        addresses |= {"hub": manifest.hub, "token": manifest.token}
        addresses |= {f"{kind}s": getattr(manifest.registries, kind) for kind in ("app", "dataset", "workerpool")}
        await rpc.call("evm_setIntervalMining", 0)
        # A block for each transaction, at the second that was set for it.
        await rpc.call("evm_setAutomine", True)
        await rpc.call("anvil_autoImpersonateAccount", True)
        for name, mode in WALLETS.items():
            await self._create(name, MOCKS / "Wallet.vy", mode)
        for name, mode in CONSUMERS.items():
            await self._create(name, HERE / "Consumer.vy", mode)
        await self._create("content", MOCKS / "Spender.vy")
        await self._create("older hub", MOCKS / "OlderHub.vy")
        for name in (*WALLETS, *CONSUMERS, *PEOPLE):
            await rpc.call("anvil_setBalance", addresses[name], hex(10**20))
        for name, (kind, owner, fields) in ASSETS.items():
            function = registries.FUNCTIONS[f"create{kind.capitalize()}"]
            receipt = await self._send(owner, f"{kind}s", function.encode(addresses[owner], *fields))
            addresses[name] = registries.created_asset(receipt, addresses[f"{kind}s"])
        for name in PEOPLE:
            if name != "admin":
                await self._send("admin", "token", token.transfer(addresses[name], FUNDS))
            await self._send(name, "token", token.approve(addresses["hub"], FUNDS))
        for name in STAKERS:
            await self._send("admin", "hub", FUNCTIONS["depositFor"].encode(STAKED, addresses[name]))
        layout = read_layout("Diamond")["storage_layout"]["store"]
        for name, score in SCORES.items():
            await self._write(keccak256(_word(layout["scores"]["slot"]) + _word(int(addresses[name], 16))), score)
        await self._write(_word(layout["legacy_hub"]["slot"]), int(addresses["older hub"], 16))
        count = FUNCTIONS["countCategory"].decode(to_bytes(await self._view("countCategory")))[0]
        self.categories = []
        for number in range(count):
            answer = to_bytes(await self._view("viewCategory", number))
            self.categories.append(Category(*FUNCTIONS["viewCategory"].decode(answer)[0]))

    async def _view(self, name: str, *arguments: Any) -> Any:
        call = {"to": self["hub"], "data": to_hex(FUNCTIONS[name].encode(*arguments))}
        return await self.rpc.call("eth_call", call, "latest")

    async def _write(self, slot: bytes, value: int) -> None:
        await self.rpc.call("anvil_setStorageAt", self["hub"], to_hex(slot), bytes32(value))

    async def _send(self, sender: str, to: str | None, data: bytes) -> dict[str, Any]:
        transaction = {"from": self[sender], "data": to_hex(data), "gas": hex(GAS)}
        if to:
            transaction["to"] = self[to]
        receipt: dict[str, Any] = await self.rpc.call("eth_sendTransactionSync", transaction)
        assert receipt["status"] == "0x1", f"{sender} could not set the stage"
        return receipt

    async def _create(self, name: str, source: Path, *mode: int) -> None:
        receipt = await self._send("admin", None, creation_code(source) + b"".join(map(_word, mode)))
        self.addresses[name] = checksum(receipt["contractAddress"])

    def mirror(self, world: World) -> Mirror:
        """The model of the stage as it was set up, in a new `world`."""
        addresses = self.addresses
        rlc = Token(world, addresses["token"], addresses["admin"])
        kinds = {kind: Registry(world, addresses[kind]) for kind in ("apps", "datasets", "workerpools")}
        hub = Hub(
            world,
            addresses["hub"],
            chain_id=self.chain_id,
            token=rlc,
            owner=addresses["admin"],
            legacy_hub=addresses["older hub"],
            **kinds,
        )
        for category in self.categories:
            hub.create_category(*category, sender=addresses["admin"])
        for name, (kind, owner, _) in ASSETS.items():
            kinds[f"{kind}s"].create(addresses[name], addresses[owner])
        for name in PEOPLE:
            if name != "admin":
                rlc.transfer(addresses[name], FUNDS, sender=addresses["admin"])
            rlc.approve(addresses["hub"], FUNDS, sender=addresses[name])
        for name in STAKERS:
            hub.deposit_for(STAKED, addresses[name], sender=addresses["admin"])
        for name, score in SCORES.items():
            dict.__setitem__(hub.scores, addresses[name], score)
        world.contracts |= {addresses[name]: Wallet(mode) for name, mode in WALLETS.items()}
        world.contracts |= {addresses[name]: Consumer(addresses[name], hub, mode) for name, mode in CONSUMERS.items()}
        world.contracts |= {addresses["content"]: Spender(), addresses["older hub"]: OlderHub()}
        return Mirror(world, hub, rlc, kinds)

    # --- play ---------------------------------------------------------------------------------------------------------

    def send(self, call: Call, at: int) -> Answer:
        """Mine the call at the second `at`."""
        return self.runner.run(self._play(call, at))

    async def _play(self, call: Call, at: int) -> Answer:
        data = to_hex(call.function.encode(*call.arguments))
        transaction = {"from": call.sender, "to": call.to, "data": data, "gas": hex(call.gas or GAS)}
        dry_run, _ = await self.rpc.batch_outcomes(
            [("eth_call", (transaction, "latest", {}, {"time": hex(at)})), ("evm_setNextBlockTimestamp", (at,))]
        )
        receipt = await self.rpc.call("eth_sendTransactionSync", transaction)
        succeeded = receipt["status"] == "0x1"
        assert succeeded != isinstance(dry_run, RpcError), f"{call}: the dry run says otherwise: {dry_run}"
        if isinstance(dry_run, RpcError):
            return Answer(False, None, to_bytes(dry_run.data if isinstance(dry_run.data, str) else "0x"), ())
        values = call.function.decode(to_bytes(dry_run)) if call.function.outputs else (None,)
        return Answer(True, values[0], b"", tuple(map(self._event, receipt["logs"])))

    def _event(self, log: dict[str, Any]) -> Any:
        emitter = checksum(log["address"])
        known = {self["hub"]: EVENTS_BY_TOPIC, self["token"]: _RLC_EVENTS}.get(emitter, _OTHER_EVENTS)
        event = known[log["topics"][0]]
        return emitter, event.name, event.decode(log)

    def estimate(self, call: Call, at: int) -> int | None:
        """The least gas with which the call succeeds at the second `at`; None if none is enough."""
        data = to_hex(call.function.encode(*call.arguments))
        self.ask("evm_setNextBlockTimestamp", at)
        try:
            answer = self.ask("eth_estimateGas", {"from": call.sender, "to": call.to, "data": data}, "pending")
        except RpcError:
            return None
        return int(answer, 16)

    def read(self, questions: Sequence[tuple[Address, bytes]]) -> list[bytes | RpcError]:
        """Raw answers of views."""
        calls = [("eth_call", ({"to": to, "data": to_hex(data)}, "latest")) for to, data in questions]
        answers = self.runner.run(self.rpc.batch_outcomes(calls))
        return [answer if isinstance(answer, RpcError) else to_bytes(answer) for answer in answers]


def _word(value: int) -> bytes:
    return value.to_bytes(32, "big")
