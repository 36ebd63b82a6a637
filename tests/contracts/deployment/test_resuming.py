"""A deployment that was broken off is completed, one that is complete is left alone, and another one is not touched."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from pyiexec.chain import registries
from pyiexec.chain.anvil import MNEMONIC, Anvil, AnvilOptions
from pyiexec.chain.deployment import (
    DEFAULT_CATEGORIES,
    STANDARD_CATEGORIES,
    Manifest,
    carry_out,
    deploy,
    make_plan,
    settle,
    survey,
)
from pyiexec.chain.deployment.factory import PROXY, PROXY_CODE, PROXY_CREATOR, PROXY_TRANSACTION
from pyiexec.chain.hub import FUNCTIONS, Category
from pyiexec.chain.mnemonic import derive
from pyiexec.chain.rpc import JsonRpc, RpcError
from pyiexec.chain.sending import Call, send_all
from pyiexec.chain.signer import Signer, create_address
from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.primitives import Bytes32, bytes32, keccak256, to_hex

ANOTHER: Bytes32 = bytes32(1)
ANOTHER_ACCOUNT = derive(MNEMONIC, 5)


class BrokenOffError(Exception):
    """Stands for the end of the process: nothing after it is done."""


def broken_off_after(count: int) -> Any:
    def progress(_what: str, done: int, _total: int) -> None:
        if done == count:
            raise BrokenOffError

    return progress


def same_place(one: Manifest, other: Manifest) -> bool:
    return msgspec.structs.replace(one, deployed_at=0) == msgspec.structs.replace(other, deployed_at=0)


def test_deploying_again_sends_nothing_and_tells_the_same(node: Any, deployed: Manifest, deployer: Signer) -> None:
    before = node.sent_by(deployer.address)
    assert node.run(deploy(node.rpc, deployer)) == deployed
    assert node.sent_by(deployer.address) == before


def test_a_deployment_broken_off_after_any_transaction_is_completed_with_the_same_addresses(
    node: Any, deployed: Manifest, deployer: Signer
) -> None:
    plan = make_plan(deployer.address, chain_id=31337, salt=ANOTHER)
    total = len(node.run(survey(node.rpc, plan)).steps)
    for count in range(1, total + 1):
        snapshot = node.ask("evm_snapshot")
        before = node.sent_by(deployer.address)
        with pytest.raises(BrokenOffError):
            node.run(deploy(node.rpc, deployer, salt=ANOTHER, progress=broken_off_after(count)))
        completed = node.run(deploy(node.rpc, deployer, salt=ANOTHER))
        assert same_place(completed, plan.manifest(0)), count
        # Nothing was sent twice, and nothing left out.
        assert node.sent_by(deployer.address) == before + total, count
        assert not node.run(survey(node.rpc, plan)).steps, count
        node.ask("evm_revert", snapshot)


def test_addresses_do_not_depend_on_what_the_account_has_sent_before(node: Any, deployed: Manifest) -> None:
    account = ANOTHER_ACCOUNT

    async def on_a_chain(options: AnvilOptions, transactions: int) -> Manifest:
        async with Anvil(options) as anvil, JsonRpc(anvil.url) as rpc:
            await send_all(rpc, account, [Call(account.address, b"", 21_000)] * transactions)
            return await deploy(rpc, account)

    here = node.run(on_a_chain(AnvilOptions(), 0))
    there = node.run(on_a_chain(AnvilOptions(chain_id=1234), 3))
    assert {name: contract.address for name, contract in here.contracts.items()} == {
        name: contract.address for name, contract in there.contracts.items()
    }
    assert here.hub != deployed.hub


def test_a_salt_sets_deployments_of_one_account_apart(node: Any, deployed: Manifest, deployer: Signer) -> None:
    other = node.run(deploy(node.rpc, deployer, salt=ANOTHER))
    shared = {
        name for name, contract in other.contracts.items() if contract.address == deployed.contracts[name].address
    }
    assert shared == {"Factory"}


def test_what_was_sent_before_is_waited_for(node: Any, deployer: Signer) -> None:
    async def on_a_chain_that_mines_when_told() -> tuple[int, Manifest]:
        async with Anvil() as anvil, JsonRpc(anvil.url) as rpc:
            await rpc.call("evm_setAutomine", False)
            await rpc.call("evm_setIntervalMining", 3600)
            with pytest.raises(BrokenOffError):
                await deploy(rpc, deployer, progress=broken_off_after(3))
            pending = int(await rpc.call("eth_getTransactionCount", deployer.address, "pending"), 16)
            completing = asyncio.create_task(deploy(rpc, deployer))
            while not completing.done():
                await rpc.call("evm_mine")
            manifest = await completing
            plan = make_plan(deployer.address, chain_id=31337)
            sent = int(await rpc.call("eth_getTransactionCount", deployer.address, "latest"), 16)
            assert sent == len(plan.parts) + 3 * 2 + 1 + len(DEFAULT_CATEGORIES)
            return pending, manifest

    pending, manifest = node.run(on_a_chain_that_mines_when_told())
    assert pending == 3
    assert same_place(manifest, make_plan(deployer.address, chain_id=31337).manifest(0))


def test_waiting_for_what_is_never_mined_is_given_up(node: Any, deployer: Signer) -> None:
    async def on_a_chain_that_does_not_mine() -> None:
        async with Anvil() as anvil, JsonRpc(anvil.url) as rpc:
            await rpc.call("evm_setAutomine", False)
            await rpc.call("evm_setIntervalMining", 3600)
            await send_all(rpc, deployer, [Call(deployer.address, b"", 21_000)], wait=False)
            await settle(rpc, deployer.address, timeout=0.1)

    with pytest.raises(IexecError) as failure:
        node.run(on_a_chain_that_does_not_mine())
    assert (failure.value.code, failure.value.retry) == ("CHAIN_REFUSED", True)


def test_more_categories_than_asked_for_are_no_conflict(node: Any, deployed: Manifest, deployer: Signer) -> None:
    before = node.sent_by(deployer.address)
    node.run(deploy(node.rpc, deployer, categories=STANDARD_CATEGORIES))
    assert node.sent_by(deployer.address) == before


def test_a_category_that_is_missing_is_added(node: Any, deployed: Manifest, deployer: Signer) -> None:
    longer = (*DEFAULT_CATEGORIES, Category("XXL", '""', 100_000))
    node.run(deploy(node.rpc, deployer, categories=longer))
    assert node.read(deployed.hub, FUNCTIONS["countCategory"]) == len(longer)
    assert node.read(deployed.hub, FUNCTIONS["viewCategory"], len(longer) - 1) == ("XXL", '""', 100_000)


def test_another_place_for_metadata_is_told_to_the_registries(node: Any, deployed: Manifest, deployer: Signer) -> None:
    before = node.sent_by(deployer.address)
    node.run(deploy(node.rpc, deployer, registry_base_uri="ipfs://{kind}/"))
    assert node.sent_by(deployer.address) == before + 3


def test_both_variants_of_one_account_share_their_registries(node: Any, deployed: Manifest, deployer: Signer) -> None:
    native = node.run(deploy(node.rpc, deployer, variant="native"))
    assert native.registries == deployed.registries
    assert native.hub != deployed.hub


def test_a_category_that_is_another_is_a_conflict(node: Any, deployed: Manifest, deployer: Signer) -> None:
    before = node.sent_by(deployer.address)
    with pytest.raises(IexecError) as failure:
        node.run(deploy(node.rpc, deployer, categories=(Category("XS", '""', 301), Category("new", '""', 1))))
    assert failure.value.code == "DEPLOYMENT_CONFLICT"
    assert "category 0" in failure.value.what
    assert node.sent_by(deployer.address) == before


def test_a_hub_with_another_token_is_a_conflict(node: Any, deployed: Manifest, deployer: Signer) -> None:
    token = node.run(deploy(node.rpc, deployer, salt=ANOTHER)).token
    with pytest.raises(IexecError) as failure:
        node.run(deploy(node.rpc, deployer, token=token))
    assert failure.value.code == "DEPLOYMENT_CONFLICT"
    assert deployed.token in failure.value.what


def test_a_hub_with_other_registries_is_a_conflict(node: Any, deployed: Manifest, deployer: Signer) -> None:
    other = deployed.registries.app
    node.send(deployer.address, deployed.hub, FUNCTIONS["changeRegistries"].encode(other, other, other))
    with pytest.raises(IexecError) as failure:
        node.run(deploy(node.rpc, deployer))
    assert failure.value.code == "DEPLOYMENT_CONFLICT"
    assert "registries" in failure.value.what


@pytest.mark.parametrize("name", ["IexecPoco1Facet", "AppRegistry", "Factory"])
def test_foreign_code_at_an_address_is_a_conflict(node: Any, deployed: Manifest, deployer: Signer, name: str) -> None:
    node.ask("anvil_setCode", deployed.contracts[name].address, "0x600160005260206000f3")
    with pytest.raises(IexecError) as failure:
        node.run(deploy(node.rpc, deployer))
    assert failure.value.code == "DEPLOYMENT_CONFLICT"
    assert name in failure.value.what


def test_what_belongs_to_somebody_else_now_is_left_to_him(node: Any, deployed: Manifest, deployer: Signer) -> None:
    heir = ANOTHER_ACCOUNT.address
    node.send(deployer.address, deployed.hub, FUNCTIONS["transferOwnership"].encode(heir))
    node.send(deployer.address, deployed.registries.app, registries.FUNCTIONS["transferOwnership"].encode(heir))
    # A finished deployment needs no owner.
    assert node.run(deploy(node.rpc, deployer)) == deployed
    for change in ({"categories": (*DEFAULT_CATEGORIES, Category("new", '""', 1))}, {"registry_base_uri": "ipfs://"}):
        with pytest.raises(IexecError) as failure:
            node.run(deploy(node.rpc, deployer, **change))
        assert failure.value.code == "NOT_OWNER"
        assert heir in failure.value.what


def test_a_chain_without_the_deployment_proxy_is_given_one(node: Any, deployer: Signer) -> None:
    account = ANOTHER_ACCOUNT
    usual = make_plan(account.address, chain_id=31337)

    async def on_a_bare_chain() -> tuple[Manifest, str]:
        async with Anvil() as anvil, JsonRpc(anvil.url) as rpc:
            await rpc.call("anvil_setCode", PROXY, "0x")
            await rpc.call("anvil_setNonce", PROXY_CREATOR, "0x0")
            found = await survey(rpc, usual)
            assert not found.has_proxy
            manifest = await carry_out(rpc, account, found)
            return manifest, await rpc.call("eth_getCode", PROXY, "latest")

    manifest, code = node.run(on_a_bare_chain())
    assert same_place(manifest, usual.manifest(0))
    assert code == to_hex(PROXY_CODE)


def test_the_proxy_is_where_its_creator_s_first_transaction_puts_it() -> None:
    assert create_address(PROXY_CREATOR, 0) == PROXY
    assert to_hex(keccak256(PROXY_TRANSACTION)) == "0xeddf9e61fb9d8f5111840daef55e5fde0041f5702856532cdbb5a02998033d26"


def test_a_chain_that_refuses_the_proxy_is_told_of(
    node: Any, deployer: Signer, monkeypatch: pytest.MonkeyPatch
) -> None:
    call = JsonRpc.call

    async def strict(self: JsonRpc, method: str, *params: Any) -> Any:
        # As nodes answer that want every transaction to name its chain (EIP-155).
        if method == "eth_sendRawTransaction" and params[0] == to_hex(PROXY_TRANSACTION):
            message = "only replay-protected (EIP-155) transactions allowed over RPC"
            raise RpcError(method, {"code": -32000, "message": message})
        return await call(self, method, *params)

    monkeypatch.setattr(JsonRpc, "call", strict)
    node.ask("anvil_setCode", PROXY, "0x")
    with pytest.raises(IexecError) as failure:
        node.run(deploy(node.rpc, deployer, salt=ANOTHER))
    assert failure.value.code == "FACTORY_UNAVAILABLE"
    assert "EIP-155" in failure.value.what


def test_something_else_at_the_proxy_s_address_is_refused(node: Any, deployer: Signer) -> None:
    node.ask("anvil_setCode", PROXY, "0x00")
    with pytest.raises(IexecError) as failure:
        node.run(deploy(node.rpc, deployer, salt=ANOTHER))
    assert failure.value.code == "FACTORY_UNAVAILABLE"


def test_a_node_of_another_chain_is_refused(node: Any, deployer: Signer) -> None:
    with pytest.raises(IexecError) as failure:
        node.run(survey(node.rpc, make_plan(deployer.address, chain_id=1)))
    assert failure.value.code == "CHAIN_ID_WRONG"


def test_a_step_that_would_revert_is_named_before_it_is_sent(node: Any, deployer: Signer) -> None:
    before = node.sent_by(deployer.address)
    plan = make_plan(deployer.address, chain_id=31337, salt=ANOTHER, categories=[Category("long", "d" * 10_000, 1)])
    found = node.run(survey(node.rpc, plan))
    with pytest.raises(IexecError) as failure:
        node.run(carry_out(node.rpc, deployer, found, estimate=True))
    assert failure.value.code == "TRANSACTION_REVERTED"
    assert failure.value.what.startswith("could not create category long")
    # Those of the stages before stand; of its own stage nothing was sent.
    assert node.sent_by(deployer.address) == before + len(found.steps) - 2


def test_the_block_of_the_hub_is_zero_when_the_node_does_not_search(
    node: Any, deployed: Manifest, deployer: Signer, monkeypatch: pytest.MonkeyPatch
) -> None:
    call = JsonRpc.call

    async def short_memory(self: JsonRpc, method: str, *params: Any) -> Any:
        if method == "eth_getLogs":
            raise RpcError(method, {"code": -32005, "message": "block range is too wide"})
        return await call(self, method, *params)

    monkeypatch.setattr(JsonRpc, "call", short_memory)
    assert node.run(deploy(node.rpc, deployer)).deployed_at == 0
