"""Which worker gets which task."""

from __future__ import annotations

import random
import time

from hypothesis import given
from hypothesis import strategies as st
from tests.unit.scheduler.model import address

from pyiexec.protocol import limits
from pyiexec.protocol.primitives import Address, TaskId, bytes32
from pyiexec.scheduler.matching import Demand, FreeWorkers, Supply, WaitingTasks, match
from pyiexec.scheduler.requirements import NOT_SAID, NOTHING_USED, Lent, Needs, meets

ALICE, BOB = address(100), address(101)


def task(number: int) -> TaskId:
    return TaskId(bytes32(number))


#: Needs of tasks, and a worker for each that meets them alone.
PLAIN, ON_GPU, IN_CONTAINER = Needs(), Needs(gpu=True), Needs(image=True)
WASM, WITH_GPU, DOCKER = Lent(images=False), Lent(images=False, gpus=1), Lent(content=False)


def demand(
    number: int,
    requester: Address = ALICE,
    deadline: int = 10,
    app: str = "0xapp",
    dataset: str = "",
    needs: Needs = PLAIN,
) -> Demand:
    return Demand(task(number), requester, deadline, app, dataset, needs)


def supply(
    number: int,
    free: int = 1,
    *,
    load: float = 0.0,
    strikes: int = 0,
    cached: tuple[str, ...] = (),
    weight: int = 2,
    doubtful: bool = False,
    lent: Lent = NOT_SAID,
) -> Supply:
    return Supply(address(number), free, load, strikes, frozenset(cached), weight, doubtful, lent)


