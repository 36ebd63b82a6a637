"""Why a container ended: from what the engine knows of its end to a cause that people understand."""

from __future__ import annotations

import signal

from pyiexec.worker.runtimes.base import MEBIBYTE, Limits
from pyiexec.worker.runtimes.docker.confinement import memory_limit
from pyiexec.worker.runtimes.docker.outputs import Outputs
from pyiexec.worker.runtimes.endings import Stop

#: Exit codes of programs ended by a signal: this and its number.
_SIGNALLED = 128


#: Ends of which what was refused before is the better explanation.
_SYMPTOMS = frozenset({"APP_EXITED_NON_ZERO", "APP_NO_RESULT", "APP_TRAPPED"})


def end_of(exit_code: int) -> Stop:
    """How an application ended, going by its exit code."""
    number = exit_code - _SIGNALLED
    if exit_code == 0:
        return Stop(None, "", 0)
    if number == signal.SIGXCPU:
        return Stop("APP_TIMEOUT", "the application used up its processor time", exit_code)
    if number in signal.valid_signals():
        return Stop("APP_TRAPPED", f"the application was ended by {signal.Signals(number).name}", exit_code)
    return Stop("APP_EXITED_NON_ZERO", f"the application exited with {exit_code}", exit_code)


def explain(end: Stop, out_of_memory: bool, outputs: Outputs, limits: Limits) -> Stop:
    """An end, put down to the limit that the application met before.

    Args:
        end: how it ended, or why there is no result of it.
        out_of_memory: whether the kernel killed a process of it for the memory it used.
        outputs: what it left in its output folder.
        limits: what it was given.
    """
    if end.cause not in _SYMPTOMS:
        return end
    if out_of_memory:
        may = memory_limit(limits) / MEBIBYTE
        what = f"the application needed more than the {may:.0f} MiB of memory it may have, output included"
        return Stop("APP_OUT_OF_MEMORY", what, end.exit_code)
    if outputs.is_full:
        what = f"the application wrote more than the {limits.output_bytes} bytes or {limits.files} files it may"
        return Stop("APP_OUTPUT_TOO_LARGE", what, end.exit_code)
    return end
