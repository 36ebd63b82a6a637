"""What is put on offer: as much as the pool can do, and never more."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.unit.scheduler.model import address

from pyiexec.protocol.primitives import OrderHash, bytes32
from pyiexec.scheduler.sales_plan import (
    COMMITTED,
    Capacity,
    Hindrance,
    Listed,
    Plan,
    Standing,
    Terms,
    plan,
)

CHEAP = Terms(category=0, price=100)
DEAR = Terms(category=1, price=10_000)
TRUSTED = Terms(category=0, price=1_000, trust=5)
FREE = Terms(category=2, price=0)
ALL = (CHEAP, DEAR, TRUSTED, FREE)


def pool(slots: int, owed: int = 0, stake: int = 1 << 60, workers: int | None = None, **more: object) -> Capacity:
    fields = {"slots": slots, "owed": owed, "workers": slots if workers is None else workers, "free_stake": stake}
    return Capacity(**fields | more)  # type: ignore[arg-type]


def order(number: int, terms: Terms, remaining: int, standing: Standing = Standing.OPEN) -> Listed:
    return Listed(order_hash=OrderHash(bytes32(number)), terms=terms, remaining=remaining, standing=standing)


def carried_out(found: Plan, orders: list[Listed], number: int = 10_000) -> list[Listed]:
    """The orders once everything planned was done."""
    by_hash = {each.order_hash: each for each in orders}
    for name in found.withdraw:
        by_hash[name] = replace(by_hash[name], standing=Standing.WITHDRAWN)
    for name in found.publish:
        by_hash[name] = replace(by_hash[name], standing=Standing.OPEN)
    signed = [order(number + turn, terms, volume) for turn, (terms, volume) in enumerate(found.sign)]
    return [*by_hash.values(), *signed]


def settled(
    terms: tuple[Terms, ...], capacity: Capacity, orders: list[Listed], *, enabled: bool = True
) -> list[Listed]:
    """The orders once there is nothing left to do, which must not take many rounds."""
    for turn in range(4):
        found = plan(terms, capacity, orders, enabled=enabled)
        if not (found.withdraw or found.publish or found.sign):
            return orders
        orders = carried_out(found, orders, 10_000 * (turn + 1))
    raise AssertionError("it never comes to rest")


def committed(orders: list[Listed]) -> tuple[int, int]:
    """Slots and stake that orders may still claim."""
    found = [each for each in orders if each.standing in COMMITTED]
    return sum(each.slots for each in found), sum(each.stake for each in found)


def on_offer(orders: list[Listed], terms: Terms) -> int:
    return sum(each.remaining for each in orders if each.terms == terms and each.standing is Standing.OPEN)


def test_every_free_slot_is_offered() -> None:
    found = plan([CHEAP], pool(slots=4), [])
    assert found.sign == [(CHEAP, 4)]
    assert found.hindrances == {CHEAP: Hindrance.ALL_OFFERED}


def test_slots_that_tasks_will_need_are_not_offered() -> None:
    assert plan([CHEAP], pool(slots=4, owed=3), []).sign == [(CHEAP, 1)]
    found = plan([CHEAP], pool(slots=4, owed=9), [])
    assert (found.sign, found.hindrances) == ([], {CHEAP: Hindrance.NO_FREE_SLOT})


def test_a_task_of_higher_trust_takes_a_slot_for_each_worker_that_must_agree() -> None:
    assert TRUSTED.workers == 3
    assert plan([TRUSTED], pool(slots=8), []).sign == [(TRUSTED, 2)]
    few = plan([TRUSTED], pool(slots=8, workers=2), [])
    assert (few.sign, few.hindrances) == ([], {TRUSTED: Hindrance.TOO_FEW_WORKERS})


def test_the_owners_stake_bounds_what_is_offered() -> None:
    found = plan([DEAR], pool(slots=8, stake=3 * DEAR.stake + 1), [])
    assert (found.sign, found.hindrances) == ([(DEAR, 3)], {DEAR: Hindrance.STAKE_TOO_LOW})


def test_stake_that_an_order_may_need_is_not_counted_on_for_another() -> None:
    found = plan([DEAR], pool(slots=8, stake=3 * DEAR.stake), [order(1, DEAR, 2)])
    assert (found.sign, found.withdraw) == ([(DEAR, 1)], {})


def test_when_stake_goes_as_little_as_can_be_is_withdrawn() -> None:
    orders = [order(1, DEAR, 2), order(2, DEAR, 1), order(3, FREE, 3)]
    found = plan([DEAR, FREE], pool(slots=8, stake=2 * DEAR.stake), orders)
    assert found.withdraw == {orders[1].order_hash: Hindrance.STAKE_TOO_LOW}


def test_no_order_more_is_withdrawn_while_one_is_on_its_way_out() -> None:
    found = plan([CHEAP], pool(slots=4), [order(1, CHEAP, 4, Standing.WITHDRAWING), order(2, CHEAP, 4)])
    assert (found.withdraw, found.sign) == ({}, [])


def test_offers_share_the_slots_and_the_one_with_the_least_gets_more() -> None:
    found = plan([CHEAP, FREE], pool(slots=8), [])
    assert dict(found.sign) == {CHEAP: 4, FREE: 4}
    later = plan([CHEAP, FREE], pool(slots=8), [order(1, CHEAP, 4)])
    assert dict(later.sign) == {FREE: 4}


def test_what_was_sold_comes_back_when_its_tasks_are_done() -> None:
    orders = [order(1, CHEAP, 1)]
    assert not plan([CHEAP], pool(slots=4, owed=3), orders).sign
    assert plan([CHEAP], pool(slots=4, owed=0), orders).sign == [(CHEAP, 3)]


def test_an_order_withdrawn_before_is_published_again_rather_than_another_signed() -> None:
    orders = [order(1, CHEAP, 3, Standing.WITHDRAWN), order(2, DEAR, 2, Standing.WITHDRAWN)]
    found = plan([CHEAP], pool(slots=4), orders)
    assert (found.publish, found.sign) == ([orders[0].order_hash], [(CHEAP, 1)])


def test_too_much_on_offer_is_withdrawn_by_as_few_orders_as_can_be() -> None:
    orders = [order(1, CHEAP, 5), order(2, CHEAP, 2), order(3, CHEAP, 1)]
    found = plan([CHEAP], pool(slots=6), orders)
    assert found.withdraw == {orders[1].order_hash: Hindrance.NO_FREE_SLOT}
    gone = plan([CHEAP], pool(slots=0), orders)
    assert gone.withdraw == dict.fromkeys((each.order_hash for each in orders), Hindrance.NO_WORKER)


def test_an_order_on_its_way_out_counts_until_it_is_out() -> None:
    leaving = [order(1, CHEAP, 4, Standing.WITHDRAWING)]
    assert not plan([CHEAP], pool(slots=4), leaving).sign
    closing = [order(1, CHEAP, 4, Standing.CLOSING)]
    assert plan([CHEAP], pool(slots=6), closing).sign == [(CHEAP, 2)]


def test_orders_at_a_former_price_are_replaced() -> None:
    former = [order(1, replace(CHEAP, price=99), 4)]
    found = plan([CHEAP], pool(slots=4), former)
    assert (found.withdraw, found.sign) == ({former[0].order_hash: Hindrance.TERMS_CHANGED}, [])
    assert plan([CHEAP], pool(slots=4), carried_out(found, former)).sign == [(CHEAP, 4)]


def test_nothing_stays_on_offer_when_it_is_switched_off() -> None:
    found = plan([CHEAP], pool(slots=4), [order(1, CHEAP, 4), order(2, DEAR, 1)], enabled=False)
    assert set(found.withdraw.values()) == {Hindrance.SALES_OFF}
    assert (len(found.withdraw), found.sign, found.hindrances) == (2, [], {CHEAP: Hindrance.SALES_OFF})


def test_while_too_many_wait_nothing_is_added_and_nothing_is_taken_away() -> None:
    orders = [order(1, CHEAP, 2)]
    found = plan([CHEAP], pool(slots=4, full=True), orders)
    assert found == Plan(withdraw={}, publish=[], sign=[], hindrances={CHEAP: Hindrance.TOO_MANY_WAITING})


def test_a_requester_with_too_many_waiting_holds_up_what_it_could_buy_alone() -> None:
    crowd = frozenset({address(1)})
    mine, others = replace(CHEAP, requester=address(1)), replace(CHEAP, requester=address(2))
    found = plan([mine, others], pool(slots=4, crowding=crowd), [])
    assert (found.sign, found.hindrances[mine]) == ([(others, 4)], Hindrance.REQUESTER_WAITING)
    assert plan([CHEAP], pool(slots=4, crowding=crowd), []).hindrances == {CHEAP: Hindrance.REQUESTER_WAITING}


def test_a_category_that_the_hub_does_not_have_is_not_offered() -> None:
    assert plan([DEAR], pool(slots=4, categories=1), []).hindrances == {DEAR: Hindrance.CATEGORY_UNKNOWN}


def test_little_is_not_added_to_much() -> None:
    found = plan([CHEAP], pool(slots=102), [order(1, CHEAP, 100)])
    assert (found.sign, found.hindrances) == ([], {CHEAP: Hindrance.LITTLE_TO_ADD})


CAPACITIES = st.builds(
    pool,
    slots=st.integers(0, 60),
    owed=st.integers(0, 60),
    stake=st.integers(0, 30_000),
    workers=st.integers(0, 8),
    full=st.booleans(),
    crowding=st.sets(st.sampled_from([address(1), address(2)])).map(frozenset),
)
TERMS = st.lists(st.sampled_from([*ALL, replace(CHEAP, requester=address(1))]), unique=True).map(tuple)
ORDERS = st.lists(
    st.tuples(st.sampled_from([*ALL, replace(DEAR, price=7)]), st.integers(1, 6), st.sampled_from(list(Standing))),
    max_size=8,
).map(lambda found: [order(number, *fields) for number, fields in enumerate(found)])


@given(CAPACITIES, TERMS, ORDERS, st.booleans())
def test_nothing_is_put_on_offer_beyond_slots_and_stake(
    capacity: Capacity, terms: tuple[Terms, ...], orders: list[Listed], enabled: bool
) -> None:
    found = plan(terms, capacity, orders, enabled=enabled)
    before = committed(orders)
    # Should no withdrawal succeed: what is added must have its place all the same.
    after = committed(carried_out(replace(found, withdraw={}), orders))
    if found.sign or found.publish:
        assert after[0] <= capacity.sellable
        # What locks nothing may be added also where too much was on offer before.
        assert after[1] <= capacity.free_stake or after[1] == before[1]
    else:
        assert after == before


@given(CAPACITIES, TERMS, ORDERS, st.booleans())
def test_it_comes_to_rest_with_no_more_on_offer_than_there_is(
    capacity: Capacity, terms: tuple[Terms, ...], orders: list[Listed], enabled: bool
) -> None:
    orders = [
        replace(each, standing=Standing.WITHDRAWN)
        if each.standing in (Standing.WITHDRAWING, Standing.CLOSING)
        else each
        for each in orders
    ]
    end = settled(terms, capacity, orders, enabled=enabled)
    slots, stake = committed(end)
    assert slots <= capacity.sellable
    assert stake <= capacity.free_stake
    assert all(each.terms in terms for each in end if each.standing in COMMITTED)


@given(CAPACITIES, TERMS)
def test_whatever_is_not_offered_has_a_reason_that_holds(capacity: Capacity, terms: tuple[Terms, ...]) -> None:
    found = plan(terms, capacity, [])
    assert set(found.hindrances) == set(terms)
    slots, stake = committed(carried_out(found, []))
    for each, why in found.hindrances.items():
        match why:
            case Hindrance.ALL_OFFERED | Hindrance.NO_FREE_SLOT:
                assert capacity.sellable - slots < each.workers
            case Hindrance.STAKE_TOO_LOW:
                assert capacity.free_stake - stake < each.stake
            case Hindrance.NO_WORKER:
                assert capacity.workers == 0
            case Hindrance.TOO_FEW_WORKERS:
                assert capacity.workers < each.workers
            case Hindrance.TOO_MANY_WAITING:
                assert capacity.full
            case Hindrance.REQUESTER_WAITING:
                assert capacity.crowding
            case _:
                raise AssertionError(why)


@given(st.lists(st.tuples(st.sampled_from(["join", "leave", "sell", "end"]), st.integers(1, 9)), max_size=30))
def test_through_a_day_of_coming_and_going_the_pool_never_owes_and_offers_more_than_it_has(
    day: list[tuple[str, int]],
) -> None:
    slots, owed, orders, number = 0, 0, list[Listed](), 0
    for what, many in day:
        if what == "join":
            slots += many
        elif what == "leave":
            # Those who leave take their work with them, which waits for others then.
            slots = max(slots - many, 0)
        elif what == "end":
            owed = max(owed - many, 0)
        else:
            for index, each in enumerate(orders):
                bought = min(many, each.remaining) if each.standing is Standing.OPEN else 0
                orders[index] = replace(each, remaining=each.remaining - bought)
                owed, many = owed + bought * each.terms.workers, many - bought
        number += 100_000
        orders = [each for each in settled((CHEAP, TRUSTED), pool(slots, owed), orders) if each.remaining]
        orders = [replace(each, order_hash=OrderHash(bytes32(number + n))) for n, each in enumerate(orders)]
        assert committed(orders)[0] <= max(slots - owed, 0)
        if slots - owed >= 1:
            assert on_offer(orders, CHEAP) + on_offer(orders, TRUSTED) > 0


def test_the_number_of_orders_stays_small_however_a_pool_grows() -> None:
    orders: list[Listed] = []
    for slots in range(1, 5_000):
        found = plan([CHEAP], pool(slots), orders)
        orders = carried_out(found, orders, slots * 10)
    assert len(orders) < 40
    assert on_offer(orders, CHEAP) >= 4_999 * 4 // 5
