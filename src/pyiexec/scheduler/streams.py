"""Server-sent events about one task: its state as it changes, and what its applications print.

A stream is no list of messages to be kept for whoever was away: each event says in its id where its reader stands then,
and whoever comes back with that id (``Last-Event-ID``) gets what is missing. The server keeps nothing for a reader, and
a slow one skips what is outdated.

Source: WHATWG HTML, server-sent events.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from typing import Any

import msgspec

from pyiexec.foundation.clock import Clock
from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.primitives import Address, TaskId
from pyiexec.protocol.printed import Excerpt, Printed, StreamTail
from pyiexec.protocol.replicates import FINAL
from pyiexec.protocol.workflow import FINAL_PHASES
from pyiexec.scheduler.followers import Followers
from pyiexec.scheduler.printouts import Printouts
from pyiexec.scheduler.state import TaskState
from pyiexec.scheduler.views import TaskModel

#: Seconds of silence after which a comment is sent, so that proxies keep the stream open.
QUIET_SECONDS = 15.0
#: Seconds in which the last reports of a task that is over may still arrive.
LAST_WORDS_SECONDS = 10.0
#: Characters of one stream in one event.
EVENT_CHARACTERS = 16_384
#: Replicates that a reader's place can be told of.
_MOST_PLACES = 256
_PLACES = re.compile(r"[0-9]{1,16}\.[0-9]{1,16}(?:,[0-9]{1,16}\.[0-9]{1,16})*")
_MOST_ID = 34 * _MOST_PLACES

#: Position reached in both streams of each replicate, in the order of the replicates.
Places = list[tuple[int, int]]


def event(name: str, data: Any, identifier: str = "") -> bytes:
    """One event; its data is JSON, which has no line breaks of its own."""
    line = f"id: {identifier}\n" if identifier else ""
    return f"{line}event: {name}\ndata: ".encode() + msgspec.json.encode(data) + b"\n\n"


#: What is sent so that a quiet stream stays open.
COMMENT = b": quiet\n\n"


# --- the state of a task ------------------------------------------------------------------------------------------


async def task_events(
    followers: Followers, task_id: TaskId, read: Callable[[], Awaitable[tuple[TaskState, TaskModel]]], known: str
) -> AsyncGenerator[bytes, None]:
    """The task now and after every change, until it is over.

    Args:
        read: the task as it stands, and as it is told.
        known: id of the event that the reader has seen last, empty for none.
    """
    with followers.follow(task_id) as bell:
        while not bell.closing:
            bell.hush()
            state, view = await read()
            identifier = state_id(view)
            if identifier != known:
                known = identifier
                yield event("task", view, identifier)
            if state.settled:
                return
            while not await bell.wait(QUIET_SECONDS):
                yield COMMENT


def state_id(view: TaskModel) -> str:
    """A name for what is told of a task: the same for the same, also after a restart.

    What is expected of it changes with every moment, and is no news.
    """
    return hashlib.sha256(msgspec.json.encode(msgspec.structs.replace(view, forecast=None))).hexdigest()[:16]


# --- what is printed ----------------------------------------------------------------------------------------------


class LogLine(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A piece of what an application printed.

    Attributes:
        stream: ``stdout`` or ``stderr``.
        offset: characters of the stream before it; where that is more than what was told before, the rest was dropped.
    """

    chain_task_id: TaskId
    wallet_address: Address
    stream: str
    offset: int
    text: str


def read_places(identifier: str | None) -> Places:
    """Where a reader stands that names this event as its last one.

    Raises:
        IexecError: ``BAD_REQUEST``.
    """
    if not identifier:
        return []
    if len(identifier) > _MOST_ID or not _PLACES.fullmatch(identifier):
        raise IexecError("BAD_REQUEST", "Last-Event-ID is not the id of an event of this stream")
    pairs = (place.split(".") for place in identifier.split(","))
    return [(int(stdout), int(stderr)) for stdout, stderr in pairs]


def write_places(places: Places) -> str:
    """The id of an event after which a reader stands there."""
    return ",".join(f"{stdout}.{stderr}" for stdout, stderr in places)


def new_lines(
    task_id: TaskId, workers: Sequence[Address], printed: Mapping[Address, Printed], places: Places
) -> list[tuple[LogLine, str]]:
    """What a reader has not seen, in pieces with the ids of their events; `places` is moved on."""
    lines = []
    workers = workers[:_MOST_PLACES]
    places += [(0, 0)] * (len(workers) - len(places))
    for index, worker in enumerate(workers):
        if worker not in printed:
            continue
        for number, name in enumerate(("stdout", "stderr")):
            for piece in pieces(getattr(printed[worker], name), places[index][number]):
                reached = list(places[index])
                reached[number] = piece.end
                places[index] = (reached[0], reached[1])
                line = LogLine(
                    chain_task_id=task_id, wallet_address=worker, stream=name, offset=piece.offset, text=piece.text
                )
                lines.append((line, write_places(places)))
    return lines


def pieces(kept: Excerpt, position: int) -> list[Excerpt]:
    """What is kept after `position`, in pieces of the size of an event."""
    tail = StreamTail(kept)
    found = []
    while (piece := tail.since(position, EVENT_CHARACTERS)).text:
        found.append(piece)
        position = piece.end
    return found


async def log_events(
    followers: Followers,
    printouts: Printouts,
    task_id: TaskId,
    read: Callable[[], Awaitable[TaskState]],
    places: Places,
    clock: Clock,
) -> AsyncGenerator[bytes, None]:
    """What the task's applications have printed and print, until nothing more can come.

    Args:
        read: the task as it stands.
        places: where the reader stands.
    """
    over_since: float | None = None
    stored = True
    with followers.follow(task_id) as bell:
        while True:
            bell.hush()
            state = await read()
            # The database is asked once: what comes later is in memory.
            printed = await printouts.of(state) if stored else printouts.at_hand(state)
            stored = False
            workers = [replicate.worker for replicate in state.replicates]
            for line, identifier in new_lines(task_id, workers, printed, places):
                yield event("log", line, identifier)
            if bell.closing:
                return
            wait = QUIET_SECONDS
            if is_over(state):
                over_since = clock.monotonic() if over_since is None else over_since
                wait = over_since + LAST_WORDS_SECONDS - clock.monotonic()
                if wait <= 0 or has_said_all(state):
                    yield event("end", {"chainTaskId": task_id, "phase": state.phase})
                    return
            if not await bell.wait(wait) and over_since is None:
                yield COMMENT


def is_over(state: TaskState) -> bool:
    """Whether nobody is given the task any more."""
    return state.settled or state.phase in FINAL_PHASES


def has_said_all(state: TaskState) -> bool:
    """Whether every worker has made its last report, which carries what was printed."""
    return all(replicate.status in FINAL or replicate.lost for replicate in state.replicates)
