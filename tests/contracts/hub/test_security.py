"""What an attacker may try, and differences from the reference that close a hole."""

from __future__ import annotations

import random
from typing import Any

import pytest
from msgspec.structs import replace

from pyiexec.chain.abi import Function
from pyiexec.chain.calls import manage_order
from pyiexec.chain.signer import create2_address
from pyiexec.protocol import ids
from pyiexec.protocol.orders import OrderOperation, order_to_abi
from pyiexec.protocol.primitives import keccak256, to_bytes, to_hex

INIT_CODE = bytes.fromhex("63fde0e7a83d523d3d6004601c335afa6016575f5ffd5b3d5f5f3e3d5ff3")
BLOB = Function.parse("blob() view returns (bytes)")


def place_of(market: Any, identifier: str) -> str:
    """Where the hub keeps the deal or the result of that id."""
    return create2_address(market.hub, to_bytes(identifier), keccak256(INIT_CODE))


def code_at(market: Any, address: str) -> bytes:
    return to_bytes(market.chain.ask("eth_getCode", address, "latest"))


def plant(market: Any, identifier: str, code: bytes) -> None:
    market.chain.ask("anvil_setCode", place_of(market, identifier), to_hex(code))


def refused(market: Any, reverted: Any, deal_id: str, index: int = 0) -> None:
    """The hub does not know the deal, whatever stands at its address."""
    with pytest.raises(reverted) as caught:
        market.send("initialize", deal_id, index, sender=market.stranger)
    assert caught.value.data == b""
    assert not market.deal(deal_id).exists
    with pytest.raises(reverted, match="Deal not found"):
        market.view("assertDatasetDealCompatibility", order_to_abi(market.dataset_order()), deal_id)


# --- forged deals: the attacker is given what costs 2**80 hashes, code of its own at the address of a deal ------------


def test_code_at_the_address_of_an_unmatched_deal_is_no_deal(market: Any, reverted: Any) -> None:
    genuine = market.match()
    forged = "0x" + "ab" * 32
    plant(market, forged, code_at(market, place_of(market, genuine.id)))
    refused(market, reverted, forged)


def test_a_request_that_was_closed_but_never_matched_proves_no_deal(market: Any, reverted: Any) -> None:
    genuine, request = market.match(), market.request_order(volume=5)
    market.chain.send(market.hub, manage_order(request, OrderOperation.CLOSE), market.requester)
    assert market.view("viewConsumed", market.hash(request)) == 5
    for first in (0, 1, 4):
        forged = ids.deal_id(market.hash(request), first)
        code = code_at(market, place_of(market, genuine.id))
        plant(market, forged, code.replace(to_bytes(market.hash(genuine.request)), to_bytes(market.hash(request))))
        refused(market, reverted, forged, first)


def test_a_request_that_was_matched_proves_no_deal_in_its_middle(market: Any, reverted: Any) -> None:
    """Its id could be prepared long before the match of a larger volume."""
    genuine = market.match(volume=3)
    for first in (1, 2):
        forged = ids.deal_id(market.hash(genuine.request), first)
        plant(market, forged, code_at(market, place_of(market, genuine.id)))
        refused(market, reverted, forged, first)


def test_a_match_over_planted_code_is_refused_at_little_gas(market: Any, reverted: Any) -> None:
    request = market.request_order()
    plant(market, ids.deal_id(market.hash(request), 0), b"\x00")
    with pytest.raises(reverted, match=r"^blob exists$"):
        market.match(request=request)
    assert market.view("viewConsumed", market.hash(request)) == 0


def test_planted_results_are_not_read(market: Any) -> None:
    task = market.started()
    market.contribute_and_finalize(task, market.workers[0])
    plant(market, task, code_at(market, place_of(market, market.task(task).deal_id)))
    assert market.task(task).results == market.task(task).results_callback == b""
    assert market.view("resultFor", task) == b""


def test_results_over_planted_code_are_refused(market: Any, reverted: Any) -> None:
    task = market.started()
    plant(market, task, b"\x00")
    with pytest.raises(reverted, match=r"^blob exists$"):
        market.contribute_and_finalize(task, market.workers[0], results=b"link")


def test_a_result_that_reads_like_a_deal_is_none(market: Any, reverted: Any) -> None:
    """No hashes needed: the id of a deal's task 0 is that of a deal whose request order has the hash of the deal."""
    task = market.started()
    genuine = code_at(market, place_of(market, market.task(task).deal_id))[11:]
    forged = genuine.replace(genuine[5 * 32 : 6 * 32], to_bytes(market.task(task).deal_id))
    # what the hub keeps begins with two bytes of length: the forger shifts its words accordingly
    market.contribute_and_finalize(task, market.workers[0], results=forged[2:])
    assert market.task(task).results == forged[2:]
    assert code_at(market, place_of(market, task))[13:] == forged[2:]
    refused(market, reverted, task)


