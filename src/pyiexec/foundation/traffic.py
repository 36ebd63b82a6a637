"""Every HTTP request to a service: how long it took, and which trace its log lines belong to."""

from __future__ import annotations

import re
from typing import Any

from prometheus_client import Histogram

from pyiexec.foundation.clock import Clock
from pyiexec.foundation.http import Application
from pyiexec.foundation.logs import traced
from pyiexec.foundation.metrics import Metrics, histogram
from pyiexec.protocol.traces import TraceId, read_traceparent

REQUEST_SECONDS = histogram(
    "http_request_duration_seconds",
    "time from a request to the beginning of its answer, by route and status",
    *("method", "route", "status"),
)
#: Route of the requests that none of the service's routes is for.
UNMATCHED = "unmatched"
#: Key in an ASGI scope under which whoever answers tells the route: the name that the framework uses.
ROUTE = "path_template"

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_TYPE = re.compile(r":[a-z]+(?=})")


class Traffic:
    """Stands before a service's application."""

    def __init__(self, app: Application, metrics: Metrics, clock: Clock) -> None:
        self._app = app
        self._clock = clock
        self._seconds = metrics.histogram(REQUEST_SECONDS)
        # Looking a series up by its labels costs more than counting.
        self._series: dict[tuple[str, str, int], Histogram] = {}

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Have the application answer."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = self._clock.monotonic()

        async def send_measured(message: Any) -> None:
            if message["type"] == "http.response.start":
                self._measured(scope, message["status"], self._clock.monotonic() - began)
            await send(message)

        trace = _trace(scope)
        if trace is None:
            await self._app(scope, receive, send_measured)
            return
        with traced(trace):
            await self._app(scope, receive, send_measured)

    def _measured(self, scope: Any, status: int, seconds: float) -> None:
        key = scope["method"], scope.get(ROUTE, UNMATCHED), status
        series = self._series.get(key)
        if series is None:
            method, route, _ = key
            labels = method if method in _METHODS else "other", _TYPE.sub("", route), str(status)
            series = self._seconds.labels(*labels)
            if method in _METHODS:
                self._series[key] = series
        series.observe(seconds)


def _trace(scope: Any) -> TraceId | None:
    for name, value in scope["headers"]:
        if name == b"traceparent":
            return read_traceparent(value.decode("latin-1"))
    return None
