"""Whether an application computes the same result twice, before anyone stakes on it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import anyio.to_thread

from pyiexec.protocol import ids
from pyiexec.protocol.authorization import WorkerpoolAuthorization
from pyiexec.protocol.deals import Deal
from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.params import split_arguments
from pyiexec.protocol.primitives import NULL_ADDRESS, NULL_BYTES32, DealId, ResultDigest
from pyiexec.protocol.results import result_digest
from pyiexec.worker import environment
from pyiexec.worker.runtimes.base import RunOutcome, RunRequest, Runtime, limits_for, seed_for_task
from pyiexec.worker.runtimes.registry import load_runtimes, runtime_for

#: The task that is run: the first of a deal of one.
_DEAL = Deal(bot_size=1)
_DEAL_ID = DealId(NULL_BYTES32)
_TASK = WorkerpoolAuthorization(
    worker=NULL_ADDRESS, task_id=ids.task_id(_DEAL_ID, 0), deal_id=_DEAL_ID, index=0, signature="0x"
)

#: Times of the input files in the two runs, seconds since the Unix epoch: 2001 and 2033.
_FILE_TIMES = (1_000_000_000, 2_000_000_000)


@dataclass(frozen=True, kw_only=True, slots=True)
class AppCheck:
    """What two runs agreed on.

    Attributes:
        digest: what workers would vote for.
        files: what the application left in its output folder, voted on or not.
        seconds: the longer run's wall time.
        fuel_used: metered instructions of one run; what a category must have.
    """

    digest: ResultDigest
    files: Mapping[str, bytes]
    seconds: float
    fuel_used: int


async def run_app_twice(
    app: bytes,
    arguments: str,
    inputs: Mapping[str, bytes],
    *,
    seconds: int,
    callback: bool = False,
    runtimes: Iterable[Runtime] | None = None,
) -> AppCheck:
    """Run an application twice as two workers would run one task, and compare what they would vote for.

    The second run finds its inputs in another folder, created in the opposite order and with other times, and starts
    later on the host's clock.

    Args:
        app: its content.
        arguments: its command line.
        inputs: content of each input file by its URL, in their order; a name will do for one.
        seconds: time of the category it is to run in.
        callback: whether its deals have a callback, whose data is then what is voted on.
        runtimes: the worker's; those installed if None.

    Raises:
        IexecError: ``APP_NOT_DETERMINISTIC`` when the runs differ, the cause (``APP_...``) of one that failed,
            ``BAD_PARAMS`` for an ill-formed command line, ``BAD_RESULT`` when there is to be callback data and is none.
    """
    installed = load_runtimes() if runtimes is None else ()
    try:
        for loaded in installed:
            await loaded.open()
        runtime = runtime_for(installed if runtimes is None else runtimes, "the file given", app)
        with tempfile.TemporaryDirectory(prefix="pyiexec-check-") as scratch:
            first, second = [
                await _run(runtime, Path(scratch, f"run-{turn}"), app, arguments, inputs, seconds, turn)
                for turn in range(2)
            ]
    finally:
        for loaded in installed:
            await loaded.close()
    (outcome, files), (other_outcome, other_files) = first, second
    digest = result_digest(files, callback=callback)
    if digest != result_digest(other_files, callback=callback):
        names = sorted(name for name in files.keys() | other_files.keys() if files.get(name) != other_files.get(name))
        raise IexecError("APP_NOT_DETERMINISTIC", f"two runs on the same input differ in {', '.join(names[:5])}")
    seconds_taken = max(outcome.seconds, other_outcome.seconds)
    return AppCheck(digest=digest, files=files, seconds=seconds_taken, fuel_used=outcome.fuel_used)


async def _run(
    runtime: Runtime, folder: Path, app: bytes, arguments: str, inputs: Mapping[str, bytes], seconds: int, turn: int
) -> tuple[RunOutcome, dict[str, bytes]]:
    request = RunRequest(
        app=app,
        args=split_arguments(arguments),
        environment=environment.variables(_TASK, _DEAL, list(inputs)),
        input_dir=folder / "in",
        output_dir=folder / "out",
        limits=limits_for(seconds),
        seed=seed_for_task(_TASK.task_id),
    )
    await anyio.to_thread.run_sync(_write, request.input_dir, inputs, turn)
    outcome = await runtime.run(request)
    outcome.raise_for_failure()
    return outcome, await anyio.to_thread.run_sync(_read, request.output_dir)


def _write(folder: Path, inputs: Mapping[str, bytes], turn: int) -> None:
    folder.mkdir(parents=True)
    for url in list(inputs)[:: -1 if turn else 1]:
        path = folder / environment.input_name(url)
        path.write_bytes(inputs[url])
        os.utime(path, (_FILE_TIMES[turn], _FILE_TIMES[turn]))


def _read(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
