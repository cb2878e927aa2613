"""The device's memory: where its chain stands and every message the ledger has not answered yet.

One SQLite file (WAL). `put` keeps the signed bytes and the chain's new place in one durable transaction; only bytes
that are in the file are ever sent.
"""

from __future__ import annotations

import hashlib
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from coldchain_devices.errors import ChainMoved
from coldchain_devices.signer import LEAVES, Chain, Signed

SCHEMA = """
CREATE TABLE IF NOT EXISTS chain (
  device TEXT PRIMARY KEY, boot INTEGER NOT NULL, seq INTEGER NOT NULL, prev BLOB NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS message (
  device TEXT NOT NULL, boot INTEGER NOT NULL, seq INTEGER NOT NULL, leaf TEXT NOT NULL, jws BLOB NOT NULL,
  sha256 BLOB NOT NULL, parked TEXT, PRIMARY KEY (device, boot, seq)) STRICT;
CREATE INDEX IF NOT EXISTS message_hash ON message (device, sha256);
"""

Place = tuple[int, int]
"""(boot, seq) of one message."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A message as it waits: `leaf` is its last topic level, `parked` why the server refused it, if it did."""

    boot: int
    seq: int
    leaf: str
    jws: bytes
    parked: str | None = None


class Outbox:
    """Messages of one or many devices until the ledger answers. Safe to share between threads of one process."""

    def __init__(self, path: Path, synchronous: Literal["FULL", "NORMAL", "OFF"] = "FULL") -> None:
        """Open or create the file. FULL: what `put` returned for survives a power cut."""
        self._lock = threading.RLock()
        self._watchers: dict[str, Callable[[], None]] = {}
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=30)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute(f"PRAGMA synchronous = {synchronous}")
        self._db.executescript(SCHEMA)

    def close(self) -> None:
        with self._lock:
            self._db.close()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    def _rows(self, sql: str, *values: object) -> list[tuple[int, int, str, bytes, str | None]]:
        with self._lock:
            return self._db.execute(sql, values).fetchall()

    # The chain

    def chain(self, device: str) -> Chain | None:
        """Where the device's chain stands; None before its first start."""
        with self._lock:
            row = self._db.execute("SELECT boot, seq, prev FROM chain WHERE device = ?", (device,)).fetchone()
        return Chain(*row) if row else None

    def begin_boot(self, device: str) -> Chain:
        """Start the device: boot grows by one (1 at first), seq is 0, `prev` crosses from the boot before."""
        with self._transaction() as db:
            db.execute(
                "INSERT INTO chain VALUES (?, 1, 0, x'') ON CONFLICT (device) DO UPDATE SET boot = boot + 1, seq = 0",
                (device,),
            )
            return Chain(*db.execute("SELECT boot, seq, prev FROM chain WHERE device = ?", (device,)).fetchone())

    def put(self, device: str, before: Chain, after: Chain, messages: Sequence[Signed]) -> None:
        """Keep the messages and move the chain from `before` to `after`, both or neither, durably.

        Raises ChainMoved, with nothing kept, where the chain does not stand at `before`.
        """
        with self._transaction() as db:
            moved = db.execute(
                "UPDATE chain SET boot = ?, seq = ?, prev = ? WHERE device = ? AND boot = ? AND seq = ? AND prev = ?",
                (after.boot, after.seq, after.prev, device, before.boot, before.seq, before.prev),
            )
            if moved.rowcount != 1:
                raise ChainMoved(f"chain of {device} is no longer at boot {before.boot}, seq {before.seq}")
            db.executemany(
                "INSERT INTO message VALUES (?, ?, ?, ?, ?, ?, NULL)",
                [(device, m.boot, m.seq, LEAVES[m.typ], m.jws, hashlib.sha256(m.jws).digest()) for m in messages],
            )
        self._wake(device)

    # What waits

    def pending(self, device: str, limit: int) -> list[Place]:
        """The oldest messages still to be answered, parked ones left out."""
        with self._lock:
            return self._db.execute(
                "SELECT boot, seq FROM message WHERE device = ? AND parked IS NULL ORDER BY boot, seq LIMIT ?",
                (device, limit),
            ).fetchall()

    def count(self, device: str) -> int:
        """How many messages wait for an answer, parked ones left out."""
        with self._lock:
            row = self._db.execute("SELECT count(*) FROM message WHERE device = ? AND parked IS NULL", (device,))
            return int(row.fetchone()[0])

    def load(self, device: str, place: Place) -> Stored | None:
        """The stored message; None once it is answered."""
        rows = self._rows(
            "SELECT boot, seq, leaf, jws, parked FROM message WHERE device = ? AND boot = ? AND seq = ?", device, *place
        )
        return Stored(*rows[0]) if rows else None

    def parked(self, device: str) -> list[Stored]:
        """What the server refused, oldest first, with its reasons."""
        rows = self._rows(
            "SELECT boot, seq, leaf, jws, parked FROM message WHERE device = ? AND parked IS NOT NULL "
            "ORDER BY boot, seq",
            device,
        )
        return [Stored(*row) for row in rows]

    # Answers

    def forget(self, device: str, places: Iterable[Place]) -> None:
        """The ledger has these: their bytes may go."""
        with self._transaction() as db:
            db.executemany(
                "DELETE FROM message WHERE device = ? AND boot = ? AND seq = ?", [(device, *place) for place in places]
            )

    def park(self, device: str, sha256: bytes, reason: str) -> Place | None:
        """Keep the message with exactly this hash, but send it no more; its place, or None where we hold none such.

        Matched by hash alone: a refusal of bytes we never sent (a forgery in our name) must not stop our own message.
        """
        with self._transaction() as db:
            row = db.execute(
                "UPDATE message SET parked = ? WHERE device = ? AND sha256 = ? RETURNING boot, seq",
                (reason, device, sha256),
            ).fetchone()
        return (row[0], row[1]) if row else None

    def requeue(self, device: str) -> int:
        """Send what was parked once more (say, after the device was enrolled); how many."""
        with self._transaction() as db:
            count = db.execute(
                "UPDATE message SET parked = NULL WHERE device = ? AND parked IS NOT NULL", (device,)
            ).rowcount
        self._wake(device)
        return count

    # Watching

    def watch(self, device: str, wake: Callable[[], None] | None) -> None:
        """Call `wake` whenever something new waits for this device; None stops that."""
        if wake is None:
            self._watchers.pop(device, None)
        else:
            self._watchers[device] = wake

    def _wake(self, device: str) -> None:
        if wake := self._watchers.get(device):
            wake()
