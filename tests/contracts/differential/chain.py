"""anvil with both worlds on it: what is told to one hub is told to the other in the same block."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from pyiexec.chain import registries
from pyiexec.chain.abi import Event, Function
from pyiexec.chain.hub import EVENTS_BY_TOPIC
from pyiexec.chain.rpc import JsonRpc, RpcError
from pyiexec.protocol.primitives import Address, checksum, to_bytes

from .worlds import Call, Outcome, World

#: ERC-721 names two events as ERC-20 does, and indexes all their fields.
ASSET_EVENTS = {
    event.topic: event
    for event in (
        registries.TRANSFER,
        Event.parse("Approval(address indexed owner, address indexed approved, uint256 indexed tokenId)"),
    )
}
EVENTS = {
    **EVENTS_BY_TOPIC,
    **{
        event.topic: event
        for event in (
            registries.POLICY_UPDATE,
            Event.parse("ApprovalForAll(address indexed owner, address indexed operator, bool approved)"),
            Event.parse("GotResult(bytes32 indexed id, bytes result)"),
        )
    },
}
Pair = tuple[Outcome, Outcome]


@lru_cache(maxsize=4096)
def _decoded(function: Function, data: str) -> tuple[Any, ...]:
    """Most questions are asked again and again, and most answers stay the same."""
    return function.decode(to_bytes(data))


class Chain:
    """Both worlds and the chain that they share."""

    def __init__(self, runner: asyncio.Runner, rpc: JsonRpc, worlds: tuple[World, World]) -> None:
        self.runner = runner
        self.rpc = rpc
        self.worlds = worlds
        self._nonces: dict[str, int] = {}

    def ask(self, method: str, *params: Any) -> Any:
        return self.runner.run(self.rpc.call(method, *params))

    def now(self) -> int:
        return int(self.ask("eth_getBlockByNumber", "latest", False)["timestamp"], 16)

    def snapshot(self) -> str:
        return str(self.ask("evm_snapshot"))

    def restore(self, snapshot: str) -> str:
        """Go back to the snapshot; a new one of the same state, for there is no going back to one twice."""
        self.ask("evm_revert", snapshot)
        self._nonces.clear()
        return self.snapshot()

    # --- translating ----------------------------------------------------------------------------------------------

    def _answer(self, world: World, call: Call, raw: Any) -> Outcome:
        if isinstance(raw, RpcError):
            data = raw.data if isinstance(raw.data, str) else "0x"
            return Outcome(False, None, to_bytes(data))
        return Outcome(True, world.translated(_decoded(call.function, raw)) if call.function.outputs else ())

    def _event(self, world: World, log: dict[str, Any]) -> Any:
        emitter = world.translated(log["address"])
        known = ASSET_EVENTS if len(log["topics"]) == len(registries.TRANSFER.inputs) + 1 else EVENTS
        event = known.get(log["topics"][0])
        if event is None:
            return emitter, "unknown", tuple(log["topics"]), log["data"]
        fields = event.decode(log)
        if "tokenId" in fields:
            fields["tokenId"] = registries.asset_of(fields["tokenId"])
        return emitter, event.name, world.translated(fields)

    # --- calls ----------------------------------------------------------------------------------------------------

    def read(self, calls: Sequence[Call]) -> list[Pair]:
        """Views, as both hubs answer them."""
        requests = [("eth_call", (call.transaction(world), "latest")) for call in calls for world in self.worlds]
        raw = self.runner.run(self.rpc.batch_outcomes(requests))
        pairs = zip(raw[::2], raw[1::2], strict=True)
        return [
            (self._answer(self.worlds[0], call, theirs), self._answer(self.worlds[1], call, ours))
            for call, (theirs, ours) in zip(calls, pairs, strict=True)
        ]

    def send(self, call: Call, at: int) -> Pair:
        """Mine the call in both worlds in one block at the second `at`."""
        return self.send_all([call], at)[0]

    def send_all(self, calls: Sequence[Call], at: int) -> list[Pair]:
        """Mine calls that do not depend on each other in both worlds, in one block at the second `at`."""
        said = [(world, call) for call in calls for world in self.worlds]
        transactions = [call.transaction(world) for world, call in said]
        override = {"time": hex(at)}
        requests = [("eth_call", (transaction, "latest", {}, override)) for transaction in transactions]
        answers = self.runner.run(self.rpc.batch_outcomes(requests))
        # a batch is carried out in any order, and nonces put it right
        numbered = [transaction | {"nonce": hex(self._nonce(transaction["from"]))} for transaction in transactions]
        hashes = self.runner.run(self.rpc.batch([("eth_sendTransaction", (each,)) for each in numbered]))
        self.ask("evm_mine", {"timestamp": at, "blocks": 1})
        receipts = self.runner.run(self.rpc.batch([("eth_getTransactionReceipt", (hash_,)) for hash_ in hashes]))
        outcomes = [
            self._outcome(world, call, answer, receipt)
            for (world, call), answer, receipt in zip(said, answers, receipts, strict=True)
        ]
        return list(zip(outcomes[::2], outcomes[1::2], strict=True))

    def _nonce(self, sender: str) -> int:
        if sender not in self._nonces:
            self._nonces[sender] = int(self.ask("eth_getTransactionCount", sender, "latest"), 16)
        self._nonces[sender] += 1
        return self._nonces[sender] - 1

    def _outcome(self, world: World, call: Call, raw: Any, receipt: dict[str, Any] | None) -> Outcome:
        answer = self._answer(world, call, raw)
        if receipt is None:
            raise AssertionError(f"{call}: not mined in {world.title}")
        if (receipt["status"] == "0x1") != answer.succeeded:
            raise AssertionError(f"{call}: a dry run says otherwise in {world.title}: {answer}")
        events = tuple(self._event(world, log) for log in receipt["logs"])
        return Outcome(answer.succeeded, answer.values, answer.refusal, events)

    def least_gas(self, call: Call, at: int) -> dict[str, int]:
        """By title of the world, the lowest gas limit with which the call succeeds."""
        found = {}
        for world in self.worlds:
            transaction = call.transaction(world)
            del transaction["gas"]
            found[world.title] = int(self.ask("eth_estimateGas", transaction, "latest", {}, {"time": hex(at)}), 16)
        return found

    # --- creations ------------------------------------------------------------------------------------------------

    def create(self, world: World, sender: str, data: str, at: int) -> tuple[Address | None, bytes, tuple[Any, ...]]:
        """Create a contract in one world at the second `at`.

        Returns:
            Where it stands, or with what revert data it was refused; and its events.
        """
        transaction = {"from": world[sender], "data": data, "gas": hex(30_000_000)}
        answer = self.runner.run(self.rpc.batch_outcomes([("eth_call", (transaction, "latest"))]))[0]
        if isinstance(answer, RpcError):
            return None, to_bytes(answer.data if isinstance(answer.data, str) else "0x"), ()
        self._nonces.pop(transaction["from"], None)
        hash_ = self.ask("eth_sendTransaction", transaction)
        self.ask("evm_mine", {"timestamp": at, "blocks": 1})
        receipt = self.ask("eth_getTransactionReceipt", hash_)
        created = checksum(receipt["contractAddress"])
        world.call_it("the new diamond", created)
        return created, b"", tuple(self._event(world, log) for log in receipt["logs"])
