"""A store in memory that keeps every promise of `Store` but durability: for tests, tools and measurements.

A snapshot is a version number, not a copy. Entries only accumulate, so a snapshot shows the first `count`; heads and
tile lengths keep their history. A transaction collects its writes and applies them at commit; rollback forgets them.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from hashlib import sha256
from itertools import chain
from typing import TypeVar

from coldchain_ledger.errors import StoreError
from coldchain_ledger.rows import Row
from coldchain_ledger.store import Edge, Head, Snapshot, Store, Transaction

Value = TypeVar("Value")

_HASH = sha256().digest_size
_FULL_TILE = 256 * _HASH


class MemoryStore(Store):
    """One log in memory; safe between threads, one writer at a time."""

    def __init__(self) -> None:
        self._writer = threading.Lock()
        self._publish = threading.Lock()
        """Held while a commit is applied, so that no snapshot starts in the middle of one."""
        self._version = 0
        self._edge: Edge | None = None
        self._entries: list[bytes] = []
        self._keys: dict[str, int] = {}
        self._indices: dict[str, list[int]] = {}
        self._heads: dict[str, list[tuple[int, Head]]] = {}
        self._tiles: dict[tuple[int, int], bytes] = {}
        self._tile_lengths: dict[tuple[int, int], list[tuple[int, int]]] = {}
        self._blobs: dict[bytes, bytes] = {}

    @contextmanager
    def snapshot(self) -> Iterator[Snapshot]:
        """A view of the newest commit."""
        with self._publish:
            view = _MemorySnapshot(self)
        yield view

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """The one writer; its writes are collected and applied when it is left without an exception."""
        with self._writer:
            transaction = _MemoryTransaction(self)
            yield transaction
            self._commit(transaction)

    def compact(self) -> bool:
        """Memory keeps entries as they are."""
        return False

    def _commit(self, transaction: _MemoryTransaction) -> None:
        with self._publish:
            transaction.apply()


class _MemorySnapshot(Snapshot):
    def __init__(self, store: MemoryStore) -> None:
        self._store = store
        self._version = store._version
        self._count = len(store._entries)
        self._edge = store._edge

    def edge(self) -> Edge | None:
        return self._edge

    def entry(self, index: int) -> bytes:
        if not 0 <= index < self._count:
            raise StoreError(f"no entry {index}: the log holds {self._count}")
        return self._store._entries[index]

    def entries(self, start: int, stop: int) -> Iterator[bytes]:
        if start < stop and not 0 <= start < stop <= self._count:
            raise StoreError(f"no entries {start}..{stop - 1}: the log holds {self._count}")
        return iter(self._store._entries[start:stop])

    def tile(self, level: int, n: int) -> bytes:
        length = _as_of(self._store._tile_lengths.get((level, n), ()), self._version)
        if length is None:
            raise StoreError(f"no tile {level}/{n}")
        return self._store._tiles[level, n][:length]

    def heads(self, names: Collection[str]) -> dict[str, Head]:
        found = {}
        for name in names:
            head = _as_of(self._store._heads.get(name, ()), self._version)
            if head is not None:
                found[name] = head
        return found

    def all_heads(self) -> Iterator[tuple[str, Head]]:
        return iter(self.heads(list(self._store._heads)).items())

    def find(self, keys: Collection[str]) -> dict[str, int]:
        taken, count = self._store._keys, self._count
        return {key: index for key in keys if (index := taken.get(key, count)) < count}

    def all_keys(self, stop: int) -> Iterator[tuple[str, int]]:
        taken = self._store._keys
        return ((key, index) for key, index in taken.items() if index < min(stop, self._count))

    def indices(self, subject: str, start: int = 0, stop: int | None = None) -> list[int]:
        stop = self._count if stop is None else min(stop, self._count)
        known = self._store._indices.get(subject, [])
        return known[bisect_left(known, start) : bisect_left(known, stop)]

    def blob(self, sha256: bytes) -> bytes | None:
        return self._store._blobs.get(sha256)


class _MemoryTransaction(_MemorySnapshot, Transaction):
    def __init__(self, store: MemoryStore) -> None:
        super().__init__(store)
        self._rows: list[Row] = []
        self._new_keys: dict[str, int] = {}
        self._new_heads: dict[str, Head] = {}
        self._new_tiles: dict[tuple[int, int], bytes] = {}
        self._new_blobs: dict[bytes, bytes] = {}

    def append(self, rows: Sequence[Row]) -> None:
        expected = self._count + len(self._rows)
        for row in rows:
            if row.index != expected:
                raise StoreError(f"entry index {row.index} is not the next one, {expected}")
            if row.key in self._store._keys or row.key in self._new_keys:
                raise StoreError(
                    f"entry {row.index}: key {row.key!r} is taken by entry {self.find([row.key])[row.key]}"
                )
            self._new_keys[row.key] = expected
            expected += 1
            self._rows.append(row)

    def put_tiles(self, tiles: Mapping[tuple[int, int], bytes]) -> None:
        for (level, n), new in tiles.items():
            old = self._new_tiles.get((level, n)) or self._store._tiles.get((level, n), b"")
            if len(new) % _HASH or not 0 < len(new) <= _FULL_TILE:
                raise StoreError(f"tile {level}/{n} would have {len(new)} bytes, expected 1 to 256 hashes")
            if not new.startswith(old):
                raise StoreError(f"tile {level}/{n} of {len(old) // _HASH} hashes may only grow: {old!r} -> {new!r}")
            self._new_tiles[level, n] = new

    def put_heads(self, heads: Mapping[str, Head]) -> None:
        known = self.heads(heads)
        for name, head in heads.items():
            if name in known and head.count < known[name].count:
                raise StoreError(f"head of {name} would fall from {known[name].count} to {head.count} entries")
        self._new_heads.update(heads)

    def put_edge(self, edge: Edge) -> None:
        if self._edge is not None and edge.size < self._edge.size:
            raise StoreError(f"edge would fall from size {self._edge.size} to {edge.size}")
        self._edge = edge

    def put_blob(self, sha256: bytes, data: bytes) -> None:
        self._new_blobs[sha256] = data

    def entry(self, index: int) -> bytes:
        if 0 <= index - self._count < len(self._rows):
            return self._rows[index - self._count].data
        return super().entry(index)

    def entries(self, start: int, stop: int) -> Iterator[bytes]:
        return map(self.entry, range(start, stop))

    def tile(self, level: int, n: int) -> bytes:
        return self._new_tiles.get((level, n)) or super().tile(level, n)

    def heads(self, names: Collection[str]) -> dict[str, Head]:
        own = {name: self._new_heads[name] for name in names if name in self._new_heads}
        return super().heads(names) | own

    def all_heads(self) -> Iterator[tuple[str, Head]]:
        return iter(self.heads([*self._store._heads, *self._new_heads]).items())

    def find(self, keys: Collection[str]) -> dict[str, int]:
        return super().find(keys) | {key: self._new_keys[key] for key in keys if key in self._new_keys}

    def all_keys(self, stop: int) -> Iterator[tuple[str, int]]:
        own = ((key, index) for key, index in self._new_keys.items() if index < stop)
        return chain(super().all_keys(stop), own)

    def indices(self, subject: str, start: int = 0, stop: int | None = None) -> list[int]:
        own = [row.index for row in self._rows if subject in row.subjects]
        own = [index for index in own if start <= index and (stop is None or index < stop)]
        return super().indices(subject, start, stop) + own

    def blob(self, sha256: bytes) -> bytes | None:
        return self._new_blobs[sha256] if sha256 in self._new_blobs else super().blob(sha256)

    def apply(self) -> None:
        """Make every write visible as the next version."""
        store, version = self._store, self._version + 1
        store._entries.extend([row.data for row in self._rows])
        store._keys.update(self._new_keys)
        for row in self._rows:
            for subject in row.subjects:
                store._indices.setdefault(subject, []).append(row.index)
        for name, head in self._new_heads.items():
            store._heads.setdefault(name, []).append((version, head))
        for place, tile in self._new_tiles.items():
            store._tiles[place] = tile
            store._tile_lengths.setdefault(place, []).append((version, len(tile)))
        store._blobs.update(self._new_blobs)
        store._edge, store._version = self._edge, version


def _as_of(history: Sequence[tuple[int, Value]], version: int) -> Value | None:
    """The newest value no newer than the version; a fresh snapshot finds it at once."""
    return next((value for then, value in reversed(history) if then <= version), None)
