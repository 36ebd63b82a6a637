"""The keys that secrets are encrypted with: a file of its own, readable by the service's user alone.

The file holds every key that some secret is still encrypted with, which of them is used for new ones, and one more key
under which messages are fingerprinted. It is read again whenever it changed, so that a rotation by another process is
seen by the next transaction.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import stat
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from pyiexec.protocol.errors import IexecError

KEY_BYTES = 32
_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_MAX_FILE_BYTES = 1024 * 1024


class KeyRing(msgspec.Struct, frozen=True):
    """Keys by id, all of 32 bytes.

    Attributes:
        active: id of the key for what is encrypted from now on.
        keys: this one, and while a rotation is under way the one before.
        fingerprint: key of `fingerprint_of`; it is not rotated, or what was used before would be forgotten.
    """

    active: str
    keys: Mapping[str, bytes]
    fingerprint: bytes

    def __repr__(self) -> str:
        return f"KeyRing({', '.join(self.keys)})"

    @property
    def rotating(self) -> bool:
        """Whether secrets may still be encrypted with an older key."""
        return len(self.keys) > 1

    def fingerprint_of(self, message: bytes) -> str:
        """A name for a message that tells nothing about it to whoever has not the ring, 64 hexadecimal digits."""
        return hmac.new(self.fingerprint, message, hashlib.sha256).hexdigest()

    def key(self, key_id: str) -> bytes:
        """The key with an id.

        Raises:
            IexecError: ``KEY_RING_WRONG``.
        """
        if key_id not in self.keys:
            raise IexecError("KEY_RING_WRONG", f"the key ring has no key {key_id}, with which secrets are encrypted")
        return self.keys[key_id]


def key_id_of(key: bytes) -> str:
    """The id of a key: 16 hexadecimal digits that only this key has."""
    return hashlib.sha256(b"pyiexec sms key id" + key).hexdigest()[:16]


def new_ring(entropy: Callable[[int], bytes]) -> KeyRing:
    """A ring of one fresh key."""
    key = entropy(KEY_BYTES)
    return KeyRing(key_id_of(key), {key_id_of(key): key}, entropy(KEY_BYTES))


def with_new_key(ring: KeyRing, entropy: Callable[[int], bytes]) -> KeyRing:
    """The ring with one more key, which is the active one now."""
    key = entropy(KEY_BYTES)
    return KeyRing(key_id_of(key), {**ring.keys, key_id_of(key): key}, ring.fingerprint)


def without_old_keys(ring: KeyRing) -> KeyRing:
    """The ring with the active key alone."""
    return KeyRing(ring.active, {ring.active: ring.key(ring.active)}, ring.fingerprint)


class KeyFile:
    """The file of a ring."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._seen: tuple[int, int, int] | None = None
        self._ring: KeyRing | None = None

    def read(self) -> KeyRing:
        """The ring, from the file if that changed since.

        Raises:
            IexecError: ``KEY_RING_MISSING``, ``KEY_RING_UNSAFE``, ``KEY_RING_WRONG``.
        """
        try:
            # Not waited for: a pipe in its place has no writer.
            descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except FileNotFoundError:
            raise IexecError("KEY_RING_MISSING", f"there is no key ring {self.path}") from None
        except OSError as error:
            raise IexecError("KEY_RING_WRONG", f"cannot read the key ring {self.path}: {error.strerror}") from None
        try:
            state = os.fstat(descriptor)
            if not stat.S_ISREG(state.st_mode) or state.st_mode & _OTHERS:
                raise IexecError("KEY_RING_UNSAFE", f"the key ring {self.path} is not for its owner alone")
            # A ring is never changed in place: another one has another inode.
            seen = (state.st_dev, state.st_ino, state.st_mtime_ns)
            if self._ring is None or seen != self._seen:
                self._ring = _decode(os.read(descriptor, _MAX_FILE_BYTES), self.path)
                self._seen = seen
            return self._ring
        finally:
            os.close(descriptor)

    def create(self, ring: KeyRing) -> KeyRing:
        """Make the file, unless another process just did; the ring that is in it."""
        scratch = self._write_scratch(ring)
        try:
            os.link(scratch, self.path)
        except FileExistsError:
            return self.read()
        finally:
            scratch.unlink()
        self._make_durable()
        return self.read()

    def replace(self, ring: KeyRing) -> KeyRing:
        """Put another ring in place of the file's: whole, or not at all."""
        self._write_scratch(ring).replace(self.path)
        self._make_durable()
        return self.read()

    def _write_scratch(self, ring: KeyRing) -> Path:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        scratch = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        scratch.unlink(missing_ok=True)
        descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(_encode(ring))
            file.flush()
            os.fsync(file.fileno())
        return scratch

    def _make_durable(self) -> None:
        folder = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


class _Document(msgspec.Struct, forbid_unknown_fields=True):
    active: str
    keys: dict[str, str]
    fingerprint: str


def _encode(ring: KeyRing) -> bytes:
    keys = {name: base64.b64encode(key).decode() for name, key in ring.keys.items()}
    document = _Document(ring.active, keys, base64.b64encode(ring.fingerprint).decode())
    return msgspec.json.format(msgspec.json.encode(document)) + b"\n"


def _decode(data: bytes, path: Path) -> KeyRing:
    try:
        document = msgspec.json.decode(data, type=_Document)
        keys = {name: base64.b64decode(text, validate=True) for name, text in document.keys.items()}
        fingerprint = base64.b64decode(document.fingerprint, validate=True)
    except (msgspec.DecodeError, ValueError):
        # Not chained: what is wrong with the text might be told with the text.
        raise IexecError("KEY_RING_WRONG", f"{path} is not a key ring") from None
    sound = all(len(key) == KEY_BYTES and key_id_of(key) == name for name, key in keys.items())
    if not sound or document.active not in keys or len(fingerprint) != KEY_BYTES:
        raise IexecError("KEY_RING_WRONG", f"the key ring {path} is damaged")
    return KeyRing(document.active, keys, fingerprint)
