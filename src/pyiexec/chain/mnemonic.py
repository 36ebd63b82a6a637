"""Accounts from a mnemonic, as development chains hand them out.

Source: BIP-39 (seed), BIP-32 (derivation), BIP-44 (path ``m/44'/60'/0'/0/i``).
"""

from __future__ import annotations

import hashlib
import hmac
from functools import lru_cache

import coincurve

from pyiexec.chain.signer import Signer

_HARDENED = 1 << 31
_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
_ACCOUNTS_PATH = (44 | _HARDENED, 60 | _HARDENED, _HARDENED, 0)


def _child(key: int, chain_code: bytes, index: int) -> tuple[int, bytes]:
    if index & _HARDENED:
        data = b"\0" + key.to_bytes(32, "big")
    else:
        data = coincurve.PrivateKey.from_int(key).public_key.format(compressed=True)
    digest = hmac.digest(chain_code, data + index.to_bytes(4, "big"), "sha512")
    return (int.from_bytes(digest[:32], "big") + key) % _ORDER, digest[32:]


@lru_cache(maxsize=8)
def _accounts_node(mnemonic: str) -> tuple[int, bytes]:
    seed = hashlib.pbkdf2_hmac("sha512", mnemonic.encode(), b"mnemonic", 2048)
    digest = hmac.digest(b"Bitcoin seed", seed, "sha512")
    key, chain_code = int.from_bytes(digest[:32], "big"), digest[32:]
    for index in _ACCOUNTS_PATH:
        key, chain_code = _child(key, chain_code, index)
    return key, chain_code


def derive(mnemonic: str, index: int) -> Signer:
    """Account number `index` of a mnemonic without passphrase."""
    key, _ = _child(*_accounts_node(mnemonic), index)
    return Signer.from_key(key.to_bytes(32, "big"))
