"""Code and coins where the hub or a registry is about to write, facets called without the diamond, and `blob()`.

What deals and results are concerned with is in test_security and test_boost_matching; here are the assets, and the ways
around the front door.
"""

from __future__ import annotations

from typing import Any

import pytest

from pyiexec.chain import registries
from pyiexec.chain.abi import Function
from pyiexec.chain.artifacts import load
from pyiexec.chain.calls import match_orders
from pyiexec.chain.deployment import hub_facets
from pyiexec.chain.hub import FUNCTIONS
from pyiexec.chain.signer import create2_address
from pyiexec.protocol import ids
from pyiexec.protocol.orders import order_to_abi
from pyiexec.protocol.primitives import NULL_ADDRESS, Address, bytes32, checksum, keccak256, to_bytes

INIT_CODE = bytes.fromhex("63fde0e7a83d523d3d6004601c335afa6016575f5ffd5b3d5f5f3e3d5ff3")
BLOB = Function.parse("blob() view returns (bytes)")
ENTRY = Function.parse("entry(uint256) view returns (uint256)")
REGISTERED = Function.parse("isRegistered(address) view returns (bool)")
FIELDS: dict[str, tuple[Any, ...]] = {
    "app": ("new", "WASM", b"\x01", bytes32(7), b""),
    "dataset": ("new", b"\x02", bytes32(8)),
    "workerpool": ("new",),
}
REFUSALS = {"app": "0x20", "dataset": "0x30", "workerpool": "0x40"}
#: One word at least for each argument, in dynamic ones an empty array or byte string, in orders nothing at all.
NOTHING = {"address": NULL_ADDRESS, "string": "", "bytes": b"", "bool": False}


def place_of(market: Any, identifier: str) -> str:
    return create2_address(market.hub, to_bytes(identifier), keccak256(INIT_CODE))


def foretold(market: Any, kind: str, owner: str) -> Address:
    registry = getattr(market.manifest.registries, kind)
    predict = registries.FUNCTIONS[f"predict{kind.capitalize()}"]
    return checksum(market.chain.call(registry, predict.encode(owner, *FIELDS[kind]))[-20:])


def order_for(market: Any, kind: str, asset: str) -> dict[str, Any]:
    """Orders in which this asset takes the place of the usual one."""
    order = getattr(market, f"{kind}_order")(**{kind: asset})
    if kind == "workerpool":
        return {kind: order}
    return {kind: order, "request": market.request_order(**{kind: asset})}


# --- assets -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", FIELDS)
def test_code_at_the_address_of_an_asset_to_come_is_no_asset(market: Any, reverted: Any, kind: str) -> None:
    """Even that of a genuine one: what is registered says the registry's storage."""
    registry = getattr(market.manifest.registries, kind)
    owner = {"app": market.app_owner, "dataset": market.dataset_owner, "workerpool": market.scheduler}[kind]
    place = foretold(market, kind, owner)
    market.chain.ask("anvil_setCode", place, market.chain.ask("eth_getCode", getattr(market, kind), "latest"))
    assert not REGISTERED.decode(market.chain.call(registry, REGISTERED.encode(place)))[0]
    assert ENTRY.decode(market.chain.call(registry, ENTRY.encode(int(place, 16))))[0] == 0
    with pytest.raises(reverted, match=REFUSALS[kind]):
        market.match(**order_for(market, kind, place))
    create = registries.FUNCTIONS[f"create{kind.capitalize()}"]
    with pytest.raises(reverted, match=r"^Create2: Failed on deploy$"):
        market.chain.send(registry, create.encode(owner, *FIELDS[kind]), owner)


@pytest.mark.parametrize("kind", FIELDS)
def test_coins_at_the_address_of_an_asset_to_come_do_not_keep_it_from_coming(market: Any, kind: str) -> None:
    owner = {"app": market.app_owner, "dataset": market.dataset_owner, "workerpool": market.scheduler}[kind]
    place = foretold(market, kind, owner)
    market.chain.send(place, b"", market.stranger, value=10**18)
    assert market.create_asset(kind, owner, *FIELDS[kind]) == place
    assert market.deal(market.match(**order_for(market, kind, place)).id).exists


