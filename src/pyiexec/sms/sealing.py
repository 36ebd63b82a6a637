"""Encryption of secrets at rest: AES-256-GCM, bound to the place where the ciphertext is kept.

A ciphertext opens only as the secret of its own kind, subject and name, with the key whose id stands beside it: rows
that are swapped, renamed or altered do not open.

Source: NIST SP 800-38D (96-bit random nonces; far fewer than 2^32 under one key).
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.secrets import Secret
from pyiexec.sms.keyring import KeyRing
from pyiexec.sms.rules import told

_NONCE_BYTES = 12
_TABLE = "secrets"


def seal(ring: KeyRing, secret: Secret, value: str, entropy: Callable[[int], bytes]) -> tuple[str, bytes]:
    """A value encrypted with the active key: the id of the key, and nonce with ciphertext."""
    nonce = entropy(_NONCE_BYTES)
    key_id = ring.active
    return key_id, nonce + AESGCM(ring.key(key_id)).encrypt(nonce, value.encode(), _place(secret, key_id))


def unseal(ring: KeyRing, secret: Secret, key_id: str, sealed: bytes) -> str:
    """The value that was sealed.

    Raises:
        IexecError: ``SECRET_CORRUPT``, ``KEY_RING_WRONG``.
    """
    nonce, ciphertext = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
    try:
        return AESGCM(ring.key(key_id)).decrypt(nonce, ciphertext, _place(secret, key_id)).decode()
    except (InvalidTag, ValueError):
        raise IexecError("SECRET_CORRUPT", f"{told(secret)} does not open as what was stored") from None


def _place(secret: Secret, key_id: str) -> bytes:
    return msgspec.json.encode([_TABLE, secret.kind, secret.subject, secret.name, key_id])
