"""Real services for tests: each is started here, on a free loopback port, and ended here."""

from __future__ import annotations

import contextlib
import fcntl
import gc
import os
import pwd
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

import pytest
from hypothesis import settings
from sqlalchemy import create_engine, text
from sqlalchemy.exc import OperationalError

from coldchain.db import engine as engines
from coldchain.db.engine import make_engine
from coldchain.db.migrate import migrate
from databases import Databases
from exploring import EXPLORING
from opening import migrated_file

PROJECT = Path(__file__).resolve().parent.parent

settings.load_profile("explore" if EXPLORING else "coldchain")

# Several hundred programs are started here, and each would compile all it imports: a third of a second.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


def pytest_collection_finish() -> None:
    """As the server does when it has started: a third of what making an app took was the collector, which looked again
    and again through all that was imported."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 20, 100)


SHIPPED = engines._SQLITE_PRAGMAS
FSYNC = os.fsync
"""As programs have them that tests start."""


@pytest.fixture(scope="session", autouse=True)
def _power_stays() -> Iterator[None]:
    """Nothing here waits for the disk, nor does the PostgreSQL below: tests kill processes, not the machine, so that
    none of them could tell. Those that ask what is on the disk take `shipped`."""
    with pytest.MonkeyPatch.context() as patched:
        at_once = tuple("synchronous = off" if one.startswith("synchronous") else one for one in SHIPPED)
        assert at_once != SHIPPED
        patched.setattr(engines, "_SQLITE_PRAGMAS", at_once)
        patched.setattr(os, "fsync", lambda _descriptor: None)
        yield


@pytest.fixture
def shipped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Connections made from now on wait for the disk, and so does `os.fsync`."""
    monkeypatch.setattr(engines, "_SQLITE_PRAGMAS", SHIPPED)
    monkeypatch.setattr(os, "fsync", FSYNC)


def _unavailable(reason: str) -> NoReturn:
    """Skip on a developer's machine; in CI a missing service is a failure, not a green run."""
    if os.environ.get("COLDCHAIN_REQUIRE_SERVICES") == "1":
        pytest.fail(f"COLDCHAIN_REQUIRE_SERVICES=1, but {reason}")
    pytest.skip(reason)


_WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
_WORKERS = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
_OURS = range(20_000 + _WORKER, 32_000, _WORKERS)
_PORTS = iter(random.Random(os.getpid()).sample(_OURS, len(_OURS)))
"""Below those the system gives to outgoing connections: none of them can take a port before it is listened on. No two
processes of one run of the suite draw the same."""


def _free_port() -> int:
    for port in _PORTS:
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise RuntimeError("no free port between 20,000 and 32,000")


@pytest.fixture(scope="session")
def free_port() -> Callable[[], int]:
    """Call it for a loopback TCP port that nothing listens on."""
    return _free_port


@pytest.fixture(scope="session")
def shared_vectors() -> Path:
    """The folder with other people's test vectors and recorded data."""
    shared = Path(os.environ.get("COLDCHAIN_SHARED") or PROJECT.parent / "shared")
    if not (shared / "vectors").is_dir():
        _unavailable(f"there are no test vectors in {shared} (set COLDCHAIN_SHARED)")
    return shared


