"""Deploying puts a complete, configured marketplace on the chain, quickly, and says what went wrong when it cannot."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pyiexec.chain.abi import Function
from pyiexec.chain.anvil import BLOCK_GAS_LIMIT, Anvil, AnvilOptions
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
    carry_out,
    deploy,
    facet_cuts,
    hub_facets,
    make_plan,
    selectors,
    short_category,
    survey,
)
from pyiexec.chain.hub import FUNCTIONS, Category
from pyiexec.chain.rpc import JsonRpc
from pyiexec.chain.signer import Signer
from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.primitives import NULL_ADDRESS, Address, Bytes32, bytes32, to_hex

FACETS = Function.parse("facets() view returns ((address facet, bytes4[] selectors)[])")
PREVIOUS = Function.parse("previous() view returns (address)")
INITIALIZED = Function.parse("initialized() view returns (bool)")
BASE_URI = Function.parse("baseURI() view returns (string)")
OWNER = Function.parse("owner() view returns (address)")
#: Of a deployment beside the one that all tests share.
ANOTHER: Bytes32 = bytes32(1)


def test_a_whole_deployment_takes_less_than_a_second(node: Any, deployer: Signer) -> None:
    load.cache_clear()
    started = time.perf_counter()
    node.run(deploy(node.rpc, deployer, salt=ANOTHER))
    assert time.perf_counter() - started < 1.0


def test_the_hub_is_configured_with_what_was_deployed(node: Any, deployed: Manifest, deployer: Signer) -> None:
    told = {name: node.read(deployed.hub, FUNCTIONS[name]) for name in ("token", "owner", "callbackgas", "symbol")}
    assert told == {"token": deployed.token, "owner": deployer.address, "callbackgas": 200_000, "symbol": "SRLC"}
    assert deployed.registries == Registries(
        app=node.read(deployed.hub, FUNCTIONS["appregistry"]),
        dataset=node.read(deployed.hub, FUNCTIONS["datasetregistry"]),
        workerpool=node.read(deployed.hub, FUNCTIONS["workerpoolregistry"]),
    )
    domain = node.read(deployed.hub, FUNCTIONS["domain"])
    assert domain == ("iExecODB", "5.0.0", 31337, deployed.hub)
    assert node.read(deployed.token, FUNCTIONS["balanceOf"], deployer.address) == 87_000_000 * 10**9
    assert node.read(deployed.token, OWNER) == deployer.address


def test_the_categories_are_those_of_the_public_networks_and_a_short_one(node: Any, deployed: Manifest) -> None:
    count = node.read(deployed.hub, FUNCTIONS["countCategory"])
    stored = [Category(*node.read(deployed.hub, FUNCTIONS["viewCategory"], number)) for number in range(count)]
    assert tuple(stored) == DEFAULT_CATEGORIES
    assert {category.description for category in stored} == {'""'}
    assert stored[-1] == short_category(stored[-1].work_clock_time_ref)


def test_every_facet_serves_its_functions(node: Any, deployed: Manifest) -> None:
    names = (*DIAMOND_FACETS, *HUB_FACETS)
    addresses = {deployed.contracts[name].address: name for name in names}
    linked = {addresses[facet]: set(found) for facet, found in node.read(deployed.hub, FACETS)}
    assert linked == {name: set(selectors(load(name))) for name in names}
    assert {RECEIVE, FALLBACK} <= linked["IexecEscrowTokenFacet"]


def test_a_hub_for_the_chains_own_coin_has_no_token(node: Any, deployer: Signer) -> None:
    manifest = node.run(deploy(node.rpc, deployer, variant="native"))
    assert (manifest.variant, manifest.token) == ("native", NULL_ADDRESS)
    assert node.read(manifest.hub, FUNCTIONS["token"]) == NULL_ADDRESS
    assert not {"RLC", "IexecEscrowTokenFacet"} & set(manifest.contracts)
    escrow = {facet: set(found) for facet, found in node.read(manifest.hub, FACETS)}[
        manifest.contracts["IexecEscrowNativeFacet"].address
    ]
    assert escrow == set(selectors(load("IexecEscrowNativeFacet")))
    assert {RECEIVE, FALLBACK} < escrow


def test_every_contract_is_where_the_manifest_says(node: Any, deployed: Manifest) -> None:
    for name, contract in deployed.contracts.items():
        code = node.ask("eth_getCode", contract.address, "latest")
        # Immutables follow the code.
        assert code.startswith(load(name).deployed_bytecode), name
        assert len(code) > 2, name
    before, after = (node.ask("eth_getCode", deployed.hub, hex(deployed.deployed_at - back)) for back in (1, 0))
    assert (before, len(after) > 2) == ("0x", True)


@pytest.mark.parametrize("kind", REGISTRIES)
def test_the_registries_are_open_and_owned_by_the_deployer(
    node: Any, deployed: Manifest, kind: str, deployer: Signer
) -> None:
    registry = getattr(deployed.registries, kind)
    assert node.read(registry, INITIALIZED) is True
    assert node.read(registry, PREVIOUS) == NULL_ADDRESS
    assert node.read(registry, OWNER) == deployer.address
    assert node.read(registry, BASE_URI) == f"https://nfts-metadata.iex.ec/{kind}/31337/"


def test_the_token_of_the_chain_is_used_when_there_is_one(node: Any, deployed: Manifest, deployer: Signer) -> None:
    second = node.run(
        deploy(
            node.rpc,
            deployer,
            token=deployed.token,
            salt=ANOTHER,
            registry_base_uri="ipfs://{kind}/",
            categories=[Category("Z", '""', 1)],
        )
    )
    assert second.token == deployed.token
    assert "RLC" not in second.contracts
    assert node.read(second.hub, FUNCTIONS["token"]) == deployed.token
    assert node.read(second.hub, FUNCTIONS["countCategory"]) == 1
    assert node.read(second.registries.dataset, BASE_URI) == "ipfs://dataset/"


def test_progress_is_told_after_each_transaction(node: Any, deployer: Signer) -> None:
    told: list[tuple[str, int, int]] = []
    node.run(deploy(node.rpc, deployer, salt=ANOTHER, progress=lambda *step: told.append(step)))
    total = told[0][2]
    assert [(done, of) for _, done, of in told] == [(number, total) for number in range(1, total + 1)]
    assert told[-1][0] == "create category XXS"


def gas_used(node: Any, first_block: int) -> list[tuple[int, int]]:
    """Gas used and gas allowed of every transaction since, in order."""
    found = []
    for number in range(first_block, node.run(node.rpc.block_number()) + 1):
        for transaction in node.ask("eth_getBlockByNumber", hex(number), True)["transactions"]:
            receipt = node.ask("eth_getTransactionReceipt", transaction["hash"])
            found.append((int(receipt["gasUsed"], 16), int(transaction["gas"], 16)))
    return found


@pytest.mark.parametrize("estimate", [False, True], ids=["by our own reckoning", "by the node's"])
@pytest.mark.parametrize("variant", ["token", "native"])
def test_every_transaction_has_gas_to_spare(node: Any, deployer: Signer, variant: Any, estimate: bool) -> None:
    salt = bytes32(0x100 + estimate)
    plan = make_plan(deployer.address, chain_id=31337, variant=variant, salt=salt)
    before = node.run(node.rpc.block_number())
    found = node.run(survey(node.rpc, plan))
    node.run(carry_out(node.rpc, deployer, found, estimate=estimate))
    used = gas_used(node, before + 1)
    assert len(used) == len(found.steps)
    for (spent, limit), step in zip(used, found.steps, strict=True):
        # EIP-7825 allows no transaction more than 2**24 gas.
        assert spent < 0.95 * limit, step.call.title
        assert limit <= 2**24, step.call.title


def test_what_a_survey_says_of_gas_is_enough_and_not_much_too_much(node: Any, deployer: Signer) -> None:
    before = node.run(node.rpc.block_number())
    found = node.run(survey(node.rpc, make_plan(deployer.address, chain_id=31337, salt=ANOTHER)))
    node.run(carry_out(node.rpc, deployer, found))
    spent = sum(used for used, _ in gas_used(node, before + 1))
    assert spent < found.gas < 1.7 * spent


@pytest.mark.parametrize("estimate", [False, True], ids=["in one go", "stage by stage"])
def test_what_does_not_fit_into_one_block_is_mined_in_several(node: Any, deployer: Signer, estimate: bool) -> None:
    """A chain that mines by the clock: what is sent within a second is to go into the same block."""

    async def on_a_slow_chain() -> None:
        async with Anvil(AnvilOptions(mixed=False, block_time=1)) as anvil, JsonRpc(anvil.url) as rpc:
            found = await survey(rpc, make_plan(deployer.address, chain_id=31337))
            assert found.gas > BLOCK_GAS_LIMIT
            await carry_out(rpc, deployer, found, estimate=estimate, timeout=20)

    node.run(on_a_slow_chain())


def test_an_account_without_funds_is_told_before_anything_is_sent(node: Any) -> None:
    poor = Signer.from_key(b"\x07" * 32)
    node.ask("anvil_setBalance", poor.address, hex(10**15))
    with pytest.raises(IexecError) as failure:
        node.run(deploy(node.rpc, poor))
    assert failure.value.code == "INSUFFICIENT_FUNDS"
    assert poor.address in failure.value.what
    assert node.sent_by(poor.address) == 0


def test_a_step_that_reverts_is_named(node: Any, deployer: Signer) -> None:
    with pytest.raises(IexecError) as failure:
        node.run(deploy(node.rpc, deployer, salt=ANOTHER, categories=[Category("long", "d" * 10_000, 1)]))
    assert failure.value.code == "TRANSACTION_REVERTED"
    assert failure.value.what.startswith("could not create category long")


def test_transactions_that_are_not_mined_are_given_up(node: Any, deployer: Signer) -> None:
    async def on_a_chain_that_does_not_mine() -> None:
        async with Anvil() as anvil, JsonRpc(anvil.url) as rpc:
            await rpc.call("evm_setAutomine", False)
            await rpc.call("evm_setIntervalMining", 3600)
            await deploy(rpc, deployer, timeout=0.2)

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


def test_a_selector_of_two_facets_goes_to_the_first(deployer: Signer) -> None:
    address = deployer.address
    first, second = facet_cuts([("OwnershipFacet", address), ("OwnershipFacet", address)])
    assert len(first[2]) == 2
    assert second[2] == []


def test_selectors_of_tuples_are_those_of_the_protocol() -> None:
    found = {to_hex(selector) for selector in selectors(load("IexecPoco1Facet"))}
    assert "0x156194d4" in found


def test_chains_of_iexec_get_a_hub_without_boost() -> None:
    assert {name for name in hub_facets("token", 1) if "Boost" in name} == {
        "IexecPocoBoostFacet",
        "IexecPocoBoostAccessorsFacet",
    }
    for chain_id in (42161, 421614):
        assert [name for name in HUB_FACETS if name not in hub_facets("token", chain_id)] == [
            "IexecPocoBoostFacet",
            "IexecPocoBoostAccessorsFacet",
        ]
    assert "IexecEscrowNativeFacet" in hub_facets("native", 1)
    assert "IexecEscrowTokenFacet" not in hub_facets("native", 1)


def test_a_token_that_is_not_there_is_refused(node: Any, deployer: Signer) -> None:
    nowhere = Address("0x000000000000000000000000000000000000dEaD")
    with pytest.raises(IexecError) as failure:
        node.run(deploy(node.rpc, deployer, salt=ANOTHER, token=nowhere))
    assert failure.value.code == "BAD_REQUEST"
    assert nowhere in failure.value.what


def test_a_native_hub_takes_no_token(deployed: Manifest, node: Any, deployer: Signer) -> None:
    with pytest.raises(IexecError) as failure:
        node.run(deploy(node.rpc, deployer, variant="native", token=deployed.token))
    assert failure.value.code == "BAD_REQUEST"
