"""PoCo as a whole: the state machine that the contracts are, without a chain.

A `Hub` does to its state what the contract does to its storage. Every call takes who sends it and when, answers with
what it returns and the events in order, or raises a `Refusal` with the revert data and changes nothing.
"""

from __future__ import annotations

from pyiexec.protocol.poco.boost import Boost
from pyiexec.protocol.poco.escrow import Escrow
from pyiexec.protocol.poco.relay import Relay


class Hub(Escrow, Boost, Relay):
    """The hub in token mode, PoCo 6.2 as this project builds it.

    Amounts are nRLC, times seconds of chain time. Methods have the names of the contract's functions in Python's
    spelling; views are methods of the same names without a prefix. Where one caller is as good as another, no sender
    is asked for.
    """
