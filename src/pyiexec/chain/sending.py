"""Sending a prepared list of calls from one account, pipelined: for set-up, where nothing competes for the nonce.

Services use the transaction manager, which survives crashes; this is for scripts that start from nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import anyio
import msgspec

from pyiexec.chain.abi import decode_revert
from pyiexec.chain.rpc import JsonRpc, RpcError
from pyiexec.chain.signer import Signer, Transaction, transaction_hash
from pyiexec.foundation.logs import get_logger
from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.primitives import Address, to_bytes, to_hex

log = get_logger(__name__)

TIP = 10**9
#: Between two looks for a receipt, seconds; whoever has waited so long sends again.
_LONGEST_PAUSE = 1.0

#: Called with what was sent, how many transactions are through, and of how many.
Progress = Callable[[str, int, int], None]


class Call(msgspec.Struct, frozen=True):
    """One transaction: a call of `to`, or the creation of a contract.

    Attributes:
        title: completes “could not …”.
        value: wei.
    """

    to: Address | None
    data: bytes
    gas: int = 600_000
    title: str = "make a call"
    value: int = 0


async def send_all(
    rpc: JsonRpc,
    signer: Signer,
    calls: Sequence[Call],
    *,
    wait: bool = True,
    progress: Progress = lambda _what, _done, _total: None,
    timeout: float = 120.0,
) -> list[dict[str, Any]]:
    """Send the calls in order, waiting in between only for what does not fit into one block; their successful receipts.

    With `wait` False it returns an empty list once everything is with the node. The account must send nothing else
    meanwhile.

    Raises:
        IexecError: ``CHAIN_REFUSED`` when a transaction is not accepted or not mined in time; ``TRANSACTION_REVERTED``
            naming the call.
    """
    chain, count, block = await rpc.batch(
        [
            ("eth_chainId", []),
            ("eth_getTransactionCount", [signer.address, "pending"]),
            ("eth_getBlockByNumber", ["latest", False]),
        ]
    )
    nonce, base_fee, block_gas = int(count, 16), int(block["baseFeePerGas"], 16), int(block["gasLimit"], 16)
    hashes: list[str] = []
    sent: list[str] = []
    queued = 0
    for index, call in enumerate(calls):
        # Anvil forgets transactions that would fit into a block when one before them does not.
        if hashes and queued + call.gas > block_gas:
            await _mined(rpc, hashes[-1], sent, timeout)
            queued = 0
        queued += call.gas
        transaction = Transaction(
            chain_id=int(chain, 16),
            nonce=nonce + index,
            max_priority_fee_per_gas=TIP,
            # Blocks full of deployments raise the base fee by an eighth each.
            max_fee_per_gas=4 * base_fee + TIP,
            gas=call.gas,
            to=call.to,
            data=call.data,
            value=call.value,
        )
        raw = signer.sign_transaction(transaction)
        hashes.append(transaction_hash(raw))
        sent.append(to_hex(raw))
        try:
            # One by one: the members of a batch are taken in any order, and a nonce out of order waits in the pool.
            await rpc.call("eth_sendRawTransaction", sent[-1])
        except RpcError as error:
            raise IexecError("CHAIN_REFUSED", f"could not {call.title}: {error.message}") from error
        progress(call.title, index + 1, len(calls))
    return await _receipts(rpc, signer.address, calls, hashes, sent, timeout) if wait and calls else []


async def _receipts(
    rpc: JsonRpc, sender: Address, calls: Sequence[Call], hashes: Sequence[str], sent: Sequence[str], timeout: float
) -> list[dict[str, Any]]:
    # By the order of nonces, all are mined when the last one is.
    await _mined(rpc, hashes[-1], sent, timeout)
    receipts: list[dict[str, Any]] = await rpc.batch([("eth_getTransactionReceipt", [hash_]) for hash_ in hashes])
    for call, receipt in zip(calls, receipts, strict=True):
        if int(receipt["status"], 16) != 1:
            reason = await _reason(rpc, sender, call, receipt)
            raise IexecError("TRANSACTION_REVERTED", f"could not {call.title}: {reason}")
    return receipts


async def _mined(rpc: JsonRpc, hash_: str, sent: Sequence[str], timeout: float) -> None:
    """Wait for the last of the raw transactions `sent`; those that the node has lost meanwhile are sent again."""
    pause = 0.004
    with anyio.move_on_after(timeout):
        while await rpc.call("eth_getTransactionReceipt", hash_) is None:
            await anyio.sleep(pause)
            if pause >= _LONGEST_PAUSE:
                await _send_again(rpc, sent)
            pause = min(2 * pause, _LONGEST_PAUSE)
        return
    raise IexecError("CHAIN_REFUSED", f"the transactions were not mined within {timeout:g} s", retry=True)


async def _send_again(rpc: JsonRpc, sent: Sequence[str]) -> None:
    """Nodes may drop transactions from their pools, and all behind one that is missing wait for it."""
    for raw in sent:
        try:
            await rpc.call("eth_sendRawTransaction", raw)
        except RpcError as error:
            # It has it still, or has mined it.
            log.debug("not taken again", reason=error.message)


async def _reason(rpc: JsonRpc, sender: Address, call: Call, receipt: dict[str, Any]) -> str:
    """Why a call reverted, from running it again on the state before it."""
    transaction = {"from": sender, "data": to_hex(call.data), "gas": hex(call.gas), "value": hex(call.value)}
    if call.to:
        transaction["to"] = call.to
    try:
        await rpc.call("eth_call", transaction, hex(int(receipt["blockNumber"], 16) - 1))
    except RpcError as error:
        data = error.data if isinstance(error.data, str) and error.data.startswith("0x") else "0x"
        return str(decode_revert(to_bytes(data)))
    return "out of gas" if int(receipt["gasUsed"], 16) > call.gas * 0.98 else "it reverted"
