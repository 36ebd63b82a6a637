"""Tokens that say whose wallet a client proved to be.

Source: RFC 7515, RFC 7519 (HS256); audience is the wallet. The keys are one a line in a file: the first signs, all are
believed, so that a new one can be put before an old one until the last of its tokens has expired.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.primitives import Address, checksum

_KEY_BYTES = 32
#: Longest token looked at.
_MAX_TOKEN = 1024


class _Header(msgspec.Struct):
    alg: str
    kid: str = ""
    typ: str = "JWT"


class _Claims(msgspec.Struct):
    aud: str
    sub: str
    iat: int
    exp: int


class Tokens:
    """Makes and reads tokens; shows its keys to nobody.

    Args:
        keys: at least one; the first signs.
        lifetime: seconds for which a token is good.
    """

    def __init__(self, keys: Sequence[bytes], lifetime: int) -> None:
        self._keys = {_key_id(key): key for key in keys}
        self._signing = _key_id(keys[0])
        self._lifetime = lifetime

    def __repr__(self) -> str:
        return f"Tokens({len(self._keys)} keys)"

    def issue(self, wallet: Address, now: int, nonce: bytes) -> str:
        """A token for a wallet, different from all others by `nonce`."""
        header = _Header("HS256", self._signing)
        claims = _Claims(wallet, nonce.hex(), now, now + self._lifetime)
        signed = f"{_encode(msgspec.json.encode(header))}.{_encode(msgspec.json.encode(claims))}"
        return f"{signed}.{_encode(_mac(self._keys[self._signing], signed))}"

    def wallet(self, token: str, now: int) -> Address:
        """Whose token it is.

        Raises:
            IexecError: ``TOKEN_INVALID``.
        """
        try:
            signed, _, mac = token[: _MAX_TOKEN + 1].rpartition(".")
            head, _, body = signed.partition(".")
            header = msgspec.json.decode(_decode(head), type=_Header)
            key = self._keys[header.kid]
            if header.alg != "HS256" or not hmac.compare_digest(_mac(key, signed), _decode(mac)):
                raise ValueError
            claims = msgspec.json.decode(_decode(body), type=_Claims)
            if claims.exp <= now:
                raise ValueError
            return checksum(claims.aud)
        except (ValueError, KeyError, msgspec.MsgspecError, IexecError):
            raise invalid_token() from None


def invalid_token() -> IexecError:
    """The one refusal of any token and login that does not hold."""
    return IexecError("TOKEN_INVALID", "the token is missing, was not issued here, or has expired")


def load_keys(path: Path, entropy: Callable[[int], bytes]) -> list[bytes]:
    """The keys in a file of lines of 64 hexadecimal digits; it is made, for its owner alone, when it is not there.

    Raises:
        IexecError: ``BAD_SETTINGS``; the message does not repeat what is in it.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        pass
    except OSError as error:
        raise IexecError("BAD_SETTINGS", f"token_key_file cannot be written: {error.strerror}") from None
    else:
        with os.fdopen(descriptor, "w") as file:
            file.write(entropy(_KEY_BYTES).hex() + "\n")
    try:
        keys = [bytes.fromhex(line) for line in path.read_text().split()]
    except OSError as error:
        raise IexecError("BAD_SETTINGS", f"token_key_file cannot be read: {error.strerror}") from None
    except ValueError:
        keys = []
    if not keys or any(len(key) != _KEY_BYTES for key in keys):
        raise IexecError("BAD_SETTINGS", "token_key_file must hold keys of 64 hexadecimal digits, one a line")
    return keys


def _key_id(key: bytes) -> str:
    return hashlib.sha256(b"iexec result proxy key id" + key).hexdigest()[:8]


def _mac(key: bytes, signed: str) -> bytes:
    return hmac.digest(key, signed.encode(), "sha256")


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    data = base64.urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))
    # One spelling of each token: what decodes leniently to the same bytes is another text.
    if _encode(data) != text:
        raise ValueError
    return data
