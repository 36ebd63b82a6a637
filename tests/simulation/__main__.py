"""Run one simulation: `python -m tests.simulation --seed 7 --tasks 500`."""

from __future__ import annotations

import argparse
import time

from tests.simulation.network import Network, Plan


def main() -> None:
    """Run it and say what came of it."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--tasks", type=int, default=Plan.tasks)
    parser.add_argument("--workers", type=int, default=Plan.workers)
    parser.add_argument("--about", help="print what happens to this task or worker")
    options = parser.parse_args()
    started = time.perf_counter()
    network = Network(options.seed, Plan(tasks=options.tasks, workers=options.workers))
    network.agenda.about = options.about
    outcome = network.run()
    print(f"seed {options.seed}: {outcome.steps} steps, {outcome.seconds:.0f} s, {time.perf_counter() - started:.1f} s")
    for trust, level in outcome.levels.items():
        print(trust, level, f"ratio {level.replicas / max(level.fewest, 1):.3f}")
    replicas = sum(level.replicas for level in outcome.levels.values())
    fewest = sum(level.fewest for level in outcome.levels.values())
    print(f"replicas {replicas} / {fewest} = {replicas / max(fewest, 1):.3f}")
    print(
        outcome.happened,
        "unended",
        outcome.unended,
        "unjust",
        outcome.unjust,
        "gone",
        outcome.gone,
        "refused",
        outcome.refused_matches,
    )
    print(outcome.digest)


if __name__ == "__main__":
    main()
