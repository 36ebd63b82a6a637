"""Deadlines in chain time: who waits for what hour."""

from __future__ import annotations

import heapq

from pyiexec.chain.chain_time import ChainTime
from pyiexec.protocol.primitives import TaskId

__all__ = ["ChainTime", "Timers"]


class Timers:
    """At most one hour for each task."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, TaskId]] = []
        self._hours: dict[TaskId, int] = {}

    def put(self, task_id: TaskId, hour: int | None) -> bool:
        """Wake the task at `hour`, or never; whether the earliest hour of all may have changed."""
        if self._hours.get(task_id) == hour:
            return False
        if hour is None:
            del self._hours[task_id]
            return False
        self._hours[task_id] = hour
        heapq.heappush(self._heap, (hour, task_id))
        return self._heap[0] == (hour, task_id)

    def earliest(self) -> int | None:
        """The next hour at which somebody is to be woken."""
        while self._heap:
            hour, task_id = self._heap[0]
            if self._hours.get(task_id) == hour:
                return hour
            heapq.heappop(self._heap)
        return None

    def take_due(self, now: int) -> list[TaskId]:
        """Remove and give those whose hour has come."""
        due = []
        while (hour := self.earliest()) is not None and hour <= now:
            _, task_id = heapq.heappop(self._heap)
            del self._hours[task_id]
            due.append(task_id)
        return due
