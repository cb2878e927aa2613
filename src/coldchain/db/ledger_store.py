"""The ledger's store on SQLite and PostgreSQL; what it promises stands in `coldchain_ledger.store`."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from coldchain.db import bundles
from coldchain.db.bulk import fetch, stream
from coldchain.db.engine import writing
from coldchain.db.ledger_sql import LedgerSql, sql_for
from coldchain_ledger.errors import StoreError
from coldchain_ledger.merkle import leaf_hash
from coldchain_ledger.rows import Row
from coldchain_ledger.store import Edge, Head, Snapshot, Store, Transaction
from coldchain_ledger.tiles import TILE_WIDTH

_CHUNK = 1000
"""Rows read at a time where the result may be the whole ledger."""
_SHELF_EVERY = 16_384
"""Entries between two moves of their keys from `recent_key` to `entry_key`; one move takes some 60 ms on SQLite."""


class SqlStore(Store):
    """One log in a database that `coldchain.db.migrate.migrate` has prepared.

    Every database error comes out as StoreError from it; after one, the store works as soon as the database does.
    """

    def __init__(self, engine: Engine, log: int = 1) -> None:
        self._engine = engine
        self._sql = sql_for(engine)
        self.log = log
        self._moved = 0
        """Bundles known to be compressed; PostgreSQL would go through their dead rows each time."""

    @contextmanager
    def snapshot(self) -> Iterator[SqlSnapshot]:
        with self._store_errors(), self._engine.connect() as connection:
            self._sql.begin_snapshot(connection)
            yield SqlSnapshot(connection, self._sql, self.log)

    @contextmanager
    def transaction(self) -> Iterator[SqlTransaction]:
        with self._store_errors(), writing(self._engine) as connection:
            self._sql.exclude_writers(connection, self.log)
            transaction = SqlTransaction(connection, self._sql, self.log)
            yield transaction
            transaction.check_chains()
            # A crash here leaves nothing; a crash after the commit that follows leaves all of it.

    def compact(self) -> bool:
        with self.snapshot() as view:
            n = view.next_bundle(self._moved)
            if n is None:
                return False
            entries = list(view.entries(n * TILE_WIDTH, (n + 1) * TILE_WIDTH))
        packed = bundles.pack(entries)  # beside the writers
        with self.transaction() as transaction:
            if transaction.next_bundle(n) == n:  # else another process was faster
                transaction.move(n, packed)
        self._moved = n + 1
        return True

    @contextmanager
    def _store_errors(self) -> Iterator[None]:
        try:
            yield
        except (SQLAlchemyError, self._engine.dialect.loaded_dbapi.Error) as error:
            raise StoreError(f"log {self.log}: {str(getattr(error, 'orig', None) or error).strip()}") from error


class SqlSnapshot(Snapshot):
    """One committed state, read within one database transaction."""

    def __init__(self, connection: Connection, sql: LedgerSql, log: int) -> None:
        self.connection = connection
        """Reads through it see the same state."""
        self._sql = sql
        self._log = log
        # The first read fixes the state this view shows, so it comes before the caller's first question.
        self._edge = self._read_edge()
        self._unpacked = bundles.Unpacked(self._packed)

    def edge(self) -> Edge | None:
        return self._edge

    def entry(self, index: int) -> bytes:
        found = self._one(f"SELECT {self._sql.octets('data')} FROM entry WHERE log = ? AND idx = ?", index)  # noqa: S608 (columns of ours)
        return self._bundled(index) if found is None else bytes(found[0])

    def entries(self, start: int, stop: int) -> Iterator[bytes]:
        data = self._sql.octets("data")
        query = f"SELECT idx, {data} FROM entry WHERE log = ? AND idx >= ? AND idx < ? ORDER BY idx"  # noqa: S608 (columns of ours)
        for first in range(start, stop, _CHUNK):
            last = min(first + _CHUNK, stop)
            rows = self._all(query, first, last)
            if [index for index, _ in rows] == list(range(first, last)):
                yield from [data for _, data in rows]
            else:
                held = {row[0]: row[1] for row in rows}
                yield from (held[index] if index in held else self._bundled(index) for index in range(first, last))

    def tile(self, level: int, n: int) -> bytes:
        hashes = self._sql.octets("hashes")
        found = self._one(f"SELECT {hashes} FROM tile WHERE log = ? AND level = ? AND n = ?", level, n)  # noqa: S608 (columns of ours)
        if found is None:
            raise StoreError(f"no tile {level}/{n} in log {self._log}")
        return bytes(found[0])

    def heads(self, names: Collection[str]) -> dict[str, Head]:
        return {name: head for name, (_, head) in self._read_subjects(names).items()}

    def all_heads(self) -> Iterator[tuple[str, Head]]:
        name, digest = self._sql.octets("name"), self._sql.octets("digest")
        query = f"SELECT no, {name}, count, last, {digest} FROM subject WHERE log = ? AND no > ? ORDER BY no LIMIT ?"  # noqa: S608 (columns of ours)
        number = 0
        while rows := self._all(query, number, _CHUNK):
            for number, name, count, last, digest in rows:  # noqa: B007 (the next chunk starts after the last number)
                yield _text(name), Head(_number(count), _number(last), digest)

    def find(self, keys: Collection[str]) -> dict[str, int]:
        found: dict[str, int] = {}
        for table in self._sql.key_tables:
            found.update(self._sql.matching(self.connection, table, ("key", "idx"), self._log, keys))
        return found

    def all_keys(self, stop: int) -> Iterator[tuple[str, int]]:
        for table in self._sql.key_tables:
            query = f"SELECT key, idx FROM {table} WHERE log = ? AND idx < ? AND {self._sql.is_text('key')}"  # noqa: S608 (names of ours)
            yield from stream(self.connection, query, self._log, stop)

    def indices(self, subject: str, start: int = 0, stop: int | None = None) -> list[int]:
        """Walks the chain back from its head, so it takes as long as there are entries from `start` to now.

        A link that does not lead back is the end of it: an edited one makes no circle.
        """
        tip = self._tip(subject)
        if tip is None:
            return []
        number, last = tip
        # A sub-select, not a join: PostgreSQL may plan a join of one row as a scan of the whole table.
        walk = """
            WITH RECURSIVE chain(idx) AS (
                SELECT CAST(? AS BIGINT)
                UNION ALL
                SELECT (SELECT prev FROM subject_entry AS link
                        WHERE link.log = ? AND link.idx = chain.idx AND link.subject = ? AND link.prev < link.idx)
                FROM chain WHERE idx >= ?
            )
            SELECT idx FROM chain WHERE idx >= ?"""
        rows = fetch(self.connection, walk, last, self._log, number, start, start)
        return [index for (index,) in reversed(rows) if stop is None or index < stop]

    def blob(self, sha256: bytes) -> bytes | None:
        query = f"SELECT {self._sql.octets('data')} FROM blob WHERE sha256 = ?"  # noqa: S608 (columns of ours)
        found = self._sql.query(self.connection, query, (sha256,)).fetchone()
        return None if found is None else bytes(found[0])

    def next_bundle(self, first: int) -> int | None:
        """The first bundle, `first` or later, not moved yet; where it is full and no longer among the newest."""
        found = self._one("SELECT min(idx) FROM entry WHERE log = ? AND idx >= ?", first * TILE_WIDTH)
        if found is None or self._edge is None or _number(found[0]) < 0:
            return None
        n = _number(found[0]) // TILE_WIDTH
        return n if (n + 1) * TILE_WIDTH + bundles.BEHIND <= self._edge.size else None

    def _bundled(self, index: int) -> bytes:
        data = self._unpacked.entry(_number(index))
        if data is None:
            raise StoreError(f"no entry {index} in log {self._log}")
        return data

    def _packed(self, n: int) -> bytes | None:
        if not self._sql.has_bundles(self.connection):
            return None
        found = self._one(f"SELECT {self._sql.octets('data')} FROM bundle WHERE log = ? AND n = ?", n)  # noqa: S608 (columns of ours)
        return None if found is None else bytes(found[0])

    def _one(self, query: str, *values: Any) -> Sequence[Any] | None:
        return self._sql.query(self.connection, query, (self._log, *values)).fetchone()

    def _all(self, query: str, *values: Any) -> Sequence[Sequence[Any]]:
        return fetch(self.connection, query, self._log, *values)

    def _read_edge(self) -> Edge | None:
        root, note = self._sql.octets("root"), self._sql.octets("note")
        found = self._one(f"SELECT size, {root}, at_us, {note} FROM edge WHERE log = ?")  # noqa: S608 (columns of ours)
        return None if found is None else Edge(_number(found[0]), found[1], _number(found[2]), found[3])

    def _read_subjects(self, names: Collection[str]) -> dict[str, tuple[int, Head]]:
        columns = ("name", "no", "count", "last", self._sql.octets("digest"))
        rows = self._sql.matching(self.connection, "subject", columns, self._log, names)
        return {
            name: (number, Head(_number(count), _number(last), digest)) for name, number, count, last, digest in rows
        }

    def _tip(self, subject: str) -> tuple[int, int] | None:
        """The subject's number and the newest entry naming it."""
        known = self._read_subjects([subject]).get(subject)
        return None if known is None else (known[0], known[1].last)


