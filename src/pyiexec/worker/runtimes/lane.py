"""One engine and the run it is busy with.

Interrupting an engine interrupts every run in it, so that each concurrent run has an engine of its own. Engines and
linked modules are kept for the next run; a store, which holds all state of a run, never is.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from wasmtime import (
    Config,
    Engine,
    Func,
    InstancePre,
    Linker,
    Memory,
    MemoryType,
    Module,
    Store,
    Trap,
    TrapCode,
    WasmtimeError,
)

from pyiexec.protocol.errors import IexecError
from pyiexec.worker.runtimes.base import MEBIBYTE, Limits, RunOutcome, RunRequest, RunStatus
from pyiexec.worker.runtimes.endings import Stop, publish
from pyiexec.worker.runtimes.modules import ModuleCache
from pyiexec.worker.runtimes.wasi.abi import MODULE
from pyiexec.worker.runtimes.wasi.call_table import CALLS
from pyiexec.worker.runtimes.wasi.host import Host
from pyiexec.worker.runtimes.wasi.process import Process

_PAGE = 65_536
_TABLE_ELEMENTS = 1 << 20
_PREPARED_KEPT = 16

#: How an application that was refused something ends by itself; the refusal is then the better explanation.
_SYMPTOMS = frozenset({"APP_EXITED_NON_ZERO", "APP_NO_RESULT", "APP_TRAPPED"})

#: Share of its memory in use from which on a failure is put down to memory. The engine's binding does not tell when it
#: refuses to grow, and an application that was refused tends to double what it had.
_MEMORY_SUSPICION = 0.5


@dataclass(frozen=True, slots=True)
class Prepared:
    """A module ready to be instantiated in its lane, and the least memory it starts with."""

    instance: InstancePre
    initial_bytes: int


class Interruption:
    """The switch that stops a run from another thread, whenever it is pressed, and the watch that times it."""

    def __init__(self, interrupt: Callable[[], None], monotonic: Callable[[], float]) -> None:
        self._interrupt = interrupt
        self._monotonic = monotonic
        self._started: float | None = None
        self._lock = threading.Lock()
        self._armed = True
        self.requested = False

    def interrupt(self) -> None:
        """Stop the run, unless it has ended."""
        with self._lock:
            if self._armed:
                self.requested = True
                self._interrupt()

    def start(self) -> None:
        """The application starts now; compiling it was not its time."""
        self._started = self._monotonic()

    def elapsed(self) -> float:
        """Seconds since the application started, 0 before it did."""
        return 0.0 if self._started is None else self._monotonic() - self._started

    def disarm(self) -> None:
        """The run has ended: the engine may serve another one."""
        with self._lock:
            self._armed = False


class Lane:
    """An engine for one run at a time. Its methods block; only `interrupt` may be called from another thread."""

    def __init__(self, modules: ModuleCache) -> None:
        self._modules = modules
        self._engine = Engine(_configuration())
        self._host = Host()
        self._linker = Linker(self._engine)
        self._host.link(self._linker)
        self._prepared: OrderedDict[str, Prepared] = OrderedDict()

    def close(self) -> None:
        """Free the engine."""
        self._prepared.clear()
        self._linker.close()
        self._engine.close()

    def interrupt(self) -> None:
        """Make the run under way trap."""
        self._engine.increment_epoch()

    def prepare(self, digest: str, source: bytes) -> Prepared:
        """Compile and link a module, unless that has been done.

        Raises:
            IexecError: ``APP_INVALID_MODULE``.
        """
        prepared = self._prepared.get(digest)
        if prepared is None:
            prepared = self._link(self._modules.load(self._engine, digest, source))
            self._prepared[digest] = prepared
            while len(self._prepared) > _PREPARED_KEPT:
                self._prepared.popitem(last=False)
        self._prepared.move_to_end(digest)
        return prepared

    def _link(self, module: Module) -> Prepared:
        for needed in module.imports:
            if needed.module != MODULE or needed.name not in CALLS:
                raise _invalid(f"the application imports {needed.module}.{needed.name}, which WASI preview 1 has not")
        exports = {export.name: export.type for export in module.exports}
        memory = exports.get("memory")
        if "_start" not in exports or not isinstance(memory, MemoryType):
            raise _invalid("the application is not a WASI command: it lacks _start or memory among its exports")
        try:
            instance = self._linker.instantiate_pre(module)
        except WasmtimeError as error:
            raise _invalid(f"the application cannot be linked: {_reason(error)}") from None
        return Prepared(instance, memory.limits.min * _PAGE)

    def run(self, prepared: Prepared, request: RunRequest, interruption: Interruption) -> RunOutcome:
        """Run a prepared application to its end and put its output in place if it succeeded."""
        limits = request.limits
        process = Process(
            ["app.wasm", *request.args],
            request.environment,
            request.input_dir,
            limits,
            request.seed,
            lambda: interruption.requested,
            request.on_output,
        )
        store = Store(self._engine)
        self._host.begin(process, store)
        try:
            store.set_limits(limits.memory_bytes, _TABLE_ELEMENTS, instances=1, tables=16, memories=1)
            store.set_fuel(limits.fuel)
            store.set_epoch_deadline(1)
            interruption.start()
            end = self._execute(prepared, store, process, limits, interruption)
            seconds = interruption.elapsed()
            fuel_left = store.get_fuel() if self._host.fuel_left is None else self._host.fuel_left
            if end.cause is None:
                end = _explain_refused_writes(publish(_outputs(process), request.output_dir), process)
        finally:
            self._host.end()
            process.end()
            store.close()
        return RunOutcome(
            status=RunStatus.FAILED if end.cause else RunStatus.SUCCEEDED,
            exit_code=end.exit_code,
            cause=end.cause,
            message=end.message,
            stdout=process.stdout.text(),
            stderr=process.stderr.text(),
            fuel_used=limits.fuel - fuel_left,
            seconds=seconds,
        )

    def _execute(
        self, prepared: Prepared, store: Store, process: Process, limits: Limits, interruption: Interruption
    ) -> Stop:
        if prepared.initial_bytes > limits.memory_bytes:
            return _out_of_memory("the application cannot start", prepared.initial_bytes, limits)
        trap: Trap | WasmtimeError | None = None
        in_use = prepared.initial_bytes
        # An interruption that came before the deadline was set has moved no deadline.
        if not interruption.requested:
            try:
                exports = prepared.instance.instantiate(store).exports(store)
                start, memory = exports["_start"], exports["memory"]
                assert isinstance(start, Func)
                assert isinstance(memory, Memory)
                try:
                    start(store)
                finally:
                    in_use = memory.data_len(store)
            except (Trap, WasmtimeError) as error:
                trap = error
        if process.fault is not None:
            raise process.fault
        if process.stopped is not None:
            end = process.stopped
        elif interruption.requested:
            return Stop("APP_TIMEOUT", f"the application was stopped after {limits.seconds:g} seconds")
        elif trap is None:
            return Stop(None, "", 0)
        elif isinstance(trap, Trap) and trap.trap_code is TrapCode.OUT_OF_FUEL:
            return Stop("APP_OUT_OF_FUEL", f"the application used up its {limits.fuel} units of fuel")
        else:
            end = Stop("APP_TRAPPED", f"the application trapped: {_reason(trap)}")
        if end.cause in _SYMPTOMS and in_use > limits.memory_bytes * _MEMORY_SUSPICION:
            return _out_of_memory(end.message, in_use, limits, end.exit_code)
        return _explain_refused_writes(end, process)


def _configuration() -> Config:
    # Whoever changes it changes `modules.CONFIGURATION`.
    config = Config()
    config.strategy = "cranelift"
    config.consume_fuel = True
    config.epoch_interruption = True
    config.cranelift_nan_canonicalization = True
    config.wasm_simd = True
    config.wasm_relaxed_simd_deterministic = True
    config.wasm_threads = False
    config.shared_memory = False
    config.wasm_memory64 = False
    config.wasm_multi_memory = False
    config.wasm_gc = False
    config.wasm_function_references = False
    config.wasm_exceptions = False
    config.wasm_stack_switching = False
    config.wasm_custom_page_sizes = False
    config.wasm_wide_arithmetic = False
    return config


def _invalid(what: str) -> IexecError:
    return IexecError("APP_INVALID_MODULE", what)


def _reason(error: Trap | WasmtimeError) -> str:
    if isinstance(error, Trap) and error.trap_code is not None:
        return error.trap_code.name.lower().replace("_", " ")
    return " ".join(str(error).split())[:300]


def _out_of_memory(what: str, in_use: int, limits: Limits, exit_code: int | None = None) -> Stop:
    has, may = in_use / MEBIBYTE, limits.memory_bytes / MEBIBYTE
    return Stop("APP_OUT_OF_MEMORY", f"{what} with {has:.1f} of the {may:.1f} MiB of memory it may have", exit_code)


def _explain_refused_writes(end: Stop, process: Process) -> Stop:
    """Name the write that was refused, which is why the application failed if it failed."""
    if end.cause in _SYMPTOMS and process.refused_writes:
        refused = process.refused_writes[0]
        what = f"the application tried to write {refused!r}, outside its output folder: {end.message}"
        return Stop("APP_WROTE_OUTSIDE", what, end.exit_code)
    return end


def _outputs(process: Process) -> dict[str, bytes | None]:
    return {path: None if content is None else bytes(content) for path, content in process.tree.outputs().items()}
