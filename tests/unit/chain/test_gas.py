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


@given(fees, fees, fees, fees, st.integers(1, 10**14))
def test_no_offer_exceeds_the_most_and_a_raise_within_it_is_one_that_nodes_accept(
    max_fee: int, tip: int, base_fee: int, new_tip: int, most: int
) -> None:
    assert offer(base_fee, new_tip, most).max_fee <= most
    former = Fees(min(max_fee + tip, most), min(tip, most))
    after = raised(former, base_fee, new_tip, most)
    assert max(after.max_fee, after.tip) <= most
    accepted = after.max_fee * 8 >= former.max_fee * 9 and after.tip * 8 >= former.tip * 9
    assert after == former or accepted
    unbounded = raised(former, base_fee, new_tip)
    assert after == unbounded or unbounded.max_fee > most, "the limit changes nothing where it is not met"


def test_the_limit_leaves_room_above_the_estimate() -> None:
    assert limit(100_000) == 130_000
