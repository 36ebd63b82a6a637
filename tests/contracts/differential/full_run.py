"""A full run: every directed story in every round, and random histories, on as many cores as there are.

It prints what was reached, and fails when something was not.
"""

from __future__ import annotations

import os
import subprocess
import time
import traceback
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context

from pyiexec.chain.deployment import Variant

from . import histories, stories
from .coverage import LEAST, SUCCEEDING, Coverage, missing, table
from .marketplaces import both_hubs
from .player import Difference
from .requirements import LATER, REQUIREMENTS, UNPUBLISHED, UNREACHABLE

ROUNDS = LEAST
HISTORIES = 40
WORKERS = max(2, os.cpu_count() or 1)

Share = tuple[Variant, tuple[int, ...], tuple[int, ...]]


def _play(share: Share) -> tuple[Variant, Coverage, str]:
    """Rounds and histories with these seeds, on a chain of their own; in the end why they stopped before it."""
    variant, rounds, seeds = share
    coverage = Coverage()
    try:
        with both_hubs(variant) as chain:
            for seed in rounds:
                stories.play(chain, coverage, seed, stories.SCENES[variant])
            deployed = chain.snapshot()
            for seed in seeds:
                histories.play(chain, coverage, seed)
                deployed = chain.restore(deployed)
    except Difference as difference:
        return variant, coverage, str(difference)
    except Exception:
        # not every error can be sent to another process
        return variant, coverage, traceback.format_exc()
    return variant, coverage, ""


def _shares(count: int) -> list[Share]:
    """The work, the longest first, so that no core is left with much of it at the end."""
    parts: list[Share] = [
        ("token", tuple(range(start, ROUNDS, WORKERS)), tuple(range(start, count, WORKERS))) for start in range(WORKERS)
    ]
    return [*parts, ("native", tuple(range(ROUNDS)), ())]


def _commit() -> str:
    described = subprocess.run(["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False)
    return described.stdout.strip() or "unknown commit"


def main(count: int = HISTORIES) -> int:
    started = time.monotonic()
    totals: dict[Variant, Coverage] = {"token": Coverage(), "native": Coverage()}
    with ProcessPoolExecutor(WORKERS, mp_context=get_context("spawn")) as pool:
        waiting = [pool.submit(_play, share) for share in _shares(count)]
        for done in as_completed(waiting):
            variant, coverage, stopped = done.result()
            if stopped:
                pool.shutdown(wait=False, cancel_futures=True)
                print(stopped)
                return 1
            totals[variant].merge(coverage)
    lacking = []
    for variant, coverage in totals.items():
        requirement = REQUIREMENTS[variant]
        print(f"\n=== {variant} hub", table(coverage, requirement))
        lacking += [f"{variant}: {line}" for line in missing(coverage, requirement, LEAST)]
    for title, rows in (("unreachable", UNREACHABLE), ("not in the package", UNPUBLISHED), ("not in 6.1", LATER)):
        print(f"\n{title}")
        print(*(f"  {what}: {why}" for what, why in rows.items()), sep="\n")
    whole = Coverage()
    for coverage in totals.values():
        whole.merge(coverage)
    share = whole.transactions_succeeded / whole.transactions
    print(
        f"\n{_commit()}: {whole.transactions} transactions, {share:.1%} succeeded (at least {SUCCEEDING:.0%});", end=" "
    )
    print(f"{whole.calls - whole.transactions} calls of views besides the comparing of states;")
    print(f"{ROUNDS} rounds of directed stories, {count} histories, {time.monotonic() - started:.0f} s")
    if lacking:
        print(f"not reached {LEAST} times:", *lacking, sep="\n  ")
    met = not lacking and share >= SUCCEEDING
    print(f"differential: {'no difference, everything reached' if met else 'no difference, but not all reached'}")
    return 0 if met else 1
