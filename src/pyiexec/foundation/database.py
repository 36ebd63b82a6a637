"""The one SQL engine set-up: SQLite embedded by default, reached through the synchronous driver on its own threads.

Work on the database is a function of a SQLAlchemy `Connection` that runs inside one transaction. Writes that arrive
while one is running share the next commit, each behind its own savepoint, so a burst costs one journal flush.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import anyio
import sqlalchemy as sa
from sqlalchemy import event

from pyiexec.foundation.logs import get_logger
from pyiexec.protocol.errors import IexecError

T = TypeVar("T")

log = get_logger(__name__)

#: Writes that share one commit at most: bounds how long the first of them waits.
GROUP_LIMIT = 256
READERS = 2
#: Alembic keeps the migration under way in module globals: one at a time in a process.
_ALEMBIC = threading.Lock()


class Migrations(NamedTuple):
    """An Alembic lineage: a package holding ``versions/``, and the name of its version table's suffix."""

    package: str
    lineage: str


class _Job(NamedTuple):
    function: Callable[[sa.Connection], Any]
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[Any]


def _configure_sqlite(engine: sa.Engine, begin: str) -> None:
    @event.listens_for(engine, "connect")
    def on_connect(connection: Any, _record: Any) -> None:
        # The driver must not open transactions behind SQLAlchemy's back, or savepoints do not nest.
        connection.isolation_level = None
        cursor = connection.cursor()
        for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON", "busy_timeout=10000"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def on_begin(connection: sa.Connection) -> None:
        connection.exec_driver_sql(begin)


def migrate(connection: sa.Connection, migrations: Migrations) -> None:
    """Bring one lineage to its newest revision."""
    # Alembic costs a third of a second to import, which commands that open no database do not owe.
    from alembic.config import Config
    from alembic.runtime.environment import EnvironmentContext
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(resources.files(migrations.package)))
    config.set_main_option("path_separator", "os")
    script = ScriptDirectory.from_config(config)
    table = f"alembic_version_{migrations.lineage}"

    def upgrade(revision: Any, _context: Any) -> Any:
        return script._upgrade_revs("head", revision)  # noqa: SLF001 - what `alembic upgrade` itself calls

    with _ALEMBIC, EnvironmentContext(config, script, fn=upgrade, destination_rev="head") as environment:
        environment.configure(connection=connection, version_table=table, render_as_batch=True)
        environment.run_migrations()


class Database:
    """A database open for one process."""

    def __init__(self, writer: sa.Engine, reader: sa.Engine) -> None:
        self._writer_engine = writer
        self._reader_engine = reader
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="database-reader")
        self._thread = threading.Thread(target=self._write_loop, name="database-writer", daemon=True)
        self._closed = False
        #: Commits made so far; an idle service makes none.
        self.commits = 0

    @classmethod
    async def open(cls, url: str, migrations: Sequence[Migrations] = ()) -> Database:
        """Open the database at a SQLAlchemy URL and apply the migrations.

        Raises:
            IexecError: ``DATABASE_UNAVAILABLE``.
        """
        if not url.startswith("sqlite:///"):
            raise IexecError("DATABASE_UNAVAILABLE", "only sqlite:/// URLs are supported so far")
        Path(url.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
        writer = sa.create_engine(url, poolclass=sa.pool.SingletonThreadPool)
        reader = sa.create_engine(url, pool_size=READERS)
        _configure_sqlite(writer, "BEGIN IMMEDIATE")
        _configure_sqlite(reader, "BEGIN")
        database = cls(writer, reader)
        database._thread.start()
        try:
            for lineage in migrations:
                await database.write(lambda connection, lineage=lineage: migrate(connection, lineage))  # type: ignore[misc]
        except sa.exc.DatabaseError as error:
            await database.close()
            raise IexecError("DATABASE_UNAVAILABLE", f"{url}: {error.orig}") from error
        return database

    async def write(self, function: Callable[[sa.Connection], T]) -> T:
        """Run `function` in a transaction of the writer; it is committed when this returns.

        The function must not be cancelled half-way: a cancelled caller's write still happens.
        """
        if self._closed:
            raise IexecError("DATABASE_UNAVAILABLE", "the database is closed")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._jobs.put(_Job(function, loop, future))
        return await future

    async def read(self, function: Callable[[sa.Connection], T]) -> T:
        """Run `function` in a read transaction: it sees one consistent state, all commits before it included."""

        def run() -> T:
            with self._reader_engine.connect() as connection, connection.begin():
                return function(connection)

        return await asyncio.get_running_loop().run_in_executor(self._readers, run)

    async def close(self) -> None:
        """Finish the writes under way and close."""
        if self._closed:
            return
        self._closed = True
        self._jobs.put(None)
        loop = asyncio.get_running_loop()
        # Whoever is cancelled while closing has closed all the same: nothing of the database outlives this.
        with anyio.CancelScope(shield=True):
            await loop.run_in_executor(None, self._thread.join)
        self._readers.shutdown()
        self._reader_engine.dispose()

    def _write_loop(self) -> None:
        job = self._jobs.get()
        while job is not None:
            group = [job]
            job = None
            while len(group) < GROUP_LIMIT:
                try:
                    following = self._jobs.get_nowait()
                except queue.Empty:
                    break
                if following is None:
                    self._commit(group)
                    self._writer_engine.dispose()
                    return
                group.append(following)
            self._commit(group)
            job = self._jobs.get()
        self._writer_engine.dispose()

    def _commit(self, group: list[_Job]) -> None:
        outcomes: list[tuple[_Job, Any, BaseException | None]] = []
        try:
            with self._writer_engine.connect() as connection, connection.begin():
                for job in group:
                    try:
                        if len(group) == 1:
                            outcomes.append((job, job.function(connection), None))
                        else:
                            with connection.begin_nested():
                                outcomes.append((job, job.function(connection), None))
                    except Exception as error:
                        outcomes.append((job, None, error))
                        if len(group) == 1:
                            raise
            self.commits += 1
        except Exception as error:
            outcomes = [(job, None, failure or error) for job, _, failure in outcomes]
            outcomes += [(job, None, error) for job in group[len(outcomes) :]]
        for job, result, failure in outcomes:
            job.loop.call_soon_threadsafe(_settle, job.future, result, failure)


def _settle(future: asyncio.Future[Any], result: Any, failure: BaseException | None) -> None:
    if future.cancelled():
        if failure is not None:
            log.error("a write whose caller was cancelled failed", error=str(failure))
    elif failure is not None:
        future.set_exception(failure)
    else:
        future.set_result(result)
