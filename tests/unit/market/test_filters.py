"""Query parameters are read strictly, and refused in words clients know."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyiexec.market.filters import read_chain, read_deal_filter, read_filter, read_window
from pyiexec.market.reading import read_address, read_integer
from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.orders import ORDER_KINDS

POOL = "0x" + "ab" * 20


@pytest.mark.parametrize(
    ("kind", "query", "message"),
    [
        ("apporder", {}, "app or appOwner is required"),
        ("datasetorder", {"app": POOL}, "dataset or datasetOwner is required"),
        ("apporder", {"appOwner": "any"}, "appOwner is not a valid ethereum address"),
        ("apporder", {"app": "0x12"}, 'app is neither "any" nor a valid ethereum address'),
        ("workerpoolorder", {"requester": "ANY"}, 'requester is neither "any" nor a valid ethereum address'),
        ("workerpoolorder", {"minTag": "0x1"}, "minTag must be a bytes32 hexstring"),
        ("workerpoolorder", {"minVolume": "0"}, "minVolume must be greater than or equal to 1"),
        (
            "workerpoolorder",
            {"isAppStrict": "abc"},
            'isAppStrict must be a `boolean` type, but the final value was: `"abc"`.',
        ),
    ],
)
def test_refusals_name_the_parameter(kind: str, query: dict[str, str], message: str) -> None:
    with pytest.raises(IexecError) as refusal:
        read_filter(kind, query)
    assert refusal.value.what == message
    assert refusal.value.http_status == 400


@pytest.mark.parametrize(
    ("query", "message"),
    [({}, "chainId is a required field"), ({"chainId": "1"}, "chainId 1 is not supported"), ({"chainId": "x"}, "x is")],
)
def test_the_chain_must_be_the_one_served(query: dict[str, str], message: str) -> None:
    with pytest.raises(IexecError, match=message):
        read_chain(query, 65535)
    assert read_chain({"chainId": "65535"}, 65535) == "65535"


@pytest.mark.parametrize(
    ("query", "offset", "limit"),
    [
        ({}, 0, 20),
        ({"pageIndex": "3"}, 60, 20),
        ({"pageIndex": "2", "pageSize": "50"}, 100, 50),
        ({"page": "40"}, 40, 20),
        ({"page": "40", "pageIndex": "1"}, 20, 20),
    ],
)
def test_pages_are_counted_from_zero_and_the_old_parameter_skips(
    query: dict[str, str], offset: int, limit: int
) -> None:
    assert read_window(query) == (offset, limit)


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ({"pageSize": "9"}, "pageSize must be greater than or equal to 10"),
        ({"pageSize": "1001"}, "pageSize must be less than or equal to 1000"),
        ({"pageIndex": "-1"}, "pageIndex must be greater than or equal to 0"),
        ({"page": "1.5"}, "page must be an integer"),
        ({"page": "1e999"}, "page must be an integer"),
    ],
)
def test_pages_out_of_bounds_are_refused(query: dict[str, str], message: str) -> None:
    with pytest.raises(IexecError) as refusal:
        read_window(query)
    assert refusal.value.what == message


@pytest.mark.parametrize(
    ("value", "number"),
    [(7, 7), ("7", 7), (" 7 ", 7), ("1 000", 1000), ("+7", 7), ("1e3", 1000), ("7.0", 7), (7.0, 7), ("0", 0)],
)
def test_numbers_are_read_as_javascript_reads_them(value: object, number: int) -> None:
    assert read_integer(value, "volume") == number


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (True, "volume must be a `number` type, but the final value was: `NaN` (cast from the value `true`)."),
        ("NaN", 'volume must be a `number` type, but the final value was: `NaN` (cast from the value `"NaN"`).'),
        ("", 'volume must be a `number` type, but the final value was: `NaN` (cast from the value `""`).'),
        ("0x10", 'volume must be a `number` type, but the final value was: `NaN` (cast from the value `"0x10"`).'),
        ("12abc", 'volume must be a `number` type, but the final value was: `NaN` (cast from the value `"12abc"`).'),
        ([1], "volume must be a `number` type, but the final value was: `NaN` (cast from the value `[1]`)."),
        (None, "volume cannot be null"),
        (1.5, "volume must be an integer"),
        (float("inf"), "volume must be an integer"),
        ("1e999", "volume must be an integer"),
        (-1, "volume must be greater than or equal to 0"),
        (2**256, "volume must be less than or equal to 9007199254740991"),
        (str(2**256), "volume must be less than or equal to 9007199254740991"),
        ("1e300", "volume must be less than or equal to 9007199254740991"),
    ],
)
def test_what_is_no_number_in_range_is_refused(value: object, message: str) -> None:
    with pytest.raises(IexecError) as refusal:
        read_integer(value, "volume")
    assert refusal.value.what == message


def test_deals_are_compared_with_columns() -> None:
    read = read_deal_filter({"appOwner": POOL, "requestorderHash": "0x" + "AB" * 32, "category": "2", "other": "x"})
    assert read.category == 2
    assert read.equal == {"app_owner": read_address(POOL, "x"), "requestorder_hash": "0x" + "ab" * 32}
    with pytest.raises(IexecError, match="requestorderHash must be a bytes32 hexstring"):
        read_deal_filter({"requestorderHash": "0x"})


def test_addresses_are_read_in_any_case() -> None:
    assert read_address(POOL.upper().replace("X", "x"), "address") == read_address(POOL, "address")


_NAMES = ["app", "appOwner", "dataset", "datasetOwner", "workerpool", "requester", "beneficiary", "minTag", "maxTag"]
_NAMES += ["minVolume", "category", "minTrust", "maxTrust", "bulkOnly", "isAppStrict", "pageIndex", "pageSize", "page"]


@given(st.sampled_from(sorted(ORDER_KINDS)), st.dictionaries(st.sampled_from(_NAMES), st.text(max_size=90)))
def test_nothing_but_a_refusal_comes_of_garbage(kind: str, query: dict[str, str]) -> None:
    try:
        read_filter(kind, query)
        read_window(query)
        read_deal_filter(query)
    except IexecError as refusal:
        assert refusal.http_status == 400  # noqa: PT017 - either outcome is right
