"""The ledger of deals: who paid what to whom, told by the hub's events, and the proof that it adds up.

Stake is moved by five events of PoCo 6.2. `Transfer` moves free stake, the hub's own account holding what is frozen;
`Lock` and `Unlock` say whose frozen stake grew or shrank; `Reward` and `Seize` say for which task. Replaying them from
the hub's first block must give every account's balance on chain, to the unit.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Any

import msgspec

from pyiexec.protocol.money import KITTY_ADDRESS
from pyiexec.protocol.primitives import NULL_ADDRESS, Address, TaskId


class HubEvent(msgspec.Struct, frozen=True):
    """One decoded event of the hub and where it happened."""

    name: str
    fields: Mapping[str, Any]
    transaction: str
    block: int


class Movement(StrEnum):
    """What happened to an amount of stake."""

    LOCKED = "locked"
    UNLOCKED = "unlocked"
    PAID = "paid"
    EARNED = "earned"
    LOST = "lost"


class Line(msgspec.Struct, frozen=True):
    """One line of the ledger; `amount` in nRLC, `reason` for people, `task_id` where one task is the reason."""

    account: Address
    movement: Movement
    amount: int
    reason: str
    task_id: TaskId | None
    transaction: str
    block: int


class Holdings(msgspec.Struct, frozen=True):
    """An account's free and frozen stake, nRLC."""

    stake: int
    locked: int


def replay(events: Iterable[HubEvent]) -> dict[Address, Holdings]:
    """Every account's holdings after `events`, which must begin with the hub's first."""
    stake: defaultdict[Address, int] = defaultdict(int)
    locked: defaultdict[Address, int] = defaultdict(int)
    for event in events:
        fields = event.fields
        match event.name:
            case "Transfer":
                stake[fields["from"]] -= fields["value"]
                stake[fields["to"]] += fields["value"]
            case "Lock":
                locked[fields["owner"]] += fields["amount"]
            case "Unlock" | "Seize":
                locked[fields["owner"]] -= fields["amount"]
    # The null address is where deposits come from and withdrawals go: it mirrors the total supply, and holds nothing.
    accounts = (stake.keys() | locked.keys()) - {NULL_ADDRESS}
    return {account: Holdings(stake[account], locked[account]) for account in accounts}


def discrepancies(
    replayed: Mapping[Address, Holdings],
    on_chain: Mapping[Address, Holdings],
    hub: Address,
    total_supply: int,
    token_balance: int,
) -> list[str]:
    """Why the money does not add up; empty when it does.

    Args:
        replayed: holdings by events.
        on_chain: holdings by the hub's own accessors, of the same accounts.
        hub: address of the hub, whose free stake backs all that is frozen.
        total_supply: staked RLC there is by the hub's account.
        token_balance: RLC that the token says the hub holds.
    """
    problems = [
        f"{account}: events say {holdings.stake} free and {holdings.locked} locked, the hub"
        f" {on_chain[account].stake} and {on_chain[account].locked}"
        for account, holdings in sorted(replayed.items())
        if holdings != on_chain[account]
    ]
    free = sum(holdings.stake for account, holdings in on_chain.items() if account != hub)
    frozen = sum(holdings.locked for holdings in on_chain.values())
    backing = on_chain[hub].stake if hub in on_chain else 0
    if free + frozen != total_supply:
        problems.append(f"{free} free and {frozen} locked do not make the total supply of {total_supply}")
    if backing != frozen:
        problems.append(f"{frozen} are locked, and {backing} back them")
    if token_balance < total_supply:
        problems.append(f"the hub holds {token_balance} of RLC for {total_supply} staked")
    return problems


def _reason_of_loss(worker: Address, task: TaskId, hashes: Mapping[tuple[TaskId, Address], str], won: str) -> str:
    voted = hashes.get((task, worker), "")
    if voted and voted != won:
        return f"voted for {voted[:10]}…, proved was {won[:10]}…"
    return "did not reveal what it voted for"


def _task_of(rest: Sequence[HubEvent]) -> TaskId | None:
    """The task that a movement belongs to: the hub names it after the movements it causes."""
    return next((event.fields["taskid"] for event in rest if "taskid" in event.fields), None)


def ledger(events: Sequence[HubEvent], tasks: Sequence[TaskId], deals: Sequence[str]) -> list[Line]:
    """The movements that the deals and their tasks caused, in the order of the chain.

    Args:
        events: the hub's events since the first of the deals was matched.
        tasks: ids of the deals' tasks.
        deals: ids of the deals.
    """
    ours = set(tasks) | set(deals)
    touched = {
        event.transaction
        for event in events
        if ours & {event.fields.get(key) for key in ("ref", "taskid", "dealid", "dealId")}
    }
    hashes: dict[tuple[TaskId, Address], str] = {}
    consensus: dict[TaskId, str] = {}
    lines: list[Line] = []
    by_transaction: defaultdict[str, list[HubEvent]] = defaultdict(list)
    for event in events:
        if event.transaction in touched:
            by_transaction[event.transaction].append(event)
    for group in by_transaction.values():
        names = {event.name for event in group}
        for event in group:
            fields = event.fields
            if event.name == "TaskContribute":
                hashes[(fields["taskid"], fields["worker"])] = fields["hash"]
            elif event.name == "TaskConsensus":
                consensus[fields["taskid"]] = fields["consensus"]
        faulty = {event.fields["worker"] for event in group if event.name == "FaultyContribution"}
        for position, event in enumerate(group):
            fields = event.fields
            about = fields.get("ref") or _task_of(group[position:])
            match event.name:
                case "Lock" if fields["owner"] != KITTY_ADDRESS:
                    staked = "TaskContribute" in names
                    movement, reason = (
                        Movement.LOCKED,
                        "stake on a contribution" if staked else "price or stake of a deal",
                    )
                case "Unlock":
                    claimed = "TaskClaimed" in names
                    movement, reason = Movement.UNLOCKED, "claimed back" if claimed else "stake given back"
                case "Reward":
                    movement = Movement.EARNED
                    reason = "slashed stake, kept for good" if fields["owner"] == KITTY_ADDRESS else "reward"
                case "Seize" if about and fields["owner"] in faulty:
                    won = consensus.get(about, "")
                    movement, reason = Movement.LOST, _reason_of_loss(fields["owner"], about, hashes, won)
                case "Seize" if "TaskClaimed" in names:
                    movement, reason = Movement.LOST, "the task was not completed in time"
                case "Seize":
                    movement, reason = Movement.PAID, "price of the result"
                case _:
                    continue
            lines.append(
                Line(fields["owner"], movement, fields["amount"], reason, about, event.transaction, event.block)
            )
    return lines
