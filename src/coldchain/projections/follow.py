"""Following the ledger: each projection with its own cursor, stored in the transaction of its rows (design §4.9)."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, Table, delete, select

from coldchain.db.bulk import fetch, put_rows
from coldchain.db.engine import writing
from coldchain.db.series_rows import loose_rows
from coldchain.db.tables import metadata
from coldchain.db.tables.cursor import cursor
from coldchain.db.tables.telemetry import series
from coldchain.services.ports import Projection
from coldchain.services.recorded import Recorded, beside_telemetry
from coldchain_ledger.errors import StoreError
from coldchain_ledger.store import Snapshot, Store

Cursors = dict[str, tuple[int, int]]
"""By projection: entries folded, and the newest ledger time it knows."""
Decode = Callable[[int, int, bytes], Recorded]
"""(log, index, entry bytes) -> the decoded entry."""
Fresh = tuple[int, int, Callable[[], Recorded]]
"""(index, bytes of its payload, what gives the entry without the store)"""

CHUNK = 2_000
"""Entries folded in one transaction at most: bounds memory."""
TURN_S = 0.25
"""How long such a transaction may take, about, since whoever records waits for it: after a longer one, as where a day
of every truck is looked at anew, the next are shorter."""
READ = 100
"""Entries read at once: a few megabytes where each is as large as it may be."""
CHUNK_EVENTS = 500
"""EPCIS events folded in one transaction, about: each takes half a millisecond, and whoever records waits for it."""
MAX_FRESH = 50_000
"""Entries kept for folding, about; those beyond are read from the store."""
MAX_FRESH_BYTES = 4_096
"""Payload of the largest of them, some hundred readings. 50,000 of 48 KiB take 4.5 GB."""


def next_most(most: int, folded: int, took_s: float) -> int:
    """Entries of the next transaction, after one of at most `most`: as many as `TURN_S` allows, and twice as many after
    one that was full and took no longer."""
    if took_s > TURN_S:
        return max(1, int(folded * TURN_S / took_s))
    return min(CHUNK, 2 * most) if folded >= most else most


class Follower:
    """Brings projections to the ledger's tip; one at a time may step it.

    A crash inside `step` rolls rows and cursor back together, so the same entries are folded again.
    """

    def __init__(
        self, engine: Engine, store: Store, projections: Sequence[Projection], decode: Decode, log: int = 1
    ) -> None:
        self._engine = engine
        self._store = store
        self._projections = tuple(projections)
        self._decode = decode
        self._log = log
        self._lock = threading.Lock()
        self._at: Cursors | None = None
        self._most = CHUNK
        self._fresh: dict[int, Callable[[], Recorded]] = {}
        self.give_way: Callable[[], object] = lambda: None
        """Called between two transactions: recording goes before deriving, where both want the same core."""
        self.ending: Callable[[], bool] = lambda: False
        """Whether to leave off, asked there as well: a server with millions of entries to fold ends all the same."""
        self.tidy: Callable[[], object] = lambda: None
        """Does everything that is put off while the ledger grows; called before derived tables are compared."""

    def offer(self, recorded: Sequence[Fresh]) -> None:
        """Entries read on the way in: a shortcut past the store, never a second truth."""
        if len(self._fresh) < MAX_FRESH:
            self._fresh.update((index, revive) for index, size, revive in recorded if size <= MAX_FRESH_BYTES)

    def cursor(self) -> int:
        """Entries folded by every projection."""
        return self.position()[0]

    def position(self) -> tuple[int, int]:
        """Entries folded by every projection, and the newest ledger time they know."""
        with self._lock:
            return min(self._cursors().values())

    def step(self, until: int | None = None) -> bool:
        """Fold one chunk for every projection that is behind; True where one was. until: entries to fold at most."""
        with self._lock:
            cursors = self._cursors()
            start = min(index for index, _ in cursors.values())
            batch = self._read(start, self._most if until is None else min(self._most, until - start))
            if not batch:
                return False
            rest = beside_telemetry(batch)
            began = time.monotonic()
            try:
                with writing(self._engine) as connection:
                    moved = {}
                    for projection in self._projections:
                        index, time_us = cursors[projection.name]
                        wanted = batch if projection.takes_telemetry else rest
                        moved[projection.name] = self._fold(connection, projection, batch, wanted, index, time_us)
                    self._advance(connection, cursors, moved)
            except BaseException:
                self._forget()
                raise
            self._at = moved
            self._most = next_most(self._most, len(batch), time.monotonic() - began)
            return True

    def catch_up(self, until: int | None = None) -> bool:
        """Every entry committed before the call is folded, of those the first `until`; False where it left off."""
        while self.step(until):
            self.give_way()
            if self.ending():
                return False
        return True

    def _fold(
        self,
        connection: Connection,
        projection: Projection,
        batch: Sequence[Recorded],
        wanted: Sequence[Recorded],
        index: int,
        time_us: int,
    ) -> tuple[int, int]:
        newest = batch[-1]
        if newest.index < index:
            return index, time_us
        if batch[0].index < index:
            wanted = [item for item in wanted if item.index >= index]
        time_us = max(time_us, newest.entry.at_us)
        projection.apply(connection, wanted, time_us)
        return newest.index + 1, time_us

    def _advance(self, connection: Connection, before: Cursors, after: Cursors) -> None:
        """Move the cursors from where we believe them. Raises StoreError where one stands elsewhere: another process
        folded, or made the tables anew (another version's `migrate`), and rows folded here would leave a hole."""
        stored = self._stored(connection)
        for name, (index, _) in before.items():
            known, _ = stored.get(name, (0, 0))
            if known != index:
                raise StoreError(f"projection {name} stands at entry {known}, not at {index}: somebody else moved it")
        rows = [(name, self._log, *place) for name, place in after.items() if place != before[name]]
        put_rows(connection, cursor, rows)

    def _read(self, start: int, most: int) -> list[Recorded]:
        """The next entries, at most so many. Those decoded on the way in come alone, as what stands behind them may be
        offered next."""
        batch: list[Recorded] = []
        events = 0
        while (
            len(batch) < most
            and events < CHUNK_EVENTS
            and (revive := self._fresh.pop(start + len(batch), None)) is not None
        ):
            batch.append(revive())
            events += len(batch[-1].events)
        if batch:
            return batch
        with self._store.snapshot() as snapshot:
            edge = snapshot.edge()
            stop = min(edge.size if edge else 0, start + most)
            stop = next((index for index in range(start, stop) if index in self._fresh), stop)
            batch = self._decoded(snapshot, start, stop)
        for stale in [index for index in list(self._fresh) if index < start] if len(self._fresh) > CHUNK else ():
            del self._fresh[stale]
        return batch

    def _decoded(self, snapshot: Snapshot, start: int, stop: int) -> list[Recorded]:
        batch: list[Recorded] = []
        events = 0
        for first in range(start, stop, READ):
            for data in snapshot.entries(first, min(first + READ, stop)):
                batch.append(self._decode(self._log, start + len(batch), data))
                events += len(batch[-1].events)
                if events >= CHUNK_EVENTS:
                    return batch
        return batch

    def _cursors(self) -> Cursors:
        if self._at is None:
            with self._engine.connect() as connection:
                stored = self._stored(connection)
            self._at = {projection.name: stored.get(projection.name, (0, 0)) for projection in self._projections}
        return self._at

    def _stored(self, connection: Connection) -> Cursors:
        query = "SELECT projection, next_index, ledger_time_us FROM cursor WHERE log = ?"
        return {name: (index, time_us) for name, index, time_us in fetch(connection, query, self._log)}

    def _forget(self) -> None:
        self._at = None
        self._fresh.clear()
        for projection in self._projections:
            projection.reset()

    def rebuild(self) -> dict[str, TableDigest]:
        """Drop every derived row and fold the whole ledger again. Nothing is appended to the ledger."""
        self.catch_up()
        self.tidy()
        tables = self.tables()
        before = digests(self._engine, tables)
        with self._lock:
            with writing(self._engine) as connection:
                for table in tables:
                    connection.execute(delete(table))
                connection.execute(delete(cursor).where(cursor.c.log == self._log))
            self._forget()
        self.catch_up()
        self.tidy()
        after = digests(self._engine, tables)
        return {name: TableDigest(before[name], after[name]) for name in before}

    def tables(self) -> list[Table]:
        """Every derived table, each once, by name."""
        names = sorted({name for projection in self._projections for name in projection.tables})
        return [metadata.tables[name] for name in names]


@dataclass(frozen=True, slots=True)
class TableDigest:
    """SHA-256 over a table's rows before and after a rebuild, hex."""

    before: str
    after: str


def digests(engine: Engine, tables: Sequence[Table], *, facts_only: bool = False) -> dict[str, str]:
    """SHA-256 of each table's rows sorted by every column; with facts_only, provenance columns are left out. Rows of
    `series` count wherever they lie; tables that only say how and where are not listed."""
    compared = [table for table in tables if table.info.get("facts", True)]
    with engine.connect() as connection:
        return {table.name: _digest(_rows(connection, table, facts_only)) for table in compared}


def _rows(connection: Connection, table: Table, facts_only: bool) -> Iterator[tuple[Any, ...]]:
    wanted = [n for n, column in enumerate(table.columns) if not (facts_only and column.info.get("provenance"))]
    rows = loose_rows(connection) if table.name == series.name else connection.execute(select(table)).all()
    return iter(sorted((tuple(_plain(row[n]) for n in wanted) for row in rows), key=repr))


def _plain(value: Any) -> Any:
    return bytes(value) if isinstance(value, memoryview) else value


def _digest(rows: Iterator[tuple[Any, ...]]) -> str:
    digest = hashlib.sha256()
    for row in rows:
        digest.update(repr(row).encode())
        digest.update(b"\n")
    return digest.hexdigest()
