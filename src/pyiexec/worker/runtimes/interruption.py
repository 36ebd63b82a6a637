"""Stopping a WebAssembly run, or having it stand still, from another thread; and the watch that times it.

Code that the engine compiled looks at the epoch at every loop and call. When the epoch has moved on, the engine asks
what to do; the run's own thread waits in that question for as long as the run is held. The question changes neither
memory nor fuel, so that a run which stood still ends with the same result as one that did not.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable
from typing import Any

from wasmtime import Store, _bindings

#: What the engine is told: go on, and ask again at the next epoch.
_CONTINUE, _NEXT_EPOCH = 0, 1
#: The question, and what would clean up after it, as the engine's library declares them.
_Question = ctypes.CFUNCTYPE(
    ctypes.c_size_t,
    ctypes.POINTER(_bindings.wasmtime_context_t),
    ctypes.c_void_p,
    ctypes.POINTER(ctypes.c_uint64),
    ctypes.POINTER(_bindings.wasmtime_update_deadline_kind_t),
)
_Finalizer = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


class Interruption:
    """The switches of one run.

    Args:
        interrupt: moves the epoch of the run's engine on.
        monotonic: seconds that never go back.

    Attributes:
        requested: whether the run is to end.
    """

    def __init__(self, interrupt: Callable[[], None], monotonic: Callable[[], float]) -> None:
        self._interrupt = interrupt
        self._monotonic = monotonic
        self._started: float | None = None
        self._held_since: float | None = None
        self._held_for = 0.0
        self._changed = threading.Condition()
        self._armed = True
        self.requested = False

    def interrupt(self) -> None:
        """Stop the run, unless it has ended."""
        with self._changed:
            if self._armed:
                self.requested = True
                self._interrupt()
                self._changed.notify_all()

    def hold(self) -> None:
        """Have the run stand still until it is released or stopped."""
        with self._changed:
            if self._armed and self._held_since is None:
                self._held_since = self._monotonic()
                self._interrupt()

    def release(self) -> None:
        """Let the run go on."""
        with self._changed:
            if self._held_since is not None:
                if self._started is not None:
                    self._held_for += self._monotonic() - max(self._held_since, self._started)
                self._held_since = None
                self._changed.notify_all()

    def stand(self) -> bool:
        """Called by the run's own thread: return once it is not held, and whether it is to go on."""
        with self._changed:
            self._changed.wait_for(lambda: self.requested or self._held_since is None)
            return not self.requested

    def start(self) -> None:
        """The application starts now; compiling it was not its time."""
        self._started = self._monotonic()

    def elapsed(self) -> float:
        """Seconds that the application has run, 0 before it started; what it stood still is not among them."""
        with self._changed:
            if self._started is None:
                return 0.0
            held = 0.0 if self._held_since is None else self._monotonic() - max(self._held_since, self._started)
            return self._monotonic() - self._started - self._held_for - held

    def disarm(self) -> None:
        """The run has ended: the engine may serve another one."""
        with self._changed:
            self._armed = False


def answer_epochs(store: Store, goes_on: Callable[[], bool]) -> Any:
    """Have the engine ask `goes_on` whenever its epoch has moved on; a run that does not go on traps.

    `goes_on` must not raise: the engine could not pass that on.

    Returns:
        What must be kept until the store is closed.
    """

    def ask(_context: Any, _data: Any, delta: Any, kind: Any) -> int:
        if goes_on():
            delta[0], kind[0] = _NEXT_EPOCH, _CONTINUE
            return 0
        # The engine takes the error over, and frees it.
        error = _bindings.wasmtime_error_new(ctypes.create_string_buffer(b"interrupted"))
        return ctypes.cast(error, ctypes.c_void_p).value or 0

    question, finalizer = _Question(ask), _Finalizer(0)
    _bindings.wasmtime_store_epoch_deadline_callback(store.ptr(), question, None, finalizer)
    return question, finalizer
