"""HTTP routes of the secret management service: the paths and statuses that clients of the network know.

Refusals are JSON whose ``error`` is a list of texts, as these paths have always answered.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from litestar import Litestar, MediaType, Request, Response, delete, get, head, post, put
from litestar.config.cors import CORSConfig
from litestar.exceptions.http_exceptions import RequestEntityTooLarge
from litestar.handlers import BaseRouteHandler
from litestar.params import FromPath
from litestar.status_codes import HTTP_200_OK, HTTP_204_NO_CONTENT, HTTP_404_NOT_FOUND

from pyiexec import __version__
from pyiexec.foundation.http import EXCEPTION_HANDLERS
from pyiexec.foundation.logs import get_logger
from pyiexec.foundation.metrics import gauge
from pyiexec.foundation.observation import ACCEPT, EXPOSITION, Observation
from pyiexec.foundation.openapi import Answer, AnyRefusal, Parameter, Refusal, described, documented
from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.primitives import Address, TaskId, bytes32, checksum, is_address
from pyiexec.protocol.secrets import (
    MAX_VALUE_BYTES,
    Action,
    Secret,
    SecretKind,
    app_secret,
    dataset_secret,
    read_value,
    requester_secret,
    web2_secret,
)
from pyiexec.sms.counter import Counter
from pyiexec.sms.vault import Vault

#: More of a body is not read: it is too large in any case.
MAX_BODY_BYTES = 4 * MAX_VALUE_BYTES

#: What is wrong with the service, and not with the request.
_OWN_TROUBLE = frozenset({"KEY_RING_MISSING", "KEY_RING_UNSAFE", "KEY_RING_WRONG", "SECRET_CORRUPT"})

SECRETS = gauge("sms_secrets", "secrets stored", "kind")

AnyRequest = Request[Any, Any, Any]

log = get_logger(__name__)


class Refused(AnyRefusal, kw_only=True):
    """Answer to a request that is not served; ``error`` says what happened, text by text."""

    error: list[str]


class Listed(msgspec.Struct, rename="camel"):
    """A secret by name; moments are milliseconds since the Unix epoch."""

    kind: SecretKind
    subject: str
    name: str
    created_at: int
    updated_at: int


class Names(msgspec.Struct):
    """The secrets of one person."""

    secrets: list[Listed]


class Alive(msgspec.Struct):
    """That a service answers."""

    ok: bool
    service: str
    version: str


class Stored(msgspec.Struct):
    """How many secrets of each kind are stored."""

    ok: bool
    secrets: dict[str, int]


_ADDRESS = {"type": "string", "pattern": "^0x[0-9a-fA-F]{40}$"}
_AUTHORIZATION = Parameter("Authorization", str, "signature of the owner, see the documentation", place="header")
_SUBJECT = Parameter("secretAddress", _ADDRESS, "the dataset", required=True)
_OWNER = Parameter("ownerAddress", _ADDRESS, "whose secret it is", required=True)
_NAME = Parameter("secretName", {"type": "string", "minLength": 1, "maxLength": 255}, "its name", required=True)
_APP = Parameter("address", _ADDRESS, "the app", place="path")
_REQUESTER = Parameter("address", _ADDRESS, "the requester", place="path")
_KEY = Parameter("key", {"type": "string", "pattern": "^[0-9A-Za-z_-]{1,64}$"}, "name of the secret", place="path")
_TASK = Parameter("task_id", {"type": "string", "pattern": "^0x[0-9a-fA-F]{64}$"}, "the task", place="path")


def _refusals(*statuses: int) -> dict[int, Answer]:
    texts = {
        400: "a parameter or the value is malformed",
        401: "not allowed by its owner",
        404: "not set",
        405: "no such method here",
        409: "set already",
        413: "the value is too large",
        429: "too many requests",
        500: "the service failed",
        501: "no enclave here",
        503: "the chain or the database is away; try again",
    }
    # Too many requests are refused before they get here, in the common form.
    return {status: Answer(Refusal if status == 429 else Refused, texts[status]) for status in statuses}


def _about(*parameters: Parameter, statuses: tuple[int, ...], body: bool = False) -> dict[str, Any]:
    """How a change of a secret is described."""
    return described(
        *parameters,
        _AUTHORIZATION,
        body={"type": "string", "minLength": 1, "maxLength": MAX_VALUE_BYTES} if body else None,
        body_media_type="text/plain",
        answer=None,
        status=204,
        others=_refusals(400, 401, 429, 500, 503, *statuses),
        refusals=(),
    )


def _about_check(*parameters: Parameter) -> dict[str, Any]:
    others = {
        status: Answer(None, text) for status, text in {400: "malformed", 404: "not set", 429: "too many"}.items()
    }
    return described(*parameters, answer=None, status=204, others=others, refusals=())


def create_app(counter: Counter, vault: Vault, observation: Observation) -> Litestar:
    """The service over a vault.

    Args:
        counter: takes what owners bring.
        observation: answers probes and Prometheus.
        vault: says what is there.
    """

    async def check(secret: Secret) -> Response[None]:
        known = await vault.has(secret)
        return Response(None, status_code=HTTP_204_NO_CONTENT if known else HTTP_404_NOT_FOUND)

    async def change(action: Action, request: AnyRequest, secret: Secret) -> None:
        value = "" if action is Action.DELETE else read_value(await _body(request, secret))
        await counter.change(action, secret, value, request.headers.get("authorization"))

    handlers: list[BaseRouteHandler] = []

    # --- datasets ---

    @head("/secrets/web3", **_about_check(_SUBJECT))
    async def has_dataset(request: AnyRequest) -> Response[None]:
        """Whether the key of a dataset is set."""
        return await check(_of_dataset(request))

    @post("/secrets/web3", status_code=HTTP_204_NO_CONTENT, **_about(_SUBJECT, statuses=(409, 413), body=True))
    async def set_dataset(request: AnyRequest) -> None:
        """Set the key of a dataset."""
        await change(Action.CREATE, request, _of_dataset(request))

    @put("/secrets/web3", status_code=HTTP_204_NO_CONTENT, **_about(_SUBJECT, statuses=(404, 413), body=True))
    async def replace_dataset(request: AnyRequest) -> None:
        """Replace the key of a dataset; takes a bound authorisation."""
        await change(Action.REPLACE, request, _of_dataset(request))

    @delete("/secrets/web3", **_about(_SUBJECT, statuses=(404,)))
    async def delete_dataset(request: AnyRequest) -> None:
        """Delete the key of a dataset; takes a bound authorisation."""
        await change(Action.DELETE, request, _of_dataset(request))

    handlers += [has_dataset, set_dataset, replace_dataset, delete_dataset]

    # --- people's own ---

    @head("/secrets/web2", **_about_check(_OWNER, _NAME))
    async def has_web2(request: AnyRequest) -> Response[None]:
        """Whether a person has a secret of this name."""
        return await check(_of_person(request))

    @post("/secrets/web2", status_code=HTTP_204_NO_CONTENT, **_about(_OWNER, _NAME, statuses=(409, 413), body=True))
    async def set_web2(request: AnyRequest) -> None:
        """Set a person's own secret."""
        await change(Action.CREATE, request, _of_person(request))

    @put("/secrets/web2", status_code=HTTP_204_NO_CONTENT, **_about(_OWNER, _NAME, statuses=(404, 413), body=True))
    async def replace_web2(request: AnyRequest) -> None:
        """Replace a person's own secret."""
        await change(Action.REPLACE, request, _of_person(request))

    @delete("/secrets/web2", **_about(_OWNER, _NAME, statuses=(404,)))
    async def delete_web2(request: AnyRequest) -> None:
        """Delete a person's own secret; takes a bound authorisation."""
        await change(Action.DELETE, request, _of_person(request))

    @get(
        "/secrets",
        **described(_OWNER, _AUTHORIZATION, answer=Names, others=_refusals(400, 401, 429, 500, 503), refusals=()),
    )
    async def names(request: AnyRequest) -> Names:
        """Names of the secrets that a person set; takes a bound authorisation, and shows no value."""
        owner = _address(request.query_params, "ownerAddress")
        found = await counter.names_of(owner, request.headers.get("authorization"))
        return Names(
            [
                Listed(each.secret.kind, each.secret.subject, each.secret.name, each.created_at, each.updated_at)
                for each in found
            ]
        )

    handlers += [has_web2, set_web2, replace_web2, delete_web2, names]

    # --- apps ---

    @head("/apps/{address:str}/secrets", **_about_check(_APP))
    async def has_app(address: FromPath[str]) -> Response[None]:
        """Whether the secret of an app is set."""
        return await check(_of_app(address))

    @post(
        "/apps/{address:str}/secrets", status_code=HTTP_204_NO_CONTENT, **_about(_APP, statuses=(409, 413), body=True)
    )
    async def set_app(request: AnyRequest, address: FromPath[str]) -> None:
        """Set the secret of an app."""
        await change(Action.CREATE, request, _of_app(address))

    @put("/apps/{address:str}/secrets", status_code=HTTP_204_NO_CONTENT, **_about(_APP, statuses=(404, 413), body=True))
    async def replace_app(request: AnyRequest, address: FromPath[str]) -> None:
        """Replace the secret of an app; takes a bound authorisation."""
        await change(Action.REPLACE, request, _of_app(address))

    @delete("/apps/{address:str}/secrets", **_about(_APP, statuses=(404,)))
    async def delete_app(request: AnyRequest, address: FromPath[str]) -> None:
        """Delete the secret of an app; takes a bound authorisation."""
        await change(Action.DELETE, request, _of_app(address))

    handlers += [has_app, set_app, replace_app, delete_app]

    # --- requesters ---

    @head("/requesters/{address:str}/secrets/{key:str}", **_about_check(_REQUESTER, _KEY))
    async def has_requester(address: FromPath[str], key: FromPath[str]) -> Response[None]:
        """Whether a requester has a secret of this name."""
        return await check(_of_requester(address, key))

    @post(
        "/requesters/{address:str}/secrets/{key:str}",
        status_code=HTTP_204_NO_CONTENT,
        **_about(_REQUESTER, _KEY, statuses=(404, 409), body=True),
    )
    async def set_requester(request: AnyRequest, address: FromPath[str], key: FromPath[str]) -> None:
        """Set a secret that a requester hands to apps."""
        await change(Action.CREATE, request, _of_requester(address, key))

    @put(
        "/requesters/{address:str}/secrets/{key:str}",
        status_code=HTTP_204_NO_CONTENT,
        **_about(_REQUESTER, _KEY, statuses=(404,), body=True),
    )
    async def replace_requester(request: AnyRequest, address: FromPath[str], key: FromPath[str]) -> None:
        """Replace a requester's secret; takes a bound authorisation."""
        await change(Action.REPLACE, request, _of_requester(address, key))

    @delete("/requesters/{address:str}/secrets/{key:str}", **_about(_REQUESTER, _KEY, statuses=(404,)))
    async def delete_requester(request: AnyRequest, address: FromPath[str], key: FromPath[str]) -> None:
        """Delete a requester's secret; takes a bound authorisation."""
        await change(Action.DELETE, request, _of_requester(address, key))

    handlers += [has_requester, set_requester, replace_requester, delete_requester]

    # --- enclaves, and the service itself ---

    @post(
        "/tee/challenges/{task_id:str}",
        status_code=HTTP_200_OK,
        **described(
            _TASK, _AUTHORIZATION, answer=str, others=_refusals(400, 401, 404, 429, 500, 501, 503), refusals=()
        ),
    )
    async def challenge(request: AnyRequest, task_id: FromPath[str]) -> Address:
        """The key of an enclave for a task, for the manager of its pool. This service has no enclaves yet: 501."""
        try:
            wanted = TaskId(bytes32(task_id))
        except IexecError as error:
            raise IexecError("BAD_REQUEST", f"the task id: {error.what}") from None
        return await counter.challenge(wanted, request.headers.get("authorization"))

    @get("/version", **described(answer=Alive, refusals=(429,)))
    async def version() -> Alive:
        """Which version answers."""
        return Alive(True, "sms", __version__)

    @get("/health", **described(answer=Alive, refusals=(429,)))
    async def health() -> Alive:
        """That the service answers."""
        return Alive(True, "sms", __version__)

    async def stored() -> dict[str, int]:
        return {str(kind): count for kind, count in (await vault.counts()).items()}

    observation.metrics.ask(SECRETS, stored)

    @get("/metrics", **described(ACCEPT, answer=Stored, also=EXPOSITION, others=_refusals(429, 500, 503), refusals=()))
    async def metrics(request: AnyRequest) -> Stored | Response[bytes]:
        """How many secrets are stored; to Prometheus, all metrics."""
        return await observation.exposition_if_wanted(request) or Stored(True, await stored())

    handlers += [challenge, version, health, metrics, *observation.routes(metrics=False)]
    return Litestar(
        documented("iExec secret management service", handlers),
        exception_handlers={kind: _as_list(answer) for kind, answer in EXCEPTION_HANDLERS.items()},
        cors_config=CORSConfig(
            allow_origins=["*"],
            allow_methods=["GET", "HEAD", "POST", "PUT", "DELETE"],
            allow_headers=["authorization", "content-type", "accept"],
        ),
        request_max_body_size=MAX_BODY_BYTES,
        openapi_config=None,
        # The process that hosts the service decides about logs.
        logging_config=None,
    )


