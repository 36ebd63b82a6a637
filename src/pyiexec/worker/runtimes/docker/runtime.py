"""Applications as container images, run by a Docker engine beside the worker.

The engine gets nothing from an application's owner but an image known by its digest, and the container is told all that
it may do (`confinement`). It is labelled with the worker it belongs to: a worker that was killed finds by that label
what it left, and removes it before it does anything else.
"""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import stat
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeAlias

import anyio
import anyio.to_thread
import msgspec

from pyiexec.foundation.clock import Clock, SystemClock
from pyiexec.foundation.logs import get_logger
from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.images import is_image
from pyiexec.worker.environment import OUTPUT_FOLDER
from pyiexec.worker.runtimes.base import Application, Image, RunOutcome, RunRequest, RunStatus
from pyiexec.worker.runtimes.docker import confinement, holder
from pyiexec.worker.runtimes.docker.engine import Engine, Found
from pyiexec.worker.runtimes.docker.execution import Ended, Execution
from pyiexec.worker.runtimes.docker.explanation import end_of, explain
from pyiexec.worker.runtimes.docker.images import Images
from pyiexec.worker.runtimes.docker.outputs import Outputs, archive_limit, read_archive
from pyiexec.worker.runtimes.docker.settings import DockerSettings
from pyiexec.worker.runtimes.endings import Stop, publish

log = get_logger(__name__)

#: A call to the engine that makes or removes something.
Making: TypeAlias = Coroutine[Any, Any, None]

_SCHEME = "unix://"
#: Seconds for which the removal of what a run used is waited for; the next start of the worker sees to the rest.
_REMOVAL_SECONDS = 60.0


class DockerRuntime:
    """Runs container images, any number at a time.

    Args:
        cache_dir: a folder of the worker's own, by whose path its containers are known.
        clock: what `RunOutcome.seconds` is measured with.

    Raises:
        IexecError: ``BAD_SETTINGS`` when the engine is not named by a socket.
    """

    name = "docker"

    def __init__(self, cache_dir: Path, settings: DockerSettings, *, clock: Clock | None = None) -> None:
        if not settings.engine.startswith(_SCHEME):
            raise IexecError("BAD_SETTINGS", "runtimes.docker.engine: a socket such as unix:///var/run/docker.sock")
        self._folder = cache_dir.absolute()
        self._settings = settings
        self._clock = clock or SystemClock()
        self._engine = Engine(Path(settings.engine.removeprefix(_SCHEME)))
        self._images = Images(self._engine, settings, self._folder / "images.json")
        self._worker = hashlib.sha256(str(self._folder).encode()).hexdigest()[:16]
        self._holder = self._folder / "holder"
        self._numbers = itertools.count(1)
        #: What each container under way was last seen to have used, and all that is known to have been used.
        self._used_by: dict[str, float] = {}
        self._used = 0.0
        self._one_ended = False

    @property
    def lends_gpus(self) -> bool:
        """Whether applications are handed GPUs."""
        return self._settings.gpus

    def accepts(self, multiaddr: str, content: bytes | None) -> bool:
        """Whether an application is known by the name of an image; what has been fetched as content is none."""
        return content is None and is_image(multiaddr)

    async def open(self) -> None:
        """Connect to the engine, and remove what an earlier life left there.

        Raises:
            IexecError: ``ENGINE_UNAVAILABLE``, ``ENGINE_UNSAFE``.
        """
        info = await self._connect()
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        program = holder.executable(info["Architecture"])
        await anyio.to_thread.run_sync(_write_executable, self._holder, program)
        self._images.open(info)
        label = f"{confinement.LABEL}={self._worker}"
        for orphan in await self._engine.containers(label):
            log.warning("removing a container that an earlier life left", container=orphan)
            await self._engine.remove(orphan)
        for volume in await self._engine.volumes(label):
            await self._engine.remove_volume(volume)

    async def examine(self) -> str:
        """The engine, in words.

        Raises:
            IexecError: ``ENGINE_UNAVAILABLE``, ``ENGINE_UNSAFE``.
        """
        info = await self._connect()
        return f"engine {info['ServerVersion']} at {self._settings.engine}"

    async def _connect(self) -> Found:
        await self._engine.open()
        info = await self._engine.info()
        confinement.check_engine(info, holder.ARCHITECTURES)
        return info

    async def prepare(self, app: Application) -> None:
        """Fetch an image, unless it is there.

        Raises:
            IexecError: as `Images.obtain`.
        """
        await self._images.obtain(_image(app))

    async def run(self, request: RunRequest) -> RunOutcome:
        """Run an image to its end. Cancelling the call kills and removes the container.

        Raises:
            IexecError: as `Images.obtain`; ``APP_UNSUPPORTED`` when it asks for a GPU that is not lent.
        """
        if request.gpu and not self._settings.gpus:
            raise IexecError("APP_UNSUPPORTED", "the deal asks for a GPU, and this worker lends none")
        image = await self._images.obtain(_image(request.app))
        await anyio.to_thread.run_sync(_let_in, request.input_dir)
        try:
            ended, outputs = await self._execute(request, image)
        except IexecError as error:
            if error.code != "APP_INVALID_IMAGE":
                raise
            stop = Stop(error.code, error.what)
            ended, outputs = Ended(stop, 0, False, 0.0, b"", b""), Outputs({}, False, None)
        if ended.stop is not None:
            return _outcome(ended, ended.stop)
        end = end_of(ended.exit_code)
        if end.cause is None and outputs.fault is not None:
            end = outputs.fault
        elif end.cause is None:
            end = await anyio.to_thread.run_sync(publish, outputs.files, request.output_dir)
        return _outcome(ended, explain(end, ended.out_of_memory, outputs, request.limits))

    async def processor_seconds(self) -> float | None:
        """Processor time used so far; None when a container has ended since, or the engine does not tell."""
        try:
            seen = {name: await self._engine.processor_seconds(name) for name in list(self._used_by)}
        except IexecError:
            return None
        for name, used in seen.items():
            if name in self._used_by:
                self._used += max(used - self._used_by[name], 0.0)
                self._used_by[name] = used
        one_ended, self._one_ended = self._one_ended, False
        return None if one_ended else self._used

    async def close(self) -> None:
        """Disconnect from the engine."""
        await self._engine.close()

    async def _execute(self, request: RunRequest, image: Mapping[str, Any]) -> tuple[Ended, Outputs]:
        engine, limits, worker = self._engine, request.limits, self._worker
        name = f"pyiexec-{worker}-{next(self._numbers)}"
        keeper = f"{name}-holder"
        application = confinement.application(request, image, name, worker, self._settings)
        volume = confinement.output_volume(name, worker, limits)
        keeping = confinement.holder(image, name, worker, self._holder)

        async def keep() -> None:
            await engine.create(keeper, keeping)
            # Before the application is started: were it to end first, its output would go with it.
            await engine.start(keeper)

        async with (
            self._having({name: engine.create_volume(volume)}, engine.remove_volume),
            self._having({keeper: keep(), name: engine.create(name, application)}, engine.remove),
        ):
            self._used_by[name] = 0.0
            try:
                ended = await Execution(engine, name, request, self._settings.processes, self._clock).run()
            finally:
                del self._used_by[name]
                self._one_ended = True
            if ended.stop is not None:
                return ended, Outputs({}, False, None)
            archive = await engine.read(keeper, OUTPUT_FOLDER, archive_limit(limits))
            return ended, await anyio.to_thread.run_sync(read_archive, archive, limits)

    @asynccontextmanager
    async def _having(self, made: Mapping[str, Making], remove: Callable[[str], Making]) -> AsyncIterator[None]:
        """Things of the engine, by their names: made at the same time, and removed together after the block."""
        making = asyncio.gather(*made.values(), return_exceptions=True)
        try:
            for failure in await asyncio.shield(making):
                if failure is not None:
                    raise failure
            yield
        finally:
            with anyio.move_on_after(_REMOVAL_SECONDS, shield=True):
                # What is still being made could not be removed.
                await asyncio.wait({making})
                await asyncio.gather(*(self._removed(remove(name), name) for name in made))

    async def _removed(self, removal: Making, name: str) -> None:
        try:
            await removal
        except IexecError as error:
            log.warning("what a run used was not removed", name=name, error=str(error))


