"""What is offered for gas is enough, and a raise is one that nodes accept."""

from hypothesis import given
from hypothesis import strategies as st

from pyiexec.chain.gas import Fees, limit, offer, raised

fees = st.integers(0, 10**13)


@given(fees, fees)
def test_an_offer_survives_some_full_blocks(base_fee: int, tip: int) -> None:
    price = offer(base_fee, tip)
    assert price.max_fee >= base_fee + tip
    assert price.max_fee - tip >= base_fee * 9**5 // 8**5


@given(fees, fees, fees, fees)
def test_a_raise_beats_the_former_offer_by_an_eighth_and_is_no_worse_than_a_fresh_one(
    max_fee: int, tip: int, base_fee: int, new_tip: int
) -> None:
    former = Fees(max_fee + tip, tip)
    after = raised(former, base_fee, new_tip)
    assert after.max_fee * 8 >= former.max_fee * 9
    assert after.tip * 8 >= former.tip * 9
    assert after.max_fee >= offer(base_fee, new_tip).max_fee
    assert after.max_fee >= after.tip


def test_the_limit_leaves_room_above_the_estimate() -> None:
    assert limit(100_000) == 130_000
