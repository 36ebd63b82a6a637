"""Where our hub means to differ from the published one: each difference, shown on both.

Numbers are those of contracts/SPEC.md, chapter 17. "6.2" marks what changed between the published version and the one
that we follow.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pyiexec.chain import token
from pyiexec.chain.calls import match_orders
from pyiexec.chain.hub import FUNCTIONS
from pyiexec.protocol import ids
from pyiexec.protocol.primitives import NULL_BYTES32, Bytes32, OrderHash, bytes32, to_bytes

from . import moves
from .chain import Chain
from .moves import Text
from .worlds import KINDS, Call, OrderPlan, Outcome, World

TEE, FRAMEWORK = 1, 2
DELEGATION = "0xef0100"


def told(outcome: Outcome) -> str:
    """The reason of a refusal, or what was returned."""
    if not outcome.succeeded:
        return "refused: " + outcome.reason
    made = any(event[1] == "OrdersMatched" for event in outcome.events)
    return "a deal" if made else str(outcome.values)


def hub(sender: str, name: str, arguments: Callable[[World], list[Any]]) -> Call:
    return Call(sender, "hub", FUNCTIONS[name], arguments)


def orders(**changes: dict[str, Any]) -> list[OrderPlan]:
    """Four free orders that fit together, but for the changes."""
    bag = {"tag": NULL_BYTES32, "volume": 1, "salt": NULL_BYTES32}
    fields: dict[str, dict[str, Any]] = {
        "app": {"app": "app 0", "appprice": 0},
        "dataset": {"dataset": "dataset 0", "datasetprice": 0},
        "workerpool": {"workerpool": "workerpool 0", "workerpoolprice": 0, "category": 0, "trust": 2**256 - 1},
        "request": {
            "app": "app 0",
            "appmaxprice": 2**256 - 1,
            "dataset": "dataset 0",
            "datasetmaxprice": 2**256 - 1,
            "workerpoolmaxprice": 2**256 - 1,
            "requester": "requester",
            "category": 0,
            "trust": 1,
        },
    }
    signers = dict(zip(KINDS, ("app owner", "dataset owner", "scheduler", "requester"), strict=True))
    return [
        OrderPlan(number, kind, fields[kind] | bag | changes.get(kind, {}), signers[kind])
        for number, kind in enumerate(KINDS)
    ]


def match(name: str = "matchOrders", **changes: dict[str, Any]) -> Call:
    return moves.orders("stranger", name, orders(**changes))


def boost(**changes: dict[str, Any]) -> Call:
    return match("matchOrdersBoost", **changes)


#: Nothing for a dataset, but a price.
PRICED_NOTHING = {
    "app": {"app": "app 0"},
    "dataset": {"dataset": "nobody", "datasetprice": 777},
    "request": {"dataset": "nobody"},
}
LONG = {kind: {"volume": 2**53 - 1} for kind in KINDS}


def signature_of(signer: str, change: Callable[[bytes], bytes] = bytes) -> Call:
    """Is this the signer's signature over some hash?"""
    digest = bytes32(7)

    def arguments(world: World) -> list[Any]:
        sign = world.signers[signer].sign_digest(to_bytes(digest)) if signer in world.signers else b"\x11" * 65
        return [world[signer], digest, change(sign)]

    return hub("stranger", "verifySignature", arguments)


def manage_an_app_nobody_registered() -> Call:
    """An order of a contract that says that it owns itself, and accepts any signature."""
    plan = OrderPlan(1, "app", {"app": "yes", "appprice": 0, "volume": 1}, "")
    return hub("stranger", "manageAppOrder", lambda world: [world.operation(plan, 0, "stranger")])


def deposit_and_match() -> Call:
    def arguments(world: World) -> list[Any]:
        return [world["hub"], 5, match_orders(*(world.order(plan) for plan in orders()))]

    return Call("requester", "token", token.FUNCTIONS["approveAndCall"], arguments)