def _number(value: Any) -> int:
    """A stored count or index; -1, which is none, where somebody made it something else than a number."""
    return value if isinstance(value, int) else -1


def _text(value: str | bytes) -> str:
    """A stored name; one that is no text any more is no name that an entry could have."""
    return value if isinstance(value, str) else bytes(value).decode(errors="backslashreplace")


@dataclass(slots=True)
class _Chain:
    """A subject as this transaction knows it."""

    number: int
    head: Head | None
    """As stored, own writes included; None for a name the ledger has not seen before."""
    tip: int | None
    """The newest entry naming it, own entries included."""


class SqlTransaction(SqlSnapshot, Transaction):
    """The one writer of its log. Side tables are written in the same transaction through `connection`."""

    def __init__(self, connection: Connection, sql: LedgerSql, log: int) -> None:
        super().__init__(connection, sql, log)
        self._chains: dict[str, _Chain] = {}
        self._next_index: int | None = None
        self._next_number: int | None = None
        self._free_keys: set[str] = set()
        """Keys known to be on no entry before this transaction."""

    def append(self, rows: Sequence[Row]) -> None:
        """Each subject's head must be put in the same transaction; leaving it checks that."""
        if not rows:
            return
        self._take_indices(rows)
        self._load(name for row in rows for name in row.subjects)
        self._check_keys(rows)
        log, insert = self._log, self._sql.insert
        insert(self.connection, "entry", ("log", "idx", "data"), [(log, row.index, row.data) for row in rows])
        newest = self._sql.key_tables[0]
        insert(self.connection, newest, ("log", "key", "idx"), [(log, row.key, row.index) for row in rows])
        insert(self.connection, "subject_entry", ("log", "idx", "subject", "prev"), self._links(rows))
        if newest != "entry_key" and rows[0].index // _SHELF_EVERY != (rows[-1].index + 1) // _SHELF_EVERY:
            self._shelve_keys()

    def put_tiles(self, tiles: Mapping[tuple[int, int], bytes]) -> None:
        rows = [(self._log, level, n, hashes) for (level, n), hashes in tiles.items()]
        self._sql.upsert(self.connection, "tile", ("log", "level", "n"), ("hashes",), rows)

    def put_heads(self, heads: Mapping[str, Head]) -> None:
        self._load(heads)
        new: list[tuple[Any, ...]] = []
        known: list[tuple[Any, ...]] = []
        for name, head in heads.items():
            chain = self._chains[name]
            if chain.head is not None and head.count < chain.head.count:
                raise StoreError(f"head of {name} would fall from {chain.head.count} to {head.count} entries")
            row = (self._log, chain.number, name, head.count, head.last, head.digest)
            (new if chain.head is None else known).append(row)
            chain.head = head
        self._sql.insert(self.connection, "subject", ("log", "no", "name", "count", "last", "digest"), new)
        self._sql.advance_heads(self.connection, known)

    def put_edge(self, edge: Edge) -> None:
        if self._edge is not None and edge.size < self._edge.size:
            raise StoreError(f"edge would fall from size {self._edge.size} to {edge.size}")
        row = (self._log, edge.size, edge.root, edge.at_us, edge.note)
        self._sql.upsert(self.connection, "edge", ("log",), ("size", "root", "at_us", "note"), [row])
        self._edge = edge

    def put_blob(self, sha256: bytes, data: bytes) -> None:
        if hashlib.sha256(data).digest() != sha256:
            raise StoreError(f"blob hashes to {hashlib.sha256(data).hexdigest()} != {sha256.hex()}")
        self._sql.query(
            self.connection, "INSERT INTO blob (sha256, data) VALUES (?, ?) ON CONFLICT DO NOTHING", (sha256, data)
        )

    def move(self, n: int, packed: bytes) -> None:
        """The entries of bundle n are kept as these bytes, from which they come back as they were signed.

        Raises StoreError, before a row goes, where the bytes that are now stored do not give the leaves of the tile.
        """
        self._sql.insert(self.connection, "bundle", ("log", "n", "data"), [(self._log, n, packed)])
        leaves = [leaf_hash(entry) for entry in self._unpacked.entries(n)]
        tile, first = self.tile(0, n), n * TILE_WIDTH
        if b"".join(leaves) != tile:
            place = next((at for at, leaf in enumerate(leaves) if leaf != tile[at * 32 : at * 32 + 32]), len(leaves))
            raise StoreError(f"entry {first + place} is not the one hashed in tile 0/{n}: bundle {n} is not compressed")
        query = "DELETE FROM entry WHERE log = ? AND idx >= ? AND idx < ?"
        gone = self._sql.query(self.connection, query, (self._log, first, first + TILE_WIDTH)).rowcount
        if gone != TILE_WIDTH:
            raise StoreError(f"bundle {n} of log {self._log} takes {gone} rows, expected {TILE_WIDTH}")
        # A crash here leaves the rows; after the commit that follows, the bundle.

    def check_chains(self) -> None:
        """Every head is the head of exactly the entries linked under it, or the transaction must not commit."""
        for name, chain in self._chains.items():
            stated = None if chain.head is None else chain.head.last
            if chain.tip != stated:
                raise StoreError(f"head of {name} ends at entry {stated}, its newest entry is {chain.tip}")

    def find(self, keys: Collection[str]) -> dict[str, int]:
        found = super().find(keys)
        self._free_keys.update(keys)
        self._free_keys.difference_update(found)
        return found

    def heads(self, names: Collection[str]) -> dict[str, Head]:
        self._load(names)
        return {name: head for name in names if (head := self._chains[name].head) is not None}

    def _tip(self, subject: str) -> tuple[int, int] | None:
        self._load([subject])
        chain = self._chains[subject]
        return None if chain.tip is None else (chain.number, chain.tip)

    def _take_indices(self, rows: Sequence[Row]) -> None:
        if self._next_index is None:
            newest = self._newest("SELECT max(idx) FROM entry WHERE log = ?")
            if newest is None and self._sql.has_bundles(self.connection):  # the log begins, or all of it is in bundles
                newest = self._newest("SELECT max(n) * 256 + 255 FROM bundle WHERE log = ?")
            self._next_index = 0 if newest is None else _number(newest) + 1
        for expected, row in enumerate(rows, self._next_index):
            if row.index != expected:
                raise StoreError(f"entry index {row.index} is not the next one, {expected}")
        self._next_index += len(rows)

    def _newest(self, query: str) -> Any:
        found = self._one(query)
        return None if found is None else found[0]

    def _check_keys(self, rows: Sequence[Row]) -> None:
        """The table that takes new keys may not know the old ones. A log has just asked for all of them (`find`)."""
        taken = self.find({row.key for row in rows}.difference(self._free_keys))
        if taken:
            key, index = next(iter(taken.items()))
            raise StoreError(f"key {key!r} is taken by entry {index}")

    def _shelve_keys(self) -> None:
        for statement in (
            "INSERT INTO entry_key (log, key, idx) SELECT log, key, idx FROM recent_key WHERE log = ? ORDER BY key",
            "DELETE FROM recent_key WHERE log = ?",
        ):
            self._sql.query(self.connection, statement, (self._log,))

    def _load(self, names: Iterable[str]) -> None:
        """Read the chains not read yet, in one query, and number the names the ledger has not seen."""
        unread = set(names).difference(self._chains)
        if not unread:
            return
        known = self._read_subjects(unread)
        for name, (number, head) in known.items():
            self._chains[name] = _Chain(number, head, head.last)
        for name in sorted(unread.difference(known)):
            self._chains[name] = _Chain(self._take_number(), None, None)

    def _take_number(self) -> int:
        if self._next_number is None:
            found = self._one("SELECT max(no) FROM subject WHERE log = ?")
            self._next_number = 1 if found is None or found[0] is None else found[0] + 1
        self._next_number += 1
        return self._next_number - 1

    def _links(self, rows: Sequence[Row]) -> list[tuple[int, int, int, int | None]]:
        links = []
        for row in rows:
            for name in row.subjects:
                chain = self._chains[name]
                links.append((self._log, row.index, chain.number, chain.tip))
                chain.tip = row.index
        return links
