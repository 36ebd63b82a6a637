"""The contracts of the tests as the model knows them, one class for each of their sources."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from pyiexec.protocol.poco import Contract, Refusal
from pyiexec.protocol.primitives import Address, TaskId

if TYPE_CHECKING:
    from pyiexec.protocol.poco import Hub

#: Modes of `Wallet.vy` that end in a yes.
WALLET_ACCEPTS, WALLET_DECLINES, WALLET_REVERTS, WALLET_EMPTY, WALLET_LONG = 0, 1, 2, 5, 6
SPEND, REGRET, WASTE, CLAIM = 1, 2, 3, 4


class Wallet(Contract):
    """An ERC-1271 wallet and ERC-734 group in one; what is not a plain yes is a no."""

    def __init__(self, mode: int) -> None:
        self.accepts = mode in (WALLET_ACCEPTS, WALLET_LONG)

    def is_valid_signature(self, _digest: bytes, _signature: bytes) -> bool:
        return self.accepts

    def has_member(self, _account: Address) -> bool:
        return self.accepts


class Spender(Contract):
    """Content with every approval but that of nothing; does not read more than a kilobyte."""

    def receive_approval(
        self, _owner: Address, amount: int, _token: Address, data: Any, *, sender: Address, now: int
    ) -> bool:
        # Orders, which the model is given as such, are longer.
        if not isinstance(data, bytes):
            raise Refusal
        return amount != 0


class OlderHub(Contract):
    """Knows one score for everybody."""

    def view_score(self, _worker: Address) -> int:
        return 22


class Consumer(Contract):
    """A receiver of results."""

    def __init__(self, address: Address, hub: Hub, mode: int) -> None:
        self.address = address
        self.hub = hub
        self.mode = mode

    def receive_result(self, task: TaskId, data: bytes, *, sender: Address, now: int) -> None:
        if self.mode == WASTE:
            raise Refusal("out of gas")
        if self.mode in (SPEND, REGRET):
            self.hub.transfer(self.address, 1, sender=self.address)
        if self.mode == CLAIM:
            assert not self.hub.world.succeeds(partial(self.hub.claim, task, now=now))
        self.hub.world.emit(self.address, "GotResult", id=task, result=data)
        if self.mode == REGRET:
            raise Refusal("on second thoughts")
