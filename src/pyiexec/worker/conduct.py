"""How an honest worker votes; `behaviours` has the others."""

from __future__ import annotations

from collections.abc import Mapping

from pyiexec.protocol import ids
from pyiexec.protocol.primitives import Address, ResultDigest, ResultHash, ResultSeal, TaskId


class Conduct:
    """The points at which a worker could cheat, done honestly.

    Attributes:
        reveals: whether it reveals its vote when the chain agreed with it.
    """

    reveals: bool = True

    async def shortcut(self, _task_id: TaskId) -> ResultHash | None:
        """A vote come by without computing; None: there is no honest one."""
        return None

    def answer(self, files: Mapping[str, bytes], _task_id: TaskId) -> dict[str, bytes]:
        """The result to vote for, given what the application wrote."""
        return dict(files)

    def seal(self, worker: Address, task_id: TaskId, digest: ResultDigest | None) -> ResultSeal:
        """The proof that this worker itself knows the result."""
        assert digest is not None, "an honest vote has been computed"
        return ids.result_seal(worker, task_id, digest)
