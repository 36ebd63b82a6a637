"""Signatures used where they were not meant: twice, on another chain, at another hub, for another thing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from msgspec.structs import replace

from pyiexec.chain import calls
from pyiexec.chain.calls import manage_order
from pyiexec.chain.deployment import deploy
from pyiexec.chain.signer import HALF_ORDER
from pyiexec.protocol import ids
from pyiexec.protocol.eip712 import Domain, domain_separator, operation_hash, order_hash, struct_hash
from pyiexec.protocol.orders import OrderOperation, order_to_abi
from pyiexec.protocol.primitives import NULL_ADDRESS, bytes32, keccak256, to_bytes, to_hex

ORDER_OF_CURVE = 2 * HALF_ORDER + 1
MAX = 2**256 - 1
CONSUMED_MAX = 2**95 - 1
#: What a match says when the app's order, which is looked at first, is not signed.
UNSIGNED = r"^iExecV5-matchOrders-0x21$"


def compact(signature: bytes) -> bytes:
    s = int.from_bytes(signature[32:64], "big") | (signature[64] - 27) << 255
    return signature[:32] + s.to_bytes(32, "big")


def mirrored(signature: bytes) -> bytes:
    s = ORDER_OF_CURVE - int.from_bytes(signature[32:64], "big")
    return signature[:32] + s.to_bytes(32, "big") + bytes([27 + 28 - signature[64]])


def mirrored_compact(signature: bytes) -> bytes:
    """High s does not fit beside the parity: what results is the low s of nobody."""
    return compact(mirrored(signature))


FORMS = {
    "65 bytes": lambda sign: sign,
    "64 bytes": compact,
    "recovery id 0 or 1": lambda sign: sign[:64] + bytes([sign[64] - 27]),
}
FORGERIES = {
    "high s": mirrored,
    "high s, compact": mirrored_compact,
    "high s, recovery id 0 or 1": lambda sign: mirrored(sign)[:64] + bytes([mirrored(sign)[64] - 27]),
    "other recovery id": lambda sign: sign[:64] + bytes([27 + 28 - sign[64]]),
    "recovery id of a chain": lambda sign: sign[:64] + bytes([sign[64] + 8]),
    "r of zero": lambda sign: bytes(32) + sign[32:],
    "s of zero": lambda sign: sign[:32] + bytes(32) + sign[64:],
    "r beyond the order of the curve": lambda sign: b"\xff" * 32 + sign[32:],
    "zeros": lambda sign: bytes(65),
    "zeros, compact": lambda sign: bytes(64),
}


def resigned(order: Any, form: Any) -> Any:
    return replace(order, sign=to_hex(form(to_bytes(order.sign))))


@pytest.mark.parametrize("form", FORMS)
def test_two_forms_of_a_signature_are_one_use_of_the_order(market: Any, reverted: Any, form: str) -> None:
    """The volume is kept by what was signed, not by the signature."""
    request, app = market.request_order(), market.app_order(volume=2)
    market.match(request=request, app=app)
    with pytest.raises(reverted, match="0x60"):
        market.match(request=resigned(request, FORMS[form]), app=app)
    market.match(app=resigned(app, FORMS[form]))
    with pytest.raises(reverted, match="0x60"):
        market.match(app=app)


@pytest.mark.parametrize("forgery", FORGERIES)
def test_what_is_made_of_a_signature_without_the_key_signs_nothing(market: Any, reverted: Any, forgery: str) -> None:
    forge = FORGERIES[forgery]
    with pytest.raises(reverted, match=UNSIGNED):
        market.match(app=resigned(market.app_order(), forge))
    task, worker = market.started(), market.workers[0]
    leave = market.authorization(worker, task, by=market.scheduler)
    with pytest.raises(reverted) as caught:
        market.contribute(task, worker, authorization=forge(leave))
    assert caught.value.data == b""


# --- replay -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def other_chain(market: Any) -> Iterator[int]:
    """The chain has split, and this is the part with another id."""
    home = market.domain.chain_id
    senders = (market.requester, market.stranger, market.workers[0])
    # anvil's own keys sign for the id that it was started with
    for sender in senders:
        market.chain.impersonate(sender)
    market.chain.ask("anvil_setChainId", home + 1)
    yield home + 1
    market.chain.ask("anvil_setChainId", home)
    for sender in senders:
        market.chain.ask("anvil_stopImpersonatingAccount", sender)


def test_orders_of_one_chain_are_worth_nothing_on_another(market: Any, other_chain: int, reverted: Any) -> None:
    with pytest.raises(reverted, match=UNSIGNED):
        market.match()
    close = market.sign(market.app_order(), market.app_owner)
    operation = operation_hash(close, OrderOperation.CLOSE, market.domain)
    sign = market.signers[market.app_owner].sign_digest(to_bytes(operation))
    with pytest.raises(reverted, match=r"^invalid-sender-or-signature$"):
        market.chain.send(market.hub, manage_order(close, OrderOperation.CLOSE, sign), market.stranger)


def test_after_a_split_of_the_chain_orders_are_signed_anew(market: Any, other_chain: int) -> None:
    """The domain follows the chain by itself."""
    home, market.domain = market.domain, Domain(other_chain, market.hub)
    try:
        assert market.view("eip712domain_separator") == to_hex(domain_separator(market.domain))
        assert market.deal(market.match().id).exists
    finally:
        market.domain = home


def test_a_deal_made_before_a_split_goes_on_in_both_parts(market: Any, request: pytest.FixtureRequest) -> None:
    """Its id and those of its tasks are fixed; leave to contribute is given for a task."""
    match = market.match()
    request.getfixturevalue("other_chain")
    task = market.initialize(match)
    market.contribute_and_finalize(task, market.workers[0])
    assert market.task(task).status == 3


def test_orders_of_one_hub_are_worth_nothing_at_another(market: Any, reverted: Any) -> None:
    """A second hub over the same token and registries."""
    chain, registries = market.chain, market.manifest.registries
    chain.ask("evm_setIntervalMining", 1)
    try:
        other = chain.runner.run(
            deploy(chain.rpc, market.signers[market.admin], token=market.manifest.token, salt=bytes32(1))
        )
    finally:
        chain.ask("evm_setIntervalMining", 0)
    same = calls.change_registries(registries.app, registries.dataset, registries.workerpool)
    chain.send(other.hub, same, market.admin)
    orders = market.app_order(), market.dataset_order(), market.workerpool_order(), market.request_order()
    with pytest.raises(reverted, match=UNSIGNED):
        chain.send(other.hub, calls.match_orders(*orders), market.stranger)
    # signed on chain here, an order is unknown there
    chain.send(market.hub, manage_order(orders[0], OrderOperation.SIGN), market.app_owner)
    with pytest.raises(reverted, match=UNSIGNED):
        chain.send(other.hub, calls.match_orders(*orders), market.stranger)
    there = Domain(market.domain.chain_id, other.hub)
    digests = {order_hash(order, domain) for order in orders for domain in (market.domain, there)}
    assert len(digests) == 8


def separator(name: str, version: str, chain_id: int, contract: str) -> bytes:
    """EIP-712's, of any domain."""
    type_hash = keccak256(b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)")
    words = type_hash + keccak256(name.encode()) + keccak256(version.encode()) + chain_id.to_bytes(32, "big")
    return keccak256(words + to_bytes(contract).rjust(32, b"\0"))


