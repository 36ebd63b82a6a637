"""Events of accounts: what they have, and what is frozen of it."""

from __future__ import annotations

from typing import Any

from pyiexec.indexer.events import Event
from pyiexec.indexer.handlers.context import Context
from pyiexec.protocol.primitives import NULL_ADDRESS


def transfer(context: Context, event: Event) -> None:
    """A movement between accounts; from and to nowhere are deposits and withdrawals."""
    sender, receiver, value = event.fields["from"], event.fields["to"], event.fields["value"]
    if sender == NULL_ADDRESS:
        context.protocol()["tvl"] += value
    else:
        context.account(sender)["balance"] -= value
    if receiver == NULL_ADDRESS:
        context.protocol()["tvl"] -= value
    else:
        context.account(receiver)["balance"] += value
    places = {"from": context.id_of(sender), "to": context.id_of(receiver)}
    context.record("transfers", event, **places, value=value)


def lock(context: Context, event: Event) -> None:
    """Money of an account is held by a deal or task."""
    _freeze(context, event, event.fields["amount"])


def unlock(context: Context, event: Event) -> None:
    """Money held is free again."""
    _freeze(context, event, -event.fields["amount"])


def seize(context: Context, event: Event) -> None:
    """Money held is lost."""
    _freeze(context, event, -event.fields["amount"], task=event.fields["ref"])


def _freeze(context: Context, event: Event, change: int, **columns: Any) -> None:
    owner, amount = event.fields["owner"], event.fields["amount"]
    context.account(owner)["frozen"] += change
    context.record("account_events", event, event.name, account=owner, value=amount, **columns)


def reward(context: Context, event: Event) -> None:
    """Somebody was paid for a task; the money came with a ``Transfer``."""
    owner = context.id_of(event.fields["owner"])
    amount, task = event.fields["amount"], event.fields["ref"]
    context.record("account_events", event, event.name, account=owner, value=amount, task=task)
