import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.units import format_rlc, parse_amount


@pytest.mark.parametrize(
    ("text", "unit", "nrlc"),
    [
        ("1.5 RLC", "nRLC", 1_500_000_000),
        ("100 nRLC", "RLC", 100),
        ("100", "nRLC", 100),
        ("100", "RLC", 100 * 10**9),
        ("0.000000001RLC", "nRLC", 1),
        ("1.000 nRLC", "nRLC", 1),
        (" 2 rlc ", "nRLC", 2 * 10**9),
        ("0", "nRLC", 0),
    ],
)
def test_amounts_are_read_exactly(text: str, unit: str, nrlc: int) -> None:
    assert parse_amount(text, unit) == nrlc


@pytest.mark.parametrize(
    "text",
    ["", "RLC", "-1 RLC", "1,5 RLC", "1e3", "0x10", "1.5", "0.0000000001 RLC", "1 ETH", "1.", ".5 RLC", "١", "9" * 78],
)
def test_what_is_not_a_whole_number_of_nrlc_is_refused(text: str) -> None:
    with pytest.raises(IexecError) as refusal:
        parse_amount(text)
    assert refusal.value.code == "BAD_AMOUNT"


@given(st.integers(0, 10**30))
def test_a_printed_amount_reads_back(nrlc: int) -> None:
    assert parse_amount(format_rlc(nrlc)) == nrlc


def test_differences_are_printed_with_their_sign() -> None:
    assert format_rlc(-300_000_000) == "-0.3 RLC"
    assert format_rlc(0) == "0 RLC"