def test_an_asset_of_a_registry_of_ones_own_is_not_registered(market: Any, reverted: Any) -> None:
    """The whole registry code, deployed by anybody: its assets are genuine there, and unknown to the hub."""
    artifact = load("AppRegistry")
    registry = market.chain.send(None, to_bytes(artifact.bytecode), market.stranger).contract
    create = registries.FUNCTIONS["createApp"].encode(market.app_owner, *FIELDS["app"])
    predict = registries.FUNCTIONS["predictApp"].encode(market.app_owner, *FIELDS["app"])
    asset = checksum(market.chain.call(registry, predict)[-20:])
    market.chain.send(registry, create, market.stranger)
    assert market.view("viewApp", asset)[0] == market.app_owner
    with pytest.raises(reverted, match="0x20"):
        market.match(**order_for(market, "app", asset))


# --- deals and results ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("what", ["deal", "boost deal", "result"])
def test_coins_where_the_hub_is_about_to_write_are_no_obstacle(market: Any, what: str) -> None:
    task = market.started()
    request = market.request_order()
    deal = ids.deal_id(market.hash(request), 0)
    market.chain.send(place_of(market, task if what == "result" else deal), b"", market.stranger, value=1)
    if what == "result":
        market.contribute_and_finalize(task, market.workers[0], results=b"link")
        assert market.task(task).results == b"link"
    elif what == "deal":
        assert market.deal(market.match(request=request).id).exists
    else:
        market.match(request=request, boost=True)
        assert market.boost_deal(deal).exists


@pytest.mark.parametrize("code", ["0x00", "0xfe", "0x600b80380380913d393df3"])
def test_whatever_code_takes_the_place_of_a_result_the_task_ends_by_a_claim(
    market: Any, reverted: Any, code: str
) -> None:
    """Who could put code there could hold a result back, at the price of the scheduler's stake; no money is stuck."""
    task = market.started()
    market.contribute(task, market.workers[0])
    market.reveal(task, market.workers[0])
    market.chain.ask("anvil_setCode", place_of(market, task), code)
    with pytest.raises(reverted, match=r"^blob exists$"):
        market.finalize(task, b"link")
    market.send("claim", task, sender=market.requester, at=market.task(task).final_deadline)
    assert market.account(market.requester)[1] == market.account(market.workers[0])[1] == 0
    assert market.task(task).results == b""


def test_blob_tells_a_callback_what_is_public_and_writes_nothing(market: Any, actor: Any) -> None:
    """Asked from inside the transaction that made it; code of the actor's own under the same id is elsewhere."""
    task = market.started(callback=actor.address)
    actor.plan(market.hub, BLOB.encode())
    actor.arm()
    market.send("setCallbackGas", 5_000_000, sender=market.admin)
    market.contribute_and_finalize(task, market.workers[0], results=b"link", callback=b"data")
    assert actor.outcome() is True
    assert market.task(task).results == b"link"
    assert market.chain.call(market.hub, BLOB.encode()) == b""
    mine = create2_address(actor.address, to_bytes(task), keccak256(INIT_CODE))
    assert mine != place_of(market, task)


# --- facets without the diamond ---------------------------------------------------------------------------------------


def nothing(parameter: Any) -> Any:
    if parameter.type.endswith("]"):
        return []
    if parameter.components:
        return tuple(nothing(component) for component in parameter.components)
    if parameter.type.startswith("uint"):
        return 0
    if parameter.type.startswith("bytes") and parameter.type != "bytes":
        return "0x" + "00" * int(parameter.type[5:])
    return NOTHING[parameter.type]


def facets(market: Any) -> dict[str, Address]:
    return {name: market.manifest.contracts[name].address for name in hub_facets("token", market.manifest.chain_id)}


