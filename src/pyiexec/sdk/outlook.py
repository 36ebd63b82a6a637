"""Why tasks do not go on, as the pool's scheduler tells it.

The chain has the facts; a failed application leaves no trace on it. What a scheduler says is a claim: it decides how
long a client waits, and nothing about money.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import aiohttp
import msgspec

from pyiexec.foundation.clients import pass_trace_on
from pyiexec.protocol.errors import CATALOGUE, IexecError
from pyiexec.protocol.primitives import TaskId

#: Chain time without news of a task after which its scheduler is asked, and between two rounds of asking, seconds.
QUIET_SECONDS = 2
#: Tasks asked about in one round; a large bag is asked about in turns.
ROUND = 20
_TIMEOUT_SECONDS = 2.0


class Obstacle(msgspec.Struct, frozen=True):
    """What keeps a task from going on.

    Attributes:
        code: an error code, e.g. ``APP_EXITED_NON_ZERO``.
        explanation: what happened, in words.
        remedy: what to do about it.
        final: whether the scheduler has given the task up; otherwise it may still go on.
    """

    code: str
    explanation: str
    remedy: str
    final: bool


def obstacle_of(view: Mapping[str, Any]) -> Obstacle | None:
    """The obstacle in a scheduler's view of a task, None when there is none."""
    cause = view.get("cause")
    code = cause.get("code") if isinstance(cause, dict) else None
    if not isinstance(cause, dict) or not isinstance(code, str) or not code:
        return None
    known = CATALOGUE.get(code)
    explanation = str(cause.get("what") or code)
    remedy = str(cause.get("remedy") or (known.remedy if known else ""))
    return Obstacle(code, explanation, remedy, view.get("currentStatus") == "FAILED")


def _session() -> aiohttp.ClientSession:
    timeout = aiohttp.ClientTimeout(total=_TIMEOUT_SECONDS)
    return aiohttp.ClientSession(timeout=timeout, middlewares=(pass_trace_on,))


class SchedulerVoice:
    """The pool's scheduler as a client hears it.

    Args:
        url: its origin; None where the network names none, and then nothing is ever heard.
    """

    def __init__(self, url: str | None) -> None:
        self._url = url

    async def task(self, task_id: TaskId) -> dict[str, Any] | None:
        """The scheduler's view of a task; None when it is not the one that knows.

        Raises:
            IexecError: ``SCHEDULER_UNREACHABLE``.
        """
        async with _session() as session:
            return await self._ask(session, task_id)

    async def obstacles(self, task_ids: Iterable[TaskId]) -> dict[TaskId, Obstacle | None]:
        """What keeps each of these tasks from going on; a silent scheduler is an obstacle to all of them."""
        found: dict[TaskId, Obstacle | None] = {}
        wanted = list(task_ids)
        if self._url is None or not wanted:
            return found
        async with _session() as session:
            for task_id in wanted:
                try:
                    view = await self._ask(session, task_id)
                except IexecError as error:
                    silent = Obstacle(error.code, error.what, error.remedy, final=False)
                    return dict.fromkeys(wanted, silent)
                found[task_id] = obstacle_of(view) if view else None
        return found

    async def _ask(self, session: aiohttp.ClientSession, task_id: TaskId) -> dict[str, Any] | None:
        if self._url is None:
            return None
        try:
            async with session.get(f"{self._url}/tasks/{task_id}") as response:
                answer: Any = await response.json() if response.status == 200 else None
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            reason = str(error) or type(error).__name__
            raise IexecError("SCHEDULER_UNREACHABLE", f"the pool's scheduler does not answer: {reason}") from None
        return answer if isinstance(answer, dict) else None


class Inquiry:
    """Asks about tasks that have been quiet, not too often and not about too many at once."""

    def __init__(self, voice: SchedulerVoice, since: int) -> None:
        self._voice = voice
        self._since = since
        self._asked_at = since
        self._heard: dict[TaskId, int] = {}
        self._told: dict[TaskId, Obstacle | None] = {}
        self._turn = 0

    def heard(self, task_id: TaskId, now: int) -> None:
        """The chain had news of a task, at chain time `now`: whatever stood in its way is gone."""
        self._heard[task_id] = now
        self._told.pop(task_id, None)

    async def news(self, open_tasks: Iterable[TaskId], now: int) -> list[tuple[TaskId, Obstacle | None]]:
        """Obstacles that appeared, changed or went away (None) since the last round."""
        if now < self._asked_at + QUIET_SECONDS:
            return []
        quiet = [task for task in open_tasks if now >= self._heard.get(task, self._since) + QUIET_SECONDS]
        undecided = [task for task in quiet if not ((told := self._told.get(task)) and told.final)]
        if not undecided:
            return []
        self._asked_at = now
        start = self._turn % len(undecided)
        self._turn += ROUND
        chosen = [*undecided[start:], *undecided[:start]][:ROUND]
        changed = []
        for task, obstacle in (await self._voice.obstacles(chosen)).items():
            if obstacle != self._told.get(task):
                self._told[task] = obstacle
                changed.append((task, obstacle))
        return changed
