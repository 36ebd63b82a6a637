"""The scheduler's routes: the workers' channel, and what clients may ask about tasks and workers."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from typing import Any

import msgspec
from litestar import Litestar, MediaType, Request, Response, WebSocket, get, websocket
from litestar.config.cors import CORSConfig
from litestar.datastructures import MutableScopeHeaders
from litestar.handlers import BaseRouteHandler
from litestar.params import FromPath
from litestar.response import Stream
from litestar.types import Message, Scope

from pyiexec import __version__
from pyiexec.chain.heads import HeadFeed
from pyiexec.foundation.clock import Clock
from pyiexec.foundation.http import EXCEPTION_HANDLERS
from pyiexec.foundation.observation import ACCEPT, EXPOSITION, Observation
from pyiexec.foundation.openapi import Answer, Parameter, described, documented
from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.primitives import Address, TaskId
from pyiexec.protocol.printed import Printed
from pyiexec.scheduler.channel import WorkerChannel
from pyiexec.scheduler.engine import Engine
from pyiexec.scheduler.figures import Figures, figures
from pyiexec.scheduler.followers import Followers
from pyiexec.scheduler.log_access import LogAccess, read_token
from pyiexec.scheduler.offers_view import OffersModel, offers_view
from pyiexec.scheduler.printouts import Printouts
from pyiexec.scheduler.registry import TaskRegistry, read_address, read_task_id
from pyiexec.scheduler.sales_desk import SalesDesk
from pyiexec.scheduler.stakes import Stakes
from pyiexec.scheduler.state import TaskState
from pyiexec.scheduler.streams import log_events, read_places, state_id, task_events
from pyiexec.scheduler.views import (
    ReplicateModel,
    TaskModel,
    WorkerModel,
    has_run,
    replicate_view,
    worker_view,
)

AnyRequest = Request[Any, Any, Any]

_EVENT_STREAM = "text/event-stream"
#: Nothing between here and the reader may keep back, keep for others, or take for a page what is sent.
_STREAM_HEADERS = {"cache-control": "no-store", "x-accel-buffering": "no"}
_PRIVATE = {"cache-control": "no-store"}
#: An event of a stream; its data is JSON.
_TASK_EVENT, _LOG_EVENT = (
    {
        "type": "object",
        "properties": {
            "event": {"type": "string", "enum": names},
            "data": {"type": "string", "contentMediaType": "application/json"},
            "id": {"type": "string"},
        },
        "required": ["event", "data"],
    }
    for names in (["task"], ["log", "end"])
)
_LAST_EVENT = Parameter("last-event-id", str, "id of the last event seen, to go on after it", place="header")
_TOKEN = Parameter("authorization", str, "<digest>_<signature>_<address> of a challenge signed", place="header")


class ComputeLogs(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What one replicate's application printed: the last 100,000 characters of each stream."""

    wallet_address: Address
    stdout: str
    stderr: str


