"""Views of the chain as of one block, many askers in one round trip.

Whoever asks while an answer is under way shares the next one, so a burst of publications costs the node a few requests
and each of them sees one block, whose number it is told.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any, NamedTuple

import anyio

from pyiexec.chain.reading import Reading
from pyiexec.chain.rpc import JsonRpc, RpcError
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


class _Question:
    def __init__(self, readings: Sequence[Reading[Any]]) -> None:
        self.readings = readings
        self.outcome: Snapshot | IexecError | None = None


class Snapshots:
    """Asks one node."""

    def __init__(self, rpc: JsonRpc) -> None:
        self._rpc = rpc
        self._waiting: deque[_Question] = deque()
        self._turn = anyio.Lock()

    async def read(self, *readings: Reading[Any]) -> Snapshot:
        """All of them as of the newest block.

        Raises:
            IexecError: ``CHAIN_UNREACHABLE``, ``CHAIN_REFUSED``.
        """
        question = _Question(readings)
        self._waiting.append(question)
        async with self._turn:
            while question.outcome is None:
                await self._answer([self._waiting.popleft() for _ in range(min(_TOGETHER, len(self._waiting)))])
        if isinstance(question.outcome, IexecError):
            raise question.outcome
        return question.outcome

    async def _answer(self, questions: Sequence[_Question]) -> None:
        try:
            block, answers = await self._ask([reading for question in questions for reading in question.readings])
        except IexecError as error:
            for question in questions:
                question.outcome = error
            return
        except BaseException:
            # Whoever asks is gone; the others are answered by the next.
            self._waiting.extendleft(reversed(questions))
            raise
        rest = iter(answers)
        for question in questions:
            question.outcome = Snapshot(block, [next(rest) for _ in question.readings])

    async def _ask(self, readings: Sequence[Reading[Any]]) -> tuple[int, list[Any]]:
        refused: RpcError | None = None
        for _ in range(_ATTEMPTS):
            block = await self._rpc.call("eth_getBlockByNumber", "latest", False)
            if not block:
                break
            pinned = [reading.at({"blockHash": block["hash"]}) for reading in readings]
            outcomes = await self._rpc.batch_outcomes([("eth_call", reading.params) for reading in pinned])
            answers = [understand(reading, outcome) for reading, outcome in zip(pinned, outcomes, strict=True)]
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
