"""Deals as the chain records them. Prices and stakes are nRLC, times seconds of chain time.

Source: PoCo `matchOrders` and `viewDeal`, `matchOrdersBoost` and `viewDealBoost`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from pyiexec.protocol import ids, money
from pyiexec.protocol.primitives import NULL_ADDRESS, NULL_BYTES32, Address, Bytes32, DealId, TaskId, to_hex


class Resource(msgspec.Struct, frozen=True):
    """What a deal recorded of an app, dataset or workerpool: the contract, its owner at the match, its price."""

    pointer: Address = NULL_ADDRESS
    owner: Address = NULL_ADDRESS
    price: int = 0


class Deal(msgspec.Struct, frozen=True, kw_only=True):
    """A deal as `viewDeal` gives it; all zero when the hub does not know it.

    The bag of tasks holds `bot_size` tasks with indexes from `bot_first`. `worker_stake` is what each contribution
    locks, `scheduler_reward_ratio` a percentage, `sponsor` whoever paid.
    """

    app: Resource = Resource()
    dataset: Resource = Resource()
    workerpool: Resource = Resource()
    trust: int = 0
    category: int = 0
    tag: Bytes32 = NULL_BYTES32
    requester: Address = NULL_ADDRESS
    beneficiary: Address = NULL_ADDRESS
    callback: Address = NULL_ADDRESS
    params: str = ""
    start_time: int = 0
    bot_first: int = 0
    bot_size: int = 0
    worker_stake: int = 0
    scheduler_reward_ratio: int = 0
    sponsor: Address = NULL_ADDRESS

    @classmethod
    def from_abi(cls, values: Sequence[Any]) -> Deal:
        """From the decoded tuple of `viewDeal`."""
        app, dataset, workerpool, *rest = values
        resources = (Resource(*app), Resource(*dataset), Resource(*workerpool))
        return cls(**dict(zip(cls.__struct_fields__, (*resources, *rest), strict=True)))

    @property
    def exists(self) -> bool:
        """Whether the hub knows the deal."""
        return self.bot_size > 0

    @property
    def has_dataset(self) -> bool:
        """Whether the tasks read a dataset."""
        return self.dataset.pointer != NULL_ADDRESS

    @property
    def has_callback(self) -> bool:
        """Whether a contract is told of each result."""
        return self.callback != NULL_ADDRESS

    @property
    def task_cost(self) -> int:
        """What the sponsor pays for one task."""
        return money.task_cost(self.app.price, self.dataset.price, self.workerpool.price)

    @property
    def scheduler_stake(self) -> int:
        """What the scheduler locked for one task."""
        return money.scheduler_stake(self.workerpool.price)

    @property
    def indexes(self) -> range:
        """The numbers of the deal's tasks."""
        return range(self.bot_first, self.bot_first + self.bot_size)

    def task_ids(self, deal_id: DealId) -> list[TaskId]:
        """The deal's tasks in the order of their indexes; `deal_id` is the name under which it was read."""
        return [ids.task_id(deal_id, index) for index in self.indexes]


class BoostDeal(msgspec.Struct, frozen=True, kw_only=True):
    """A deal whose tasks take one transaction each, as `viewDealBoost` gives it; all zero when the hub knows none.

    The bag of tasks holds `bot_size` tasks with indexes from 0; `bot_first` says how much of the request order was
    consumed before. `worker_reward` is the worker's part of the workerpool price, `deadline` the second from which a
    task can only be claimed, `short_tag` the lowest three bytes of the tag as hexadecimal text.
    """

    app_owner: Address = NULL_ADDRESS
    app_price: int = 0
    dataset_owner: Address = NULL_ADDRESS
    dataset_price: int = 0
    workerpool_owner: Address = NULL_ADDRESS
    workerpool_price: int = 0
    requester: Address = NULL_ADDRESS
    worker_reward: int = 0
    callback: Address = NULL_ADDRESS
    deadline: int = 0
    bot_first: int = 0
    bot_size: int = 0
    short_tag: str = "0x000000"
    sponsor: Address = NULL_ADDRESS

    @classmethod
    def from_abi(cls, values: Sequence[Any]) -> BoostDeal:
        """From the decoded tuple of `viewDealBoost`."""
        fields = dict(zip(cls.__struct_fields__, values, strict=True))
        return cls(**fields | {"short_tag": to_hex(fields["short_tag"])})

    @property
    def exists(self) -> bool:
        """Whether the hub knows the deal."""
        return self.bot_size > 0

    @property
    def task_cost(self) -> int:
        """What the sponsor pays for one task."""
        return money.task_cost(self.app_price, self.dataset_price, self.workerpool_price)
