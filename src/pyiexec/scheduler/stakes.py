"""Whether the pool can go on selling: what the owner has free in the hub, against what the next deals would lock.

Each deal locks a part of the pool's price from the owner's free stake, so an owner who runs out of it sells nothing,
and learns it from refused matches alone. The chain is asked when deals were made or ended, and while there is too
little.
"""

from __future__ import annotations

from functools import partial

import msgspec

from pyiexec.chain.heads import HeadFeed
from pyiexec.chain.hub import Hub
from pyiexec.foundation.clock import Clock
from pyiexec.foundation.database import Database
from pyiexec.foundation.logs import get_logger
from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.primitives import Address
from pyiexec.protocol.workflow import Phase
from pyiexec.scheduler.engine import Engine
from pyiexec.scheduler.store import newest_facts

log = get_logger(__name__)

#: Between two readings, however much happens.
PAUSE_SECONDS = 5.0
#: The last deals, from whose prices those of the next are taken.
DEALS = 16


class Stake(msgspec.Struct, frozen=True, kw_only=True):
    """The owner's account in the hub, nRLC.

    Attributes:
        free: what further deals can lock.
        locked: by deals under way.
        needed: what deals as dear as the dearest of the last ones would lock to give every slot of the pool a task.
    """

    free: int
    locked: int
    needed: int

    @property
    def short(self) -> int:
        """How much too little is free."""
        return max(self.needed - self.free, 0)


def stake_needed(slots: int, per_task: int) -> int:
    """What the next deals lock, nRLC: a task for each of the pool's slots, and for one at least.

    Args:
        slots: of the workers in reach.
        per_task: what a task locks.
    """
    return max(slots, 1) * per_task


class Stakes:
    """Keeps an eye on the owner's stake.

    Attributes:
        latest: as last read; None before the first reading.
    """

    def __init__(
        self, *, hub: Hub, owner: Address, engine: Engine, database: Database, feed: HeadFeed, clock: Clock
    ) -> None:
        self._hub = hub
        self._owner = owner
        self._engine = engine
        self._database = database
        self._feed = feed
        self._clock = clock
        self.latest: Stake | None = None

    async def run(self) -> None:
        """Read and warn until cancelled."""
        seen: tuple[int, ...] = ()
        calm = False
        async with self._feed.subscribe() as heads:
            while True:
                await heads.newest()
                now = self._situation()
                if now == seen and calm and not (self.latest and self.latest.short):
                    continue
                try:
                    await self._look()
                    # A change is looked at twice: the database may be a moment behind the first time.
                    seen, calm = now, now == seen
                except IexecError as error:
                    log.info("the owner's stake could not be read", reason=str(error))
                await self._clock.sleep(PAUSE_SECONDS)

    def _situation(self) -> tuple[int, ...]:
        """What changes whenever stake may have been locked or freed, or more of it be needed."""
        tally = self._engine.tally
        return tally.phases.total(), tally.phases[Phase.COMPLETED], tally.phases[Phase.FAILED], self._slots()

    def _slots(self) -> int:
        return sum(member.slots for member in self._engine.crew.in_reach())

    async def _look(self) -> None:
        account = await self._hub.account(self._owner)
        latest = await self._database.read(partial(newest_facts, most=DEALS))
        needed = stake_needed(self._slots(), max((facts.deal.scheduler_stake for facts in latest), default=0))
        before, self.latest = self.latest, Stake(free=account.stake, locked=account.locked, needed=needed)
        short = self.latest.short
        if short and not (before and before.short):
            log.warning(
                "the owner's free stake is too low to sell a task for every slot: deposit more in the hub",
                account=self._owner,
                free=self.latest.free,
                needed=needed,
                short=short,
            )
        elif not short and before and before.short:
            log.info("the owner's free stake suffices again", account=self._owner, free=self.latest.free)
