"""Orders that are matched, and every reason not to match them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pyiexec.protocol.primitives import NULL_BYTES32, bytes32

from .. import moves
from ..stage import GPU, OWNERS, PEOPLE, STAKE, TEE, Refusal, Stage
from ..worlds import KINDS, OrderPlan

#: Groups that are not those of the account, as far as they can tell.
STRANGE = ("stranger", "no", "angry")
Defect = Callable[[Stage], dict[str, Any]]


def _strange(kind: str, field: str) -> Defect:
    return lambda stage: {"changes": {kind: {field: stage.dice.choice(STRANGE)}}}


def _unregistered(kind: str) -> Defect:
    """A contract that owns itself and signs everything."""
    return lambda _: {"changes": {kind: {kind: "yes"}, "request": {kind: "yes"}}}


def _missigned(kind: str) -> Defect:
    def defect(stage: Stage) -> dict[str, Any]:
        if stage.dice.random() < 0.5:
            return {"flavours": {kind: "broken"}}
        return {"signers": {kind: "worker 4"}}

    return defect


def _wrong_category(stage: Stage) -> dict[str, Any]:
    return {"category": 0, "changes": {stage.dice.choice(["workerpool", "request"]): {"category": 1}}}


def _unknown_category(stage: Stage) -> dict[str, Any]:
    number = {"category": stage.dice.choice([5, 7, 2**200])}
    return {"changes": {"workerpool": number, "request": number}}


def _dear(kind: str) -> Defect:
    return lambda stage: {
        "changes": {kind: {f"{kind}price": 10**9 + 100 + stage.dice.randrange(100)}},
        "prices": (1, 1, 7),
    }


def _used_up(stage: Stage) -> dict[str, Any]:
    kind = stage.dice.choice(["app", "workerpool", "request", "dataset"])
    return {"dataset": True, "changes": {kind: {"volume": 0}}}


#: What is wrong with four orders, by the code of the refusal and by Boost's words for the same.
DEFECTS: tuple[tuple[str, str, Defect], ...] = (
    ("0x00", "Category mismatch", _wrong_category),
    ("0x01", "Unknown category", _unknown_category),
    ("0x02", "", lambda _: {"changes": {"request": {"trust": 1000}}}),
    ("0x03", "Overpriced app", _dear("app")),
    ("0x04", "Overpriced dataset", _dear("dataset")),
    ("0x05", "Overpriced workerpool", _dear("workerpool")),
    (
        "0x06",
        "Workerpool tag does not match demand",
        lambda stage: {"changes": {stage.dice.choice(["app", "dataset", "request"]): {"tag": bytes32(GPU)}}},
    ),
    (
        "0x07",
        "App tag does not match demand",
        lambda stage: {"tag": TEE, "changes": {"app": {"tag": NULL_BYTES32}}},
    ),
    ("0x10", "App mismatch", lambda stage: {"changes": {"request": {"app": stage.dice.choice(["yes", "nobody"])}}}),
    ("0x11", "Dataset mismatch", lambda _: {"changes": {"request": {"dataset": "yes"}}}),
    ("0x12", "Workerpool restricted by request order", _strange("request", "workerpool")),
    ("0x13", "Dataset restricted by app order", _strange("app", "datasetrestrict")),
    ("0x14", "Workerpool restricted by app order", _strange("app", "workerpoolrestrict")),
    ("0x15", "Requester restricted by app order", _strange("app", "requesterrestrict")),
    ("0x16", "App restricted by dataset order", _strange("dataset", "apprestrict")),
    ("0x17", "Workerpool restricted by dataset order", _strange("dataset", "workerpoolrestrict")),
    ("0x18", "Requester restricted by dataset order", _strange("dataset", "requesterrestrict")),
    ("0x19", "App restricted by workerpool order", _strange("workerpool", "apprestrict")),
    ("0x1a", "Dataset restricted by workerpool order", _strange("workerpool", "datasetrestrict")),
    ("0x1b", "Requester restricted by workerpool order", _strange("workerpool", "requesterrestrict")),
    ("0x20", "App not registered", _unregistered("app")),
    ("0x21", "Invalid app order signature", _missigned("app")),
    ("0x30", "Dataset not registered", _unregistered("dataset")),
    ("0x31", "Invalid dataset order signature", lambda stage: {"dataset": True} | _missigned("dataset")(stage)),
    ("0x40", "Workerpool not registered", _unregistered("workerpool")),
    ("0x41", "Invalid workerpool order signature", _missigned("workerpool")),
    ("0x50", "Invalid request order signature", _missigned("request")),
    ("0x60", "One or more orders consumed", _used_up),
)
CLASSIC_PREFIX, BOOST_PREFIX = "iExecV5-matchOrders-", "PocoBoost: "
BROKE = "IexecEscrow: Transfer amount exceeds balance"
REFUSALS = (
    *(f"matchOrders: {CLASSIC_PREFIX}{code}" for code, _, _ in DEFECTS),
    "matchOrders: invalid-signature-format",
    f"matchOrders: {BROKE}",
)
BOOST_REFUSALS = (
    "matchOrdersBoost: PocoBoost: Bad trust level",
    *(f"matchOrdersBoost: {BOOST_PREFIX}{words}" for _, words, _ in DEFECTS if words),
    "matchOrdersBoost: invalid-signature-format",
    f"matchOrdersBoost: {BROKE}",
    "matchOrdersBoost: SafeCastOverflowedUintDowncast()",
)


def _refusal(stage: Stage, reason: str, *, boost: bool, **orders: Any) -> Refusal:
    sponsored = stage.dice.random() < 0.4
    name = ("sponsorMatchOrders" if sponsored else "matchOrders") + ("Boost" if boost else "")
    sender = "sponsor" if sponsored else stage.dice.choice(PEOPLE)
    return Refusal(moves.orders(sender, name, stage.four(**orders)), reason)


def _everything_wrong(stage: Stage, *, boost: bool) -> None:
    refusals = []
    for code, words, defect in DEFECTS:
        if words or not boost:
            reason = f"{BOOST_PREFIX}{words}" if boost else f"{CLASSIC_PREFIX}{code}"
            refusals.append(_refusal(stage, reason, boost=boost, **defect(stage)))
    if boost:
        refusals.append(_refusal(stage, "PocoBoost: Bad trust level", boost=True, trust=2))
        refusals.append(_refusal(stage, "SafeCastOverflowedUintDowncast()", boost=True, prices=(2**96, 0, 1)))
    kind = stage.dice.choice(KINDS)
    refusals.append(_refusal(stage, "invalid-signature-format", boost=boost, dataset=True, flavours={kind: "short"}))
    # who pays, and who stakes
    refusals.append(_broke(stage, boost=boost))
    stage.refuse_all(refusals)


def _broke(stage: Stage, *, boost: bool) -> Refusal:
    if stage.dice.random() < 0.5:
        plans = stage.four(requester="pauper")
        return Refusal(moves.orders("stranger", "matchOrders" + ("Boost" if boost else ""), plans), BROKE)
    plans = stage.four(pool="workerpool 1", prices=(0, 0, STAKE), volume=4)
    return Refusal(moves.orders("sponsor", "matchOrders" + ("Boost" if boost else ""), plans), BROKE)


def orders_that_do_not_match(stage: Stage) -> None:
    _everything_wrong(stage, boost=False)
    stage.look()


def orders_that_do_not_match_for_boost(stage: Stage) -> None:
    _everything_wrong(stage, boost=True)
    stage.look()


def _deals(stage: Stage, *, boost: bool) -> None:
    groups = {
        "app": {"datasetrestrict": "yes", "workerpoolrestrict": "yes", "requesterrestrict": "talkative"},
        "dataset": {"apprestrict": "yes", "workerpoolrestrict": "workerpool 0", "requesterrestrict": "requester"},
        "workerpool": {"apprestrict": "nobody", "datasetrestrict": "yes", "requesterrestrict": "yes"},
        "request": {"workerpool": "yes"},
    }
    made = [
        stage.deal(boost=boost),
        stage.deal(boost=boost, dataset=True, tag=TEE | GPU),
        stage.deal(boost=boost, sponsor="sponsor"),
        stage.deal(boost=boost, changes=groups, pool="workerpool 0"),
        stage.deal(boost=boost, requester="yes"),
    ]
    # a request of several parts, each with a workerpool's order of its own
    plans = stage.four(volume=3, pool="workerpool 0")
    for volume in (1, 2):
        fields = {**plans[2].fields, "volume": volume}
        pooled = stage.plan("workerpool", fields, OWNERS[str(fields["workerpool"])])
        made.append(stage.match([plans[0], plans[1], pooled, plans[3]], boost=boost))
    stage.see(*(moves.orders("stranger", "computeDealVolume", deal.plans) for deal in made))
    if boost:
        stage.see(*(moves.view("viewDealBoost", deal.name) for deal in made))
    else:
        for name in ("viewDeal", "viewDealABILegacy_pt1", "viewDealABILegacy_pt2", "viewConfigABILegacy"):
            stage.see(*(moves.view(name, deal.name) for deal in made))
    stage.look()


def orders_that_match(stage: Stage) -> None:
    _deals(stage, boost=False)


def orders_that_match_for_boost(stage: Stage) -> None:
    _deals(stage, boost=True)


# --- signing and closing on chain ---------------------------------------------------------------------------------

MANAGE_REFUSALS = (
    "manageOrder: invalid-sender-or-signature",
    "manageOrder: invalid-signature-format",
    "manageOrder: neither signing nor closing",
)


def _owner(plan: OrderPlan) -> str:
    return str(plan.fields["requester"]) if plan.kind == "request" else OWNERS[str(plan.fields[plan.kind])]


def orders_managed_on_chain(stage: Stage) -> None:
    plans = stage.four(dataset=True, flavours=dict.fromkeys(KINDS, "short"), signers=dict.fromkeys(KINDS, ""))
    stage.refuse_all(
        [Refusal(moves.manage("stranger", plan, 0, "worker 4"), "invalid-sender-or-signature") for plan in plans]
        + [
            Refusal(moves.manage("stranger", plan, 1, _owner(plan), malformed=True), "invalid-signature-format")
            for plan in plans
        ]
        + [Refusal(moves.manage(_owner(plan), plan, 2), row="neither signing nor closing") for plan in plans]
    )
    stage.do_all(
        [
            moves.manage(_owner(plan), plan, 0)
            if stage.dice.random() < 0.5
            else moves.manage("stranger", plan, 0, _owner(plan))
            for plan in plans
        ]
    )
    for plan in plans:
        name = f"hash of {plan.kind} order {plan.number}"
        stage.see(
            moves.view("viewPresigned", name),
            moves.view("viewConsumed", name),
            moves.view("verifyPresignature", _owner(plan), name),
            moves.view("verifyPresignature", "stranger", name),
            moves.view("verifyPresignatureOrSignature", _owner(plan), name, b""),
            moves.view("verifyPresignatureOrSignature", "stranger", name, b"\x11" * 65),
        )
    stage.match(plans)
    again = stage.four(dataset=True)
    stage.do_all(
        [
            moves.manage(_owner(plan), plan, 1)
            if stage.dice.random() < 0.5
            else moves.manage("stranger", plan, 1, _owner(plan))
            for plan in again
        ]
    )
    stage.refuse(moves.orders("stranger", "matchOrders", again), "iExecV5-matchOrders-0x60")
    stage.do_all([moves.broadcast("stranger", plan) for plan in again])
    stage.look()


def signatures_looked_at(stage: Stage) -> None:
    digest = bytes32(stage.dice.getrandbits(256))
    signer = stage.dice.choice(PEOPLE)
    sign = stage.chain.worlds[0].signers[signer].sign_digest(bytes.fromhex(digest[2:]))
    compact = sign[:32] + (int.from_bytes(sign[32:64], "big") | (sign[64] - 27) << 255).to_bytes(32, "big")
    high = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141 - int.from_bytes(sign[32:64], "big")
    malleable = sign[:32] + high.to_bytes(32, "big") + bytes([55 - sign[64]])
    for one in (sign, compact, malleable, b"\x11" * 65):
        stage.see(moves.view("verifySignature", signer, digest, one))
    for identity in ("yes", "no", "angry", "talkative", "worker 4"):
        stage.see(moves.view("verifySignature", identity, digest, sign))
    stage.see(moves.view("verifyPresignature", signer, digest), moves.view("viewPresigned", digest))
    for name in ("verifySignature", "verifyPresignatureOrSignature"):
        stage.see_refused(moves.view(name, signer, digest, sign[:-3]), "invalid-signature-format")


SIGNATURE_REFUSALS = (
    "verifySignature: invalid-signature-format",
    "verifyPresignatureOrSignature: invalid-signature-format",
)

# --- datasets for deals -------------------------------------------------------------------------------------------

INCOMPATIBLE = (
    "Dataset order is revoked or fully consumed",
    "Invalid dataset order signature",
    "Deal not found",
    "Deal already has a dataset",
    "App restriction not satisfied",
    "Workerpool restriction not satisfied",
    "Requester restriction not satisfied",
    "Tag compatibility not satisfied",
)
COMPATIBILITY_REFUSALS = tuple(
    f"assertDatasetDealCompatibility: IncompatibleDatasetOrder({reason})" for reason in INCOMPATIBLE
)


def datasets_for_deals(stage: Stage) -> None:
    bulk, full = stage.deal(dataset=False), stage.deal(dataset=True)
    for world in stage.chain.worlds:
        world.call_it("no deal", "0x" + "ab" * 32)

    def order(signer: str = "dataset owner", **fields: Any) -> OrderPlan:
        whole = {"dataset": "dataset 0", "datasetprice": 0, "volume": 2**53 - 1, "tag": NULL_BYTES32} | fields
        return stage.plan("dataset", whole, signer)

    stage.see(moves.compatible(order(), bulk.name))
    stage.see(moves.compatible(order(apprestrict="yes", requesterrestrict="requester"), bulk.name))
    strange = stage.dice.choice(STRANGE)
    cases = (
        (order(volume=0), bulk.name),
        (order("worker 4"), bulk.name),
        (order(), "no deal"),
        (order(), full.name),
        (order(apprestrict=strange), bulk.name),
        (order(workerpoolrestrict=strange), bulk.name),
        (order(requesterrestrict=strange), bulk.name),
        (order(tag=bytes32(GPU)), bulk.name),
    )
    for (plan, deal), reason in zip(cases, INCOMPATIBLE, strict=True):
        stage.see_refused(moves.compatible(plan, deal), f"IncompatibleDatasetOrder({reason})")


LIMITS = ("matchOrders: panic 0x11",)


def beyond_the_limits(stage: Stage) -> None:
    """Nobody has so much money, and no signature is so long."""
    refusals = []
    for kind in KINDS[:3]:
        price = 2**96 + stage.dice.randrange(2**96)
        dear = {kind: {f"{kind}price": price}, "request": {f"{kind}maxprice": 2**256 - 1}}
        refusals.append(Refusal(moves.orders("stranger", "matchOrders", stage.four(dear, dataset=True)), BROKE))
    dear = {
        "app": {"appprice": 2**255},
        "workerpool": {"workerpoolprice": 2**255},
        "request": {"appmaxprice": 2**255, "workerpoolmaxprice": 2**255},
    }
    refusals.append(Refusal(moves.orders("sponsor", "sponsorMatchOrders", stage.four(dear)), "panic 0x11"))
    stage.refuse_all(refusals)
    long = stage.dice.randbytes(1_025)
    for name in ("verifySignature", "verifyPresignatureOrSignature"):
        stage.see_refused(moves.view(name, "stranger", bytes32(1), long), "invalid-signature-format")
    stage.look()


SCENES = (
    beyond_the_limits,
    orders_that_do_not_match,
    orders_that_match,
    orders_managed_on_chain,
    signatures_looked_at,
    datasets_for_deals,
)
BOOST_SCENES = (orders_that_do_not_match_for_boost, orders_that_match_for_boost)
