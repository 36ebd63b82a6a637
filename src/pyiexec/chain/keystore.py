"""Keystore files: a private key encrypted with a password, as the JS CLI and other Ethereum wallets write them.

Source: Web3 Secret Storage, version 3 (scrypt or PBKDF2, AES-128-CTR, Keccak MAC). The reference CLI names the section
``Crypto``, others ``crypto``: both are read, the reference's is written.
"""

from __future__ import annotations

import hmac
import os
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from pyiexec.chain.signer import Signer
from pyiexec.foundation.clock import Clock, SystemClock
from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.primitives import Address, checksum, keccak256

#: Cost parameters of scrypt that the reference writes: about 128 MiB and a third of a second.
SCRYPT_N, SCRYPT_R, SCRYPT_P = 131_072, 8, 1
#: Memory that a file found somewhere may ask of us at most, in bytes.
SCRYPT_MEMORY_LIMIT = 512 * 1024 * 1024
PBKDF2_ITERATIONS_LIMIT = 10_000_000
#: File names begin so, then the time, then the address without 0x.
PREFIX = "UTC--"


def encrypt(
    signer: Signer,
    password: str,
    *,
    n: int = SCRYPT_N,
    entropy: Callable[[int], bytes] = os.urandom,
) -> str:
    """The keystore file of an account.

    Args:
        n: cost of guessing passwords; lower it in tests only.
        entropy: source of random bytes.
    """
    salt, iv, identifier = entropy(32), entropy(16), entropy(16)
    derived = _scrypt(password, salt, n, SCRYPT_R, SCRYPT_P, 32)
    ciphertext = _aes_ctr(derived[:16], iv, signer.secret)
    document = {
        "address": signer.address[2:].lower(),
        "id": str(uuid.UUID(bytes=identifier, version=4)),
        "version": 3,
        "Crypto": {
            "cipher": "aes-128-ctr",
            "cipherparams": {"iv": iv.hex()},
            "ciphertext": ciphertext.hex(),
            "kdf": "scrypt",
            "kdfparams": {"salt": salt.hex(), "n": n, "dklen": 32, "p": SCRYPT_P, "r": SCRYPT_R},
            "mac": keccak256(derived[16:32] + ciphertext).hex(),
        },
    }
    return msgspec.json.encode(document).decode()


def decrypt(text: str | bytes, password: str) -> Signer:
    """The account of a keystore file.

    Raises:
        IexecError: ``WRONG_PASSWORD``; ``BAD_KEYSTORE`` when the file is not one, or asks for more memory than is
            reasonable.
    """
    document = _document(text)
    try:
        section = document["crypto"]
        derived = _derive(section["kdf"], section["kdfparams"], password)
        ciphertext = bytes.fromhex(section["ciphertext"])
        if section["cipher"] != "aes-128-ctr":
            raise IexecError("BAD_KEYSTORE", f"the cipher {str(section['cipher'])[:40]!r} is not supported")
        if not hmac.compare_digest(keccak256(derived[16:32] + ciphertext), bytes.fromhex(section["mac"])):
            raise IexecError("WRONG_PASSWORD", "the password does not open this keystore file")
        secret = _aes_ctr(derived[:16], bytes.fromhex(section["cipherparams"]["iv"]), ciphertext)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError, MemoryError) as error:
        raise IexecError(
            "BAD_KEYSTORE", f"the keystore file is incomplete or damaged ({type(error).__name__})"
        ) from None
    signer = Signer.from_key(secret)
    if "address" in document and _address_of(document) != signer.address:
        raise IexecError("BAD_KEYSTORE", "the keystore file holds the key of another account than it says")
    return signer


def _document(text: str | bytes) -> dict[str, Any]:
    try:
        document = msgspec.json.decode(text)
        # Writers disagree on capitals: Crypto and crypto, Version and version.
        lowered = {key.lower(): value for key, value in document.items()}
        section = {key.lower(): value for key, value in lowered["crypto"].items()}
    except (msgspec.DecodeError, UnicodeDecodeError, AttributeError, KeyError):
        raise IexecError("BAD_KEYSTORE", "this is not a keystore file") from None
    if lowered.get("version") != 3:
        raise IexecError(
            "BAD_KEYSTORE", f"keystore version {str(lowered.get('version'))[:20]} is not supported, only 3"
        )
    return lowered | {"crypto": section}


def _address_of(document: Mapping[str, Any]) -> Address:
    try:
        return checksum("0x" + str(document["address"]).lower().removeprefix("0x"))
    except IexecError:
        raise IexecError("BAD_KEYSTORE", "the keystore file names no address") from None


