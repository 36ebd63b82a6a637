"""The page's pictures, in colours that the colour-blind can tell apart (M. Okabe, K. Ito: Color Universal Design)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from studies.trust import scenarios as s
from studies.trust.confidence import Rate
from studies.trust.faults import Faults, Ring
from studies.trust.measure import Results, digest
from studies.trust.scenarios import Scenario

IMAGES = Path(__file__).resolve().parents[2] / "docs" / "images"

BLUE, ORANGE, GREEN, RED, PURPLE, GREY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#666666"
COLOURS, MARKERS = (BLUE, ORANGE, GREEN, RED), ("o", "s", "^", "D")
#: Nothing has no place on a logarithmic axis: what is less than this is drawn here, with its interval above it.
FLOOR = 1e-4

STYLE: Any = {
    "font.size": 10,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#dddddd",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "lines.linewidth": 1.4,
    "lines.markersize": 5,
    # The same data give the same file.
    "svg.hashsalt": "pyiexec",
    "savefig.facecolor": "white",
}


def draw(results: Results, folder: Path = IMAGES, suffix: str = "svg") -> list[Path]:
    """All of them; the files written."""
    pictures = {
        "trust-errors": _errors,
        "trust-replicas": _replicas,
        "trust-rings": _rings,
        "trust-rules": _rules,
    }
    files = []
    told = f"Drawn from what has the SHA-256 {digest()}"
    with mpl.rc_context(STYLE):
        for name, picture in pictures.items():
            figure = picture(results)
            files.append(folder / f"{name}.{suffix}")
            figure.savefig(
                files[-1], metadata={"Date": None, "Description": told} if suffix == "svg" else None, dpi=110
            )
            plt.close(figure)
    return files


def _with_intervals(axes: Axes, x: Sequence[float], rates: Sequence[Rate], colour: str, line: str, label: str) -> None:
    shown = [max(rate.value, FLOOR) for rate in rates]
    below = [max(0.0, at - max(rate.low, FLOOR)) for at, rate in zip(shown, rates, strict=True)]
    above = [max(0.0, rate.high - at) for at, rate in zip(shown, rates, strict=True)]
    axes.errorbar(x, shown, yerr=[below, above], fmt=line, color=colour, label=label, capsize=2, elinewidth=1)


def _error_axis(axes: Axes) -> None:
    axes.set_yscale("log")
    axes.set_ylim(FLOOR * 0.8, 1.2)
    axes.set_yticks([1e-4, 1e-3, 1e-2, 1e-1, 1], ["≤ 0.01 %", "0.1 %", "1 %", "10 %", "100 %"])


def _trust_axis(axes: Axes, levels: Sequence[int]) -> None:
    axes.set_xscale("log")
    axes.set_xticks(levels, [f"{level:,}" for level in levels])
    axes.minorticks_off()
    axes.set_xlabel("trust asked for")


def _promise(axes: Axes, levels: Sequence[int]) -> None:
    axes.plot(levels, [1 / level for level in levels], color="black", linestyle="--", label="promised: 1 / trust")


def _errors(results: Results) -> Figure:
    figure, (alone, together) = plt.subplots(1, 2, figsize=(10, 4.2), sharey=True, layout="constrained")
    for error, colour, marker in zip(s.ERRORS, COLOURS, MARKERS, strict=True):
        rates = [results.error(s.poco(level, Faults(error))) for level in s.LEVELS]
        _with_intervals(alone, s.LEVELS, rates, colour, f"{marker}-", f"each wrong {100 * error:g} % of the time")
    alone.set_title("every task asks for the same trust")
    alone.set_ylabel("wrong results accepted")
    scenario = s.mixed(0.2)
    rates = [results.error(scenario, level) for level in s.MIXED]
    _with_intervals(together, s.MIXED, rates, RED, "D-", "tasks of all levels in one pool")
    rates = [results.error(s.poco(level, Faults(0.2))) for level in s.MIXED]
    _with_intervals(together, s.MIXED, rates, GREY, "D-", "every task at this level")
    together.set_title("workers each wrong 20 % of the time")
    for axes, levels in ((alone, s.LEVELS), (together, s.MIXED)):
        _promise(axes, levels)
        _error_axis(axes)
        _trust_axis(axes, levels)
        axes.legend(loc="upper right", fontsize=9)
    return figure


def _replicas(results: Results) -> Figure:
    figure, axes = plt.subplots(figsize=(7, 4.2), layout="constrained")
    for error, colour, marker in zip(s.ERRORS, COLOURS, MARKERS, strict=True):
        scenarios = [s.poco(level, Faults(error)) for level in s.LEVELS]
        young = [results.replicas(scenario, part=s.YOUNG) for scenario in scenarios]
        settled = [results.replicas(scenario, part=s.SETTLED) for scenario in scenarios]
        axes.plot(s.LEVELS, settled, color=colour, marker=marker, label=f"each wrong {100 * error:g} % of the time")
        axes.plot(s.LEVELS, young, color=colour, marker=marker, linestyle=":", markerfacecolor="white")
    axes.plot([], [], color=GREY, label="last half of the tasks")
    axes.plot([], [], color=GREY, linestyle=":", label="first quarter: newcomers")
    _trust_axis(axes, s.LEVELS)
    axes.set_yscale("log", base=2)
    axes.set_yticks([1, 2, 4, 8, 16], ["1", "2", "4", "8", "16"])
    axes.set_ylabel("computations for each task")
    axes.legend(fontsize=9)
    return figure


def _rings(results: Results) -> Figure:
    kinds = {
        Ring.ALWAYS: "always lie",
        Ring.FARMING: "lie once trusted alone",
        Ring.SURE: "lie when they are sure to win",
    }
    figure, panels = plt.subplots(1, 3, figsize=(12, 4.2), sharey=True, layout="constrained")
    shares = [100 * members / s.SIZE.workers for members in s.RINGS]
    for axes, (kind, title) in zip(panels, kinds.items(), strict=True):
        for level, colour, marker in zip(s.RING_LEVELS, COLOURS, MARKERS, strict=False):
            rates = [results.error(s.poco(level, s.ring(kind, members))) for members in s.RINGS]
            _with_intervals(axes, shares, rates, colour, f"{marker}-", f"trust {level:,}")
            axes.axhline(1 / level, color=colour, linestyle="--", linewidth=1)
        axes.set_title(title)
        axes.set_xlabel("workers in the ring, % of the pool")
        axes.set_xticks(shares)
        _error_axis(axes)
    panels[0].plot([], [], color=GREY, linestyle="--", linewidth=1, label="promised: 1 / trust")
    panels[0].set_ylabel("wrong results accepted")
    panels[0].legend(fontsize=9, loc="upper left", ncols=2)
    return figure


def _rules(results: Results) -> Figure:
    titles = (
        "all err 5 % of the time",
        "a fifth always lies",
        "a fifth lies once trusted alone",
        "a fifth lies when sure to win",
    )
    figure, panels = plt.subplots(2, 2, figsize=(10, 8), sharex=True, sharey=True, layout="constrained")
    for axes, faults, title in zip(panels.flat, s.COMPARED, titles, strict=True):
        _family(axes, results, "Proof-of-Contribution, trust", BLUE, "o-", s.of_poco(faults))
        _family(axes, results, "majority voting, votes", ORANGE, "s-", s.of_voting(faults))
        _family(axes, results, "BOINC adaptive, quorum/threshold", GREEN, "^", s.of_adaptive(faults))
        axes.set_title(title)
        _error_axis(axes)
        axes.set_xlim(0.7, 6)
    for axes in panels[-1]:
        axes.set_xlabel("computations for each task")
    for axes in panels[:, 0]:
        axes.set_ylabel("wrong results accepted")
    panels[0, 0].legend(fontsize=9, loc="upper right")
    return figure


def _family(
    axes: Axes, results: Results, label: str, colour: str, line: str, members: Sequence[tuple[str, Scenario]]
) -> None:
    costs = [results.replicas(scenario) for _, scenario in members]
    rates = [results.error(scenario) for _, scenario in members]
    _with_intervals(axes, costs, rates, colour, line, label)
    # Adaptive replication's few settings lie close together: their names go to all sides.
    offsets = [(-16, -12), (-4, -12), (-8, 6), (6, -2)] if colour == GREEN else [(4, 4)] * len(members)
    for (name, _), cost, rate, offset in zip(members, costs, rates, offsets, strict=True):
        place = (cost, max(rate.value, FLOOR))
        axes.annotate(name, place, xytext=offset, textcoords="offset points", color=colour, fontsize=8)
