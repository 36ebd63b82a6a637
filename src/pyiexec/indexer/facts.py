"""What the index asks the chain because no log says it, read from the answers.

Addresses are lower-case, byte strings hexadecimal text, amounts nRLC, times seconds.

Source: views of PoCo 6.2, JSON-RPC transactions.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from pyiexec.indexer.words import Words


class TransactionFact(NamedTuple):
    """A transaction; `to` is None when it made a contract, `data` is what it was called with."""

    sender: str
    to: str | None
    value: int
    gas: int
    gas_price: int
    data: str


class ResourceFact(NamedTuple):
    """What a deal recorded of an asset."""

    pointer: str
    owner: str
    price: int


class DealFact(NamedTuple):
    """A deal, as far as the index keeps it.

    A Boost deal records neither when it was made nor the ratio of its pool: they are None.
    """

    app: ResourceFact
    dataset: ResourceFact
    workerpool: ResourceFact
    trust: int
    category: int
    tag: str
    requester: str
    beneficiary: str
    callback: str
    params: str
    start_time: int | None
    bot_first: int
    bot_size: int
    worker_stake: int
    scheduler_reward_ratio: int | None
    sponsor: str


class TaskFact(NamedTuple):
    """What never changes of a task, and `results_callback`, which does not once there is one."""

    deal: str
    number: int
    contribution_deadline: int
    final_deadline: int
    results_callback: str


class ContributionFact(NamedTuple):
    """What a worker committed to, besides the hash that the log tells."""

    seal: str
    challenge: str


class AppFact(NamedTuple):
    """A registered application."""

    owner: str
    name: str
    type: str
    multiaddr: str
    checksum: str
    mrenclave: str


class DatasetFact(NamedTuple):
    """A registered dataset."""

    owner: str
    name: str
    multiaddr: str
    checksum: str


class WorkerpoolFact(NamedTuple):
    """A registered workerpool, with the ratios it had when it was first seen."""

    owner: str
    description: str
    worker_stake_ratio: int
    scheduler_reward_ratio: int


class CategoryFact(NamedTuple):
    """A category of tasks."""

    name: str
    description: str
    work_clock_time_ref: int


class Facts(msgspec.Struct):
    """Everything beyond the logs that a batch of events needs.

    Attributes:
        timestamps: of blocks by hash.
        transactions: by hash.
        deals: by id; a deal the hub does not know is missing.
        tasks: by id, those that were initialized or finalized.
        contributions: by task and worker.
        scores: new reputation by id of the event that changed it.
        apps: by address; what does not answer as an app is missing. So are `datasets` and `workerpools`.
        categories: those of deals that were not announced by an event.
    """

    timestamps: dict[str, int] = {}
    transactions: dict[str, TransactionFact] = {}
    deals: dict[str, DealFact] = {}
    tasks: dict[str, TaskFact] = {}
    contributions: dict[tuple[str, str], ContributionFact] = {}
    scores: dict[str, int] = {}
    apps: dict[str, AppFact] = {}
    datasets: dict[str, DatasetFact] = {}
    workerpools: dict[str, WorkerpoolFact] = {}
    categories: dict[int, CategoryFact] = {}


def read_transaction(raw: Mapping[str, Any]) -> TransactionFact:
    """From a JSON-RPC transaction."""
    to = raw.get("to")
    gas_price = raw.get("gasPrice") or raw.get("maxFeePerGas") or "0x0"
    return TransactionFact(
        raw["from"].lower(),
        to.lower() if to else None,
        int(raw["value"], 16),
        int(raw["gas"], 16),
        int(gas_price, 16),
        raw["input"],
    )


def _resource(words: Words, first: int) -> ResourceFact:
    return ResourceFact(words.address(first), words.address(first + 1), words.uint(first + 2))


def read_deal(answer: str) -> DealFact | None:
    """From a ``viewDeal`` answer; None when there is no such deal."""
    words = Words(answer).follow(0)
    if not words.uint(18):
        return None
    return DealFact(
        app=_resource(words, 0),
        dataset=_resource(words, 3),
        workerpool=_resource(words, 6),
        trust=words.uint(9),
        category=words.uint(10),
        tag=words.bytes32(11),
        requester=words.address(12),
        beneficiary=words.address(13),
        callback=words.address(14),
        params=words.text(15),
        start_time=words.uint(16),
        bot_first=words.uint(17),
        bot_size=words.uint(18),
        worker_stake=words.uint(19),
        scheduler_reward_ratio=words.uint(20),
        sponsor=words.address(21),
    )


def read_boost_deal(answer: str, notice: Mapping[str, Any]) -> DealFact | None:
    """From a ``viewDealBoost`` answer and the ``SchedulerNoticeBoost`` that says the rest; None when there is none."""
    words = Words(answer)
    if not words.uint(11):
        return None
    return DealFact(
        app=ResourceFact(notice["app"], words.address(0), words.uint(1)),
        dataset=ResourceFact(notice["dataset"], words.address(2), words.uint(3)),
        workerpool=ResourceFact(notice["workerpool"], words.address(4), words.uint(5)),
        # Nobody votes on a Boost task.
        trust=1,
        category=notice["category"],
        tag=notice["tag"],
        requester=words.address(6),
        beneficiary=notice["beneficiary"],
        callback=words.address(8),
        params=notice["params"],
        start_time=None,
        bot_first=words.uint(10),
        bot_size=words.uint(11),
        worker_stake=0,
        scheduler_reward_ratio=None,
        sponsor=words.address(13),
    )


def read_task(answer: str) -> TaskFact | None:
    """From a ``viewTask`` answer; None when nobody initialized it."""
    words = Words(answer).follow(0)
    if not int(words.bytes32(1), 16):
        return None
    return TaskFact(
        deal=words.bytes32(1),
        number=words.uint(2),
        contribution_deadline=words.uint(4),
        final_deadline=words.uint(6),
        results_callback=words.bytes(14),
    )


def read_contribution(answer: str) -> ContributionFact | None:
    """From a ``viewContribution`` answer; None when there is none."""
    words = Words(answer)
    return ContributionFact(words.bytes32(2), words.address(3)) if words.uint(0) else None


def read_score(answer: str) -> int:
    """From a ``viewScore`` answer."""
    return Words(answer).uint(0)


def read_app(answer: str) -> AppFact:
    """From a ``viewApp`` answer."""
    words = Words(answer).follow(0)
    return AppFact(words.address(0), words.text(1), words.text(2), words.bytes(3), words.bytes32(4), words.bytes(5))


def read_dataset(answer: str) -> DatasetFact:
    """From a ``viewDataset`` answer."""
    words = Words(answer).follow(0)
    return DatasetFact(words.address(0), words.text(1), words.bytes(2), words.bytes32(3))


def read_workerpool(answer: str) -> WorkerpoolFact:
    """From a ``viewWorkerpool`` answer."""
    words = Words(answer).follow(0)
    return WorkerpoolFact(words.address(0), words.text(1), words.uint(2), words.uint(3))


def read_category(answer: str) -> CategoryFact:
    """From a ``viewCategory`` answer."""
    words = Words(answer).follow(0)
    return CategoryFact(words.text(0), words.text(1), words.uint(2))
