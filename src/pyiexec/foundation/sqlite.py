"""SQLite, through the synchronous driver on threads of its own."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import queue
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy import event

from pyiexec.foundation.announcements import Switchboard
from pyiexec.foundation.database import (
    ANNOUNCED,
    GROUP_LIMIT,
    Database,
    Migrations,
    Outcome,
    migrate,
    run_together,
)
from pyiexec.foundation.logs import get_logger
from pyiexec.foundation.neighbours import Neighbours
from pyiexec.protocol.errors import IexecError

log = get_logger(__name__)

READERS = 2
#: Key in `Connection.info`: how much had been announced at each savepoint that is open.
_MARKS = "announced at savepoints"
#: Primary result codes for which the file or the machine is at fault, not the statement.
_UNAVAILABLE = {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_NOTADB,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_READONLY,
}
#: Of SQLAlchemy, and of the driver where a `Statement` goes straight to it.
_DATABASE_ERRORS = (sa.exc.DatabaseError, sqlite3.DatabaseError)


class _Job(NamedTuple):
    function: Callable[[sa.Connection], Any]
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[Any]


class SqliteDatabase(Database):
    """A database file. Processes that share it hear each other through sockets in a folder beside it."""

    def __init__(self, url: str, *, durable: bool) -> None:
        super().__init__()
        self._path = Path(url.removeprefix("sqlite:///")).absolute()
        synchronous = "FULL" if durable else "NORMAL"
        self._writer_engine = sa.create_engine(url, poolclass=sa.pool.SingletonThreadPool, hide_parameters=True)
        self._reader_engine = sa.create_engine(url, pool_size=READERS, hide_parameters=True)
        _configure(self._writer_engine, "BEGIN IMMEDIATE", synchronous)
        _configure(self._reader_engine, "BEGIN", synchronous)
        _follow_announcements(self._writer_engine)
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="database-reader")
        self._thread = threading.Thread(target=self._write_loop, name="database-writer", daemon=True)
        self._loop = asyncio.get_running_loop()
        self._switchboard = Switchboard()
        self._neighbours = Neighbours(self._path.with_name(f"{self._path.name}-listeners"), self._hear)

    async def _connect(self) -> None:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise IexecError("DATABASE_UNAVAILABLE", f"{self._path.parent}: {error.strerror}") from None
        self._thread.start()

    async def _migrate(self, lineage: Migrations) -> None:
        await self._write(lambda connection: migrate(connection, lineage))

    async def _write(self, function: Callable[[sa.Connection], Any]) -> Any:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()
        self._jobs.put(_Job(function, loop, future))
        return await future

    async def _read(self, function: Callable[[sa.Connection], Any]) -> Any:
        def run() -> Any:
            with self._reader_engine.connect() as connection, connection.begin():
                return function(connection)

        try:
            return await asyncio.get_running_loop().run_in_executor(self._readers, run)
        except _DATABASE_ERRORS as error:
            raise self._told(error) from error

    async def _close(self) -> None:
        if self._thread.ident is not None:
            self._jobs.put(None)
            await asyncio.get_running_loop().run_in_executor(None, self._thread.join)
        self._readers.shutdown()
        self._reader_engine.dispose()
        self._neighbours.close()

    def _write_loop(self) -> None:
        # Kept from one transaction to the next: taking it from the engine costs as much as a statement.
        connection: sa.Connection | None = None
        while group := self._next_group():
            try:
                connection = connection or self._writer_engine.connect()
                outcomes = self._commit(connection, group)
            except Exception as error:
                outcomes = [Outcome(failure=error)] * len(group)
                if connection is not None:
                    connection.close()
                    connection = None
            for job, (result, failure) in zip(group, outcomes, strict=True):
                told = self._told(failure) if isinstance(failure, _DATABASE_ERRORS) else failure
                job.loop.call_soon_threadsafe(_settle, job.future, result, told)
        if connection is not None:
            connection.close()
        self._writer_engine.dispose()

    def _next_group(self) -> list[_Job]:
        """What is to be done next, waiting for it; nothing in the end."""
        group: list[_Job] = []
        job = self._jobs.get()
        while job is not None:
            group.append(job)
            if len(group) == GROUP_LIMIT:
                return group
            try:
                job = self._jobs.get_nowait()
            except queue.Empty:
                return group
        if group:
            # The end is for the next time.
            self._jobs.put(None)
        return group

    def _commit(self, connection: sa.Connection, group: list[_Job]) -> list[Outcome]:
        with connection.begin():
            outcomes = run_together(connection, [job.function for job in group])
        announced = connection.info.pop(ANNOUNCED, None)
        self.commits += 1
        if announced:
            self._loop.call_soon_threadsafe(self._tell, announced)
        return outcomes

    def _told(self, error: sa.exc.DatabaseError | sqlite3.DatabaseError) -> Exception:
        """The error as callers see it."""
        orig = error.orig if isinstance(error, sa.exc.DatabaseError) else error
        code = getattr(orig, "sqlite_errorcode", None)
        if code is None or code & 0xFF not in _UNAVAILABLE:
            return error
        told = IexecError("DATABASE_UNAVAILABLE", f"{self._path}: {orig}")
        told.__cause__ = error
        return told

    # --- several processes ----------------------------------------------------------------------------------------

    @asynccontextmanager
    async def _exclusively(self, name: str) -> AsyncIterator[None]:
        lock = await _lock(self._path.with_name(f"{self._path.name}.{name}.lock"))
        try:
            yield
        finally:
            os.close(lock)

    @asynccontextmanager
    async def _listen(self, channel: str) -> AsyncIterator[AsyncIterator[str | None]]:
        self._neighbours.join()
        with self._switchboard.inbox(channel) as inbox:
            yield inbox

    def _tell(self, announced: list[tuple[str, str]]) -> None:
        for channel, payload in announced:
            self._switchboard.deliver(channel, payload)
        self._neighbours.tell(announced)

    def _hear(self, channel: str | None, payload: str) -> None:
        if channel is None:
            self._switchboard.missed()
        else:
            self._switchboard.deliver(channel, payload)


def _configure(engine: sa.Engine, begin: str, synchronous: str) -> None:
    @event.listens_for(engine, "connect")
    def on_connect(connection: Any, _record: Any) -> None:
        # The driver must not open transactions behind SQLAlchemy's back, or savepoints do not nest.
        connection.isolation_level = None
        cursor = connection.cursor()
        for pragma in ("journal_mode=WAL", f"synchronous={synchronous}", "foreign_keys=ON", "busy_timeout=10000"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def on_begin(connection: sa.Connection) -> None:
        connection.exec_driver_sql(begin)


def _follow_announcements(engine: sa.Engine) -> None:
    """Have announcements share the fate of the transaction or savepoint they were made in."""

    # Savepoints nest, so the innermost is the last.
    @event.listens_for(engine, "savepoint")
    def on_savepoint(connection: sa.Connection, _name: str | None) -> None:
        connection.info.setdefault(_MARKS, []).append(len(connection.info.get(ANNOUNCED, ())))

    @event.listens_for(engine, "rollback_savepoint")
    def on_rollback_savepoint(connection: sa.Connection, _name: str, _context: None) -> None:
        del connection.info.get(ANNOUNCED, [])[connection.info[_MARKS].pop() :]

    @event.listens_for(engine, "release_savepoint")
    def on_release_savepoint(connection: sa.Connection, _name: str, _context: None) -> None:
        connection.info[_MARKS].pop()

    @event.listens_for(engine, "rollback")
    def on_rollback(connection: sa.Connection) -> None:
        connection.info.pop(ANNOUNCED, None)
        connection.info.pop(_MARKS, None)


def _settle(future: asyncio.Future[Any], result: Any, failure: BaseException | None) -> None:
    if future.cancelled():
        if failure is not None:
            log.error("a write whose caller was cancelled failed", error=str(failure))
    elif failure is not None:
        future.set_exception(failure)
    else:
        future.set_result(result)


async def _lock(path: Path) -> int:
    """The descriptor of a file once it is locked; closing it, or the end of the process, gives the lock back."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[int] = loop.create_future()

    def settle(descriptor: int, failure: OSError | None) -> None:
        if failure is not None and not future.cancelled():
            future.set_exception(failure)
        elif failure is None and future.cancelled():
            os.close(descriptor)
        elif failure is None:
            future.set_result(descriptor)

    def wait() -> None:
        descriptor = -1
        failure = None
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        except OSError as error:
            failure = error
        # The loop may be closed by now: whoever waited is gone, and the lock goes with the process.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(partial(settle, descriptor, failure))

    # It cannot be interrupted; cancelled, it stays behind until it gets the lock, and lets go of it at once.
    threading.Thread(target=wait, name="database-leader", daemon=True).start()
    try:
        return await future
    except OSError as error:
        raise IexecError("DATABASE_UNAVAILABLE", f"{path}: {error.strerror}") from None
    except BaseException:
        if future.done() and not future.cancelled():
            os.close(future.result())
        future.cancel()
        raise
