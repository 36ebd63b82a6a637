"""Run one simulation: `python -m tests.simulation --seed 7 --tasks 500`."""

from __future__ import annotations

import argparse
import time

from tests.simulation.faults import STORM, Weather
from tests.simulation.network import Network, Plan


def main() -> None:
    """Run it and say what came of it."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--tasks", type=int, default=Plan.tasks)
    parser.add_argument("--workers", type=int, default=Plan.workers)
    parser.add_argument("--bag", type=int, default=Plan.bag)
    parser.add_argument("--open", type=int, default=Plan.open)
    parser.add_argument("--storm", action="store_true", help="worse weather")
    parser.add_argument("--about", help="print what happens to this task or worker")
    options = parser.parse_args()
    started = time.perf_counter()
    plan = Plan(
        tasks=options.tasks,
        workers=options.workers,
        bag=options.bag,
        open=options.open,
        weather=STORM if options.storm else Weather(),
    )
    network = Network(options.seed, plan)
    network.agenda.about = options.about
    outcome = network.run()
    for trust, level in outcome.levels.items():
        print(f"trust {trust}: {level}")
    print("replicas by kind of worker, causes of failure:", outcome.happened)
    print(f"{outcome.unended} tasks not ended, {outcome.gone} undone with their deals, {outcome.unjust} unjust losses")
    print(f"{outcome.steps} steps, {outcome.seconds:.0f} s of virtual time in {time.perf_counter() - started:.0f} s")
    print(outcome.digest)


if __name__ == "__main__":
    main()
