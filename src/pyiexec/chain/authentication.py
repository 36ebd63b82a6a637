"""Whether an account signed something: with its key, or as a contract by its own judgement.

Source: EIP-2098 (64-byte signatures), ERC-1271, PoCo ``verifySignature``.
"""

from __future__ import annotations

from pyiexec.chain.hub import Hub
from pyiexec.chain.signer import recover
from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.primitives import NULL_ADDRESS, Address, bytes32

#: Longest signature that is looked at, bytes; contracts define their own.
MAX_SIGNATURE_BYTES = 1024


def signed_by_key(identity: Address, digest: bytes, signature: bytes) -> bool:
    """Whether the key of `identity` signed the 32 bytes `digest`; where it did not, a contract may still say so."""
    try:
        return recover(digest, signature) == identity
    except IexecError:
        # Not the form of a key's signature.
        return False


async def signed_by(hub: Hub, identity: Address, digest: bytes, signature: bytes) -> bool:
    """Whether `identity` signed the 32 bytes `digest`.

    The chain is asked only where no key explains the signature.

    Raises:
        IexecError: ``CHAIN_UNREACHABLE``.
    """
    if identity == NULL_ADDRESS or not 0 < len(signature) <= MAX_SIGNATURE_BYTES:
        return False
    if signed_by_key(identity, digest, signature):
        return True
    try:
        return bool(await hub.verify_signature(identity, bytes32(digest), signature))
    except IexecError as error:
        # The hub reverts on signatures it cannot take apart.
        if error.code == "CONTRACT_REVERTED":
            return False
        raise
