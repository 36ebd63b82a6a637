"""Encryption of datasets for enclaves, and of results for their beneficiary, in the formats of the JS SDK.

A dataset is ``IV ‖ AES-256-CBC`` of the file; its key is kept as base64 text, and pushed as such. A result is a zip of
the AES key, encrypted with the beneficiary's RSA key, and of ``IV ‖ AES-256-CBC`` of the archive within. CBC does not
prove that content is unchanged: a dataset's checksum and a result's digest stand on chain for that.

Source: the iExec SDK and its post-compute; PKCS #1 v1.5, PKCS #7, PKCS #8.
"""

from __future__ import annotations

import base64
import hashlib
import os
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NamedTuple

from cryptography.hazmat.primitives import padding as block_padding
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC, ECB
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from pyiexec.protocol.errors import IexecError

KEY_BYTES, IV_BYTES = 32, 16
RESULT_KEY_BITS = 4096
#: Members of an encrypted result, and how large each may be, bytes.
RESULT_KEY_MEMBER, RESULT_MEMBER = "aes-key.rsa", "iexec_out.zip.aes"
MAX_RESULT_KEY_BYTES, MAX_RESULT_BYTES = 1000, 10**9
_PIECE_BYTES = 256 * 1024
_LEGACY_KEY_BYTES = 16

Entropy = Callable[[int], bytes]


class KeyPair(NamedTuple):
    """A beneficiary's RSA key: PKCS #8 and SubjectPublicKeyInfo, both PEM."""

    private: bytes
    public: bytes

    def __repr__(self) -> str:
        return "KeyPair(...)"


# --- datasets -----------------------------------------------------------------------------------------------------


def new_dataset_key(entropy: Entropy) -> str:
    """A fresh key, base64: what the dataset's owner pushes as its secret."""
    return base64.b64encode(entropy(KEY_BYTES)).decode()


def encrypt_dataset(source: Path, target: Path, key: str, entropy: Entropy) -> str:
    """Encrypt a file of any size; the SHA-256 of what was written, as the dataset's registration names it.

    Raises:
        IexecError: ``DECRYPTION_FAILED`` when the key has not the form of one.
        OSError: a file cannot be read or written.
    """
    iv = entropy(IV_BYTES)
    encryptor = Cipher(AES(_dataset_key(key)), CBC(iv)).encryptor()
    checksum = hashlib.sha256(iv)
    with source.open("rb") as plain, _whole(target) as file:
        file.write(iv)
        for piece in _padded(plain, encryptor):
            checksum.update(piece)
            file.write(piece)
    return "0x" + checksum.hexdigest()


def decrypt_dataset(source: Path, target: Path, key: str) -> None:
    """Decrypt a file that `encrypt_dataset` or the JS SDK wrote.

    Raises:
        IexecError: ``DECRYPTION_FAILED``; the target is not written then.
        OSError: a file cannot be read or written.
    """
    with source.open("rb") as encrypted, _whole(target) as file:
        for piece in _unpadded(encrypted, _dataset_key(key), "the dataset"):
            file.write(piece)


def _dataset_key(text: str) -> bytes:
    try:
        key = base64.b64decode(text.strip(), validate=True)
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        raise IexecError("DECRYPTION_FAILED", f"a dataset's key is {KEY_BYTES} bytes in base64")
    return key


# --- results ------------------------------------------------------------------------------------------------------


