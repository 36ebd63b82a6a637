"""Whether the pool can go on selling: what the owner has free in the hub, against what the next deals would lock.

Each deal locks a part of the pool's price from the owner's free stake, so an owner who runs out of it sells nothing,
and learns it from refused matches alone. The chain is asked when deals were made, and while there is too little.
"""

from __future__ import annotations

from functools import partial

import msgspec

from pyiexec.chain.heads import HeadFeed
from pyiexec.chain.hub import Account, Hub
from pyiexec.foundation.clock import Clock
from pyiexec.foundation.database import Database
from pyiexec.foundation.logs import get_logger
from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.primitives import Address
from pyiexec.scheduler.engine import Engine
from pyiexec.scheduler.store import newest_facts

log = get_logger(__name__)

#: Between two readings of the chain, however much happens.
PAUSE_SECONDS = 1.0
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
    """Keeps an eye on the owner's stake."""

    def __init__(
        self, *, hub: Hub, owner: Address, engine: Engine, database: Database, feed: HeadFeed, clock: Clock
    ) -> None:
        self._hub = hub
        self._owner = owner
        self._engine = engine
        self._database = database
        self._feed = feed
        self._clock = clock
        self._account: Account | None = None
        self._per_task = 0
        self._warned = False

    @property
    def latest(self) -> Stake | None:
        """As of the last deal, while there is too little of the newest block; None before the first reading."""
        if self._account is None:
            return None
        slots = sum(member.slots for member in self._engine.crew.in_reach())
        needed = stake_needed(slots, self._per_task)
        return Stake(free=self._account.stake, locked=self._account.locked, needed=needed)

    async def run(self) -> None:
        """Read and warn until cancelled."""
        known, priced = -1, False
        async with self._feed.subscribe() as heads:
            while True:
                await heads.newest()
                # Deals lock stake, and their ends only free some: then what was read is too low at worst.
                tasks = self._engine.tally.phases.total()
                asks = tasks != known or self._warned
                try:
                    if asks:
                        self._account = await self._hub.account(self._owner)
                    if tasks != known or not priced:
                        latest = await self._database.read(partial(newest_facts, most=DEALS))
                        self._per_task = max((facts.deal.scheduler_stake for facts in latest), default=0)
                        # The database may be a moment behind the first time.
                        priced = tasks == known
                    known = tasks
                except IexecError as error:
                    log.info("the owner's stake could not be read", reason=str(error))
                self._compare()
                if asks:
                    await self._clock.sleep(PAUSE_SECONDS)

    def _compare(self) -> None:
        stake = self.latest
        if stake is None or bool(stake.short) is self._warned:
            return
        self._warned = bool(stake.short)
        if self._warned:
            log.warning(
                "the owner's free stake is too low to sell a task for every slot: deposit more in the hub",
                account=self._owner,
                free=stake.free,
                needed=stake.needed,
                short=stake.short,
            )
        else:
            log.info("the owner's free stake suffices again", account=self._owner, free=stake.free)
