"""What happened to the book and has yet to be followed up: collected while a batch or a request is worked through."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from pyiexec.protocol.primitives import Address


class Cause(NamedTuple):
    """The transaction that caused a change, and its block."""

    block_number: int
    transaction_hash: str


class Changes(msgspec.Struct):
    """Whatever is not as it was, each with the transaction that caused it, None when it was not the chain.

    Attributes:
        orders: hashes of orders about which something else is known now.
        assets: whose owner changed.
        signers: whose stake changed, or whose orders want another part of it.
        opened: app and dataset orders that came into the book: kind and resource.
        left: those that left it.
    """

    orders: dict[str, Cause | None] = {}
    assets: dict[Address, Cause | None] = {}
    signers: dict[Address, Cause | None] = {}
    opened: dict[tuple[str, Address], Cause | None] = {}
    left: dict[tuple[str, Address], Cause | None] = {}
