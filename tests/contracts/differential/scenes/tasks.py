"""Classic tasks: every way they can go, every condition on the way, and the last second of every term."""

from __future__ import annotations

from .. import moves
from ..moves import contribute, contribute_and_finalize, hub, reveal
from ..stage import RIGHT, TEE, WORKERS, WRONG, Refusal, Stage

UNKNOWN = "0x" + "ab" * 32
#: Gas short of what a callback has to be offered.
SHORT = 5_000
BAG = 80
BROKE = "IexecEscrow: Transfer amount exceeds balance"
FORMAT = "invalid-signature-format"

REFUSALS = (
    "initialize: before the deal's first task",
    "initialize: beyond the deal's last task",
    "initialize: unknown deal",
    "initialize: already initialized",
    "initialize: arrays of different lengths",
    "contribute: not ACTIVE",
    "contribute: too late",
    "contribute: already contributed",
    "contribute: rejected before",
    "contribute: no enclave",
    "contribute: not authorised",
    f"contribute: {FORMAT}",
    "contribute: not attested",
    f"contribute: {BROKE}",
    "reveal: not REVEALING",
    "reveal: too late",
    "reveal: not contributed",
    "reveal: already revealed",
    "reveal: not of the consensus",
    "reveal: another digest",
    "reveal: another's seal",
    "reopen: not the scheduler",
    "reopen: unknown task",
    "reopen: not REVEALING",
    "reopen: at the end",
    "reopen: before the end of reveals",
    "reopen: somebody revealed",
    "finalize: not the scheduler",
    "finalize: unknown task",
    "finalize: not REVEALING",
    "finalize: at the end",
    "finalize: reveals outstanding",
    "finalize: nobody revealed",
    "finalize: not the callback's payload",
    "finalize: payload without callback",
    "finalize: panic 0x01",
    "contributeAndFinalize: not ACTIVE",
    "contributeAndFinalize: too late",
    "contributeAndFinalize: somebody contributed",
    "contributeAndFinalize: trust above one",
    "contributeAndFinalize: not the callback's payload",
    "contributeAndFinalize: payload without callback",
    "contributeAndFinalize: no enclave",
    "contributeAndFinalize: not authorised",
    f"contributeAndFinalize: {FORMAT}",
    "contributeAndFinalize: not attested",
    "contributeAndFinalize: panic 0x01",
    "claim: never started",
    "claim: ended",
    "claim: before the end",
    "claim: arrays of different lengths",
    "resultFor: task-pending",
)


def tasks_started(stage: Stage) -> None:
    plans = stage.four(volume=3, pool="workerpool 0")
    deals = []
    for volume in (1, 2):
        pooled = stage.plan("workerpool", {**plans[2].fields, "volume": volume}, "scheduler")
        deals.append(stage.match([plans[0], plans[1], pooled, plans[3]]))
    head, tail = deals
    stage.refuse_all(
        [
            Refusal(hub("stranger", "initialize", tail.name, 0), row="before the deal's first task"),
            Refusal(hub("stranger", "initialize", head.name, 1), row="beyond the deal's last task"),
            Refusal(hub("stranger", "initialize", UNKNOWN, 0), row="unknown deal"),
            Refusal(hub("stranger", "initializeArray", [head.name, tail.name], [0]), row="arrays of different lengths"),
        ]
    )
    task = stage.start(head)
    stage.refuse(hub("stranger", "initialize", head.name, 0), row="already initialized")
    both = [stage.name_task(tail, index) for index in (1, 2)]
    stage.do(hub("stranger", "initializeArray", [tail.name, tail.name], [1, 2]))
    for each in (task, *both):
        stage.see(moves.view("viewTask", each), moves.view("viewTaskABILegacy", each))
        stage.see_refused(moves.view("resultFor", each), "task-pending")
    stage.do_all([hub("stranger", "initializeArray", [], []), hub("stranger", "claimArray", [])])
    stage.look()


