"""What the rules ask of the service for one task.

Commands to workers are recorded in the state when they are decided, so they are decided once. The others are decided
again and again while the state asks for them: whoever carries them out drops what is under way already.
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from pyiexec.protocol.primitives import Address, ResultHash


class AssignReplicas(msgspec.Struct, frozen=True):
    """Give the task to `count` more workers, as they become free."""

    count: int


class AssignHedge(msgspec.Struct, frozen=True):
    """Give the task to one more worker beside those it waits for, if one is free that no other task wants."""


class SendReveal(msgspec.Struct, frozen=True):
    """Tell a winner to reveal."""

    worker: Address
    consensus: ResultHash


class RequestUpload(msgspec.Struct, frozen=True):
    """Tell a winner to upload the result."""

    worker: Address


class SendComplete(msgspec.Struct, frozen=True):
    """Tell a worker that the task is over."""

    worker: Address


class SendAbort(msgspec.Struct, frozen=True):
    """Tell a worker to stop."""

    worker: Address
    reason: str


class VerifyUpload(msgspec.Struct, frozen=True):
    """Fetch what a worker uploaded and compare it with the consensus."""

    worker: Address
    location: str
    consensus: ResultHash


class AskEnclave(msgspec.Struct, frozen=True):
    """Have the SMS name the account of the task's enclaves."""


class SubmitInitialize(msgspec.Struct, frozen=True):
    """Open the task on chain."""


class SubmitFinalize(msgspec.Struct, frozen=True):
    """Settle the task on chain with the result at `location`."""

    location: str
    callback_data: bytes = b""


class SubmitReopen(msgspec.Struct, frozen=True):
    """Throw an unrevealed consensus away on chain."""

    consensus: ResultHash


class SubmitClaim(msgspec.Struct, frozen=True):
    """Refund the task on chain; with `initialize` it was never opened."""

    initialize: bool = False


class ReadChain(msgspec.Struct, frozen=True):
    """Read the chain's record before a deadline is declared missed."""


WorkerCommand: TypeAlias = SendReveal | RequestUpload | SendComplete | SendAbort
ChainCommand: TypeAlias = SubmitInitialize | SubmitFinalize | SubmitReopen | SubmitClaim
Command: TypeAlias = AssignReplicas | AssignHedge | WorkerCommand | VerifyUpload | AskEnclave | ChainCommand | ReadChain
