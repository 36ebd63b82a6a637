"""Keys and signatures: secp256k1 over digests, messages, orders and transactions.

Source: EIP-2 (low s), EIP-155, EIP-191, EIP-712, EIP-1559, EIP-2098. The private key never leaves its `Signer`, and
neither `repr` nor errors show it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import coincurve
import msgspec

from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.primitives import Address, checksum, keccak256, to_bytes, to_hex

#: Half of the order of secp256k1: signatures with a larger s are refused (EIP-2).
HALF_ORDER = 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0


class Transaction(msgspec.Struct, frozen=True, kw_only=True):
    """An EIP-1559 transaction before it is signed; fees in wei per gas."""

    chain_id: int
    nonce: int
    max_priority_fee_per_gas: int
    max_fee_per_gas: int
    gas: int
    to: Address | None
    data: bytes = b""
    value: int = 0


def _rlp_length(length: int, offset: int) -> bytes:
    if length < 56:
        return bytes([offset + length])
    size = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes([offset + 55 + len(size)]) + size


def rlp(item: int | bytes | Sequence[Any]) -> bytes:
    """Recursive length prefix of integers (minimal big-endian), byte strings and lists."""
    if isinstance(item, Sequence) and not isinstance(item, bytes):
        body = b"".join(map(rlp, item))
        return _rlp_length(len(body), 0xC0) + body
    if isinstance(item, int):
        item = item.to_bytes((item.bit_length() + 7) // 8, "big")
    if len(item) == 1 and item[0] < 0x80:
        return item
    return _rlp_length(len(item), 0x80) + item


def create_address(sender: Address, nonce: int) -> Address:
    """Address of the contract that `sender` creates with its transaction number `nonce`."""
    return checksum(keccak256(rlp([to_bytes(sender), nonce]))[12:])


def create2_address(factory: Address, salt: bytes, initcode_hash: bytes) -> Address:
    """EIP-1014 address."""
    return checksum(keccak256(b"\xff" + to_bytes(factory) + salt + initcode_hash)[12:])


def recover(digest: bytes, signature: bytes) -> Address:
    """The account whose key signed `digest`; 65-byte and compact signatures, low s and v of 27 or 28 only.

    Raises:
        IexecError: ``BAD_SIGNATURE``.
    """
    if len(signature) == 64:
        s = int.from_bytes(signature[32:], "big")
        v = 27 + (s >> 255)
        signature = signature[:32] + (s & ((1 << 255) - 1)).to_bytes(32, "big") + bytes([v])
    if len(signature) != 65 or signature[64] not in (27, 28):
        raise IexecError("BAD_SIGNATURE", "the signature is not of 65 or 64 bytes with v of 27 or 28")
    if int.from_bytes(signature[32:64], "big") > HALF_ORDER:
        raise IexecError("BAD_SIGNATURE", "the signature's s is in the upper half of the curve order")
    try:
        public = coincurve.PublicKey.from_signature_and_message(
            signature[:64] + bytes([signature[64] - 27]), digest, hasher=None
        )
    except Exception:  # coincurve raises bare Exception and ValueError alike
        raise IexecError("BAD_SIGNATURE", "no public key fits the signature") from None
    return checksum(keccak256(public.format(compressed=False)[1:])[12:])


class Signer:
    """An account that can sign."""

    __slots__ = ("_key", "address")

    def __init__(self, key: coincurve.PrivateKey) -> None:
        self._key = key
        self.address: Address = checksum(keccak256(key.public_key.format(compressed=False)[1:])[12:])

    @classmethod
    def from_key(cls, key: bytes | str) -> Signer:
        """From 32 bytes or their ``0x`` hexadecimal.

        Raises:
            IexecError: ``BAD_KEY``; the message does not repeat the key.
        """
        try:
            secret = key if isinstance(key, bytes) else bytes.fromhex(key.removeprefix("0x"))
            if len(secret) != 32:
                raise ValueError
            return cls(coincurve.PrivateKey(secret))
        except ValueError:
            raise IexecError("BAD_KEY", "a private key is 32 bytes below the curve order") from None

    @property
    def secret(self) -> bytes:
        """The 32-byte key, for the keystore alone."""
        return self._key.secret

    @property
    def public_key(self) -> bytes:
        """Uncompressed public key, 65 bytes."""
        return self._key.public_key.format(compressed=False)

    def __repr__(self) -> str:
        return f"Signer({self.address})"

    def sign_digest(self, digest: bytes) -> bytes:
        """65-byte signature r ‖ s ‖ v of a 32-byte digest, with low s and v of 27 or 28."""
        signature = self._key.sign_recoverable(digest, hasher=None)
        return signature[:64] + bytes([signature[64] + 27])

    def sign_message_hash(self, message_hash: bytes) -> bytes:
        """EIP-191 personal signature over a 32-byte hash, as PoCo's authorisations use it."""
        return self.sign_digest(keccak256(b"\x19Ethereum Signed Message:\n32" + message_hash))

    def sign_transaction(self, transaction: Transaction) -> bytes:
        """The raw type-2 transaction, ready for ``eth_sendRawTransaction``."""
        fields: list[int | bytes | list[bytes]] = [
            transaction.chain_id,
            transaction.nonce,
            transaction.max_priority_fee_per_gas,
            transaction.max_fee_per_gas,
            transaction.gas,
            to_bytes(transaction.to) if transaction.to else b"",
            transaction.value,
            transaction.data,
            [],
        ]
        signature = self.sign_digest(keccak256(b"\x02" + rlp(fields)))
        r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:64], "big")
        return b"\x02" + rlp([*fields, signature[64] - 27, r, s])


def transaction_hash(raw: bytes) -> str:
    """Hash of a raw transaction."""
    return to_hex(keccak256(raw))
