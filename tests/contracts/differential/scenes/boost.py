"""Tasks of one transaction."""

from __future__ import annotations

from .. import moves
from ..moves import hub, push
from ..stage import RIGHT, TEE, WRONG, Deal, Refusal, Stage

SHORT = 5_000
REFUSALS = (
    *(
        f"pushResultBoost: PocoBoost: {reason}"
        for reason in (
            "Unknown task",
            "Task status not unset",
            "Deadline reached",
            "Tag requires enclave challenge",
            "Invalid contribution authorization signature",
            "Invalid enclave signature",
            "Callback requires data",
            "Not enough gas after callback",
        )
    ),
    "pushResultBoost: invalid-signature-format",
    "claimBoost: PocoBoost: Unknown task",
    "claimBoost: PocoBoost: Task status not unset",
    "claimBoost: PocoBoost: Deadline not reached",
    "initialize: a Boost deal",
    "claim: a Boost task",
    "pushResultBoost: PocoBoost: Unknown task",
)


def _look(stage: Stage, deal: Deal) -> None:
    stage.see(moves.view("viewDealBoost", deal.name))
    stage.look()


def results_pushed(stage: Stage) -> None:
    callback = stage.dice.choice(["recorder", "refuser", "reenterer", "stranger", "token"])
    told, plain = stage.deal(boost=True, callback=callback), stage.deal(boost=True, volume=2, pool="workerpool 0")
    classic = stage.deal()
    for deal in (told, plain):
        stage.name_task(deal, 0)
    stage.refuse_all(
        [
            Refusal(push("worker 1", plain.name, 2, signer="scheduler"), "PocoBoost: Unknown task"),
            Refusal(push("worker 1", classic.name, 0, signer="scheduler"), "PocoBoost: Unknown task"),
            Refusal(
                push("worker 1", plain.name, 0, signer="stranger"),
                "PocoBoost: Invalid contribution authorization signature",
            ),
            Refusal(
                push("worker 1", plain.name, 0, signer="scheduler", malformed="authorization"),
                "invalid-signature-format",
            ),
            Refusal(push("worker 1", told.name, 0, signer=told.scheduler), "PocoBoost: Callback requires data"),
            Refusal(hub("stranger", "claimBoost", plain.name, 2), "PocoBoost: Unknown task"),
            Refusal(hub("stranger", "claimBoost", plain.name, 0), "PocoBoost: Deadline not reached"),
            Refusal(hub("stranger", "initialize", plain.name, 0), row="a Boost deal"),
        ]
    )
    stage.do(push("worker 1", told.name, 0, signer=told.scheduler, payload=RIGHT))
    results = stage.dice.choice([b"", b"link", b"x" * 84])
    stage.do(push("worker 2", plain.name, 0, signer="scheduler", results=results, payload=bytes(32)))
    again = push("worker 2", plain.name, 0, signer="scheduler")
    stage.refuse_all(
        [
            Refusal(again, "PocoBoost: Task status not unset"),
            Refusal(hub("stranger", "claimBoost", plain.name, 0), "PocoBoost: Task status not unset"),
            Refusal(hub("stranger", "claim", f"{plain.name}, task 0"), row="a Boost task"),
        ]
    )
    _look(stage, plain)


def an_enclave_pushes(stage: Stage) -> None:
    broker = stage.dice.random() < 0.5
    if broker:
        stage.do(hub("admin", "setTeeBroker", "broker"))
    callback = stage.dice.choice(["nobody", "recorder"])
    payload = b"" if callback == "nobody" else RIGHT
    deal = stage.deal(boost=True, tag=TEE, callback=callback)
    stage.name_task(deal, 0)
    signer = "broker" if broker else deal.scheduler
    rest = {"signer": signer, "payload": payload}
    inside = {**rest, "enclave": "enclave"}
    stage.refuse_all(
        [
            Refusal(push("worker 1", deal.name, 0, **rest), "PocoBoost: Tag requires enclave challenge"),
            Refusal(
                push("worker 1", deal.name, 0, attester="stranger", **inside), "PocoBoost: Invalid enclave signature"
            ),
            Refusal(push("worker 1", deal.name, 0, digest_of=WRONG, **inside), "PocoBoost: Invalid enclave signature"),
            Refusal(push("worker 1", deal.name, 0, malformed="attestation", **inside), "invalid-signature-format"),
        ]
    )
    stage.do(push("worker 1", deal.name, 0, **inside))
    _look(stage, deal)


def a_push_with_too_little_gas(stage: Stage) -> None:
    deal = stage.deal(boost=True, callback="burner")
    stage.name_task(deal, 0)
    call = push("worker 1", deal.name, 0, signer=deal.scheduler, payload=RIGHT)
    needed = stage.chain.least_gas(call, stage.now + 1)
    less = SHORT + stage.dice.randrange(SHORT)
    limits = {title: gas - less for title, gas in needed.items()}
    stage.refuse(moves.limited(call, limits), "PocoBoost: Not enough gas after callback")
    stage.do(call)
    _look(stage, deal)


def a_push_that_is_late(stage: Stage) -> None:
    """The last second belongs to the worker; then anybody may claim, and the kitty gets the stake."""
    deal = stage.deal(boost=True, volume=2, sponsor=stage.dice.choice(["", "sponsor"]), pool="workerpool 0")
    for index in (0, 1):
        stage.name_task(deal, index)
    first = push("worker 1", deal.name, 0, signer="scheduler")
    end = deal.contributions_end
    stage.refuse(hub("stranger", "claimBoost", deal.name, 0), "PocoBoost: Deadline not reached", at=stage.at(end - 1))
    stage.refuse(first, "PocoBoost: Deadline reached", at=stage.at(end))
    stage.do_all([hub("stranger", "claimBoost", deal.name, index) for index in (0, 1)])
    stage.refuse(hub("stranger", "claimBoost", deal.name, 0), "PocoBoost: Task status not unset")
    later = stage.deal(boost=True, pool="workerpool 0", requester="requester")
    stage.name_task(later, 0)
    stage.do(
        push("worker 1", later.name, 0, signer="scheduler"),
        at=stage.at(later.contributions_end - 1),
    )
    _look(stage, later)


SCENES = (results_pushed, an_enclave_pushes, a_push_with_too_little_gas, a_push_that_is_late)
