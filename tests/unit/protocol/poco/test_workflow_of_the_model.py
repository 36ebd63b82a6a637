"""Consensus, deadlines and states of tasks, by the model."""

from typing import Any

import msgspec
import pytest

from pyiexec.protocol import ids
from pyiexec.protocol.eip712 import ethereum_message_digest
from pyiexec.protocol.orders import OrderOperation
from pyiexec.protocol.poco import Contract, Refusal
from pyiexec.protocol.primitives import NULL_ADDRESS, Address, TaskId, bytes32
from pyiexec.protocol.tasks import ContributionStatus, TaskStatus

from .market import (
    ADMIN,
    APP,
    APP_OWNER,
    BROKER,
    DATASET,
    DATASET_OWNER,
    ENCLAVE,
    POOL,
    REQUESTER,
    SCHEDULER,
    SPONSOR,
    START,
    STRANGER,
    TIMEREF,
    WORKERS,
    Market,
    account,
    sign,
)

EMPTY = "no reason"
CLOSED, FINAL = START + 7 * TIMEREF, START + 10 * TIMEREF


def status(market: Market, task: TaskId) -> TaskStatus:
    return market.hub.task(task).status


def unsigned(order: Any, **fields: Any) -> Any:
    """The order changed, and no longer signed."""
    return msgspec.structs.replace(order, sign="0x", **fields)


@pytest.mark.parametrize(("trust", "workers"), [(0, 1), (1, 1), (2, 1), (4, 2), (8, 3), (16, 4), (17, 5)])
def test_so_many_newcomers_settle_a_trust(market: Market, trust: int, workers: int) -> None:
    task = market.started(trust=trust)
    for worker in WORKERS[:workers]:
        assert status(market, task) is TaskStatus.ACTIVE
        market.contribute(task, worker)
    assert status(market, task) is TaskStatus.REVEALING
    assert market.hub.task(task).winner_counter == workers


def test_a_dissenter_costs_one_more_worker(market: Market) -> None:
    task = market.started(trust=3)
    groups = []
    for worker, result in zip(WORKERS, (b"right", b"wrong", b"right", b"right"), strict=False):
        market.contribute(task, worker, result)
        groups.append((sorted(market.hub.groups[task].values()), status(market, task)))
    assert groups == [
        ([2], TaskStatus.ACTIVE),
        ([2, 2], TaskStatus.ACTIVE),
        ([2, 4], TaskStatus.ACTIVE),
        ([2, 8], TaskStatus.REVEALING),
    ]


def test_a_reopened_group_starts_again_from_one_vote(market: Market) -> None:
    task = market.started(trust=4)
    for worker in WORKERS[:2]:
        market.contribute(task, worker)
    late = START + 2 * TIMEREF
    market.hub.reopen(task, sender=SCHEDULER, now=late)
    assert status(market, task) is TaskStatus.ACTIVE
    rejected = market.hub.contribution(task, WORKERS[0])
    assert rejected.status is ContributionStatus.REJECTED
    market.contribute(task, WORKERS[2], now=late)
    assert list(market.hub.groups[task].values()) == [2]
    with pytest.raises(Refusal, match=EMPTY):
        market.contribute(task, WORKERS[0], now=late)


def test_scores_rise_for_agreement_and_sink_by_a_third(market: Market) -> None:
    for worker in WORKERS[:3]:
        dict.__setitem__(market.hub.scores, worker, 20)
    task = market.started(trust=6)
    for worker, result in zip(WORKERS, (b"wrong", b"right", b"right", b"right"), strict=False):
        if status(market, task) is TaskStatus.ACTIVE:
            market.contribute(task, worker, result)
    for worker in market.hub.task(task).contributors[1:]:
        market.reveal(task, worker)
    market.finalize(task)
    assert [market.hub.score(worker) for worker in WORKERS[:3]] == [13, 21, 21]


