"""RLC, the token that is staked. Amounts are nRLC.

Source: EIP-20; ``approveAndCall`` as RLC has it. More than a balance or an allowance is refused without a reason.
"""

from __future__ import annotations

from typing import Any

from pyiexec.protocol.poco.refusals import require
from pyiexec.protocol.poco.world import Contract, World, transaction
from pyiexec.protocol.primitives import Address

#: All nRLC there are.
SUPPLY = 87_000_000 * 10**9


class Token(Contract):
    """RLC; `holder` begins with all of it."""

    def __init__(self, world: World, address: Address, holder: Address) -> None:
        self.world = world
        self.address = address
        self.balances = world.table()
        self.allowances = world.table()
        dict.__setitem__(self.balances, holder, SUPPLY)
        world.contracts[address] = self

    def balance_of(self, account: Address) -> int:
        """NRLC of `account`."""
        return int(self.balances.get(account, 0))

    def allowance(self, owner: Address, spender: Address) -> int:
        """NRLC of `owner` that `spender` may still take."""
        return int(self.allowances.get((owner, spender), 0))

    def move(self, sender: Address, receiver: Address, amount: int) -> None:
        """Move `amount` within a call of another contract."""
        require(self.balance_of(sender) >= amount)
        self.balances[sender] = self.balance_of(sender) - amount
        self.balances[receiver] = self.balance_of(receiver) + amount
        self.world.emit(self.address, "Transfer", **{"from": sender, "to": receiver, "value": amount})

    def pull(self, owner: Address, amount: int, *, spender: Address) -> None:
        """Move `amount` of `owner` to `spender`, which was allowed to take it, within a call of the spender."""
        self._use_allowance(owner, spender, amount)
        self.move(owner, spender, amount)

    def _use_allowance(self, owner: Address, spender: Address, amount: int) -> None:
        require(self.allowance(owner, spender) >= amount)
        self.allowances[owner, spender] = self.allowance(owner, spender) - amount

    def _allow(self, owner: Address, spender: Address, amount: int) -> None:
        self.allowances[owner, spender] = amount
        self.world.emit(self.address, "Approval", owner=owner, spender=spender, value=amount)

    @transaction
    def transfer(self, receiver: Address, amount: int, *, sender: Address) -> bool:
        """Move `amount` of the sender."""
        self.move(sender, receiver, amount)
        return True

    @transaction
    def transfer_from(self, owner: Address, receiver: Address, amount: int, *, sender: Address) -> bool:
        """Move `amount` of `owner` within the sender's allowance; of that no event tells."""
        self._use_allowance(owner, sender, amount)
        self.move(owner, receiver, amount)
        return True

    @transaction
    def approve(self, spender: Address, amount: int, *, sender: Address) -> bool:
        """Let `spender` take up to `amount`, instead of what it could take before."""
        self._allow(sender, spender, amount)
        return True

    @transaction
    def approve_and_call(self, spender: Address, amount: int, data: Any, *, sender: Address, now: int) -> bool:
        """Approve and let the spender act on it; its answer is not looked at, its refusal is passed on."""
        self._allow(sender, spender, amount)
        self.world.at(spender).receive_approval(sender, amount, self.address, data, sender=self.address, now=now)
        return True
