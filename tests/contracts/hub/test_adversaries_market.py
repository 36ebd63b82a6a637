"""Participants who cheat within the rules: thieves of results, sybils, colluding schedulers, farmers, and the owner.

What they can take is part of the specification; each test shows it, and that it is no more than that.
"""

from __future__ import annotations

from typing import Any

import pytest

from pyiexec.chain.abi import Function
from pyiexec.chain.hub import FUNCTIONS
from pyiexec.protocol import ids
from pyiexec.protocol.primitives import NULL_ADDRESS

KITTY = "0x99c2268479b93fDe36232351229815DF80837e23"
PANIC_ASSERT = "0x4e487b71" + f"{1:064x}"
STAKE = 3 * 10**8
PRICE = 1_000 + 1_000_000 + 10**9


# --- thieves of results -----------------------------------------------------------------------------------------------


def test_a_copied_commitment_counts_but_cannot_be_revealed(market: Any, reverted: Any) -> None:
    """The thief copies hash and seal from the chain, then the digest from the first reveal: its stake is lost."""
    task = market.started(trust=3)
    honest, thief = market.workers[:2]
    market.contribute(task, honest)
    digest = market.digest("right")
    copy = (task, ids.result_hash(task, digest), ids.result_seal(honest, task, digest), NULL_ADDRESS, b"")
    market.send("contribute", *copy, market.authorization(thief, task, by=market.scheduler), sender=thief)
    assert market.task(task).status == 2
    market.reveal(task, honest)
    with pytest.raises(reverted) as caught:
        market.reveal(task, thief)
    assert caught.value.data == b""
    before = {who: sum(market.account(who)) for who in (honest, thief, market.scheduler)}
    market.finalize(task, b"link", at=market.task(task).reveal_deadline)
    gained = {who: sum(market.account(who)) - before[who] for who in before}
    shared = (10**9 + STAKE) * 99 // 100
    assert gained == {honest: shared, thief: -STAKE, market.scheduler: 10**9 + STAKE - shared}
    assert market.contribution(task, thief).status == 1


def test_a_seal_of_ones_own_needs_the_digest_before_it_is_revealed(market: Any, reverted: Any) -> None:
    """With the hash of another and any seal that can be made without the digest there is no reveal."""
    task = market.started(trust=3)
    honest, thief = market.workers[:2]
    market.contribute(task, honest)
    shared_hash = ids.result_hash(task, market.digest("right"))
    guess = ids.result_seal(thief, task, shared_hash)
    leave = market.authorization(thief, task, by=market.scheduler)
    market.send("contribute", task, shared_hash, guess, NULL_ADDRESS, b"", leave, sender=thief)
    market.reveal(task, honest)
    for digest in (market.digest("right"), shared_hash):
        with pytest.raises(reverted):
            market.send("reveal", task, digest, sender=thief)


def test_whoever_did_not_contribute_cannot_reveal_first(market: Any, reverted: Any) -> None:
    task = market.started()
    market.contribute(task, market.workers[0])
    for thief in (market.workers[1], market.scheduler, market.requester):
        with pytest.raises(reverted):
            market.reveal(task, thief)
    market.reveal(task, market.workers[0])


def test_a_front_run_match_serves_the_request_all_the_same(market: Any, reverted: Any) -> None:
    """Whoever sends the four orders first changes nothing but who pays a sponsored deal."""
    request = market.request_order()
    app, dataset, pool = market.app_order(), market.dataset_order(), market.workerpool_order()
    orders = {"app": app, "dataset": dataset, "workerpool": pool, "request": request}
    match = market.match(**orders, sender=market.stranger)
    assert market.deal(match.id).sponsor == market.requester
    with pytest.raises(reverted, match="0x60"):
        market.match(**orders, sponsored=True)
    assert market.account(market.requester)[1] == PRICE
    assert market.account(market.sponsor)[1] == 0


# --- colluding schedulers ---------------------------------------------------------------------------------------------


def test_a_scheduler_with_sybils_earns_the_price_for_rubbish_and_no_more(market: Any) -> None:
    """Trust is in the scheduler's choice of workers: 2**n > trust - 1 of its own settle whatever they like."""
    task = market.started(trust=4)
    sybils = market.workers[:2]
    before = {who: sum(market.account(who)) for who in (market.requester, market.scheduler, *sybils)}
    for sybil in sybils:
        market.contribute(task, sybil, "rubbish")
    for sybil in sybils:
        market.reveal(task, sybil, "rubbish")
    market.finalize(task, b"rubbish")
    after = {who: sum(market.account(who)) for who in before}
    gang = (market.scheduler, *sybils)
    assert sum(after[who] - before[who] for who in gang) == 10**9
    assert after[market.requester] == before[market.requester] - PRICE