DIFFERENCES: dict[str, tuple[Call, str, str]] = {
    "fixed 01, a malformed signature for the zero address": (signature_of("nobody"), "(True,)", "(False,)"),
    "fixed 02, an approval announced by somebody": (
        hub("stranger", "receiveApproval", lambda world: [world["requester"], 5, world["token"], b""]),
        "(True,)",
        "refused: wrong-token",
    ),
    "fixed 11, enormous trust": (
        match(request={"trust": 2**255}),
        "a deal",
        "refused: trust too high",
    ),
    "fixed 16, an order of an unregistered resource": (
        manage_an_app_nobody_registered(),
        "()",
        "refused: resource not registered",
    ),
    "fixed 18, a wallet that answers nonsense": (signature_of("nonsense"), "refused: ", "(False,)"),
    "fixed 18, a group that answers nonsense": (
        match(app={"requesterrestrict": "nonsense"}),
        "refused: ",
        "refused: iExecV5-matchOrders-0x15",
    ),
    "fixed 20, a recovery id of 0 or 1": (
        signature_of("requester", lambda sign: sign[:64] + bytes([sign[64] - 27])),
        "(False,)",
        "(True,)",
    ),
    "fixed 24, staked RLC sent to the hub": (
        hub("requester", "transfer", lambda world: [world["hub"], 0]),
        "(True,)",
        "refused: ERC20: transfer to the hub",
    ),
    "fixed 24, staked RLC minted for the hub": (
        hub("requester", "depositFor", lambda world: [5, world["hub"]]),
        "(True,)",
        "refused: ERC20: mint to the hub",
    ),
    "fixed 06, a dataset made for another enclave framework in Boost": (
        boost(
            app={"tag": bytes32(TEE)},
            dataset={"tag": bytes32(TEE | FRAMEWORK)},
            workerpool={"tag": bytes32(TEE)},
        ),
        "refused: PocoBoost: Workerpool tag does not match demand",
        "a deal",
    ),
    "fixed 07, orders of more tasks than Boost can count": (
        boost(**LONG),
        "refused: SafeCastOverflowedUintDowncast()",
        "a deal",
    ),
    "an app without code": (
        match(app={"app": "stranger"}, request={"app": "stranger"}),
        "refused: ",
        "refused: iExecV5-matchOrders-0x20",
    ),
    "a limit, price": (
        match(app={"appprice": 2**96}),
        "refused: IexecEscrow: Transfer amount exceeds balance",
        "refused: app price too high",
    ),
    "a limit, signatures": (
        signature_of("requester", lambda sign: sign * 16),
        "refused: invalid-signature-format",
        "refused: ",
    ),
    "6.2, a dataset made for another enclave framework": (
        match(
            app={"tag": bytes32(TEE)},
            dataset={"tag": bytes32(TEE | FRAMEWORK)},
            workerpool={"tag": bytes32(TEE)},
        ),
        "refused: iExecV5-matchOrders-0x06",
        "a deal",
    ),
}


@pytest.mark.parametrize("case", DIFFERENCES)
def test_a_difference_is_what_it_is_said_to_be(chain: Chain, case: str) -> None:
    call, published, ours = DIFFERENCES[case]
    assert [told(outcome) for outcome in chain.send(call, chain.now() + 1)] == [published, ours]


def test_fixed_19_an_account_with_delegated_code_signs_with_its_key(chain: Chain) -> None:
    world = chain.worlds[0]
    chain.ask("anvil_setCode", world["worker 6"], DELEGATION + world["app_registry"][2:])
    assert [told(answer) for answer in chain.read([signature_of("worker 6")])[0]] == ["(False,)", "(True,)"]


def test_fixed_03_a_boost_task_is_paid_by_who_paid_for_the_deal(chain: Chain) -> None:
    deposits = [moves.hub(name, "deposit", 10**9) for name in ("requester", "sponsor", "scheduler")]
    for call in deposits:
        chain.send(call, chain.now() + 1)
    plans = orders(app={"appprice": 5}, request={"requester": "requester"})
    chain.send(moves.orders("sponsor", "sponsorMatchOrdersBoost", plans), chain.now() + 1)
    for world in chain.worlds:
        world.call_it("deal", ids.deal_id(OrderHash(Bytes32(world.order_hash(plans[3]))), 0))
    push = moves.push("worker 1", "deal", 0, signer="scheduler")
    published, ours = chain.send(push, chain.now() + 1)
    assert (told(published), ours.succeeded) == ("refused: panic 0x11", True)
    assert ("hub", "Seize", {"owner": "sponsor", "amount": 5, "ref": "deal, task 0"}) in ours.events


def test_fixed_04_what_is_not_sold_is_not_paid_for_in_boost(chain: Chain) -> None:
    chain.send(moves.hub("requester", "deposit", 10**9), chain.now() + 1)
    outcomes = chain.send(boost(**PRICED_NOTHING), chain.now() + 1)
    locked = [outcome.events[1] for outcome in outcomes]
    assert locked == [("hub", "Lock", {"owner": "requester", "amount": amount}) for amount in (777, 0)]


def test_6_2_a_callback_is_given_twice_the_gas_unless_told_otherwise(chain: Chain) -> None:
    settings = [chain.worlds[0]["stingy token"], Text(""), Text(""), 9, *["nobody"] * 4]
    chain.send(moves.hub("admin", "configure", *settings, to="bare hub"), chain.now() + 1)
    (answers,) = chain.read([moves.hub("stranger", "callbackgas", to="bare hub")])
    assert [told(answer) for answer in answers] == ["(100000,)", "(200000,)"]


def test_6_2_a_deposit_may_bring_a_match(chain: Chain) -> None:
    published, ours = chain.send(deposit_and_match(), chain.now() + 1)
    names = [[event[1] for event in outcome.events if event[0] == "hub"] for outcome in (published, ours)]
    matched = ["Transfer", "Transfer", "Lock", "Transfer", "Lock", "SchedulerNotice", "OrdersMatched"]
    assert names == [["Transfer"], matched]
