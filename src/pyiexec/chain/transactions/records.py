"""What is known of a transaction: its record in the queue, and its receipt from the chain."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

import msgspec

from pyiexec.chain.gas import Fees
from pyiexec.protocol.primitives import Address, checksum


class TransactionStatus(StrEnum):
    """Where a transaction stands.

    QUEUED waits for its turn and has no nonce. PENDING has a nonce and a signature, and may be with the node. INCLUDED
    and REVERTED are in a block, which a reorganisation may take back. REFUSED never reached a block.
    """

    QUEUED = "queued"
    PENDING = "pending"
    INCLUDED = "included"
    REVERTED = "reverted"
    REFUSED = "refused"

    @property
    def is_settled(self) -> bool:
        """Whether nothing more is expected to happen."""
        return self not in (TransactionStatus.QUEUED, TransactionStatus.PENDING)


class TransactionRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A transaction as the queue holds it.

    Attributes:
        object_id: what it is about: a task, a deal, an order.
        action: what it does to it; unique for the object.
        attempt: counts from 1; more when a reverted action was retried.
        to: the contract; None creates one.
        value: wei.
        gas: limit in units of gas.
        raw: the signed transaction.
        hash: of `raw`.
        former_hashes: of earlier offers for the same nonce; any of them may be the one that is mined.
        created_at: Unix seconds.
    """

    id: int = 0
    sender: Address
    object_id: str
    action: str
    attempt: int = 1
    to: Address | None
    data: bytes
    value: int = 0
    gas: int
    status: TransactionStatus = TransactionStatus.QUEUED
    nonce: int | None = None
    fees: Fees | None = None
    raw: bytes = b""
    hash: str = ""
    former_hashes: tuple[str, ...] = ()
    block_number: int | None = None
    block_hash: str = ""
    error_code: str = ""
    error: str = ""
    created_at: float = 0.0

    @property
    def key(self) -> tuple[str, str]:
        """What makes it unique for its sender."""
        return self.object_id, self.action

    @property
    def hashes(self) -> tuple[str, ...]:
        """Under which hashes it may be found in a block, the most likely first."""
        return (self.hash, *reversed(self.former_hashes)) if self.hash else ()

    def may_be_renewed(self, *, retry: bool) -> bool:
        """Whether the same action may be submitted again: it never reached a block, or reverted and `retry` is set."""
        return self.status is TransactionStatus.REFUSED or (retry and self.status is TransactionStatus.REVERTED)


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a transaction in a block.

    Attributes:
        succeeded: false when it reverted.
        effective_gas_price: wei per gas.
        contract_address: of the contract it created, if it did.
        logs: in JSON-RPC form.
    """

    transaction_hash: str
    block_number: int
    block_hash: str
    succeeded: bool
    gas_used: int
    effective_gas_price: int
    contract_address: Address | None
    logs: tuple[Mapping[str, Any], ...]

    @classmethod
    def from_json(cls, receipt: Mapping[str, Any]) -> Receipt:
        """From the answer of ``eth_getTransactionReceipt``."""
        created = receipt.get("contractAddress")
        return cls(
            transaction_hash=receipt["transactionHash"],
            block_number=int(receipt["blockNumber"], 16),
            block_hash=receipt["blockHash"],
            succeeded=int(receipt["status"], 16) == 1,
            gas_used=int(receipt["gasUsed"], 16),
            effective_gas_price=int(receipt.get("effectiveGasPrice") or "0x0", 16),
            contract_address=checksum(created) if created else None,
            logs=tuple(receipt["logs"]),
        )

    @property
    def fee(self) -> int:
        """What it cost in wei."""
        return self.gas_used * self.effective_gas_price
