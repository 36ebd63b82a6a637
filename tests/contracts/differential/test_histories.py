"""Whatever happens to the marketplace, our hub does what the published one does.

More histories than `make test` plays: ``PYIEXEC_HISTORIES=500 python -m pytest tests/contracts/differential``.
"""

from __future__ import annotations

import os

import pytest

from .comparison import same
from .histories import History, Step
from .worlds import Call, Chain, Outcome

STEPS = 70
HISTORIES = int(os.environ.get("PYIEXEC_HISTORIES", "8"))
#: How much of the story a failure tells.
TAIL = 12


class Replay:
    """A history as it is played to both hubs."""

    def __init__(self, chain: Chain, seed: int) -> None:
        self.chain = chain
        self.seed = seed
        self.history = History(seed, chain.worlds, chain.now())
        self.story: list[str] = []

    def _agreed(self, call: Call, outcomes: tuple[Outcome, Outcome]) -> Outcome:
        published, ours = outcomes
        if not same(call, published, ours):
            told = [line[:400] for line in self.story[-TAIL:]]
            both = [f"  published: {published}", f"  ours:      {ours}"]
            pytest.fail("\n".join([f"seed {self.seed}, after", *told, str(call), *both]), pytrace=False)
        return published

    def make(self, step: Step) -> None:
        outcome = self._agreed(step.call, self.chain.send(step.call, step.at))
        self.story.append(f"at {step.at} {step.call}: {outcome}")
        if outcome.succeeded and step.then:
            step.then(outcome)

    def ask(self, questions: list[Call]) -> None:
        for call, answers in zip(questions, self.chain.read(questions), strict=True):
            self.history.learn(call, self._agreed(call, answers))


@pytest.mark.parametrize("seed", range(HISTORIES))
def test_both_hubs_tell_the_same_story(chain: Chain, seed: int) -> None:
    replay = Replay(chain, seed)
    for step in replay.history.opening():
        replay.make(step)
    for _ in range(STEPS):
        replay.make(replay.history.step())
        replay.ask(replay.history.questions())
    replay.ask(replay.history.last_questions())
    assert replay.history.deals
