"""The two databases a service can stand on, each empty and of its own for every test.

Tests that ask for the fixture `database_url` run once on a SQLite file and once on a real PostgreSQL, which the test
run installs (Debian's package) and starts when the first of them does.
"""

from __future__ import annotations

import fcntl
import itertools
import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncpg
import pytest

from pyiexec.foundation.lifetime import tie_to_parent

__all__ = ["PostgresqlServer", "database_url", "new_database", "postgresql", "postgresql_url", "state_of"]

#: Of the superuser. It has characters that a URL must escape, and tests look for it where it must not appear.
PASSWORD = "s3cret/p@ss"
ESCAPED_PASSWORD = "s3cret%2Fp%40ss"
_PREFIX = "pyiexec-test-postgresql-"


class PostgresqlServer:
    """A cluster of its own in a temporary folder, on a free port, gone with the process that started it.

    It does not flush to disk: tests kill servers and clients, not the machine. What clients set, such as
    `synchronous_commit`, is theirs.
    """

    def __init__(self) -> None:
        self._binaries = _binaries()
        # Root must not run the server.
        self._user = "postgres" if os.geteuid() == 0 else None
        with _one_at_a_time():
            _remove_left_over()
            self._folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
            self._lock = (self._folder / "in-use").open("w")
            fcntl.flock(self._lock, fcntl.LOCK_EX)
        self._numbers = itertools.count(1)
        self._process: subprocess.Popen[bytes] | None = None
        password_file = self._folder / "password"
        password_file.write_text(PASSWORD)
        if self._user:
            for path in (self._folder, password_file):
                shutil.chown(path, self._user)
        self._run(
            "initdb",
            *("--pgdata", str(self._folder / "data"), "--username=pyiexec", f"--pwfile={password_file}"),
            *("--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync", "--no-instructions"),
        )
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self.start()

    def start(self) -> None:
        """Start the server and wait until it answers; it ends with the thread that calls this."""
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": str(self._folder),
            "autovacuum": "off",
            "fsync": "off",
            "full_page_writes": "off",
            "max_connections": "200",
            "shared_buffers": "64MB",
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        log = (self._folder / "log").open("ab")
        self._process = subprocess.Popen(
            [self._binaries / "postgres", "-D", self._folder / "data", *options],
            cwd=self._folder,
            user=self._user,
            stdout=log,
            stderr=log,
            preexec_fn=tie_to_parent(signal.SIGQUIT),
        )
        log.close()
        while self._run("pg_isready", "--quiet", "--timeout=30", "--host=127.0.0.1", fails=True) != 0:
            if self._process.poll() is not None:
                raise RuntimeError(f"PostgreSQL did not start:\n{(self._folder / 'log').read_text()}")

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop it: SIGINT breaks sessions off in an orderly way, SIGQUIT drops everything at once."""
        assert self._process is not None
        self._process.send_signal(how)
        self._process.wait(30)
        self._process = None

    def remove(self) -> None:
        """Stop it and delete its folder."""
        if self._process is not None:
            self.stop(signal.SIGQUIT)
        shutil.rmtree(self._folder)
        self._lock.close()

    def create_database(self) -> str:
        """The URL of a new, empty database."""
        name = f"test_{next(self._numbers)}"
        self._run("createdb", "--host=127.0.0.1", name)
        return f"postgresql://pyiexec:{ESCAPED_PASSWORD}@127.0.0.1:{self.port}/{name}"

    def drop_database(self, url: str) -> None:
        """Delete a database, sessions or not."""
        self._run("dropdb", "--host=127.0.0.1", "--force", url.rpartition("/")[2])

    def query(self, url: str, statement: str) -> str:
        """What a statement answers, as text, asked from outside of the services."""
        return self._run_for_text(
            "psql", "--host=127.0.0.1", "--no-psqlrc", "-tA", "-d", url.rpartition("/")[2], "-c", statement
        )

    def _command(self, program: str, arguments: tuple[str, ...]) -> dict[str, object]:
        environment = os.environ | {"PGPASSWORD": PASSWORD, "PGUSER": "pyiexec", "LC_ALL": "C"}
        if hasattr(self, "port"):
            environment["PGPORT"] = str(self.port)
        return {
            "args": [self._binaries / program, *arguments],
            "cwd": self._folder,
            "user": self._user,
            "env": environment,
            "capture_output": True,
            "text": True,
        }

    def _run(self, program: str, *arguments: str, fails: bool = False) -> int:
        done = subprocess.run(**self._command(program, arguments), check=False)  # type: ignore[call-overload]
        if done.returncode and not fails:
            raise RuntimeError(f"{program} failed:\n{done.stdout}{done.stderr}")
        return int(done.returncode)

    def _run_for_text(self, program: str, *arguments: str) -> str:
        done = subprocess.run(**self._command(program, arguments), check=True)  # type: ignore[call-overload]
        return str(done.stdout).strip()


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    """Keeps the workers of one test run, and other runs, from getting in each other's way."""
    with (Path(tempfile.gettempdir()) / f"{_PREFIX}preparation").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


