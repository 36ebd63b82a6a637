"""The services a local network is made of: their kinds, settings types and entry points."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from enum import StrEnum
from importlib import import_module
from typing import Any, NamedTuple

import msgspec

#: `serve(settings, ready=..., stop=...)` of a service.
Serve = Callable[..., Awaitable[None]]


class Kind(StrEnum):
    """What a part is."""

    MARKET = "market"
    RESULTS = "results"
    SCHEDULER = "scheduler"
    WORKER = "worker"
    SMS = "sms"
    COMPASS = "compass"
    INDEXER = "indexer"
    FAUCET = "faucet"
    KEEPER = "keeper"


class Part(NamedTuple):
    """One service of a network: a unique name, what it is, and its settings."""

    name: str
    kind: Kind
    settings: msgspec.Struct


_SETTINGS = {
    Kind.MARKET: "MarketSettings",
    Kind.RESULTS: "ResultsSettings",
    Kind.SCHEDULER: "SchedulerSettings",
    Kind.WORKER: "WorkerSettings",
    Kind.SMS: "SmsSettings",
    Kind.COMPASS: "CompassSettings",
    Kind.INDEXER: "IndexerSettings",
    Kind.FAUCET: "FaucetSettings",
    Kind.KEEPER: "KeeperSettings",
}


def settings_type(kind: Kind) -> type[msgspec.Struct]:
    """The settings struct of a kind of service."""
    found: type[msgspec.Struct] = getattr(import_module(f"pyiexec.{kind}.settings"), _SETTINGS[kind])
    return found


def entry_point(kind: Kind) -> Serve:
    """The coroutine function that runs a kind of service."""
    found: Any = import_module(f"pyiexec.{kind}.service").serve
    serve: Serve = found
    return serve