@pytest.mark.parametrize(
    ("step", "last", "first_refused"),
    [
        ("contribute", CLOSED - 1, CLOSED),
        ("reveal", START + 2 * TIMEREF - 1, START + 2 * TIMEREF),
        ("finalize", FINAL - 1, FINAL),
        ("shortcut", CLOSED - 1, CLOSED),
    ],
)
def test_a_deadline_is_the_first_second_too_late(market: Market, step: str, last: int, first_refused: int) -> None:
    task = market.started()
    if step in ("reveal", "finalize"):
        market.contribute(task, WORKERS[0])
    if step == "finalize":
        market.reveal(task, WORKERS[0])
    arguments: tuple[Any, ...] = () if step == "finalize" else (WORKERS[0],)
    call = getattr(market, step)
    with pytest.raises(Refusal, match=EMPTY):
        call(task, *arguments, now=first_refused)
    call(task, *arguments, now=last)


def test_a_task_may_be_claimed_from_its_final_deadline_on(market: Market) -> None:
    task = market.started()
    with pytest.raises(Refusal, match=EMPTY):
        market.hub.claim(task, now=FINAL - 1)
    assert market.hub.claim_array([task], now=FINAL).value
    assert status(market, task) is TaskStatus.FAILED
    with pytest.raises(Refusal, match=EMPTY):
        market.hub.claim(task, now=FINAL)


def test_a_contribution_not_revealed_in_time_is_lost(market: Market) -> None:
    task = market.started(trust=4)
    for worker in WORKERS[:2]:
        market.contribute(task, worker)
    market.reveal(task, WORKERS[0])
    with pytest.raises(Refusal, match=EMPTY):
        market.finalize(task, now=START + 2 * TIMEREF - 1)
    market.finalize(task, now=START + 2 * TIMEREF)
    assert market.holds(WORKERS[1]) == (100 * 10**9 - 300_000_000, 0)


def test_an_enclave_needs_the_broker_where_there_is_one(market: Market) -> None:
    tee = bytes32(1)
    task = market.started(tag=tee)
    market.hub.set_tee_broker(BROKER, sender=ADMIN)
    worker, digest = WORKERS[0], market.digest(b"right")
    votes = ids.result_hash(task, digest), ids.result_seal(worker, task, digest)
    attested = sign(ENCLAVE, ethereum_message_digest(ids.enclave_hash(*votes)))
    permission = ethereum_message_digest(ids.authorization_hash(worker, task, ENCLAVE))

    def contribute(enclave: Address, authorization: bytes) -> None:
        market.hub.contribute(task, *votes, enclave, attested, authorization, sender=worker, now=START)

    with pytest.raises(Refusal, match=EMPTY):
        contribute(NULL_ADDRESS, market.authorization(worker, task))
    with pytest.raises(Refusal, match=EMPTY):
        contribute(ENCLAVE, sign(SCHEDULER, permission))
    contribute(ENCLAVE, sign(BROKER, permission))
    assert market.hub.contribution(task, worker).enclave_challenge == ENCLAVE


class Consumer(Contract):
    """Takes results, or refuses them after having had its way."""

    def __init__(self, market: Market, *, refuses: bool) -> None:
        self.market = market
        self.refuses = refuses

    def receive_result(self, task: TaskId, data: bytes, *, sender: Address, now: int) -> None:
        self.market.hub.transfer(STRANGER, 1, sender=SPONSOR)
        self.market.world.emit(account(77), "GotResult", id=task, result=data)
        if self.refuses:
            raise Refusal("no")


@pytest.mark.parametrize("refuses", [False, True])
def test_a_callback_cannot_undo_the_task_nor_keep_what_it_did_in_vain(market: Market, refuses: bool) -> None:
    market.world.contracts[account(77)] = Consumer(market, refuses=refuses)
    task = market.started(callback=account(77))
    told = market.shortcut(task, WORKERS[0], callback=b"payload").events
    assert status(market, task) is TaskStatus.COMPLETED
    assert [event.name for event in told][-1] == ("TaskFinalize" if refuses else "GotResult")
    assert market.hub.balance_of(STRANGER) == (0 if refuses else 1)
    assert market.hub.result_for(task) == b"payload"


