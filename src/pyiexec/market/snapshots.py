"""Views of the chain as of one block, many askers in one round trip.

Whoever asks while an answer is under way shares the next one, so a burst of publications costs the node a few requests
and each of them sees one block, whose number it is told.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from pyiexec.chain.reading import Reading
from pyiexec.chain.rpc import JsonRpc, RpcError
from pyiexec.foundation.batches import Batches
from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.primitives import to_bytes

#: Questions answered together at most.
_TOGETHER = 128
#: Attempts to find a block that the node still has when the questions arrive.
_ATTEMPTS = 3


class Snapshot(NamedTuple):
    """Answers, in the order of the questions, as of a block; in place of an answer the error of its question."""

    block: int
    answers: list[Any]


class Snapshots:
    """Asks one node."""

    def __init__(self, rpc: JsonRpc) -> None:
        self._rpc = rpc
        self._batches = Batches(self._answer, _TOGETHER)

    async def read(self, *readings: Reading[Any]) -> Snapshot:
        """All of them as of the newest block.

        Raises:
            IexecError: ``CHAIN_UNREACHABLE``, ``CHAIN_REFUSED``.
        """
        return await self._batches.add(readings)

    async def _answer(self, questions: Sequence[Sequence[Reading[Any]]]) -> Sequence[Snapshot]:
        block, answers = await self._ask([reading for readings in questions for reading in readings])
        rest = iter(answers)
        return [Snapshot(block, [next(rest) for _ in readings]) for readings in questions]

    async def _ask(self, readings: Sequence[Reading[Any]]) -> tuple[int, list[Any]]:
        refused: RpcError | None = None
        for _ in range(_ATTEMPTS):
            block = await self._rpc.call("eth_getBlockByNumber", "latest", False)
            if not block:
                break
            pinned = {"blockHash": block["hash"]}
            outcomes = await self._rpc.batch_outcomes([("eth_call", (reading.call, pinned)) for reading in readings])
            answers = [understand(reading, outcome) for reading, outcome in zip(readings, outcomes, strict=True)]
            refused = next((answer for answer in answers if isinstance(answer, RpcError)), None)
            if refused is None:
                return int(block["number"], 16), answers
            # The block is gone already: a newer one will do.
        raise refused or IexecError("CHAIN_UNREACHABLE", "the node has no block to read from")


def understand(reading: Reading[Any], outcome: Any) -> Any:
    """A node's answer to a question: its value, why the contract gave none, or the node's own refusal (`RpcError`)."""
    if isinstance(outcome, RpcError):
        return reading.explain(outcome)
    try:
        return reading.decode(to_bytes(outcome))
    except IexecError as error:
        return error
