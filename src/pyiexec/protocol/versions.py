"""Which version of the worker channel two sides speak with each other, and which features both have.

Each side says a range of versions and the names of what else it can do. The highest version common to both is spoken,
and a feature is used only where both have it, so that either side may be upgraded first. Who says neither is of the
time before: it speaks one version, and has no feature that has a name.
"""

from __future__ import annotations

from typing import Annotated, NamedTuple

import msgspec
from msgspec import Meta

from pyiexec.protocol.errors import IexecError

#: The version of whoever does not say which it speaks.
UNSAID = 2
#: What a worker offers may change within a connection, by the message `Offer`.
OFFERS = "offers"

_Version = Annotated[int, Meta(ge=1, le=(1 << 31) - 1)]
_Feature = Annotated[str, Meta(max_length=64)]


class Speech(msgspec.Struct, frozen=True, kw_only=True):
    """What one side speaks: all versions from `lowest` to `highest`, and the names of its features."""

    lowest: _Version
    highest: _Version
    features: Annotated[tuple[_Feature, ...], Meta(max_length=256)] = ()

    def __post_init__(self) -> None:
        if self.lowest > self.highest:
            raise ValueError(f"versions from {self.lowest} to {self.highest} are none")

    def __str__(self) -> str:
        if self.lowest == self.highest:
            return f"version {self.lowest}"
        return f"versions {self.lowest} to {self.highest}"


#: What this version of pyiexec speaks.
SPEECH = Speech(lowest=2, highest=2, features=(OFFERS,))


class Dialect(NamedTuple):
    """What two sides speak with each other."""

    version: int
    features: frozenset[str]


def unsaid(version: int = UNSAID) -> Speech:
    """The speech of a side that names at most a single version."""
    return Speech(lowest=version, highest=version)


def agree(scheduler: Speech, worker: Speech) -> Dialect:
    """What a scheduler and a worker speak with each other.

    Raises:
        IexecError: ``VERSION_MISMATCH`` when they have no version in common.
    """
    version = min(scheduler.highest, worker.highest)
    if version < max(scheduler.lowest, worker.lowest):
        raise IexecError(
            "VERSION_MISMATCH", f"of the worker channel the scheduler speaks {scheduler}, the worker {worker}"
        )
    return Dialect(version, frozenset(scheduler.features) & frozenset(worker.features))
