"""What the chain says about a task before it is run, read in as few round trips as can be.

Deals, assets and categories never change once they are there, so they are read once; what may change is read each time,
together with what is missing, in one batch. Only a deal whose app was never met takes a second one.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from pyiexec.chain.hub import Account, Hub
from pyiexec.chain.reading import Reading, read_each
from pyiexec.chain.registries import AppAsset, DatasetAsset
from pyiexec.protocol.authorization import WorkerpoolAuthorization
from pyiexec.protocol.deals import Deal
from pyiexec.protocol.primitives import Address, DealId, TaskId
from pyiexec.protocol.tasks import Contribution, Task

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class Facts:
    """A task and all it depends on.

    Attributes:
        deal: None when the node does not know it (yet).
        category_seconds: the category's unit of time, which an application may run for.
        account: of the worker in the hub, nRLC.
    """

    deal: Deal | None
    app: AppAsset | None
    dataset: DatasetAsset | None
    category_seconds: int
    task: Task
    contribution: Contribution
    account: Account


class _Recent(Generic[K, V]):
    """The last `size` values, by key."""

    def __init__(self, size: int) -> None:
        self._values: OrderedDict[K, V] = OrderedDict()
        self._size = size

    def get(self, key: K) -> V | None:
        value = self._values.get(key)
        if value is not None:
            self._values.move_to_end(key)
        return value

    def put(self, key: K, value: V) -> None:
        self._values[key] = value
        self._values.move_to_end(key)
        if len(self._values) > self._size:
            self._values.popitem(last=False)


class FactReader:
    """Reads facts for one worker."""

    def __init__(self, hub: Hub, worker: Address) -> None:
        self._hub = hub
        self._worker = worker
        self._deals: _Recent[DealId, Deal] = _Recent(1024)
        self._apps: _Recent[Address, AppAsset] = _Recent(1024)
        self._datasets: _Recent[Address, DatasetAsset] = _Recent(1024)
        self._categories: dict[int, int] = {}

    async def read(self, authorization: WorkerpoolAuthorization) -> Facts:
        """Everything about the task of an authorization.

        Raises:
            IexecError: ``CHAIN_UNREACHABLE``, ``APP_UNKNOWN``, ``DATASET_UNKNOWN``, ``CATEGORY_UNKNOWN``.
        """
        hub, task_id, deal_id = self._hub, authorization.task_id, authorization.deal_id
        readings: list[Reading[Any]] = [
            hub.task(task_id),
            hub.contribution(task_id, self._worker),
            hub.account(self._worker),
        ]
        deal = self._deals.get(deal_id)
        if deal is None:
            readings.append(hub.find_deal(deal_id))
        task, contribution, account, *found = await read_each(readings)
        if found:
            deal = found[0]
            if not deal.exists:
                return Facts(None, None, None, 0, task, contribution, account)
            self._deals.put(deal_id, deal)
        assert deal is not None
        await self._read_assets(deal)
        dataset = self._datasets.get(deal.dataset.pointer) if deal.has_dataset else None
        app, seconds = self._apps.get(deal.app.pointer), self._categories[deal.category]
        return Facts(deal, app, dataset, seconds, task, contribution, account)

    async def state(self, task_ids: list[TaskId]) -> list[tuple[Task, Contribution]]:
        """The tasks and this worker's contributions to them, in one round trip."""
        readings: list[Reading[Any]] = []
        for task_id in task_ids:
            readings += (self._hub.task(task_id), self._hub.contribution(task_id, self._worker))
        answers = await read_each(readings)
        return list(zip(answers[::2], answers[1::2], strict=True))

    async def _read_assets(self, deal: Deal) -> None:
        hub, app, dataset = self._hub, deal.app.pointer, deal.dataset.pointer
        missing: list[tuple[Any, Any, Reading[Any]]] = []
        if self._apps.get(app) is None:
            missing.append((self._apps.put, app, hub.app(app)))
        if deal.has_dataset and self._datasets.get(dataset) is None:
            missing.append((self._datasets.put, dataset, hub.dataset(dataset)))
        if deal.category not in self._categories:
            missing.append((self._put_category, deal.category, hub.category(deal.category)))
        answers = await read_each([reading for _, _, reading in missing])
        for (keep, key, _), answer in zip(missing, answers, strict=True):
            keep(key, answer)

    def _put_category(self, number: int, category: Any) -> None:
        self._categories[number] = category.work_clock_time_ref
