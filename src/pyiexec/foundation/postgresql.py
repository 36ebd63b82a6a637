"""PostgreSQL, through asyncpg. Everything that must hold among processes is the server's work.

* Writes are serialised by an advisory lock that each transaction takes first. They run at READ COMMITTED, so that every
  statement sees what the lock's former holder committed.
* Readers have connections of their own, at REPEATABLE READ: one consistent state each.
* Who leads holds an advisory lock of a session, which ends with its process or its connection.
* Announcements are LISTEN and NOTIFY.

A connection that breaks is made anew. If it broke while a commit was under way, the server is asked afterwards whether
the commit happened, so callers always learn the truth.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from hashlib import sha256
from typing import Any, NamedTuple, TypeVar

import anyio
import asyncpg
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from pyiexec.foundation.announcements import Switchboard
from pyiexec.foundation.database import ALEMBIC, GROUP_LIMIT, Database, Migrations, Outcome, run_together, upgrade
from pyiexec.foundation.logs import get_logger
from pyiexec.protocol.errors import IexecError

T = TypeVar("T")

log = get_logger(__name__)

READERS = 4
#: For how long work waits for a server that is away, seconds; a restart takes less.
PATIENCE = 5.0
#: Seconds for a connection to be made.
CONNECT_SECONDS = 5
#: Between attempts to connect, seconds: at first, and at most.
PAUSE_FIRST, PAUSE_MOST = 0.05, 1.0
#: Seconds between attempts to listen again.
_LISTEN_AGAIN = 0.5

_SETTINGS = {"application_name": "pyiexec", "jit": "off"}
#: A writer that stops half-way, and with it everybody else's writes, is broken off by the server.
_WRITER = {
    "default_transaction_isolation": "read committed",
    "idle_in_transaction_session_timeout": "30s",
    "lock_timeout": "45s",
}
_READER = {"default_transaction_isolation": "repeatable read", "default_transaction_read_only": "on"}
#: Sessions that wait: for a lock, for announcements. The server notices within seconds when their host is gone.
_WAITING = {
    "idle_session_timeout": "0",
    "client_connection_check_interval": "1s",
    "tcp_keepalives_idle": "5",
    "tcp_keepalives_interval": "2",
    "tcp_keepalives_count": "3",
}

#: SQLSTATEs, or their classes, that pass: no connection, no resources, shutting down, a lock or a session timed out.
_PASSING = ("08", "53", "57P", "55P03", "25P03")


def _key(purpose: str) -> int:
    """The number of an advisory lock."""
    return int.from_bytes(sha256(f"pyiexec {purpose}".encode()).digest()[:8], signed=True)


#: The lock of writing, and the transaction's number, by which its fate can be asked for later.
_ENTER = sa.text("SELECT pg_advisory_xact_lock(:key), pg_current_xact_id()::text").bindparams(
    sa.bindparam("key", _key("write"), sa.BigInteger)
)


class _NoConnectionError(Exception):
    """Server or connection are at fault.

    Attributes:
        passes: waiting may help.
    """

    def __init__(self, what: str, *, passes: bool) -> None:
        super().__init__(what)
        self.passes = passes


class _Job(NamedTuple):
    function: Callable[[sa.Connection], Any]
    future: asyncio.Future[Any]


class PostgresqlDatabase(Database):
    """A database on a PostgreSQL server, version 14 or newer, shared by any number of processes."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self._session = _dialler(url)
        self._writer = self._engine(1, _WRITER)
        self._reader = self._engine(READERS, _READER)
        self._jobs: asyncio.Queue[_Job | None] = asyncio.Queue()
        self._writing: asyncio.Task[None] | None = None
        self._switchboard = Switchboard()
        self._listener: asyncpg.Connection[Any] | None = None
        self._listening = asyncio.Lock()
        self._reconnecting: asyncio.Task[None] | None = None

    def _engine(self, size: int, settings: dict[str, str]) -> AsyncEngine:
        return create_async_engine(
            "postgresql+asyncpg://",
            async_creator=partial(self._session, settings),
            pool_size=size,
            max_overflow=0,
            hide_parameters=True,
        )

    async def _connect(self) -> None:
        self._writing = asyncio.create_task(self._write_loop(), name="database-writer")
        await self._read(lambda connection: connection.execute(sa.text("SELECT 1")))

    async def _migrate(self, lineage: Migrations) -> None:
        # Taken outside of the event loop: its holder may be another task of this loop. Whoever is cancelled meanwhile
        # waits for it all the same, or the thread would take it for nobody, who never gives it back.
        with anyio.CancelScope(shield=True):
            await asyncio.to_thread(ALEMBIC.acquire)
        try:
            await self._write(lambda connection: upgrade(connection, lineage))
        finally:
            ALEMBIC.release()

    async def _close(self) -> None:
        if self._writing is not None:
            self._jobs.put_nowait(None)
            await self._writing
        if self._reconnecting is not None:
            self._reconnecting.cancel()
            await asyncio.wait([self._reconnecting])
        if self._listener is not None:
            self._listener.terminate()
        await self._writer.dispose()
        await self._reader.dispose()

    # --- reading --------------------------------------------------------------------------------------------------

    async def _read(self, function: Callable[[sa.Connection], Any]) -> Any:
        async def run() -> Any:
            async with self._reader.connect() as connection:
                return await connection.run_sync(function)

        return await _patiently(run)

    # --- writing --------------------------------------------------------------------------------------------------

    async def _write(self, function: Callable[[sa.Connection], Any]) -> Any:
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._jobs.put_nowait(_Job(function, future))
        return await future

    async def _write_loop(self) -> None:
        job = await self._jobs.get()
        while job is not None:
            group = [job]
            job = None
            ends = False
            while len(group) < GROUP_LIMIT and not self._jobs.empty():
                following = self._jobs.get_nowait()
                if following is None:
                    ends = True
                    break
                group.append(following)
            await self._commit(group)
            job = None if ends else await self._jobs.get()

    async def _commit(self, group: list[_Job]) -> None:
        try:
            outcomes = await self._transaction([job.function for job in group])
        except Exception as error:
            outcomes = [Outcome(failure=error)] * len(group)
        for job, (result, failure) in zip(group, outcomes, strict=True):
            if job.future.cancelled():
                if failure is not None:
                    log.error("a write whose caller was cancelled failed", error=str(failure))
            elif failure is not None:
                job.future.set_exception(failure)
            else:
                job.future.set_result(result)

    async def _transaction(self, functions: list[Callable[[sa.Connection], Any]]) -> list[Outcome]:
        outcomes: list[Outcome] | None = None
        async with AsyncExitStack() as stack:
            connection, number = await _patiently(partial(self._enter, stack))
            try:
                # In two steps: only a commit under way leaves a question open.
                found = await connection.run_sync(run_together, functions)
                outcomes = found
                await connection.commit()
            except sa.exc.DBAPIError as error:
                trouble = _trouble(error)
                if trouble is None:
                    raise
                await connection.invalidate()
                if outcomes is None or not await self._was_committed(number):
                    raise IexecError("DATABASE_UNAVAILABLE", f"nothing was written: {trouble}") from error
        self.commits += 1
        return outcomes

    async def _enter(self, stack: AsyncExitStack) -> tuple[AsyncConnection, str]:
        """A connection in a transaction of its own that nobody else writes beside, and the transaction's number."""
        async with AsyncExitStack() as attempt:
            connection = await attempt.enter_async_context(self._writer.connect())
            row = (await connection.execute(_ENTER)).one()
            stack.push_async_exit(attempt.pop_all())
            return connection, row[1]

    async def _was_committed(self, number: str) -> bool:
        """What became of a transaction whose connection broke in its last moment."""

        async def ask() -> bool:
            async with AsyncExitStack() as stack:
                # Behind the lock of writing, the transaction is over one way or the other.
                connection, _ = await self._enter(stack)
                status = sa.text("SELECT pg_xact_status(CAST(:number AS text)::xid8)").bindparams(number=number)
                return bool((await connection.execute(status)).scalar_one() == "committed")

        return await _patiently(ask)

    # --- several processes ----------------------------------------------------------------------------------------

    @asynccontextmanager
    async def _exclusively(self, name: str) -> AsyncIterator[None]:
        connection = await _patiently(partial(self._session, _WAITING))
        lost = False
        scope = anyio.CancelScope()

        def on_end(_connection: Any) -> None:
            nonlocal lost
            lost = True
            scope.cancel()

        try:
            try:
                await connection.execute("SELECT pg_advisory_lock($1)", _key(f"lead {name}"))
            except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
                raise IexecError("DATABASE_UNAVAILABLE", f"cannot wait for the lead: {error}") from error
            connection.add_termination_listener(on_end)
            with scope:
                yield
            if lost:
                raise IexecError("LEADERSHIP_LOST", f"the connection that held the lead of {name} broke")
        finally:
            connection.remove_termination_listener(on_end)
            # Its end is what gives the lock back, and nothing else is under way on it.
            connection.terminate()

    @asynccontextmanager
    async def _listen(self, channel: str) -> AsyncIterator[AsyncIterator[str | None]]:
        with self._switchboard.inbox(channel) as inbox:
            async with self._listening:
                if self._listener is None and self._reconnecting is None:
                    await _patiently(self._start_listening)
                elif self._listener is not None:
                    await self._add_listener(self._listener, channel)
            yield inbox

    async def _add_listener(self, listener: asyncpg.Connection[Any], channel: str) -> None:
        try:
            await listener.add_listener(channel, self._hear)
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
            # If it broke, the one that takes its place listens to all channels.
            if not listener.is_closed():
                raise

    async def _start_listening(self) -> None:
        connection = await self._session(_WAITING)
        try:
            for channel in self._switchboard.channels:
                await connection.add_listener(channel, self._hear)
            connection.add_termination_listener(self._on_silence)
        except BaseException:
            connection.terminate()
            raise
        self._listener = connection

    def _hear(self, _connection: Any, _process: int, channel: str, payload: object) -> None:
        self._switchboard.deliver(channel, str(payload).partition(" ")[2])

    def _on_silence(self, _connection: Any) -> None:
        self._listener = None
        if not self._closed:
            self._reconnecting = asyncio.create_task(self._listen_again(), name="database-listener")

    async def _listen_again(self) -> None:
        while self._listener is None:
            try:
                await self._start_listening()
            except (_NoConnectionError, asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
                log.warning("cannot listen to the database", reason=str(error))
                await asyncio.sleep(_LISTEN_AGAIN)
        self._reconnecting = None
        self._switchboard.missed()


def _dialler(url: str) -> Callable[[dict[str, str]], Awaitable[asyncpg.Connection[Any]]]:
    """What makes sessions with settings. Its closure alone knows the URL, which holds a password."""

    async def session(settings: dict[str, str]) -> asyncpg.Connection[Any]:
        try:
            return await asyncpg.connect(url, timeout=CONNECT_SECONDS, server_settings=_SETTINGS | settings)
        except asyncpg.PostgresError as error:
            passes = (error.sqlstate or "").startswith(_PASSING)
            raise _NoConnectionError(f"the database server says: {error}", passes=passes) from error
        except TimeoutError as error:
            raise _NoConnectionError("the database server does not answer", passes=True) from error
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise _NoConnectionError(f"the database server cannot be reached: {reason}", passes=True) from error
        except (asyncpg.InterfaceError, ValueError):
            # What the driver says repeats parts of the URL, which may be the password.
            raise _NoConnectionError(
                "the database's URL cannot be read, or asks for what is not there", passes=False
            ) from None

    return session


async def _patiently(attempt: Callable[[], Awaitable[T]]) -> T:
    """What `attempt` returns, tried again for a while as long as the server is away.

    Raises:
        IexecError: ``DATABASE_UNAVAILABLE``.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + PATIENCE
    pause = 0.0
    while True:
        try:
            return await attempt()
        except (_NoConnectionError, sa.exc.DBAPIError) as error:
            trouble = _trouble(error)
            if trouble is None:
                raise
            if not trouble.passes or loop.time() + pause > deadline:
                raise IexecError("DATABASE_UNAVAILABLE", str(trouble)) from error
        await asyncio.sleep(pause)
        # The first failure may come from a connection that was left over.
        pause = min(max(2 * pause, PAUSE_FIRST), PAUSE_MOST)


def _trouble(error: _NoConnectionError | sa.exc.DBAPIError) -> _NoConnectionError | None:
    """What is wrong with server or connection; None when the error is the statement's own."""
    if isinstance(error, _NoConnectionError):
        return error
    if (getattr(error.orig, "sqlstate", None) or "").startswith(_PASSING):
        said = getattr(error.orig, "__cause__", None) or error.orig
        return _NoConnectionError(f"the database server says: {said}", passes=True)
    if error.connection_invalidated:
        return _NoConnectionError("the connection to the database was lost", passes=True)
    return None
