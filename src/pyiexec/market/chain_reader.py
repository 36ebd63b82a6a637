"""What events do not say and has to be read of the chain: whole deals, stakes, owners, who presigned, block times."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import msgspec

from pyiexec.chain.abi import Function
from pyiexec.chain.follower import Cursor
from pyiexec.chain.hub import FUNCTIONS, Hub
from pyiexec.chain.reading import Reading
from pyiexec.chain.registries import asset_owner
from pyiexec.chain.rpc import JsonRpc, RpcError
from pyiexec.market.snapshots import understand
from pyiexec.protocol.deals import BoostDeal, Deal
from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.primitives import Address, DealId, OrderHash

#: Questions in one round trip.
_TOGETHER = 100


class Needs(msgspec.Struct, frozen=True):
    """What has to be read before a batch can be applied: accounts, assets, order hashes, deal ids, block numbers."""

    stakes: frozenset[str] = frozenset()
    owners: frozenset[str] = frozenset()
    presigners: frozenset[str] = frozenset()
    deals: frozenset[str] = frozenset()
    times: frozenset[int] = frozenset()

    def __bool__(self) -> bool:
        return any(msgspec.structs.astuple(self))

    def without(self, read: Readings) -> Needs:
        """What is still missing."""
        known = msgspec.structs.asdict(read)
        return Needs(**{name: wanted - known[name].keys() for name, wanted in msgspec.structs.asdict(self).items()})


class Readings(msgspec.Struct, frozen=True):
    """What was read, by what it is about.

    Attributes:
        stakes: free nRLC of accounts.
        owners: of assets; None where there is no such asset.
        presigners: of orders; the null address where there is none.
        deals: None for a deal whose block is gone.
        times: of blocks, seconds.
    """

    stakes: Mapping[str, int] = {}
    owners: Mapping[str, Address | None] = {}
    presigners: Mapping[str, Address] = {}
    deals: Mapping[str, Deal | BoostDeal | None] = {}
    times: Mapping[int, int] = {}

    def plus(self, other: Readings) -> Readings:
        """Both."""
        mine, others = msgspec.structs.asdict(self), msgspec.structs.asdict(other)
        return Readings(**{name: {**mine[name], **others[name]} for name in mine})


class ChainReader:
    """Reads one hub for the watcher."""

    def __init__(self, rpc: JsonRpc, hub: Address) -> None:
        self._rpc = rpc
        self._hub = Hub(rpc, hub)

    async def read(self, needs: Needs, cursor: Cursor) -> Readings:
        """All of it as of the cursor's block where the node still knows it, otherwise as of its newest.

        Raises:
            IexecError: ``CHAIN_UNREACHABLE``, ``CHAIN_REFUSED``.
        """
        accounts = await self._each(needs.stakes, lambda account: self._hub.account(Address(account)), cursor)
        return Readings(
            stakes={account: _value(answer).stake for account, answer in accounts.items()},
            owners={
                asset: None if isinstance(answer, IexecError) else answer
                for asset, answer in (
                    await self._each(needs.owners, lambda asset: asset_owner(self._rpc, Address(asset)), cursor)
                ).items()
            },
            presigners={
                order_hash: _value(answer)
                for order_hash, answer in (
                    await self._each(needs.presigners, lambda it: self._hub.presigned(OrderHash(it)), cursor)  # type: ignore[arg-type]
                ).items()
            },
            deals=await self._deals(needs.deals, cursor),
            times=await self._times(needs.times),
        )

    async def _deals(self, deal_ids: Iterable[str], cursor: Cursor) -> dict[str, Deal | BoostDeal | None]:
        deals: dict[str, Deal | BoostDeal | None] = dict.fromkeys(deal_ids)

        def classic(deal_id: str) -> Reading[Deal]:
            return replace(self._hub.find_deal(DealId(deal_id)), decode=_decode_deal)  # type: ignore[arg-type]

        def boost(deal_id: str) -> Reading[BoostDeal]:
            return self._hub.find_boost_deal(DealId(deal_id))  # type: ignore[arg-type]

        for find in (classic, boost):
            missing = [deal_id for deal_id, deal in deals.items() if deal is None]
            answers = await self._each(missing, find, cursor)
            # Hubs without Boost revert.
            deals |= {it: deal for it, deal in answers.items() if not isinstance(deal, IexecError) and deal.exists}
        return deals

    async def _times(self, numbers: Iterable[int]) -> dict[int, int]:
        wanted = sorted(numbers)
        blocks = await self._rpc.batch([("eth_getBlockByNumber", [hex(number), False]) for number in wanted])
        return {
            number: int(block["timestamp"], 16) if block else 0 for number, block in zip(wanted, blocks, strict=True)
        }

    async def _each(
        self, subjects: Iterable[str], ask: Callable[[str], Reading[Any]], cursor: Cursor
    ) -> dict[str, Any]:
        """Answers by subject; in place of an answer the contract's error."""
        wanted, found = sorted(subjects), {}
        for start in range(0, len(wanted), _TOGETHER):
            part = wanted[start : start + _TOGETHER]
            newest = [ask(subject) for subject in part]
            pinned = [reading.at({"blockHash": cursor.hash}) for reading in newest] if cursor.hash else newest
            answers = await self._ask(pinned)
            if any(isinstance(answer, RpcError) for answer in answers):
                # The node keeps no state of that block, or the block is gone. Later events will tell what changed.
                answers = await self._ask(newest)
            for subject, answer in zip(part, answers, strict=True):
                if isinstance(answer, RpcError):
                    raise answer
                found[subject] = answer
        return found

    async def _ask(self, readings: Sequence[Reading[Any]]) -> list[Any]:
        outcomes = await self._rpc.batch_outcomes([("eth_call", reading.params) for reading in readings])
        return [understand(reading, outcome) for reading, outcome in zip(readings, outcomes, strict=True)]


def _value(answer: Any) -> Any:
    if isinstance(answer, IexecError):
        raise answer
    return answer


def _with_raw_text(function: Function) -> Function:
    """The same function, whose answer's texts are read as bytes: nothing makes requesters write UTF-8."""
    outputs = tuple(
        replace(
            parameter,
            type=parameter.type.replace("string", "bytes"),
            components=tuple(replace(it, type=it.type.replace("string", "bytes")) for it in parameter.components),
        )
        for parameter in function.outputs
    )
    return replace(function, outputs=outputs)


_VIEW_DEAL = _with_raw_text(FUNCTIONS["viewDeal"])
_PARAMS = Deal.__struct_fields__.index("params")


def _decode_deal(data: bytes) -> Deal:
    values = list(_VIEW_DEAL.decode(data)[0])
    values[_PARAMS] = values[_PARAMS].decode("utf-8", "replace")
    return Deal.from_abi(values)
