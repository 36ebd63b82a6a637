"""What a scheduler is busy with, in figures, by the names under which the reference scheduler reports them."""

from __future__ import annotations

import msgspec
from msgspec.structs import asdict

from pyiexec.chain.heads import Head
from pyiexec.scheduler.crew import Crew
from pyiexec.scheduler.stakes import Stake
from pyiexec.scheduler.tally import Tally
from pyiexec.scheduler.views import STATUSES


class BlockFigure(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The newest block seen; its timestamp in seconds of chain time."""

    block_number: int
    block_hash: str
    block_timestamp: int


class StakeFigure(msgspec.Struct, frozen=True, kw_only=True):
    """The owner's account in the hub, nRLC: free, locked, needed for the next deals, and what is missing of that."""

    free: int
    locked: int
    needed: int
    short: int


class Figures(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Workers in reach and tasks of this scheduler.

    A worker's processor is what it computes one task on at a time, a slot; a GPU is busy while a task has it.

    Attributes:
        current_task_statuses_count: tasks by where they stand, finished ones included.
        deal_events_count: notices of new deals seen since the start.
        deals_count: deals ever made with the pool.
        latest_block_number_with_deal: 0 before the first deal.
        stake: as of the last deal; null until it was read.
    """

    alive_workers: int
    alive_computing_cpu: int
    alive_registered_cpu: int
    alive_computing_gpu: int
    alive_registered_gpu: int
    alive_available_cpu: int
    alive_total_cpu: int
    alive_available_gpu: int
    alive_total_gpu: int
    current_task_statuses_count: dict[str, int]
    latest_block_metric: BlockFigure | None
    deal_events_count: int
    deals_count: int
    replay_deals_count: int
    latest_block_number_with_deal: int
    stake: StakeFigure | None


def figures(crew: Crew, tally: Tally, newest: Head | None, stake: Stake | None) -> Figures:
    """The figures of now."""
    members = list(crew.in_reach())
    slots = sum(member.slots for member in members)
    busy = sum(len(member.computing) for member in members)
    gpus, busy_gpus = sum(member.lent.gpus for member in members), sum(member.used.gpus for member in members)
    block = None
    if newest is not None:
        block = BlockFigure(block_number=newest.number, block_hash=newest.hash, block_timestamp=newest.timestamp)
    return Figures(
        alive_workers=len(members),
        alive_computing_cpu=busy,
        alive_registered_cpu=slots,
        alive_computing_gpu=busy_gpus,
        alive_registered_gpu=gpus,
        alive_available_cpu=max(slots - busy, 0),
        alive_total_cpu=slots,
        alive_available_gpu=max(gpus - busy_gpus, 0),
        alive_total_gpu=gpus,
        current_task_statuses_count={statuses[-1]: tally.phases[phase] for phase, statuses in STATUSES.items()},
        latest_block_metric=block,
        deal_events_count=tally.notices,
        deals_count=tally.deals,
        # Nothing is replayed beside the follower, which repeats itself what it has missed.
        replay_deals_count=0,
        latest_block_number_with_deal=tally.newest_deal_block,
        stake=None if stake is None else StakeFigure(**asdict(stake), short=stake.short),
    )
