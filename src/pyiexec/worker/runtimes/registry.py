"""The runtimes installed with a worker, and which of them runs an application.

An application is known by what it is. The type that it has on chain is not looked at: JavaScript clients can only
register ``DOCKER``.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Protocol, cast

from pyiexec.protocol.errors import IexecError
from pyiexec.worker.runtimes.base import Runtime
from pyiexec.worker.runtimes.wasm import WasmRuntime

GROUP = "pyiexec.runtimes"


class RuntimeFactory(Protocol):
    """What an entry point of the group names."""

    def __call__(self, cache_dir: Path | None) -> Runtime:
        """A runtime that may keep files in a folder of its own, which it makes if it does not exist."""
        ...


def load_runtimes(cache_dir: Path | None = None) -> tuple[Runtime, ...]:
    """WebAssembly, and every runtime that an installed package offers as an entry point of ``pyiexec.runtimes``.

    Args:
        cache_dir: folder in which each runtime gets one of its own; None where nothing is to be kept.

    Raises:
        IexecError: ``BAD_SETTINGS`` when one cannot be loaded, ``CACHE_UNSAFE`` when others may write into its folder.
    """
    factories: dict[str, RuntimeFactory] = {WasmRuntime.name: WasmRuntime}
    for point in sorted(entry_points(group=GROUP), key=lambda point: point.name):
        if point.name not in factories:
            factories[point.name] = _load(point)
    return tuple(
        factory(None if cache_dir is None else cache_dir / name) for name, factory in sorted(factories.items())
    )


def runtime_for(runtimes: Iterable[Runtime], multiaddr: str, content: bytes | None = None) -> Runtime:
    """The runtime for an application at `multiaddr`, with its `content`, or the beginning of it, once fetched.

    Raises:
        IexecError: ``APP_UNSUPPORTED`` when none accepts it.
    """
    names = []
    for runtime in runtimes:
        if runtime.accepts(multiaddr, content):
            return runtime
        names.append(runtime.name)
    known = ", ".join(names) or "none"
    raise IexecError("APP_UNSUPPORTED", f"no runtime of this worker ({known}) runs the application at {multiaddr}")


def _load(point: EntryPoint) -> RuntimeFactory:
    try:
        return cast("RuntimeFactory", point.load())
    except (ImportError, AttributeError) as error:
        raise IexecError(
            "BAD_SETTINGS", f"the runtime {point.name} ({point.value}) cannot be loaded: {error}"
        ) from None
