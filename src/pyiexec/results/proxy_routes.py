"""HTTP routes of the result proxy: those of workers and enclaves, and the login of requesters' older clients."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from litestar import MediaType, Request, Response, get, head, post, put
from litestar.handlers import BaseRouteHandler
from litestar.params import FromPath

from pyiexec import __version__
from pyiexec.foundation.openapi import Answer, Parameter, Refusal, described
from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.primitives import (
    NULL_BYTES32,
    ResultDigest,
    TaskId,
    bytes32,
    checksum,
    is_address,
    to_bytes,
)
from pyiexec.results.models import MAX_MODEL_BYTES, Permission, ResultModel, read_model
from pyiexec.results.proxy import Proxy, Upload
from pyiexec.storage.node import too_large

AnyRequest = Request[Any, Any, Any]

_TOKEN = Parameter("authorization", str, "a token, without a word before it", place="header")
_CHAIN = Parameter("chainId", int, "the chain served", required=True)
_MORE = {507: Answer(Refusal, "the store is full"), 502: Answer(Refusal, "the chain refused to answer")}
_UPLOADED: Any = {
    "answer": str,
    "media_type": "text/plain",
    "refusals": (400, 401, 409, 413, 500, 503),
    "others": _MORE,
    "tags": ["result proxy"],
}


def proxy_routes(proxy: Proxy, chain_id: int, max_bytes: int) -> list[BaseRouteHandler]:
    """The routes over a proxy.

    Args:
        proxy: takes results.
        chain_id: the chain served.
        max_bytes: of an archive.
    """

    @post(
        "/v1/results/token",
        status_code=200,
        **described(
            Parameter("authorization", str, "the worker's signature of the authorization", place="header"),
            body=Permission,
            answer=str,
            media_type="text/plain",
            refusals=(400, 401, 413, 500, 503),
            others=_MORE,
            tags=["result proxy"],
        ),
    )
    async def token(request: AnyRequest) -> Response[str]:
        """A token for a worker that its pool let work on a task."""
        permission = read_model(await request.body(), Permission)
        return _text(await proxy.log_in_worker(permission, request.headers.get("authorization", "")))

    @post(
        ["/v1/results", "/results"],
        status_code=200,
        request_max_body_size=MAX_MODEL_BYTES,
        **described(_TOKEN, body=ResultModel, **_UPLOADED),
    )
    async def upload(request: AnyRequest) -> Response[str]:
        """The result of a task, whole and as text."""
        wallet = proxy.wallet(_token_of(request))
        model = read_model(await request.body(), ResultModel)
        meant = Upload(
            TaskId(bytes32(model.chain_task_id)),
            ResultDigest(bytes32(model.determinist_hash)),
            to_bytes(model.enclave_signature or "0x"),
        )
        return _text(await proxy.upload(wallet, meant, _whole(bytes(model.zip))))

    @put(
        "/v2/results/{task_id:str}",
        status_code=200,
        request_max_body_size=None,
        **described(
            _TOKEN,
            Parameter("x-result-digest", str, "digest of a result made in an enclave", place="header"),
            Parameter("x-enclave-signature", str, "by which the enclave vouches for it", place="header"),
            body={"type": "string", "format": "binary"},
            body_media_type="application/octet-stream",
            **_UPLOADED,
        ),
    )
    async def stream(request: AnyRequest, task_id: FromPath[str]) -> Response[str]:
        """The result of a task, streamed as it is."""
        wallet = proxy.wallet(_token_of(request))
        announced = request.headers.get("content-length", "")
        if announced.isdigit() and int(announced) > max_bytes:
            raise too_large(max_bytes)
        meant = Upload(
            _task_id(task_id),
            ResultDigest(_header(request, "x-result-digest", bytes32, bytes32(NULL_BYTES32))),
            _header(request, "x-enclave-signature", to_bytes, b""),
        )
        return _text(await proxy.upload(wallet, meant, request.stream()))

    @head(
        "/v1/results/{task_id:str}",
        status_code=204,
        **described(_TOKEN, answer=None, status=204, refusals=(400, 401, 404, 503), tags=["result proxy"]),
    )
    async def uploaded(request: AnyRequest, task_id: FromPath[str]) -> None:
        """Whether the result of a task was uploaded."""
        proxy.wallet(_token_of(request))
        if await proxy.result(_task_id(task_id)) is None:
            raise IexecError("CONTENT_NOT_FOUND", "no result of the task was uploaded")

    @get(
        "/v1/results/{task_id:str}/ipfshash",
        **described(
            _TOKEN,
            answer=str,
            media_type="text/plain",
            refusals=(400, 401, 404, 500, 503),
            others=_MORE,
            tags=["result proxy"],
        ),
    )
    async def ipfs_hash(request: AnyRequest, task_id: FromPath[str]) -> Response[str]:
        """The CID of a result: for everybody once the task is completed, for the parties of the deal before."""
        token = request.headers.get("authorization")
        return _text((await proxy.published(_task_id(task_id), token)).cid)

    @get(
        "/results/challenge",
        **described(
            _CHAIN,
            Parameter("address", str, "who logs in", required=True),
            refusals=(400, 503),
            tags=["result proxy"],
        ),
    )
    async def challenge(request: AnyRequest) -> dict[str, Any]:
        """Text to sign for a login."""
        _check_chain(request, chain_id)
        address = request.query_params.get("address", "")
        if not is_address(address):
            raise IexecError("BAD_REQUEST", "address is not a valid ethereum address")
        return {"ok": True, "data": await proxy.challenge(checksum(address.lower()))}

    @post(
        "/results/login",
        status_code=200,
        **described(
            _CHAIN,
            body=str,
            body_media_type="text/plain",
            answer=str,
            media_type="text/plain",
            refusals=(400, 401, 413, 500, 503),
            others=_MORE,
            tags=["result proxy"],
        ),
    )
    async def login(request: AnyRequest) -> Response[str]:
        """A token for whoever answered a challenge."""
        _check_chain(request, chain_id)
        return _text(await proxy.log_in((await request.body()).decode("ascii", "replace")))

    @get("/version", **described(answer=str, media_type="text/plain", tags=["service"]))
    async def version() -> Response[str]:
        """Which version answers."""
        return _text(__version__)

    @get("/actuator/health", **described(tags=["service"]))
    async def health() -> dict[str, str]:
        """That the service answers, for those that watch the reference's."""
        return {"status": "UP"}

    return [token, upload, stream, uploaded, ipfs_hash, challenge, login, version, health]


async def _whole(archive: bytes) -> AsyncIterator[bytes]:
    yield archive


def _text(text: str) -> Response[str]:
    return Response(text, media_type=MediaType.TEXT)


def _token_of(request: AnyRequest) -> str:
    return str(request.headers.get("authorization", ""))


def _task_id(text: str) -> TaskId:
    try:
        return TaskId(bytes32(text))
    except IexecError:
        raise IexecError("BAD_REQUEST", "chainTaskId is not 0x and 64 hexadecimal digits") from None


def _header(request: AnyRequest, name: str, read: Any, absent: Any) -> Any:
    text = request.headers.get(name)
    if text is None:
        return absent
    try:
        return read(text)
    except IexecError as error:
        raise IexecError("BAD_REQUEST", f"{name}: {error.what}") from None


def _check_chain(request: AnyRequest, chain_id: int) -> None:
    if request.query_params.get("chainId") != str(chain_id):
        raise IexecError("BAD_REQUEST", f"chainId must be {chain_id}")
