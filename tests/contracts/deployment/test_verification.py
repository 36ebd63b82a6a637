"""Verification passes on what was deployed, and names whatever is otherwise."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from pyiexec.chain import registries
from pyiexec.chain.anvil import MNEMONIC
from pyiexec.chain.artifacts import load
from pyiexec.chain.deployment import Manifest, deploy
from pyiexec.chain.deployment.plan import master_of
from pyiexec.chain.deployment.verification import Check, verify
from pyiexec.chain.hub import FUNCTIONS, Category
from pyiexec.chain.mnemonic import derive
from pyiexec.chain.signer import Signer
from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.primitives import NULL_ADDRESS, Address, bytes32

ADD, REPLACE, REMOVE = 0, 1, 2
STRANGER = derive(MNEMONIC, 9).address


def differences(node: Any, manifest: Manifest, **options: Any) -> dict[tuple[str, str], str]:
    checks: list[Check] = node.run(verify(node.rpc, manifest, **options))
    return {(check.subject, check.what): check.difference for check in checks if not check.right}


def changed(manifest: Manifest, **fields: Any) -> Manifest:
    return msgspec.structs.replace(manifest, **fields)


def moved(manifest: Manifest, name: str, address: Address) -> Manifest:
    contract = msgspec.structs.replace(manifest.contracts[name], address=address)
    return changed(manifest, contracts=manifest.contracts | {name: contract})


def cut(node: Any, deployed: Manifest, deployer: Signer, facet: Address, action: int, selector: bytes) -> None:
    data = FUNCTIONS["diamondCut"].encode([(facet, action, [selector])], NULL_ADDRESS, b"")
    node.send(deployer.address, deployed.hub, data)


@pytest.mark.parametrize("variant", ["token", "native"])
def test_what_was_deployed_is_right_in_everything(node: Any, deployer: Signer, variant: Any) -> None:
    manifest = node.run(deploy(node.rpc, deployer, variant=variant))
    checks = node.run(verify(node.rpc, manifest))
    assert [check for check in checks if not check.right] == []
    assert {check.subject for check in checks} == {"manifest", "App", "Dataset", "Workerpool", *manifest.contracts}
    assert len(checks) > 4 * len(manifest.contracts)


def test_a_manifest_of_others_is_verified_as_far_as_it_goes(node: Any, deployed: Manifest) -> None:
    """The fields that everybody's manifest has: no deployer, no salt, no categories."""
    bare = changed(deployed, deployer=None, salt=None, categories=(), deployed_at=0)
    checks = node.run(verify(node.rpc, bare))
    assert all(check.right for check in checks)
    assert not any(check.what in ("address", "owner") for check in checks)
    assert differences(node, bare, owner=STRANGER).keys() == {
        (name, "owner") for name in ("Diamond", "AppRegistry", "DatasetRegistry", "WorkerpoolRegistry")
    }


@pytest.mark.parametrize("name", ["IexecPoco2Facet", "Diamond", "RLC", "DatasetRegistry", "Factory"])
def test_one_other_byte_of_code_is_found(node: Any, deployed: Manifest, name: str) -> None:
    address = deployed.contracts[name].address
    code = bytearray.fromhex(node.code(address)[2:])
    code[-1] ^= 1
    node.ask("anvil_setCode", address, "0x" + code.hex())
    found = differences(node, deployed)
    assert f"{len(code)} bytes of other code at {address}" in found[name, "code"]


def test_missing_code_is_found(node: Any, deployed: Manifest) -> None:
    address = deployed.contracts["IexecRelayFacet"].address
    node.ask("anvil_setCode", address, "0x")
    assert differences(node, deployed) == {("IexecRelayFacet", "code"): f"nothing at {address}"}


def test_another_master_of_assets_is_found(node: Any, deployed: Manifest) -> None:
    master = master_of(deployed.registries.workerpool)
    node.ask("anvil_setCode", master, load("App").deployed_bytecode)
    assert differences(node, deployed).keys() == {("Workerpool", "code")}


def test_a_registry_with_another_master_is_found(node: Any, deployed: Manifest) -> None:
    """The master's address is part of a registry's code."""
    registry = deployed.registries.app
    other = load("AppRegistry").deployed_bytecode + STRANGER[2:].lower().rjust(64, "0")
    node.ask("anvil_setCode", registry, other)
    assert {("AppRegistry", "code"), ("AppRegistry", "master")} <= differences(node, deployed).keys()


def test_a_function_that_was_cut_to_another_facet_is_found(node: Any, deployed: Manifest, deployer: Signer) -> None:
    other = deployed.contracts["IexecPoco1Facet"].address
    cut(node, deployed, deployer, other, REPLACE, FUNCTIONS["reveal"].selector)
    assert differences(node, deployed) == {("IexecPoco2Facet", "links"): f"reveal is linked to {other}"}


def test_a_function_that_was_cut_off_is_found(node: Any, deployed: Manifest, deployer: Signer) -> None:
    cut(node, deployed, deployer, NULL_ADDRESS, REMOVE, FUNCTIONS["claim"].selector)
    assert differences(node, deployed) == {("IexecPoco2Facet", "links"): "claim is linked nowhere"}