async def state_of(url: str) -> object:
    """What differs as soon as anything is written to a database, by whomever."""
    if url.startswith("sqlite:///"):
        path = Path(url.removeprefix("sqlite:///"))
        return [file.read_bytes() for file in (path, path.with_name(f"{path.name}-wal")) if file.exists()]
    connection = await asyncpg.connect(url)
    try:
        # Every transaction that writes takes a number; the server runs nothing by itself that would.
        return await connection.fetchval("SELECT pg_snapshot_xmax(pg_current_snapshot())::text")
    finally:
        await connection.close()


def _binaries() -> Path:
    """Where Debian keeps PostgreSQL's programs, after installing them if need be."""
    found = _installed()
    if found is None:
        if os.geteuid() != 0:
            raise RuntimeError("PostgreSQL is not installed (Debian: apt install postgresql)")
        with _one_at_a_time():
            if _installed() is None:
                _install()
        found = _installed()
    if found is None:
        raise RuntimeError("PostgreSQL was installed, and is not below /usr/lib/postgresql")
    return found


def _installed() -> Path | None:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return found[-1].parent if found else None


def _install() -> None:
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    install = ["apt-get", "install", "-y", "-qq", "postgresql"]
    # A bare machine has no lists of packages, or old ones.
    if subprocess.run(install, env=environment, capture_output=True, check=False).returncode:
        subprocess.run(["apt-get", "update", "-qq"], env=environment, capture_output=True, check=True)
        subprocess.run(install, env=environment, capture_output=True, check=True)


def _remove_left_over() -> None:
    """Delete the folders of test runs that were killed."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*/"):
        try:
            with (folder / "in-use").open() as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder)
        except OSError:
            continue  # in use, or another run is deleting it


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgresqlServer]:
    """The server of this test process."""
    server = PostgresqlServer()
    try:
        yield server
    finally:
        server.remove()


@pytest.fixture
def postgresql_url(postgresql: PostgresqlServer) -> Iterator[str]:
    """An empty PostgreSQL database."""
    url = postgresql.create_database()
    yield url
    postgresql.drop_database(url)


@pytest.fixture(params=["sqlite", "postgresql"])
def new_database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], str]]:
    """Makes empty databases, on either engine; calls give their URLs."""
    numbers = itertools.count(1)
    if request.param == "sqlite":
        yield lambda: f"sqlite:///{tmp_path / f'service-{next(numbers)}.db'}"
        return
    server: PostgresqlServer = request.getfixturevalue("postgresql")
    urls: list[str] = []

    def create() -> str:
        urls.append(server.create_database())
        return urls[-1]

    yield create
    for url in urls:
        server.drop_database(url)


@pytest.fixture
def database_url(new_database: Callable[[], str]) -> str:
    """An empty database, on either engine."""
    return new_database()
