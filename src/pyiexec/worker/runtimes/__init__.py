"""How a worker runs an application: requests, limits and outcomes, and the runtimes that serve them."""

from pyiexec.worker.runtimes.base import (
    Application,
    Image,
    Limits,
    RunOutcome,
    RunRequest,
    RunStatus,
    Runtime,
    limits_for,
    seed_for_task,
)
from pyiexec.worker.runtimes.check import AppCheck, run_app_twice
from pyiexec.worker.runtimes.registry import load_runtimes, runtime_for
from pyiexec.worker.runtimes.wasm import WasmRuntime

__all__ = [
    "AppCheck",
    "Application",
    "Image",
    "Limits",
    "RunOutcome",
    "RunRequest",
    "RunStatus",
    "Runtime",
    "WasmRuntime",
    "limits_for",
    "load_runtimes",
    "run_app_twice",
    "runtime_for",
    "seed_for_task",
]
