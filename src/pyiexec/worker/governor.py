"""The worker's shell around `presence`: looks at the machine, and has runs stand still, go on or be given back.

What is offered to the scheduler follows: no slots while the owner wants the machine, or while the disk is full.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

import anyio
import anyio.to_thread

from pyiexec.foundation.clock import Clock
from pyiexec.foundation.logs import get_logger
from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.primitives import TaskId
from pyiexec.worker import presence
from pyiexec.worker.computation import room_for
from pyiexec.worker.disk import Disk
from pyiexec.worker.presence import Mode, Observation, Presence
from pyiexec.worker.record import TaskRecord
from pyiexec.worker.runtimes.base import Metered
from pyiexec.worker.runtimes.suspension import Suspension
from pyiexec.worker.sensors import Sensors
from pyiexec.worker.settings import WorkerSettings

log = get_logger(__name__)


class Computing(Protocol):
    """The tasks that a governor has power over."""

    def computing(self) -> Iterable[tuple[TaskRecord, float]]:
        """Those being computed, and for how long each of their applications may run."""
        ...

    def give_back(self, task_id: TaskId, cause: str, message: str) -> None:
        """Compute one no further."""
        ...


class Governor:
    """Decides for one worker whether it works.

    Args:
        on_offer: called when what the worker offers has changed.
        runtimes: those that tell what runs outside of this process and its children.

    Attributes:
        presence: what follows from all that was seen.

    Raises:
        IexecError: ``BAD_SETTINGS``.
    """

    def __init__(
        self,
        settings: WorkerSettings,
        sensors: Sensors,
        suspension: Suspension,
        disk: Disk,
        clock: Clock,
        on_offer: Callable[[], None],
        runtimes: Sequence[Metered] = (),
    ) -> None:
        self._runtimes = runtimes
        self._settings = settings
        self._policy = settings.presence_policy()
        self._sensors = sensors
        self._suspension = suspension
        self._disk = disk
        self._clock = clock
        self._on_offer = on_offer
        self._offered = settings.slots
        self._looked = False
        self._wanted = anyio.Event()
        self.presence = Presence(Mode.RUN)
        disk.on_full = self.look_soon

    @property
    def slots(self) -> int:
        """Tasks at a time that are taken now."""
        return self._settings.slots if self.presence.mode is Mode.RUN and not self._disk.full else 0

    def admit(self) -> None:
        """Let a task begin.

        Raises:
            IexecError: ``WORKER_SUSPENDED``.
        """
        if self.presence.mode is not Mode.RUN:
            raise IexecError("WORKER_SUSPENDED", f"no task is begun: {self.presence.explain()}")

    def look_soon(self) -> None:
        """Look again without waiting for the time to come."""
        self._wanted.set()

    async def begin(self) -> None:
        """Look for the first time, before any task is taken.

        Raises:
            IexecError: ``BAD_SETTINGS`` when something is asked for that this machine does not tell.
        """
        if self._policy.is_always:
            return
        seen = await self._observe()
        if self._policy.input_idle_seconds and seen.input_idle is None:
            raise IexecError("BAD_SETTINGS", "input_idle_seconds: this machine does not tell when it was last used")
        self._follow(seen)
        self._offered = self.slots

    async def run(self, tasks: Computing) -> None:
        """Look at the machine until cancelled."""
        while True:
            await self._pause()
            if not self._policy.is_always:
                self._follow(await self._observe())
                self._give_back(tasks)
            await self._disk.look_again(room_for(0))
            if self.slots != self._offered:
                self._offered = self.slots
                self._on_offer()

    async def _observe(self) -> Observation:
        elsewhere: float | None = 0.0
        for runtime in self._runtimes:
            used = await runtime.processor_seconds()
            elsewhere = None if used is None or elsewhere is None else elsewhere + used
        return await anyio.to_thread.run_sync(self._sensors.observe, self._clock.now(), elsewhere)

    def _follow(self, seen: Observation) -> None:
        before = self.presence if self._looked else None
        self._looked = True
        self.presence = presence.observe(before, self._policy, seen, self._clock.monotonic())
        mode = self.presence.mode
        if before is None or mode is not before.mode:
            log.info("presence", mode=str(mode), because=self.presence.explain() or None)
        if mode is Mode.PAUSE:
            self._suspension.impose()
        else:
            self._suspension.lift()

    def _give_back(self, tasks: Computing) -> None:
        if self.presence.mode is not Mode.PAUSE:
            return
        paused_for = self._clock.monotonic() - self.presence.since
        for record, may_take in list(tasks.computing()):
            if presence.is_to_be_given_back(
                paused_for=paused_for,
                longest_pause=self._settings.longest_pause_seconds,
                time_left=record.contribution_deadline - self._clock.now(),
                may_take=may_take,
            ):
                why = f"it stood still for {paused_for:.0f} s: {self.presence.explain()}"
                tasks.give_back(record.task_id, "WORKER_SUSPENDED", why)

    async def _pause(self) -> None:
        """Wait until it is time to look, or somebody asks for it."""
        if self._policy.is_always and not self._disk.full:
            await self._wanted.wait()
        else:
            async with anyio.create_task_group() as group:

                async def tick() -> None:
                    await self._clock.sleep(self._settings.check_seconds)
                    group.cancel_scope.cancel()

                group.start_soon(tick)
                await self._wanted.wait()
                group.cancel_scope.cancel()
        self._wanted = anyio.Event()
