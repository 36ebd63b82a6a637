"""An engine for the session, and runs of applications on it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from pyiexec.worker.runtimes.base import MEBIBYTE, Image, Limits, RunOutcome, RunRequest
from pyiexec.worker.runtimes.docker import DockerRuntime, DockerSettings

from .engine import DockerEngine

LIMITS = Limits(
    seconds=30, fuel=1, memory_bytes=64 * MEBIBYTE, output_bytes=8 * MEBIBYTE, log_bytes=64 * 1024, files=32
)
#: Ends a script as an application should.
RESULT = """; echo '{"deterministic-output-path": "/iexec_out/result"}' > /iexec_out/computed.json"""


@pytest.fixture(scope="session")
def engine() -> Iterator[DockerEngine]:
    engine = DockerEngine()
    try:
        yield engine
    finally:
        engine.remove()


@pytest.fixture(scope="session")
def shell(engine: DockerEngine) -> Image:
    return engine.registry.shell()


@dataclass
class Bench:
    """Where runs take place."""

    engine: DockerEngine
    folder: Path
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def inputs(self) -> Path:
        path = self.folder / "in"
        path.mkdir(exist_ok=True)
        return path

    @property
    def outputs(self) -> Path:
        return self.folder / "out"

    def result(self, name: str = "result") -> str:
        return (self.outputs / name).read_text()

    def request(self, image: Image, *args: str, **fields: Any) -> RunRequest:
        values: dict[str, Any] = {
            "app": image,
            "args": args,
            "environment": {"IEXEC_OUT": "/iexec_out"},
            "input_dir": self.inputs,
            "output_dir": self.outputs,
            "limits": LIMITS,
            "seed": bytes(32),
        }
        return RunRequest(**values | fields)

    def runtime(self, **settings: Any) -> DockerRuntime:
        options = {"engine": self.engine.url} | self.settings | settings
        return DockerRuntime(self.folder / "runtime", DockerSettings(**options))

    async def run(self, image: Image, *args: str, settings: dict[str, Any] | None = None, **fields: Any) -> RunOutcome:
        """One run in a runtime of its own."""
        runtime = self.runtime(**settings or {})
        try:
            await runtime.open()
            return await runtime.run(self.request(image, *args, **fields))
        finally:
            await runtime.close()


@pytest.fixture
def bench(engine: DockerEngine, tmp_path: Path) -> Iterator[Bench]:
    yield Bench(engine, tmp_path)
    # Whatever a run did, nothing of it is left.
    assert engine.containers() == []
    assert engine.volumes() == []


@pytest.fixture
def run(bench: Bench, shell: Image) -> Callable[..., Any]:
    async def run(script: str, **fields: Any) -> RunOutcome:
        return await bench.run(shell, script, **fields)

    return run
