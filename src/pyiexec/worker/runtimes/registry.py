"""The runtimes installed with a worker, and which of them runs an application.

An application is known by what it is: a container image by its address, which is the image's name, all else by its
content. The type that it has on chain is not looked at: JavaScript clients can only register ``DOCKER``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, Protocol, cast

from pyiexec.protocol.errors import IexecError
from pyiexec.worker.runtimes.base import Runtime
from pyiexec.worker.runtimes.wasm import WasmRuntime

GROUP = "pyiexec.runtimes"


class RuntimeFactory(Protocol):
    """What an entry point of the group names."""

    def __call__(self, cache_dir: Path | None, **options: Any) -> Runtime | None:
        """A runtime that may keep files in a folder of its own, which it makes if it does not exist.

        Args:
            options: the worker's settings for it; it raises ``BAD_SETTINGS`` for those that it does not know.

        Returns:
            None when the settings do not ask for it, and it is not to be had without being asked for.
        """
        ...


def load_runtimes(
    cache_dir: Path | None = None, options: Mapping[str, Mapping[str, Any]] | None = None
) -> tuple[Runtime, ...]:
    """WebAssembly, containers where settings ask for them, and what installed packages offer.

    A package offers a runtime as an entry point of ``pyiexec.runtimes``.

    Args:
        cache_dir: folder in which each runtime gets one of its own; None where nothing is to be kept.
        options: settings of runtimes, by their names.

    Raises:
        IexecError: ``BAD_SETTINGS`` when one cannot be loaded or does not know a setting, ``CACHE_UNSAFE`` when
            others may write into its folder.
    """
    factories: dict[str, RuntimeFactory] = {"docker": _docker, WasmRuntime.name: _wasm}
    for point in sorted(entry_points(group=GROUP), key=lambda point: point.name):
        if point.name not in factories:
            factories[point.name] = _load(point)
    options = options or {}
    unknown = ", ".join(sorted(options.keys() - factories.keys()))
    if unknown:
        raise IexecError("BAD_SETTINGS", f"runtimes: there is no runtime {unknown}")
    loaded = []
    for name, factory in sorted(factories.items()):
        try:
            loaded.append(factory(None if cache_dir is None else cache_dir / name, **options.get(name, {})))
        except TypeError as error:
            raise IexecError("BAD_SETTINGS", f"runtimes.{name}: {error}") from None
    return tuple(runtime for runtime in loaded if runtime is not None)


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


def _wasm(cache_dir: Path | None, **options: Any) -> Runtime:
    return WasmRuntime(cache_dir, **options)


def _docker(cache_dir: Path | None, **options: Any) -> Runtime | None:
    # Imported by who runs containers: it takes an HTTP client.
    from pyiexec.worker.runtimes.docker import docker_runtime

    return docker_runtime(cache_dir, **options)


def _load(point: EntryPoint) -> RuntimeFactory:
    try:
        return cast("RuntimeFactory", point.load())
    except (ImportError, AttributeError) as error:
        raise IexecError(
            "BAD_SETTINGS", f"the runtime {point.name} ({point.value}) cannot be loaded: {error}"
        ) from None