def _as_list(answer: Any) -> Any:
    """An error handler whose ``error`` is a list of texts."""

    def listed(request: AnyRequest, error: Exception) -> Response[Any]:
        if isinstance(error, IexecError) and error.code in _OWN_TROUBLE:
            # For whoever runs the service; to others it would tell where its files are.
            log.error("secrets cannot be used", code=error.code, what=error.what, remedy=error.remedy)
            error = IexecError("INTERNAL", "the service cannot use its keys")
        response: Response[dict[str, Any]] = answer(request, error)
        body = response.content | {"error": [response.content["error"]]}
        return Response(body, status_code=response.status_code, media_type=MediaType.JSON, headers=response.headers)

    return listed


async def _body(request: AnyRequest, secret: Secret) -> bytes:
    """The value in the request, at most some bytes more than it may have."""
    try:
        body = await request.body()
    except RequestEntityTooLarge:
        body = bytes(MAX_VALUE_BYTES + 1)
    if len(body) > MAX_VALUE_BYTES and secret.kind is SecretKind.REQUESTER:
        # Of these alone clients know it as malformed.
        raise IexecError("BAD_SECRET", f"the value has more than {MAX_VALUE_BYTES} bytes")
    return body


def _of_dataset(request: AnyRequest) -> Secret:
    return dataset_secret(_address(request.query_params, "secretAddress"))


def _of_person(request: AnyRequest) -> Secret:
    query = request.query_params
    return web2_secret(_address(query, "ownerAddress"), _text(query, "secretName"))


def _of_app(address: str) -> Secret:
    return app_secret(_checked(address, "the app's address"))


def _of_requester(address: str, key: str) -> Secret:
    return requester_secret(_checked(address, "the requester's address"), key)


def _address(query: Mapping[str, str], name: str) -> Address:
    return _checked(_text(query, name), name)


def _text(query: Mapping[str, str], name: str) -> str:
    if name not in query:
        raise IexecError("BAD_REQUEST", f"{name} is a required parameter")
    return query[name]


def _checked(text: str, name: str) -> Address:
    if not is_address(text):
        raise IexecError("BAD_REQUEST", f"{name} is not an Ethereum address")
    # Whatever the case of its letters: it is only a name here.
    return checksum(text.lower())
