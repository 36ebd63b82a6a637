"""A trace follows from what everybody knows, and a header passes it on or is passed over."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyiexec.protocol.ids import deal_id, task_id
from pyiexec.protocol.primitives import DealId, OrderHash, bytes32
from pyiexec.protocol.traces import read_traceparent, trace_of, traceparent

DEAL = DealId(bytes32(0xABC << 240))


def test_the_trace_of_a_deal_is_known_before_the_deal_is_made() -> None:
    request = OrderHash(bytes32(b"\x07" * 32))
    deal = deal_id(request, 3)
    assert deal.startswith(f"0x{trace_of(deal)}")
    assert trace_of(deal) != trace_of(deal_id(request, 4))


@given(st.binary(min_size=32, max_size=32).filter(lambda content: any(content[:8])), st.integers(0, 2**32))
def test_what_is_passed_on_is_what_is_read(content: bytes, index: int) -> None:
    deal = DealId(bytes32(content))
    trace = trace_of(deal)
    assert read_traceparent(traceparent(trace)) == trace
    assert read_traceparent(traceparent(trace, task_id(deal, index))) == trace


@pytest.mark.parametrize(
    "header",
    [
        "",
        "anything",
        f"00-{'0' * 32}-{'1' * 16}-01",
        f"00-{'1' * 32}-{'0' * 16}-01",
        f"00-{'A' * 32}-{'1' * 16}-01",
        f"00-{'1' * 31}-{'1' * 16}-01",
        f"ff-{'1' * 32}-{'1' * 16}-01",
        f"00-{'1' * 32}-{'1' * 16}-01-more",
        f"00-{'1' * 32}-{'1' * 16}-01\n",
    ],
)
def test_a_header_that_is_none_names_no_trace(header: str) -> None:
    assert read_traceparent(header) is None


def test_a_later_version_of_the_header_may_say_more() -> None:
    assert read_traceparent(f"01-{'1' * 32}-{'2' * 16}-01-more") == "1" * 32
