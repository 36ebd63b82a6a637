"""The single transaction of a Boost task: who may send it, until which second, and who is paid what."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pyiexec.chain.abi import Event, Function
from pyiexec.chain.calls import claim_boost
from pyiexec.protocol import ids
from pyiexec.protocol.primitives import NULL_ADDRESS, NULL_BYTES32, ResultDigest, bytes32, keccak256
from pyiexec.protocol.tasks import Task, TaskStatus

KITTY = "0x99c2268479b93fDe36232351229815DF80837e23"
TEE = bytes32(1)
APP, DATASET, POOL = 1_000, 1_000_000, 1_000_000_000
COST, STAKE = APP + DATASET + POOL, 300_000_000
REWARD = 990_000_000
#: Seconds from the match to the deadline, in the smallest category.
WINDOW = 7 * 300
LEGACY_TASK = (
    "viewTaskABILegacy(bytes32 id) view returns (uint8, bytes32, uint256, uint256, uint256, uint256, uint256, bytes32,"
    " uint256, uint256, address[], bytes)"
)
GOT_RESULT = Event.parse("GotResult(bytes32 indexed id, bytes result)")
#: Loops for ever; answers a megabyte.
BURNER, FLOODER = "0x5b5f56", "0x62" + f"{1_000_000:06x}" + "5ff3"
ALLOWANCE = 200_000


@pytest.fixture
def poor(market: Any) -> Any:
    """Requester, sponsor and scheduler have exactly what one task takes; the first worker has nothing."""
    market.set_balance(market.requester, COST)
    market.set_balance(market.sponsor, COST)
    market.set_balance(market.scheduler, STAKE)
    market.set_balance(market.workers[0], 0)
    return market


def planted(market: Any, code: str) -> str:
    address = "0x00000000000000000000000000000000000C0DE1"
    market.chain.ask("anvil_setCode", address, code)
    return address


def claim(market: Any, match: Any, index: int = 0, **options: Any) -> Any:
    return market.chain.send(market.hub, claim_boost(match.id, index), market.stranger, **options)


def feed_kitty(market: Any, price: int) -> int:
    """Let a task fail whose scheduler staked 30 % of `price`; what the kitty then holds."""
    order = market.workerpool_order(workerpoolprice=price)
    failed = market.match(workerpool=order, workerpoolmaxprice=price, boost=True)
    claim(market, failed, at=market.boost_deal(failed.id).deadline)
    frozen: int = market.view("frozenOf", KITTY)
    return frozen


# --- money ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sponsored", [False, True])
def test_a_result_pays_worker_app_dataset_and_scheduler(poor: Any, sponsored: bool) -> None:
    market, worker = poor, poor.workers[0]
    match = market.match(boost=True, sponsored=sponsored)
    payer, other = (market.sponsor, market.requester) if sponsored else (market.requester, market.sponsor)
    assert market.account(payer) == (0, COST)
    market.push(match, worker, results=b"link")
    assert market.account(payer) == (0, 0)
    assert market.account(other) == (COST, 0)
    assert market.account(worker) == (REWARD, 0)
    assert market.account(market.app_owner) == (APP, 0)
    assert market.account(market.dataset_owner) == (DATASET, 0)
    assert market.account(market.scheduler) == (STAKE + POOL - REWARD, 0)
    assert market.view("balanceOf", market.hub) == 0
    assert market.conserved()


def test_a_result_is_told_in_order(market: Any) -> None:
    match, worker = market.match(boost=True), market.workers[0]
    task = match.task()
    receipt = market.push(match, worker, results=b"link")

    def paid(account: str, amount: int) -> list[Any]:
        return [
            ("Transfer", {"from": market.hub, "to": account, "value": amount}),
            ("Reward", {"owner": account, "amount": amount, "ref": task}),
        ]

    assert market.events(receipt) == [
        ("Seize", {"owner": market.requester, "amount": COST, "ref": task}),
        *paid(worker, REWARD),
        *paid(market.app_owner, APP),
        *paid(market.dataset_owner, DATASET),
        ("Transfer", {"from": market.hub, "to": market.scheduler, "value": STAKE}),
        ("Unlock", {"owner": market.scheduler, "amount": STAKE}),
        *paid(market.scheduler, POOL - REWARD),
        ("ResultPushedBoost", {"dealId": match.id, "index": 0, "results": b"link"}),
    ]


def test_nothing_is_paid_for_what_is_free(market: Any) -> None:
    match = market.match(
        app=market.app_order(appprice=0),
        dataset=market.dataset_order(datasetprice=0),
        workerpool=market.workerpool_order(workerpoolprice=0),
        boost=True,
    )
    told = [name for name, _ in market.events(market.push(match, market.workers[0]))]
    # worker and scheduler are rewarded with nothing, as in the classic workflow
    assert told == ["Seize", "Transfer", "Reward", "Transfer", "Unlock", "Transfer", "Reward", "ResultPushedBoost"]
    assert market.conserved()


@pytest.mark.parametrize(
    ("price", "kitty", "part"),
    [
        (3_333_333_330, 999_999_999, 999_999_999),
        (3_333_333_334, 1_000_000_000, 1_000_000_000),
        (3_333_333_337, 1_000_000_001, 1_000_000_000),
        (33_333_333_367, 10_000_000_010, 1_000_000_001),
    ],
)
def test_the_kitty_gives_the_scheduler_its_part_in_one_reward(market: Any, price: int, kitty: int, part: int) -> None:
    assert feed_kitty(market, price) == kitty
    match = market.match(boost=True)
    free, _ = market.account(market.scheduler)
    told = market.events(market.push(match, market.workers[0]))
    assert market.account(KITTY) == (0, kitty - part)
    assert market.account(market.scheduler) == (free + STAKE + POOL - REWARD + part, 0)
    assert [name for name, _ in told[9:]] == ["Seize", "Transfer", "Reward", "ResultPushedBoost"]
    assert told[9][1] == {"owner": KITTY, "amount": part, "ref": match.task()}
    assert told[11][1] == {"owner": market.scheduler, "amount": POOL - REWARD + part, "ref": match.task()}
    assert market.conserved()


@pytest.mark.parametrize("sponsored", [False, True])
@pytest.mark.parametrize("no_dataset", [False, True])
def test_a_claim_refunds_whoever_paid_and_feeds_the_kitty(market: Any, sponsored: bool, no_dataset: bool) -> None:
    cost = COST - (DATASET if no_dataset else 0)
    payer = market.sponsor if sponsored else market.requester
    market.set_balance(payer, cost)
    market.set_balance(market.scheduler, STAKE)
    match = market.match(boost=True, sponsored=sponsored, no_dataset=no_dataset)
    receipt = claim(market, match, at=market.boost_deal(match.id).deadline)
    task = match.task()
    assert market.events(receipt) == [
        ("Transfer", {"from": market.hub, "to": payer, "value": cost}),
        ("Unlock", {"owner": payer, "amount": cost}),
        ("Seize", {"owner": market.scheduler, "amount": STAKE, "ref": task}),
        ("Reward", {"owner": KITTY, "amount": STAKE, "ref": task}),
        ("Lock", {"owner": KITTY, "amount": STAKE}),
        ("TaskClaimed", {"taskid": task}),
    ]
    assert market.account(payer) == (cost, 0)
    assert market.account(market.scheduler) == (0, 0)
    assert market.account(KITTY) == (0, STAKE)
    assert market.conserved()


def test_the_owners_of_the_match_are_paid_not_those_of_the_result(market: Any) -> None:
    match = market.match(boost=True)
    market.give_asset("app", market.app, market.app_owner, market.stranger)
    market.push(match, market.workers[0])
    assert market.account(market.app_owner) == (APP, 0)
    assert market.account(market.stranger) == (0, 0)


def test_the_tasks_of_a_deal_end_one_by_one(market: Any) -> None:
    """Some by a result and some by a claim, and the money is all accounted for."""
    match = market.match(volume=4, boost=True, sponsored=True)
    market.push(match, market.workers[0], 3)
    market.push(match, market.workers[1], 0)
    deadline = market.boost_deal(match.id).deadline
    claim(market, match, 2, at=deadline)
    assert market.account(market.sponsor)[1] == COST
    claim(market, match, 1)
    assert market.account(market.sponsor)[1] == market.account(market.scheduler)[1] == 0
    statuses = [market.task(match.task(index)).status for index in range(5)]
    done, failed = TaskStatus.COMPLETED, TaskStatus.FAILED
    assert statuses == [done, failed, failed, done, TaskStatus.UNSET]
    assert market.conserved()


def test_indexes_start_from_zero_in_every_deal(market: Any, reverted: Any) -> None:
    """Row 5 of what is known to be odd: indexers rely on it."""
    request = market.request_order(volume=5)
    market.match(request=request, workerpool=market.workerpool_order(volume=3), boost=True)
    second = market.match(request=request, boost=True)
    assert market.boost_deal(second.id).bot_first == 3
    market.push(second, market.workers[0], 0)
    market.push(second, market.workers[0], 1)
    for index in (2, 3, 4):
        with pytest.raises(reverted, match=r"^PocoBoost: Unknown task$"):
            market.push(second, market.workers[0], index)


# --- what the hub keeps of a task -------------------------------------------------------------------------------------


def ended(market: Any, status: TaskStatus) -> Any:
    match = market.match(boost=True)
    if status is TaskStatus.COMPLETED:
        market.push(match, market.workers[0], results=b"link", callback=b"data")
    else:
        claim(market, match, at=market.boost_deal(match.id).deadline)
    return match


@pytest.mark.parametrize("status", [TaskStatus.COMPLETED, TaskStatus.FAILED])
def test_of_a_task_nothing_but_its_status_is_kept(market: Any, status: TaskStatus) -> None:
    match = ended(market, status)
    assert market.task(match.task()) == Task(status=status)
    legacy = market.ask(LEGACY_TASK, match.task())
    assert legacy == (status, NULL_BYTES32, 0, 0, 0, 0, 0, NULL_BYTES32, 0, 0, (), b"")
    assert market.contribution(match.task(), market.workers[0]).status == 0


def test_a_result_is_told_but_not_kept(market: Any, mock: Any, reverted: Any) -> None:
    match = market.match(callback=mock("Consumer", 0), boost=True)
    with pytest.raises(reverted, match=r"^task-pending$"):
        market.view("resultFor", match.task())
    market.push(match, market.workers[0], results=b"link", callback=b"data")
    assert market.view("resultFor", match.task()) == b""


def test_a_claimed_task_has_no_result(market: Any, reverted: Any) -> None:
    with pytest.raises(reverted, match=r"^task-pending$"):
        market.view("resultFor", ended(market, TaskStatus.FAILED).task())


@pytest.mark.parametrize("status", [TaskStatus.UNSET, TaskStatus.COMPLETED, TaskStatus.FAILED])
def test_no_step_of_the_classic_workflow_touches_a_task(market: Any, reverted: Any, status: TaskStatus) -> None:
    match = market.match(boost=True) if status is TaskStatus.UNSET else ended(market, status)
    task, worker = match.task(), market.workers[0]
    attempts: list[Callable[[], Any]] = [
        lambda: market.initialize(match),
        lambda: market.send("initializeArray", [match.id], [0], sender=worker),
        lambda: market.contribute(task, worker),
        lambda: market.reveal(task, worker),
        lambda: market.send("reopen", task, sender=market.scheduler),
        lambda: market.finalize(task, b"link"),
        lambda: market.contribute_and_finalize(task, worker),
        lambda: market.send("claim", task, sender=worker),
        lambda: market.send("claimArray", [task], sender=worker),
        lambda: market.send("initializeAndClaimArray", [match.id], [0], sender=worker),
    ]
    market.chain.ask("evm_increaseTime", 10 * 300)
    for attempt in attempts:
        with pytest.raises(reverted) as caught:
            attempt()
        assert caught.value.data == b""
    assert market.task(task) == Task(status=status)


def test_results_give_no_reputation(market: Any) -> None:
    market.push(market.match(boost=True), market.workers[0])
    assert market.view("viewScore", market.workers[0]) == 0


# --- who and when -----------------------------------------------------------------------------------------------------

Attempt = dict[str, Any]
#: Reason and what is wrong, in the order of the checks. The deal asks for an enclave and has a callback.
PUSH_CHECKS: list[tuple[str, Attempt]] = [
    ("PocoBoost: Unknown task", {"index": 1}),
    ("PocoBoost: Task status not unset", {"twice": True}),
    ("PocoBoost: Deadline reached", {"late": True}),
    ("PocoBoost: Tag requires enclave challenge", {"enclave": NULL_ADDRESS}),
    ("PocoBoost: Invalid contribution authorization signature", {"authorization": b"\x11" * 65}),
    ("PocoBoost: Invalid enclave signature", {"enclave_sign": b"\x11" * 65}),
    ("PocoBoost: Callback requires data", {"callback": b""}),
    ("results too long", {"results": b"x" * 4097}),
    ("resultsCallback too long", {"callback": b"x" * 4097}),
]


def attempt_push(market: Any, attempt: Attempt) -> Any:
    wrong = dict(attempt)
    match = market.match(tag=TEE, callback=market.stranger, boost=True)
    right = {"enclave": market.enclave, "callback": b"data", "results": b"link"}
    if wrong.pop("twice", False):
        market.push(match, market.workers[1], **right)
    options = {"at": market.boost_deal(match.id).deadline} if wrong.pop("late", False) else {}
    return market.push(match, market.workers[0], **right | wrong, **options)


def test_the_attempt_succeeds_when_nothing_is_wrong(market: Any) -> None:
    assert attempt_push(market, {})


@pytest.mark.parametrize(("reason", "wrong"), PUSH_CHECKS)
def test_each_check_of_a_result_has_its_reason(market: Any, reverted: Any, reason: str, wrong: Attempt) -> None:
    with pytest.raises(reverted, match=f"^{reason}$"):
        attempt_push(market, wrong)


@pytest.mark.parametrize("position", range(len(PUSH_CHECKS)))
def test_the_checks_of_a_result_come_in_order(market: Any, reverted: Any, position: int) -> None:
    """All that can be wrong from here on is wrong at once."""
    wrong: Attempt = {}
    for _, more in reversed(PUSH_CHECKS[position:]):
        wrong |= more
    with pytest.raises(reverted, match=f"^{PUSH_CHECKS[position][0]}$"):
        attempt_push(market, wrong)


@pytest.mark.parametrize("index", [1, 2**16, 2**256 - 1])
def test_only_tasks_of_the_deal_can_end(market: Any, reverted: Any, index: int) -> None:
    match = market.match(boost=True)
    with pytest.raises(reverted, match=r"^PocoBoost: Unknown task$"):
        market.push(match, market.workers[0], index)
    with pytest.raises(reverted, match=r"^PocoBoost: Unknown task$"):
        claim(market, match, index, at=market.boost_deal(match.id).deadline)


def test_the_last_second_is_in_time_and_the_next_is_not(market: Any, reverted: Any) -> None:
    first, second = market.match(boost=True), market.match(boost=True)
    deadline = market.boost_deal(first.id).deadline
    market.push(first, market.workers[0], at=deadline - 1)
    late = market.boost_deal(second.id).deadline
    with pytest.raises(reverted, match=r"^PocoBoost: Deadline reached$"):
        market.push(second, market.workers[0], at=late)


def test_a_claim_waits_for_the_deadline(market: Any, reverted: Any) -> None:
    match = market.match(boost=True)
    deadline = market.boost_deal(match.id).deadline
    assert deadline == market.chain.now() + WINDOW
    with pytest.raises(reverted, match=r"^PocoBoost: Deadline not reached$"):
        claim(market, match, at=deadline - 1)
    claim(market, match, at=deadline)
    assert market.task(match.task()).status is TaskStatus.FAILED


@pytest.mark.parametrize("status", [TaskStatus.COMPLETED, TaskStatus.FAILED])
def test_a_task_ends_once(market: Any, reverted: Any, status: TaskStatus) -> None:
    match = ended(market, status)
    with pytest.raises(reverted, match=r"^PocoBoost: Task status not unset$"):
        market.push(match, market.workers[1])
    with pytest.raises(reverted, match=r"^PocoBoost: Task status not unset$"):
        claim(market, match)


def test_an_authorization_is_for_one_worker_one_task_and_one_enclave(market: Any, reverted: Any) -> None:
    match, worker = market.match(volume=2, boost=True), market.workers[0]
    other = market.match(boost=True)
    for wrong in (
        market.authorization(market.workers[1], match.task(), by=market.scheduler),
        market.authorization(worker, match.task(1), by=market.scheduler),
        market.authorization(worker, other.task(), by=market.scheduler),
        market.authorization(worker, match.task(), by=market.scheduler, enclave=market.enclave),
        market.authorization(worker, match.task(), by=market.stranger),
    ):
        with pytest.raises(reverted, match=r"^PocoBoost: Invalid contribution authorization signature$"):
            market.push(match, worker, authorization=wrong)


@pytest.mark.parametrize("tag", [bytes32(0), TEE])
def test_a_broker_speaks_for_enclaves_and_for_them_alone(market: Any, reverted: Any, tag: str) -> None:
    market.send("setTeeBroker", market.broker, sender=market.admin)
    match, worker = market.match(volume=2, tag=tag, boost=True), market.workers[0]
    with pytest.raises(reverted, match=r"^PocoBoost: Invalid contribution authorization signature$"):
        market.push(match, worker, by=market.scheduler, enclave=market.enclave)
    market.push(match, worker, by=market.broker, enclave=market.enclave)
    if tag != TEE:
        with pytest.raises(reverted, match=r"^PocoBoost: Invalid contribution authorization signature$"):
            market.push(match, worker, 1, by=market.broker)
        market.push(match, worker, 1, by=market.scheduler)


@pytest.mark.parametrize("has_callback", [False, True])
def test_an_enclave_signs_what_the_deal_is_about(market: Any, reverted: Any, has_callback: bool) -> None:
    """The payload of the callback if there is one, else the results."""
    callback = market.stranger if has_callback else NULL_ADDRESS
    match, worker = market.match(callback=callback, boost=True), market.workers[0]

    def signed_over(answer: bytes, by_worker: str = worker, index: int = 0) -> bytes:
        digest = ResultDigest(bytes32(keccak256(answer)))
        message = ids.boost_enclave_hash(by_worker, match.task(index), digest)
        return bytes(market.signers[market.enclave].sign_message_hash(message))

    given = {"results": b"link", "callback": b"data", "enclave": market.enclave}
    right, wrong = (b"data", b"link") if has_callback else (b"link", b"data")
    for sign in (signed_over(wrong), signed_over(right, market.workers[1]), signed_over(right, index=1)):
        with pytest.raises(reverted, match=r"^PocoBoost: Invalid enclave signature$"):
            market.push(match, worker, **given, enclave_sign=sign)
    market.push(match, worker, **given, enclave_sign=signed_over(right))


def test_a_classic_enclave_signature_does_not_do(market: Any, reverted: Any) -> None:
    match, worker = market.match(boost=True), market.workers[0]
    digest = ResultDigest(bytes32(keccak256(b"link")))
    sign = market.enclave_signature(worker, match.task(), digest)
    with pytest.raises(reverted, match=r"^PocoBoost: Invalid enclave signature$"):
        market.push(match, worker, results=b"link", enclave=market.enclave, enclave_sign=sign)


@pytest.mark.parametrize("which", ["authorization", "enclave_sign"])
def test_a_signature_of_a_wrong_length_has_a_reason_of_its_own(market: Any, reverted: Any, which: str) -> None:
    match = market.match(boost=True)
    with pytest.raises(reverted, match=r"^invalid-signature-format$"):
        market.push(match, market.workers[0], enclave=market.enclave, **{which: b"\xba\xdd"})


@pytest.mark.parametrize("mode", [0, 1, 2, 3])
def test_enclave_and_broker_may_be_contracts(market: Any, mock: Any, reverted: Any, mode: int) -> None:
    """Each decides for itself (ERC-1271)."""
    agreeing, wallet = mock("Wallet", 0), mock("Wallet", mode)
    match, worker = market.match(volume=2, tag=TEE, boost=True), market.workers[0]
    market.send("setTeeBroker", agreeing, sender=market.admin)
    signs = {"authorization": b"by word", "enclave_sign": b"by word"}
    if mode == 0:
        market.push(match, worker, enclave=wallet, **signs)
        return
    with pytest.raises(reverted, match=r"^PocoBoost: Invalid enclave signature$"):
        market.push(match, worker, enclave=wallet, **signs)
    market.send("setTeeBroker", wallet, sender=market.admin)
    with pytest.raises(reverted, match=r"^PocoBoost: Invalid contribution authorization signature$"):
        market.push(match, worker, enclave=agreeing, **signs)


# --- results and callbacks --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("length", [0, 1, 4096])
def test_results_of_any_length_up_to_the_limit_are_told(market: Any, length: int) -> None:
    match = market.match(boost=True)
    told = dict(market.events(market.push(match, market.workers[0], results=b"r" * length)))
    assert told["ResultPushedBoost"]["results"] == b"r" * length


@pytest.mark.parametrize("field", ["results", "callback", "authorization", "enclave_sign"])
def test_what_no_result_may_hold_is_refused_before_anything_is_looked_at(
    market: Any, reverted: Any, field: str
) -> None:
    length = 6145 if field in ("results", "callback") else 1025
    with pytest.raises(reverted) as caught:
        market.push(market.match(boost=True), market.workers[0], **{field: b"x" * length})
    assert caught.value.data == b""


def test_without_a_callback_its_payload_is_ignored(market: Any) -> None:
    match = market.match(boost=True)
    plain = market.match(boost=True)
    told = [name for name, _ in market.events(market.push(match, market.workers[0], callback=bytes(32)))]
    assert told == [name for name, _ in market.events(market.push(plain, market.workers[0]))]


def test_a_callback_receives_the_payload_last(market: Any, mock: Any) -> None:
    consumer = mock("Consumer", 0)
    match = market.match(callback=consumer, boost=True)
    receipt = market.push(match, market.workers[0], results=b"link", callback=b"d" * 4096)
    last = receipt.raw["logs"][-1]
    assert last["address"] == consumer.lower()
    assert GOT_RESULT.decode(last) == {"id": match.task(), "result": b"d" * 4096}
    assert market.events(receipt)[-1][0] == "ResultPushedBoost"
    assert receipt.raw["logs"][-2]["address"] == market.hub.lower()
    offered = int.from_bytes(market.chain.call(consumer, Function.parse("gas_offered()").encode()), "big")
    assert ALLOWANCE - 10_000 < offered < ALLOWANCE


@pytest.mark.parametrize("kind", ["account", "token", "refuses", "burns"])
def test_a_callback_that_fails_changes_nothing(market: Any, mock: Any, kind: str) -> None:
    kinds: dict[str, Callable[[], str]] = {
        "account": lambda: market.stranger,
        "token": lambda: market.manifest.token,
        "refuses": lambda: mock("Consumer", 1),
        "burns": lambda: planted(market, BURNER),
    }
    match = market.match(callback=kinds[kind](), boost=True)
    market.push(match, market.workers[0], callback=b"data")
    assert market.task(match.task()).status is TaskStatus.COMPLETED
    assert market.account(market.workers[0])[0] > 0
    assert market.conserved()


def test_a_callback_that_calls_back_finds_the_task_done(market: Any, mock: Any) -> None:
    match = market.match(callback=mock("Consumer", 2), boost=True)
    market.push(match, market.workers[0], callback=b"data")
    consumer = match.request.callback
    answers = [
        int.from_bytes(market.chain.call(consumer, Function.parse(f"{name}()").encode()), "big")
        for name in ("calls", "claimed")
    ]
    assert answers == [1, 0]
    assert market.conserved()


def least_gas(market: Any, match: Any, reverted: Any, allowance: int = ALLOWANCE) -> int:
    """The smallest limit with which the result can be pushed."""
    low, high = allowance, 2 * allowance + 1_000_000
    while high - low > 1:
        middle = (low + high) // 2
        snapshot = market.chain.ask("evm_snapshot")
        try:
            market.push(match, market.workers[0], callback=b"data", gas=middle)
            high = middle
        except reverted:
            low = middle
        market.chain.ask("evm_revert", snapshot)
    return high


def test_whoever_pushes_cannot_starve_the_callback(market: Any, reverted: Any) -> None:
    """The least gas that works is what the callee was promised; less is a refusal, not a silent miss."""
    match = market.match(callback=planted(market, BURNER), boost=True)
    least = least_gas(market, match, reverted)
    for missing in (1, 500, 5_000, 20_000, 60_000):
        with pytest.raises(reverted, match=r"^PocoBoost: Not enough gas after callback$"):
            market.push(match, market.workers[0], callback=b"data", gas=least - missing)
        assert market.task(match.task()).status is TaskStatus.UNSET
    market.push(match, market.workers[0], callback=b"data", gas=least)
    assert market.task(match.task()).status is TaskStatus.COMPLETED


@pytest.mark.parametrize("allowance", [100_000, ALLOWANCE, 3_000_000])
def test_with_the_least_gas_the_callee_is_offered_all_it_was_promised(
    market: Any, mock: Any, reverted: Any, allowance: int
) -> None:
    market.send("setCallbackGas", allowance, sender=market.admin)
    consumer = mock("Consumer", 0)
    match = market.match(callback=consumer, boost=True)
    least = least_gas(market, match, reverted, allowance)
    market.push(match, market.workers[0], callback=b"data", gas=least)
    offered = int.from_bytes(market.chain.call(consumer, Function.parse("gas_offered()").encode()), "big")
    assert allowance - 5_000 < offered <= allowance


# --- what the reference gets wrong ------------------------------------------------------------------------------------


def test_fixed_03_the_sponsor_pays_even_when_the_requester_could(market: Any) -> None:
    own = market.match(boost=True)
    sponsored = market.match(boost=True, sponsored=True)
    market.push(sponsored, market.workers[0])
    assert market.account(market.sponsor)[1] == 0
    assert market.account(market.requester)[1] == COST
    market.push(own, market.workers[0])
    assert market.account(market.requester)[1] == 0
    assert market.conserved()


def test_fixed_03_a_requester_without_money_is_no_obstacle(market: Any) -> None:
    market.set_balance(market.requester, 0)
    match = market.match(boost=True, sponsored=True)
    told = market.events(market.push(match, market.workers[0]))
    assert told[0] == ("Seize", {"owner": market.sponsor, "amount": COST, "ref": match.task()})


def test_fixed_18_a_broker_that_answers_nonsense_says_no(market: Any, mock: Any, reverted: Any) -> None:
    match = market.match(tag=TEE, boost=True)
    for mode in (3, 4, 5):
        market.send("setTeeBroker", mock("Wallet", mode), sender=market.admin)
        with pytest.raises(reverted, match=r"^PocoBoost: Invalid contribution authorization signature$"):
            market.push(match, market.workers[0], enclave=market.enclave, authorization=b"\x11" * 65)


def test_fixed_20_a_recovery_id_of_0_or_1_is_27_or_28(market: Any) -> None:
    match, worker = market.match(boost=True), market.workers[0]
    sign = market.authorization(worker, match.task(), by=market.scheduler)
    market.push(match, worker, authorization=sign[:64] + bytes([sign[64] - 27]))


def test_fixed_30_what_a_callback_answers_is_not_copied(market: Any) -> None:
    """A megabyte of answer would cost millions of gas to copy; it costs the callee its own allowance at most."""
    market.send("setCallbackGas", 10_000_000, sender=market.admin)
    flooded = market.match(callback=planted(market, FLOODER), boost=True)
    plain = market.match(callback=market.stranger, boost=True)
    market.push(market.match(boost=True), market.workers[0])
    difference = (
        market.push(flooded, market.workers[0], callback=b"data").gas
        - market.push(plain, market.workers[0], callback=b"data").gas
    )
    callee = 3 * 31_250 + 31_250**2 // 512
    assert difference < callee + 10_000


# --- gas --------------------------------------------------------------------------------------------------------------

#: Gas of a match with dataset, callback and 145 bytes of params, and of its only result.
MOST = {"match": 312_000, "push": 136_000, "claim": 107_000}


def test_a_task_stays_within_its_gas(market: Any) -> None:
    worker = market.workers[0]
    match, unserved = (market.match(callback=market.stranger, params="x" * 145, boost=True) for _ in range(2))
    # everybody has been paid before
    market.push(market.match(boost=True), worker)
    used = {
        "match": match.receipt.gas,
        "push": market.push(match, worker, results=b"r" * 84, callback=b"c" * 32).gas,
        "claim": claim(market, unserved, at=market.boost_deal(unserved.id).deadline).gas,
    }
    assert {step: gas for step, gas in used.items() if gas > MOST[step]} == {}