def _derive(kdf: str, parameters: Mapping[str, Any], password: str) -> bytes:
    salt, length = bytes.fromhex(parameters["salt"]), int(parameters["dklen"])
    if length != 32:
        raise IexecError("BAD_KEYSTORE", "the derived key must have 32 bytes")
    if kdf == "scrypt":
        return _scrypt(password, salt, int(parameters["n"]), int(parameters["r"]), int(parameters["p"]), length)
    if kdf == "pbkdf2" and parameters.get("prf") == "hmac-sha256":
        from cryptography.hazmat.primitives.hashes import SHA256
        from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC

        iterations = int(parameters["c"])
        if not 0 < iterations <= PBKDF2_ITERATIONS_LIMIT:
            raise IexecError("BAD_KEYSTORE", "the keystore file asks for too much work")
        return PBKDF2HMAC(SHA256(), length, salt, iterations).derive(password.encode())
    raise IexecError("BAD_KEYSTORE", f"the key derivation {str(kdf)[:40]!r} is not supported")


def _scrypt(password: str, salt: bytes, n: int, r: int, p: int, length: int) -> bytes:
    if min(n, r, p) < 1 or 128 * n * r > SCRYPT_MEMORY_LIMIT or r * p > 64:
        raise IexecError("BAD_KEYSTORE", "the keystore file asks for too much work")
    if n >= 1 << (16 * r):
        # RFC 7914 forbids it and OpenSSL refuses it, but older Python wallets wrote n = 262144 with r = 1.
        from Crypto.Protocol.KDF import scrypt

        derived: bytes = scrypt(password, salt, length, n, r, p)  # type: ignore[assignment, arg-type]
        return derived
    # OpenSSL takes a while to load, which commands that open no keystore do not owe.
    from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

    return Scrypt(salt=salt, length=length, n=n, r=r, p=p).derive(password.encode())


def _aes_ctr(key: bytes, iv: bytes, data: bytes) -> bytes:
    from cryptography.hazmat.primitives.ciphers import Cipher
    from cryptography.hazmat.primitives.ciphers.algorithms import AES
    from cryptography.hazmat.primitives.ciphers.modes import CTR

    encryptor = Cipher(AES(key), CTR(iv)).encryptor()
    return encryptor.update(data) + encryptor.finalize()


def create_keyfile(
    directory: Path, signer: Signer, password: str, *, clock: Clock | None = None, n: int = SCRYPT_N
) -> Path:
    """Write an account's keystore file, which only its owner may read; returns its path.

    Raises:
        IexecError: ``BAD_KEYSTORE`` when the folder cannot be written.
    """
    moment = datetime.fromtimestamp((clock or SystemClock()).now(), UTC).isoformat(timespec="milliseconds")
    stamp = moment.replace("+00:00", "Z").replace(":", "-")
    path = directory / f"{PREFIX}{stamp}--{signer.address[2:].lower()}"
    content = encrypt(signer, password, n=n)
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        scratch = directory / f".{path.name}.{os.getpid()}"
        with os.fdopen(os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        # Whole or not at all: a half-written file would be a lost key.
        scratch.replace(path)
    except OSError as error:
        raise IexecError(
            "BAD_KEYSTORE", f"cannot write {path}: {error.strerror}", remedy="Choose another folder."
        ) from None
    return path


def list_keyfiles(directory: Path) -> list[tuple[Address, Path]]:
    """Accounts of a keystore folder and their files, newest first; files of other kinds are passed over."""
    found = []
    for path in sorted(directory.glob(f"{PREFIX}*--*"), key=lambda path: path.name, reverse=True):
        digits = path.name.rpartition("--")[2].removeprefix("0x")
        try:
            found.append((checksum("0x" + digits.lower()), path))
        except IexecError:
            continue
    return found


def find_keyfile(directory: Path, wallet: str | None = None) -> Path | None:
    """The file of a wallet named by path, by file name in the folder or by address; the newest when None.

    Of several files of one address the newest is meant, as the reference CLI does.
    """
    if wallet is not None:
        for path in (directory / wallet, Path(wallet)):
            if path.is_file():
                return path
    for address, path in list_keyfiles(directory):
        if wallet is None or address.lower() == "0x" + wallet.lower().removeprefix("0x"):
            return path
    return None


def unlock(path: Path, password: str) -> Signer:
    """The account of a keystore file.

    Raises:
        IexecError: ``WALLET_MISSING`` when there is no such file; ``WRONG_PASSWORD``; ``BAD_KEYSTORE``.
    """
    return decrypt(_read(path), password)


def read_key_file(path: Path, password_file: Path | None = None) -> Signer:
    """A service's account: a file of 64 hexadecimal digits, or a keystore file with its password in another file.

    Raises:
        IexecError: ``WALLET_MISSING`` when a file cannot be read; ``BAD_KEY``; ``WRONG_PASSWORD``; ``BAD_KEYSTORE``.
    """
    text = _read(path).strip()
    if not text.startswith(b"{"):
        try:
            return Signer.from_key(text.decode())
        except UnicodeDecodeError:
            raise IexecError("BAD_KEY", f"{path} holds no private key") from None
    password = _read(password_file).decode(errors="replace").rstrip("\r\n") if password_file else ""
    return decrypt(text, password)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise IexecError("WALLET_MISSING", f"cannot read {path}: {error.strerror}") from None
