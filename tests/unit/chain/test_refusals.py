"""Nodes put the same refusals into different words."""

import pytest

from pyiexec.chain.transactions.refusals import Refusal, classify


@pytest.mark.parametrize(
    ("message", "refusal"),
    [
        ("already known", Refusal.KNOWN),
        ("transaction already imported", Refusal.KNOWN),
        ("AlreadyKnown", Refusal.KNOWN),
        ("nonce too low", Refusal.NONCE_USED),
        ("nonce too low: address 0x01, tx: 3 state: 4", Refusal.NONCE_USED),
        ("OldNonce, Current nonce: 5, nonce of rejected tx: 2", Refusal.NONCE_USED),
        ("replacement transaction underpriced", Refusal.NONCE_OCCUPIED),
        ("transaction underpriced", Refusal.FEE_TOO_LOW),
        ("max fee per gas less than block base fee: address 0x01", Refusal.FEE_TOO_LOW),
        ("FeeTooLow, EffectivePriorityFeePerGas too low", Refusal.FEE_TOO_LOW),
        ("insufficient funds for gas * price + value: balance 0", Refusal.NO_FUNDS),
        ("Insufficient funds for gas * price + value", Refusal.NO_FUNDS),
        ("intrinsic gas too low", Refusal.INVALID),
        ("intrinsic gas too high -- tx.gas_limit > env.block.gas_limit", Refusal.INVALID),
        ("exceeds block gas limit", Refusal.INVALID),
        ("invalid chain id for signer", Refusal.INVALID),
        ("txpool is full", Refusal.LATER),
        ("something nobody ever said", Refusal.LATER),
    ],
)
def test_messages_are_understood(message: str, refusal: Refusal) -> None:
    assert classify(message) is refusal
