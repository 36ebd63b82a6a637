"""What is measured: rules, faults, sizes."""

from __future__ import annotations

from dataclasses import dataclass, field

from studies.trust.adaptive import AdaptiveReplication
from studies.trust.faults import Faults, Mistakes, Ring
from studies.trust.poco import ProofOfContribution
from studies.trust.pool import Pool, Rule, Size, Tally
from studies.trust.voting import MajorityVoting

SIZE = Size()
#: Pools for each point.
POOLS = 12

LEVELS = (1, 3, 10, 30, 100, 300, 1000)
ERRORS = (0.01, 0.05, 0.1, 0.2)
#: Of one pool that serves them all.
MIXED = (1, 3, 10, 100, 1000)
#: A pool's life, of which each slice is a quarter.
WHOLE, YOUNG, SETTLED = slice(0, 4), slice(0, 1), slice(2, 4)
#: Levels at which rings of every size are let loose.
RING_LEVELS = (10, 100, 1000)
RINGS = (2, 5, 10, 15, 20)
#: Workers of a pool that do not mean well, where rules are compared.
FIFTH = SIZE.workers // 5
#: How often those err that do.
SLIPS = 0.01

EVEN = Faults(0.05)
LIARS = Faults(SLIPS, ring=Ring.ALWAYS, members=FIFTH)
FARMERS = Faults(SLIPS, ring=Ring.FARMING, members=FIFTH)
SLY = Faults(SLIPS, ring=Ring.SURE, members=FIFTH)
COMPARED = (EVEN, LIARS, FARMERS, SLY)

MAJORITIES = (1, 2, 3, 4, 5)
#: Quorum and threshold; the first is what BOINC's pages and sources say.
ADAPTIVE = ((2, 10), (2, 40), (3, 10), (5, 10))
#: Chance that a run of an application differs from all others.
WHIMS = (0.1, 0.3, 0.5, 0.7)


@dataclass(frozen=True)
class Scenario:
    """One point of the study.

    Attributes:
        rule: its kind and constants.
        faults: of the workers.
        pools: how many are followed.
    """

    rule: tuple[str | int, ...]
    faults: Faults
    pools: int = POOLS
    size: Size = field(default=SIZE)

    @property
    def name(self) -> str:
        """Unique in the study, and part of its seeds."""
        of_rule = " ".join(str(part) for part in self.rule)
        faults = self.faults
        ring = f"; {faults.members} {faults.ring.value}" if faults.members else ""
        return f"{of_rule}; {faults.error:g} {faults.mistakes.value}{ring}"

    def run(self, seed: int, pool: int) -> dict[int, list[Tally]]:
        """Follow one of the pools."""
        return Pool(self._rule(), self.faults, self.size, f"{seed} {self.name} {pool}").serve()

    def _rule(self) -> Rule:
        kind, *constants = self.rule
        numbers = [int(constant) for constant in constants]
        match kind:
            case "poco":
                return ProofOfContribution(*numbers)
            case "voting":
                return MajorityVoting(*numbers)
            case _:
                return AdaptiveReplication(*numbers)


def poco(level: int, faults: Faults) -> Scenario:
    """Proof-of-Contribution where every task asks for one trust."""
    return Scenario(("poco", level), faults)


def voting(needed: int, faults: Faults) -> Scenario:
    """Plain majority voting."""
    return Scenario(("voting", needed), faults)


def adaptive(quorum: int, threshold: int, faults: Faults) -> Scenario:
    """BOINC's adaptive replication."""
    return Scenario(("adaptive", quorum, threshold), faults)


def of_poco(faults: Faults) -> list[tuple[str, Scenario]]:
    """Every level above the lowest, which validates nothing; each with the constant that tells it from the others."""
    return [(f"{level}", poco(level, faults)) for level in LEVELS if level > 1]


def of_voting(faults: Faults) -> list[tuple[str, Scenario]]:
    """Every majority."""
    return [(f"{needed}", voting(needed, faults)) for needed in MAJORITIES]


def of_adaptive(faults: Faults) -> list[tuple[str, Scenario]]:
    """Adaptive replication as published, and with other constants."""
    return [(f"{quorum}/{threshold}", adaptive(quorum, threshold, faults)) for quorum, threshold in ADAPTIVE]


def ring(kind: Ring, members: int) -> Faults:
    """A ring among workers that seldom err."""
    return Faults(SLIPS, ring=kind, members=members)


def mixed(error: float) -> Scenario:
    """Tasks of several levels in one pool; more pools, so that each level gets enough of them."""
    return Scenario(("poco", *MIXED), Faults(error), pools=3 * POOLS)


def whim(chance: float) -> Scenario:
    """An application whose runs differ now and then."""
    return Scenario(("poco", 10), Faults(chance, Mistakes.DISTINCT), size=Size(tasks=400))


def scenarios() -> list[Scenario]:
    """All of them, each once."""
    found = [poco(level, Faults(error)) for error in ERRORS for level in LEVELS]
    found += [
        poco(level, Faults(0.2, mistakes)) for mistakes in (Mistakes.FEW, Mistakes.DISTINCT) for level in RING_LEVELS
    ]
    found += [mixed(0.2)]
    found += [
        poco(level, ring(kind, members))
        for kind in (Ring.ALWAYS, Ring.FARMING, Ring.SURE)
        for members in RINGS
        for level in RING_LEVELS
    ]
    for faults in COMPARED:
        found += [scenario for _, scenario in (*of_poco(faults), *of_voting(faults), *of_adaptive(faults))]
    found += [whim(chance) for chance in WHIMS]
    return list({scenario.name: scenario for scenario in found}.values())
