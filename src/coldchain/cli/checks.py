"""What `coldchain doctor` checks, each on its own: nothing is created, migrated or written but the lock file."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.error import HTTPError
from urllib.request import ProxyHandler, build_opener

from sqlalchemy import Engine
from sqlalchemy.exc import DatabaseError, OperationalError

from coldchain.bootstrap.brokers import Address, Brokers, parse_address, running_server
from coldchain.bootstrap.core import wall_clock
from coldchain.bootstrap.locks import is_locked
from coldchain.bootstrap.secrets import SetupError, log_signer, operator_token
from coldchain.bootstrap.versions import interpreter
from coldchain.db.engine import make_engine
from coldchain.db.ledger_store import SqlStore
from coldchain.db.migrate import NO_TABLES, differences, opens_by_itself
from coldchain.db.queries_api import ledger_state
from coldchain.mqtt.embedded import program
from coldchain.mqtt.errors import BrokerError
from coldchain.settings import Settings
from coldchain_ledger.errors import LedgerError
from coldchain_ledger.log import Log

State = Literal["ok", "broken", "unchecked"]

PYTHON = (3, 11)
FREE_BYTES = 2**30
"""Least room for a ledger to grow: a million messages with their tables."""
ANSWER_S = 5.0
_DIRECT = build_opener(ProxyHandler({}))
"""For our own server, which no proxy stands before."""


class Wrong(Exception):
    """What was checked is not as it must be; the text says what to do."""


class NotChecked(Exception):
    """The check could not be made; the text says what was in the way."""


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the report."""

    name: str
    state: State
    detail: str


def examine(settings: Settings) -> list[Check]:
    """Every check, in the order in which a start needs what they look at."""
    checks: dict[str, Callable[[Settings], str]] = {
        "python": _python,
        "directory": _directory,
        "database": _database,
        "ledger": _ledger,
        "projections": _projections,
        "broker": _broker,
        "server": _server,
        "disk": _disk,
    }
    return [_run(name, check, settings) for name, check in checks.items()]


def _run(name: str, check: Callable[[Settings], str], settings: Settings) -> Check:
    try:
        return Check(name, "ok", check(settings))
    except (NotChecked, OperationalError, OSError) as error:
        return Check(name, "unchecked", _first_line(error))
    except (Wrong, SetupError, LedgerError, BrokerError, DatabaseError) as error:
        return Check(name, "broken", _first_line(error))


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]


def _python(_: Settings) -> str:
    if sys.version_info < PYTHON:
        raise Wrong(f"{interpreter()} is too old: 3.11 or newer is needed")
    return interpreter()


def _directory(settings: Settings) -> str:
    """Writable, and its secrets there and readable by their owner alone."""
    directory, secrets = settings.dir, settings.dir / "secrets"
    if not secrets.is_dir():
        raise Wrong(f"{directory} is no data directory: `coldchain migrate --dir {directory}` makes one")
    if mode := secrets.stat().st_mode & 0o077:
        raise Wrong(f"{secrets} is open to others (mode {mode:03o} of them): chmod 700 {secrets}")
    log_signer(secrets, settings.log_origin, create=False)
    operator_token(secrets, create=False)
    if not os.access(directory, os.W_OK | os.X_OK):
        raise Wrong(f"{directory} cannot be written by this user")
    return f"{directory}, secrets readable by their owner alone"


def _database(settings: Settings) -> str:
    with _engine(settings) as engine:
        different = differences(engine)
        if not different:
            return f"{engine.dialect.name} answers, at this version's schema"
        if opens_by_itself(engine):
            if is_locked(settings.dir / "server.lock"):
                raise Wrong(f"{different}: who works on it is of that version; stop it before you use this one")
            return f"{engine.dialect.name} answers; {different}: the next command or server brings it to this version's"
        if different == NO_TABLES:
            raise Wrong(f"{different}: `coldchain migrate` makes them, for a ledger that begins empty")
        raise Wrong(f"{different}: it was made by a newer version, which alone can open it")


