"""A view of a contract that is still to be read: await it alone, or many in one round trip.

Source: JSON-RPC ``eth_call``; block references of EIP-1898.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar, overload

from pyiexec.chain.rpc import JsonRpc, RpcError, reverted
from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.primitives import Address, to_bytes, to_hex

T = TypeVar("T")
T1 = TypeVar("T1")
T2 = TypeVar("T2")
T3 = TypeVar("T3")
T4 = TypeVar("T4")
T5 = TypeVar("T5")


@dataclass(frozen=True)
class Reading(Generic[T]):
    """One ``eth_call`` and how to understand its answer.

    ``await reading`` performs it alone; `read_all` performs several in one batch.

    Attributes:
        block: ``latest``, ``pending``, a number in hexadecimal, or an EIP-1898 object.
        missing: error raised instead of ``CONTRACT_REVERTED`` when the contract reverts without saying why, which is
            how contracts answer for things that do not exist.
    """

    rpc: JsonRpc
    to: Address
    data: bytes
    decode: Callable[[bytes], T]
    block: str | dict[str, Any] = "latest"
    missing: tuple[str, str] | None = None

    def at(self, block: int | str | dict[str, Any]) -> Reading[T]:
        """The same reading as of another block: a number, a name, or ``{"blockHash": …}``."""
        return replace(self, block=hex(block) if isinstance(block, int) else block)

    def __await__(self) -> Generator[Any, None, T]:
        return self._read().__await__()

    async def _read(self) -> T:
        try:
            answer = await self.rpc.call("eth_call", *self.params)
        except RpcError as error:
            raise self.explain(error) from None
        return self.decode(to_bytes(answer))

    @property
    def call(self) -> dict[str, Any]:
        """What is called, without the block as of which."""
        return {"to": self.to, "data": to_hex(self.data)}

    @property
    def params(self) -> tuple[dict[str, Any], str | dict[str, Any]]:
        """Parameters of the ``eth_call``."""
        return self.call, self.block

    def explain(self, error: RpcError) -> IexecError:
        """The node's error in the words of the caller."""
        revert = reverted(error)
        if revert and self.missing and revert.details["data"] == "0x":
            return IexecError(*self.missing)
        return revert or error


@overload
async def read_all(first: Reading[T1], second: Reading[T2], /) -> tuple[T1, T2]: ...
@overload
async def read_all(first: Reading[T1], second: Reading[T2], third: Reading[T3], /) -> tuple[T1, T2, T3]: ...
@overload
async def read_all(
    first: Reading[T1], second: Reading[T2], third: Reading[T3], fourth: Reading[T4], /
) -> tuple[T1, T2, T3, T4]: ...
@overload
async def read_all(
    first: Reading[T1], second: Reading[T2], third: Reading[T3], fourth: Reading[T4], fifth: Reading[T5], /
) -> tuple[T1, T2, T3, T4, T5]: ...
@overload
async def read_all(*readings: Reading[T]) -> tuple[T, ...]: ...
async def read_all(*readings: Reading[Any]) -> tuple[Any, ...]:
    """All of them in one JSON-RPC batch, answers in the order asked.

    Raises:
        IexecError: of the first reading that fails; ``CHAIN_UNREACHABLE``.
    """
    return tuple(await _read_many(readings))


async def read_each(readings: Sequence[Reading[T]]) -> list[T]:
    """`read_all` for a list whose length is not known beforehand."""
    return await _read_many(readings)


async def _read_many(readings: Sequence[Reading[T]]) -> list[T]:
    if not readings:
        return []
    answers = await readings[0].rpc.batch_outcomes([("eth_call", reading.params) for reading in readings])
    values = []
    for reading, answer in zip(readings, answers, strict=True):
        if isinstance(answer, RpcError):
            raise reading.explain(answer) from None
        values.append(reading.decode(to_bytes(answer)))
    return values
