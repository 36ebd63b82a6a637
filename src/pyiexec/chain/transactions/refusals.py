"""Why a node did not take a transaction, told from its message: nodes agree on words more than on codes.

Covers the messages of go-ethereum, Nethermind, Erigon, Reth, anvil and Arbitrum's sequencer.
"""

from __future__ import annotations

from enum import Enum, auto


class Refusal(Enum):
    """What follows from a refusal.

    KNOWN: the node has it already, all is well. NONCE_USED: a block holds a transaction of this nonce, ours or not.
    NONCE_OCCUPIED: the pool holds another one of this nonce. FEE_TOO_LOW: offer more. NO_FUNDS and INVALID: it will
    not be taken. LATER: the node is busy, or says something unheard of.
    """

    KNOWN = auto()
    NONCE_USED = auto()
    NONCE_OCCUPIED = auto()
    FEE_TOO_LOW = auto()
    NO_FUNDS = auto()
    INVALID = auto()
    LATER = auto()


_SIGNS: tuple[tuple[Refusal, tuple[str, ...]], ...] = (
    (Refusal.KNOWN, ("already known", "already imported", "known transaction", "alreadyknown", "already exists")),
    (Refusal.NONCE_USED, ("nonce too low", "nonce is too low", "oldnonce", "nonce has already been used")),
    (Refusal.NONCE_OCCUPIED, ("replacement transaction underpriced", "replacementnotallowed", "could not replace")),
    (
        Refusal.FEE_TOO_LOW,
        ("less than block base fee", "transaction underpriced", "feetoolow", "fee too low", "below the base fee"),
    ),
    (Refusal.NO_FUNDS, ("insufficient funds", "insufficientfunds", "insufficient balance")),
    (
        Refusal.INVALID,
        (
            "intrinsic gas",
            "exceeds block gas limit",
            "gaslimitexceeded",
            "block.gas_limit",
            "exceeds maximum gas",
            "oversized data",
            "initcode",
            "chain id",
            "chainid",
            "invalid sender",
            "exceeds the configured cap",
            "rlp",
            "max priority fee per gas higher",
            "transaction type not supported",
        ),
    ),
)


def classify(message: str) -> Refusal:
    """The meaning of a node's message."""
    lower = message.lower()
    for refusal, signs in _SIGNS:
        if any(sign in lower for sign in signs):
            return refusal
    return Refusal.LATER