@pytest.mark.parametrize("field", range(4))
def test_an_order_signed_in_another_domain_is_not_signed(market: Any, reverted: Any, field: int) -> None:
    """Name, version, chain and contract all count."""
    members: list[Any] = ["iExecODB", "5.0.0", market.domain.chain_id, market.hub]
    assert separator(*members) == domain_separator(market.domain)
    members[field] = ["iExecOdb", "5.0.1", market.domain.chain_id + 1, market.stranger][field]
    order = market.app_order()
    digest = keccak256(b"\x19\x01" + separator(*members) + struct_hash(order))
    sign = market.signers[market.app_owner].sign_digest(digest)
    with pytest.raises(reverted, match=UNSIGNED):
        market.match(app=replace(order, sign=to_hex(sign)))


def test_an_order_signed_as_a_message_is_not_signed(market: Any, reverted: Any) -> None:
    """Only EIP-712 counts for orders: what a wallet signs as a mere message never does."""
    order = market.app_order()
    sign = market.signers[market.app_owner].sign_message_hash(to_bytes(market.hash(order)))
    with pytest.raises(reverted, match=UNSIGNED):
        market.match(app=replace(order, sign=to_hex(sign)))


# --- one signature for another thing ----------------------------------------------------------------------------------


def test_a_signature_of_an_order_does_not_close_it_nor_the_other_way_round(market: Any, reverted: Any) -> None:
    order = market.app_order()
    with pytest.raises(reverted, match=r"^invalid-sender-or-signature$"):
        market.chain.send(market.hub, manage_order(order, OrderOperation.CLOSE, to_bytes(order.sign)), market.stranger)
    closing = operation_hash(order, OrderOperation.CLOSE, market.domain)
    sign = market.signers[market.app_owner].sign_digest(to_bytes(closing))
    with pytest.raises(reverted, match=UNSIGNED):
        market.match(app=replace(order, sign=to_hex(sign)))
    with pytest.raises(reverted, match=r"^invalid-sender-or-signature$"):
        market.chain.send(market.hub, manage_order(order, OrderOperation.SIGN, sign), market.stranger)
    market.chain.send(market.hub, manage_order(order, OrderOperation.CLOSE, sign), market.stranger)
    assert market.view("viewConsumed", market.hash(order)) == order.volume