def test_a_callback_must_be_offered_its_gas(market: Market) -> None:
    task = market.started(callback=account(78))
    digest = market.digest(b"payload")
    papers = NULL_ADDRESS, b"", market.authorization(WORKERS[0], task)
    with pytest.raises(Refusal, match="panic 0x01"):
        market.hub.contribute_and_finalize(
            task, digest, b"", b"payload", *papers, sender=WORKERS[0], now=START, starved=True
        )
    assert status(market, task) is TaskStatus.ACTIVE


def test_an_order_serves_several_deals_until_it_is_used_up_or_closed(market: Market) -> None:
    app, dataset, pool, request = market.orders(volume=5)
    two = market.signed(unsigned(pool, volume=2), SCHEDULER)
    first = market.hub.match_orders(app, dataset, two, request, sender=STRANGER, now=START).value
    second = market.hub.match_orders(app, dataset, pool, request, sender=STRANGER, now=START).value
    assert [market.hub.deal(deal).bot_first for deal in (first, second)] == [0, 2]
    assert [market.hub.deal(deal).bot_size for deal in (first, second)] == [2, 3]
    with pytest.raises(Refusal, match="iExecV5-matchOrders-0x60"):
        market.hub.match_orders(app, dataset, pool, request, sender=STRANGER, now=START)
    others = market.orders(volume=5)
    market.hub.manage_order(others[3], OrderOperation.CLOSE, sender=REQUESTER)
    assert market.hub.compute_deal_volume(*others) == 0
    with pytest.raises(Refusal, match="iExecV5-matchOrders-0x60"):
        market.hub.match_orders(*others, sender=STRANGER, now=START)


def test_a_closed_order_of_any_volume_has_nothing_left(market: Market) -> None:
    app, dataset, pool, request = market.orders()
    endless = market.signed(unsigned(app, volume=2**256 - 1), APP_OWNER)
    market.hub.manage_order(endless, OrderOperation.CLOSE, sender=APP_OWNER)
    with pytest.raises(Refusal, match="iExecV5-matchOrders-0x60"):
        market.hub.match_orders(endless, dataset, pool, request, sender=STRANGER, now=START)


def test_orders_are_signed_by_transactions_too(market: Market) -> None:
    app, dataset, pool, request = (unsigned(order) for order in market.orders())
    hub = market.hub
    hub.manage_order(app, OrderOperation.SIGN, sender=APP_OWNER)
    hub.manage_order(
        dataset, OrderOperation.SIGN, market.operation_signature(dataset, 0, DATASET_OWNER), sender=STRANGER
    )
    hub.manage_order(pool, OrderOperation.SIGN, sender=SCHEDULER)
    with pytest.raises(Refusal, match="invalid-signature-format"):
        hub.match_orders(app, dataset, pool, request, sender=STRANGER, now=START)
    with pytest.raises(Refusal, match="invalid-sender-or-signature"):
        hub.manage_order(
            request, OrderOperation.SIGN, market.operation_signature(request, 1, REQUESTER), sender=STRANGER
        )
    hub.manage_order(request, OrderOperation.SIGN, sender=REQUESTER)
    assert hub.match_orders(app, dataset, pool, request, sender=STRANGER, now=START).value in hub.deals


def test_a_presignature_ends_when_the_asset_is_sold(market: Market) -> None:
    app, dataset, pool, request = market.orders()
    app = unsigned(app)
    market.hub.manage_order(app, OrderOperation.SIGN, sender=APP_OWNER)
    market.apps.transfer_from(APP_OWNER, STRANGER, APP, sender=APP_OWNER)
    with pytest.raises(Refusal, match="invalid-signature-format"):
        market.hub.match_orders(app, dataset, pool, request, sender=STRANGER, now=START)


class Group(Contract):
    """An ERC-734 group."""

    def __init__(self, *members: Address) -> None:
        self.members = members

    def has_member(self, member: Address) -> bool:
        return member in self.members


