# pragma version 0.4.3
"""
@title Questions about signatures
@license Apache-2.0
@dev    The hash is taken as it is given: nothing is prefixed, no domain is added.
"""
from hub.modules import authenticity
from hub.modules import bounds
from hub.modules import order_marks
from hub.modules import signatures
from hub.modules import store

uses: store


@external
@view
def verifySignature(_identity: address, _hash: bytes32, _signature: Bytes[bounds.SIGNATURE]) -> bool:
    """
    @return Whether `_signature` over `_hash` is by `_identity`, a key or a contract.
    @custom:reverts `invalid-signature-format` for an account without code and a length other than 64 or 65.
    """
    return signatures._signed(_identity, _hash, _signature)


@external
@view
def verifyPresignature(_identity: address, _hash: bytes32) -> bool:
    """@return Whether `_identity` signed the order `_hash` on chain."""
    return _identity != empty(address) and order_marks._presigner(store.order_marks[_hash]) == _identity


@external
@view
def verifyPresignatureOrSignature(_identity: address, _hash: bytes32, _signature: Bytes[bounds.SIGNATURE]) -> bool:
    """@return Whether either holds."""
    return authenticity._authorized(_identity, _hash, _signature, store.order_marks[_hash])
