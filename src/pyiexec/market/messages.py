"""Every refusal of the order book in the words its clients know, one table: some of them look for the sentences.

Source: the iExec marketplace, whose validator is yup; codes are ours and stand beside the text in every answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from pyiexec.protocol.errors import IexecError

#: Characters of a value that a message shows at most.
_SHOWN = 80


class Message(NamedTuple):
    """A refusal: its code, and its text with the places of what is refused."""

    code: str
    text: str


MESSAGES: Mapping[str, Message] = {
    # Malformed requests; `path` is a query parameter, or where in the body.
    "required": Message("BAD_REQUEST", "{path} is a required field"),
    "named": Message("BAD_REQUEST", "{path} or {path}Owner is required"),
    "null": Message("BAD_REQUEST", "{path} cannot be null"),
    "chain": Message("BAD_REQUEST", "chainId {value} is not supported"),
    "address": Message("BAD_REQUEST", "{path} is not a valid ethereum address"),
    "address or any": Message("BAD_REQUEST", '{path} is neither "any" nor a valid ethereum address'),
    "bytes32": Message("BAD_REQUEST", "{path} must be a bytes32 hexstring"),
    "signature": Message("BAD_REQUEST", "{path} must be a valid signature"),
    "boolean": Message("BAD_REQUEST", "{path} must be a `boolean` type, but the final value was: `{value}`."),
    "string": Message("BAD_REQUEST", "{path} must be a `string` type, but the final value was: `{value}`."),
    "object": Message("BAD_REQUEST", "{path} must be a `object` type, but the final value was: `{value}`."),
    "number": Message(
        "BAD_REQUEST",
        "{path} must be a `number` type, but the final value was: `NaN` (cast from the value `{value}`).",
    ),
    "integer": Message("BAD_REQUEST", "{path} must be an integer"),
    "at least": Message("BAD_REQUEST", "{path} must be greater than or equal to {bound}"),
    "at most": Message("BAD_REQUEST", "{path} must be less than or equal to {bound}"),
    "one of": Message("BAD_REQUEST", "{path} must be one of the following values: {values}"),
    "body": Message("BAD_REQUEST", "the body must be a JSON object"),
    # What is not there.
    "no order": Message("ORDER_UNKNOWN", "{kind} not found"),
    "no deal": Message("DEAL_UNKNOWN", "deal not found"),
    "no category": Message("CATEGORY_UNKNOWN", "category not found"),
    # Logins.
    "login": Message("LOGIN_INVALID", "invalid authorization"),
    # Publication, in the order of the checks.
    "published": Message("ORDER_PUBLISHED", "order already published"),
    "not deployed": Message("RESOURCE_NOT_DEPLOYED", "Resource not deployed"),
    "publisher": Message("ORDER_SIGNER_WRONG", "only order signer {signer} can publish an order"),
    "sign": Message("ORDER_SIGN_INVALID", "invalid sign"),
    "quota": Message("ORDER_QUOTA", "maximum of {quota} published open {kind} has been reached for wallet {signer}"),
    "consumed": Message("ORDER_CONSUMED", "order already consumed"),
    "pool stake": Message(
        "ORDER_STAKE_TOO_LOW", "workerpool owner's stake is too low to cover required workerpool lock"
    ),
    "requester stake": Message(
        "ORDER_STAKE_TOO_LOW",
        "requester stake is too low to cover requestorder payment, minimum stake required is {cost} nRLC",
    ),
    "no apporder": Message("ORDER_UNSERVED", "No apporder published for app {resource}"),
    "no tee apporder": Message("ORDER_UNSERVED", "No tee enabled apporder published for app {resource}"),
    "no datasetorder": Message("ORDER_UNSERVED", "No datasetorder published for dataset {resource}"),
    "max price": Message(
        "ORDER_UNSERVED", "{name}maxprice for {name} {resource} is too low, actual best price is {price} nRLC"
    ),
    # Withdrawal.
    "not published": Message("ORDER_NOT_PUBLISHED", "{kind} with orderHash {order_hash} is not published"),
    "withdrawer": Message("ORDER_SIGNER_WRONG", "only order signer {signer} can unpublish an order"),
    "none published": Message(
        "ORDER_NOT_PUBLISHED", "no open {kind} published by signer {signer} for {field} {resource}"
    ),
    # What is not the client's fault.
    "retry": Message("CHAIN_UNREACHABLE", "Something went wrong, you should retry later."),
    "internal": Message("INTERNAL", "Internal error"),
}


def refusal(name: str, /, **values: Any) -> IexecError:
    """The refusal called `name` in the table, ready to be raised."""
    message = MESSAGES[name]
    return IexecError(message.code, message.text.format(**values))


def shown(value: object) -> str:
    """A value as a message shows it: as JSON, and not without end."""
    text = msgspec.json.encode(value).decode() if not isinstance(value, str) else f'"{value[:_SHOWN]}"'
    return text[:_SHOWN]