def test_signing_a_closed_order_again_does_not_open_it(market: Any, reverted: Any) -> None:
    """Operations carry no number, so an old one can be sent again: it must do no harm."""
    order = market.app_order(sign="0x")
    operation = operation_hash(order, OrderOperation.SIGN, market.domain)
    sign = market.signers[market.app_owner].sign_digest(to_bytes(operation))
    again = manage_order(order, OrderOperation.SIGN, sign)
    market.chain.send(market.hub, again, market.stranger)
    market.chain.send(market.hub, manage_order(order, OrderOperation.CLOSE), market.app_owner)
    market.chain.send(market.hub, again, market.stranger)
    with pytest.raises(reverted, match="0x60"):
        market.match(app=order)


def test_an_order_signed_on_chain_by_a_former_owner_is_void(market: Any, reverted: Any) -> None:
    """It counts again only if the asset comes back to who signed; closing it is the remedy."""
    order = market.app_order(sign="0x")
    market.chain.send(market.hub, manage_order(order, OrderOperation.SIGN), market.app_owner)
    market.give_asset("app", market.app, market.app_owner, market.stranger)
    with pytest.raises(reverted, match=r"^invalid-signature-format$"):
        market.match(app=order)
    market.chain.send(market.hub, manage_order(order, OrderOperation.CLOSE), market.stranger)
    market.give_asset("app", market.app, market.stranger, market.app_owner)
    with pytest.raises(reverted, match="0x60"):
        market.match(app=order)


def test_leave_to_contribute_is_for_one_worker_one_task_and_one_enclave(market: Any, reverted: Any) -> None:
    task, other = market.started(), market.started()
    worker, thief = market.workers[:2]
    leave = market.authorization(worker, task, by=market.scheduler)
    sealed = market.authorization(worker, task, by=market.scheduler, enclave=market.enclave)
    for caller, which, enclave, authorization in (
        (thief, task, NULL_ADDRESS, leave),
        (worker, other, NULL_ADDRESS, leave),
        (worker, task, market.enclave, leave),
        (worker, task, NULL_ADDRESS, sealed),
        (worker, task, market.stranger, sealed),
    ):
        with pytest.raises(reverted):
            market.contribute(which, caller, enclave=enclave, authorization=authorization)
        with pytest.raises(reverted):
            market.contribute_and_finalize(which, caller, enclave=enclave, authorization=authorization)
    market.contribute(task, worker, authorization=leave)


