"""What the scheduler makes of deals and ends that a reorganisation undid, found by the storms of `test_network`."""

from __future__ import annotations

from typing import Any, cast

from pyiexec.protocol.poco import Event
from pyiexec.protocol.primitives import TaskId
from pyiexec.protocol.tasks import Task, TaskStatus
from pyiexec.protocol.workflow import Phase
from pyiexec.scheduler.events import ChainRead
from pyiexec.scheduler.inbox import ChainSeen, DealSeen, Item, LogsSeen
from pyiexec.scheduler.state import TaskState
from pyiexec.scheduler.store import DealFacts
from tests.simulation.agenda import GENESIS
from tests.simulation.chain import TIMEREF, Block, _log, account
from tests.simulation.network import Network, Plan
from tests.simulation.pool import SimulatedWork


class Story:
    """A scheduler with one deal of one task, told step by step what the chain says."""

    def __init__(self) -> None:
        self.network = network = Network(1, Plan(tasks=1, workers=20, bag=1))
        network._buy()
        while not network.hub.deals:
            network.chain._mine([])
        [self.notice] = network.chain.blocks[-1].logs
        [(self.deal_id, self.deal)] = list(network.hub.deals.items())
        self.task_id: TaskId = self.deal.task_ids(self.deal_id)[0]
        self.start()

    def start(self) -> None:
        """Start the scheduler, or another in its place."""
        self.network.pool.start()
        self.work = SimulatedWork(self.network.pool)
        self.network.pool.engine.take_up(cast("Any", self.work))

    def step(self, *items: Item) -> TaskState | None:
        """The task after these items."""
        step = self.network.pool.engine.step(items)
        try:
            step.send(None)
        except StopIteration:
            return self.network.pool.engine.find(self.task_id)
        raise AssertionError("a step waits for something")

    def read(self) -> DealSeen:
        """The deal, when the chain has it."""
        return DealSeen(self.deal_id, DealFacts(deal=self.deal, timeref=TIMEREF, app_checksum="0xapp"))

    def unopened(self) -> ChainSeen:
        """The task's record, which is empty: as well when it was not opened as when there is no such task."""
        tracked = self.network.pool.engine.tasks.get(self.task_id) or self.network.pool.engine.recent[self.task_id]
        record = ChainRead(Task(), {}, {}, at=self.network.agenda.chain_now)
        return ChainSeen({self.task_id: record}, {self.task_id: tracked.version})


def log(name: str, **fields: Any) -> Any:
    """A log of the hub as a node tells it."""
    return _log(Event(account("hub"), name, fields), Block(1, GENESIS, 0))


def phase(state: TaskState | None) -> Phase:
    assert state is not None
    return state.phase


def test_the_tasks_of_a_lost_deal_are_never_opened() -> None:
    story = Story()
    assert phase(story.step(LogsSeen([story.notice]), story.read())) is Phase.RECEIVED
    assert story.work.asked["initialize"] == 1
    lost = story.step(LogsSeen([], [story.notice], rewound=True), DealSeen(story.deal_id, None))
    assert phase(lost) is Phase.FAILED
    assert phase(story.step(story.unopened())) is Phase.FAILED
    assert story.work.asked == {"initialize": 1}


def test_a_lost_deal_that_is_made_again_goes_on() -> None:
    story = Story()
    story.step(LogsSeen([story.notice]), story.read())
    story.step(LogsSeen([], [story.notice], rewound=True), DealSeen(story.deal_id, None))
    story.step(LogsSeen([story.notice]), story.read())
    again = story.step(story.unopened())
    assert phase(again) is Phase.RECEIVED
    assert again is not None
    assert again.chain.status is TaskStatus.UNSET
    assert story.work.asked["initialize"] == 2


def test_an_end_taken_back_is_noticed_by_a_scheduler_that_was_started_after_it() -> None:
    story = Story()
    end = log("TaskFinalize", taskid=story.task_id, results=b"link")
    story.step(LogsSeen([story.notice]), story.read())
    assert phase(story.step(LogsSeen([end]))) is Phase.COMPLETED
    story.start()
    assert story.network.pool.engine.find(story.task_id) is None
    assert phase(story.step(LogsSeen([], [end], rewound=True))) is Phase.RUNNING
    # Dying before the chain has answered, it asks again when it is back.
    story.start()
    assert story.network.pool.engine.find(story.task_id) is not None
    assert phase(story.step(story.unopened())) is Phase.RECEIVED
