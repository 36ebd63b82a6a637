"""The document of a service says what its routes say."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import get, put, websocket

from pyiexec.foundation.openapi import Answer, Parameter, described, description, document, page


class Price(msgspec.Struct):
    amount: int


@get(
    "/prices/{name:str}",
    **described(Parameter("unit", {"enum": ["RLC", "nRLC"]}, "of the amount"), answer=Price, refusals=(400, 404)),
)
async def show(name: str) -> Price:
    """A price.

    More about it.
    """
    return Price(len(name))


@put("/prices", **described(body=Price, answer=None, status=204, others={409: Answer(str, "taken", "text/plain")}))
async def change() -> None:
    """Set a price."""


@websocket("/live")
async def live(socket: Any) -> None:
    await socket.close()


def made() -> dict[str, Any]:
    more = {("GET", "/raw"): description(media_type="text/event-stream", answer=str, summary="News <live>.")}
    return document("prices & more", [show, change, live], more)


def test_parameters_bodies_and_answers_stand_in_the_document() -> None:
    operation = made()["paths"]["/prices/{name}"]["get"]
    assert operation["summary"] == "A price."
    assert [(each["name"], each["in"], each["required"]) for each in operation["parameters"]] == [
        ("name", "path", True),
        ("unit", "query", False),
    ]
    assert operation["parameters"][1]["schema"] == {"enum": ["RLC", "nRLC"]}
    assert set(operation["responses"]) == {"200", "400", "404"}
    assert operation["responses"]["200"]["content"]["application/json"]["schema"] == {
        "$ref": "#/components/schemas/Price"
    }
    assert made()["components"]["schemas"]["Price"]["required"] == ["amount"]


def test_an_empty_answer_has_no_content_and_a_body_is_required() -> None:
    operation = made()["paths"]["/prices"]["put"]
    assert operation["responses"]["204"] == {"description": "success"}
    assert operation["responses"]["409"]["content"] == {"text/plain": {"schema": {"type": "string"}}}
    assert operation["requestBody"]["required"]


def test_operations_without_a_handler_are_told_of_and_sockets_are_not() -> None:
    paths = made()["paths"]
    assert "text/event-stream" in paths["/raw"]["get"]["responses"]["200"]["content"]
    assert "/live" not in paths


def test_the_page_escapes_what_it_shows() -> None:
    shown = page(made())
    assert "prices &amp; more" in shown
    assert "News &lt;live&gt;." in shown
    assert "<script" not in shown
