"""Money at the hub's door: an ERC-20 in one variant of the hub, the chain's own coin in the other.

A hub of the native variant names the null address as its token. It counts in nRLC like any other, and takes and pays
a thousand million wei for each. Source: PoCo, ``IexecEscrowToken`` and ``IexecEscrowNative``.
"""

from __future__ import annotations

from pyiexec.chain import token
from pyiexec.chain.hub import NATIVE_FUNCTIONS
from pyiexec.chain.rpc import JsonRpc
from pyiexec.chain.sending import Call
from pyiexec.protocol.primitives import NULL_ADDRESS, Address

WEI_PER_NRLC = 10**9


def is_native(rlc: Address) -> bool:
    """Whether a hub whose token is `rlc` holds the chain's own coin."""
    return rlc == NULL_ADDRESS


def deposit(hub: Address, rlc: Address, amount: int) -> Call:
    """The transaction that moves `amount` nRLC from its sender's wallet into its stake."""
    title = "deposit into the hub"
    if is_native(rlc):
        return Call(hub, NATIVE_FUNCTIONS["deposit"].encode(), title=title, value=amount * WEI_PER_NRLC)
    return Call(rlc, token.approve_and_call(hub, amount), title=title)


def payment(rlc: Address, to: Address, amount: int) -> Call:
    """The transaction that moves `amount` nRLC from its sender's wallet to that of `to`."""
    title = f"pay RLC to {to}"
    if is_native(rlc):
        return Call(to, b"", title=title, value=amount * WEI_PER_NRLC)
    return Call(rlc, token.transfer(to, amount), title=title)


async def wallet_balance(rpc: JsonRpc, rlc: Address, account: Address) -> int:
    """NRLC that an account holds outside the hub; in the native variant what it pays gas with is part of it.

    Raises:
        IexecError: ``CHAIN_UNREACHABLE``.
    """
    if is_native(rlc):
        return int(await rpc.call("eth_getBalance", account, "latest"), 16) // WEI_PER_NRLC
    return await token.Token(rpc, rlc).balance_of(account)
