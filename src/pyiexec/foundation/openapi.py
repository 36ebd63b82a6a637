"""What a service's routes promise, as an OpenAPI 3.1 document at ``/docs/openapi.json`` and a page at ``/docs``.

A route says what it takes and answers with `described`; what is checked against the document is the running service.
The parameters are read by the services themselves, whose messages clients know, so the description stands beside the
route instead of being guessed from types.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, ParamSpec

import msgspec
from litestar import MediaType, Response, get
from litestar.handlers import BaseRouteHandler, HTTPRouteHandler

from pyiexec import __version__

_Taken = ParamSpec("_Taken")
#: Key of a handler's ``opt`` under which its description is kept.
_KEY = "openapi"
_PATH_PARAMETER = re.compile(r"\{([a-z_0-9]+)(?::[a-z]+)?\}")
#: The page is markup alone: it loads nothing and runs nothing.
_PAGE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"


class AnyRefusal(msgspec.Struct, kw_only=True):
    """What every refusal tells, whatever form its text has.

    Attributes:
        ok: false.
        code: the error's stable name.
        remedy: what to do about it.
        retry: whether the same request may succeed later.
        details: what the error is about.
    """

    ok: bool
    code: str
    remedy: str = ""
    retry: bool = False
    details: dict[str, Any] | list[Any] | None = None


class Refusal(AnyRefusal, kw_only=True):
    """Answer to a request that is not served; ``error`` says what happened."""

    error: str


class Parameter(msgspec.Struct, frozen=True):
    """Something a request may carry besides its body.

    Attributes:
        name: as on the wire.
        kind: a Python type, or a JSON schema.
        text: what it means, with its unit.
        place: where it stands.
    """

    name: str
    kind: Any = str
    text: str = ""
    required: bool = False
    place: Literal["query", "header", "path"] = "query"


class Answer(msgspec.Struct, frozen=True):
    """What comes back: a Python type or JSON schema, None for an empty body.

    Attributes:
        also: the same in other media types, for those who ask for them.
    """

    kind: Any = None
    text: str = ""
    media_type: str = "application/json"
    also: tuple[Answer, ...] = ()


class Description(msgspec.Struct, frozen=True):
    """All that the document says of one operation."""

    parameters: tuple[Parameter, ...] = ()
    body: Answer | None = None
    answers: Mapping[int, Answer] = {}
    summary: str = ""
    tags: tuple[str, ...] = ()


#: What every service may answer to any request.
_REFUSAL_TEXTS = {
    400: "the request is malformed",
    401: "the caller is not known",
    403: "refused by a rule, or the authorisation does not hold",
    404: "no such thing",
    405: "no such method here",
    409: "in conflict with what is there",
    413: "too large",
    429: "too many requests",
    500: "the service failed",
    501: "not provided here",
    503: "something the service needs is away; try again",
}


def description(
    *parameters: Parameter,
    body: Any = None,
    body_media_type: str = "application/json",
    answer: Any = dict[str, Any],
    status: int = 200,
    media_type: str = "application/json",
    also: Sequence[Answer] = (),
    others: Mapping[int, Answer] | None = None,
    refusals: Sequence[int] = (400,),
    tags: Sequence[str] = (),
    summary: str = "",
) -> Description:
    """What the document says of an operation.

    Args:
        parameters: of query, headers and path.
        body: type or JSON schema of the request's body.
        answer: type or JSON schema of a success; None for an empty body.
        status: HTTP status of a success.
        also: a success in other media types.
        others: answers besides, by status.
        refusals: statuses of the refusals, which have the form of `Refusal`.
        summary: what it does; the first line of the handler's docstring when empty.
    """
    answers = {status: Answer(answer, "success", media_type, tuple(also)), **(others or {})}
    for code in refusals:
        answers.setdefault(code, Answer(Refusal, _REFUSAL_TEXTS[code]))
    taken = None if body is None else Answer(body, media_type=body_media_type)
    return Description(parameters, taken, answers, summary, tuple(tags))


def _for_routes(describe: Callable[_Taken, Description]) -> Callable[_Taken, dict[str, Any]]:
    def describe_route(*args: _Taken.args, **kwargs: _Taken.kwargs) -> dict[str, Any]:
        return {"opt": {_KEY: describe(*args, **kwargs)}}

    return describe_route


#: Takes what `description` takes; keyword arguments for a route decorator: ``@get("/x", **described(...))``.
described = _for_routes(description)


def document(
    title: str, routes: Iterable[BaseRouteHandler], more: Mapping[tuple[str, str], Description] | None = None
) -> dict[str, Any]:
    """The OpenAPI document of a service.

    Args:
        title: of the service.
        routes: its handlers; WebSockets are left out, OpenAPI cannot describe them.
        more: operations that no handler stands for, by method and path.
    """
    operations: dict[tuple[str, str], tuple[Description, str]] = {}
    for route in routes:
        if not isinstance(route, HTTPRouteHandler):
            continue
        described_as: Description = route.opt.get(_KEY) or description()
        summary = described_as.summary or (route.fn.__doc__ or "").strip().split("\n")[0]
        for path in route.paths:
            for method in route.http_methods:
                operations[str(method), path] = described_as, summary
    for key, described_as in (more or {}).items():
        operations[key] = described_as, described_as.summary
    kinds = _kinds(entry for entry, _ in operations.values())
    schemas, components = msgspec.json.schema_components(kinds, ref_template="#/components/schemas/{name}")
    known = {_identity(kind): schema for kind, schema in zip(kinds, schemas, strict=True)}
    paths: dict[str, dict[str, Any]] = {}
    for (verb, path), (entry, summary) in sorted(operations.items(), key=lambda item: (item[0][1], item[0][0])):
        place = _PATH_PARAMETER.sub(r"{\1}", path)
        paths.setdefault(place, {})[verb.lower()] = _operation(verb, path, entry, summary, known)
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": __version__, "license": {"name": "Apache-2.0"}},
        "paths": paths,
        "components": {"schemas": components},
    }


def documented(
    title: str, routes: Sequence[BaseRouteHandler], more: Mapping[tuple[str, str], Description] | None = None
) -> list[BaseRouteHandler]:
    """The routes, and besides them those that show their document.

    They are handed to the application without its own generator (``openapi_config=None``).
    """
    made: dict[str, Any] = {}

    def content() -> dict[str, Any]:
        # Made when somebody first asks: a service that starts owes nobody its documentation.
        if not made:
            made.update(document(title, routes, more))
        return made

    @get("/docs/openapi.json", **described(), sync_to_thread=False)
    def as_json() -> dict[str, Any]:
        """This service's description, OpenAPI 3.1."""
        return content()

    @get("/docs", media_type=MediaType.HTML, **described(answer=str, media_type="text/html"), sync_to_thread=False)
    def as_page() -> Response[str]:
        """This service's description, to be read."""
        headers = {"content-security-policy": _PAGE_POLICY, "x-content-type-options": "nosniff"}
        return Response(page(content()), media_type=MediaType.HTML, headers=headers)

    return [*routes, as_json, as_page]


