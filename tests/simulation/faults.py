"""What goes wrong, and when: all of it drawn from the seed."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.simulation.machine import Machine

if TYPE_CHECKING:
    from tests.simulation.network import Network


@dataclass(frozen=True)
class Weather:
    """How often things go wrong that are nobody's fault. Means, in seconds; chances, of each frame.

    Attributes:
        cut_longest: seconds that a partition lasts at most: less than the winners of a consensus have to reveal.
    """

    loss: float = 0.0002
    duplication: float = 0.002
    reorganisation_every: float = 60.0
    cut_every: float = 120.0
    cut_longest: float = 30.0
    scheduler_crash_every: float = 300.0
    scheduler_away: float = 8.0


#: More of everything, for short runs.
STORM = Weather(loss=0.002, duplication=0.01, reorganisation_every=25.0, cut_every=30.0, scheduler_crash_every=40.0)


class Faults:
    """Lets things go wrong in a network."""

    def __init__(self, network: Network, weather: Weather) -> None:
        self._network = network
        self._agenda = network.agenda
        self._weather = weather
        self._frames = self._agenda.chance("frames")
        self._chance: random.Random = self._agenda.chance("faults")

    def loses(self) -> bool:
        """Whether the next frame is lost."""
        return self._frames.random() < self._weather.loss

    def doubles(self) -> bool:
        """Whether the next frame arrives twice."""
        return self._frames.random() < self._weather.duplication

    def start(self) -> None:
        """Begin."""
        weather, network = self._weather, self._network
        self._now_and_then(weather.reorganisation_every, lambda: network.chain.reorganise(self._chance.randint(1, 4)))
        self._now_and_then(weather.cut_every, self._cut)
        self._now_and_then(weather.scheduler_crash_every, self._kill_scheduler)
        for machine in network.machines.values():
            self._wear(machine)

    def _now_and_then(self, mean: float, happen: Callable[[], None]) -> None:
        def strike() -> None:
            if self._network.calm:
                return
            happen()
            self._agenda.after(self._chance.expovariate(1 / mean), strike)

        self._agenda.after(self._chance.expovariate(1 / mean), strike)

    def _cut(self) -> None:
        """Some machines, now and then the scheduler's among them, are out of reach of all others for a while."""
        network, chance = self._network, self._chance
        side = chance.sample(list(network.machines.values()), k=max(1, len(network.machines) // 20))
        with_pool = chance.random() < 0.2
        self._agenda.note("partition", len(side), with_pool)
        for machine in side:
            machine.cut = True
        if with_pool:
            network.pool.cut = True

        def heal() -> None:
            self._agenda.note("healed", len(side))
            for machine in side:
                machine.heal()
            network.pool.cut = False if with_pool else network.pool.cut

        # The channel's silence is noticed by those on both sides.
        for machine in side:
            network.silence(machine)
        self._agenda.after(chance.uniform(1.0, self._weather.cut_longest), heal)

    def _kill_scheduler(self) -> None:
        pool = self._network.pool
        if not pool.up:
            return
        pool.crash(self._chance.choice((None, "before", "after")))

    def revive_scheduler(self) -> None:
        """Plan when a dead scheduler is started again."""
        away = self._chance.uniform(0.2, self._weather.scheduler_away)
        self._agenda.after(away, self._network.pool.start)

    def _wear(self, machine: Machine) -> None:
        """Let a machine crash now and then."""

        def crash() -> None:
            if self._network.calm:
                return
            if machine.up:
                machine.crash()
                away = machine.character.away
                if away is None:
                    machine.departed = True
                    return
                self._agenda.after(self._chance.uniform(0.5, away), machine.start)
            self._agenda.after(self._chance.expovariate(1 / machine.character.crash_every), crash)

        self._agenda.after(self._chance.expovariate(1 / machine.character.crash_every), crash)
