"""The `params` text of a request order: arguments, inputs and where the result goes.

Only the keys that the JavaScript SDK knows are written, in its order, so that it accepts orders of ours. Text that is
no JSON is the command line of the application, as for the SDK. Unlike in older workers, an unknown key does not turn
the whole text into arguments: it is an error, because a misspelt key would silently change what was bought.
"""

from __future__ import annotations

import shlex
from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.strangers_json import decode_json

_Key = Annotated[str, Meta(pattern=r"^[1-9][0-9]*\Z")]
_SecretName = Annotated[str, Meta(min_length=1)]
_Url = Annotated[str, Meta(pattern=r"^https?://[^\s,]+\Z")]

#: Keys that other clients of the protocol write and that change nothing here.
_IGNORED = {
    "iexec_developer_logger",
    "iexec_result_storage_proxy",
    "iexec_tee_post_compute_image",
    "iexec_tee_post_compute_fingerprint",
}


class DealParams(msgspec.Struct, frozen=True, kw_only=True):
    """What the requester asks of the application and the result.

    Attributes:
        iexec_args: command line of the application.
        iexec_input_files: URLs fetched into its input folder.
        iexec_secrets: requester secrets by their number in the application, ``{"1": "name"}``.
        iexec_result_encryption: whether the result is encrypted for the beneficiary.
        iexec_result_storage_provider: where results are stored; None when a callback takes them.
        bulk_cid: the list of dataset orders that the tasks of a bulk deal share.
    """

    iexec_args: str = ""
    iexec_input_files: tuple[str, ...] = ()
    iexec_secrets: dict[str, str] = {}
    iexec_result_encryption: bool = False
    iexec_result_storage_provider: Literal["ipfs", "dropbox"] | None = "ipfs"
    bulk_cid: str | None = None


class _Written(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The JSON object, in the SDK's key order."""

    iexec_secrets: dict[_Key, _SecretName] | UnsetType = UNSET
    iexec_result_storage_provider: Literal["ipfs", "dropbox"] | UnsetType = UNSET
    iexec_result_encryption: bool | UnsetType = UNSET
    bulk_cid: Annotated[str, Meta(min_length=1)] | UnsetType = UNSET
    iexec_input_files: tuple[_Url, ...] | UnsetType = UNSET
    iexec_args: str | UnsetType = UNSET


def parse_params(text: str) -> DealParams:
    """The parameters written in an order.

    A JSON object without storage provider leaves it at None; text that is no JSON object is `iexec_args`.

    Raises:
        IexecError: ``BAD_PARAMS`` naming a key that is unknown or ill-formed.
    """
    if not text.strip():
        return DealParams()
    try:
        raw = decode_json(text)
    except (msgspec.DecodeError, UnicodeError):
        return DealParams(iexec_args=text)
    if not isinstance(raw, dict):
        return DealParams(iexec_args=text)
    try:
        written = msgspec.convert({key: value for key, value in raw.items() if key not in _IGNORED}, _Written)
    except msgspec.ValidationError as error:
        raise IexecError("BAD_PARAMS", f"the params of the request: {error}") from None
    given = {name: value for name, value in msgspec.structs.asdict(written).items() if value is not UNSET}
    return DealParams(**{"iexec_result_storage_provider": None} | given)


def format_params(params: DealParams) -> str:
    """The JSON text of `params`; what is empty or false is left out.

    Raises:
        IexecError: ``BAD_PARAMS`` when a value could not be read back.
    """
    fields = {name: value for name, value in msgspec.structs.asdict(params).items() if value}
    try:
        return msgspec.json.encode(msgspec.convert(fields, _Written)).decode()
    except (msgspec.ValidationError, UnicodeError) as error:
        raise IexecError("BAD_PARAMS", f"the params of the request: {error}") from None


def split_arguments(text: str) -> list[str]:
    """The command line of a request, split as a shell would.

    Raises:
        IexecError: ``BAD_PARAMS`` when a quotation is not closed.
    """
    try:
        return shlex.split(text)
    except ValueError as error:
        raise IexecError("BAD_PARAMS", f"iexec_args cannot be split into arguments: {error}") from None