class PostgresCluster:
    """A PostgreSQL server of our own. Without fsync: what it acknowledged survives its process, not the machine."""

    def __init__(self, binaries: Path, directory: Path) -> None:
        self._binaries = binaries
        self._directory = directory
        self._process: subprocess.Popen[bytes] | None = None
        # PostgreSQL refuses to run as root.
        self._user = _unprivileged() if os.geteuid() == 0 else None
        if self._user is not None:
            os.chown(directory, self._user.pw_uid, self._user.pw_gid)
        self._port = _free_port()
        self._databases = 0
        options = ("--auth=trust", "--username=coldchain", "--encoding=UTF8", "--no-locale", "--no-sync")
        if self._spawn("initdb", *options).wait(60):
            raise RuntimeError(f"initdb failed:\n{(directory / 'initdb.log').read_text()}")

    @property
    def running(self) -> bool:
        return self._process is not None

    def start(self) -> None:
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": self._port,
            "unix_socket_directories": "",
            "fsync": "off",
            "full_page_writes": "off",
            "shared_buffers": "64MB",
            # Nobody replicates it or recovers it far back: a suite needs no gigabytes of disk.
            "wal_level": "minimal",
            "max_wal_senders": 0,
            "min_wal_size": "32MB",
            "max_wal_size": "64MB",
            # Hundreds of databases that live for a second: a worker would be started for one after another.
            "autovacuum": "off",
        }
        self._process = self._spawn("postgres", *(f"--{name}={value}" for name, value in settings.items()))
        self._await_answer()

    def crash(self) -> None:
        """The server ends at once, without a shutdown checkpoint; connections drop."""
        self._stop(signal.SIGQUIT)

    def stop(self) -> None:
        self._stop(signal.SIGINT)

    def new_database(self, template: str = "template1") -> str:
        """URL of an empty database, or of a copy of one that nobody is connected to (its name)."""
        self._databases += 1
        name = f"test_{self._databases}"
        engine = create_engine(self._url("postgres"), isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(text(f"CREATE DATABASE {name} TEMPLATE {template}"))
        engine.dispose()
        return self._url(name)

    def drop_database(self, url: str) -> None:
        """It is gone from the disk, whoever is connected to it."""
        engine = create_engine(self._url("postgres"), isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(text(f"DROP DATABASE {url.rpartition('/')[2]} WITH (FORCE)"))
        engine.dispose()

    def _url(self, database: str) -> str:
        return f"postgresql+psycopg://coldchain@127.0.0.1:{self._port}/{database}"

    def _spawn(self, program: str, *arguments: str) -> subprocess.Popen[bytes]:
        with (self._directory / f"{program}.log").open("ab") as log:
            return subprocess.Popen(
                [self._binaries / program, "-D", self._directory / "data", *arguments],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                cwd=self._directory,
                user=None if self._user is None else self._user.pw_uid,
                group=None if self._user is None else self._user.pw_gid,
                extra_groups=None if self._user is None else [],
            )

    def _await_answer(self) -> None:
        engine = create_engine(self._url("postgres"))
        deadline = time.monotonic() + 30
        while True:
            try:
                engine.connect().close()
            except OperationalError as error:
                if time.monotonic() > deadline or self._process is None or self._process.poll() is not None:
                    log = (self._directory / "postgres.log").read_text()
                    raise RuntimeError(f"PostgreSQL does not answer; its log:\n{log}") from error
                time.sleep(0.05)
            else:
                engine.dispose()
                return

    def _stop(self, how: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(30)
            self._process = None


def _unprivileged() -> pwd.struct_passwd:
    with contextlib.suppress(KeyError):
        return pwd.getpwnam("postgres")
    return pwd.getpwnam("nobody")


def _postgres_binaries() -> Path:
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[4]))
    found = str(installed[-1]) if installed else shutil.which("initdb")
    if found is None:
        _unavailable("PostgreSQL is not installed (Debian: postgresql)")
    return Path(found).resolve().parent


@contextlib.contextmanager
def _cluster_directory() -> Iterator[Path]:
    """Not below pytest's own directory: that is closed to the user the server runs as. What a killed run left behind,
    hundreds of megabytes, goes first: nobody holds its lock, and a server still running there ends when it is gone."""
    prefix = "coldchain-postgres-"
    for left in Path(tempfile.gettempdir()).glob(f"{prefix}*/taken"):
        with contextlib.suppress(OSError), left.open() as lock:  # in use, or another user's
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(left.parent, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=prefix) as name, (Path(name) / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        Path(lock.name).rename(Path(name) / "taken")
        yield Path(name)


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresCluster]:
    """A running cluster for the whole session; a test that crashes it starts it again."""
    binaries = _postgres_binaries()
    with _cluster_directory() as directory:
        cluster = PostgresCluster(binaries, directory)
        cluster.start()
        yield cluster
        cluster.crash()  # nobody opens it again: what is in its memory need not reach the disk


@pytest.fixture
def postgres_url(postgres: PostgresCluster) -> Iterator[str]:
    """URL of an empty PostgreSQL database, one for each test."""
    url = postgres.new_database()
    yield url
    postgres.drop_database(url)


@pytest.fixture(scope="session")
def databases(postgres: PostgresCluster) -> Databases:
    url = postgres.new_database()
    engine = make_engine(url)
    migrate(engine)
    engine.dispose()
    template = url.rpartition("/")[2]
    return Databases(lambda: postgres.new_database(template))


@pytest.fixture
def migrated_postgres(databases: Databases) -> Iterator[Callable[[], str]]:
    """Call it for the URL of a migrated PostgreSQL database without a row, another one each time."""
    taken: list[str] = []

    def take() -> str:
        taken.append(databases.take())
        return taken[-1]

    yield take
    for url in taken:
        databases.give_back(url)


@pytest.fixture
def migrated_postgres_url(migrated_postgres: Callable[[], str]) -> str:
    """One of them for each test."""
    return migrated_postgres()


@pytest.fixture(params=["sqlite", "postgresql"])
def migrated_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """URL of a migrated database."""
    if request.param == "postgresql":
        return str(request.getfixturevalue("migrated_postgres_url"))
    return migrated_file(tmp_path / "coldchain.db")