def test_ether_waiting_at_the_address_of_a_deal_is_harmless(market: Any) -> None:
    request = market.request_order()
    market.chain.send(place_of(market, ids.deal_id(market.hash(request), 0)), b"", market.stranger, value=10**18)
    assert market.deal(market.match(request=request).id).exists


def test_the_bytes_of_a_deal_are_told_only_while_it_is_made(market: Any) -> None:
    assert market.chain.call(market.hub, BLOB.encode()) == b""


def test_the_function_that_tells_them_cannot_be_cut(market: Any, reverted: Any) -> None:
    facet = market.manifest.contracts["OwnershipFacet"].address
    for action in (0, 1):
        with pytest.raises(reverted):
            market.send("diamondCut", [(facet, action, [BLOB.selector])], "0x" + "0" * 40, b"", sender=market.admin)


# --- what the reference gets wrong ------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", [3, 4, 5])
def test_fixed_18_a_group_that_answers_nonsense_has_no_members(
    market: Any, mock: Any, reverted: Any, mode: int
) -> None:
    with pytest.raises(reverted, match="0x15"):
        market.match(app=market.app_order(requesterrestrict=mock("Wallet", mode)))


@pytest.mark.parametrize("mode", [3, 4, 5])
def test_fixed_18_a_wallet_that_answers_nonsense_has_not_signed(
    market: Any, mock: Any, reverted: Any, mode: int
) -> None:
    with pytest.raises(reverted, match="0x50"):
        market.match(request=market.request_order(requester=mock("Wallet", mode), sign="0x" + "11" * 65))


def test_fixed_19_an_account_with_delegated_code_signs_with_its_key(market: Any) -> None:
    """EIP-7702: requester, scheduler and enclave keep their keys when they borrow code without ERC-1271."""
    delegation = "0xef0100" + market.manifest.token[2:]
    match = market.match()
    for account in (market.requester, market.scheduler, market.enclave):
        market.chain.ask("anvil_setCode", account, delegation)
    assert market.deal(market.match().id).exists
    market.contribute(market.initialize(match), market.workers[0], enclave=market.enclave)


def test_fixed_20_a_recovery_id_of_0_or_1_is_27_or_28(market: Any) -> None:
    request = market.request_order()
    sign = to_bytes(request.sign)
    bare = replace(request, sign=to_hex(sign[:64] + bytes([sign[64] - 27])))
    assert market.deal(market.match(request=bare).id).exists
    for wrong in (2, 26, 29, 255):
        other = sign[:64] + bytes([wrong])
        assert not market.view("verifySignature", market.requester, market.hash(request), other)


# --- money ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(4))
def test_money_is_conserved_whatever_happens(market: Any, reverted: Any, seed: int) -> None:
    """A random walk over deals and tasks; most steps are refused, and none creates or loses a nRLC."""
    dice = random.Random(seed)
    supply = market.view("totalSupply")
    tasks: list[str] = []
    steps = done = 0
    while steps < 80:
        steps += 1
        action = dice.choice(["match", "contribute", "contribute", "contribute", "reveal", "reveal", "reveal",
                              "finalize", "finalize", "reopen", "claim", "shortcut"])  # fmt: skip
        task = dice.choice(tasks) if tasks else ""
        worker, answer = dice.choice(market.workers[:5]), dice.choice(["right", "right", "wrong"])
        try:
            if action == "match" or not tasks:
                match = market.match(
                    volume=dice.randint(1, 2),
                    trust=dice.choice([1, 1, 3, 5]),
                    sponsored=dice.random() < 0.5,
                    no_dataset=dice.random() < 0.5,
                    workerpool=market.workerpool_order(workerpoolprice=dice.choice([0, 7, 10**9])),
                )
                tasks.append(market.initialize(match))
            elif action == "contribute":
                market.contribute(task, worker, answer)
            elif action == "reveal":
                market.reveal(task, worker, answer)
            elif action == "finalize":
                late = max(market.task(task).reveal_deadline, market.chain.now() + 1)
                market.finalize(task, b"link", at=late if dice.random() < 0.2 else None)
            elif action == "reopen":
                late = max(market.task(task).reveal_deadline, market.chain.now() + 1)
                market.send("reopen", task, sender=market.scheduler, at=late if dice.random() < 0.2 else None)
            elif action == "claim":
                late = max(market.task(task).final_deadline, market.chain.now() + 1)
                market.send("claim", task, sender=market.stranger, at=late if dice.random() < 0.2 else None)
            else:
                market.contribute_and_finalize(task, worker)
            done += 1
        except reverted:
            continue
        assert market.view("totalSupply") == supply
        assert market.conserved()
    assert done > 15
