"""A real chain per session and fresh registries on it; every test starts from the same state."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from vyper.compiler import compile_code
from vyper.compiler.input_bundle import FilesystemInputBundle
from vyper.compiler.phases import CompilerData
from vyper.compiler.settings import OptimizationLevel, Settings, anchor_settings

from pyiexec.chain.abi import Function, decode_revert
from pyiexec.chain.anvil import Anvil
from pyiexec.chain.artifacts import load
from pyiexec.chain.rpc import JsonRpc, RpcError
from pyiexec.protocol.primitives import Address, checksum, to_bytes, to_hex

GAS = 12_000_000
SOURCES = Path(__file__).parents[3] / "contracts"


class Reverted(Exception):  # noqa: N818 - reads as a sentence in tests
    """A transaction or call that reverted: its reason, and the raw data."""

    def __init__(self, data: bytes) -> None:
        super().__init__(decode_revert(data).reason)
        self.data = data


class Chain:
    """anvil, driven synchronously; accounts are unlocked."""

    def __init__(self, runner: asyncio.Runner, rpc: JsonRpc) -> None:
        self.runner = runner
        self.rpc = rpc
        self.accounts: list[Address] = [checksum(account) for account in self.ask("eth_accounts")]

    def ask(self, method: str, *params: Any) -> Any:
        return self.runner.run(self.rpc.call(method, *params))

    def _transaction(self, to: Address | None, data: bytes, sender: Address | None, value: int) -> dict[str, Any]:
        transaction = {"from": sender or self.accounts[0], "data": to_hex(data), "gas": hex(GAS), "value": hex(value)}
        return transaction | ({"to": to} if to else {})

    def call(self, to: Address, function: Function, *arguments: Any, sender: Address | None = None) -> Any:
        """The returned value; several make a tuple."""
        transaction = self._transaction(to, function.encode(*arguments), sender, 0)
        try:
            answer = self.ask("eth_call", transaction, "latest")
        except RpcError as error:
            raise Reverted(to_bytes(error.data or "0x")) from None
        values = function.decode(to_bytes(answer))
        return values[0] if len(values) == 1 else values

    def transact(
        self, to: Address | None, data: bytes, *, sender: Address | None = None, value: int = 0
    ) -> dict[str, Any]:
        """Send, mine and return the receipt."""
        transaction = self._transaction(to, data, sender, value)
        try:
            self.ask("eth_call", transaction, "latest")
        except RpcError as error:
            raise Reverted(to_bytes(error.data or "0x")) from None
        hash_ = self.ask("eth_sendTransaction", transaction)
        self.ask("anvil_mine")
        receipt: dict[str, Any] = self.ask("eth_getTransactionReceipt", hash_)
        assert receipt["status"] == "0x1"
        return receipt

    def send(self, to: Address, function: Function, *arguments: Any, sender: Address | None = None) -> dict[str, Any]:
        return self.transact(to, function.encode(*arguments), sender=sender)

    def create(self, name: str, *, sender: Address | None = None) -> Address:
        return self.create_from(load(name).initcode, sender=sender)

    def create_double(self, name: str, *words: int) -> Address:
        """Create a contract of the tests; its constructor takes `words`."""
        return self.create_from(double(name) + b"".join(word.to_bytes(32, "big") for word in words))

    def create_from(self, initcode: bytes, *, sender: Address | None = None) -> Address:
        return checksum(self.transact(None, initcode, sender=sender)["contractAddress"])


@cache
def double(name: str) -> bytes:
    """Creation code of a contract of the tests."""
    source = Path(__file__).with_name(f"{name}.vy").read_text()
    settings = Settings(optimize=OptimizationLevel.GAS, evm_version="cancun")
    return to_bytes(compile_code(source, output_formats=["bytecode"], settings=settings)["bytecode"])


@pytest.fixture(scope="session")
def session_chain() -> Iterator[Chain]:
    with asyncio.Runner() as runner:
        anvil = runner.run(Anvil().start())
        rpc = JsonRpc(anvil.url)
        try:
            yield Chain(runner, rpc)
        finally:
            runner.run(rpc.close())
            runner.run(anvil.stop())


@pytest.fixture(scope="session")
def registries(session_chain: Chain) -> dict[str, Address]:
    """The three registries by kind, owned by account 0."""
    return {kind: session_chain.create(f"{kind.capitalize()}Registry") for kind in ("app", "dataset", "workerpool")}


@pytest.fixture
def chain(session_chain: Chain, registries: dict[str, Address]) -> Iterator[Chain]:
    """The chain with nothing but the registries on it."""
    snapshot = session_chain.ask("evm_snapshot")
    yield session_chain
    session_chain.ask("evm_revert", snapshot)


@pytest.fixture(scope="session")
def layout() -> dict[str, Any]:
    """Slots of a registry's storage by module and variable."""
    bundle = FilesystemInputBundle([SOURCES])
    settings = Settings(optimize=OptimizationLevel.GAS, evm_version="cancun")
    data = CompilerData(bundle.load_file(SOURCES / "registries" / "WorkerpoolRegistry.vy"), bundle, settings=settings)
    with anchor_settings(settings):
        found: dict[str, Any] = data.storage_layout["storage_layout"]
    return found


@pytest.fixture
def reverted() -> type[Reverted]:
    """What a refused call raises."""
    return Reverted
