"""The table of system calls: each module of calls fills it, the host links it.

A call is a function named as the interface names it, which takes the run's state, the memory and the call's numbers,
unsigned. It returns nothing; an error is a `Refusal`. Every call but ``proc_exit`` answers an error number.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

Function = Callable[..., None]


class Call(NamedTuple):
    """A system call; `parameters` has a letter for each, ``i`` for 32 and ``I`` for 64 bits."""

    function: Function
    parameters: str


CALLS: dict[str, Call] = {}


def call(parameters: str) -> Callable[[Function], Function]:
    """Enter the decorated function into the table."""

    def enter(function: Function) -> Function:
        CALLS[function.__name__] = Call(function, parameters)
        return function

    return enter