def a_task_that_goes_well(stage: Stage) -> None:
    """Trust 1, with a callback or without; every call also at a wrong moment."""
    callback = stage.dice.choice(["nobody", "recorder", "refuser", "reenterer", "stranger", "token"])
    payload = b"" if callback == "nobody" else RIGHT
    task, deal = stage.task(callback=callback)
    boss = deal.scheduler
    stage.refuse_all(
        [
            Refusal(reveal("worker 1", task, RIGHT), row="not REVEALING"),
            Refusal(hub(boss, "finalize", task, b"link", payload), row="not REVEALING"),
            Refusal(hub(boss, "reopen", task), row="not REVEALING"),
            Refusal(hub(boss, "reopen", UNKNOWN), row="unknown task"),
            Refusal(hub(boss, "finalize", UNKNOWN, b"", b""), row="unknown task"),
            Refusal(contribute("worker 1", task, RIGHT, signer="stranger"), row="not authorised"),
            Refusal(contribute("worker 1", task, RIGHT, signer=boss, malformed="authorization"), FORMAT),
            Refusal(hub("stranger", "claim", task), row="before the end"),
        ]
    )
    worker = stage.dice.choice(["worker 1", "worker 2", "worker 3", "worker 4", "worker 5"])
    stage.vote(task, {worker: RIGHT})
    stage.refuse_all(
        [
            Refusal(contribute("worker 0", task, RIGHT, signer=boss), row="not ACTIVE"),
            Refusal(contribute_and_finalize("worker 0", task, RIGHT, signer=boss, payload=payload), row="not ACTIVE"),
            Refusal(reveal("worker 0", task, RIGHT), row="not contributed"),
            Refusal(reveal(worker, task, WRONG), row="another digest"),
            Refusal(hub("stranger", "reopen", task), row="not the scheduler"),
            Refusal(hub("stranger", "finalize", task, b"", payload), row="not the scheduler"),
            Refusal(hub(boss, "finalize", task, b"", payload), row="reveals outstanding"),
            Refusal(hub(boss, "reopen", task), row="before the end of reveals"),
        ]
    )
    stage.see(moves.view("viewContribution", task, worker), moves.view("viewContributionABILegacy", task, worker))
    stage.do(reveal(worker, task, RIGHT))
    stage.refuse(reveal(worker, task, RIGHT), row="already revealed")
    results = stage.dice.choice([b"", b"link", b"x" * 84, b"y" * 1000])
    stage.do(hub(boss, "finalize", task, results, payload))
    stage.see(moves.view("viewTask", task), moves.view("viewTaskABILegacy", task), moves.view("resultFor", task))
    stage.refuse_all(
        [
            Refusal(hub("stranger", "claim", task), row="ended"),
            Refusal(hub(boss, "finalize", task, results, payload), row="not REVEALING"),
        ]
    )
    stage.refuse(hub("stranger", "claimArray", [task]), row="ended", at=stage.at(deal.ends))
    stage.look()


def a_payload_for_a_callback(stage: Stage) -> None:
    """The payload must be what was agreed on, and the callback must be offered its gas."""
    task, deal = stage.task(callback=stage.dice.choice(["recorder", "burner"]))
    boss = deal.scheduler
    stage.vote(task, {"worker 1": RIGHT})
    stage.do(reveal("worker 1", task, RIGHT))
    wrong = stage.dice.choice([b"", WRONG])
    stage.refuse(hub(boss, "finalize", task, b"", wrong), row="not the callback's payload")
    stage.do(hub(boss, "finalize", task, b"", RIGHT))
    stage.look()


def a_callback_that_is_offered_too_little(stage: Stage) -> None:
    for step in ("finalize", "contributeAndFinalize"):
        task, deal = stage.task(callback="burner")
        if step == "finalize":
            stage.vote(task, {"worker 1": RIGHT})
            stage.do(reveal("worker 1", task, RIGHT))
            call = hub(deal.scheduler, "finalize", task, b"link", RIGHT)
        else:
            call = contribute_and_finalize("worker 1", task, RIGHT, signer=deal.scheduler, payload=RIGHT)
        needed = stage.chain.least_gas(call, stage.now + 1)
        less = SHORT + stage.dice.randrange(SHORT)
        stage.refuse(moves.limited(call, {title: gas - less for title, gas in needed.items()}), "panic 0x01")
        stage.do(call)
    stage.look()


