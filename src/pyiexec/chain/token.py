"""RLC, the token everything is paid in: 9 decimals, amounts are nRLC.

Source: EIP-20; ``approveAndCall`` as RLC has it, calling ``receiveApproval`` of the spender.
"""

from __future__ import annotations

from typing import Any

from pyiexec.chain.abi import Event, Function
from pyiexec.chain.reading import Reading
from pyiexec.chain.rpc import JsonRpc
from pyiexec.protocol.primitives import Address

#: Functions of the token by name.
FUNCTIONS = {
    signature.partition("(")[0]: Function.parse(signature)
    for signature in (
        "name() view returns (string)",
        "symbol() view returns (string)",
        "decimals() view returns (uint8)",
        "totalSupply() view returns (uint256)",
        "balanceOf(address owner) view returns (uint256)",
        "allowance(address owner, address spender) view returns (uint256)",
        "transfer(address to, uint256 value) returns (bool)",
        "approve(address spender, uint256 value) returns (bool)",
        "transferFrom(address from, address to, uint256 value) returns (bool)",
        "approveAndCall(address spender, uint256 value, bytes extraData) returns (bool)",
    )
}

#: EIP-20.
TRANSFER = Event.parse("Transfer(address indexed from, address indexed to, uint256 value)")
APPROVAL = Event.parse("Approval(address indexed owner, address indexed spender, uint256 value)")


def transfer(to: Address, amount: int) -> bytes:
    """Call data: move `amount` nRLC from the sender's wallet to that of `to`."""
    return FUNCTIONS["transfer"].encode(to, amount)


def approve(spender: Address, amount: int) -> bytes:
    """Call data: let `spender` take up to `amount` nRLC."""
    return FUNCTIONS["approve"].encode(spender, amount)


def approve_and_call(spender: Address, amount: int, extra_data: bytes = b"") -> bytes:
    """Call data: let the hub take a deposit of `amount` nRLC, and given a ``matchOrders`` call, match at once."""
    return FUNCTIONS["approveAndCall"].encode(spender, amount, extra_data)


class Token:
    """A reader of the token; each method returns a `Reading`.

    Attributes:
        address: where the token stands.
    """

    def __init__(self, rpc: JsonRpc, address: Address) -> None:
        self.rpc = rpc
        self.address = address

    def _value(self, name: str, *arguments: Any) -> Reading[Any]:
        function = FUNCTIONS[name]
        return Reading(self.rpc, self.address, function.encode(*arguments), lambda data: function.decode(data)[0])

    def balance_of(self, account: Address) -> Reading[int]:
        """NRLC in the wallet of `account`, deposits not counted."""
        return self._value("balanceOf", account)

    def allowance(self, account: Address, spender: Address) -> Reading[int]:
        """NRLC that `spender` may still take from the wallet of `account`."""
        return self._value("allowance", account, spender)

    def total_supply(self) -> Reading[int]:
        """All nRLC there are."""
        return self._value("totalSupply")
