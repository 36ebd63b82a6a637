"""Structured logs: one line an event, JSON for machines or text for people, on standard error or in a file."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, TextIO

import structlog

from pyiexec.protocol.traces import TraceId

LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}


#: Without local variables: they may hold keys.
_TRACEBACKS = structlog.processors.ExceptionRenderer(structlog.tracebacks.ExceptionDictTransformer(show_locals=False))


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """A logger that carries `name` as ``part``."""
    logger: structlog.stdlib.BoundLogger = structlog.get_logger(part=name.removeprefix("pyiexec."))
    return logger


def traced(trace: TraceId) -> AbstractContextManager[object]:
    """Have every line that is logged in the block, and in what is started there, carry a trace."""
    return structlog.contextvars.bound_contextvars(trace=trace)


def current_trace() -> TraceId | None:
    """The trace that what is done here and now belongs to."""
    trace: TraceId | None = structlog.contextvars.get_contextvars().get("trace")
    return trace


def configure_logging(*, level: str = "info", json: bool = True, file: Path | None = None, service: str = "") -> None:
    """Set up logging for this process.

    Args:
        level: debug, info, warning or error.
        json: one JSON object a line; otherwise text.
        file: appended to; standard error when None.
        service: name added to every line.
    """
    stream: TextIO = file.open("a", buffering=1) if file else sys.stderr
    renderer: Any = structlog.processors.JSONRenderer() if json else structlog.dev.ConsoleRenderer(colors=False)
    _configure(stream, level, renderer, json=json)
    structlog.contextvars.clear_contextvars()
    if service:
        structlog.contextvars.bind_contextvars(service=service)


def _configure(stream: TextIO, level: str, renderer: Any, *, json: bool) -> None:
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _TRACEBACKS if json else structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        logger_factory=structlog.PrintLoggerFactory(stream),
        cache_logger_on_first_use=False,
    )


# A program that uses the library without setting up logs hears of trouble alone, and not on its standard output.
if not structlog.is_configured():
    _configure(sys.stderr, "warning", structlog.dev.ConsoleRenderer(colors=False), json=False)
