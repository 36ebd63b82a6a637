"""The process of a `Cell`: one lane, serving one run at a time until its worker is gone.

Standard input and output are the worker's pipes. Standard error is the worker's own, for what nobody expects.
"""

from __future__ import annotations

import os
import queue
import sys
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from pyiexec.protocol.errors import IexecError
from pyiexec.worker.runtimes.base import RunRequest, StreamName
from pyiexec.worker.runtimes.cell_messages import (
    Answer,
    Ended,
    Failed,
    Printed,
    Run,
    Started,
    frame,
    read_question,
)
from pyiexec.worker.runtimes.lane import Interruption, Lane
from pyiexec.worker.runtimes.modules import ModuleCache, variant
from pyiexec.worker.runtimes.wasm import never_ran, source_of

Tell = Callable[[Answer], None]


class _Told(Interruption):
    """Tells the worker when the application starts: its time is measured there, where it is known to stand still."""

    def __init__(self, interrupt: Callable[[], None], tell: Tell) -> None:
        super().__init__(interrupt, time.monotonic)
        self._tell = tell

    def start(self) -> None:
        super().start()
        self._tell(Started())


def main(cache_dir: str) -> None:
    """Serve runs; `cache_dir` is where compiled modules are kept, empty for nowhere."""
    questions, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb", buffering=0)
    # Whatever else would be printed must not mix with the answers.
    os.dup2(2, 1)

    def tell(answer: Answer) -> None:
        _write(answers, frame(answer))

    lane = Lane(ModuleCache(Path(cache_dir) if cache_dir else None, variant()))
    runs: queue.SimpleQueue[tuple[Run, _Told]] = queue.SimpleQueue()

    def listen() -> None:
        current: _Told | None = None
        try:
            while (question := read_question(questions)) is not None:
                if isinstance(question, Run):
                    current = _Told(lane.interrupt, tell)
                    runs.put((question, current))
                elif current is not None:
                    current.interrupt()
        except Exception:
            # Told on the worker's standard error; to the worker the process has ended, which is an error of its own.
            traceback.print_exc()
        # Nobody is there any more who could be answered.
        os._exit(1)

    threading.Thread(target=listen, daemon=True).start()
    while True:
        run, interruption = runs.get()
        answer = _serve(lane, run, interruption, tell)
        # Disarmed before the answer: what is said from now on is about the next run.
        interruption.disarm()
        tell(answer)


def _serve(lane: Lane, run: Run, interruption: _Told, tell: Tell) -> Answer:
    def printed(stream: StreamName, content: bytes) -> None:
        tell(Printed(stream, content))

    request = RunRequest(
        app=run.content if run.app is None else Path(run.app),
        args=run.args,
        environment=run.environment,
        input_dir=Path(run.input_dir),
        output_dir=Path(run.output_dir),
        limits=run.limits,
        seed=run.seed,
        on_output=printed,
    )
    try:
        return Ended(lane.run(lane.prepare(*source_of(request.app)), request, interruption))
    except IexecError as error:
        return Ended(never_ran(error)) if error.code == "APP_INVALID_MODULE" else Failed(error.code, error.what)
    except Exception as error:
        return Failed("", f"{type(error).__name__}: {error}")


def _write(pipe: BinaryIO, content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[pipe.write(view) :]


if __name__ == "__main__":
    main(sys.argv[1])
