# pragma version 0.4.3
"""
@title Signatures
@license Apache-2.0
@notice Whether an account signed a digest: with its key (65 bytes, or 64 in the compact form of EIP-2098) or, when it
        is a contract, by its own judgement (ERC-1271).
@dev    The key is tried first. For a plain account or a contract wallet the order makes no difference; an account that
        has delegated its code (EIP-7702) keeps the right to sign with its key.
"""
from hub.modules import bounds

# Signatures with s in the upper half are the mirror images of others and are refused.
S_MAX: constant(uint256) = 57896044618658097711785492504343953926418782139537452191302581570759080747168
S_MASK: constant(uint256) = 2**255 - 1
V_SHIFT: constant(uint256) = 255
V_BASE: constant(uint256) = 27

ERC1271_MAGIC: constant(bytes32) = 0x1626ba7e00000000000000000000000000000000000000000000000000000000
ETHEREUM_MESSAGE: constant(Bytes[28]) = b"\x19Ethereum Signed Message:\n32"


@internal
@pure
def _ethereum_message(message_hash: bytes32) -> bytes32:
    """@return What a wallet signs when asked to sign the 32 bytes `message_hash` (EIP-191)."""
    return keccak256(concat(ETHEREUM_MESSAGE, message_hash))


@internal
@pure
def _has_key_length(signature: Bytes[bounds.SIGNATURE]) -> bool:
    return len(signature) == 65 or len(signature) == 64


@internal
@view
def _recover(digest: bytes32, signature: Bytes[bounds.SIGNATURE]) -> address:
    """@return Who signed, or zero; `signature` has 64 or 65 bytes. A recovery id of 0 or 1 means 27 or 28."""
    r: uint256 = extract32(signature, 0, output_type=uint256)
    s: uint256 = extract32(signature, 32, output_type=uint256)
    v: uint256 = 0
    if len(signature) == 65:
        v = convert(slice(signature, 64, 1), uint256)
        if v < 2:
            v += V_BASE
    else:
        v = V_BASE + (s >> V_SHIFT)
        s = s & S_MASK
    if s > S_MAX:
        return empty(address)
    return ecrecover(digest, v, r, s)


@internal
@view
def _accepted_by(wallet: address, digest: bytes32, signature: Bytes[bounds.SIGNATURE]) -> bool:
    """@return Whether the contract `wallet` says yes (ERC-1271); a call that fails or answers nonsense is a no."""
    success: bool = False
    answer: Bytes[32] = b""
    success, answer = raw_call(
        wallet,
        abi_encode(digest, signature, method_id=method_id("isValidSignature(bytes32,bytes)")),
        max_outsize=32,
        is_static_call=True,
        revert_on_failure=False,
    )
    return success and len(answer) == 32 and convert(answer, bytes32) == ERC1271_MAGIC


@internal
@view
def _signed(account: address, digest: bytes32, signature: Bytes[bounds.SIGNATURE]) -> bool:
    """
    @return Whether `signature` over `digest` is by `account`; never for the zero address.
    @custom:reverts `invalid-signature-format` when the account has no code and the length is neither 64 nor 65.
    """
    by_key: bool = self._has_key_length(signature)
    if by_key and account != empty(address):
        if self._recover(digest, signature) == account:
            return True
    if account.codesize != 0:
        return self._accepted_by(account, digest, signature)
    assert by_key, "invalid-signature-format"
    return False
