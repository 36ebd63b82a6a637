"""What can happen to a task, seen from its scheduler. Times are seconds of chain time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

import msgspec

from pyiexec.protocol.messages import Progress
from pyiexec.protocol.primitives import Address, ResultDigest, ResultHash
from pyiexec.protocol.tasks import Contribution, Task


class Initialized(msgspec.Struct, frozen=True):
    """The chain opened the task for contributions, in this block if the log told."""

    block: int | None = None


class Contributed(msgspec.Struct, frozen=True):
    """The chain took a vote; `weight` is what the worker's reputation gave it."""

    worker: Address
    result: ResultHash
    weight: int


class ConsensusReached(msgspec.Struct, frozen=True):
    """The chain agreed on a result; its workers may reveal before `reveal_deadline`."""

    consensus: ResultHash
    reveal_deadline: int


class Revealed(msgspec.Struct, frozen=True):
    """A winner proved its vote on chain."""

    worker: Address
    digest: ResultDigest


class Reopened(msgspec.Struct, frozen=True):
    """The chain threw the consensus away because nobody revealed it."""


class Finalized(msgspec.Struct, frozen=True):
    """The chain settled the task; `results` is the link it stored."""

    results: bytes


class Claimed(msgspec.Struct, frozen=True):
    """The chain refunded the task."""


class Unsettled(msgspec.Struct, frozen=True):
    """A reorganisation undid the block that settled the task; what the chain makes of it now is still to be read."""


class ChainRead(msgspec.Struct, frozen=True):
    """The chain's record was read directly, at chain time `at`; `weights` are the voters' by their present scores."""

    task: Task
    contributions: Mapping[Address, Contribution]
    weights: Mapping[Address, int]
    at: int


class Assigned(msgspec.Struct, frozen=True):
    """A worker was given the task; as a hedge beside another that takes long."""

    worker: Address
    weight: int
    hedge: bool = False


class Reported(msgspec.Struct, frozen=True):
    """A worker reported."""

    worker: Address
    progress: Progress


class WorkerLost(msgspec.Struct, frozen=True):
    """A worker is out of reach."""

    worker: Address


class WorkerReturned(msgspec.Struct, frozen=True):
    """A worker is in reach again; with `forgot` it came without its memory of what it was told."""

    worker: Address
    forgot: bool = False


class UploadVerified(msgspec.Struct, frozen=True):
    """What the worker uploaded is the result the chain agreed on."""

    worker: Address
    location: str
    callback_data: bytes = b""


class UploadRefused(msgspec.Struct, frozen=True):
    """What the worker uploaded is something else, damaged, or nothing."""

    worker: Address
    location: str
    cause: str
    message: str


class EnclaveNamed(msgspec.Struct, frozen=True):
    """The SMS named the account of the task's enclaves."""

    challenge: Address


class EnclaveRefused(msgspec.Struct, frozen=True):
    """The SMS will name no account, or has not answered yet, in which case it is asked again."""

    cause: str
    message: str
    final: bool


class InitializeSent(msgspec.Struct, frozen=True):
    """The transaction that opens the task is on its way."""


class Ticked(msgspec.Struct, frozen=True):
    """Time has passed."""


ChainEvent: TypeAlias = (
    Initialized | Contributed | ConsensusReached | Revealed | Reopened | Finalized | Claimed | Unsettled | ChainRead
)
Event: TypeAlias = (
    ChainEvent
    | Assigned
    | Reported
    | WorkerLost
    | WorkerReturned
    | UploadVerified
    | UploadRefused
    | EnclaveNamed
    | EnclaveRefused
    | InitializeSent
    | Ticked
)
