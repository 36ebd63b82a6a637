"""What the worker asks of a runtime and what it gets back, whatever kind of application it runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Literal, Protocol, TypeAlias, runtime_checkable

from pyiexec.protocol import limits
from pyiexec.protocol.errors import CATALOGUE, IexecError
from pyiexec.protocol.primitives import Bytes32, TaskId, keccak256, to_bytes
from pyiexec.worker.runtimes.suspension import Suspension

MEBIBYTE = 1 << 20

#: Metered instructions that one second of a category buys: what a core of 2.5 GHz executes in it (2.2 to 3.6e9 were
#: measured). On such a machine fuel, which ends every worker's run at the same instruction, runs out before wall time.
FUEL_PER_SECOND = 3_000_000_000


#: One of an application's standard streams.
StreamName: TypeAlias = Literal["stdout", "stderr"]
#: Told what an application prints, as it prints it and all of it; called on the run's own thread, and returns at once.
OnOutput: TypeAlias = Callable[[StreamName, bytes], None]


@dataclass(frozen=True, slots=True)
class Image:
    """A container image, which its runtime fetches by itself.

    Attributes:
        name: the address of the application, see `protocol.images`.
        checksum: the digest that it must have.
    """

    name: str
    checksum: Bytes32


#: The application's content, the file that holds it, or the image that it is.
Application: TypeAlias = bytes | Path | Image


class RunStatus(StrEnum):
    """How a run ended."""

    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """What one run may use. All but `seconds` end a run at the same instruction on every machine.

    Attributes:
        seconds: wall time of the application, compilation excluded.
        fuel: metered instructions.
        memory_bytes: linear memory.
        output_bytes: sum of the sizes of the files in the output folder, at any moment.
        log_bytes: kept of stdout and of stderr, each; the rest is dropped and counted.
        files: files and folders in the output folder, at any moment.
    """

    seconds: float
    fuel: int
    memory_bytes: int = limits.MEMORY_BYTES
    output_bytes: int = limits.OUTPUT_BYTES
    log_bytes: int = limits.LOG_BYTES
    files: int = 1024


def limits_for(category_seconds: int) -> Limits:
    """The limits of a task whose category's time is `category_seconds`; the same for every worker of every pool.

    One category period is what the application may take; the deal's later deadlines leave the rest for the chain.
    """
    return Limits(seconds=float(category_seconds), fuel=category_seconds * FUEL_PER_SECOND)


def seed_for_task(task_id: TaskId) -> bytes:
    """The 32-byte seed of everything random in a task's run: the same for all its workers, another for each task."""
    return keccak256(b"pyiexec run seed" + to_bytes(task_id))


@dataclass(frozen=True, kw_only=True, slots=True)
class RunRequest:
    """One run of an application.

    Attributes:
        app: what to run.
        args: arguments after the program's name, already split.
        environment: all the application sees; nothing of the host's environment is added.
        input_dir: what the application reads as ``/iexec_in``. It may hold links to files, and must not change
            meanwhile.
        output_dir: where the content of ``/iexec_out`` is put after a success, replacing what was there; a failed or
            cancelled run leaves it untouched. Its parent folder must exist.
        limits: what the run may use.
        seed: seed of the application's randomness, see `seed_for_task`.
        on_output: told what the application prints while it runs.
        gpu: whether the deal's tag asks for a GPU.
        suspension: what may make the run stand still for a while; such time is not the application's.
    """

    app: Application
    args: Sequence[str]
    environment: Mapping[str, str]
    input_dir: Path
    output_dir: Path
    limits: Limits
    seed: bytes = field(repr=False)
    on_output: OnOutput | None = None
    gpu: bool = False
    suspension: Suspension | None = None

    def __post_init__(self) -> None:
        if any("\0" in text for text in [*self.args, *self.environment, *self.environment.values()]):
            raise ValueError("an argument or environment variable contains a zero byte")
        if any("=" in name or not name for name in self.environment):
            raise ValueError("an environment variable has an ill-formed name")


@dataclass(frozen=True, kw_only=True, slots=True)
class RunOutcome:
    """How a run ended, for reports and logs.

    Attributes:
        status: whether the output folder holds a result.
        exit_code: what the application exited with; None when it was stopped before it could.
        cause: None after a success, else a code of the error catalogue (``APP_...``).
        message: one sentence for humans, empty after a success.
        stdout: at most `Limits.log_bytes` and a note of what was dropped.
        stderr: likewise.
        fuel_used: metered instructions; 0 when nothing ran.
        seconds: wall time of the application alone.
    """

    status: RunStatus
    exit_code: int | None
    cause: str | None
    message: str
    stdout: bytes
    stderr: bytes
    fuel_used: int
    seconds: float

    def __post_init__(self) -> None:
        if (self.cause is None) != (self.status is RunStatus.SUCCEEDED) or (self.cause and self.cause not in CATALOGUE):
            raise ValueError(f"a run that {self.status} cannot have the cause {self.cause}")

    def raise_for_failure(self) -> None:
        """Turn a failed run into an exception.

        Raises:
            IexecError: with `cause` as its code, unless the run succeeded.
        """
        if self.cause is not None:
            raise IexecError(self.cause, self.message, exit_code=self.exit_code)


class Runtime(Protocol):
    """A way to run applications. An object serves concurrent runs of one event loop."""

    @property
    def name(self) -> str:
        """What a worker announces among its capabilities."""
        ...

    def accepts(self, multiaddr: str, content: bytes | None) -> bool:
        """Whether an application at `multiaddr` is of this kind; `content` is None until it has been fetched."""
        ...

    async def open(self) -> None:
        """Get ready, once, before anything else is asked; also clear what a life that was killed left running.

        Raises:
            IexecError: what the runtime stands on is missing.
        """
        ...

    async def prepare(self, app: Application) -> None:
        """Do ahead what every run of `app` needs, such as compiling or fetching it.

        Raises:
            IexecError: ``APP_INVALID_MODULE``, ``APP_INVALID_IMAGE`` when it can never run; others of the runtime.
        """
        ...

    async def run(self, request: RunRequest) -> RunOutcome:
        """Run an application to its end. Cancelling the call stops the application at once."""
        ...

    async def close(self) -> None:
        """Free what the runtime holds; no run may be under way."""
        ...


@runtime_checkable
class Metered(Protocol):
    """A runtime whose applications run outside of the worker's process and those it has started."""

    async def processor_seconds(self) -> float | None:
        """Processor time used so far by all it ran; None when that of something that ended is not known."""
        ...


@runtime_checkable
class Examinable(Protocol):
    """A runtime that stands on something outside of the worker."""

    async def examine(self) -> str:
        """What it stands on, in words. Nothing is changed, so that it may be asked beside a worker that runs.

        Raises:
            IexecError: it is missing, or not fit.
        """
        ...


@runtime_checkable
class GpuLender(Protocol):
    """A runtime that can hand GPUs to applications."""

    @property
    def lends_gpus(self) -> bool:
        """Whether its settings have it do so."""
        ...
