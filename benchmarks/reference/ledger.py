"""Transactions of unlocked accounts, and what they cost."""

from __future__ import annotations

from typing import Any

from pyiexec.chain.anvil import MNEMONIC
from pyiexec.chain.mnemonic import derive
from pyiexec.chain.rpc import JsonRpc, RpcError, reverted
from pyiexec.protocol.primitives import Address, checksum, to_hex

ADMIN = derive(MNEMONIC, 0)
GAS_LIMIT = 25_000_000


class Ledger:
    """Sends transactions and notes their gas by name."""

    def __init__(self, rpc: JsonRpc) -> None:
        self.rpc = rpc
        self.gas: dict[str, int] = {}

    async def send(
        self, sender: Address, to: Address | None, data: bytes, *, value: int = 0, note: str = ""
    ) -> dict[str, Any]:
        """The receipt of a transaction mined in a block of its own.

        Raises:
            SystemExit: it reverts; the text says why.
        """
        transaction = {"from": sender, "data": to_hex(data), "gas": hex(GAS_LIMIT), "value": hex(value)}
        if to:
            transaction["to"] = to
        hash_ = await self.rpc.call("eth_sendTransaction", transaction)
        await self.rpc.call("evm_mine")
        receipt: dict[str, Any] = await self.rpc.call("eth_getTransactionReceipt", hash_)
        if receipt["status"] != "0x1":
            raise SystemExit(f"{note or to_hex(data[:4])}: {await self._reason(transaction)}")
        if note:
            assert note not in self.gas, note
            self.gas[note] = int(receipt["gasUsed"], 16)
        return receipt

    async def _reason(self, transaction: dict[str, str]) -> str:
        try:
            await self.rpc.call("eth_call", transaction, "latest")
        except RpcError as error:
            return str(reverted(error) or error)
        return "reverted for lack of gas, or of something that is there by now"

    async def create(self, data: bytes) -> Address:
        """The address of a new contract."""
        return checksum((await self.send(ADMIN.address, None, data))["contractAddress"])