def a_vote(stage: Stage) -> None:
    """Trust 3 and four workers: one is wrong, and one does not reveal."""
    task, deal = stage.task(trust=3, pool=stage.dice.choice(["workerpool 0", "workerpool 1"]))
    boss = deal.scheduler
    first, liar, second, third = "worker 0", "worker 4", "requester", "worker 1"
    stage.vote(task, {first: RIGHT, liar: WRONG})
    stage.refuse_all(
        [
            Refusal(contribute(first, task, RIGHT, signer=boss), row="already contributed"),
            Refusal(contribute_and_finalize(third, task, RIGHT, signer=boss), row="trust above one"),
        ]
    )
    stage.vote(task, {second: RIGHT, third: RIGHT})
    reveals_end = stage.now + 2 * deal.timeref
    stage.refuse_all(
        [
            Refusal(reveal(liar, task, WRONG), row="not of the consensus"),
            Refusal(reveal("worker 5", task, RIGHT), row="not contributed"),
        ]
    )
    stage.do_all([reveal(first, task, RIGHT), reveal(third, task, RIGHT)])
    stage.refuse(hub(boss, "finalize", task, b"", b""), row="reveals outstanding")
    stage.refuse(hub(boss, "reopen", task), row="somebody revealed", at=stage.at(reveals_end))
    stage.do(hub(boss, "finalize", task, b"link", b""))
    stage.see(*(moves.view("viewContribution", task, worker) for worker in (first, liar, second, third)))
    stage.look()


def a_vote_of_one_mind(stage: Stage) -> None:
    """Everybody agrees and reveals, in no order."""
    trust = stage.dice.choice([2, 4, 10])
    task, deal = stage.task(trust=trust)
    workers = {2: ("worker 4",), 4: ("worker 0", "worker 4"), 10: ("worker 0", "worker 4", "sponsor", "requester")}
    stage.vote(task, dict.fromkeys(workers[trust], RIGHT))
    stage.do_all([reveal(worker, task, RIGHT) for worker in reversed(workers[trust])])
    stage.refuse(hub(deal.scheduler, "finalize", task, b"", WRONG), row="payload without callback")
    stage.do(hub(deal.scheduler, "finalize", task, b"link", b""))
    stage.look()


def a_bag_of_tasks(stage: Stage) -> None:
    """Business as usual: all tasks of a large deal, side by side."""
    deal = stage.deal(volume=BAG, pool="workerpool 0")
    tasks = [stage.name_task(deal, index) for index in range(BAG)]
    workers = [stage.dice.choice(WORKERS[:6]) for _ in tasks]
    pairs = list(zip(tasks, workers, strict=True))
    stage.do_all([hub("stranger", "initialize", deal.name, index) for index in range(BAG)])
    stage.do_all([contribute(worker, task, RIGHT, signer="scheduler") for task, worker in pairs])
    stage.do_all([reveal(worker, task, RIGHT) for task, worker in pairs])
    stage.do_all([hub("scheduler", "finalize", task, b"link", b"") for task in tasks])
    stage.see(*(moves.view("viewTask", task) for task in tasks))


def a_seal_of_another(stage: Stage) -> None:
    """A worker who copies hash and seal of another commits to nothing it can reveal."""
    task, deal = stage.task()
    stage.do(moves.plagiarise("worker 4", task, RIGHT, signer=deal.scheduler, of="worker 1"))
    stage.refuse(reveal("worker 4", task, RIGHT), row="another's seal")
    stage.look()


