"""The one SQL engine set-up: a SQLite file for one machine, PostgreSQL where several processes share the work.

Work on the database is a function of a SQLAlchemy `Connection` that runs inside one transaction. Writes are serialised,
also among processes: what a function checks is still true when it writes. Those that arrive while one is running share
the next commit, each behind its own savepoint, so a burst costs one flush.
"""

from __future__ import annotations

import itertools
import re
import threading
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from importlib import resources
from typing import Any, NamedTuple, TypeVar

import anyio
import sqlalchemy as sa

from pyiexec.foundation.clock import SystemClock
from pyiexec.foundation.logs import get_logger
from pyiexec.foundation.statements import Statement
from pyiexec.protocol.errors import IexecError

T = TypeVar("T")

log = get_logger(__name__)

#: Writes that share one commit at most: bounds how long the first of them waits.
GROUP_LIMIT = 256
#: What fits into one of PostgreSQL's notifications, with room for our prefix.
PAYLOAD_LIMIT = 7_900
#: Key in `Connection.info` of what SQLite's writer announces after its commit.
ANNOUNCED = "announced"
#: Seconds for which a database that has just answered is taken to be there.
_HEARD_OF = 1.0
#: Seconds before what needs the database is tried again.
_TRY_AGAIN = 1.0
#: Alembic keeps the migration under way in module globals: one at a time in a process.
ALEMBIC = threading.Lock()
_SAVE, _ROLL_BACK, _RELEASE = (
    Statement(sa.text(f"{what} SAVEPOINT together".removeprefix(" "))) for what in ("", "ROLLBACK TO", "RELEASE")
)

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,47}")
_numbers = itertools.count(1)


class Migrations(NamedTuple):
    """An Alembic lineage: a package holding ``versions/``, and the name of its version table's suffix."""

    package: str
    lineage: str


LEADERSHIP = Migrations("pyiexec.foundation.migrations", lineage="leadership")
#: How often each name's leader changed; whoever has not the newest epoch does not lead any more.
_EPOCHS = sa.Table(
    "leaders",
    sa.MetaData(),
    sa.Column("name", sa.String(48), primary_key=True),
    sa.Column("epoch", sa.BigInteger, nullable=False),
)


class Outcome(NamedTuple):
    """What came of a function: its result, or why there is none."""

    result: Any = None
    failure: BaseException | None = None


def migrate(connection: sa.Connection, migrations: Migrations) -> None:
    """Bring one lineage to its newest revision."""
    with ALEMBIC:
        upgrade(connection, migrations)


def upgrade(connection: sa.Connection, migrations: Migrations) -> None:
    """As `migrate`, for a caller that holds `ALEMBIC`."""
    # Alembic costs a third of a second to import, which commands that open no database do not owe.
    from alembic.config import Config
    from alembic.runtime.environment import EnvironmentContext
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(resources.files(migrations.package)))
    config.set_main_option("path_separator", "os")
    script = ScriptDirectory.from_config(config)
    table = f"alembic_version_{migrations.lineage}"

    def revisions(revision: Any, _context: Any) -> Any:
        return script._upgrade_revs("head", revision)  # noqa: SLF001 - what `alembic upgrade` itself calls

    with EnvironmentContext(config, script, fn=revisions, destination_rev="head") as environment:
        environment.configure(connection=connection, version_table=table, render_as_batch=True)
        environment.run_migrations()


def announce(connection: sa.Connection, channel: str, payload: str) -> None:
    """Tell all who listen to a channel, once the transaction of this write is committed; nobody if it is not.

    Args:
        connection: of a function given to `Database.write`.
        channel: small letters, digits, ``_`` and ``-``; 48 at most.
        payload: at most `PAYLOAD_LIMIT` bytes of UTF-8, without NUL.

    Raises:
        ValueError: the channel's name is not such a name, or the payload does not fit.
    """
    _check_name(channel)
    if len(payload.encode()) > PAYLOAD_LIMIT or "\0" in payload:
        raise ValueError(f"an announcement holds {PAYLOAD_LIMIT} bytes at most, and no NUL")
    if connection.dialect.name == "postgresql":
        # Within a transaction PostgreSQL tells equal payloads once; the number makes each its own.
        connection.execute(sa.select(sa.func.pg_notify(channel, f"{next(_numbers):x} {payload}")))
    else:
        connection.info.setdefault(ANNOUNCED, []).append((channel, payload))


def run_together(connection: sa.Connection, functions: Sequence[Callable[[sa.Connection], Any]]) -> list[Outcome]:
    """Run functions in one transaction, each behind a savepoint; one that is alone is spared it and raises.

    Raises:
        sqlalchemy.exc.DBAPIError: the connection broke, and with it all of them.
    """
    if len(functions) == 1:
        return [Outcome(functions[0](connection))]
    outcomes: list[Outcome] = []
    for function in functions:
        # Always the same: SQLAlchemy would make up a name for each, and compile it.
        _SAVE.run(connection)
        announced = len(connection.info.get(ANNOUNCED, ()))
        try:
            outcomes.append(Outcome(function(connection)))
        except Exception as error:
            if connection.invalidated:
                raise
            _ROLL_BACK.run(connection)
            del connection.info.get(ANNOUNCED, [])[announced:]
            outcomes.append(Outcome(failure=error))
        _RELEASE.run(connection)
    return outcomes


