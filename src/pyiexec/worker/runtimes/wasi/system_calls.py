"""Calls about the program: arguments, environment, exit, time, randomness, waiting - and the network it lacks."""

from __future__ import annotations

from pyiexec.worker.runtimes.endings import Stop
from pyiexec.worker.runtimes.wasi.abi import CLOCK_IS_ABSOLUTE, EVENT, SUBSCRIPTION, ClockId, Errno, EventType, Refusal
from pyiexec.worker.runtimes.wasi.call_table import call
from pyiexec.worker.runtimes.wasi.determinism import EPOCH_NS, TICK_NS
from pyiexec.worker.runtimes.wasi.memory import GuestMemory
from pyiexec.worker.runtimes.wasi.process import OpenFile, Process

_MAX_SUBSCRIPTIONS = 1024
_RANDOM_CHUNK = 1 << 20


def _strings_get(memory: GuestMemory, strings: list[bytes], pointers: int, buffer: int) -> None:
    for index, string in enumerate(strings):
        memory.write_u32(pointers + 4 * index, buffer)
        memory.write(buffer, string + b"\0")
        buffer += len(string) + 1


def _strings_sizes(memory: GuestMemory, strings: list[bytes], count: int, size: int) -> None:
    memory.write_u32(count, len(strings))
    memory.write_u32(size, sum(len(string) + 1 for string in strings))


@call("ii")
def args_get(process: Process, memory: GuestMemory, pointers: int, buffer: int) -> None:
    """Write the arguments."""
    _strings_get(memory, process.args, pointers, buffer)


@call("ii")
def args_sizes_get(process: Process, memory: GuestMemory, count: int, size: int) -> None:
    """Tell how much room the arguments need."""
    _strings_sizes(memory, process.args, count, size)


@call("ii")
def environ_get(process: Process, memory: GuestMemory, pointers: int, buffer: int) -> None:
    """Write the environment."""
    _strings_get(memory, process.environment, pointers, buffer)


@call("ii")
def environ_sizes_get(process: Process, memory: GuestMemory, count: int, size: int) -> None:
    """Tell how much room the environment needs."""
    _strings_sizes(memory, process.environment, count, size)


@call("i")
def proc_exit(process: Process, memory: GuestMemory, code: int) -> None:
    """End the run with an exit code."""
    message = f"the application exited with code {code}" if code else ""
    process.stop(Stop("APP_EXITED_NON_ZERO" if code else None, message, code))


@call("i")
def proc_raise(process: Process, memory: GuestMemory, signal: int) -> None:
    """Signals do not exist."""
    raise Refusal(Errno.NOTSUP)


@call("")
def sched_yield(process: Process, memory: GuestMemory) -> None:
    """There is nobody to yield to."""


@call("ii")
def clock_res_get(process: Process, memory: GuestMemory, clock: int, result: int) -> None:
    """Tell a clock's resolution."""
    if clock > ClockId.THREAD_CPU:
        raise Refusal(Errno.INVAL)
    memory.write_u64(result, TICK_NS)


@call("iIi")
def clock_time_get(process: Process, memory: GuestMemory, clock: int, precision: int, result: int) -> None:
    """Read a clock."""
    if clock > ClockId.THREAD_CPU:
        raise Refusal(Errno.INVAL)
    elapsed = process.clock.read()
    memory.write_u64(result, EPOCH_NS + elapsed if clock == ClockId.REALTIME else elapsed)


@call("ii")
def random_get(process: Process, memory: GuestMemory, buffer: int, count: int) -> None:
    """Fill a buffer from the run's seed."""
    memory.require(buffer, count)
    for offset in range(0, count, _RANDOM_CHUNK):
        process.go_on()
        memory.write(buffer + offset, process.random.take(min(_RANDOM_CHUNK, count - offset)))


@call("iiii")
def poll_oneoff(
    process: Process, memory: GuestMemory, subscriptions: int, events: int, count: int, result: int
) -> None:
    """Wait for the first of several things. Files are always ready, and sleeping takes virtual time only."""
    if not 0 < count <= _MAX_SUBSCRIPTIONS:
        raise Refusal(Errno.INVAL)
    memory.require(events, count * EVENT.size)
    ready: list[bytes] = []
    timers: list[tuple[int, int]] = []
    for index in range(count):
        user_data, kind, subject, timeout, _, flags = memory.unpack(
            SUBSCRIPTION, subscriptions + index * SUBSCRIPTION.size
        )
        if kind == EventType.CLOCK:
            start = EPOCH_NS if subject == ClockId.REALTIME else 0
            delay = timeout - start - process.clock.elapsed_ns if flags & CLOCK_IS_ABSOLUTE else timeout
            timers.append((max(delay, 0), user_data))
        elif kind in (EventType.FD_READ, EventType.FD_WRITE):
            errno, available = Errno.SUCCESS, 0
            try:
                descriptor = process.descriptor(subject)
                if kind == EventType.FD_READ and isinstance(descriptor, OpenFile) and descriptor.node is not None:
                    available = max(descriptor.node.size - descriptor.position, 0)
            except Refusal as refusal:
                errno = refusal.errno
            ready.append(EVENT.pack(user_data, errno, kind, available, 0))
        else:
            raise Refusal(Errno.INVAL)
    if not ready:
        shortest = min(delay for delay, _ in timers)
        process.clock.sleep(shortest)
        ready = [EVENT.pack(data, 0, EventType.CLOCK, 0, 0) for delay, data in timers if delay == shortest]
    memory.write(events, b"".join(ready))
    memory.write_u32(result, len(ready))


@call("iii")
def sock_accept(process: Process, memory: GuestMemory, fd: int, flags: int, result: int) -> None:
    """No descriptor is a socket."""
    process.descriptor(fd)
    raise Refusal(Errno.NOTSOCK)


@call("iiiiii")
def sock_recv(
    process: Process, memory: GuestMemory, fd: int, buffers: int, count: int, flags: int, size: int, out_flags: int
) -> None:
    """No descriptor is a socket."""
    process.descriptor(fd)
    raise Refusal(Errno.NOTSOCK)


@call("iiiii")
def sock_send(
    process: Process, memory: GuestMemory, fd: int, buffers: int, count: int, flags: int, result: int
) -> None:
    """No descriptor is a socket."""
    process.descriptor(fd)
    raise Refusal(Errno.NOTSOCK)


@call("ii")
def sock_shutdown(process: Process, memory: GuestMemory, fd: int, how: int) -> None:
    """No descriptor is a socket."""
    process.descriptor(fd)
    raise Refusal(Errno.NOTSOCK)