def new_result_key_pair() -> KeyPair:
    """A fresh RSA key of 4096 bits; takes about a second."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=RESULT_KEY_BITS)
    return KeyPair(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
    )


def encrypt_result(archive: Path, target: Path, public_key: bytes, entropy: Entropy) -> None:
    """Encrypt a result archive for the owner of a public key (PEM).

    Raises:
        IexecError: ``BAD_KEY``.
        OSError: a file cannot be read or written.
    """
    try:
        receiver = load_pem_public_key(public_key)
    except ValueError:
        receiver = None
    if not isinstance(receiver, rsa.RSAPublicKey):
        raise IexecError("BAD_KEY", "the beneficiary's key is not an RSA public key in PEM")
    key, iv = entropy(KEY_BYTES), entropy(IV_BYTES)
    encryptor = Cipher(AES(key), CBC(iv)).encryptor()
    with archive.open("rb") as plain, _whole(target) as file, zipfile.ZipFile(file, "w") as packed:
        packed.writestr(RESULT_KEY_MEMBER, receiver.encrypt(key, padding.PKCS1v15()))
        with packed.open(RESULT_MEMBER, "w", force_zip64=True) as member:
            member.write(iv)
            for piece in _padded(plain, encryptor):
                member.write(piece)


def decrypt_result(archive: Path, target: Path, private_key: bytes) -> None:
    """Decrypt a result with the beneficiary's private key (PEM); the archive within is what the app made.

    Raises:
        IexecError: ``BAD_KEY``; ``DECRYPTION_FAILED`` for another key or a damaged archive, ``CONTENT_TOO_LARGE``. The
            target is not written then.
        OSError: a file cannot be read or written.
    """
    try:
        own = load_pem_private_key(private_key, password=None)
    except (ValueError, TypeError):
        own = None
    if not isinstance(own, rsa.RSAPrivateKey):
        raise IexecError("BAD_KEY", "the beneficiary's key is not an RSA private key in PEM, without a password")
    try:
        with zipfile.ZipFile(archive) as packed:
            sealed = _member(packed, RESULT_KEY_MEMBER, MAX_RESULT_KEY_BYTES).read(MAX_RESULT_KEY_BYTES)
            key = _result_key(own, sealed)
            with _member(packed, RESULT_MEMBER, MAX_RESULT_BYTES) as content, _whole(target) as file:
                pieces = (
                    _legacy(content, key) if len(key) == _LEGACY_KEY_BYTES else _unpadded(content, key, "the result")
                )
                for piece in pieces:
                    file.write(piece)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError):
        raise IexecError("DECRYPTION_FAILED", f"{archive.name} is not an encrypted result") from None


def _member(packed: zipfile.ZipFile, name: str, most: int) -> IO[bytes]:
    try:
        found = packed.getinfo(name)
    except KeyError:
        raise IexecError("DECRYPTION_FAILED", f"Missing {name} file in zip input file") from None
    # What the directory says is held to while reading: a member that goes on is cut off by the zip module.
    if found.file_size > most:
        raise IexecError("CONTENT_TOO_LARGE", f"{name} has more than {most} bytes")
    return packed.open(found)


def _result_key(own: rsa.RSAPrivateKey, sealed: bytes) -> bytes:
    """The AES key: raw, or as older enclaves wrote it, base64 within and without."""
    failure = IexecError("DECRYPTION_FAILED", "Failed to decrypt results key with beneficiary key")
    size = own.key_size // 8
    try:
        if len(sealed) != size:
            key = base64.b64decode(own.decrypt(base64.b64decode(sealed, validate=True), padding.PKCS1v15()))
        else:
            key = own.decrypt(sealed, padding.PKCS1v15())
    except ValueError:
        raise failure from None
    if len(key) not in (_LEGACY_KEY_BYTES, KEY_BYTES):
        raise failure
    return key


def _legacy(content: IO[bytes], key: bytes) -> Iterator[bytes]:
    """AES-128-ECB of a base64 text, as the oldest enclaves wrote it."""
    try:
        sealed = base64.b64decode(content.read(), validate=True)
        decryptor, unpadder = Cipher(AES(key), ECB()).decryptor(), block_padding.PKCS7(128).unpadder()  # noqa: S305
        plain = unpadder.update(decryptor.update(sealed) + decryptor.finalize())
        yield plain + unpadder.finalize()
    except ValueError:
        raise IexecError("DECRYPTION_FAILED", "Failed to decrypt results with decrypted results key") from None


# --- AES-256-CBC --------------------------------------------------------------------------------------------------


def _padded(plain: IO[bytes], encryptor: CipherContext) -> Iterator[bytes]:
    padder = block_padding.PKCS7(128).padder()
    while piece := plain.read(_PIECE_BYTES):
        yield encryptor.update(padder.update(piece))
    yield encryptor.update(padder.finalize()) + encryptor.finalize()


def _unpadded(encrypted: IO[bytes], key: bytes, what: str) -> Iterator[bytes]:
    failure = IexecError("DECRYPTION_FAILED", f"{what} does not open with this key")
    iv = encrypted.read(IV_BYTES)
    if len(iv) != IV_BYTES or len(key) != KEY_BYTES:
        raise failure
    decryptor, unpadder = Cipher(AES(key), CBC(iv)).decryptor(), block_padding.PKCS7(128).unpadder()
    try:
        while piece := encrypted.read(_PIECE_BYTES):
            yield unpadder.update(decryptor.update(piece))
        yield unpadder.update(decryptor.finalize()) + unpadder.finalize()
    except ValueError:
        raise failure from None


@contextmanager
def _whole(target: Path) -> Iterator[IO[bytes]]:
    """A file that appears at its place once it is written, readable by its owner alone."""
    descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=".encryption-")
    partial = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
