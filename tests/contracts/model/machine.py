"""Random histories of the marketplace as a state machine of Hypothesis.

There is one rule, to make a step. Which steps there are to choose from depends on what there is to do: rules that
Hypothesis turns off for a whole history, as is its habit, would leave most histories without deals. Most steps make
sense when they are made, some are wrong in one point, and a few may be anything.
"""

from __future__ import annotations

from typing import Any, ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule

from pyiexec.protocol.primitives import DealId
from pyiexec.protocol.tasks import TaskStatus

from .banking import Banking
from .boosting import Boosting
from .dice import Dice
from .governing import Governing
from .stage import WORKERS
from .steps import step, steps_of
from .trading import Trading
from .working import PLAYED, RIGHT, UNKNOWN, WRONG, Working

_DATA = st.data()


class Blundering(Boosting):
    """Calls that may make no sense at all."""

    @step(2, lambda history: history.hub.tasks)
    def do_anything_to_a_task(self, dice: Dice) -> None:
        task = dice.choose([*self.hub.tasks, UNKNOWN][-10:])
        worker = dice.choose((*WORKERS[:4], "yes"))
        pick = dice.pick("contribute", "reveal", "finalize", "reopen", "claim", "do alone")
        if pick == "contribute":
            self.contribute_to(dice, task, worker, RIGHT)
        elif pick == "reveal":
            self.reveal_it(task, worker, dice.pick(RIGHT, WRONG))
        elif pick == "finalize":
            sender = dice.pick("scheduler", "worker 0", "stranger")
            self.finalize_it(dice, task, sender, b"", dice.pick(b"", RIGHT, bytes(6145)))
        elif pick == "reopen":
            self.reopen_it(task, dice.pick("scheduler", "stranger"))
        elif pick == "claim":
            self.call("stranger", "claim", [task], lambda now: self.hub.claim(task, now=now))
        else:
            self.do_alone(dice, task, worker)

    @step(1)
    def do_anything_to_a_deal(self, dice: Dice) -> None:
        deal = dice.choose([*self.hub.deals, *self.hub.boost_deals, DealId(UNKNOWN)])
        index = dice.pick(0, 1, PLAYED - 1)
        pick = dice.pick("initialize", "push", "claim")
        if pick == "initialize":
            self.call("stranger", "initialize", [deal, index], lambda _: self.hub.initialize(deal, index))
        elif pick == "push":
            self.push(dice, deal, index)
        else:
            self.claim_it(deal, index)


class Waiting(Boosting):
    """The passing of time."""

    def moments(self) -> list[list[int]]:
        """Deadlines to come: of reveals nobody made yet, of reveals some made, and others."""
        tasks = [task for task in self.hub.tasks.values() if task.status in (TaskStatus.ACTIVE, TaskStatus.REVEALING)]
        sealed = [task for task in tasks if task.status is TaskStatus.REVEALING]
        silent = [task.reveal_deadline for task in sealed if not task.reveal_counter]
        partial = [task.reveal_deadline for task in sealed if 0 < task.reveal_counter < task.winner_counter]
        others = [moment for task in tasks for moment in (task.contribution_deadline, task.final_deadline)]
        others += [self.hub.boost_deals[name].deadline for name, _ in self.unended()]
        kinds = (silent, silent, partial, partial, others)
        ahead = [sorted({moment for moment in kind if moment > self.now() + 1}) for kind in kinds]
        return [kind for kind in ahead if kind]

    @step(3, lambda history: history.moments())
    def wait(self, dice: Dice) -> None:
        """Until the next call is made at a deadline, or in the last second before."""
        self.clock = dice.choose(dice.choose(self.moments())[:6]) - dice.pick(1, 1, 2)


class Histories(Blundering, Waiting, Banking, Governing):
    """The marketplace and everything that anybody may do there."""

    #: The last come first: the simplest history, of which each step is the first that makes sense, ends its tasks.
    STEPS: ClassVar = [
        each
        for room in (Working, Boosting, Trading, Banking, Governing, Blundering, Waiting)
        for each in reversed(steps_of(room))
    ]

    @initialize(data=_DATA)
    def open_the_market(self, data: Any) -> None:
        dice = Dice(data)
        if dice.chance(40):
            admin, broker = self.at("admin"), self.at("broker")
            self.call("admin", "setTeeBroker", [broker], lambda _: self.hub.set_tee_broker(broker, sender=admin))
        for boost in (False, False, True):
            self.match_orders(dice, self.mill.four(dice, boost=boost, calm=True), boost=boost)
        for deal, index in self.unstarted()[:3]:
            self.call("stranger", "initialize", [deal, index], lambda _, d=deal, i=index: self.hub.initialize(d, i))

    @rule(data=_DATA)
    def make_a_step(self, data: Any) -> None:
        dice = Dice(data)
        sensible = [each.name for each in self.STEPS for _ in range(each.weight if each.makes_sense(self) else 0)]
        self.step = dice.choose(sensible)
        getattr(self, self.step)(dice)
