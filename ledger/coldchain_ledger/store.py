"""What the ledger asks of a database, stated as guarantees."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from coldchain_ledger.rows import Row


@dataclass(frozen=True, slots=True)
class Edge:
    """The committed right edge of the log."""

    size: int
    root: bytes
    at_us: int
    """`at` of the newest entry, microseconds since the epoch; 0 while the log is empty."""
    note: bytes
    """The checkpoint of exactly this size and root, a signed note (ledger §3)."""


@dataclass(slots=True)
class Head:
    """The chain of one subject so far (ledger §5.2)."""

    count: int
    last: int
    """Index of the newest entry naming the subject."""
    digest: bytes


class Snapshot(Protocol):
    """A consistent view of one committed state; later commits do not show in it."""

    def edge(self) -> Edge | None:
        """The right edge, or None where the log was never created."""
        ...

    def entry(self, index: int) -> bytes:
        """The entry's stored bytes. Raises StoreError where there is none."""
        ...

    def entries(self, start: int, stop: int) -> Iterator[bytes]:
        """Entries start..stop-1 in order, streamed. Raises StoreError where one is missing."""
        ...

    def tile(self, level: int, n: int) -> bytes:
        """The hashes of tile (level, n), 32 bytes each, as many as there are now (1..256). Raises StoreError."""
        ...

    def heads(self, names: Collection[str]) -> dict[str, Head]:
        """Heads of those names that have one."""
        ...

    def all_heads(self) -> Iterator[tuple[str, Head]]:
        """Every subject's head, in no promised order."""
        ...

    def find(self, keys: Collection[str]) -> dict[str, int]:
        """Index by idempotency key, for those keys that are taken."""
        ...

    def all_keys(self, stop: int) -> Iterator[tuple[str, int]]:
        """(key, index) of every key that leads to an entry below `stop`, in no promised order."""
        ...

    def indices(self, subject: str, start: int = 0, stop: int | None = None) -> list[int]:
        """Indices in [start, stop) of the entries naming the subject, ascending."""
        ...

    def blob(self, sha256: bytes) -> bytes | None:
        """Bytes stored aside under their hash (ledger §2.3)."""
        ...


class Transaction(Snapshot, Protocol):
    """The one writer. Reads see its own writes; nothing shows outside before commit."""

    def append(self, rows: Sequence[Row]) -> None:
        """Add entries. Raises StoreError on an index or key already taken."""
        ...

    def put_tiles(self, tiles: Mapping[tuple[int, int], bytes]) -> None:
        """Write tiles by (level, n). A tile may only grow: its stored hashes stay a prefix. Raises StoreError."""
        ...

    def put_heads(self, heads: Mapping[str, Head]) -> None:
        """Advance subject heads. A count never falls. Raises StoreError."""
        ...

    def put_edge(self, edge: Edge) -> None:
        """Advance the edge. A size never falls. Raises StoreError."""
        ...

    def put_blob(self, sha256: bytes, data: bytes) -> None:
        """Keep bytes aside under their hash; storing the same again is fine."""
        ...


class Store(Protocol):
    """A place that keeps one log.

    `transaction()` excludes every other writer, in this and any other process, from its start to its end. Leaving it
    without an exception commits, and the commit is durable when it returns; an exception rolls all of it back. When
    commit itself raises, the outcome is unknown and the caller must read again before signing anything.
    """

    def snapshot(self) -> AbstractContextManager[Snapshot]: ...

    def transaction(self) -> AbstractContextManager[Transaction]: ...

    def compact(self) -> bool:
        """Keep one full bundle of older entries in less room, losslessly; False where none waits.

        Every view, open ones included, answers as before. Entries that are not those of their tile stay as they are.
        Raises StoreError naming the first of them.
        """
        ...
