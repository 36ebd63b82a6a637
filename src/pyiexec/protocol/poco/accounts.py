"""Staked RLC: every nRLC in the hub belongs to one account, free or frozen, and only these functions move it.

They run within a call. Source: PoCo 6.2, money primitives of the escrow; amounts are nRLC.
"""

from __future__ import annotations

from pyiexec.protocol.money import KITTY_ADDRESS
from pyiexec.protocol.poco.refusals import UNDERFLOW, panic, require
from pyiexec.protocol.poco.store import Store
from pyiexec.protocol.primitives import NULL_ADDRESS, Address, TaskId

_SUPPLY_MAX = 2**128 - 1


class Accounts(Store):
    """Free and frozen stake. The hub's own balance, the pot, is the counterpart of all that is frozen or seized."""

    def _tell_transfer(self, sender: Address, receiver: Address, amount: int) -> None:
        self.world.emit(self.address, "Transfer", **{"from": sender, "to": receiver, "value": amount})

    def _lock(self, account: Address, amount: int) -> None:
        """Free to frozen."""
        require(account != NULL_ADDRESS, "IexecEscrow: Transfer from empty address")
        free = self.free.get(account, 0)
        require(amount <= free, "IexecEscrow: Transfer amount exceeds balance")
        self.free[account] = free - amount
        self.frozen[account] = self.frozen.get(account, 0) + amount
        self.sums["pot"] += amount
        self._tell_transfer(account, self.address, amount)
        self.world.emit(self.address, "Lock", owner=account, amount=amount)

    def _unlock(self, account: Address, amount: int) -> None:
        """Frozen to free."""
        self._take_from_pot(account, amount)
        frozen = self.frozen.get(account, 0)
        if amount > frozen:
            raise panic(UNDERFLOW)
        self.frozen[account] = frozen - amount
        self.free[account] = self.free.get(account, 0) + amount
        self._tell_transfer(self.address, account, amount)
        self.world.emit(self.address, "Unlock", owner=account, amount=amount)

    def _reward(self, account: Address, amount: int, ref: TaskId) -> None:
        """Pay out of what was seized for the task `ref`."""
        self._take_from_pot(account, amount)
        self.free[account] = self.free.get(account, 0) + amount
        self._tell_transfer(self.address, account, amount)
        self.world.emit(self.address, "Reward", owner=account, amount=amount, ref=ref)

    def _take_from_pot(self, account: Address, amount: int) -> None:
        require(account != NULL_ADDRESS, "IexecEscrow: Transfer to empty address")
        require(amount <= self.sums["pot"], "IexecEscrow: Transfer amount exceeds balance")
        self.sums["pot"] -= amount

    def _seize(self, account: Address, amount: int, ref: TaskId) -> None:
        """Take what is frozen; it stays in the pot until it is paid out."""
        frozen = self.frozen.get(account, 0)
        if amount > frozen:
            raise panic(UNDERFLOW)
        self.frozen[account] = frozen - amount
        self.world.emit(self.address, "Seize", owner=account, amount=amount, ref=ref)

    def _feed_kitty(self, amount: int, ref: TaskId) -> None:
        """Give the kitty what was just seized; that is in the pot already."""
        self.frozen[KITTY_ADDRESS] = self.frozen.get(KITTY_ADDRESS, 0) + amount
        self.world.emit(self.address, "Reward", owner=KITTY_ADDRESS, amount=amount, ref=ref)
        self.world.emit(self.address, "Lock", owner=KITTY_ADDRESS, amount=amount)

    def _move(self, sender: Address, receiver: Address, amount: int) -> None:
        """ERC-20 transfer of what is free; never to the hub, which could not return it."""
        require(sender != NULL_ADDRESS, "ERC20: transfer from the zero address")
        require(receiver != NULL_ADDRESS, "ERC20: transfer to the zero address")
        require(receiver != self.address, "ERC20: transfer to the hub")
        free = self.free.get(sender, 0)
        require(amount <= free)
        self.free[sender] = free - amount
        self.free[receiver] = self.free.get(receiver, 0) + amount
        self._tell_transfer(sender, receiver, amount)

    def _mint(self, account: Address, amount: int) -> None:
        """Credit what the hub has received."""
        require(account != NULL_ADDRESS, "ERC20: mint to the zero address")
        require(account != self.address, "ERC20: mint to the hub")
        require(amount <= _SUPPLY_MAX - self.sums["supply"], "ERC20: supply exceeds 128 bits")
        self.sums["supply"] += amount
        self.free[account] = self.free.get(account, 0) + amount
        self._tell_transfer(NULL_ADDRESS, account, amount)

    def _burn(self, account: Address, amount: int) -> None:
        """Debit what the hub is about to send."""
        require(account != NULL_ADDRESS, "ERC20: burn from the zero address")
        free = self.free.get(account, 0)
        require(amount <= free)
        self.sums["supply"] -= amount
        self.free[account] = free - amount
        self._tell_transfer(account, NULL_ADDRESS, amount)
