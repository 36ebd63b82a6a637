"""Who lends machines: the honest, and those that the network has to live with."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, cast

from pyiexec.protocol.primitives import Address, ResultDigest, TaskId, bytes32, keccak256, to_bytes
from pyiexec.worker.behaviours import Copycat, Silent, falsify
from pyiexec.worker.conduct import Conduct


def right_result(task_id: TaskId) -> ResultDigest:
    """What every honest run of the task finds."""
    return _digest(_content(task_id))


def _content(task_id: TaskId) -> bytes:
    return f"the answer to {task_id} is {int(task_id, 16) % 1_000_003}\n".encode()


def _digest(content: bytes) -> ResultDigest:
    return ResultDigest(bytes32(keccak256(content)))


def _coin(purpose: bytes, task_id: TaskId) -> float:
    """Between 0 and 1, the same for all who ask for the same purpose and task."""
    return int.from_bytes(keccak256(purpose + to_bytes(task_id))[:8], "big") / 2**64


@dataclass(frozen=True)
class Character:
    """How a worker behaves.

    Attributes:
        lies: share of the tasks for which it gives a wrong result.
        ring: liars of one ring tell the same lie about the same tasks; the others lie each for itself.
        copies: it does not compute.
        slowness: how much longer it computes than others.
        crash_every: mean seconds between two crashes.
        away: longest time that a crash lasts; None for ever.
    """

    name: str
    lies: float = 0.0
    ring: bool = False
    copies: bool = False
    slowness: float = 1.0
    crash_every: float = 2_500.0
    away: float | None = 25.0
    conduct: Conduct = field(default_factory=Conduct)

    @property
    def honest(self) -> bool:
        """Whether it may count on keeping its stake: it computes, tells the truth and comes back soon."""
        return not self.lies and not self.copies and self.conduct.reveals and self.away is not None

    def answer(self, worker: Address, task_id: TaskId) -> ResultDigest:
        """The result that it votes for."""
        content = _content(task_id)
        who = b"ring" if self.ring else to_bytes(worker)
        if _coin(who, task_id) >= self.lies:
            return _digest(content)
        lie = falsify(content, task_id)
        return _digest(lie if self.ring else lie + to_bytes(worker))


HONEST = Character("honest")
LIAR = Character("liar", lies=1.0)
RING = Character("ring", lies=0.5, ring=True)
ERRATIC = Character("erratic", lies=0.2)
# It is given its votes by the simulation, which knows them; hub and watch are what it would look for them with.
COPYCAT = Character("copycat", copies=True, conduct=Copycat(cast("Any", None), cast("Any", None)))
SILENT = Character("silent", conduct=Silent())
CRASHER = Character("crasher", crash_every=40.0, away=50.0)
SLOW = Character("slow", slowness=20.0)
LEAVER = Character("leaver", crash_every=300.0, away=None)

#: A faulty fifth: for each hundred workers so many of each kind.
FAULTY = ((LIAR, 3), (RING, 4), (ERRATIC, 2), (COPYCAT, 3), (SILENT, 2), (CRASHER, 3), (SLOW, 2), (LEAVER, 1))


def population(workers: int) -> list[Character]:
    """`workers` characters, a fifth of them faulty in the proportions of `FAULTY`.

    Raises:
        ValueError: a crowd so small that not every kind is there would show nothing.
    """
    if workers % 20:
        raise ValueError("the number of workers must be a multiple of 20")
    faulty = [character for character, share in FAULTY for _ in range(share)]
    wanted = workers // 5
    chosen = [faulty[place * len(faulty) // wanted % len(faulty)] for place in range(wanted)]
    return chosen + [HONEST] * (workers - wanted)