def test_sybils_take_the_stake_of_an_honest_worker_in_the_minority_and_no_more(market: Any) -> None:
    """What a worker risks by taking a scheduler's leave is its stake for that task."""
    task = market.started(trust=3)
    honest, *sybils = market.workers[:5]
    market.contribute(task, honest)
    for sybil in sybils:
        if market.task(task).status == 1:
            market.contribute(task, sybil, "rubbish")
    assert market.task(task).status == 2
    before = sum(market.account(honest))
    for sybil in market.task(task).contributors[1:]:
        market.reveal(task, sybil, "rubbish")
    market.finalize(task, b"rubbish")
    assert sum(market.account(honest)) == before - STAKE
    assert market.account(honest)[1] == 0


@pytest.mark.parametrize("done", ["nothing", "contributed", "revealed"])
def test_a_scheduler_that_never_finalizes_loses_its_stake_alone(market: Any, done: str) -> None:
    worker = market.workers[0]
    everyone = (market.requester, worker, market.scheduler)
    before = {who: sum(market.account(who)) for who in everyone}
    task = market.started()
    if done != "nothing":
        market.contribute(task, worker)
    if done == "revealed":
        market.reveal(task, worker)
    market.send("claim", task, sender=market.stranger, at=market.task(task).final_deadline)
    gained = [sum(market.account(who)) - before[who] for who in everyone]
    assert gained == [0, 0, -STAKE]
    assert market.account(KITTY) == (0, STAKE)
    assert all(market.account(who)[1] == 0 for who in everyone)


def test_a_scheduler_may_publish_any_link_when_there_is_no_callback(market: Any) -> None:
    """Not promised: that `results` belongs to the digest. Only the callback's payload is bound to the vote."""
    task = market.started()
    market.contribute(task, market.workers[0])
    market.reveal(task, market.workers[0])
    market.finalize(task, b"something else")
    assert market.task(task).results == b"something else"
    assert market.task(task).result_digest == market.digest("right")


