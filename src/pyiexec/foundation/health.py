"""Whether a service lives, and whether it can do its work now: the two questions of whoever starts and balances it.

Living is answered by answering. Being ready needs every dependency; what was found of one is remembered for a moment,
so that many probes cost one look, and most looks cost nothing because the dependency was heard of anyway.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio
import msgspec

from pyiexec.foundation.clock import Clock
from pyiexec.foundation.logs import get_logger
from pyiexec.protocol.errors import IexecError

log = get_logger(__name__)

#: Paths that are answered however often they are asked: whoever gets no answer there ends the service.
PROBES = frozenset({"/health/live", "/health/ready"})
#: Seconds for which what was found of a dependency is taken to hold.
GOOD_FOR = 2.0
#: Seconds that a dependency has to answer.
PATIENCE = 1.0

#: Why a dependency cannot be used, in words that strangers may read; empty while it can. It may raise `IexecError`.
Check = Callable[[], Awaitable[str]]


class Dependency(msgspec.Struct, frozen=True):
    """Something a service needs.

    Attributes:
        ok: whether it can be used.
        why: if not, the error's code or what was found; details are in the service's log.
    """

    name: str
    ok: bool
    why: str = ""


class Readiness(msgspec.Struct, frozen=True):
    """Whether a service can do its work.

    Attributes:
        ok: whether everything it needs can be used.
    """

    ok: bool
    service: str
    dependencies: list[Dependency]


class Liveness(msgspec.Struct, frozen=True):
    """That a service answers; nothing else can make this fail."""

    ok: bool
    service: str
    version: str


class Health:
    """What one service needs.

    Args:
        service: its kind.
        clock: how old a finding is.
    """

    def __init__(self, service: str, clock: Clock) -> None:
        self.service = service
        self._clock = clock
        self._watched: list[_Watched] = []

    def needs(self, name: str, check: Check) -> None:
        """Name a dependency, and how it is looked at."""
        self._watched.append(_Watched(name, check, self._clock))

    async def readiness(self) -> Readiness:
        """How the dependencies are, after at most `PATIENCE` seconds."""
        async with anyio.create_task_group() as group:
            for watched in self._watched:
                group.start_soon(watched.look)
        found = [watched.found for watched in self._watched]
        return Readiness(all(one.ok for one in found), self.service, found)


class _Watched:
    def __init__(self, name: str, check: Check, clock: Clock) -> None:
        self._check = check
        self._clock = clock
        self._looking = anyio.Lock()
        self.looked_at: float | None = None
        self.found = Dependency(name, ok=True)

    async def look(self) -> None:
        """Have a finding that is new enough; who comes while it is made shares it."""
        async with self._looking:
            now = self._clock.monotonic()
            if self.looked_at is not None and now - self.looked_at < GOOD_FOR:
                return
            why = details = ""
            try:
                with anyio.fail_after(PATIENCE):
                    why = details = await self._check()
            except TimeoutError:
                why = details = f"no answer within {PATIENCE:g} s"
            except IexecError as error:
                why, details = error.code, str(error)
            self.looked_at = self._clock.monotonic()
            if bool(why) is self.found.ok:
                tell = log.warning if why else log.info
                tell("dependency", name=self.found.name, ok=not why, why=details or None)
            self.found = Dependency(self.found.name, not why, why)
