"""Commands about the chain are decided again and again, and carried out once, unless the chain goes back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tests.unit.scheduler.model import address, fresh, result

from pyiexec.protocol.primitives import TaskId
from pyiexec.scheduler import commands as c
from pyiexec.scheduler.jobs import JobQueue, Tracked

FINALIZE = c.SubmitFinalize("/ipfs/x")
VERIFY = c.VerifyUpload(address(1), "/ipfs/x", result("right"))


class Work:
    """Notes what is asked of it."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def finalize(self, *_arguments: Any) -> None:
        self.asked.append("finalize")

    def verify(self, *_arguments: Any) -> None:
        self.asked.append("verify")


def carried_out(tracked: Tracked, *commands: c.Command) -> list[str]:
    queue, work = JobQueue(), Work()
    for command in commands:
        queue.want(tracked, command)

    def read_chain(_task_ids: Sequence[TaskId], _job: object) -> None:
        work.asked.append("read")

    # No ChainWork, which needs a chain: this one notes what of it is called.
    queue.start(work, read_chain)  # type: ignore[arg-type]
    return work.asked


def test_a_command_under_way_is_not_carried_out_again() -> None:
    tracked = Tracked(fresh())
    assert carried_out(tracked, FINALIZE, VERIFY, FINALIZE) == ["finalize", "verify"]
    assert carried_out(tracked, FINALIZE, VERIFY) == []


def test_after_a_reorganisation_nothing_on_chain_counts_as_done() -> None:
    tracked = Tracked(fresh())
    carried_out(tracked, FINALIZE, VERIFY)
    tracked.doubt()
    assert carried_out(tracked, FINALIZE, VERIFY) == ["finalize"]