def test_no_facet_has_an_owner_a_token_or_a_deal_of_its_own(market: Any, reverted: Any) -> None:
    """Called directly, a facet works on its own empty storage: what needs anything of the hub's is refused."""
    orders = market.app_order(), market.dataset_order(), market.workerpool_order(), market.request_order()
    abi = [order_to_abi(order) for order in orders]
    match = market.match(volume=2)
    task = market.initialize(match)
    needs_the_hub = {
        "IexecPoco1Facet": [match_orders(*orders), match_orders(*orders, sponsor=True)],
        "IexecPoco2Facet": [
            FUNCTIONS["initialize"].encode(match.id, 1),
            FUNCTIONS["claim"].encode(task),
            FUNCTIONS["reveal"].encode(task, bytes32(1)),
            FUNCTIONS["finalize"].encode(task, b"", b""),
            FUNCTIONS["reopen"].encode(task),
        ],
        "IexecPocoBoostFacet": [
            FUNCTIONS["matchOrdersBoost"].encode(*abi),
            FUNCTIONS["claimBoost"].encode(match.id, 0),
        ],
        "IexecEscrowTokenFacet": [
            FUNCTIONS["deposit"].encode(0),
            FUNCTIONS["withdraw"].encode(0),
            FUNCTIONS["recover"].encode(),
            FUNCTIONS["transfer"].encode(market.stranger, 1),
            FUNCTIONS["receiveApproval"].encode(market.requester, 1, market.manifest.token, b""),
        ],
        "IexecConfigurationFacet": [
            FUNCTIONS["configure"].encode(NULL_ADDRESS, "", "", 0, *[NULL_ADDRESS] * 4),
            FUNCTIONS["setCallbackGas"].encode(1),
            FUNCTIONS["setTeeBroker"].encode(market.stranger),
            FUNCTIONS["importScore"].encode(market.stranger),
        ],
        "IexecConfigurationExtraFacet": [FUNCTIONS["changeRegistries"].encode(*[market.stranger] * 3)],
        "IexecCategoryManagerFacet": [FUNCTIONS["createCategory"].encode("", "", 1)],
        "OwnershipFacet": [FUNCTIONS["transferOwnership"].encode(market.stranger)],
        "DiamondCutFacet": [FUNCTIONS["diamondCut"].encode([], market.manifest.token, b"")],
        "IexecOrderManagementFacet": [FUNCTIONS["manageAppOrder"].encode((abi[0], 1, b""))],
    }
    where = facets(market) | {
        name: market.manifest.contracts[name].address for name in ("OwnershipFacet", "DiamondCutFacet")
    }
    for name, attempts in needs_the_hub.items():
        for data in attempts:
            for caller in (market.admin, market.scheduler, market.app_owner):
                with pytest.raises(reverted):
                    market.chain.send(where[name], data, caller)


def test_no_call_to_a_facet_reaches_the_hub(market: Any) -> None:
    """Every function of every facet, called directly with nothing in it, leaves hub and token as they were."""
    chain = market.chain
    before = [market.view("totalSupply"), market.view("owner"), market.view("countCategory")]
    proof = chain.ask("eth_getProof", market.hub, [], "latest")["storageHash"]
    code = {name: chain.ask("eth_getCode", address, "latest") for name, address in facets(market).items()}
    done = 0
    for address in facets(market).values():
        for function in FUNCTIONS.values():
            if function.mutability == "nonpayable":
                data = function.encode(*[nothing(parameter) for parameter in function.inputs])
                raw = {"from": market.stranger, "to": address, "data": "0x" + data.hex(), "gas": hex(2_000_000)}
                chain.ask("eth_sendTransaction", raw)
                done += 1
        chain.ask("evm_mine")
    assert done > 500
    assert [market.view("totalSupply"), market.view("owner"), market.view("countCategory")] == before
    assert chain.ask("eth_getProof", market.hub, [], "latest")["storageHash"] == proof
    assert {name: chain.ask("eth_getCode", address, "latest") for name, address in facets(market).items()} == code