class Leadership:
    """What `Database.lead` gives to the one process that leads."""

    def __init__(self, database: Database, name: str, epoch: int) -> None:
        self._database = database
        self.name = name
        self._epoch = epoch

    async def write(self, function: Callable[[sa.Connection], T]) -> T:
        """`Database.write`, refused once somebody else leads.

        A leader that was cut off does not know it at once. Its successor raised the epoch before reading anything, and
        writes are serialised: what the old leader still tries can neither come in between nor afterwards.

        Raises:
            IexecError: ``LEADERSHIP_LOST``, and as `Database.write`.
        """

        def fenced(connection: sa.Connection) -> T:
            query = sa.select(_EPOCHS.c.epoch).where(_EPOCHS.c.name == self.name)
            if connection.execute(query).scalar_one_or_none() != self._epoch:
                raise IexecError("LEADERSHIP_LOST", f"another process leads {self.name}")
            return function(connection)

        return await self._database.write(fenced)


class Database(ABC):
    """A database open for one process, to be used in the event loop that opened it."""

    def __init__(self) -> None:
        self._closed = False
        #: Commits made so far; an idle service makes none.
        self.commits = 0
        #: Reads and writes so far for which the database was away, and writes under way.
        self.failures = self.waiting = 0
        #: Told how many seconds each write and read took that succeeded.
        self.on_write: Callable[[float], None] = _ignore
        self.on_read: Callable[[float], None] = _ignore
        self._answered: float | None = None
        self._clock = SystemClock()

    @staticmethod
    async def open(url: str, migrations: Sequence[Migrations] = (), *, durable: bool = False) -> Database:
        """Open a database and apply the migrations; processes that do so at once wait for each other.

        Args:
            url: ``sqlite:///`` and a path, or ``postgresql://user:password@host:port/database`` with the parameters of
                libpq (``?sslmode=require``, ``?host=/run/postgresql``).
            migrations: lineages of the tables.
            durable: a commit also outlives a loss of power. On PostgreSQL it does so anyway.

        Raises:
            IexecError: ``DATABASE_UNAVAILABLE``.
        """
        # Neither engine is imported before it is wanted: starting is a measured budget.
        database: Database
        if url.startswith("sqlite:///"):
            from pyiexec.foundation.sqlite import SqliteDatabase

            database = SqliteDatabase(url, durable=durable)
        elif url.startswith(("postgresql://", "postgres://")):
            from pyiexec.foundation.postgresql import PostgresqlDatabase

            database = PostgresqlDatabase(url)
        else:
            # The URL is not repeated, it may hold a password.
            raise IexecError("DATABASE_UNAVAILABLE", "a database's URL begins with sqlite:/// or postgresql://")
        try:
            await database.prepare(migrations)
        except BaseException:
            await database.close()
            raise
        return database

    async def prepare(self, migrations: Sequence[Migrations] = ()) -> None:
        """Connect, and apply the migrations.

        Raises:
            IexecError: ``DATABASE_UNAVAILABLE``.
        """
        try:
            await self._connect()
            for lineage in migrations:
                await self._migrate(lineage)
        except sa.exc.DatabaseError as error:
            raise IexecError("DATABASE_UNAVAILABLE", f"the database refused: {error.orig}") from error

    async def write(self, function: Callable[[sa.Connection], T]) -> T:
        """Run `function` in a transaction, after which no other write comes before it is committed.

        It runs once. What it raises undoes all it wrote, and comes out here. A cancelled caller's write still happens.

        Raises:
            IexecError: ``DATABASE_UNAVAILABLE``: nothing was written.
        """
        self._check_open()
        self.waiting += 1
        try:
            with self._measured(self.on_write):
                written: T = await self._write(function)
        finally:
            self.waiting -= 1
        return written

    async def insist(self, function: Callable[[sa.Connection], T]) -> T:
        """`write`, repeated for as long as the database is away; what `function` does must not depend on the attempt.

        Between attempts the caller can be cancelled, and then nothing was written.

        Raises:
            IexecError: ``DATABASE_UNAVAILABLE`` when the database is closed here.
        """
        while True:
            self._check_open()
            try:
                # What was begun is told to the caller, whom a cancellation reaches before the next attempt.
                with anyio.CancelScope(shield=True):
                    return await self.write(function)
            except IexecError as error:
                if error.code != "DATABASE_UNAVAILABLE":
                    raise
                log.warning("a write waits for the database", reason=error.what)
            await anyio.sleep(_TRY_AGAIN)

    async def read(self, function: Callable[[sa.Connection], T]) -> T:
        """Run `function` in a read transaction: it sees one consistent state, all commits before it included.

        It may run a second time when the connection breaks.

        Raises:
            IexecError: ``DATABASE_UNAVAILABLE``.
        """
        self._check_open()
        with self._measured(self.on_read):
            found: T = await self._read(function)
        return found

    async def check(self) -> str:
        """Nothing; asked only if nobody has heard of the database for a moment.

        Raises:
            IexecError: ``DATABASE_UNAVAILABLE``.
        """
        if self._answered is None or self._clock.monotonic() - self._answered > _HEARD_OF:
            await self.read(lambda connection: connection.execute(sa.text("SELECT 1")))
        return ""

    @contextmanager
    def _measured(self, tell: Callable[[float], None]) -> Iterator[None]:
        began = self._clock.monotonic()
        try:
            yield
        except IexecError as error:
            if error.code == "DATABASE_UNAVAILABLE":
                self.failures += 1
                self._answered = None
            raise
        self._answered = self._clock.monotonic()
        tell(self._answered - began)

    @asynccontextmanager
    async def lead(self, name: str) -> AsyncIterator[Leadership]:
        """Wait until no other process leads under this name, and lead for the time of the block.

        A leader that is gone, however it ended, is followed at once. A leader whose connection breaks is cancelled.

        Raises:
            IexecError: ``DATABASE_UNAVAILABLE``; ``LEADERSHIP_LOST`` in place of the cancellation.
        """
        _check_name(name)
        self._check_open()
        await self._migrate(LEADERSHIP)
        async with self._exclusively(name):
            yield Leadership(self, name, await self.write(lambda connection: _next_epoch(connection, name)))

    async def keep_leading(self, name: str, job: Callable[[Leadership], Awaitable[None]]) -> None:
        """Run `job` whenever this process leads under a name, and again after the database was away.

        It begins with what is stored: another process may have led meanwhile. Its return ends this, and so does any
        failure of its own.
        """
        while True:
            try:
                async with self.lead(name) as leadership:
                    log.info("leading", name=name)
                    await job(leadership)
                    return
            except (IexecError, BaseExceptionGroup) as error:
                if not _is_database_trouble(error):
                    raise
                log.warning("does not lead any more", name=name, reason=str(error))
            await anyio.sleep(_TRY_AGAIN)

    def listen(self, channel: str) -> AbstractAsyncContextManager[AsyncIterator[str | None]]:
        """Announcements of all processes on a channel, in the order of their commits, from the block's entry on.

        None in their place says that some may have been missed, after a broken connection or because the reader was
        too slow: read the state anew.

        Raises:
            IexecError: ``DATABASE_UNAVAILABLE``.
            ValueError: the channel's name is none, see `announce`.
        """
        _check_name(channel)
        self._check_open()
        return self._listen(channel)

    async def close(self) -> None:
        """Finish the writes under way and close."""
        if self._closed:
            return
        self._closed = True
        # Whoever is cancelled while closing has closed all the same: nothing of the database outlives this.
        with anyio.CancelScope(shield=True):
            await self._close()

    def _check_open(self) -> None:
        if self._closed:
            raise IexecError("DATABASE_UNAVAILABLE", "the database is closed")

    @abstractmethod
    async def _connect(self) -> None: ...

    @abstractmethod
    async def _migrate(self, lineage: Migrations) -> None: ...

    @abstractmethod
    async def _write(self, function: Callable[[sa.Connection], Any]) -> Any: ...

    @abstractmethod
    async def _read(self, function: Callable[[sa.Connection], Any]) -> Any: ...

    @abstractmethod
    def _exclusively(self, name: str) -> AbstractAsyncContextManager[None]:
        """Hold the lock of this name for the block, which is cancelled if the lock is lost."""

    @abstractmethod
    def _listen(self, channel: str) -> AbstractAsyncContextManager[AsyncIterator[str | None]]: ...

    @abstractmethod
    async def _close(self) -> None: ...


def _ignore(_seconds: float) -> None:
    """For a database that nobody observes."""


def _next_epoch(connection: sa.Connection, name: str) -> int:
    where = _EPOCHS.c.name == name
    before = connection.execute(sa.select(_EPOCHS.c.epoch).where(where)).scalar_one_or_none()
    if before is None:
        connection.execute(sa.insert(_EPOCHS).values(name=name, epoch=1))
        return 1
    connection.execute(sa.update(_EPOCHS).where(where).values(epoch=before + 1))
    return int(before) + 1


def _is_database_trouble(error: BaseException) -> bool:
    if isinstance(error, BaseExceptionGroup):
        return all(_is_database_trouble(part) for part in error.exceptions)
    return isinstance(error, IexecError) and error.code in ("DATABASE_UNAVAILABLE", "LEADERSHIP_LOST")


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no name of small letters, digits, _ and -, 48 at most")