def _ledger(settings: Settings) -> str:
    """Opens as a server would open it: this key, this clock, edge and checkpoint that agree (ledger §3.6)."""
    with _current(settings) as engine:
        signer = log_signer(settings.dir / "secrets", settings.log_origin, create=False)
        log = Log(SqlStore(engine), [signer], wall_clock)
        return (
            f"{log.origin} can go on at {log.edge().size} entries: checkpoint of this key, right edge, newest entry and"
            " clock agree; the other entries were not read (`coldchain fsck` does)"
        )


def _projections(settings: Settings) -> str:
    with _current(settings) as engine:
        state = ledger_state(engine, SqlStore(engine), 1)
    if state.lag:
        return f"{state.lag} of {state.size} entries not folded yet: the server or the next command does it"
    return f"at the tip, {state.folded} entries; whether right, `coldchain rebuild --check` tells"


def _broker(settings: Settings) -> str:
    """The embedded broker's program runs, or the external one answers and its account files can be written."""
    if "://" not in settings.mqtt:
        path = program()
        done = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=ANSWER_S)
        if done.returncode != 0:
            raise Wrong(f"{path} does not run: {done.stderr.strip()}")
        return done.stdout.strip()
    folder = settings.mosquitto_password_file.parent if settings.mosquitto_password_file else None
    if folder is not None and not os.access(folder, os.W_OK | os.X_OK):
        raise Wrong(f"{folder}: account files cannot be written there by this user")
    address = Brokers(settings, make_engine(settings.database_url)).address()
    assert address is not None, "an external broker always has one"
    try:
        socket.create_connection(address, ANSWER_S).close()
    except OSError as error:
        raise NotChecked(f"{settings.mqtt} does not answer: {error.strerror}") from error
    return f"{settings.mqtt} answers" + ("" if folder else "; its accounts are yours to make")


def _server(settings: Settings) -> str:
    """The running server's own word, or the ports it would need."""
    note = running_server(settings.dir)
    if note is not None:
        _ask_health(note["http"])
        return f"runs at {note['http']}, broker {note.get('mqtt', 'none')}"
    _bind(parse_address(settings.http, "COLDCHAIN_HTTP"), "http")
    if "://" not in settings.mqtt:
        _bind(parse_address(settings.mqtt, "COLDCHAIN_MQTT"), "mqtt")
        return f"none runs; ports free: http {settings.http}, mqtt {settings.mqtt}"
    return f"none runs; port free: http {settings.http}"


def _ask_health(url: str) -> None:
    try:
        _DIRECT.open(f"{url}/healthz", timeout=ANSWER_S).close()
    except HTTPError as error:
        problem: dict[str, Any] = json.loads(error.read() or b"{}")
        raise Wrong(f"{url} is not well: {problem.get('detail', error)}") from error
    except OSError as error:
        raise Wrong(f"{url} does not answer: {error}") from error


def _bind(address: Address, what: str) -> None:
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(address)
            listener.listen()
        except OSError as error:
            raise Wrong(f"{what} cannot listen on {address[0]}:{address[1]}: {error.strerror}") from error


def _disk(settings: Settings) -> str:
    if not settings.dir.is_dir():
        raise NotChecked(f"there is no {settings.dir}")
    free = shutil.disk_usage(settings.dir).free
    detail = f"{free / 2**30:.1f} GiB free"
    if free < FREE_BYTES:
        raise Wrong(f"{detail}, at least {FREE_BYTES / 2**30:.0f} GiB wanted")
    return detail


@contextmanager
def _engine(settings: Settings) -> Iterator[Engine]:
    """The database, if it is there: connecting to a SQLite file that is not would create it."""
    engine = make_engine(settings.database_url)
    try:
        if engine.dialect.name == "sqlite" and not Path(str(engine.url.database)).exists():
            raise NotChecked(f"there is no {engine.url.database}")
        yield engine
    finally:
        engine.dispose()


@contextmanager
def _current(settings: Settings) -> Iterator[Engine]:
    """The database at this version's schema, and a data directory it belongs to."""
    if not (settings.dir / "secrets").is_dir():
        raise NotChecked(f"{settings.dir} is no data directory")
    with _engine(settings) as engine:
        if different := differences(engine):
            raise NotChecked(f"the database has {different}; looked into once it is of this version")
        yield engine
