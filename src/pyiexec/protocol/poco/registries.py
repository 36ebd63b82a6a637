"""Registries of apps, datasets and workerpools as the hub sees them: who owns what, and a workerpool's policy.

An asset is the token of an ERC-721 collection and a contract at the same time. Source: registry ABI of PoCo 6.2,
ERC-721, ERC-6093.
"""

from __future__ import annotations

from typing import NamedTuple

from pyiexec.protocol.poco.refusals import custom, error, require
from pyiexec.protocol.poco.world import Contract, World, transaction
from pyiexec.protocol.primitives import NULL_ADDRESS, Address

#: Percentages of a new workerpool: what a worker stakes of the price, and what the scheduler keeps of the reward.
DEFAULT_STAKE_RATIO = 30
DEFAULT_REWARD_RATIO = 1
#: What an entry can hold.
STAKE_RATIO_MAX = 2**32 - 1


class Entry(NamedTuple):
    """What the hub asks of an asset; the two ratios are percentages and matter for workerpools alone."""

    owner: Address = NULL_ADDRESS
    stake_ratio: int = DEFAULT_STAKE_RATIO
    reward_ratio: int = DEFAULT_REWARD_RATIO


_UNKNOWN = Entry()


class Registry(Contract):
    """One of the three collections; `previous` is an older one, asked for what this one does not know."""

    def __init__(self, world: World, address: Address, previous: Registry | None = None) -> None:
        self.world = world
        self.address = address
        self.previous = previous
        self.entries = world.table()
        self.approvals = world.table()
        self.operators = world.table()
        world.contracts[address] = self

    def entry(self, asset: Address) -> Entry:
        """What is known of `asset`; its owner is the null address when it is not registered."""
        found: Entry | None = self.entries.get(asset)
        if found is None:
            return self.previous.entry(asset) if self.previous else _UNKNOWN
        return found

    @transaction
    def create(self, asset: Address, owner: Address) -> Address:
        """Create an asset for `owner`. Its address follows from what it says, which the hub does not look at."""
        if asset in self.entries:
            raise error("Create2: Failed on deploy")
        if owner == NULL_ADDRESS:
            raise custom("ERC721InvalidReceiver(address)", owner)
        self.entries[asset] = Entry(owner)
        self.world.contracts[asset] = Contract()
        self._tell_transfer(NULL_ADDRESS, owner, asset)
        return asset

    @transaction
    def approve(self, to: Address, asset: Address, *, sender: Address) -> None:
        """Let `to` transfer the asset once."""
        owner = self._owner_of(asset)
        if sender != owner and not self.operators.get((owner, sender), False):
            raise custom("ERC721InvalidApprover(address)", sender)
        self.approvals[asset] = to
        self.world.emit(self.address, "Approval", owner=owner, approved=to, tokenId=int(asset, 16))

    @transaction
    def set_approval_for_all(self, operator: Address, approved: bool, *, sender: Address) -> None:
        """Let `operator` act for the sender on all its assets."""
        if operator == NULL_ADDRESS:
            raise custom("ERC721InvalidOperator(address)", operator)
        self.operators[sender, operator] = approved
        self.world.emit(self.address, "ApprovalForAll", owner=sender, operator=operator, approved=approved)

    @transaction
    def transfer_from(self, owner: Address, to: Address, asset: Address, *, sender: Address) -> None:
        """Sell the asset: its orders are now for its new owner to sign, deals keep the old one."""
        if to == NULL_ADDRESS:
            raise custom("ERC721InvalidReceiver(address)", to)
        real = self._owner_of(asset)
        approved = self.operators.get((real, sender), False) or self.approvals.get(asset) == sender
        if sender != real and not approved:
            raise custom("ERC721InsufficientApproval(address,uint256)", sender, int(asset, 16))
        if owner != real:
            raise custom("ERC721IncorrectOwner(address,uint256,address)", owner, int(asset, 16), real)
        self.approvals[asset] = NULL_ADDRESS
        self.entries[asset] = self.entries[asset]._replace(owner=to)
        self._tell_transfer(owner, to, asset)

    @transaction
    def change_policy(self, workerpool: Address, stake_ratio: int, reward_ratio: int, *, sender: Address) -> None:
        """The owner changes the ratios (percentages) of deals to come; the workerpool itself announces it."""
        before = self.entry(workerpool)
        require(sender == self._owner_of(workerpool), "caller is not the owner")
        require(reward_ratio <= 100)
        require(stake_ratio <= STAKE_RATIO_MAX, "worker stake ratio is too large")
        self.entries[workerpool] = Entry(before.owner, stake_ratio, reward_ratio)
        self.world.emit(
            workerpool,
            "PolicyUpdate",
            oldWorkerStakeRatioPolicy=before.stake_ratio,
            newWorkerStakeRatioPolicy=stake_ratio,
            oldSchedulerRewardRatioPolicy=before.reward_ratio,
            newSchedulerRewardRatioPolicy=reward_ratio,
        )

    def _owner_of(self, asset: Address) -> Address:
        found: Entry | None = self.entries.get(asset)
        if found is None:
            raise custom("ERC721NonexistentToken(uint256)", int(asset, 16))
        return found.owner

    def _tell_transfer(self, sender: Address, receiver: Address, asset: Address) -> None:
        fields = {"from": sender, "to": receiver, "tokenId": int(asset, 16)}
        self.world.emit(self.address, "Transfer", **fields)