def a_task_that_is_reopened(stage: Stage) -> None:
    """Nobody reveals; the task begins again without those who should have."""
    task, deal = stage.task(trust=2, pool="workerpool 0")
    boss = deal.scheduler
    stage.vote(task, {"worker 0": RIGHT})
    reveals_end = stage.now + 2 * deal.timeref
    stage.refuse(hub(boss, "reopen", task), row="before the end of reveals", at=stage.at(reveals_end - 1))
    stage.refuse_all(
        [
            Refusal(reveal("worker 0", task, RIGHT), row="too late"),
            Refusal(hub(boss, "finalize", task, b"", b""), row="nobody revealed"),
        ],
        at=stage.at(reveals_end),
    )
    stage.do(hub(boss, "reopen", task))
    stage.refuse(contribute("worker 0", task, RIGHT, signer=boss), row="rejected before")
    stage.see(moves.view("viewContribution", task, "worker 0"), moves.view("viewTask", task))
    again = stage.dice.choice([RIGHT, WRONG])
    stage.vote(task, {"worker 4": again})
    stage.do(reveal("worker 4", task, again), at=stage.at(stage.now + 2 * deal.timeref - 1))
    stage.do(hub(boss, "finalize", task, b"", b""))
    stage.look()


def a_task_whose_time_is_up(stage: Stage) -> None:
    """Contributions close, and later everything does."""
    kind = stage.dice.choice(["sponsor", ""])
    late, deal = stage.task(trust=200, pool="workerpool 0", sponsor=kind, category=0)
    revealing, _ = stage.task(pool="workerpool 0", category=0)
    untouched, _ = stage.task(pool="workerpool 0", category=0)
    never = stage.deal(volume=2, category=0)
    last = stage.deals[-1].ends
    stage.vote(late, {"worker 1": RIGHT})
    stage.vote(late, {"worker 2": WRONG})
    boss = deal.scheduler
    second, _ = stage.task(pool="workerpool 0", category=0)
    stage.do(
        contribute("worker 3", late, WRONG, signer=boss),
        at=stage.at(deal.contributions_end - 1),
    )
    stage.refuse_all(
        [
            Refusal(contribute("worker 4", late, RIGHT, signer=boss), row="too late"),
            Refusal(contribute_and_finalize("worker 4", untouched, RIGHT, signer=boss), row="too late"),
        ],
        at=stage.at(stage.tasks[untouched].contributions_end),
    )
    stage.vote(second, {"worker 4": RIGHT})
    stage.do(reveal("worker 4", second, RIGHT))
    stage.refuse(hub("stranger", "claim", late), row="before the end", at=stage.at(deal.ends - 1))
    stage.do(hub("stranger", "claim", late))
    stage.refuse_all(
        [
            Refusal(hub("stranger", "claim", late), row="ended"),
            Refusal(
                hub("stranger", "initializeAndClaimArray", [never.name, never.name], [0]),
                row="arrays of different lengths",
            ),
            Refusal(hub("stranger", "claim", UNKNOWN), row="never started"),
            Refusal(hub("stranger", "initializeAndClaimArray", [never.name], [0]), row="before the end"),
            Refusal(hub(boss, "reopen", late), row="not REVEALING"),
        ]
    )
    ends = stage.tasks[second].ends
    stage.refuse_all(
        [
            Refusal(hub(boss, "finalize", second, b"", b""), row="at the end"),
            Refusal(hub("stranger", "claimArray", [untouched, late]), row="ended"),
        ],
        at=stage.at(max(ends, last)),
    )
    for index in (0, 1):
        stage.name_task(never, index)
    stage.do(hub("stranger", "claimArray", [untouched, second]))
    stage.do(hub("stranger", "initializeAndClaimArray", [never.name, never.name], [0, 1]))
    stage.do(hub("stranger", "claim", revealing))
    stage.look()


def a_reveal_that_never_comes(stage: Stage) -> None:
    """Not reopened in time, the task can only be claimed."""
    task, deal = stage.task(pool="workerpool 0")
    stage.vote(task, {"worker 1": RIGHT})
    stage.refuse_all(
        [
            Refusal(hub("scheduler", "reopen", task), row="at the end"),
            Refusal(hub("scheduler", "finalize", task, b"", b""), row="at the end"),
        ],
        at=stage.at(deal.ends),
    )
    stage.do(hub("stranger", "claim", task))
    # the kitty gives some of what it got to whoever does better
    well, _ = stage.task(pool="workerpool 0")
    stage.do(contribute_and_finalize("worker 2", well, RIGHT, signer="scheduler"))
    stage.look()


