"""HTTP routes of the query service: GraphQL by POST and GET, and a page to try it on."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources
from typing import Any

import msgspec
from litestar import MediaType, Request, Response, get, post
from litestar.handlers import BaseRouteHandler
from litestar.params import FromPath
from litestar.status_codes import HTTP_200_OK, HTTP_400_BAD_REQUEST, HTTP_404_NOT_FOUND

from pyiexec.foundation.openapi import Answer as Described
from pyiexec.foundation.openapi import Parameter, described
from pyiexec.indexer.graphql.answering import Answer, Answerer, Question
from pyiexec.protocol.strangers_json import decode_json

AnyRequest = Request[Any, Any, Any]

_PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
_PAGE_HEADERS = {"content-security-policy": _PAGE_POLICY, "x-content-type-options": "nosniff"}


class Body(msgspec.Struct, rename="camel"):
    """Body of a GraphQL request; what else clients put into it is not looked at.

    Attributes:
        query: one or more operations.
        variables: values for those that the operation declares.
        operation_name: which one is meant, where there are several.
    """

    query: str
    variables: dict[str, Any] | None = None
    operation_name: str | None = None


class GraphQlError(msgspec.Struct, omit_defaults=True):
    """What is wrong, and where in the query or in the answer."""

    message: str
    locations: list[dict[str, int]] | None = None
    path: list[str | int] | None = None
    extensions: dict[str, Any] | None = None


class GraphQlAnswer(msgspec.Struct, omit_defaults=True):
    """A GraphQL answer: data, or errors, or both."""

    data: dict[str, Any] | None = None
    errors: list[GraphQlError] | None = None


class _MalformedError(Exception):
    """The request is no GraphQL request; the text says why."""


def routes(answerer: Answerer, chain_id: int, ids: Sequence[str] = (), names: Sequence[str] = ()) -> list[Any]:
    """The routes of one index.

    Args:
        chain_id: under which it is found.
        ids: under which clients of hosted subgraphs find it as well, at ``/api/subgraphs/id/<id>``.
        names: the same at ``/subgraphs/name/<name>``, where a name has two parts: ``owner/subgraph``.
    """
    parameters = (
        Parameter("query", str, "the query; without it, browsers are shown a page to write one on"),
        Parameter("variables", str, "its variables as a JSON object"),
        Parameter("operationName", str, "which of its operations is meant"),
    )
    bad = Described(GraphQlAnswer, "not a GraphQL request")
    nowhere = Described(GraphQlAnswer, "there is no index under this name")
    others = {HTTP_400_BAD_REQUEST: bad, HTTP_404_NOT_FOUND: nowhere}
    asked: dict[str, Any] = described(*parameters, answer=GraphQlAnswer, others=others, refusals=())
    posted: dict[str, Any] = described(body=Body, answer=GraphQlAnswer, others=others, refusals=(413,))

    async def by_get(request: AnyRequest, is_known: bool) -> Response[Any]:
        if not is_known:
            return _unknown()
        # Browsers say that they would see a page; programs forgot something.
        if "query" not in request.query_params and "text/html" in request.headers.get("accept", ""):
            return Response(_file("page.html"), media_type=MediaType.HTML, headers=_PAGE_HEADERS)
        return await _answered(answerer, lambda: _of_parameters(request))

    async def by_post(request: AnyRequest, is_known: bool) -> Response[Any]:
        if not is_known:
            return _unknown()
        content = await request.body()
        return await _answered(answerer, lambda: _of_body(content))

    limit = answerer.limits.body_bytes

    @get("/graphql/{chain:str}", **asked)
    async def ask(request: AnyRequest, chain: FromPath[str]) -> Response[Any]:
        """A GraphQL query in the URL, or the page to try one on."""
        return await by_get(request, chain == str(chain_id))

    @post("/graphql/{chain:str}", status_code=HTTP_200_OK, request_max_body_size=limit, **posted)
    async def query(request: AnyRequest, chain: FromPath[str]) -> Response[Any]:
        """A GraphQL query."""
        return await by_post(request, chain == str(chain_id))

    @get("/api/subgraphs/id/{subgraph:str}", **asked)
    async def ask_by_id(request: AnyRequest, subgraph: FromPath[str]) -> Response[Any]:
        """The same where clients of a hosted subgraph look for it."""
        return await by_get(request, subgraph in ids)

    @post("/api/subgraphs/id/{subgraph:str}", status_code=HTTP_200_OK, request_max_body_size=limit, **posted)
    async def query_by_id(request: AnyRequest, subgraph: FromPath[str]) -> Response[Any]:
        """The same where clients of a hosted subgraph look for it."""
        return await by_post(request, subgraph in ids)

    @get("/subgraphs/name/{owner:str}/{subgraph:str}", **asked)
    async def ask_by_name(request: AnyRequest, owner: FromPath[str], subgraph: FromPath[str]) -> Response[Any]:
        """The same where clients of a self-hosted subgraph look for it."""
        return await by_get(request, f"{owner}/{subgraph}" in names)

    @post("/subgraphs/name/{owner:str}/{subgraph:str}", status_code=HTTP_200_OK, request_max_body_size=limit, **posted)
    async def query_by_name(request: AnyRequest, owner: FromPath[str], subgraph: FromPath[str]) -> Response[Any]:
        """The same where clients of a self-hosted subgraph look for it."""
        return await by_post(request, f"{owner}/{subgraph}" in names)

    @get(
        "/graphql-page.js",
        sync_to_thread=False,
        **described(answer=str, media_type="text/javascript", refusals=()),
    )
    def script() -> Response[str]:
        """The page's script."""
        return Response(_file("page.js"), media_type="text/javascript", headers=_PAGE_HEADERS)

    @get("/graphql-page.css", sync_to_thread=False, **described(answer=str, media_type="text/css", refusals=()))
    def style() -> Response[str]:
        """How the page looks."""
        return Response(_file("page.css"), media_type="text/css", headers=_PAGE_HEADERS)

    made: list[BaseRouteHandler] = [ask, query, ask_by_id, query_by_id, ask_by_name, query_by_name, script, style]
    return made


def _file(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")


async def _answered(answerer: Answerer, read: Any) -> Response[Any]:
    try:
        question = read()
    except _MalformedError as error:
        return _response({"errors": [{"message": str(error)}]}, HTTP_400_BAD_REQUEST)
    return _response(await answerer.answer(question), HTTP_200_OK)


def _response(answer: Answer, status: int) -> Response[Any]:
    return Response(msgspec.json.encode(answer), status_code=status, media_type=MediaType.JSON)


def _unknown() -> Response[Any]:
    return _response({"errors": [{"message": "there is no index under this name"}]}, HTTP_404_NOT_FOUND)


def _of_body(content: bytes) -> Question:
    try:
        body: Body = decode_json(content, Body)
    except msgspec.ValidationError as error:
        raise _MalformedError(f"the body is no GraphQL request: {error}") from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise _MalformedError('the body must be a JSON object with a "query"') from None
    return Question(body.query, body.variables or {}, body.operation_name or None)


def _of_parameters(request: AnyRequest) -> Question:
    parameters = request.query_params
    if "query" not in parameters:
        raise _MalformedError('the URL has no "query"')
    text = parameters.get("variables") or "{}"
    try:
        variables: dict[str, Any] | None = decode_json(text, dict[str, Any] | None)
    except (msgspec.DecodeError, UnicodeError):
        raise _MalformedError('"variables" must be a JSON object') from None
    return Question(parameters["query"], variables or {}, parameters.get("operationName") or None)
