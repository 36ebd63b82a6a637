"""Child processes that do not outlive their parent, however it ends."""

from __future__ import annotations

import ctypes
import signal
import sys
from collections.abc import Callable

_PR_SET_PDEATHSIG = 1


def tie_to_parent(number: signal.Signals) -> Callable[[], None]:
    """A function that, called in a child process, has the kernel send it a signal once its parent is gone.

    The parent is the thread that started the child. Everything that allocates is done here, so that the function can
    run between fork and exec. Outside of Linux it does nothing.

    Source: prctl(2), PR_SET_PDEATHSIG.
    """
    if sys.platform != "linux":
        return lambda: None
    prctl = ctypes.CDLL(None).prctl

    def tie() -> None:
        prctl(_PR_SET_PDEATHSIG, int(number))

    return tie