def run(
    demands: list[tuple[Demand, int]],
    supplies: list[Supply],
    *,
    participants: dict[TaskId, set[Address]] | None = None,
    busy: dict[Address, int] | None = None,
    seed: int = 0,
) -> list[tuple[TaskId, Address]]:
    """Assignments made when each task misses so many workers."""
    waiting = WaitingTasks()
    missing = {}
    for wanted, count in demands:
        waiting.put(wanted)
        missing[wanted.task_id] = count
    taken = {task_id: set(workers) for task_id, workers in (participants or {}).items()}
    given: list[tuple[TaskId, Address]] = []

    def give(task_id: TaskId, worker: Address) -> int:
        given.append((task_id, worker))
        taken.setdefault(task_id, set()).add(worker)
        missing[task_id] -= 1
        return missing[task_id]

    match(
        waiting,
        supplies,
        busy or {},
        participants=lambda task_id: taken.get(task_id, set()),
        give=give,
        votes=lambda task_id, weight: -(-missing[task_id] // (weight - 1)),
        chance=random.Random(seed),
    )
    assert sorted(waiting.ids()) == sorted(task_id for task_id, count in missing.items() if count)
    return given


def test_no_worker_gets_a_task_twice() -> None:
    assert run([(demand(1), 3)], [supply(1, 5)]) == [(task(1), address(1))]
    assert run([(demand(1), 1)], [supply(1)], participants={task(1): {address(1)}}) == []


def test_the_earlier_deadline_goes_first() -> None:
    assert run([(demand(1, deadline=20), 1), (demand(2, deadline=10), 1)], [supply(1)]) == [(task(2), address(1))]


def test_a_task_begun_is_finished_before_the_next_is_begun() -> None:
    given = run([(demand(1), 2), (demand(2), 2)], [supply(1), supply(2), supply(3)])
    assert [task_id for task_id, _ in given] == [task(1), task(1), task(2)]


def test_the_requester_with_fewer_busy_slots_goes_first() -> None:
    given = run([(demand(1, ALICE, 1), 1), (demand(2, BOB, 99), 1)], [supply(1)], busy={ALICE: 3})
    assert given == [(task(2), address(1))]


def test_a_large_bag_does_not_starve_a_small_one() -> None:
    bag = [(demand(number, ALICE, 1), 1) for number in range(50)]
    given = run([*bag, (demand(99, BOB, 50), 1)], [supply(number) for number in range(4)])
    assert task(99) in [task_id for task_id, _ in given]


def test_a_worker_that_holds_the_application_is_preferred() -> None:
    given = run([(demand(1), 1)], [supply(1), supply(2, cached=("0xapp",), load=0.5), supply(3)])
    assert given == [(task(1), address(2))]


def test_a_worker_that_holds_the_dataset_is_preferred_and_one_that_holds_both_is_first() -> None:
    both = supply(1, cached=("0xapp", "0xdata"), load=0.9)
    data, app, neither = supply(2, cached=("0xdata",), load=0.5), supply(3, cached=("0xapp",)), supply(4)
    wanted = [(demand(number, dataset="0xdata", deadline=number), 1) for number in range(4)]
    given = [worker for _, worker in run(wanted, [neither, app, data, both])]
    # One of the two is as good as the other; the less busy one is taken.
    assert given == [address(1), address(3), address(2), address(4)]


def test_only_workers_that_have_what_a_task_needs_are_given_it() -> None:
    wanted = [(demand(1, needs=ON_GPU), 1), (demand(2, needs=IN_CONTAINER), 1), (demand(3), 1)]
    workers = [supply(1, lent=WASM), supply(2, lent=DOCKER), supply(3, lent=WITH_GPU)]
    assert sorted(run(wanted, workers)) == [(task(1), address(3)), (task(2), address(2)), (task(3), address(1))]


def test_a_task_that_nobody_free_can_take_lets_the_others_pass() -> None:
    urgent = [(demand(number, ALICE, deadline=1, needs=ON_GPU), 1) for number in range(5)]
    assert run([*urgent, (demand(9, ALICE, deadline=99), 1)], [supply(1, lent=WASM)]) == [(task(9), address(1))]
    assert run([*urgent, (demand(9, BOB, deadline=99), 1)], [supply(1, lent=WASM)], busy={BOB: 9}) == [
        (task(9), address(1))
    ]


def test_a_requester_s_most_urgent_task_goes_first_whatever_it_needs() -> None:
    wanted = [(demand(1, deadline=9), 1), (demand(2, deadline=3, needs=ON_GPU), 1), (demand(3, deadline=5), 1)]
    given = run(wanted, [supply(1, 3, lent=WITH_GPU)])
    assert [task_id for task_id, _ in given] == [task(2), task(3), task(1)]


def test_slots_do_not_help_where_memory_disk_or_gpus_are_used_up() -> None:
    three = Lent(memory_bytes=3 * limits.MEMORY_BYTES), Lent(disk_bytes=3 * limits.DISK_BYTES), Lent(gpus=3)
    for lent in three:
        needs = ON_GPU if lent.gpus else PLAIN
        used = NOTHING_USED.plus(needs)
        worker = supply(1, 9, lent=lent)._replace(used=used)
        assert len(run([(demand(number, needs=needs), 1) for number in range(6)], [worker])) == 2


def test_a_worker_that_failed_lately_comes_last() -> None:
    assert run([(demand(1), 1)], [supply(1, strikes=1), supply(2, load=0.5)]) == [(task(1), address(2))]


def test_a_vote_that_saves_a_replica_is_preferred_to_an_application_at_hand() -> None:
    light, heavy = supply(1, cached=("0xapp",)), supply(2, weight=3, load=0.9)
    assert run([(demand(1), 2)], [light, heavy])[0] == (task(1), address(2))


def test_a_vote_heavier_than_needed_is_not_preferred() -> None:
    heavy, heavier = supply(1, weight=3), supply(2, weight=99)
    first = {run([(demand(1), 2)], [heavy, heavier], seed=seed)[0][1] for seed in range(32)}
    assert first == {address(1), address(2)}


def test_a_worker_often_found_wrong_comes_last_however_heavy_its_vote() -> None:
    assert run([(demand(1), 1)], [supply(1, weight=99, doubtful=True), supply(2, strikes=3)]) == [(task(1), address(2))]
    assert run([(demand(1), 1)], [supply(1, doubtful=True)]) == [(task(1), address(1))]


def test_load_is_spread() -> None:
    given = run([(demand(number), 1) for number in range(4)], [supply(1, 2), supply(2, 2)])
    assert sorted(worker for _, worker in given) == sorted([address(1), address(1), address(2), address(2)])


def test_chance_decides_among_equals() -> None:
    chosen = {run([(demand(1), 1)], [supply(number) for number in range(8)], seed=seed)[0][1] for seed in range(64)}
    assert len(chosen) == 8


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 9), st.integers(1, 4)), max_size=20),
    st.lists(st.integers(1, 3), max_size=6),
    st.integers(0, 2**16),
)
def test_slots_are_used_up_unless_nobody_may_take_what_is_left(
    wanted: list[tuple[int, int, int]], slots: list[int], seed: int
) -> None:
    demands = [
        (demand(number, address(100 + requester), deadline), count)
        for number, (requester, deadline, count) in enumerate(wanted)
    ]
    given = run(demands, [supply(number, free) for number, free in enumerate(slots)], seed=seed)
    assert len(set(given)) == len(given)
    used = {address(number): 0 for number in range(len(slots))}
    missing = {wanted_task.task_id: count for wanted_task, count in demands}
    for task_id, worker in given:
        used[worker] += 1
        missing[task_id] -= 1
    for number, free in enumerate(slots):
        worker = address(number)
        assert used[worker] <= free
        if used[worker] < free:
            assert all((task_id, worker) in given for task_id, count in missing.items() if count)


