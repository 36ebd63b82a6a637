"""Progress of a bag of tasks in the terminal."""

from __future__ import annotations

from types import TracebackType

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from pyiexec.cli.reporting import console, wants_json
from pyiexec.protocol.primitives import TaskId
from pyiexec.sdk.deals import TaskUpdate

#: What the bars count, in the order in which a task passes them.
STEPS = {
    "TaskInitialize": "initialized",
    "TaskConsensus": "agreed",
    "TaskFinalize": "finalized",
}


class TaskProgress:
    """A bar for each step of a bag of `volume` tasks, and counts of contributions and revelations."""

    def __init__(self, volume: int) -> None:
        screen = console()
        self._progress = Progress(
            TextColumn("{task.description:<12}"),
            BarColumn(bar_width=40),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}"),
            TimeElapsedColumn(),
            console=screen,
            disable=wants_json() and not screen.is_terminal,
        )
        self._bars = {event: self._progress.add_task(title, total=volume, note="") for event, title in STEPS.items()}
        self._reached: dict[str, set[TaskId]] = {event: set() for event in STEPS}
        self._contributions = 0
        self._reveals = 0

    def __enter__(self) -> TaskProgress:
        self._progress.start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def show(self, update: TaskUpdate) -> None:
        """Take one update into account."""
        if update.event == "TaskContribute":
            self._contributions += 1
        elif update.event == "TaskReveal":
            self._reveals += 1
        elif update.event in self._reached:
            self._reached[update.event].add(update.task_id)
        elif update.event == "TaskReopen":
            self._reached["TaskConsensus"].discard(update.task_id)
        for event, bar in self._bars.items():
            self._progress.update(bar, completed=len(self._reached[event]))
        note = f"{self._contributions} contributions, {self._reveals} revealed"
        self._progress.update(self._bars["TaskConsensus"], note=note)

    def say(self, text: str) -> None:
        """Print a line above the bars."""
        self._progress.console.print(text, soft_wrap=True, markup=False)
