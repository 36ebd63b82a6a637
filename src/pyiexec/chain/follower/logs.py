"""Which logs are wanted, and whether a block can hold any of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pyiexec.chain.heads import may_hold
from pyiexec.protocol.primitives import Address

#: Topics by position: None for any, a topic, or a list of alternatives.
Topics = Sequence[str | Sequence[str] | None]


class LogFilter:
    """Logs of certain addresses with certain topics, in the form of ``eth_getLogs``."""

    def __init__(self, addresses: Sequence[Address], topics: Topics = ()) -> None:
        self._addresses = tuple(addresses)
        self._positions = tuple((topic,) if isinstance(topic, str) else tuple(topic or ()) for topic in topics)

    def may_match(self, bloom: int) -> bool:
        """Whether a block with this bloom filter can hold a wanted log; errs towards yes."""
        if self._addresses and not any(may_hold(bloom, address) for address in self._addresses):
            return False
        return all(
            not alternatives or any(may_hold(bloom, topic) for topic in alternatives)
            for alternatives in self._positions
        )

    def _query(self) -> dict[str, Any]:
        query: dict[str, Any] = {"topics": [list(position) or None for position in self._positions]}
        return query | ({"address": list(self._addresses)} if self._addresses else {})

    def of_block(self, block_hash: str) -> dict[str, Any]:
        """Parameter for one block, told by its hash so that a reorganisation cannot slip in another (EIP-234)."""
        return self._query() | {"blockHash": block_hash}

    def of_range(self, first: int, last: int) -> dict[str, Any]:
        """Parameter for a range of blocks, both ends included."""
        return self._query() | {"fromBlock": hex(first), "toBlock": hex(last)}
