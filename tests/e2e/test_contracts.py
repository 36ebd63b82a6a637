"""The contracts on a chain that is not ours, deployed, verified and exported by commands."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pyiexec.chain.anvil import MNEMONIC, Anvil, AnvilOptions
from pyiexec.chain.deployment import STANDARD_CATEGORIES, Manifest, make_plan
from pyiexec.chain.mnemonic import derive
from pyiexec.chain.rpc import JsonRpc
from pyiexec.chain.signer import Signer
from pyiexec.protocol.primitives import to_hex
from tests.e2e.conftest import PYIEXEC, QuickCli

#: Transactions of a deployment with the categories of the public networks: creations, opening, naming, configuration.
TOTAL = len(make_plan(derive(MNEMONIC, 0).address, chain_id=31337).parts) + 3 + 3 + 1 + len(STANDARD_CATEGORIES)


class Chain:
    """A chain as others run it, which knows nothing of pyiexec."""

    def __init__(self, runner: asyncio.Runner, anvil: Anvil) -> None:
        self._runner = runner
        self.url = anvil.url

    def ask(self, method: str, *params: Any) -> Any:
        async def asking() -> Any:
            async with JsonRpc(self.url) as rpc:
                return await rpc.call(method, *params)

        return self._runner.run(asking())

    def sent_by(self, account: Signer, block: str = "latest") -> int:
        return int(self.ask("eth_getTransactionCount", account.address, block), 16)


def run_chain(options: AnvilOptions) -> Iterator[Chain]:
    with asyncio.Runner() as runner:
        anvil = runner.run(Anvil(options).start())
        try:
            yield Chain(runner, anvil)
        finally:
            runner.run(anvil.stop())


@pytest.fixture(scope="module")
def chain() -> Iterator[Chain]:
    yield from run_chain(AnvilOptions())


@pytest.fixture(scope="module")
def slow_chain() -> Iterator[Chain]:
    """A block a second, whatever is sent."""
    yield from run_chain(AnvilOptions(mixed=False, block_time=1))


@pytest.fixture
def command(chain: Chain, tmp_path: Path) -> QuickCli:
    """The command in a home of its own, with the node in the environment."""
    return of_account(derive(MNEMONIC, 1), chain, tmp_path)


def of_account(account: Signer, chain: Chain, home: Path) -> QuickCli:
    made = QuickCli(home)
    made.environment |= {"PYIEXEC_RPC": chain.url, "PYIEXEC_PRIVATE_KEY": to_hex(account.secret)}
    return made


@pytest.fixture
def account() -> Signer:
    """Whose key is in the environment."""
    return derive(MNEMONIC, 1)


DEPLOY = ("contracts", "deploy", "--variant", "token", "--out", "market.json")


def test_a_dry_run_tells_what_will_be_and_sends_nothing(command: QuickCli, chain: Chain, account: Signer) -> None:
    fresh = ("--salt", "1")
    told = command.json(*DEPLOY, "--dry-run", *fresh)
    assert chain.sent_by(account) == 0
    assert not (command.home / "market.json").exists()
    assert len(told["transactions"]) == TOTAL
    assert int(told["wei"]) > told["gas"] > 30_000_000
    assert not any(contract["stands"] for contract in told["contracts"].values())
    done = command.json(*DEPLOY, *fresh)
    assert {name: there["address"] for name, there in done["manifest"]["contracts"].items()} == {
        name: there["address"] for name, there in told["contracts"].items()
    }
    again = command.json(*DEPLOY, "--dry-run", *fresh)
    assert (again["transactions"], again["gas"], again["wei"]) == ([], 0, "0")
    shown = command(*DEPLOY, "--dry-run", *fresh)
    assert "0 transactions, at most 0 gas" in shown.out


def test_a_marketplace_is_deployed_and_verified(command: QuickCli, chain: Chain, account: Signer) -> None:
    shown = command(*DEPLOY)
    assert shown.code == 0
    manifest = Manifest.read(command.home / "market.json")
    assert manifest.hub in shown.out
    assert manifest.deployer == account.address
    assert manifest.categories == STANDARD_CATEGORIES
    written = json.loads((command.home / "market.json").read_text())
    assert {"chainId", "variant", "contracts", "hub", "token", "registries"} <= written.keys()
    assert all({"address", "constructorArgs"} <= contract.keys() for contract in written["contracts"].values())
    verified = command.json("contracts", "verify", "market.json")
    assert verified["differences"] == []
    assert verified["checks"] > 100
    shown = command("contracts", "verify", "market.json")
    assert shown.code == 0
    assert f"{verified['checks']} checks, 0 differences." in shown.out

    before, file = chain.sent_by(account), (command.home / "market.json").read_bytes()
    again = command.json(*DEPLOY)
    assert again["transactions"] == 0
    assert chain.sent_by(account) == before
    assert (command.home / "market.json").read_bytes() == file


def test_what_differs_is_named_and_the_exit_code_is_1(command: QuickCli, chain: Chain) -> None:
    command.json(*DEPLOY)
    manifest = Manifest.read(command.home / "market.json")
    facet = manifest.contracts["IexecPoco2Facet"].address
    code = chain.ask("eth_getCode", facet, "latest")
    chain.ask("anvil_setCode", facet, code[:-2] + "00")
    try:
        shown = command("contracts", "verify", "market.json")
        told = command("contracts", "verify", "market.json", "--json")
    finally:
        chain.ask("anvil_setCode", facet, code)
    assert (shown.code, told.code) == (1, 1)
    assert f"IexecPoco2Facet, code: {len(code) // 2 - 1} bytes of other code at {facet}" in shown.out
    assert told.json["ok"] is False
    assert [(found["subject"], found["what"]) for found in told.json["differences"]] == [("IexecPoco2Facet", "code")]


def test_a_native_marketplace_with_categories_of_its_own(command: QuickCli) -> None:
    native = ("contracts", "deploy", "--variant", "native", "--out", "native.json")
    settings = ("--category", "fast=2", "--category", "slow=60", "--base-uri", "ipfs://{kind}/", "--salt", "7")
    done = command.json(*native, *settings)
    assert done["manifest"]["token"] == "0x" + 40 * "0"
    assert [category["name"] for category in done["manifest"]["categories"]] == ["fast", "slow"]
    assert command.json("contracts", "verify", "native.json")["differences"] == []
    refused = command.refused(*native, "--salt", "7", code="DEPLOYMENT_CONFLICT")
    assert "category 0" in refused["error"]


def test_the_token_of_the_chain_is_used(command: QuickCli) -> None:
    token = command.json(*DEPLOY)["manifest"]["token"]
    other = ("contracts", "deploy", "--variant", "token", "--out", "other.json", "--salt", "9", "--token", token)
    done = command.json(*other)
    assert done["manifest"]["token"] == token
    assert "RLC" not in done["manifest"]["contracts"]
    assert command.json("contracts", "verify", "other.json")["differences"] == []


@pytest.mark.parametrize("sent", [1, 12, 30])
def test_a_deployment_that_was_killed_is_completed_with_the_same_addresses(
    slow_chain: Chain, tmp_path: Path, sent: int
) -> None:
    """Killed with transactions still in the node's queue."""
    account = derive(MNEMONIC, sent % 20)
    command = of_account(account, slow_chain, tmp_path)
    process = subprocess.Popen(
        [PYIEXEC, *DEPLOY], cwd=tmp_path, env=command.environment, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    while slow_chain.sent_by(account, "pending") < sent:
        assert process.poll() is None
    process.send_signal(signal.SIGKILL)
    assert process.wait(10) == -signal.SIGKILL
    assert not (tmp_path / "market.json").exists()

    done = command.json(*DEPLOY)
    plan = make_plan(account.address, chain_id=31337, categories=STANDARD_CATEGORIES)
    assert {name: there["address"] for name, there in done["manifest"]["contracts"].items()} == {
        name: part.address for name, part in plan.parts.items()
    }
    # The factory is everybody's, and made once; nothing else was sent twice.
    assert TOTAL - 1 <= slow_chain.sent_by(account) <= TOTAL
    assert command.json("contracts", "verify", "market.json")["differences"] == []


class TestRefusals:
    def test_of_a_key_on_the_command_line(self, command: QuickCli) -> None:
        """There is no such option."""
        help_text = command("contracts", "deploy", "--help").out
        assert "private-key" not in help_text
        assert "PYIEXEC_PRIVATE_KEY" in help_text

    def test_without_a_node(self, command: QuickCli) -> None:
        """There is no local network either, whose node would be meant."""
        del command.environment["PYIEXEC_RPC"]
        assert "--rpc" in command.refused(*DEPLOY, code="NETWORK_UNKNOWN")["remedy"]

    def test_without_a_key(self, command: QuickCli) -> None:
        del command.environment["PYIEXEC_PRIVATE_KEY"]
        command.refused(*DEPLOY, code="WALLET_MISSING")

    def test_of_a_key_that_is_none(self, command: QuickCli) -> None:
        command.environment["PYIEXEC_PRIVATE_KEY"] = "0xsecret"
        assert "secret" not in str(command.refused(*DEPLOY, code="BAD_KEY"))

    def test_of_a_wrong_password(self, command: QuickCli) -> None:
        (command.home / "password").write_text("right\n")
        (command.home / "another").write_text("wrong\n")
        command.json("wallet", "create", "--keystore", "keys", "--password-file", "password")
        del command.environment["PYIEXEC_PRIVATE_KEY"]
        command.refused(*DEPLOY, "--keystore", "keys", "--password-file", "another", code="WRONG_PASSWORD")

    def test_of_an_account_without_funds(self, command: QuickCli) -> None:
        (command.home / "password").write_text("right\n")
        made = command.json("wallet", "create", "--keystore", "keys", "--password-file", "password")
        mine = ("--wallet", made["address"], "--keystore", "keys", "--password-file", "password")
        assert made["address"] in command.refused(*DEPLOY, *mine, code="INSUFFICIENT_FUNDS")["error"]

    def test_of_the_wrong_chain(self, command: QuickCli) -> None:
        refused = command.refused(*DEPLOY, "--chain-id", "42161", code="CHAIN_ID_WRONG")
        assert "31337" in refused["error"]

    def test_of_a_file_that_describes_another_deployment(self, command: QuickCli) -> None:
        command.json(*DEPLOY)
        before = (command.home / "market.json").read_bytes()
        command.refused(*DEPLOY, "--salt", "3", code="OUTPUT_EXISTS")
        there = json.loads(before)
        (command.home / "market.json").write_text(json.dumps(there | {"chainId": 1}))
        command.refused(*DEPLOY, code="CHAIN_ID_WRONG")
        (command.home / "market.json").write_text("notes")
        command.refused(*DEPLOY, code="NETWORK_UNKNOWN")
        assert (command.home / "market.json").read_text() == "notes"

    def test_of_a_token_that_is_not_there(self, command: QuickCli) -> None:
        nowhere = "0x000000000000000000000000000000000000dEaD"
        command.refused(*DEPLOY, "--salt", "4", "--token", nowhere, code="BAD_REQUEST")

    def test_of_a_node_that_does_not_answer(self, command: QuickCli) -> None:
        command.environment["PYIEXEC_RPC"] = "http://127.0.0.1:9/secret-access-key"
        refused = command.refused(*DEPLOY, code="CHAIN_UNREACHABLE")
        assert "secret-access-key" not in str(refused)

    @pytest.mark.parametrize(
        "category", ["XS", "XS=", "=300", "XS=fast", "XS=0", "XS=4294967296", "XS=-1", "é" * 129 + "=1"]
    )
    def test_of_a_category_that_is_none(self, command: QuickCli, category: str) -> None:
        outcome = command(*DEPLOY, "--category", category)
        assert outcome.code == 2
        assert "NAME=SECONDS" in outcome.err

    @pytest.mark.parametrize("uri", ["{name}/", "{kind", "}", "{0}", "{kind.length}", "x" * 513])
    def test_of_a_place_for_metadata_that_is_none(self, command: QuickCli, chain: Chain, uri: str) -> None:
        before = chain.sent_by(derive(MNEMONIC, 1))
        command.refused(*DEPLOY, "--salt", "5", "--base-uri", uri, code="BAD_REQUEST")
        assert chain.sent_by(derive(MNEMONIC, 1)) == before

    def test_of_a_manifest_that_is_none(self, command: QuickCli) -> None:
        command.refused("contracts", "verify", "market.json", code="NETWORK_UNKNOWN")

    def test_of_a_manifest_of_another_chain(self, command: QuickCli) -> None:
        command.json(*DEPLOY)
        there = json.loads((command.home / "market.json").read_text())
        (command.home / "market.json").write_text(json.dumps(there | {"chainId": 1}))
        command.refused("contracts", "verify", "market.json", code="CHAIN_ID_WRONG")


def test_contracts_are_exported(command: QuickCli) -> None:
    told = command.json("contracts", "export", "--out", "out")
    assert {"IexecInterfaceToken.json", "Diamond.json", "IexecPoco1Facet.json"} <= set(told["files"])
    assert sorted(told["files"]) == sorted(os.listdir(command.home / "out"))
    (command.home / "taken").write_text("a file")
    command.refused("contracts", "export", "--out", "taken/folder", code="FILE_UNUSABLE")
