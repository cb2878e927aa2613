"""Connections that keep what the ledger promises: durable commits, one writer, readers that never wait for it."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.exc import TimeoutError as WaitedTooLong

WAIT_S = 30
"""How long a writer waits for the one before it; a batch takes milliseconds, so longer means something hangs."""
MAX_REQUESTS = 40
"""Threads that serve requests; each may hold a connection, and none of them one that recording needs."""

_SQLITE_PRAGMAS = (
    "page_size = 8192",
    "journal_mode = wal",
    "synchronous = full",  # in WAL mode anything less loses the last commits with the power
    "foreign_keys = on",
    "recursive_triggers = on",  # else INSERT OR REPLACE deletes behind the append-only triggers' back
    "cache_size = -65536",  # KiB
    "wal_autocheckpoint = 4000",  # pages, 32 MB: pages hit by many batches are written back once
    "journal_size_limit = 67108864",  # what a long reader made the log grow to is given back after it
)
_AGAIN_S = 0.01
_BEGIN = "coldchain_begin"
_TURN = "coldchain_turn"


def make_engine(url: str) -> Engine:
    """An engine for `sqlite:///file` or `postgresql://…` whose commits are on disk when they return.

    Plain transactions are for reading. Whatever reads and then writes uses `writing`: on SQLite a transaction that
    began as a reader cannot become the writer once somebody else has committed. Raises ArgumentError for a database of
    another make.
    """
    parsed = make_url(url)
    match parsed.get_backend_name():
        case "sqlite":
            return _sqlite(parsed)
        case "postgresql" | "postgres":
            return _postgres(parsed)
    raise ArgumentError(f"database {parsed.get_backend_name()!r}: expected sqlite or postgresql")


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A transaction that may write: commits when left without an exception, else rolls back.

    On SQLite it is the only one from the start. Threads of this process queue on a lock, because SQLite's own waiting
    is by sleeping ever longer. Raises sqlalchemy's TimeoutError after WAIT_S.
    """
    turn = engine.get_execution_options().get(_TURN)
    if turn is not None and not turn.acquire(timeout=WAIT_S):
        raise WaitedTooLong(f"waited {WAIT_S} s for another writer in this process")
    try:
        with engine.connect().execution_options(**{_BEGIN: "BEGIN IMMEDIATE"}) as connection, connection.begin():
            yield connection
    finally:
        if turn is not None:
            turn.release()


def _sqlite(url: URL) -> Engine:
    if url.database in (None, "", ":memory:"):
        raise ArgumentError("SQLite in memory keeps nothing: expected sqlite:///path/to/file")
    engine = create_engine(
        url,
        # None: the driver starts no transaction of its own accord; `_begin` does.
        connect_args={"isolation_level": None, "timeout": WAIT_S, "cached_statements": 512},
        execution_options={_TURN: Lock()},
        pool_size=5,
        max_overflow=MAX_REQUESTS,
    )
    event.listen(engine, "connect", _set_pragmas)
    event.listen(engine, "begin", _begin)
    return engine


def _set_pragmas(connection: sqlite3.Connection, _record: Any) -> None:
    """Several that open a new file at once get in each other's way: SQLite does not wait for whoever turns WAL on."""
    deadline = time.monotonic() + WAIT_S
    for pragma in _SQLITE_PRAGMAS:
        while not _set(connection, pragma):
            if time.monotonic() > deadline:
                raise WaitedTooLong(f"waited {WAIT_S} s for others that open the database")
            time.sleep(_AGAIN_S)


def _set(connection: sqlite3.Connection, pragma: str) -> bool:
    """False where another connection is in the way."""
    try:
        connection.execute(f"PRAGMA {pragma}")
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_BUSY:
            raise
        return False
    return True


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options().get(_BEGIN, "BEGIN"))


def _postgres(url: URL) -> Engine:
    # A plan made while a table was empty scans all of it; kept with a prepared statement it would do so for days.
    options = f"-c synchronous_commit=on -c lock_timeout={WAIT_S}s -c plan_cache_mode=force_custom_plan"
    return create_engine(
        url.set(drivername="postgresql+psycopg"),
        connect_args={"options": options, "connect_timeout": 10},
        pool_pre_ping=True,  # a database that restarted costs nobody an error
        pool_size=5,
        max_overflow=MAX_REQUESTS,
    )