def page(content: Mapping[str, Any]) -> str:
    """An OpenAPI document as one self-contained HTML page."""
    title = html.escape(content["info"]["title"])
    parts = [
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>',
        '<meta name="viewport" content="width=device-width, initial-scale=1"><style>',
        "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1c1c1c;"
        "background:#fff}code{font:14px ui-monospace,monospace}h2{margin:2rem 0 .3rem;font-size:1.05rem}"
        "table{border-collapse:collapse;width:100%}td,th{text-align:left;vertical-align:top;padding:.15rem .8rem "
        ".15rem 0;border-bottom:1px solid #ddd}@media(prefers-color-scheme:dark){body{color:#e6e6e6;background:#161616}"
        "td,th{border-color:#444}a{color:#8ab4f8}}</style>",
        f"<h1>{title}</h1><p>Version {html.escape(content['info']['version'])}. ",
        '<a href="/docs/openapi.json">OpenAPI document</a></p>',
    ]
    for path, methods in content["paths"].items():
        for method, operation in methods.items():
            parts.append(f"<h2><code>{method.upper()} {html.escape(path)}</code></h2>")
            parts.append(f"<p>{html.escape(operation['summary'])}</p>")
            rows = [
                (entry["name"], entry["in"] + (", required" if entry["required"] else ""), entry["description"])
                for entry in operation["parameters"]
            ]
            rows += [(status, "answer", entry["description"]) for status, entry in operation["responses"].items()]
            cells = ("".join(f"<td>{html.escape(str(cell))}</td>" for cell in row) for row in rows)
            parts.append("<table>" + "".join(f"<tr>{row}</tr>" for row in cells) + "</table>")
    return "".join(parts)


def _operation(
    method: str, path: str, entry: Description, summary: str, known: Mapping[Any, dict[str, Any]]
) -> dict[str, Any]:
    def schema(kind: Any) -> dict[str, Any]:
        return kind if isinstance(kind, dict) else known[_identity(kind)]

    def media(answer: Answer) -> dict[str, Any]:
        return {each.media_type: {"schema": schema(each.kind)} for each in (answer, *answer.also)}

    named = {parameter.name for parameter in entry.parameters if parameter.place == "path"}
    missing = [Parameter(name, str, place="path") for name in _PATH_PARAMETER.findall(path) if name not in named]
    shown = [
        {
            "name": parameter.name,
            "in": parameter.place,
            "required": parameter.required or parameter.place == "path",
            "description": parameter.text,
            "schema": schema(parameter.kind),
        }
        for parameter in [*missing, *entry.parameters]
    ]
    responses = {
        str(status): {"description": answer.text or "success"}
        # An answer to HEAD has the headers of a body and none.
        | ({} if answer.kind is None or method == "HEAD" else {"content": media(answer)})
        for status, answer in sorted(entry.answers.items())
    }
    operation: dict[str, Any] = {
        "operationId": re.sub(r"[^a-z0-9]+", "_", f"{method} {path}".lower()).strip("_"),
        "summary": summary,
        "parameters": shown,
        "responses": responses,
    }
    if entry.tags:
        operation["tags"] = list(entry.tags)
    if entry.body is not None:
        operation["requestBody"] = {"required": True, "content": media(entry.body)}
    return operation


def _kinds(entries: Iterable[Description]) -> list[Any]:
    """Every Python type named, once; JSON schemas stand for themselves."""
    found: dict[Any, Any] = {_identity(str): str}
    for entry in entries:
        kinds = [parameter.kind for parameter in entry.parameters]
        kinds += [each.kind for answer in entry.answers.values() for each in (answer, *answer.also)]
        kinds += [entry.body.kind] if entry.body else []
        found |= {_identity(kind): kind for kind in kinds if kind is not None and not isinstance(kind, dict)}
    return list(found.values())


def _identity(kind: Any) -> str:
    return repr(kind)