def test_a_restriction_may_be_a_group(market: Market) -> None:
    market.world.contracts[account(88)] = Group(POOL)
    for restriction, fits in ((account(88), True), (STRANGER, False), (APP, False), (POOL, True)):
        orders = market.orders(workerpool=restriction)
        if fits:
            market.hub.match_orders(*orders, sender=STRANGER, now=START)
        else:
            with pytest.raises(Refusal, match="iExecV5-matchOrders-0x12"):
                market.hub.match_orders(*orders, sender=STRANGER, now=START)


def test_what_does_not_fit_together_is_refused_by_its_number(market: Market) -> None:
    app, dataset, pool, request = market.orders()

    def refusal(**changed: Any) -> str:
        orders = {"app": app, "dataset": dataset, "pool": pool, "request": request} | changed
        with pytest.raises(Refusal) as refused:
            market.hub.match_orders(*orders.values(), sender=STRANGER, now=START)
        return refused.value.reason.removeprefix("iExecV5-matchOrders-")

    assert refusal(request=unsigned(request, category=1)) == "0x00"
    assert refusal(request=unsigned(request, category=1), pool=unsigned(pool, category=1)) == "0x01"
    assert refusal(request=unsigned(request, trust=2**24)) == "0x02"
    assert refusal(app=unsigned(app, appprice=10**6)) == "0x03"
    assert refusal(app=unsigned(app, app=STRANGER), request=unsigned(request, app=STRANGER)) == "0x20"
    assert refusal(app=market.signed(app, STRANGER)) == "0x21"
    assert refusal(request=unsigned(request, app=STRANGER)) == "0x10"
    unknown = unsigned(dataset, dataset=STRANGER), unsigned(request, dataset=STRANGER)
    assert refusal(dataset=unknown[0], request=unknown[1]) == "0x30"
    assert refusal(dataset=market.signed(dataset, STRANGER)) == "0x31"
    assert refusal(pool=unsigned(pool, workerpool=APP)) == "0x40"
    assert refusal(pool=market.signed(pool, STRANGER)) == "0x41"
    assert refusal(request=market.signed(request, STRANGER)) == "0x50"
    heavy = market.signed(unsigned(pool, trust=2**25), SCHEDULER)
    assert refusal(pool=heavy, request=market.signed(unsigned(request, trust=2**24), REQUESTER)) == "trust too high"


def test_a_deal_without_a_dataset_may_borrow_one(market: Market) -> None:
    bulk, usual = market.match(dataset=False), market.match()
    order = market.orders()[1]
    market.hub.assert_dataset_deal_compatibility(order, bulk)
    cases = (
        (order, usual, "Deal already has a dataset"),
        (order, ids.deal_id(market.hub.hash(order), 0), "Deal not found"),
        (unsigned(order), bulk, "Invalid dataset order signature"),
        (unsigned(order, dataset=POOL), bulk, "Dataset not registered"),
        (unsigned(order, volume=0), bulk, "Dataset order is revoked or fully consumed"),
        (market.signed(unsigned(order, apprestrict=POOL), DATASET_OWNER), bulk, "App restriction not satisfied"),
        (market.signed(unsigned(order, tag=bytes32(1)), DATASET_OWNER), bulk, "Tag compatibility not satisfied"),
    )
    for changed, deal, reason in cases:
        with pytest.raises(Refusal) as refused:
            market.hub.assert_dataset_deal_compatibility(changed, deal)
        assert refused.value.reason == f"IncompatibleDatasetOrder({reason})"


def test_a_sponsor_pays_and_is_refunded(market: Market) -> None:
    orders = market.orders(dataset=False)
    told = market.hub.sponsor_match_orders(*orders, sender=SPONSOR, now=START)
    assert told.events[-1].name == "DealSponsored"
    assert market.hub.frozen_of(SPONSOR) == 1_000_001_000
    task = market.hub.initialize(told.value, 0).value
    market.hub.claim(task, now=FINAL)
    assert market.holds(SPONSOR) == (100 * 10**9, 0)


