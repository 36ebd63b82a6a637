"""The contracts do what the model does, whatever happens to the marketplace.

``make test`` makes a thousand steps from a fixed seed, ``make fuzz`` a hundred thousand from a random one. Steps are
made in rounds, each with a seed of its own: a failure names it, and ``--hypothesis-seed`` replays the round at once.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path

import hypothesis
import msgspec
import pytest
from hypothesis import HealthCheck
from hypothesis.stateful import run_state_machine_as_test

from .machine import Histories
from .stage import Stage

#: Fewer than these many steps are a part of the usual tests.
DEEP = 10_000
STEPS = int(os.environ.get("PYIEXEC_FUZZ_STEPS", "1000"))
#: Where a deep run that is stopped is continued.
STATE = Path(os.environ.get("PYIEXEC_FUZZ_STATE", ".hypothesis/fuzz.json"))
USUAL_SEED = 0
#: Histories of one round, and steps of one history.
HISTORIES, LENGTH = 20, 60
#: How many of all calls must go through at least.
SUCCESS = 0.6
#: How often a deep run must have every function succeed at least.
TIMES = 20

SETTINGS = hypothesis.settings(
    max_examples=HISTORIES,
    stateful_step_count=LENGTH,
    deadline=None,
    database=None,
    print_blob=True,
    report_multiple_bugs=False,
    suppress_health_check=list(HealthCheck),
)


class Run(msgspec.Struct):
    """How far a run has come; `seed` is that of its first round."""

    seed: int
    rounds: int = 0
    calls: dict[str, dict[str, int]] = {}
    steps: dict[str, list[int]] = {}

    @property
    def made(self) -> int:
        """Calls made and compared."""
        return sum(sum(outcomes.values()) for outcomes in self.calls.values())

    @property
    def succeeded(self) -> float:
        """How many of them went through, as a fraction."""
        return sum(outcomes.get("done", 0) for outcomes in self.calls.values()) / max(self.made, 1)

    def take_in(self) -> None:
        """Add what the histories counted, and let them count anew."""
        for (name, outcome), times in Histories.tally.items():
            outcomes = self.calls.setdefault(name, {})
            outcomes[outcome] = outcomes.get(outcome, 0) + times
        for (name, succeeded), times in Histories.by_step.items():
            self.steps.setdefault(name, [0, 0])[not succeeded] += times
        Histories.tally.clear()
        Histories.by_step.clear()
        self.rounds += 1

    def report(self) -> str:
        """Steps and calls, and how often they came to what."""
        lines = [f"seed {self.seed}: {self.made:,} calls in {self.rounds} rounds, {self.succeeded:.0%} went through"]
        lines.append("step                                  done  refused")
        lines += [f"{name:34} {done:7,} {refused:8,}" for name, (done, refused) in sorted(self.steps.items())]
        for name, outcomes in sorted(self.calls.items()):
            lines.append(name)
            lines += [f"    {times:7,}  {outcome[:90]}" for outcome, times in sorted(outcomes.items())]
        return "\n".join(lines)


def started(seed: int | None) -> Run:
    """The run to make or to go on with."""
    if STEPS < DEEP:
        return Run(USUAL_SEED if seed is None else seed)
    if STATE.is_file():
        run = msgspec.json.decode(STATE.read_bytes(), type=Run)
        if seed in (None, run.seed):
            return run
    return Run(secrets.randbits(32) if seed is None else seed)


@pytest.mark.timeout(0 if STEPS >= DEEP else 900)
def test_model_and_contracts_tell_the_same_story(
    stage: Stage, pytestconfig: pytest.Config, capsys: pytest.CaptureFixture[str]
) -> None:
    given = pytestconfig.getoption("--hypothesis-seed")
    run = started(int(given) if given else None)
    Histories.stage = stage
    while run.made < STEPS:
        seed = run.seed + run.rounds
        with capsys.disabled():
            print(f"\r{run.made:,} of {STEPS:,} steps, next seed {seed}", end="", flush=True)
        run_state_machine_as_test(hypothesis.seed(seed)(Histories), settings=SETTINGS)
        run.take_in()
        if STEPS >= DEEP:
            STATE.parent.mkdir(parents=True, exist_ok=True)
            STATE.write_bytes(msgspec.json.encode(run))
    with capsys.disabled():
        print(f"\r{run.report()}")
    assert run.succeeded >= SUCCESS
    if STEPS >= DEEP:
        STATE.unlink()
        seldom = {name: outcomes for name, outcomes in run.calls.items() if outcomes.get("done", 0) < TIMES}
        assert seldom.keys() <= {"receiveApproval"}, "only the token may say that a deposit was approved"