def test_a_function_that_was_added_is_found(node: Any, deployed: Manifest, deployer: Signer) -> None:
    facet = deployed.contracts["IexecPoco1Facet"].address
    cut(node, deployed, deployer, facet, ADD, bytes.fromhex("deadbeef"))
    assert differences(node, deployed) == {
        ("Diamond", "links"): f"0xdeadbeef is linked to {facet} and should not be there"
    }


def test_functions_for_transfers_and_the_rest_are_named(node: Any, deployed: Manifest, deployer: Signer) -> None:
    cut(node, deployed, deployer, NULL_ADDRESS, REMOVE, b"\xff" * 4)
    assert differences(node, deployed) == {("IexecEscrowTokenFacet", "links"): "fallback is linked nowhere"}


def test_a_new_owner_is_found_unless_named(node: Any, deployed: Manifest, deployer: Signer) -> None:
    for address in (deployed.hub, *msgspec.structs.astuple(deployed.registries)):
        node.send(deployer.address, address, registries.FUNCTIONS["transferOwnership"].encode(STRANGER))
    found = differences(node, deployed)
    assert found.keys() == {
        (name, "owner") for name in ("Diamond", "AppRegistry", "DatasetRegistry", "WorkerpoolRegistry")
    }
    assert found["Diamond", "owner"] == f"{STRANGER}, not {deployer.address}"
    assert differences(node, deployed, owner=STRANGER) == {}


def test_another_registry_of_the_hub_is_found(node: Any, deployed: Manifest, deployer: Signer) -> None:
    one = deployed.registries
    node.send(deployer.address, deployed.hub, FUNCTIONS["changeRegistries"].encode(one.dataset, one.dataset, STRANGER))
    assert differences(node, deployed) == {
        ("Diamond", "app registry"): f"{one.dataset}, not {one.app}",
        ("Diamond", "workerpool registry"): f"{STRANGER}, not {one.workerpool}",
    }


def test_categories_that_the_hub_does_not_have_are_found(node: Any, deployed: Manifest) -> None:
    claimed = (Category("XS", '""', 301), *deployed.categories[1:], Category("XXL", '""', 9))
    found = differences(node, changed(deployed, categories=claimed))
    assert found == {
        ("Diamond", "category 0"): 'XS "" of 300 s, not XS "" of 301 s',
        ("Diamond", f"category {len(claimed) - 1}"): 'none, not XXL "" of 9 s',
    }


def test_an_address_that_does_not_follow_from_deployer_and_salt_is_found(node: Any, deployed: Manifest) -> None:
    for wrong in (changed(deployed, salt=bytes32(5)), changed(deployed, deployer=STRANGER)):
        found = differences(node, wrong, owner=deployed.deployer)
        assert {name for name, what in found if what == "address"} == deployed.contracts.keys() - {"Factory"}
        # The code is right all the same.
        assert {what for _, what in found} == {"address", "constructor arguments"}


def test_a_manifest_that_names_wrong_addresses_is_found(node: Any, deployed: Manifest) -> None:
    found = differences(node, moved(deployed, "IexecPoco1Facet", STRANGER))
    assert found["IexecPoco1Facet", "code"] == f"nothing at {STRANGER}"
    assert "matchOrders is linked to" in found["IexecPoco1Facet", "links"]
    assert "address" in {what for name, what in found if name == "IexecPoco1Facet"}
    assert differences(node, changed(deployed, token=STRANGER)).keys() == {
        ("manifest", "address of RLC"),
        ("Diamond", "token"),
    }


def test_a_hub_that_is_none_is_found(node: Any, deployed: Manifest) -> None:
    found = differences(node, changed(deployed, hub=STRANGER))
    assert {("manifest", "address of Diamond"), ("Diamond", "facets"), ("Diamond", "settings")} <= found.keys()
    found = differences(node, changed(deployed, hub=deployed.token))
    assert {("Diamond", "facets"), ("Diamond", "settings")} <= found.keys()


def test_a_registry_that_is_none_is_found(node: Any, deployed: Manifest) -> None:
    wrong = msgspec.structs.replace(deployed.registries, app=deployed.token)
    assert ("AppRegistry", "settings") in differences(node, changed(deployed, registries=wrong))


def test_contracts_that_the_manifest_leaves_out_are_found(node: Any, deployed: Manifest) -> None:
    fewer = {name: contract for name, contract in deployed.contracts.items() if name != "IexecRelayFacet"}
    found = differences(node, changed(deployed, contracts=fewer))
    assert found["manifest", "contracts"] == "IexecRelayFacet missing"
    assert "should not be there" in found["Diamond", "links"]


def test_a_contract_that_nobody_compiled_is_found(node: Any, deployed: Manifest) -> None:
    more = deployed.contracts | {"Fantasy": deployed.contracts["Diamond"]}
    assert differences(node, changed(deployed, contracts=more)) == {
        ("Fantasy", "code"): "no contract of this name is compiled"
    }


def test_a_manifest_of_the_other_variant_is_found(node: Any, deployed: Manifest) -> None:
    found = differences(node, changed(deployed, variant="native"))
    assert found["manifest", "contracts"] == "IexecEscrowNativeFacet missing"


def test_a_node_of_another_chain_is_refused(node: Any, deployed: Manifest) -> None:
    with pytest.raises(IexecError) as failure:
        node.run(verify(node.rpc, changed(deployed, chain_id=1)))
    assert failure.value.code == "CHAIN_ID_WRONG"
