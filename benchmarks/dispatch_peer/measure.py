"""How long an idle Dask worker of one thread waits for its next task, in seconds, as a JSON list.

From the moment the worker's state machine has a result to the moment it knows of the next task: threads and the
deserialisation of functions are not counted. Scheduler and worker are processes of their own. Run by `dispatch.py`
with Dask's own Python: ``measure.py SHAPE TASKS SECONDS``. In a `chain` each task needs the one before, in a `bag`
none does.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

from distributed import Client, Event, WorkerPlugin
from distributed.deploy.subprocess import SubprocessCluster


class Stopwatch(WorkerPlugin):
    """Follows the worker's tasks."""

    name = "stopwatch"

    def setup(self, worker: Any) -> None:
        """Begin."""
        self.idle_since: float | None = None
        self.waited: list[float] = []

    def transition(self, key: Any, start: str, finish: str, **_more: Any) -> None:
        """A task has changed its state."""
        if start == "executing" and finish == "memory":
            self.idle_since = time.perf_counter()
        elif start == "released" and finish in ("waiting", "ready") and self.idle_since is not None:
            self.waited.append(time.perf_counter() - self.idle_since)
            self.idle_since = None


def first() -> int:
    """Ends when all tasks are with the scheduler."""
    Event("go").wait()
    return 0


def work(number: int, seconds: float, _former: int | None = None) -> int:
    """A task of some duration, in which the connection's batches become due again."""
    time.sleep(seconds)
    return number


def waits(shape: str, tasks: int, seconds: float) -> list[float]:
    """What the worker waited for each task but the first."""
    with (
        SubprocessCluster(n_workers=1, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        client.register_plugin(Stopwatch())
        gate = client.submit(first, pure=False)
        futures = []
        for number in range(tasks):
            former = (futures[-1] if futures else gate) if shape == "chain" else None
            futures.append(client.submit(work, number, seconds, former, pure=False))
        # Answered after all that was sent before.
        client.run_on_scheduler(lambda: None)
        Event("go").set()
        client.gather(futures[-1] if shape == "chain" else futures)
        [found] = client.run(lambda dask_worker: dask_worker.plugins["stopwatch"].waited).values()
    return list(found)


if __name__ == "__main__":
    print(json.dumps(waits(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]))))
