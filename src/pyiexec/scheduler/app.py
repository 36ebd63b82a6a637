"""The scheduler's routes: the workers' channel, and what clients may ask about tasks and workers."""

from __future__ import annotations

from typing import Any

from litestar import Litestar, WebSocket, get, websocket
from litestar.config.cors import CORSConfig
from litestar.params import FromPath

from pyiexec.foundation.database import Database
from pyiexec.foundation.http import EXCEPTION_HANDLERS
from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.primitives import TaskId, bytes32
from pyiexec.scheduler.channel import WorkerChannel
from pyiexec.scheduler.engine import Engine
from pyiexec.scheduler.store import find_tasks
from pyiexec.scheduler.views import task_view, worker_view


def make_app(engine: Engine, channel: WorkerChannel, database: Database, *, about: dict[str, Any]) -> Litestar:
    """The application; `about` is part of the answer of ``/health``."""

    @websocket("/v1/worker")
    async def worker_channel(socket: WebSocket[Any, Any, Any]) -> None:
        await channel.serve(socket)

    @get("/tasks/{task_id:str}")
    async def task(task_id: FromPath[str]) -> dict[str, Any]:
        """A task with its replicates, why it failed or what holds it up."""
        wanted = TaskId(bytes32(task_id))
        state = engine.find(wanted)
        if state is None:
            stored = await database.read(lambda connection: find_tasks(connection, [wanted]))
            if not stored:
                raise IexecError("TASK_UNKNOWN", f"this scheduler does not know the task {wanted}", task=wanted)
            state = stored[0]
        return task_view(state)

    @get("/workers")
    async def workers() -> list[dict[str, Any]]:
        """The workers seen so far."""
        return [worker_view(member) for member in engine.crew.members.values()]

    @get("/health")
    async def health() -> dict[str, Any]:
        """Whether the service runs, and what it is busy with."""
        connected = sum(member.session is not None for member in engine.crew.members.values())
        return about | {"ok": True, "workers": connected, "tasks": len(engine.tasks)}

    return Litestar(
        [worker_channel, task, workers, health],
        exception_handlers=EXCEPTION_HANDLERS,
        cors_config=CORSConfig(allow_origins=["*"]),
        openapi_config=None,
        # The process that hosts the service decides about logs.
        logging_config=None,
    )
