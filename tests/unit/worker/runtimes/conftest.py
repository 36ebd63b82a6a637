"""Applications to run, a task's folders to run them in, and a runtime that keeps what it compiled."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Protocol

import pytest

from pyiexec.worker.runtimes import Limits, RunRequest, WasmRuntime

APPS = Path(__file__).parents[4] / "apps"
SEED = b"the same for every worker of a task"

#: Enough for every well-behaved app here, and soon over for the others.
LIMITS = Limits(
    seconds=20.0,
    fuel=2_000_000_000,
    memory_bytes=64 << 20,
    output_bytes=8 << 20,
    log_bytes=1_000,
    files=1_024,
)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("compiled") / "wasm"


@pytest.fixture
async def runtime(compiled: Path) -> AsyncIterator[WasmRuntime]:
    runtime = WasmRuntime(compiled, concurrency=4)
    yield runtime
    await runtime.close()


class Requests(Protocol):
    def __call__(
        self, app: str, *args: str, limits: Limits = LIMITS, seed: bytes = SEED, name: str = "task"
    ) -> RunRequest: ...


@pytest.fixture
def request_for(tmp_path: Path) -> Requests:
    """Makes the request to run ``apps/<app>.wasm`` in folders of a name; each name has one input folder."""

    def make(app: str, *args: str, limits: Limits = LIMITS, seed: bytes = SEED, name: str = "task") -> RunRequest:
        inputs = tmp_path / name / "in"
        if not inputs.exists():
            (inputs / "folder").mkdir(parents=True)
            (inputs / "greeting.txt").write_text("hello")
            (inputs / "folder" / "inner.txt").write_text("inside")
        return RunRequest(
            app=APPS / f"{app}.wasm",
            args=args,
            environment={"IEXEC_IN": "/iexec_in", "IEXEC_OUT": "/iexec_out"},
            input_dir=inputs,
            output_dir=tmp_path / name / "out",
            limits=limits,
            seed=seed,
        )

    return make
