"""Nonces are given out once, without holes, and to no more than may be in flight."""

from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule

from pyiexec.chain.transactions.nonces import Nonces

LIMIT = 4


class Account(RuleBasedStateMachine):
    """Against a model: which nonces are out, which have landed, how many wait."""

    def __init__(self) -> None:
        super().__init__()
        self.nonces = Nonces(LIMIT)
        self.out: set[int] = set()
        self.landed: set[int] = set()
        self.waiting = 0

    taken = Bundle("taken")

    @rule(target=taken)
    def take(self) -> int | None:
        nonce = self.nonces.take()
        if nonce is None:
            assert self.waiting or len(self.out) >= LIMIT
            self.waiting += 1
        else:
            assert nonce not in self.out | self.landed
            self.out.add(nonce)
        return nonce

    @rule(target=taken)
    def take_waiting(self) -> int | None:
        nonce = self.nonces.take_waiting()
        if nonce is None:
            assert not self.waiting or len(self.out) >= LIMIT
        else:
            assert nonce not in self.out | self.landed
            self.waiting -= 1
            self.out.add(nonce)
        return nonce

    @rule(nonce=taken)
    def give_back(self, nonce: int | None) -> None:
        if nonce in self.out:
            self.nonces.give_back(nonce)
            self.out.discard(nonce)  # type: ignore[arg-type]

    @rule(nonce=taken)
    def land(self, nonce: int | None) -> None:
        if nonce is not None and nonce in self.out and nonce == min(self.out, default=-1) == len(self.landed):
            self.nonces.landed()
            self.nonces.used_up_to(nonce + 1)
            self.out.discard(nonce)
            self.landed.add(nonce)

    @rule(more=st.integers(0, 3))
    def fill(self, more: int) -> None:
        gap = self.nonces.gap_below(max(self.out, default=-1))
        if gap is not None and more:
            assert gap not in self.out | self.landed
            self.nonces.claim(gap)
            self.out.add(gap)

    @invariant()
    def counts_what_is_in_flight(self) -> None:
        assert self.nonces.in_flight == len(self.out)

    @invariant()
    def sees_every_hole(self) -> None:
        highest = max(self.out, default=-1)
        holes = set(range(len(self.landed), highest)) - self.out
        assert self.nonces.gap_below(highest) == min(holes, default=None)


TestNonces = Account.TestCase
