"""What clients of the result proxy send, as they spell it.

Source: the result proxy's ``WorkerpoolAuthorization`` and ``ResultModel``.
"""

from __future__ import annotations

from typing import Annotated, TypeVar

import msgspec
from msgspec import Meta

from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.primitives import NULL_ADDRESS, NULL_BYTES32
from pyiexec.protocol.strangers_json import decode_json

T = TypeVar("T")

#: Largest ``ResultModel``: the archive is in it as text, and all of it in memory. Larger ones go to version 2.
MAX_MODEL_BYTES = 48 * 1024 * 1024

_Word = Annotated[str, Meta(pattern=r"^0x[0-9a-fA-F]{64}\Z")]
_Hex = Annotated[str, Meta(pattern=r"^0x([0-9a-fA-F]{2}){0,1024}\Z")]
_Account = Annotated[str, Meta(pattern=r"^0x[0-9a-fA-F]{40}\Z")]


class SignatureValue(msgspec.Struct):
    """A signature."""

    value: _Hex


class Permission(msgspec.Struct, rename="camel"):
    """A pool's authorization for one worker and one task."""

    chain_task_id: _Word
    worker_wallet: _Account
    signature: SignatureValue
    enclave_challenge: _Account = NULL_ADDRESS


class ResultModel(msgspec.Struct, rename="camel"):
    """A result: its archive in base64 or as an array of numbers; other members are not looked at."""

    chain_task_id: _Word
    zip: bytes | list[Annotated[int, Meta(ge=0, le=255)]]
    determinist_hash: _Word = NULL_BYTES32
    enclave_signature: _Hex | None = None


def read_model(body: bytes, kind: type[T]) -> T:
    """The message in a body.

    Raises:
        IexecError: ``BAD_REQUEST`` naming the member.
    """
    try:
        found: T = decode_json(body, kind)
        return found
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise IexecError("BAD_REQUEST", f"the body is not a {kind.__name__}: {str(error)[:200]}") from None
