"""What a worker says that it offers: what the machine has, as far as its owner lends it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from pyiexec.foundation.clock import Clock
from pyiexec.protocol import limits
from pyiexec.protocol.messages import Capabilities
from pyiexec.worker.disk import Disk
from pyiexec.worker.machine import Machine
from pyiexec.worker.runtimes.base import GpuLender, Runtime
from pyiexec.worker.settings import WorkerSettings

#: Checksums announced as at hand, the most recent ones.
_ANNOUNCED = 256
#: Seconds between two looks at the disk, which other programs fill, too.
LOOK_SECONDS = 60.0


def lent(settings: WorkerSettings, machine: Machine, runtimes: Sequence[Runtime]) -> Machine:
    """What of the machine is lent: what there is, or what the settings say if that is less.

    GPUs are lent where a runtime hands them to applications.
    """
    gpus = machine.gpus if any(isinstance(r, GpuLender) and r.lends_gpus for r in runtimes) else 0
    memory = [size for size in (machine.memory_bytes, settings.memory_bytes) if size is not None]
    return Machine(
        cpus=machine.cpus if settings.cpus is None else min(machine.cpus, settings.cpus),
        memory_bytes=min(memory, default=None),
        gpus=gpus if settings.gpus is None else min(gpus, settings.gpus),
    )


class Offering:
    """What one worker offers.

    Args:
        lent: of the machine.
        slots: tasks at a time that are taken now.
        held: checksums of what it holds, the newest last.
    """

    def __init__(
        self,
        lent: Machine,
        disk: Disk,
        runtimes: Sequence[Runtime],
        slots: Callable[[], int],
        held: Callable[[], Collection[str]],
    ) -> None:
        self._lent = lent
        self._disk = disk
        self._runtimes = [runtime.name for runtime in runtimes]
        self._slots = slots
        self._held = held
        self._said: int | None = None

    async def say(self) -> Capabilities:
        """What is offered now."""
        disk = await self._disk.lent()
        self._said = disk
        return Capabilities(
            slots=self._slots(),
            runtimes=self._runtimes,
            cached=list(self._held())[-_ANNOUNCED:],
            cpus=self._lent.cpus,
            memory_bytes=self._lent.memory_bytes,
            disk_bytes=disk,
            gpus=self._lent.gpus,
        )

    async def run(self, changed: Callable[[], None], clock: Clock) -> None:
        """Tell, until cancelled, when the disk has room for another number of tasks than was said."""
        while True:
            await clock.sleep(LOOK_SECONDS)
            if self._said is not None and _tasks(await self._disk.lent()) != _tasks(self._said):
                changed()


def _tasks(disk_bytes: int) -> int:
    return disk_bytes // limits.DISK_BYTES
