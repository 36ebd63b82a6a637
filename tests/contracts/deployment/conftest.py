"""A chain for deployments, put back after every test to what it was before."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator
from typing import Any, TypeVar

import pytest

from pyiexec.chain.abi import Function
from pyiexec.chain.anvil import MNEMONIC, Anvil
from pyiexec.chain.deployment import Manifest, deploy
from pyiexec.chain.mnemonic import derive
from pyiexec.chain.rpc import JsonRpc
from pyiexec.chain.signer import Signer
from pyiexec.protocol.primitives import Address, to_hex

T = TypeVar("T")


class Node:
    """An anvil, driven synchronously."""

    def __init__(self, runner: asyncio.Runner, rpc: JsonRpc) -> None:
        self.runner = runner
        self.rpc = rpc

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)

    def ask(self, method: str, *params: Any) -> Any:
        return self.run(self.rpc.call(method, *params))

    def read(self, address: Address, function: Function, *arguments: Any) -> Any:
        (value,) = function.decode(self.run(self.rpc.eth_call(address, function.encode(*arguments))))
        return value

    def code(self, address: Address) -> str:
        found: str = self.ask("eth_getCode", address, "latest")
        return found

    def sent_by(self, account: Address) -> int:
        """How many transactions of the account are mined."""
        return int(self.ask("eth_getTransactionCount", account, "latest"), 16)

    def send(self, sender: Address, to: Address, data: bytes) -> dict[str, Any]:
        """The receipt of a transaction in the name of anybody, mined and successful."""
        self.ask("anvil_impersonateAccount", sender)
        hash_ = self.ask("eth_sendTransaction", {"from": sender, "to": to, "data": to_hex(data), "gas": hex(5_000_000)})
        receipt: dict[str, Any] | None
        while (receipt := self.ask("eth_getTransactionReceipt", hash_)) is None:
            self.ask("evm_mine")
        assert int(receipt["status"], 16) == 1
        return receipt


@pytest.fixture(scope="session")
def deployer() -> Signer:
    return derive(MNEMONIC, 0)


@pytest.fixture(scope="module")
def module_node() -> Iterator[Node]:
    with asyncio.Runner() as runner:
        anvil = runner.run(Anvil().start())
        rpc = JsonRpc(anvil.url)
        try:
            yield Node(runner, rpc)
        finally:
            runner.run(rpc.close())
            runner.run(anvil.stop())


@pytest.fixture
def node(module_node: Node) -> Iterator[Node]:
    """The chain as it was made, with nothing on it yet but what `deployed` has put there."""
    snapshot = module_node.ask("evm_snapshot")
    yield module_node
    module_node.ask("evm_revert", snapshot)


@pytest.fixture(scope="module")
def module_deployed(module_node: Node, deployer: Signer) -> Manifest:
    return module_node.run(deploy(module_node.rpc, deployer))


@pytest.fixture
def deployed(module_deployed: Manifest, node: Node) -> Manifest:
    """A marketplace on the chain."""
    return module_deployed
