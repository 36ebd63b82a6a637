"""Events read word by word are those that the general codec reads."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from eth_abi import abi as eth_abi
from hypothesis import given
from hypothesis import strategies as st

from pyiexec.chain.abi import Event as AbiEvent
from pyiexec.chain.hub import EVENTS, decode_log
from pyiexec.chain.registries import POLICY_UPDATE, TRANSFER
from pyiexec.indexer.events import TOPICS, Sources, read_events
from pyiexec.indexer.facts import read_boost_deal, read_deal, read_task
from pyiexec.indexer.words import Words
from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.primitives import to_hex

HUB, APPS, DATASETS, POOLS, STRANGER = ("0x" + f"{n:02x}" * 20 for n in range(1, 6))
SOURCES = Sources(HUB, APPS, DATASETS, POOLS)
NAMES = [name for name, event in EVENTS.items() if event.topic in TOPICS]

_VALUES = {
    "address": st.binary(min_size=20, max_size=20).map(to_hex),
    "bytes32": st.binary(min_size=32, max_size=32),
    "uint256": st.integers(0, 2**256 - 1),
    "string": st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
    "bytes": st.binary(max_size=100),
}


def emitted(event: AbiEvent, values: list[Any], address: str = HUB) -> dict[str, Any]:
    """The raw log of an event."""
    topics = [event.topic]
    plain: list[tuple[str, Any]] = []
    for parameter, value in zip(event.inputs, values, strict=True):
        if parameter.indexed:
            topics.append(to_hex(eth_abi.encode([parameter.type], [value])))
        else:
            plain.append((parameter.type, value))
    data = to_hex(eth_abi.encode([kind for kind, _ in plain], [value for _, value in plain]))
    return {
        "address": address,
        "topics": topics,
        "data": data,
        "blockNumber": "0x10",
        "logIndex": "0x2",
        "blockHash": "0x" + "aa" * 32,
        "transactionHash": "0x" + "bb" * 32,
    }


def plain(value: Any) -> Any:
    """Without the capitals of checksums, and bytes as text."""
    if isinstance(value, bytes):
        return to_hex(value)
    return value.lower() if isinstance(value, str) and value.startswith("0x") and len(value) == 42 else value


@pytest.mark.parametrize("name", NAMES)
@given(data=st.data())
def test_events_of_the_hub(name: str, data: st.DataObject) -> None:
    event = EVENTS[name]
    raw = emitted(event, [data.draw(_VALUES[parameter.type]) for parameter in event.inputs])
    [found] = read_events([raw], SOURCES)
    decoded = decode_log(raw)
    assert decoded is not None
    assert (found.name, found.id) == (name, "16-2")
    assert list(found.fields.values()) == [plain(value) for value in decoded[1].values()]


def test_the_same_topic_means_something_else_in_a_registry() -> None:
    values = [STRANGER, HUB, int(POOLS, 16)]
    [sold] = read_events([emitted(TRANSFER, values, DATASETS)], SOURCES)
    assert (sold.name, sold.fields) == ("DatasetTransfer", {"from": STRANGER, "to": HUB, "asset": POOLS})
    assert read_events([emitted(TRANSFER, values, STRANGER)], SOURCES) == []


def test_a_policy_update_may_come_from_anybody() -> None:
    [found] = read_events([emitted(POLICY_UPDATE, [1, 2, 3, 4], STRANGER)], SOURCES)
    assert (found.name, found.address, list(found.fields.values())) == ("PolicyUpdate", STRANGER, [1, 2, 3, 4])


@given(
    st.sampled_from([*TOPICS, POLICY_UPDATE.topic]),
    st.lists(st.binary(min_size=32, max_size=32).map(to_hex), max_size=3),
    st.binary(max_size=300).map(to_hex),
    st.sampled_from([HUB, APPS, STRANGER]),
)
def test_a_log_that_is_not_what_its_topic_says_is_passed_over(
    topic: str, topics: list[str], data: str, address: str
) -> None:
    raw = emitted(TRANSFER, [HUB, HUB, 1], address) | {"topics": [topic, *topics], "data": data}
    good = emitted(EVENTS["TaskReopen"], [b"\1" * 32])
    assert read_events([raw, good], SOURCES)[-1].name == "TaskReopen"


def code_of(call: Callable[[], object]) -> str | None:
    """The code of the refusal, if it is refused; what else it raises comes out."""
    try:
        call()
    except IexecError as error:
        return error.code
    return None


@given(st.binary(max_size=800).map(to_hex))
def test_answers_that_are_none_are_refused(answer: str) -> None:
    notice = {
        "app": HUB,
        "dataset": HUB,
        "workerpool": HUB,
        "category": 0,
        "tag": "0x",
        "beneficiary": HUB,
        "params": "",
    }
    for read in (read_deal, read_task, lambda given: read_boost_deal(given, notice)):
        assert code_of(lambda read=read: read(answer)) in (None, "CHAIN_REFUSED")


@given(st.binary(max_size=60))
def test_any_bytes_become_a_text_that_every_database_takes(content: bytes) -> None:
    found = Words(to_hex(eth_abi.encode(["bytes"], [content]))).text(0)
    assert "\0" not in found
    assert found == content.decode("utf-8", "replace").replace("\0", "\ufffd")
    found.encode()
