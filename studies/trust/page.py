"""The figures of docs/trust.md: each table, and each sentence that tells one, stands between two markers."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path

from pyiexec.protocol import trust
from pyiexec.protocol.primitives import Bytes32, ResultHash
from studies.trust import scenarios as s
from studies.trust.confidence import Rate
from studies.trust.faults import RIGHT, Faults, Mistakes, Ring
from studies.trust.measure import Results
from studies.trust.pool import Tally
from studies.trust.scenarios import Scenario

PAGE = Path(__file__).resolve().parents[2] / "docs" / "trust.md"
_BLOCK = re.compile(r"(?P<begin><!-- measured: (?P<name>[\w-]+) -->\n).*?(?P<end><!-- end -->)", re.DOTALL)

#: Shares of wrong results that a requester might put up with.
TARGETS = (0.1, 0.03, 0.01, 0.003, 0.001)
KINDS = {
    Ring.ALWAYS: "always lies",
    Ring.FARMING: "lies once trusted alone",
    Ring.SURE: "lies when sure to win",
}


def render(page: str, results: Results) -> str:
    """The page with its figures as `results` has them.

    Raises:
        KeyError: the page marks a place for something that is not measured.
    """
    return _BLOCK.sub(lambda block: block["begin"] + BLOCKS[block["name"]](results) + "\n" + block["end"], page)


def kept(results: Results, scenario: Scenario, level: int, part: slice = s.WHOLE) -> bool:
    """Whether no more than one in `level` results is wrong, at the upper end of the interval."""
    return results.error(scenario, level, part).high <= 1 / level


def broken(results: Results, scenario: Scenario, level: int, part: slice = s.WHOLE) -> bool:
    """Whether more than one in `level` results is wrong, at the lower end of the interval."""
    return results.error(scenario, level, part).low > 1 / level


def passing_score(level: int) -> int:
    """The least score with which a worker's vote alone reaches the trust."""
    right = ResultHash(Bytes32(RIGHT))
    return next(
        score for score in count() if trust.stands(trust.vote({}, right, trust.worker_weight(score)), right, level)
    )


def cheapest(results: Results, family: Sequence[tuple[str, Scenario]], target: float) -> tuple[str, Scenario] | None:
    """Of the settings whose wrong results stay below the target, at the upper end, the one with fewest computations."""
    able = [member for member in family if results.error(member[1]).high <= target]
    return min(able, key=lambda member: results.replicas(member[1]), default=None)


def percent(share: float) -> str:
    """A share in per cent, with two digits that say something."""
    return f"{100 * share:.2g} %"


def _rate(rate: Rate) -> str:
    return percent(rate.value) if rate.value else f"none seen (≤ {percent(rate.high)})"


def _interval(rate: Rate) -> str:
    return f"{percent(rate.value)} ({percent(rate.low)} to {percent(rate.high)})"


def _marked(results: Results, scenario: Scenario, level: int) -> str:
    """A rate: in bold where it breaks the promise, in italics where that is not settled."""
    mark = "" if kept(results, scenario, level) else "**" if broken(results, scenario, level) else "*"
    return f"{mark}{_rate(results.error(scenario, level))}{mark}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (head, ["---"] * len(head), *rows))


def _choose(results: Results) -> str:
    rows = []
    for level in s.LEVELS[1:]:
        even = s.poco(level, s.EVEN)
        young, settled = results.replicas(even, part=s.YOUNG), results.replicas(even, part=s.SETTLED)
        rows.append(
            [
                f"{level}",
                percent(1 / level),
                f"{trust.replicas_missing({}, [], level)}",
                f"{passing_score(level)}",
                f"{young:.1f} → {settled:.1f}",
                *(_marked(results, s.poco(level, faults), level) for faults in s.COMPARED),
            ]
        )
    head = [
        "trust",
        "promised: wrong at most",
        "newcomers that must agree",
        "score that passes alone",
        "computations per task, first → later",
        "wrong: all err 5 %",
        *(f"a fifth {told}" for told in KINDS.values()),
    ]
    return _table(head, rows)


def _promise(results: Results) -> str:
    points = [(error, level, s.poco(level, Faults(error))) for error in s.ERRORS for level in s.LEVELS]
    rows = []
    for error, level, scenario in points:
        if not all(kept(results, scenario, level, part) for part in (s.WHOLE, s.SETTLED)):
            whole, later = (results.error(scenario, level, part) for part in (s.WHOLE, s.SETTLED))
            rows.append([f"{level}", percent(1 / level), percent(error), _interval(whole), _interval(later)])
    told = (
        f"Over a pool's whole life and in its last half, {len(points) - len(rows)} of {len(points)} points are surely"
    )
    head = ["trust", "promised", "workers err", "wrong, whole life", "wrong, last half"]
    return f"{told}\nbelow the promise. The others, with intervals:\n\n{_table(head, rows)}"