def test_the_policy_may_change_until_the_match_and_not_after(market: Any) -> None:
    """Row 12 of the known oddities: the ratios are no part of the signed order."""
    order = market.workerpool_order()
    before = market.match(workerpool=order)
    change = Function.parse("changePolicy(uint256,uint256)").encode(2**32 - 1, 100)
    market.chain.send(market.workerpool, change, market.scheduler)
    after = market.match(workerpool=order)
    terms = [(market.deal(m.id).worker_stake, market.deal(m.id).scheduler_reward_ratio) for m in (before, after)]
    assert terms == [(STAKE, 1), (10**9 * (2**32 - 1) // 100, 100)]


def test_a_broker_settles_any_task_of_any_scheduler_with_an_enclave_of_its_own(market: Any) -> None:
    """Even one that asks for no enclave: whoever names a broker trusts it with every task at low trust."""
    task, worker = market.started(), market.workers[0]
    market.send("setTeeBroker", market.broker, sender=market.admin)
    market.contribute_and_finalize(task, worker, "rubbish", by=market.broker, enclave=market.enclave)
    assert market.task(task).status == 3
    assert market.task(task).result_digest == market.digest("rubbish")


def test_sending_to_oneself_changes_nothing(market: Any, reverted: Any) -> None:
    before = market.account(market.requester)
    market.send("transfer", market.requester, before[0], sender=market.requester)
    assert market.account(market.requester) == before
    with pytest.raises(reverted):
        market.send("transfer", market.requester, before[0] + 1, sender=market.requester)
    market.send("approve", market.requester, 7, sender=market.requester)
    market.send("transferFrom", market.requester, market.requester, 7, sender=market.requester)
    assert market.account(market.requester) == before
    assert market.view("allowance", market.requester, market.requester) == 0


def test_a_list_that_names_a_task_twice_is_refused_whole(market: Any, reverted: Any) -> None:
    match = market.match(volume=2)
    for deals, indexes in (([match.id] * 2, [0, 0]), ([match.id] * 3, [0, 1, 0])):
        with pytest.raises(reverted):
            market.send("initializeArray", deals, indexes, sender=market.stranger)
    tasks = [market.initialize(match, index) for index in range(2)]
    over = market.task(tasks[0]).final_deadline
    for which in ([tasks[0]] * 2, [*tasks, tasks[1]]):
        with pytest.raises(reverted):
            market.send("claimArray", which, sender=market.stranger, at=over)
        over += 1
    assert [market.task(task).status for task in tasks] == [1, 1]
    assert market.account(market.requester)[1] == 2 * PRICE


# --- filling the list of contributors ---------------------------------------------------------------------------------


def test_a_list_filled_by_an_attacker_costs_its_scheduler_the_task(market: Any, reverted: Any, write: Any) -> None:
    """Only workers with the scheduler's leave get in; a full list ends in a claim that gives everybody back."""
    request = market.request_order(trust=2**24 - 1)
    task = market.initialize(market.match(request=request))
    market.contribute(task, market.workers[0])
    counts = 192
    write("tasks", task, offset=1, change=lambda word: word & ~(0xFFFF << counts) | 256 << counts)
    fill_with(market, write, task, 256)
    with pytest.raises(reverted, match=r"^too many contributors$"):
        market.contribute(task, market.workers[1])
    before = sum(market.account(market.requester))
    receipt = market.send("claim", task, sender=market.stranger, at=market.task(task).final_deadline, gas=28_000_000)
    assert receipt.gas < 20_000_000
    assert market.task(task).status == 4
    assert sum(market.account(market.requester)) == before
    assert market.account(market.requester)[1] == 0
    assert market.account(market.workers[0])[1] == 0


def fill_with(market: Any, write: Any, task: str, count: int) -> None:
    """As if `count` workers had contributed: each in the list, with its stake frozen and in the pot."""
    list_word = 1 << 160 | 1 << 168 | 2 << 176
    for position in range(1, count):
        worker = "0x" + f"{0xA77AC4 << 16 | position:040x}"
        write("contributors", task, position, value=int(worker, 16) | list_word)
        write("accounts", worker, value=STAKE << 128)
    write("pot", change=lambda word: word + (STAKE * (count - 1) << 128) + STAKE * (count - 1))


# --- self-dealing -----------------------------------------------------------------------------------------------------


def test_dealing_with_oneself_moves_no_money_but_the_kittys(market: Any, write: Any) -> None:
    """Row 8: zero-price tasks drain a kitty by a tenth, at least one RLC, each; nobody else loses anything."""
    kitty = 25 * 10**9
    write("accounts", KITTY, value=kitty << 128)
    write("pot", change=lambda word: word + (kitty << 128) + kitty)
    assert market.conserved()
    everyone = [market.requester, market.sponsor, market.app_owner, market.dataset_owner, *market.workers[1:]]
    before = {who: market.account(who) for who in everyone}
    farmer = market.scheduler
    wealth = sum(market.account(farmer)) + sum(market.account(market.workers[0]))
    free = {"app": market.app_order(appprice=0), "workerpool": market.workerpool_order(workerpoolprice=0)}
    left, rounds = kitty, 0
    while left:
        request = market.request_order(requester=farmer, dataset=NULL_ADDRESS, datasetmaxprice=0)
        task = market.initialize(market.match(**free, request=request, sender=farmer))
        market.contribute_and_finalize(task, market.workers[0])
        left -= min(max(left // 10, 10**9), left)
        rounds += 1
        assert market.account(KITTY) == (0, left)
    assert rounds > 10
    assert sum(market.account(farmer)) + sum(market.account(market.workers[0])) == wealth + kitty
    assert {who: market.account(who) for who in everyone} == before
    assert market.conserved()


def test_nobody_takes_from_the_kitty_or_puts_into_it_directly(market: Any, reverted: Any) -> None:
    """What is sent to its address is a free balance that nobody can use; the kitty is what is frozen."""
    market.fund(KITTY, 5)
    market.send("transfer", KITTY, 7, sender=market.requester)
    assert market.account(KITTY) == (12, 0)
    task = market.started()
    market.contribute_and_finalize(task, market.workers[0])
    assert market.account(KITTY) == (12, 0)
    with pytest.raises(reverted):
        market.send("transferFrom", KITTY, market.stranger, 1, sender=market.stranger)


# --- every deadline to the second -------------------------------------------------------------------------------------


def at(market: Any, task: str, deadline: str, offset: int) -> int:
    return int(getattr(market.task(task), deadline)) + offset


@pytest.mark.parametrize("offset", [-1, 0, 1])
def test_contributing_ends_on_its_second(market: Any, reverted: Any, offset: int) -> None:
    task, other = market.started(), market.started()
    worker = market.workers[0]
    for attempt, which in ((market.contribute, task), (market.contribute_and_finalize, other)):
        snapshot = market.chain.ask("evm_snapshot")
        when = at(market, which, "contribution_deadline", offset)
        if offset < 0:
            attempt(which, worker, at=when)
        else:
            with pytest.raises(reverted):
                attempt(which, worker, at=when)
        market.chain.ask("evm_revert", snapshot)


@pytest.mark.parametrize("offset", [-1, 0, 1])
def test_revealing_ends_on_its_second_and_reopening_begins(market: Any, reverted: Any, offset: int) -> None:
    task = market.started()
    market.contribute(task, market.workers[0])
    when = at(market, task, "reveal_deadline", offset)
    actions = {
        "reveal": lambda: market.reveal(task, market.workers[0], at=when),
        "reopen": lambda: market.send("reopen", task, sender=market.scheduler, at=when),
    }
    for name, action in actions.items():
        snapshot = market.chain.ask("evm_snapshot")
        if (name == "reveal") == (offset < 0):
            action()
        else:
            with pytest.raises(reverted):
                action()
        market.chain.ask("evm_revert", snapshot)


@pytest.mark.parametrize("offset", [-1, 0, 1])
def test_finalizing_and_reopening_end_on_the_second_on_which_claiming_begins(
    market: Any, reverted: Any, offset: int
) -> None:
    revealed, unrevealed, active = market.started(), market.started(), market.started()
    for task in (revealed, unrevealed):
        market.contribute(task, market.workers[0])
    market.reveal(revealed, market.workers[0])
    when = at(market, revealed, "final_deadline", offset)
    ends = at(market, unrevealed, "final_deadline", offset), at(market, active, "final_deadline", offset)
    actions: list[tuple[bool, Any]] = [
        (True, lambda: market.finalize(revealed, at=when)),
        (True, lambda: market.send("reopen", unrevealed, sender=market.scheduler, at=ends[0])),
        (False, lambda: market.send("claim", revealed, sender=market.stranger, at=when)),
        (False, lambda: market.send("claim", unrevealed, sender=market.stranger, at=ends[0])),
        (False, lambda: market.send("claim", active, sender=market.stranger, at=ends[1])),
    ]
    for before_the_end, action in actions:
        snapshot = market.chain.ask("evm_snapshot")
        if before_the_end == (offset < 0):
            action()
        else:
            with pytest.raises(reverted):
                action()
        market.chain.ask("evm_revert", snapshot)


@pytest.mark.parametrize("offset", [-1, 0, 1])
def test_at_most_one_of_two_transactions_fits_any_second(market: Any, reverted: Any, offset: int) -> None:
    """No second belongs to both sides of a deadline, and none to neither."""
    task = market.started()
    market.contribute(task, market.workers[0])
    market.reveal(task, market.workers[0])
    when = at(market, task, "final_deadline", offset)
    done = []
    for name in ("finalize", "claim"):
        snapshot = market.chain.ask("evm_snapshot")
        arguments = (task, b"", b"") if name == "finalize" else (task,)
        try:
            market.send(name, *arguments, sender=market.scheduler, at=when)
            done.append(name)
        except reverted:
            pass
        market.chain.ask("evm_revert", snapshot)
    assert done == (["finalize"] if offset < 0 else ["claim"])


# --- the owner: trusted entirely, and this is what with ---------------------------------------------------------------


def test_an_owner_who_sets_an_enormous_callback_gas_blocks_callbacks_alone(market: Any, reverted: Any) -> None:
    """Tasks with a callback wait, and are claimed in the end; all others go on."""
    with_callback, without = market.started(callback=market.stranger), market.started()
    for gas in (10**9, 2**256 - 1):
        market.send("setCallbackGas", gas, sender=market.admin)
        with pytest.raises(reverted) as caught:
            market.contribute_and_finalize(with_callback, market.workers[0], callback=b"data")
        assert "0x" + caught.value.data.hex() == PANIC_ASSERT
    market.contribute_and_finalize(without, market.workers[1])
    assert market.task(without).status == 3
    market.send("claim", with_callback, sender=market.requester, at=at(market, with_callback, "final_deadline", 0))
    assert market.account(market.requester)[1] == 0


def test_an_owner_with_registries_of_its_own_says_who_owns_what(market: Any, mock: Any, reverted: Any) -> None:
    """New deals follow the new registries: an app's price goes to whom they name. Deals made before are untouched."""
    before = market.match(volume=2)
    hostile = mock("HostileRegistry", int(market.stranger, 16))
    current = market.manifest.registries
    market.send("changeRegistries", hostile, current.dataset, current.workerpool, sender=market.admin)
    stolen = market.match(app=market.sign(market.app_order(sign="0x"), market.stranger))
    assert market.deal(stolen.id).app.owner == market.stranger
    with pytest.raises(reverted, match="0x21"):
        market.match()
    assert market.deal(before.id).app.owner == market.app_owner
    rich = market.account(market.app_owner)[0]
    market.contribute_and_finalize(market.initialize(before), market.workers[0])
    assert market.account(market.app_owner)[0] == rich + 1_000


def test_a_registry_cannot_change_anything_while_it_is_asked(market: Any, mock: Any, reverted: Any) -> None:
    """It is called statically: one that writes, or that is none, fails the match and nothing else."""
    current = market.manifest.registries
    for impostor in (mock("HostileRegistry", 0), market.manifest.token, market.stranger):
        market.send("changeRegistries", impostor, current.dataset, current.workerpool, sender=market.admin)
        with pytest.raises(reverted):
            market.match()
    market.send("changeRegistries", current.app, current.dataset, current.workerpool, sender=market.admin)
    assert market.deal(market.match().id).exists


def test_an_owner_who_cuts_can_take_everything(market: Any, mock: Any, reverted: Any) -> None:
    """Not promised: anything, against the owner. An initialiser runs in the hub's place, with its money."""
    thief = mock("Thief")
    take = Function.parse("take(address,uint256)").encode(market.manifest.token, market.view("totalSupply"))
    with pytest.raises(reverted, match="NotContractOwner"):
        market.send("diamondCut", [], thief, take, sender=market.stranger)
    balance = Function.parse("balanceOf(address) returns (uint256)")

    def rlc(account: str) -> int:
        return int(balance.decode(market.chain.call(market.manifest.token, balance.encode(account)))[0])

    before = rlc(market.admin)
    market.send("diamondCut", [], thief, take, sender=market.admin)
    assert rlc(market.hub) == 0
    assert rlc(market.admin) == before + market.view("totalSupply")


def test_an_owner_touches_no_account_and_no_deal_by_any_function_but_a_cut(market: Any) -> None:
    """Every other power of the owner used once: no account but its own changes, and no deal."""
    match = market.match()
    everyone = [who for who in market.signers if who != market.admin]
    before = {who: market.account(who) for who in (*everyone, KITTY)}
    deal = market.deal(match.id)
    market.send("setCallbackGas", 1, sender=market.admin)
    market.send("setTeeBroker", market.admin, sender=market.admin)
    market.send("createCategory", "n", "d", 1, sender=market.admin)
    market.send("recover", sender=market.admin)
    market.send("changeRegistries", *[market.stranger] * 3, sender=market.admin)
    market.send("transferOwnership", NULL_ADDRESS, sender=market.admin)
    assert {who: market.account(who) for who in before} == before
    assert market.deal(match.id) == deal
    task = market.initialize(match)
    market.contribute_and_finalize(task, market.workers[0])
    assert market.task(task).status == 3


def test_deposits_for_several_are_cut_off_only_with_the_default_function(market: Any, reverted: Any) -> None:
    """The escrow facet's default function answers them, and unknown selectors lead there too."""
    selector, fallback = FUNCTIONS["depositForArray"].selector, b"\xff" * 4
    market.send("diamondCut", [(NULL_ADDRESS, 2, [selector])], NULL_ADDRESS, b"", sender=market.admin)
    market.send("depositForArray", [], [], sender=market.stranger)
    market.send("diamondCut", [(NULL_ADDRESS, 2, [fallback])], NULL_ADDRESS, b"", sender=market.admin)
    with pytest.raises(reverted, match="FunctionNotFound"):
        market.send("depositForArray", [], [], sender=market.stranger)
