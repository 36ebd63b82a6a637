"""What a worker remembers of a task it takes part in."""

from __future__ import annotations

from typing import Literal

import msgspec

from pyiexec.protocol.authorization import WorkerpoolAuthorization
from pyiexec.protocol.primitives import ResultDigest, ResultHash, TaskId
from pyiexec.protocol.replicates import FINAL, ReplicateStatus
from pyiexec.protocol.traces import TraceId, trace_of

Mode = Literal["contribute", "contribute_and_finalize"]


class TaskRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One replicate as its worker sees it; all of it survives a crash.

    Attributes:
        contribution_deadline: seconds of chain time, as the scheduler said.
        status: last step done, and reported.
        digest: of the result; None before it is computed, and for a vote that was not computed.
        result_hash: the vote, cast or about to be.
        location: of the uploaded archive, for example ``/ipfs/Qm…``.
        must_reveal: the chain agreed with the vote: reveal it and upload the result.
        stopping: why the work is being given up, until it has stopped.
        final_deadline: seconds of chain time from which the task may be claimed; 0 until it is known.
        transaction: hash of the last transaction of the task.
        cause: why it failed, a code of the error catalogue.
    """

    authorization: WorkerpoolAuthorization
    mode: Mode
    contribution_deadline: int
    status: ReplicateStatus = ReplicateStatus.CREATED
    digest: ResultDigest | None = None
    result_hash: ResultHash | None = None
    location: str | None = None
    must_reveal: bool = False
    stopping: str | None = None
    final_deadline: int = 0
    transaction: str | None = None
    cause: str | None = None
    message: str = ""
    exit_code: int | None = None

    @property
    def trace(self) -> TraceId:
        """Of its deal."""
        return trace_of(self.authorization.deal_id)

    @property
    def told(self) -> dict[str, str | None]:
        """What a line of the log says of it."""
        status, message = str(self.status), self.message or None
        return {"task": self.task_id, "status": status, "cause": self.cause, "message": message, "trace": self.trace}

    @property
    def task_id(self) -> TaskId:
        """The task."""
        return self.authorization.task_id

    @property
    def has_stake(self) -> bool:
        """Whether this worker's stake is locked in the task."""
        voted = (ReplicateStatus.CONTRIBUTED, ReplicateStatus.REVEALED, ReplicateStatus.RESULT_UPLOADED)
        return self.mode == "contribute" and self.status in voted and self.final_deadline > 0

    @property
    def closed(self) -> bool:
        """Whether nothing is left to do; the result is no longer kept then."""
        return self.status in FINAL