class TaskLogs(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What the applications of a task printed, in the order in which its workers were given it."""

    chain_task_id: TaskId
    compute_logs_list: list[ComputeLogs]


class Health(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """That the service runs, whom it serves and how many workers and unfinished tasks it has."""

    ok: bool
    workerpool: Address
    hub: Address
    chain_id: int
    workers: int
    tasks: int


def make_app(
    *,
    engine: Engine,
    observation: Observation,
    channel: WorkerChannel,
    registry: TaskRegistry,
    printouts: Printouts,
    access: LogAccess,
    followers: Followers,
    feed: HeadFeed,
    clock: Clock,
    stakes: Stakes,
    desk: SalesDesk | None,
    workerpool: Address,
    hub: Address,
    chain_id: int,
) -> Litestar:
    """The application; `workerpool`, `hub` and `chain_id` are what it serves."""

    @websocket("/v1/worker")
    async def worker_channel(socket: WebSocket[Any, Any, Any]) -> None:
        await channel.serve(socket)

    @get("/workers", **described(answer=list[WorkerModel], refusals=()))
    async def workers() -> list[WorkerModel]:
        """The workers seen so far."""
        return [worker_view(member) for member in engine.crew.members.values()]

    @get("/offers", **described(answer=OffersModel, refusals=()))
    async def offers() -> OffersModel:
        """What the scheduler has on offer for the pool, and why there is not more."""
        return offers_view(desk)

    @get("/metrics", **described(ACCEPT, answer=Figures, also=EXPOSITION, refusals=()))
    async def metrics(request: AnyRequest) -> Figures | Response[bytes]:
        """What the scheduler is busy with, in figures; to Prometheus, all metrics."""
        exposition = await observation.exposition_if_wanted(request)
        return exposition or figures(engine.crew, engine.tally, feed.newest, stakes.latest)

    @get("/version", media_type=MediaType.TEXT, **described(answer=str, media_type="text/plain", refusals=()))
    async def version() -> str:
        """Which version answers."""
        return __version__

    @get("/health", **described(answer=Health, refusals=()))
    async def health() -> Health:
        """Whether the service runs, and what it is busy with."""
        connected = sum(member.session is not None for member in engine.crew.members.values())
        return Health(
            ok=True, workerpool=workerpool, hub=hub, chain_id=chain_id, workers=connected, tasks=len(engine.tasks)
        )

    routes: list[BaseRouteHandler] = [worker_channel, workers, offers, metrics, version, health]
    routes += observation.routes(metrics=False)
    routes += _task_routes(registry, followers)
    routes += _log_routes(registry, printouts, access, followers, clock, chain_id)
    return Litestar(
        documented("pyiexec scheduler", routes),
        exception_handlers=EXCEPTION_HANDLERS,
        cors_config=CORSConfig(
            allow_origins=["*"],
            allow_methods=["GET", "HEAD"],
            allow_headers=["authorization", "content-type", "accept", "last-event-id"],
        ),
        before_send=[_forbid_guessing],
        openapi_config=None,
        # The process that hosts the service decides about logs.
        logging_config=None,
    )


def _task_routes(registry: TaskRegistry, followers: Followers) -> list[BaseRouteHandler]:
    @get("/tasks/{task_id:str}", **described(answer=TaskModel, refusals=(400, 404)))
    async def task(task_id: FromPath[str]) -> TaskModel:
        """A task with its replicates, why it failed or what holds it up."""
        return await registry.view(await registry.find(read_task_id(task_id)))

    @get("/tasks/{task_id:str}/replicates/{wallet:str}", **described(answer=ReplicateModel, refusals=(400, 404)))
    async def replicate(task_id: FromPath[str], wallet: FromPath[str]) -> ReplicateModel:
        """One worker's part in a task."""
        return replicate_view(*await registry.replicate(read_task_id(task_id), read_address(wallet, "wallet")))

    @get(
        "/tasks/{task_id:str}/events",
        media_type=_EVENT_STREAM,
        **described(
            _LAST_EVENT,
            answer=_TASK_EVENT,
            media_type=_EVENT_STREAM,
            others={204: Answer(None, "the task is over and the reader has seen how it ended")},
            refusals=(400, 404, 503),
        ),
    )
    async def events(request: AnyRequest, task_id: FromPath[str]) -> Response[Any]:
        """The task now and after every change, as server-sent events, until it is over."""
        wanted = read_task_id(task_id)
        state = await registry.find(wanted)
        known = request.headers.get("last-event-id", "")
        if state.settled and known == state_id(await registry.view(state)):
            # Browsers come back to a stream that has ended, unless they are answered so.
            return Response(None, status_code=204)
        followers.admit()

        async def read() -> tuple[TaskState, TaskModel]:
            found = await registry.find(wanted)
            return found, await registry.view(found)

        return _stream(task_events(followers, wanted, read, known))

    return [task, replicate, events]


def _log_routes(
    registry: TaskRegistry,
    printouts: Printouts,
    access: LogAccess,
    followers: Followers,
    clock: Clock,
    chain_id: int,
) -> list[BaseRouteHandler]:
    async def opened(request: AnyRequest, task_id: str) -> TaskState:
        """The task whose logs are asked for by its requester."""
        token = read_token(request.headers.get("authorization"))
        state = await registry.find(read_task_id(task_id))
        await access.check(token, state.requester)
        return state

    async def logs_of(state: TaskState) -> list[ComputeLogs]:
        printed = await printouts.of(state)
        return [
            _compute_logs(replicate.worker, printed)
            for replicate in state.replicates
            if replicate.worker in printed or has_run(replicate)
        ]

    @get(
        "/tasks/logs/challenge",
        **described(
            Parameter("address", str, "the requester who will sign", required=True),
            Parameter("chainId", int, "the chain served; any other is refused"),
        ),
    )
    async def challenge(request: AnyRequest) -> Response[dict[str, Any]]:
        """Typed data for a requester to sign, EIP-712."""
        address = _signer(request.query_params, chain_id)
        return Response(access.challenge(address), headers=_PRIVATE)

    @get("/tasks/{task_id:str}/logs", **described(_TOKEN, answer=TaskLogs, refusals=(400, 401, 403, 404, 503)))
    async def task_logs(request: AnyRequest, task_id: FromPath[str]) -> Response[TaskLogs]:
        """What a task's applications printed, for its requester."""
        state = await opened(request, task_id)
        found = await logs_of(state)
        if not found:
            raise IexecError("LOGS_UNKNOWN", f"no application of the task {state.task_id} has printed anything here")
        return Response(TaskLogs(chain_task_id=state.task_id, compute_logs_list=found), headers=_PRIVATE)

    @get(
        "/tasks/{task_id:str}/replicates/{wallet:str}/logs",
        **described(_TOKEN, answer=ComputeLogs, refusals=(400, 401, 403, 404, 503)),
    )
    async def replicate_logs(
        request: AnyRequest, task_id: FromPath[str], wallet: FromPath[str]
    ) -> Response[ComputeLogs]:
        """What one replicate's application printed, for the task's requester."""
        worker = read_address(wallet, "wallet")
        state = await opened(request, task_id)
        for logs in await logs_of(state):
            if logs.wallet_address == worker:
                return Response(logs, headers=_PRIVATE)
        raise IexecError("LOGS_UNKNOWN", f"nothing is known here of what {worker} printed for the task {state.task_id}")

    @get(
        "/tasks/{task_id:str}/logs/stream",
        media_type=_EVENT_STREAM,
        **described(
            _TOKEN, _LAST_EVENT, answer=_LOG_EVENT, media_type=_EVENT_STREAM, refusals=(400, 401, 403, 404, 503)
        ),
    )
    async def log_stream(request: AnyRequest, task_id: FromPath[str]) -> Response[Any]:
        """What a task's applications have printed and print, as server-sent events, for its requester."""
        state = await opened(request, task_id)
        places = read_places(request.headers.get("last-event-id"))
        followers.admit()

        async def read() -> TaskState:
            return await registry.find(state.task_id)

        return _stream(log_events(followers, printouts, state.task_id, read, places, clock))

    return [challenge, task_logs, replicate_logs, log_stream]


def _signer(query: Mapping[str, str], chain_id: int) -> Address:
    """Who is to sign.

    Raises:
        IexecError: ``BAD_REQUEST``, ``BAD_ADDRESS``.
    """
    if "address" not in query:
        raise IexecError("BAD_REQUEST", "address is a required parameter")
    asked = query.get("chainId", str(chain_id))
    if asked != str(chain_id):
        raise IexecError("BAD_REQUEST", f"chainId: {asked[:40]!r} is not the chain served, {chain_id}")
    return read_address(query["address"], "address")


async def _forbid_guessing(message: Message, _scope: Scope) -> None:
    """What is printed by applications and written by workers is data, whatever it looks like to a browser."""
    if message["type"] == "http.response.start":
        MutableScopeHeaders.from_message(message)["x-content-type-options"] = "nosniff"


def _compute_logs(worker: Address, printed: Mapping[Address, Printed]) -> ComputeLogs:
    found = printed.get(worker, Printed())
    return ComputeLogs(wallet_address=worker, stdout=found.stdout.text, stderr=found.stderr.text)


def _stream(events: AsyncGenerator[bytes, None]) -> Response[Any]:
    return Stream(events, media_type=_EVENT_STREAM, headers=_STREAM_HEADERS)
