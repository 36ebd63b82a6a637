"""Plays calls to both hubs, and stops at the first that comes out differently."""

from __future__ import annotations

from collections.abc import Sequence

from .chain import Chain, Pair
from .comparison import Same, compare
from .coverage import Coverage
from .worlds import Call, Outcome

#: How much of the story a failure tells.
TAIL = 12


class Difference(AssertionError):  # noqa: N818 - reads as a sentence
    """The hubs disagree, or both did what the story did not expect; the text tells the story."""


class Player:
    """A story as it is played to both hubs.

    Attributes:
        title: what to play again to see the same.
    """

    def __init__(self, chain: Chain, coverage: Coverage, title: str) -> None:
        self.chain = chain
        self.coverage = coverage
        self.title = title
        self.story: list[str] = []
        coverage.begin()

    def fail(self, *lines: str) -> Difference:
        """The failure to raise."""
        told = [line[:400] for line in self.story[-TAIL:]]
        return Difference("\n".join([f"{self.title}, after", *told, *lines]))

    def agreed(self, call: Call, outcomes: Pair) -> Outcome:
        """The outcome on the published hub, which is that on ours but for what the tables say."""
        published, ours = outcomes
        verdict: Same = compare(call, published, ours)
        if not verdict.same:
            raise self.fail(str(call), f"  published: {published}", f"  ours:      {ours}")
        if verdict.why:
            differences = self.coverage.differences
            differences[verdict.why] = differences.get(verdict.why, 0) + 1
        return published

    def make_all(self, calls: Sequence[Call], at: int, rows: Sequence[str] = ()) -> list[Outcome]:
        """Send calls that do not depend on each other; `rows` as in `Coverage.note`."""
        outcomes = []
        for call, pair, row in zip(calls, self.chain.send_all(calls, at), rows or [""] * len(calls), strict=True):
            outcome = self.agreed(call, pair)
            self.coverage.note(call, outcome, row)
            self.story.append(f"at {at} {call}: {outcome}")
            outcomes.append(outcome)
        return outcomes

    def make(self, call: Call, at: int, row: str = "") -> Outcome:
        """Send one call."""
        return self.make_all([call], at, [row])[0]

    def ask(self, questions: Sequence[Call], *, counted: bool = False) -> list[Outcome]:
        """Put questions to both hubs; `counted` when they are more than a look at what a call has done."""
        outcomes = []
        for call, pair in zip(questions, self.chain.read(questions), strict=True):
            outcome = self.agreed(call, pair)
            if counted:
                self.coverage.note(call, outcome, transaction=False)
            outcomes.append(outcome)
        return outcomes
