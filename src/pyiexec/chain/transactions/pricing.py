"""What to offer for gas right now, without asking the node each time."""

from __future__ import annotations

from pyiexec.chain.gas import DEFAULT_TIP, Fees, offer, raised
from pyiexec.chain.heads import Head, HeadFeed
from pyiexec.chain.rpc import JsonRpc, RpcError


class Pricing:
    """Offers made from the newest head's base fee and a tip the node suggested.

    Args:
        most: wei per gas that is never exceeded; None without a limit.
    """

    def __init__(self, rpc: JsonRpc, feed: HeadFeed, most: int | None = None) -> None:
        self._rpc = rpc
        self._feed = feed
        self._most = most
        self._asked: Head | None = None
        self._tip: int | None = None

    async def offer(self) -> Fees:
        """A fair offer.

        Raises:
            IexecError: ``CHAIN_UNREACHABLE``, only before the first answer.
        """
        if self._tip is None or (self._feed.newest is None and self._asked is None):
            await self.refresh()
        return offer(self.base_fee, self._tip or 0, self._most)

    @property
    def base_fee(self) -> int:
        """Of the newest block known, wei per gas."""
        known = [head for head in (self._feed.newest, self._asked) if head is not None]
        return max(known, key=lambda head: head.number).base_fee if known else 0

    async def raised(self, former: Fees) -> Fees:
        """An offer that replaces `former`, by the chain's present state; `former` where the limit allows for none."""
        await self.refresh()
        return raised(former, self.base_fee, self._tip or 0, self._most)

    async def refresh(self) -> None:
        """Ask the node for base fee and tip."""
        tip, block = await self._rpc.batch_outcomes(
            [("eth_maxPriorityFeePerGas", []), ("eth_getBlockByNumber", ["latest", False])]
        )
        if isinstance(block, RpcError):
            raise block
        self._tip = DEFAULT_TIP if isinstance(tip, RpcError) else int(tip, 16)
        self._asked = Head.from_json(block)
