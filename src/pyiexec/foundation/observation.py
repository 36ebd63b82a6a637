"""What every service shows of itself, put together: metrics, liveness and readiness, and the traces of its requests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from litestar import Request, Response, get
from litestar.handlers import BaseRouteHandler

from pyiexec import __version__
from pyiexec.foundation.clock import Clock
from pyiexec.foundation.database import Database
from pyiexec.foundation.health import Health, Liveness, Readiness
from pyiexec.foundation.http import Application
from pyiexec.foundation.metrics import (
    OPEN_METRICS,
    PLAIN_TEXT,
    READY,
    Metrics,
    counter,
    gauge,
    histogram,
    wants_exposition,
)
from pyiexec.foundation.openapi import Answer, Parameter, described
from pyiexec.foundation.traffic import Traffic

WRITE_SECONDS = histogram("database_write_duration_seconds", "time from asking for a write to its commit")
READ_SECONDS = histogram("database_read_duration_seconds", "time of a read, waiting for a reader included")
WRITES_WAITING = gauge("database_writes_waiting", "writes asked for and not yet committed")
COMMITS = counter("database_commits_total", "commits; writes that come together share one")
FAILURES = counter("database_failures_total", "reads and writes for which the database was away")

#: What `/metrics` answers to Prometheus, for a route's description.
EXPOSITION = (
    Answer(str, "all metrics, for Prometheus", PLAIN_TEXT),
    Answer(str, "all metrics, for Prometheus", OPEN_METRICS),
)
ACCEPT = Parameter("accept", str, "decides on the format", place="header")


class Observation:
    """Of one service.

    Args:
        service: its kind.
        clock: how old findings are.

    Attributes:
        metrics: to be added to.
        health: to be added to.
    """

    def __init__(self, service: str, clock: Clock) -> None:
        self._service = service
        self._clock = clock
        self.metrics = Metrics(service)
        self.health = Health(service, clock)
        self.metrics.ask(READY, self._readiness)

    async def _readiness(self) -> dict[str, float]:
        found = await self.health.readiness()
        return {dependency.name: float(dependency.ok) for dependency in found.dependencies}

    def database(self, database: Database) -> None:
        """Show how the service's database does; the service needs it."""
        self.metrics.watch(WRITES_WAITING, lambda: database.waiting)
        self.metrics.watch(COMMITS, lambda: database.commits)
        self.metrics.watch(FAILURES, lambda: database.failures)
        database.on_write = self.metrics.histogram(WRITE_SECONDS).observe
        database.on_read = self.metrics.histogram(READ_SECONDS).observe
        self.health.needs("database", database.check)

    def around(self, app: Application) -> Application:
        """The service's application, its requests observed; to be the outermost."""
        return Traffic(app, self.metrics, self._clock)

    async def exposition(self, request: Request[Any, Any, Any]) -> Response[bytes]:
        """The answer to Prometheus."""
        body, media_type = await self.metrics.page(request.headers.get("accept", ""))
        return Response(body, media_type=media_type, headers={"cache-control": "no-store"})

    async def exposition_if_wanted(self, request: Request[Any, Any, Any]) -> Response[bytes] | None:
        """The answer to Prometheus where ``/metrics`` has JSON for everybody else."""
        return await self.exposition(request) if wants_exposition(request.headers.get("accept", "")) else None

    def routes(self, *, metrics: bool = True, refusals: Sequence[int] = ()) -> list[BaseRouteHandler]:
        """What is asked under the same paths of every service.

        Args:
            metrics: whether ``/metrics`` is free for them; where it is not, its handler calls `exposition_if_wanted`.
            refusals: of ``/metrics``, where callers are counted.
        """
        text, open_metrics = EXPOSITION
        formats = {"answer": text.kind, "media_type": text.media_type, "also": (open_metrics,)}

        @get("/metrics", **described(ACCEPT, **formats, refusals=refusals))
        async def exposition(request: Request[Any, Any, Any]) -> Response[bytes]:
            """All metrics, for Prometheus."""
            return await self.exposition(request)

        @get("/health/live", **described(answer=Liveness, refusals=()))
        async def live() -> Liveness:
            """That the service answers, whatever becomes of what it needs."""
            return Liveness(True, self._service, __version__)

        unready = {503: Answer(Readiness, "something that it needs cannot be used")}

        @get("/health/ready", **described(answer=Readiness, others=unready, refusals=()))
        async def ready() -> Response[Readiness]:
            """Whether the service can do its work, and how everything is that it needs."""
            found = await self.health.readiness()
            return Response(found, status_code=200 if found.ok else 503, headers={"cache-control": "no-store"})

        return [exposition, live, ready] if metrics else [live, ready]
