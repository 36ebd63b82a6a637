"""The system calls of WASI preview 1 as functions an engine can link to an application."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from wasmtime import Caller, FuncType, Linker, Memory, Store, ValType

# Imported for the calls they enter into the table.
from pyiexec.worker.runtimes.endings import Stop
from pyiexec.worker.runtimes.wasi import descriptor_calls, path_calls, system_calls
from pyiexec.worker.runtimes.wasi.abi import MODULE, Errno, Refusal
from pyiexec.worker.runtimes.wasi.call_table import CALLS, Call
from pyiexec.worker.runtimes.wasi.memory import GuestMemory
from pyiexec.worker.runtimes.wasi.process import Process
from pyiexec.worker.runtimes.wasi.tree import OutputTooLargeError

__all__ = ["Host", "descriptor_calls", "path_calls", "system_calls"]

#: Fuel that a call costs beside one unit for each byte it moves: about what the engine executes meanwhile, so that a
#: program that does nothing but call also ends at the same instruction everywhere.
CALL_FUEL = 50_000

_MASKS = {"i": (1 << 32) - 1, "I": (1 << 64) - 1}


class Host:
    """The system of one engine, which serves one run at a time.

    No call ever raises into the engine: the Python binding keeps the last exception in one place for all threads, where
    a concurrent run would find it. A run that must end is left without fuel instead, and traps at its next instruction
    that is metered.

    Attributes:
        fuel_left: when a call ended the run, the fuel it had left at that moment.
    """

    def __init__(self) -> None:
        self.fuel_left: int | None = None
        self._process: Process | None = None
        self._store: Store | None = None
        self._memory: Memory | None = None

    def begin(self, process: Process, store: Store) -> None:
        """Serve this run from now on."""
        self._process, self._store, self._memory, self.fuel_left = process, store, None, None

    def end(self) -> None:
        """Forget the run."""
        self._process = self._store = self._memory = None

    def link(self, linker: Linker) -> None:
        """Define every call for the modules that the linker will instantiate."""
        types = {"i": ValType.i32(), "I": ValType.i64()}
        for name, call in CALLS.items():
            results = [] if name == "proc_exit" else [types["i"]]
            signature = FuncType([types[letter] for letter in call.parameters], results)
            linker.define_func(MODULE, name, signature, self._entry(call, answers=bool(results)), access_caller=True)

    def _entry(self, call: Call, *, answers: bool) -> Callable[..., Any]:
        masks = [_MASKS[letter] for letter in call.parameters]

        def enter(caller: Caller, *numbers: int) -> int | None:
            unsigned = [number & mask for number, mask in zip(numbers, masks, strict=True)]
            errno = self._serve(caller, call, unsigned)
            return int(errno) if answers else None

        return enter

    def _serve(self, caller: Caller, call: Call, numbers: list[int]) -> Errno:
        process, store = self._process, self._store
        if process is None or store is None or process.has_stopped():
            return Errno.CANCELED
        guest: GuestMemory | None = None
        try:
            guest = self._guest(caller)
            call.function(process, guest, *numbers)
            errno = Errno.SUCCESS
        except Refusal as refusal:
            errno = refusal.errno
        except OutputTooLargeError as too_large:
            process.stop(Stop("APP_OUTPUT_TOO_LARGE", f"the application was stopped: {too_large}"))
            errno = Errno.FBIG
        except Exception as error:
            # Raised again outside the engine, see above.
            process.fault = error
            process.stop(Stop("INTERNAL", f"a system call failed: {error!r}"))
            errno = Errno.IO
        fuel = max(store.get_fuel() - CALL_FUEL - (guest.moved if guest is not None else 0), 0)
        if process.has_stopped():
            self.fuel_left, fuel = fuel, 0
        store.set_fuel(fuel)
        return errno

    def _guest(self, caller: Caller) -> GuestMemory:
        if self._memory is None:
            memory = caller.get("memory")
            if not isinstance(memory, Memory):
                raise Refusal(Errno.FAULT)
            self._memory = memory
        return GuestMemory(caller, self._memory)
