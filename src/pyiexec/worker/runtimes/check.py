"""Whether an application computes the same result twice, before anyone stakes on it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import anyio.to_thread

from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.primitives import ResultDigest
from pyiexec.protocol.results import result_digest
from pyiexec.worker.runtimes.base import RunOutcome, RunRequest, Runtime

#: Times given to the inputs of the two runs, seconds since the Unix epoch: 2001 and 2033.
_TIMES = (1_000_000_000, 2_000_000_000)


@dataclass(frozen=True, kw_only=True, slots=True)
class AppCheck:
    """Two runs of one application on the same task, as two workers would make them.

    Attributes:
        runs: how each ended.
        digests: what each worker would vote for; None after a failure.
        differing: files whose content differs or that only one run wrote, whether or not they are voted on.
    """

    runs: tuple[RunOutcome, RunOutcome]
    digests: tuple[ResultDigest | None, ResultDigest | None]
    differing: tuple[str, ...]

    @property
    def deterministic(self) -> bool:
        """Whether both runs succeeded with the same digest."""
        first, second = self.digests
        return first is not None and first == second

    def raise_for_failure(self) -> None:
        """Turn a bad check into an exception.

        Raises:
            IexecError: the failed run's cause, or ``APP_NOT_DETERMINISTIC``.
        """
        for run in self.runs:
            run.raise_for_failure()
        if not self.deterministic:
            files = ", ".join(self.differing[:5])
            raise IexecError("APP_NOT_DETERMINISTIC", f"two runs on the same input differ in {files}")


async def run_app_twice(runtime: Runtime, request: RunRequest, *, callback: bool = False) -> AppCheck:
    """Run an application twice under circumstances in which two workers may differ, and compare.

    The second run finds its inputs in another folder, created in the opposite order and with other times, and starts
    later on the host's clock. The task, and with it the seed, is the same. `request.output_dir` gets the first run's
    result.

    Args:
        runtime: what runs it.
        request: the run.
        callback: whether the task's deal has a callback, whose data is then what is voted on.

    Raises:
        IexecError: ``BAD_RESULT`` when there is to be callback data and the application gave none.
    """
    with tempfile.TemporaryDirectory(prefix="pyiexec-check-") as name:
        scratch = Path(name)
        first = replace(request, input_dir=scratch / "in-1")
        second = replace(request, input_dir=scratch / "in-2", output_dir=scratch / "out-2")

        def prepare() -> None:
            files = _read(request.input_dir)
            for run, names, moment in zip((first, second), (sorted(files), sorted(files)[::-1]), _TIMES, strict=True):
                _write(run.input_dir, {name: files[name] for name in names}, moment)

        await anyio.to_thread.run_sync(prepare)
        runs = (await runtime.run(first), await runtime.run(second))

        def collect() -> list[dict[str, bytes]]:
            folders = (first.output_dir, second.output_dir)
            return [_read(at) if run.cause is None else {} for at, run in zip(folders, runs, strict=True)]

        one, other = await anyio.to_thread.run_sync(collect)
    digests = [
        result_digest(files, callback=callback) if run.cause is None else None
        for files, run in zip((one, other), runs, strict=True)
    ]
    differing = tuple(sorted(name for name in one.keys() | other.keys() if one.get(name) != other.get(name)))
    return AppCheck(runs=runs, digests=(digests[0], digests[1]), differing=differing)


def _read(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def _write(folder: Path, files: Mapping[str, bytes], moment: int) -> None:
    folder.mkdir()
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        os.utime(path, (moment, moment))
