"""The events the index is made of, read from raw logs.

Source: event list of PoCo 6.2; ids of events are those of the published index, ``<block>-<log>``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import msgspec

from pyiexec.chain.follower import Log
from pyiexec.chain.hub import EVENTS
from pyiexec.chain.registries import POLICY_UPDATE, TRANSFER
from pyiexec.foundation.logs import get_logger
from pyiexec.indexer.words import Words, topic_address
from pyiexec.protocol.errors import IexecError

log = get_logger(__name__)

Fields = dict[str, Any]
_Reader = Callable[[list[str], Words], Fields]


class Event(NamedTuple):
    """One event.

    Attributes:
        name: of the event; of a registry's ``Transfer`` it is the kind of asset and ``Transfer``, as in `AppTransfer`.
        address: of the emitter, lower-case.
        fields: by the names in the contracts; addresses lower-case, byte strings hexadecimal text, numbers integers.
    """

    name: str
    address: str
    number: int
    log_index: int
    block_hash: str
    transaction: str
    fields: Fields

    @property
    def id(self) -> str:
        """Its id in the index."""
        return f"{self.number}-{self.log_index}"


class Sources(msgspec.Struct, frozen=True):
    """The contracts listened to, lower-case."""

    hub: str
    app_registry: str
    dataset_registry: str
    workerpool_registry: str

    @property
    def registries(self) -> Mapping[str, str]:
        """Name of the transfer event by registry."""
        return {
            self.app_registry: "AppTransfer",
            self.dataset_registry: "DatasetTransfer",
            self.workerpool_registry: "WorkerpoolTransfer",
        }


def _task(topics: list[str], _: Words) -> Fields:
    return {"taskid": topics[1]}


def _task_worker(topics: list[str], _: Words) -> Fields:
    return {"worker": topic_address(topics[1]), "taskid": topics[2]}


def _owner_amount(_: list[str], data: Words) -> Fields:
    return {"owner": data.address(0), "amount": data.uint(1)}


def _owner_amount_ref(_: list[str], data: Words) -> Fields:
    return {"owner": data.address(0), "amount": data.uint(1), "ref": data.bytes32(2)}


#: How the hub's events are read.
_HUB: Mapping[str, _Reader] = {
    "Transfer": lambda topics, data: {
        "from": topic_address(topics[1]),
        "to": topic_address(topics[2]),
        "value": data.uint(0),
    },
    "Lock": _owner_amount,
    "Unlock": _owner_amount,
    "Reward": _owner_amount_ref,
    "Seize": _owner_amount_ref,
    "CreateCategory": lambda _, data: {
        "catid": data.uint(0),
        "name": data.text(1),
        "description": data.text(2),
        "workClockTimeRef": data.uint(3),
    },
    "OrdersMatched": lambda _, data: {
        "dealid": data.bytes32(0),
        "appHash": data.bytes32(1),
        "datasetHash": data.bytes32(2),
        "workerpoolHash": data.bytes32(3),
        "requestHash": data.bytes32(4),
        "volume": data.uint(5),
    },
    "SchedulerNotice": lambda topics, data: {"workerpool": topic_address(topics[1]), "dealid": data.bytes32(0)},
    "SchedulerNoticeBoost": lambda topics, data: {
        "workerpool": topic_address(topics[1]),
        "dealid": data.bytes32(0),
        "app": data.address(1),
        "dataset": data.address(2),
        "category": data.uint(3),
        "tag": data.bytes32(4),
        "params": data.text(5),
        "beneficiary": data.address(6),
    },
    "ResultPushedBoost": lambda _, data: {
        "dealid": data.bytes32(0),
        "index": data.uint(1),
        "results": data.bytes(2),
    },
    "TaskInitialize": lambda topics, _: {"taskid": topics[1], "workerpool": topic_address(topics[2])},
    "TaskContribute": lambda topics, data: {
        "taskid": topics[1],
        "worker": topic_address(topics[2]),
        "hash": data.bytes32(0),
    },
    "TaskConsensus": lambda topics, data: {"taskid": topics[1], "consensus": data.bytes32(0)},
    "TaskReveal": lambda topics, data: {
        "taskid": topics[1],
        "worker": topic_address(topics[2]),
        "digest": data.bytes32(0),
    },
    "TaskReopen": _task,
    "TaskFinalize": lambda topics, data: {"taskid": topics[1], "results": data.bytes(0)},
    "TaskClaimed": _task,
    "AccurateContribution": _task_worker,
    "FaultyContribution": _task_worker,
}

_HUB_BY_TOPIC = {EVENTS[name].topic: (name, reader) for name, reader in _HUB.items()}
#: First topics of what hub and registries are listened to for; the registries' ``Transfer`` has that of the hub's.
TOPICS = tuple(_HUB_BY_TOPIC)


def _asset_transfer(topics: list[str], _: Words) -> Fields:
    return {"from": topic_address(topics[1]), "to": topic_address(topics[2]), "asset": topic_address(topics[3])}


def _policy_update(_: list[str], data: Words) -> Fields:
    return {
        "oldWorkerStakeRatio": data.uint(0),
        "newWorkerStakeRatio": data.uint(1),
        "oldSchedulerRewardRatio": data.uint(2),
        "newSchedulerRewardRatio": data.uint(3),
    }


def _kind_of(address: str, topic: str, sources: Sources) -> tuple[str, _Reader] | None:
    if address == sources.hub:
        return _HUB_BY_TOPIC.get(topic)
    if topic == POLICY_UPDATE.topic:
        return "PolicyUpdate", _policy_update
    transfer = sources.registries.get(address)
    return (transfer, _asset_transfer) if transfer and topic == TRANSFER.topic else None


def read_events(logs: Iterable[Log], sources: Sources) -> list[Event]:
    """The events among `logs`, in their order.

    A log that is not of the shape its first topic promises is not an event: anybody may emit a ``PolicyUpdate``.
    """
    events = []
    for raw in logs:
        topics: list[str] = raw["topics"]
        address = raw["address"].lower()
        kind = _kind_of(address, topics[0], sources) if topics else None
        if kind is None:
            continue
        name, reader = kind
        try:
            fields = reader(topics, Words(raw["data"]))
        except (IexecError, IndexError) as error:
            log.warning("a log could not be read", of=name, address=address, reason=str(error))
            continue
        number, index = int(raw["blockNumber"], 16), int(raw["logIndex"], 16)
        events.append(Event(name, address, number, index, raw["blockHash"], raw["transactionHash"], fields))
    return events
