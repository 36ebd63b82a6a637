"""Deposits, withdrawals and transfers of staked RLC, where RLC is a token. Amounts are nRLC.

Source: PoCo 6.2, escrow in token mode and its ERC-20 face; EIP-20.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from pyiexec.protocol.orders import AppOrder, DatasetOrder, RequestOrder, WorkerpoolOrder
from pyiexec.protocol.poco.matching import Matching
from pyiexec.protocol.poco.refusals import Refusal, custom, error, nothing, require
from pyiexec.protocol.poco.store import ITEMS_MAX
from pyiexec.protocol.poco.world import transaction
from pyiexec.protocol.primitives import NULL_ADDRESS, Address

#: What a deposit may bring along: the orders that it pays for, or other bytes (none: a deposit and nothing else).
DepositData = bytes | tuple[AppOrder, DatasetOrder, WorkerpoolOrder, RequestOrder]

_SELECTOR_SIZE = 4
_MATCH_ORDERS = bytes.fromhex("156194d4")
_WORD_MAX = 2**256 - 1


class Escrow(Matching):
    """One nRLC in the hub stands for one that the hub holds at the token."""

    def _deposit(self, payer: Address, amount: int, target: Address) -> None:
        self.token.pull(payer, amount, spender=self.address)
        self._mint(target, amount)

    @transaction
    def deposit(self, amount: int, *, sender: Address) -> bool:
        """Deposit what the sender has approved at the token."""
        self._deposit(sender, amount, sender)
        return True

    @transaction
    def deposit_for(self, amount: int, target: Address, *, sender: Address) -> bool:
        """Deposit for another account."""
        self._deposit(sender, amount, target)
        return True

    @transaction
    def deposit_for_array(self, amounts: Sequence[int], targets: Sequence[Address], *, sender: Address) -> bool:
        """Deposit for several accounts, all or none."""
        require(max(len(amounts), len(targets)) <= ITEMS_MAX)
        require(len(amounts) == len(targets), "invalid-array-length")
        for amount, target in zip(amounts, targets, strict=True):
            self._deposit(sender, amount, target)
        return True

    @transaction
    def withdraw(self, amount: int, *, sender: Address) -> bool:
        """Take free nRLC out."""
        self._burn(sender, amount)
        self.token.move(self.address, sender, amount)
        return True

    @transaction
    def withdraw_to(self, amount: int, target: Address, *, sender: Address) -> bool:
        """Take free nRLC out to another account."""
        self._burn(sender, amount)
        self.token.move(self.address, target, amount)
        return True

    @transaction
    def recover(self, *, sender: Address) -> int:
        """Credit the owner with what was sent to the hub without a deposit."""
        self._require_owner(sender)
        surplus = self.token.balance_of(self.address) - self.total_supply
        self._mint(sender, surplus)
        return surplus

    # The hub is told of approvals as any contract is, from within a call of the token.
    def receive_approval(
        self, owner: Address, amount: int, token: Address, data: DepositData, *, sender: Address, now: int
    ) -> bool:
        """Deposit, and match the orders that come along; only the token is believed."""
        return self.world.attempt(
            partial(self._receive_approval, owner, amount, token, data, sender=sender, now=now)
        ).value

    def _receive_approval(
        self, owner: Address, amount: int, token: Address, data: DepositData, *, sender: Address, now: int
    ) -> bool:
        require(token == sender == self.token.address, "wrong-token")
        self._deposit(owner, amount, owner)
        if isinstance(data, bytes):
            self._refuse_data(data)
            return True
        if data[3].requester != owner:
            raise custom("CallerIsNotTheRequester()")
        try:
            self.match_orders(*data, sender=sender, now=now)
        except Refusal as refusal:
            raise refusal if refusal.data else custom("OperationFailed()") from None
        return True

    @staticmethod
    def _refuse_data(data: bytes) -> None:
        """Bytes that are not orders: none are fine, others are not understood."""
        if not data:
            return
        if len(data) < _SELECTOR_SIZE or data[:_SELECTOR_SIZE] == _MATCH_ORDERS:
            raise nothing()
        raise custom("UnsupportedOperation(bytes4)", data[:_SELECTOR_SIZE])

    # --- ERC-20 -------------------------------------------------------------------------------------------------------

    def _allow(self, owner: Address, spender: Address, amount: int) -> None:
        require(owner != NULL_ADDRESS, "ERC20: approve from the zero address")
        require(spender != NULL_ADDRESS, "ERC20: approve to the zero address")
        self.allowances[owner, spender] = amount
        self.world.emit(self.address, "Approval", owner=owner, spender=spender, value=amount)

    @transaction
    def transfer(self, recipient: Address, amount: int, *, sender: Address) -> bool:
        """Pass free nRLC on."""
        self._move(sender, recipient, amount)
        return True

    @transaction
    def approve(self, spender: Address, amount: int, *, sender: Address) -> bool:
        """Let `spender` move up to `amount` of the sender; there is no infinite allowance."""
        self._allow(sender, spender, amount)
        return True

    @transaction
    def approve_and_call(self, spender: Address, amount: int, data: bytes, *, sender: Address, now: int) -> bool:
        """Approve and tell the spender, which must be content."""
        self._allow(sender, spender, amount)
        contract = self.world.at(spender)
        content = contract.receive_approval(sender, amount, self.address, data, sender=self.address, now=now)
        if not content:
            raise error("approval-refused")
        return True

    @transaction
    def transfer_from(self, owner: Address, recipient: Address, amount: int, *, sender: Address) -> bool:
        """Move what the sender was allowed to move; even of its own it needs an allowance."""
        self._move(owner, recipient, amount)
        allowed = self.allowance(owner, sender)
        require(amount <= allowed)
        self._allow(owner, sender, allowed - amount)
        return True

    @transaction
    def increase_allowance(self, spender: Address, added: int, *, sender: Address) -> bool:
        """Allow `added` more."""
        allowed = self.allowance(sender, spender) + added
        require(allowed <= _WORD_MAX)
        self._allow(sender, spender, allowed)
        return True

    @transaction
    def decrease_allowance(self, spender: Address, subtracted: int, *, sender: Address) -> bool:
        """Allow `subtracted` less."""
        require(subtracted <= self.allowance(sender, spender))
        self._allow(sender, spender, self.allowance(sender, spender) - subtracted)
        return True