def _together(results: Results) -> str:
    scenario = s.mixed(0.2)
    rows = [
        [f"{level}", _marked(results, s.poco(level, Faults(0.2)), level), _marked(results, scenario, level)]
        for level in s.MIXED[1:]
    ]
    return _table(["trust", "wrong, all tasks at this trust", "wrong, tasks of all levels in the pool"], rows)


def _answers(results: Results) -> str:
    kinds = (Mistakes.ALIKE, Mistakes.FEW, Mistakes.DISTINCT)
    rows = []
    for level in s.RING_LEVELS:
        scenarios = [s.poco(level, Faults(0.2, kind)) for kind in kinds]
        cells = [f"{_marked(results, one, level)}; {results.replicas(one):.1f}" for one in scenarios]
        rows.append([f"{level}", *cells])
    return _table(["trust", "all alike", "four to choose from", "all different"], rows)


def _rings(results: Results) -> str:
    rows = []
    for kind, told in KINDS.items():
        for level in s.RING_LEVELS:
            scenarios = [s.poco(level, s.ring(kind, members)) for members in s.RINGS]
            rows.append([told, f"{level}", *(_marked(results, one, level) for one in scenarios)])
    return _table(["the ring", "trust", *(f"{100 * m // s.SIZE.workers} %" for m in s.RINGS)], rows)


def _stakes(results: Results) -> str:
    told = []
    for level in (10, 30):
        liars = s.poco(level, s.LIARS)
        wrong, caught = (results.mean(liars, what) for what in (lambda tally: tally.wrong, lambda tally: tally.caught))
        told.append(f"{caught / wrong:.0f} at trust {level}")
    return f"Where a fifth always lies, {' and '.join(told)} wrong answers lost their stake for each that was accepted."


def _equal(results: Results) -> str:
    names = ("all err 5 %", *(f"a fifth {told}" for told in KINDS.values()))
    rows = []
    for name, faults in zip(names, s.COMPARED, strict=True):
        for target in TARGETS:
            found = [cheapest(results, family(faults), target) for family in (s.of_poco, s.of_voting, s.of_adaptive)]
            costs = [results.replicas(one[1]) if one else float("inf") for one in found]
            cells = [
                "none" if one is None else _best(f"{cost:.2f} ({one[0]})", best=cost == min(costs))
                for one, cost in zip(found, costs, strict=True)
            ]
            rows.append([name, percent(target), *cells])
    head = ["faults", "wrong at most", "PoCo (trust)", "majority (votes)", "BOINC (quorum/threshold)"]
    return _table(head, rows)


def _best(cell: str, *, best: bool) -> str:
    return f"**{cell}**" if best else cell


def _published(results: Results) -> str:
    rows = []
    for name, faults in zip(("all err 5 %", *(f"a fifth {told}" for told in KINDS.values())), s.COMPARED, strict=True):
        one = s.adaptive(*s.ADAPTIVE[0], faults)
        rows.append([name, _interval(results.error(one)), f"{results.replicas(one):.2f}"])
    return _table(["faults", "wrong", "computations"], rows)


def _whims(results: Results) -> str:
    def unjust(tally: Tally) -> float:
        return tally.unjust + tally.caught

    rows = [
        [
            percent(chance),
            f"{results.replicas(s.whim(chance)):.1f}",
            _rate(results.undecided(s.whim(chance))),
            f"{results.mean(s.whim(chance), unjust):.1f}",
        ]
        for chance in s.WHIMS
    ]
    return _table(["runs that differ", "computations", "tasks given up", "stakes lost per task"], rows)


def _time(results: Results) -> str:
    rows = []
    for level in s.LEVELS:
        spans = [
            results.mean(s.poco(level, Faults(error)), lambda t: t.span, part=s.SETTLED) / 1000 for error in s.ERRORS
        ]
        rows.append([f"{level}", *(f"{span:.1f}" for span in spans)])
    return _table(["trust", *(f"all err {percent(error)}" for error in s.ERRORS)], rows)


def _size(results: Results) -> str:
    tasks = sum(
        sum(slices, Tally()).tasks for lives in results.lives.values() for pools in lives.values() for slices in pools
    )
    others = f"Three times as many pools where levels are mixed; {s.whim(0.1).size.tasks} tasks where answers differ.\n"
    others += f"Where there is a ring, the other workers err {percent(s.SLIPS)} of the time."
    pools = f"{s.POOLS} pools of {s.SIZE.workers} workers that serve {s.SIZE.tasks:,} tasks each"
    return f"{len(results.lives)} points, {tasks:,} tasks; each point {pools}, {s.SIZE.at_once} at a time.\n{others}"


BLOCKS: dict[str, Callable[[Results], str]] = {
    "answers": _answers,
    "choose": _choose,
    "equal": _equal,
    "promise": _promise,
    "published": _published,
    "rings": _rings,
    "size": _size,
    "stakes": _stakes,
    "time": _time,
    "together": _together,
    "whims": _whims,
}
