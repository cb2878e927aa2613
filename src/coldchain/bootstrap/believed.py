"""What was believed when the ledger had N entries: the projections of exactly those entries, folded anew aside.

Nothing of the present leaks into the past: a scratch database of its own, the same projections, the first N entries.
"""

from __future__ import annotations

import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, event

from coldchain.db.engine import make_engine
from coldchain.db.ledger_store import SqlStore
from coldchain.db.tables import all_tables, metadata
from coldchain.decoders.recorded import decode_recorded
from coldchain.projections import all_projections
from coldchain.projections.follow import Follower
from coldchain.services.identity import CommandRefused

KEPT = 2
"""Scratch databases kept: looking at one size after another forwards folds each entry once."""
MOST_IN_A_REQUEST = 20_000
"""Entries folded for one request over HTTP, some five seconds of one core; beyond, `coldchain inspect --as-of` has the
time."""
LARGEST_IN_A_REQUEST = 200_000
"""Entries whose projections a request may keep in a scratch database, about as many kB on the disk."""
WAIT_S = 10
"""How long a request waits for the one before it."""
WAITING = 2
"""Requests that may wait: each takes a thread, and the server has few."""


_BUSY = "others are asking what was believed earlier, one at a time; try again in a minute"


class Busy(Exception):
    """Others are asking about the past; the text says to come again."""


@dataclass
class _Scratch:
    folder: Path
    engine: Engine
    follower: Follower
    size: int = 0

    def close(self) -> None:
        self.engine.dispose()
        shutil.rmtree(self.folder, ignore_errors=True)


class Believed:
    """Scratch databases of earlier sizes of the ledger. One caller at a time; the last ones are kept until `close`."""

    def __init__(self, store: SqlStore) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._places = threading.BoundedSemaphore(1 + WAITING)
        self._kept: list[_Scratch] = []

    @contextmanager
    def at(self, size: int, most: int | None = None) -> Iterator[Connection]:
        """The projections of the first `size` entries. most: entries that may be folded for it, None for any number.

        Raises CommandRefused where the ledger never had that size or it takes more, Busy where others ask too long.
        """
        with self._store.snapshot() as snapshot:
            edge = snapshot.edge()
        if not 1 <= size <= (edge.size if edge else 0):
            raise CommandRefused(f"as of {size} entries: expected 1 to {edge.size if edge else 0}, what the ledger has")
        with self._turn(patient=most is None), self._brought_to(size, most).engine.connect() as connection:
            yield connection

    @contextmanager
    def _turn(self, patient: bool) -> Iterator[None]:
        if not self._places.acquire(blocking=patient):
            raise Busy(_BUSY)
        try:
            if not self._lock.acquire(timeout=-1 if patient else WAIT_S):
                raise Busy(_BUSY)
            try:
                yield
            finally:
                self._lock.release()
        finally:
            self._places.release()

    def close(self) -> None:
        while self._kept:
            self._kept.pop().close()

    def _brought_to(self, size: int, most: int | None) -> _Scratch:
        """The newest scratch that is not past the size, folded on; else a fresh one in place of the oldest."""
        earlier = [one for one in self._kept if one.size <= size]
        found = max(earlier, key=lambda one: one.size, default=None)
        ahead = size - (found.size if found else 0)
        if most is not None and (ahead > most or size > LARGEST_IN_A_REQUEST):
            raise CommandRefused(
                f"as of {size} entries: {ahead} would have to be folded anew, at most {most} are for one request, and"
                f" {LARGEST_IN_A_REQUEST} in all; `coldchain inspect --as-of {size}` on the server folds any number"
            )
        if found is None:
            while len(self._kept) >= KEPT:
                self._kept.pop(0).close()
            found = _scratch(self._store)
        else:
            self._kept.remove(found)
        try:
            found.follower.catch_up(size)
            found.size = size
        except BaseException:
            found.close()
            raise
        self._kept.append(found)
        return found


def _scratch(store: SqlStore) -> _Scratch:
    """An empty one. A crash leaves the folder to whoever cleans the system's temporary files."""
    folder = Path(tempfile.mkdtemp(prefix="coldchain-as-of-"))
    try:
        engine = scratch_engine(folder)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return _Scratch(folder, engine, Follower(engine, store, all_projections(), decode_recorded))


def scratch_engine(folder: Path) -> Engine:
    """An empty database with every table, for a while."""
    engine = make_engine(f"sqlite:///{folder / 'scratch.db'}")
    event.listen(engine, "connect", _hurry)
    all_tables()
    metadata.create_all(engine)
    return engine


def _hurry(connection: Any, _record: Any) -> None:
    """Nothing here has to survive anything."""
    connection.execute("PRAGMA synchronous = off")
