"""Metrics are a service's own, and a page of them is complete or leaves out what is late."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

import anyio
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_open_metrics
from prometheus_client.parser import text_string_to_metric_families as parse_plain

from pyiexec.foundation import metrics as module
from pyiexec.foundation.metrics import Metrics, counter, gauge, histogram, wants_exposition
from pyiexec.protocol.errors import IexecError

SCRAPER_2 = (
    "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
    "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)
SCRAPER_3 = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
    "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1"
)
THINGS = gauge("things", "what there is", "kind")
DONE = counter("done_total", "what was done")
SECONDS = histogram("done_seconds", "how long it took")


def page(metrics: Metrics, accept: str = "") -> tuple[str, str]:
    body, media_type = asyncio.run(metrics.page(accept))
    return body.decode(), media_type


@pytest.mark.parametrize("accept", [SCRAPER_2, SCRAPER_3, "text/plain", "text/plain;version=0.0.4;q=1,*/*;q=0.1"])
def test_scrapers_are_known_by_what_they_accept(accept: str) -> None:
    assert wants_exposition(accept)


@pytest.mark.parametrize(
    "accept",
    [
        *("", "*/*", "application/json"),
        # What axios sends, and a browser.
        "application/json, text/plain, */*",
        "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    ],
)
def test_clients_of_the_json_are_not_taken_for_scrapers(accept: str) -> None:
    assert not wants_exposition(accept)


def test_values_are_read_when_somebody_asks() -> None:
    metrics, things = Metrics("test"), {"apple": 1.0}
    metrics.watch(THINGS, lambda: things)
    metrics.watch(DONE, lambda: 7)
    things["pear"] = 2.0
    text, _ = page(metrics)
    assert 'pyiexec_things{kind="apple"} 1.0' in text
    assert 'pyiexec_things{kind="pear"} 2.0' in text
    assert "pyiexec_done_total 7.0" in text


@pytest.mark.parametrize(
    ("accept", "parse", "media_type"),
    [(SCRAPER_2, parse_open_metrics, "application/openmetrics-text"), ("", parse_plain, "text/plain")],
)
def test_both_formats_are_what_their_names_say(
    accept: str, parse: Callable[[str], Iterable[Any]], media_type: str
) -> None:
    metrics = Metrics("test")
    metrics.histogram(SECONDS).observe(0.3)
    metrics.watch(DONE, lambda: 1)
    text, told = page(metrics, accept)
    assert told.startswith(media_type)
    names = {family.name for family in parse(text)}
    assert {"pyiexec_done_seconds", "pyiexec_done", "pyiexec_build_info"} <= names


def test_two_services_of_one_process_do_not_mix() -> None:
    first, second = Metrics("first"), Metrics("second")
    first.watch(DONE, lambda: 1)
    second.watch(DONE, lambda: 2)
    assert "pyiexec_done_total 1.0" in page(first)[0]
    assert "pyiexec_done_total 2.0" in page(second)[0]


def test_what_cannot_be_asked_for_is_left_out_and_the_rest_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PATIENCE", 0.05)
    metrics = Metrics("test")
    late, refused = gauge("late", "never answers"), gauge("refused", "fails")

    async def never() -> float:
        await anyio.sleep_forever()
        return 0

    async def fails() -> float:
        raise IexecError("DATABASE_UNAVAILABLE", "away")

    async def answers() -> dict[str, float]:
        return {"apple": 3.0}

    metrics.ask(late, never)
    metrics.ask(refused, fails)
    metrics.ask(THINGS, answers)
    text, _ = page(metrics)
    assert 'pyiexec_things{kind="apple"} 3.0' in text
    assert "\npyiexec_late " not in text
    assert "\npyiexec_refused " not in text
