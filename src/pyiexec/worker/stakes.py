"""Whether the worker's free stake covers the votes it is about to cast.

A vote locks stake, and one that the account cannot cover is refused: the work is done for nothing. The chain is asked
only when the worker was given another task that locks any, and while there is too little.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from pyiexec.chain.hub import Hub
from pyiexec.chain.reading import Reading, read_each
from pyiexec.foundation.clock import Clock
from pyiexec.foundation.logs import get_logger
from pyiexec.protocol.deals import Deal
from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.primitives import Address, DealId
from pyiexec.protocol.replicates import counts_as_pending
from pyiexec.protocol.tasks import ContributionStatus
from pyiexec.worker.journal import Journal
from pyiexec.worker.record import TaskRecord
from pyiexec.worker.status import Cover
from pyiexec.worker.watch import Watch

log = get_logger(__name__)

#: Between two readings, however much happens.
PAUSE_SECONDS = 5.0


def votes_to_come(records: Iterable[TaskRecord]) -> list[TaskRecord]:
    """Tasks whose vote will lock stake; who finalizes with its vote locks none."""
    return [r for r in records if r.mode == "contribute" and counts_as_pending(r.status) and r.stopping is None]


class StakeWatch:
    """Keeps an eye on one worker's stake.

    Attributes:
        latest: as last read; None before a task needed any.
    """

    def __init__(self, hub: Hub, worker: Address, journal: Journal, watch: Watch, clock: Clock) -> None:
        self._hub = hub
        self._worker = worker
        self._journal = journal
        self._watch = watch
        self._clock = clock
        self.latest: Cover | None = None

    async def run(self) -> None:
        """Read and warn until cancelled."""
        seen: set[str] = set()
        while True:
            await self._watch.next_head()
            records = votes_to_come(self._journal.open_records())
            tasks = {str(record.task_id) for record in records}
            short = self.latest is not None and self.latest.short > 0
            if tasks <= seen and not short:
                seen = tasks
                continue
            try:
                await self._look(records)
                seen = tasks
            except IexecError as error:
                log.info("the stake could not be read", reason=str(error))
            await self._clock.sleep(PAUSE_SECONDS)

    async def _look(self, records: Sequence[TaskRecord]) -> None:
        deal_ids: list[DealId] = [record.authorization.deal_id for record in records]
        distinct = sorted(set(deal_ids))
        readings: list[Reading[Any]] = [self._hub.account(self._worker)]
        readings += [self._hub.contribution(record.task_id, self._worker) for record in records]
        readings += [self._hub.find_deal(deal_id) for deal_id in distinct]
        account, *found = await read_each(readings)
        deals: list[Deal] = found[len(records) :]
        stakes = {deal_id: deal.worker_stake for deal_id, deal in zip(distinct, deals, strict=True)}
        # What is on chain already has locked its stake, also before the record says so.
        missing = [
            stakes[deal_id]
            for deal_id, contribution in zip(deal_ids, found, strict=False)
            if contribution.status is ContributionStatus.UNSET
        ]
        before = self.latest
        self.latest = Cover(free=account.stake, needed=sum(missing), tasks=len(missing))
        if self.latest.short and not (before and before.short):
            log.warning(
                "the free stake does not cover the votes to come: deposit more in the hub",
                account=self._worker,
                free=self.latest.free,
                needed=self.latest.needed,
                short=self.latest.short,
                tasks=self.latest.tasks,
            )
        elif before and before.short and not self.latest.short:
            log.info("the free stake suffices again", account=self._worker, free=self.latest.free)
