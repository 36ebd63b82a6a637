"""`make sim`: 10,000 tasks of a network in virtual time, a fifth of whose workers are faulty.

What is judged: wrong results at every trust level, tasks that never end, and replicas beside those of an oracle that
knows who is faulty (`tests/simulation/oracle.py` says what it may do). That RLC is conserved to the unit, and the other
invariants, is checked after every step: a run in which one fails ends there, with its seed.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from verdict import Measured, conclude

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.simulation.bound import upper_bound
from tests.simulation.network import Network, Outcome, Plan

TASKS, CONFIDENCE = 10_000, 0.99
MOST_UNENDED, MOST_REPLICAS = 0.1, 1.1


def tell(outcome: Outcome, seconds: float) -> None:
    """Print what came of every trust level."""
    print(f"{outcome.steps} steps, {outcome.seconds:.0f} s of virtual time in {seconds:.0f} s; digest {outcome.digest}")
    print("trust   tasks  completed  refunded  wrong  at most (99 %)  replicas  oracle")
    for trust, level in outcome.levels.items():
        bound = upper_bound(level.wrong, level.completed, CONFIDENCE)
        print(
            f"{trust:5} {level.tasks:7} {level.completed:10} {level.failed:9} {level.wrong:6} {bound:14.2%} "
            f"{level.replicas:10} {level.fewest:7}"
        )
    print("replicas by kind of worker, causes of failure:", outcome.happened)
    print(f"stakes that honest workers lost to wrong results: {outcome.unjust}", flush=True)


def main() -> None:
    """Run it and compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--tasks", type=int, default=TASKS)
    options = parser.parse_args()
    plan = Plan(tasks=options.tasks)
    started = time.perf_counter()
    network = Network(options.seed, plan)
    outcome = network.run()
    tell(outcome, time.perf_counter() - started)
    levels = outcome.levels
    tasks = sum(level.tasks for level in levels.values())
    replicas, fewest = (sum(getattr(level, name) for level in levels.values()) for name in ("replicas", "fewest"))
    rates = [
        Measured(
            f"sim wrong results at trust {trust}",
            100 * upper_bound(level.wrong, level.completed, CONFIDENCE),
            "%",
            100 / trust,
        )
        for trust, level in levels.items()
    ]
    conclude(
        *rates,
        Measured("sim RLC not accounted for", network.astray, "nRLC", 0),
        Measured("sim tasks not ended", 100 * outcome.unended / tasks, "%", MOST_UNENDED),
        Measured("sim replicas", replicas / fewest, "x", MOST_REPLICAS),
    )


if __name__ == "__main__":
    main()