def test_a_policy_counts_for_deals_to_come(market: Market) -> None:
    before = market.match()
    market.pools.change_policy(POOL, 50, 10, sender=SCHEDULER)
    after = market.match()
    terms = [
        (market.hub.deal(deal).worker_stake, market.hub.deal(deal).scheduler_reward_ratio) for deal in (before, after)
    ]
    assert terms == [(300_000_000, 1), (500_000_000, 10)]
    with pytest.raises(Refusal, match="caller is not the owner"):
        market.pools.change_policy(POOL, 50, 10, sender=STRANGER)


@pytest.mark.parametrize("sponsored", [False, True])
def test_boost_settles_a_task_in_one_step(market: Market, sponsored: bool) -> None:
    orders = market.orders(trust=0)
    hub = market.hub
    if sponsored:
        deal = hub.sponsor_match_orders_boost(*orders, sender=SPONSOR, now=START).value
    else:
        deal = hub.match_orders_boost(*orders, now=START).value
    payer = SPONSOR if sponsored else REQUESTER
    task = ids.task_id(deal, 0)
    told = hub.push_result_boost(
        deal, 0, b"result", b"", market.authorization(WORKERS[0], task), NULL_ADDRESS, b"", sender=WORKERS[0], now=START
    )
    settled = ["Transfer", "Reward"]
    assert [event.name for event in told.events] == [
        *("Seize", *settled, *settled, *settled, "Transfer", "Unlock", *settled, "ResultPushedBoost")
    ]
    assert market.holds(payer) == (100 * 10**9 - 1_001_001_000, 0)
    assert market.holds(WORKERS[0]) == (100 * 10**9 + 990_000_000, 0)
    assert market.holds(SCHEDULER) == (100 * 10**9 + 10_000_000, 0)
    assert (market.holds(APP_OWNER), market.holds(DATASET_OWNER)) == ((1_000, 0), (1_000_000, 0))
    assert hub.task(task).status is TaskStatus.COMPLETED
    with pytest.raises(Refusal, match="PocoBoost: Task status not unset"):
        hub.claim_boost(deal, 0, now=FINAL)
    assert market.conserved()


def test_boost_tasks_and_classic_tasks_are_apart(market: Market) -> None:
    boost = market.hub.match_orders_boost(*market.orders(), now=START).value
    classic = market.match()
    with pytest.raises(Refusal, match=EMPTY):
        market.hub.initialize(boost, 0)
    with pytest.raises(Refusal, match="PocoBoost: Unknown task"):
        market.hub.claim_boost(classic, 0, now=FINAL)
    with pytest.raises(Refusal, match="PocoBoost: Deadline not reached"):
        market.hub.claim_boost(boost, 0, now=CLOSED - 1)
    market.hub.claim_boost(boost, 0, now=CLOSED)
    for call in (market.hub.claim, market.hub.reopen):
        with pytest.raises(Refusal, match=EMPTY):
            call(ids.task_id(boost, 0), now=FINAL, **({} if call.__name__ == "claim" else {"sender": SCHEDULER}))


def test_assets_are_erc_721_tokens(market: Market) -> None:
    market.datasets.set_approval_for_all(STRANGER, True, sender=DATASET_OWNER)
    market.datasets.transfer_from(DATASET_OWNER, REQUESTER, DATASET, sender=STRANGER)
    assert market.datasets.entry(DATASET).owner == REQUESTER
    with pytest.raises(Refusal, match="ERC721InsufficientApproval"):
        market.datasets.transfer_from(REQUESTER, STRANGER, DATASET, sender=STRANGER)
    market.datasets.approve(STRANGER, DATASET, sender=REQUESTER)
    with pytest.raises(Refusal, match="ERC721IncorrectOwner"):
        market.datasets.transfer_from(STRANGER, STRANGER, DATASET, sender=STRANGER)
    market.datasets.transfer_from(REQUESTER, STRANGER, DATASET, sender=STRANGER)
    assert market.datasets.entry(DATASET).owner == STRANGER
