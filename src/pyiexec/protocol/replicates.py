"""One worker's run of one task, as its scheduler follows it off chain.

The worker reports every step over an ordered channel, so a report may only take the next step. What is seen on chain
outranks reports: it may arrive before them, and it brings back a replicate that was given up too early.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from pyiexec.protocol.errors import IexecError


class ReplicateStatus(StrEnum):
    """How far a replicate has come."""

    CREATED = "CREATED"
    STARTED = "STARTED"
    APP_DOWNLOADED = "APP_DOWNLOADED"
    DATA_DOWNLOADED = "DATA_DOWNLOADED"
    COMPUTED = "COMPUTED"
    CONTRIBUTED = "CONTRIBUTED"
    REVEALED = "REVEALED"
    RESULT_UPLOADED = "RESULT_UPLOADED"
    CONTRIBUTE_AND_FINALIZE_DONE = "CONTRIBUTE_AND_FINALIZE_DONE"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    ABORTED = "ABORTED"
    WORKER_LOST = "WORKER_LOST"


_S = ReplicateStatus

#: Steps of the work, each with those that may be reported next.
_STEPS: Mapping[ReplicateStatus, frozenset[ReplicateStatus]] = {
    _S.CREATED: frozenset({_S.STARTED}),
    _S.STARTED: frozenset({_S.APP_DOWNLOADED}),
    _S.APP_DOWNLOADED: frozenset({_S.DATA_DOWNLOADED}),
    _S.DATA_DOWNLOADED: frozenset({_S.COMPUTED}),
    _S.COMPUTED: frozenset({_S.CONTRIBUTED, _S.CONTRIBUTE_AND_FINALIZE_DONE}),
    # The chain tells of a contribution finalized at once as of a contribution and a reveal first.
    _S.CONTRIBUTED: frozenset({_S.REVEALED, _S.CONTRIBUTE_AND_FINALIZE_DONE}),
    _S.REVEALED: frozenset({_S.RESULT_UPLOADED, _S.CONTRIBUTE_AND_FINALIZE_DONE, _S.COMPLETED}),
    _S.RESULT_UPLOADED: frozenset({_S.COMPLETED}),
    _S.CONTRIBUTE_AND_FINALIZE_DONE: frozenset({_S.COMPLETED}),
}
#: The steps before the vote: such a replicate may still contribute.
PENDING = frozenset({_S.CREATED, _S.STARTED, _S.APP_DOWNLOADED, _S.DATA_DOWNLOADED, _S.COMPUTED})
#: Ends from which only the chain brings a replicate back.
FINAL = frozenset({_S.COMPLETED, _S.FAILED, _S.ABORTED})
#: Replicates that brought nothing, or will not unless their worker returns: to be replaced.
GIVEN_UP = frozenset({_S.FAILED, _S.ABORTED, _S.WORKER_LOST})
#: Steps that the chain itself bears witness to.
ON_CHAIN = frozenset({_S.CONTRIBUTED, _S.REVEALED, _S.CONTRIBUTE_AND_FINALIZE_DONE})


def _followers(status: ReplicateStatus) -> frozenset[ReplicateStatus]:
    """Every step after `status`."""
    found: set[ReplicateStatus] = set()
    ahead = list(_STEPS.get(status, ()))
    while ahead:
        step = ahead.pop()
        if step not in found:
            found.add(step)
            ahead.extend(_STEPS.get(step, ()))
    return frozenset(found)


_LATER = {status: _followers(status) for status in _S}


def counts_as_pending(status: ReplicateStatus) -> bool:
    """Whether the replicate's vote is still expected."""
    return status in PENDING


def is_stale(current: ReplicateStatus, new: ReplicateStatus, *, on_chain: bool = False) -> bool:
    """Whether `new` changes nothing: it was known, the chain was faster, or the replicate had ended before.

    Such news is not an error where messages may come twice or late; it is dropped.
    """
    ended = current is _S.COMPLETED if on_chain else current in FINAL
    return ended or current is new or current in _LATER[new]


def _may_follow(current: ReplicateStatus, new: ReplicateStatus, on_chain: bool) -> bool:
    if on_chain:
        return new in ON_CHAIN and (current in GIVEN_UP or new in _LATER[current])
    if current in FINAL:
        return False
    if current is _S.WORKER_LOST:
        # The worker is back with its state; which step it had reached is its own to say.
        return new not in (_S.CREATED, _S.WORKER_LOST)
    return new in GIVEN_UP or new in _STEPS[current]


def advance(current: ReplicateStatus, new: ReplicateStatus, *, on_chain: bool = False) -> ReplicateStatus:
    """`new`, if it may follow `current`; `on_chain` says that it was seen there rather than reported.

    Raises:
        IexecError: ``BAD_TRANSITION``, also for news that `is_stale` and should have been dropped.
    """
    if not _may_follow(current, new, on_chain):
        raise IexecError(
            "BAD_TRANSITION", f"a replicate cannot go from {current} to {new}", current=str(current), new=str(new)
        )
    return new