@given(
    st.lists(
        st.tuples(
            st.integers(0, 3),
            st.integers(0, 4),
            st.integers(0, 2),
            st.sets(st.sampled_from(["x", "y", "d"])),
            st.sampled_from([1, 2, 9]),
            st.booleans(),
            st.sampled_from([WASM, WITH_GPU, DOCKER, NOT_SAID, Lent(gpus=2, memory_bytes=3 * limits.MEMORY_BYTES)]),
        ),
        max_size=8,
    ),
    st.lists(
        st.tuples(
            st.sampled_from(["x", "y"]),
            st.sampled_from(["", "d", "e"]),
            st.sampled_from([PLAIN, ON_GPU, IN_CONTAINER]),
            st.sets(st.integers(0, 7)),
        ),
        max_size=24,
    ),
    st.integers(0, 2**16),
)
def test_each_choice_is_the_best_there_is(
    workers: list[tuple[int, int, int, set[str], int, bool, Lent]],
    wanted: list[tuple[str, str, Needs, set[int]]],
    seed: int,
) -> None:
    supplies = {
        address(number): Supply(address(number), free, occupied / (occupied + free or 1), *rest)
        for number, (free, occupied, *rest) in enumerate(workers)
    }
    slots = {address(number): free + occupied for number, (free, occupied, *_) in enumerate(workers)}
    free_workers = FreeWorkers(supplies.values(), random.Random(seed))

    def votes(weight: int) -> int:
        return -(-4 // weight)

    def rank(one: Supply, reads: set[str]) -> tuple[bool, int, int, int, int]:
        absent = len(reads - one.cached)
        return one.doubtful, votes(one.weight), absent, one.strikes, round(one.load * 1_000_000)

    for number, (app, dataset, needs, excluded) in enumerate(wanted):
        others, reads = {address(other) for other in excluded}, {app, dataset} - {""}
        suited = [one for one in supplies.values() if one.free_slots and meets(one.lent, needs, one.used)]
        able = [one for one in suited if one.worker not in others]
        assert free_workers.serve(needs) == bool(suited)
        chosen = free_workers.choose(demand(number, app=app, dataset=dataset, needs=needs), votes, others)
        assert (chosen is None) == (not able)
        if chosen is not None:
            assert rank(supplies[chosen.worker], reads) == min(rank(one, reads) for one in able)
            used = supplies[chosen.worker].used.plus(needs)
            supplies[chosen.worker] = supplies[chosen.worker]._replace(used=used)
            left = supplies[chosen.worker].free_slots - 1
            total = slots[chosen.worker]
            supplies[chosen.worker] = supplies[chosen.worker]._replace(free_slots=left, load=(total - left) / total)
    assert len(free_workers) == sum(one.free_slots > 0 for one in supplies.values())


def test_a_thousand_free_workers_are_no_burden() -> None:
    free_workers = FreeWorkers([supply(number, 4) for number in range(1_000)], random.Random(0))
    started = time.process_time()
    chosen = [free_workers.choose(demand(number), lambda _weight: 1) for number in range(4_000)]
    assert None not in chosen
    assert free_workers.choose(demand(4_000), lambda _weight: 1) is None
    # Ranking all of them for each task took four million steps.
    assert time.process_time() - started < 2


def test_ten_thousand_waiting_tasks_are_no_burden() -> None:
    waiting = WaitingTasks()
    for number in range(10_000):
        waiting.put(demand(number, address(100 + number % 50), number % 97))
    workers = [supply(number, 1) for number in range(100)]
    started = time.process_time()
    given: list[tuple[TaskId, Address]] = []

    def give(task_id: TaskId, worker: Address) -> int:
        given.append((task_id, worker))
        return 0

    chance = random.Random(0)
    match(waiting, workers, {}, participants=lambda _: set(), give=give, votes=lambda _task, _weight: 1, chance=chance)
    assert len(given) == 100
    assert time.process_time() - started < 1


def test_ten_thousand_tasks_that_nobody_free_can_take_are_no_burden() -> None:
    waiting = WaitingTasks()
    for number in range(10_000):
        waiting.put(demand(number, address(100 + number % 50), number % 97, needs=ON_GPU))
    waiting.put(demand(10_000, deadline=100))
    started = time.process_time()
    for _ in range(200):
        given: list[TaskId] = []

        def give(task_id: TaskId, worker: Address, given: list[TaskId] = given) -> int:
            given.append(task_id)
            return 1

        match(
            waiting,
            [supply(1, lent=WASM)],
            {},
            participants=lambda _: set(),
            give=give,
            votes=lambda _task, _weight: 1,
            chance=random.Random(0),
        )
        assert given == [task(10_000)]
    # To look at each of them every time took two million steps.
    assert time.process_time() - started < 1


def test_a_task_that_no_longer_waits_is_passed_over() -> None:
    waiting = WaitingTasks()
    waiting.put(demand(1))
    waiting.put(demand(2))
    waiting.discard(task(1))
    taken = waiting.take({})
    assert taken is not None
    assert taken[0].task_id == task(2)
    assert waiting.take({}) is None