def test_a_signature_of_an_enclave_serves_the_worker_it_was_made_for(market: Any, reverted: Any) -> None:
    task = market.started()
    worker, thief = market.workers[:2]
    sign = market.enclave_signature(worker, task, market.digest("right"))
    with pytest.raises(reverted):
        market.contribute(task, thief, enclave=market.enclave, enclave_sign=sign)
    with pytest.raises(reverted):
        market.contribute(task, worker, "wrong", enclave=market.enclave, enclave_sign=sign)
    market.contribute(task, worker, enclave=market.enclave, enclave_sign=sign)


def test_a_call_of_another_cannot_be_sent_again_as_ones_own(market: Any, reverted: Any) -> None:
    """Who copies a pending contribution, shortcut or reveal out of the pool gets nothing by it."""
    task, shortcut = market.started(trust=2), market.started()
    worker, thief = market.workers[:2]
    digest = market.digest("right")
    leave = {which: market.authorization(worker, which, by=market.scheduler) for which in (task, shortcut)}
    seal = ids.result_seal(worker, task, digest)
    for data in (
        calls.contribute(task, ids.result_hash(task, digest), seal, leave[task]),
        calls.contribute_and_finalize(shortcut, digest, b"link", leave[shortcut]),
    ):
        with pytest.raises(reverted):
            market.chain.send(market.hub, data, thief)
        market.chain.send(market.hub, data, worker)
    with pytest.raises(reverted):
        market.chain.send(market.hub, calls.reveal(task, digest), thief)
    market.reveal(task, worker)


# --- volumes at the ends of their range -------------------------------------------------------------------------------


@pytest.mark.parametrize("volume", [CONSUMED_MAX, CONSUMED_MAX + 1, 2**96, 2**128 + 1, MAX])
@pytest.mark.parametrize("left", [1, 3])
def test_a_volume_of_any_size_is_used_up_exactly_once(
    market: Any, reverted: Any, write: Any, volume: int, left: int
) -> None:
    """Beyond 95 bits it counts as 2**95 - 1; nothing spills into the presigner that shares the word."""
    app = market.app_order(volume=volume, sign="0x")
    market.chain.send(market.hub, manage_order(app, OrderOperation.SIGN), market.app_owner)
    known = market.hash(app)
    write("order_marks", known, change=lambda mark: mark | CONSUMED_MAX - left)
    assert market.view("viewConsumed", known) == CONSUMED_MAX - left
    assert market.deal(market.match(app=app, volume=left + 5).id).bot_size == left
    assert market.view("viewConsumed", known) == CONSUMED_MAX
    assert market.view("viewPresigned", known) == market.app_owner
    with pytest.raises(reverted, match="0x60"):
        market.match(app=app)


def test_orders_of_the_greatest_volume_make_the_greatest_deal_and_then_the_rest(market: Any, write: Any) -> None:
    """A free task each: the deal takes the 2**32 - 1 indexes there are, and no more ever."""
    free: dict[str, Any] = {"appprice": 0, "volume": MAX}
    request = market.request_order(volume=MAX, dataset=NULL_ADDRESS, datasetmaxprice=0)
    pool = market.workerpool_order(workerpoolprice=0, volume=MAX)
    match = market.match(request=request, app=market.app_order(**free), workerpool=pool)
    assert market.deal(match.id).bot_size == 2**32 - 1
    assert market.view("viewConsumed", market.hash(request)) == 2**32 - 1
    orders = [order_to_abi(order) for order in (market.app_order(**free), match.dataset, pool, request)]
    assert market.view("computeDealVolume", *orders) == 0
    task = market.initialize(match, 2**32 - 2)
    market.contribute_and_finalize(task, market.workers[0])
    assert market.task(task).index == 2**32 - 2