def a_worker_without_stake(stage: Stage) -> None:
    task, deal = stage.task(prices=(1, 0, 10**9), pool="workerpool 0")
    stage.refuse(contribute("worker 6", task, RIGHT, signer=deal.scheduler), BROKE)
    stage.do(contribute_and_finalize("worker 6", task, RIGHT, signer=deal.scheduler))
    stage.look()


def enclaves(stage: Stage) -> None:
    """A tag that demands an enclave, with and without a broker who speaks for the scheduler."""
    broker = stage.dice.random() < 0.5
    if broker:
        stage.do(hub("admin", "setTeeBroker", "broker"))
        stage.see(moves.view("teebroker"))
    task, deal = stage.task(tag=TEE, trust=1, pool="workerpool 0")
    signer = "broker" if broker else deal.scheduler
    other = deal.scheduler if broker else "broker"
    inside = {"enclave": "enclave"}
    refusals = []
    for call in (contribute, contribute_and_finalize):
        refusals += [
            Refusal(call("worker 1", task, RIGHT, signer=deal.scheduler), row="no enclave"),
            Refusal(call("worker 1", task, RIGHT, signer=other, **inside), row="not authorised"),
            Refusal(call("worker 1", task, RIGHT, signer=signer, attester="stranger", **inside), row="not attested"),
            Refusal(call("worker 1", task, RIGHT, signer=signer, malformed="authorization", **inside), FORMAT),
            Refusal(call("worker 1", task, RIGHT, signer=signer, malformed="attestation", **inside), FORMAT),
        ]
    stage.refuse_all(refusals)
    if stage.dice.random() < 0.5:
        stage.do(contribute_and_finalize("worker 1", task, RIGHT, signer=signer, enclave="enclave"))
    else:
        # an enclave may as well be a contract that signs (ERC-1271)
        enclave = stage.dice.choice(["enclave", "yes"])
        stage.do(contribute("worker 1", task, RIGHT, signer=signer, enclave=enclave))
        stage.do(reveal("worker 1", task, RIGHT))
        stage.do(hub(deal.scheduler, "finalize", task, b"", b""))
    stage.look()


def a_task_in_one_step(stage: Stage) -> None:
    callback = stage.dice.choice(["recorder", "reenterer", "refuser"])
    plain, deal = stage.task(pool="workerpool 0")
    told, _ = stage.task(pool="workerpool 0", callback=callback)
    crowded, _ = stage.task(trust=1, pool="workerpool 0")
    boss = deal.scheduler
    stage.refuse_all(
        [
            Refusal(
                contribute_and_finalize("worker 1", told, RIGHT, signer=boss, payload=WRONG),
                row="not the callback's payload",
            ),
            Refusal(
                contribute_and_finalize("worker 1", plain, RIGHT, signer=boss, payload=WRONG),
                row="payload without callback",
            ),
            Refusal(contribute_and_finalize("worker 1", plain, RIGHT, signer="stranger"), row="not authorised"),
        ]
    )
    stage.do_all(
        [
            contribute_and_finalize("worker 1", plain, RIGHT, signer=boss),
            contribute_and_finalize("worker 2", told, RIGHT, signer=boss, payload=RIGHT),
        ]
    )
    # somebody was first, was found out, and the task is active again
    stage.vote(crowded, {"worker 3": RIGHT})
    stage.do(hub(boss, "reopen", crowded), at=stage.at(stage.now + 2 * stage.tasks[crowded].timeref))
    stage.refuse(contribute_and_finalize("worker 1", crowded, RIGHT, signer=boss), row="somebody contributed")
    stage.see(*(moves.view("resultFor", task) for task in (plain, told)))
    stage.look()


SCENES = (
    tasks_started,
    a_task_that_goes_well,
    a_payload_for_a_callback,
    a_callback_that_is_offered_too_little,
    a_vote,
    a_vote_of_one_mind,
    a_bag_of_tasks,
    a_seal_of_another,
    a_task_that_is_reopened,
    a_task_whose_time_is_up,
    a_reveal_that_never_comes,
    a_worker_without_stake,
    enclaves,
    a_task_in_one_step,
)
