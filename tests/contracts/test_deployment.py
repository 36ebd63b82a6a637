"""Deploying puts a complete, configured marketplace on the chain, quickly, and says what went wrong when it cannot."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import pytest

from pyiexec.chain.abi import Function
from pyiexec.chain.anvil import MNEMONIC, Anvil
from pyiexec.chain.artifacts import load
from pyiexec.chain.deployment import (
    DEFAULT_CATEGORIES,
    DIAMOND_FACETS,
    FALLBACK,
    HUB_FACETS,
    RECEIVE,
    REGISTRIES,
    Manifest,
    Registries,
    deploy,
    facet_cuts,
    make_plan,
    selectors,
    short_category,
)
from pyiexec.chain.hub import FUNCTIONS, Category
from pyiexec.chain.mnemonic import derive
from pyiexec.chain.rpc import JsonRpc
from pyiexec.chain.signer import Signer
from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.primitives import NULL_ADDRESS, Address, to_hex

T = TypeVar("T")
FACETS = Function.parse("facets() view returns ((address facet, bytes4[] selectors)[])")
PREVIOUS = Function.parse("previous() view returns (address)")
INITIALIZED = Function.parse("initialized() view returns (bool)")
BASE_URI = Function.parse("baseURI() view returns (string)")
OWNER = Function.parse("owner() view returns (address)")
DEPLOYER = derive(MNEMONIC, 0)


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


@pytest.fixture(scope="module")
def node() -> Iterator[Node]:
    with asyncio.Runner() as runner:
        anvil = runner.run(Anvil().start())
        rpc = JsonRpc(anvil.url)
        try:
            yield Node(runner, rpc)
        finally:
            runner.run(rpc.close())
            runner.run(anvil.stop())


@pytest.fixture(scope="module")
def deployed(node: Node) -> Manifest:
    return node.run(deploy(node.rpc, DEPLOYER))


def test_a_whole_deployment_takes_less_than_a_second(node: Node) -> None:
    load.cache_clear()
    started = time.perf_counter()
    node.run(deploy(node.rpc, DEPLOYER))
    assert time.perf_counter() - started < 1.0


def test_the_hub_is_configured_with_what_was_deployed(node: Node, deployed: Manifest) -> None:
    told = {name: node.read(deployed.hub, FUNCTIONS[name]) for name in ("token", "owner", "callbackgas", "symbol")}
    assert told == {"token": deployed.token, "owner": DEPLOYER.address, "callbackgas": 200_000, "symbol": "SRLC"}
    assert deployed.registries == Registries(
        app=node.read(deployed.hub, FUNCTIONS["appregistry"]),
        dataset=node.read(deployed.hub, FUNCTIONS["datasetregistry"]),
        workerpool=node.read(deployed.hub, FUNCTIONS["workerpoolregistry"]),
    )
    domain = node.read(deployed.hub, FUNCTIONS["domain"])
    assert domain == ("iExecODB", "5.0.0", 31337, deployed.hub)
    assert node.read(deployed.token, FUNCTIONS["balanceOf"], DEPLOYER.address) == 87_000_000 * 10**9


def test_the_categories_are_those_of_the_public_networks_and_a_short_one(node: Node, deployed: Manifest) -> None:
    count = node.read(deployed.hub, FUNCTIONS["countCategory"])
    stored = [Category(*node.read(deployed.hub, FUNCTIONS["viewCategory"], number)) for number in range(count)]
    assert tuple(stored) == DEFAULT_CATEGORIES
    assert {category.description for category in stored} == {'""'}
    assert stored[-1] == short_category(stored[-1].work_clock_time_ref)


def test_every_facet_serves_its_functions(node: Node, deployed: Manifest) -> None:
    names = (*DIAMOND_FACETS, *HUB_FACETS)
    addresses = {deployed.contracts[name].address: name for name in names}
    linked = {addresses[facet]: set(found) for facet, found in node.read(deployed.hub, FACETS)}
    assert linked == {name: set(selectors(load(name))) for name in names}
    assert {RECEIVE, FALLBACK} <= linked["IexecEscrowTokenFacet"]


def test_a_hub_for_the_chains_own_coin_has_no_token(node: Node) -> None:
    manifest = node.run(deploy(node.rpc, DEPLOYER, variant="native"))
    assert (manifest.variant, manifest.token) == ("native", NULL_ADDRESS)
    assert node.read(manifest.hub, FUNCTIONS["token"]) == NULL_ADDRESS
    assert not {"RLC", "IexecEscrowTokenFacet"} & set(manifest.contracts)
    escrow = {facet: set(found) for facet, found in node.read(manifest.hub, FACETS)}[
        manifest.contracts["IexecEscrowNativeFacet"].address
    ]
    assert escrow == set(selectors(load("IexecEscrowNativeFacet")))
    assert {RECEIVE, FALLBACK} < escrow


def test_every_contract_is_where_the_manifest_says(node: Node, deployed: Manifest) -> None:
    for name, contract in deployed.contracts.items():
        code = node.ask("eth_getCode", contract.address, "latest")
        # Immutables follow the code.
        assert code.startswith(load(name).deployed_bytecode), name
        assert len(code) > 2, name
    block = node.ask("eth_getBlockByNumber", hex(deployed.deployed_at), False)
    receipt = node.ask("eth_getTransactionReceipt", block["transactions"][0])
    assert receipt["contractAddress"] == deployed.hub.lower()


@pytest.mark.parametrize("kind", REGISTRIES)
def test_the_registries_are_open_and_owned_by_the_deployer(node: Node, deployed: Manifest, kind: str) -> None:
    registry = getattr(deployed.registries, kind)
    assert node.read(registry, INITIALIZED) is True
    assert node.read(registry, PREVIOUS) == NULL_ADDRESS
    assert node.read(registry, OWNER) == DEPLOYER.address
    assert node.read(registry, BASE_URI) == f"https://nfts-metadata.iex.ec/{kind}/31337/"


def test_the_token_of_the_chain_is_used_when_there_is_one(node: Node, deployed: Manifest) -> None:
    second = node.run(
        deploy(
            node.rpc,
            DEPLOYER,
            token=deployed.token,
            registry_base_uri="ipfs://{kind}/",
            categories=[Category("Z", '""', 1)],
        )
    )
    assert second.token == deployed.token
    assert "RLC" not in second.contracts
    assert node.read(second.hub, FUNCTIONS["token"]) == deployed.token
    assert node.read(second.hub, FUNCTIONS["countCategory"]) == 1
    assert node.read(second.registries.dataset, BASE_URI) == "ipfs://dataset/"


def test_progress_is_told_after_each_transaction(node: Node) -> None:
    told: list[tuple[str, int, int]] = []
    node.run(deploy(node.rpc, DEPLOYER, progress=lambda *step: told.append(step)))
    total = told[0][2]
    assert [(done, of) for _, done, of in told] == [(number, total) for number in range(1, total + 1)]
    assert told[0][0] == "create RLC"


def test_every_transaction_has_gas_to_spare(node: Node) -> None:
    nonce = int(node.ask("eth_getTransactionCount", DEPLOYER.address, "latest"), 16)
    plan = make_plan(
        DEPLOYER.address,
        nonce,
        chain_id=31337,
        token=None,
        registry_base_uri="https://nfts-metadata.iex.ec/{kind}/{chain_id}/",
        categories=DEFAULT_CATEGORIES,
    )
    before = node.run(node.rpc.block_number())
    node.run(deploy(node.rpc, DEPLOYER))
    used = {}
    for number in range(before + 1, node.run(node.rpc.block_number()) + 1):
        for hash_ in node.ask("eth_getBlockByNumber", hex(number), False)["transactions"]:
            transaction = node.ask("eth_getTransactionByHash", hash_)
            receipt = node.ask("eth_getTransactionReceipt", hash_)
            used[int(transaction["nonce"], 16)] = int(receipt["gasUsed"], 16)
    # EIP-7825 allows no transaction more than 2**24 gas.
    limits = {nonce + index: step.gas for index, step in enumerate(plan.steps)}
    assert used.keys() == limits.keys()
    for number, limit in limits.items():
        assert used[number] < 0.95 * limit, plan.steps[number - nonce].title
        assert limit <= 2**24


def test_an_account_without_funds_is_told_at_the_first_step(node: Node) -> None:
    poor = Signer.from_key(b"\x07" * 32)
    with pytest.raises(IexecError) as failure:
        node.run(deploy(node.rpc, poor))
    assert failure.value.code == "CHAIN_REFUSED"
    assert failure.value.what.startswith("could not create RLC")


def test_a_step_that_reverts_is_named(node: Node) -> None:
    with pytest.raises(IexecError) as failure:
        node.run(deploy(node.rpc, DEPLOYER, categories=[Category("long", "d" * 10_000, 1)]))
    assert failure.value.code == "TRANSACTION_REVERTED"
    assert failure.value.what.startswith("could not create category long")


def test_transactions_that_are_not_mined_are_given_up(node: Node) -> None:
    async def on_a_chain_that_does_not_mine() -> None:
        async with Anvil() as anvil, JsonRpc(anvil.url) as rpc:
            await rpc.call("evm_setAutomine", False)
            await rpc.call("evm_setIntervalMining", 3600)
            await deploy(rpc, DEPLOYER, timeout=0.2)

    with pytest.raises(IexecError) as failure:
        node.run(on_a_chain_that_does_not_mine())
    assert (failure.value.code, failure.value.retry) == ("CHAIN_REFUSED", True)


def test_a_manifest_comes_back_from_its_file(deployed: Manifest, tmp_path: Path) -> None:
    path = tmp_path / "deployment.json"
    deployed.save(path)
    assert Manifest.read(path) == deployed
    written = json.loads(path.read_text())
    assert written["chainId"] == 31337
    assert written["variant"] == "token"
    assert written["contracts"]["Diamond"]["address"] == deployed.hub
    assert written["registries"]["app"] == deployed.registries.app
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("content", [None, b"", b"{}", msgspec.json.encode({"chainId": "one"})])
def test_a_file_that_is_no_manifest_is_refused(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "deployment.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(IexecError) as failure:
        Manifest.read(path)
    assert failure.value.code == "NETWORK_UNKNOWN"


def test_a_selector_of_two_facets_goes_to_the_first() -> None:
    address = DEPLOYER.address
    first, second = facet_cuts([("OwnershipFacet", address), ("OwnershipFacet", address)])
    assert len(first[2]) == 2
    assert second[2] == []


def test_selectors_of_tuples_are_those_of_the_protocol() -> None:
    found = {to_hex(selector) for selector in selectors(load("IexecPoco1Facet"))}
    assert "0x156194d4" in found
