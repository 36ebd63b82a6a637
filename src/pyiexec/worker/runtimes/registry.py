"""Which runtime runs an application: found among the installed ones, chosen by what the application is.

The type that an app has on chain is not looked at: JavaScript clients can only register ``DOCKER``.
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
        """A runtime that may keep files in a folder of its own; it is made if it does not exist."""
        ...


class RuntimeRegistry:
    """The runtimes of one worker."""

    def __init__(self, runtimes: Iterable[Runtime]) -> None:
        self._runtimes = tuple(runtimes)

    @classmethod
    def installed(cls, cache_dir: Path | None = None) -> RuntimeRegistry:
        """WebAssembly, and every runtime that an installed package offers as an entry point of ``pyiexec.runtimes``.

        Args:
            cache_dir: folder in which each runtime gets one of its own; None where nothing is to be kept.
        """
        factories: dict[str, RuntimeFactory] = {WasmRuntime.name: WasmRuntime}
        for point in sorted(entry_points(group=GROUP), key=lambda point: point.name):
            if point.name not in factories:
                factories[point.name] = _load(point)
        return cls(
            factory(None if cache_dir is None else cache_dir / name) for name, factory in sorted(factories.items())
        )

    @property
    def names(self) -> list[str]:
        """What the worker announces."""
        return [runtime.name for runtime in self._runtimes]

    def choose(self, multiaddr: str, content: bytes | None = None) -> Runtime:
        """The runtime for an application at `multiaddr`, with its `content` once that has been fetched.

        Raises:
            IexecError: ``APP_RUNTIME_MISSING`` when no runtime accepts it.
        """
        for runtime in self._runtimes:
            if runtime.accepts(multiaddr, content):
                return runtime
        kind = "its content is no WebAssembly module" if content is not None else "it is not fetched by content"
        known = ", ".join(self.names) or "none"
        raise IexecError("APP_RUNTIME_MISSING", f"no runtime here runs {multiaddr}: {kind}; installed: {known}")

    async def close(self) -> None:
        """Close every runtime."""
        for runtime in self._runtimes:
            await runtime.close()


def _load(point: EntryPoint) -> RuntimeFactory:
    try:
        return cast("RuntimeFactory", point.load())
    except (ImportError, AttributeError) as error:
        raise IexecError(
            "BAD_SETTINGS", f"the runtime {point.name} ({point.value}) cannot be loaded: {error}"
        ) from error
