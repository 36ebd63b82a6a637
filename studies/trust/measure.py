"""Follow the pools, on all processors, and keep what came of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import astuple
from functools import partial
from hashlib import sha256
from pathlib import Path

from studies.trust.confidence import Rate, pooled
from studies.trust.pool import Tally
from studies.trust.scenarios import Scenario

DATA = Path(__file__).with_name("data.json")
SEED = 1

#: Of one scenario, by trust: the tallies of the slices of each pool.
Lives = dict[int, list[list[Tally]]]


class Results:
    """What was measured, by the names of scenarios.

    A part of a pool's life is given as a slice of its slices; by default it is all of it.
    """

    def __init__(self, lives: dict[str, Lives]) -> None:
        self.lives = lives

    def error(self, scenario: Scenario, level: int | None = None, part: slice = slice(None)) -> Rate:
        """Wrong among the accepted answers."""
        tallies = self._tallies(scenario, level, part)
        return pooled([t.wrong for t in tallies], [t.tasks - t.undecided for t in tallies])

    def undecided(self, scenario: Scenario) -> Rate:
        """Tasks given up, among all."""
        tallies = self._tallies(scenario, None, slice(None))
        return pooled([t.undecided for t in tallies], [t.tasks for t in tallies])

    def mean(
        self, scenario: Scenario, what: Callable[[Tally], float], level: int | None = None, part: slice = slice(None)
    ) -> float:
        """Of a quantity for each task."""
        tallies = self._tallies(scenario, level, part)
        return sum(map(what, tallies)) / sum(t.tasks for t in tallies)

    def replicas(self, scenario: Scenario, level: int | None = None, part: slice = slice(None)) -> float:
        """Computations for each task."""
        return self.mean(scenario, lambda tally: tally.replicas, level, part)

    def _tallies(self, scenario: Scenario, level: int | None, part: slice) -> list[Tally]:
        lives = self.lives[scenario.name]
        found = lives[level] if level is not None else next(iter(lives.values()))
        return [sum(slices[part], Tally()) for slices in found]


def follow(seed: int, scenario: Scenario, pool: int) -> dict[int, list[Tally]]:
    """One pool."""
    return scenario.run(seed, pool)


def measure(scenarios: Iterable[Scenario], seed: int = SEED) -> Results:
    """All pools of all scenarios."""
    work = [(scenario, pool) for scenario in scenarios for pool in range(scenario.pools)]
    lives: dict[str, Lives] = {}
    with ProcessPoolExecutor() as cores:
        for (scenario, _), life in zip(work, cores.map(partial(follow, seed), *zip(*work, strict=True)), strict=True):
            of_scenario = lives.setdefault(scenario.name, {})
            for level, slices in sorted(life.items()):
                of_scenario.setdefault(level, []).append(slices)
    return Results(lives)


def save(results: Results, seed: int, file: Path = DATA) -> None:
    """Write them so that a difference shows as a line."""
    lines = []
    for name, lives in results.lives.items():
        levels = []
        for level, pools in sorted(lives.items()):
            rows = ",\n".join("   " + json.dumps([astuple(tally) for tally in slices]) for slices in pools)
            levels.append(f'  "{level}": [\n{rows}\n  ]')
        lines.append(f' "{name}": {{\n' + ",\n".join(levels) + "\n }")
    file.write_text(f'{{"seed": {seed}, "scenarios": {{\n' + ",\n".join(lines) + "\n}}\n")


def digest(file: Path = DATA) -> str:
    """Which measurement it was."""
    return sha256(file.read_bytes()).hexdigest()


def load(file: Path = DATA) -> tuple[int, Results]:
    """The seed and what was measured with it."""
    told = json.loads(file.read_text())
    lives = {
        name: {int(level): [[Tally(*tally) for tally in slices] for slices in pools] for level, pools in levels.items()}
        for name, levels in told["scenarios"].items()
    }
    return told["seed"], Results(lives)
