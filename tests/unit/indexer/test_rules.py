"""What the index decides by itself, and that nothing anybody writes can make it fail."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyiexec.chain import calls
from pyiexec.indexer.rules import bulk_cid, claimed_boost_task, followed, read_bulk_orders, read_slices, score_after
from pyiexec.protocol.ids import task_id
from pyiexec.protocol.primitives import NULL_ADDRESS, Bytes32, DealId, bytes32

CID = "QmbWqxBEKC3P8tqsKc98xmWNzrzDtRLMiMPL8wBuTGsMnR"
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.just(CID),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["bulk_cid", "dataset", "tag"]) | st.text(), inner),
    max_leaves=20,
)


def order(**changes: Any) -> dict[str, Any]:
    return {
        "dataset": "0x" + "Ab" * 20,
        "datasetprice": "7",
        "volume": "9007199254740991",
        "tag": bytes32(3),
        "apprestrict": NULL_ADDRESS,
        "workerpoolrestrict": NULL_ADDRESS,
        "requesterrestrict": NULL_ADDRESS,
        "salt": bytes32(5),
        "sign": "0x" + "ab" * 65,
    } | changes


def test_a_bulk_deal_names_its_list() -> None:
    assert bulk_cid(NULL_ADDRESS, json.dumps({"iexec_args": "x", "bulk_cid": CID})) == CID


def test_a_deal_with_a_dataset_is_no_bulk_deal() -> None:
    assert bulk_cid("0x" + "11" * 20, json.dumps({"bulk_cid": CID})) is None


@given(st.text() | JSON.map(json.dumps) | st.integers(1, 5000).map(lambda depth: '{"bulk_cid":' * depth))
def test_whatever_params_say_there_is_an_identifier_or_none(params: str) -> None:
    found = bulk_cid(NULL_ADDRESS, params)
    assert found is None or json.loads(params)["bulk_cid"] == found


def test_ten_megabytes_of_params() -> None:
    assert bulk_cid(NULL_ADDRESS, json.dumps({"bulk_cid": CID, "iexec_args": "x" * 10_000_000})) == CID
    assert bulk_cid(NULL_ADDRESS, '"bulk_cid' * 1_000_000) is None
    assert bulk_cid(NULL_ADDRESS, "[" * 10_000_000 + "bulk_cid") is None


@given(st.binary() | JSON.map(lambda document: json.dumps(document).encode()))
def test_whatever_a_file_holds_it_is_read_or_left_out(content: bytes) -> None:
    slices, orders = read_slices(content), read_bulk_orders(content)
    assert slices is None or all(entry is None or entry == CID for entry in slices)
    assert orders is None or all(entry is None for entry in orders)


def test_orders_as_the_javascript_sdk_writes_them() -> None:
    [found] = read_bulk_orders(json.dumps([order()]).encode()) or [None]
    assert found is not None
    assert (found.dataset, found.datasetprice, found.volume) == ("0x" + "ab" * 20, 7, 2**53 - 1)


@pytest.mark.parametrize("name", list(order()))
@pytest.mark.parametrize("value", [None, 5, "", "0x", "0xzz", " 7", "07", "7\n", ["0x"], "1e3", "٧"])
def test_an_order_with_one_wrong_field_is_left_out_alone(name: str, value: Any) -> None:
    if name == "sign" and value == "0x":
        return
    found = read_bulk_orders(json.dumps([order(**{name: value}), order()]).encode())
    assert found is not None
    assert found[0] is None
    assert found[1] is not None


@given(st.lists(st.none() | st.just(CID), max_size=30), st.integers(0, 2**256 - 1) | st.integers(0, 30), st.integers())
def test_the_slices_of_a_deal_are_those_of_its_tasks(slices: list[str | None], first: int, size: int) -> None:
    assert followed(slices, first, size) == [
        (index, cid) for index, cid in enumerate(slices) if cid is not None and first <= index < first + size
    ]


@given(st.integers(0, 2**40))
def test_scores(score: int) -> None:
    assert score_after("AccurateContribution", score) == score + 1
    assert score_after("FaultyContribution", score) == score * 2 // 3


@given(st.binary(min_size=32, max_size=32), st.integers(0, 2**16 - 1), st.binary(max_size=80), st.binary(max_size=80))
def test_a_claimed_boost_task_is_found_wherever_the_call_is_wrapped(
    deal: bytes, index: int, before: bytes, after: bytes
) -> None:
    deal_id = DealId(Bytes32("0x" + deal.hex()))
    task = task_id(deal_id, index)
    data = before + calls.claim_boost(deal_id, index) + after
    assert claimed_boost_task(task, "0x" + data.hex()) == (deal_id, index)
    other = task_id(deal_id, index + 1)
    assert claimed_boost_task(other, "0x" + data.hex()) is None
    assert claimed_boost_task(task, "0x" + data.hex()[: 2 * len(before) + 100]) is None