def docker_runtime(cache_dir: Path | None, **options: Any) -> DockerRuntime | None:
    """The runtime that a worker's settings ask for, None if they do not: an engine is not used unasked.

    Raises:
        IexecError: ``BAD_SETTINGS`` naming the field.
    """
    if not options or cache_dir is None:
        return None
    try:
        settings = msgspec.convert(options, DockerSettings)
    except msgspec.ValidationError as error:
        raise IexecError("BAD_SETTINGS", f"runtimes.docker: {error}") from None
    return DockerRuntime(cache_dir, settings)


def _image(app: Application) -> Image:
    if not isinstance(app, Image):
        raise IexecError("APP_INVALID_IMAGE", "the application is no container image")
    return app


def _write_executable(path: Path, content: bytes) -> None:
    partial = path.with_suffix(".part")
    partial.write_bytes(content)
    partial.chmod(0o555)
    partial.replace(path)


def _let_in(folder: Path) -> None:
    """Have the application's user read the input, whatever the worker's umask is; the worker's folder stays closed."""
    folder.chmod(0o755)
    for path in folder.iterdir():
        mode = stat.S_IMODE(path.stat().st_mode)
        if not mode & stat.S_IROTH:
            path.chmod(mode | stat.S_IRUSR | stat.S_IRGRP | stat.S_IROTH)


def _outcome(ended: Ended, end: Stop) -> RunOutcome:
    return RunOutcome(
        status=RunStatus.FAILED if end.cause else RunStatus.SUCCEEDED,
        exit_code=end.exit_code,
        cause=end.cause,
        message=end.message,
        stdout=ended.stdout,
        stderr=ended.stderr,
        fuel_used=0,
        seconds=ended.seconds,
    )
