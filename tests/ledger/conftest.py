"""The shared index vectors, and logs in memory whose clock and accidents the test sets."""

import json
from base64 import b64decode
from contextlib import contextmanager
from dataclasses import replace

import pytest

from coldchain_ledger.keys import Ed25519Signer, parse_vkey
from coldchain_ledger.log import Draft, Log, create_log
from coldchain_ledger.memory import MemoryStore

NOON_US = 1_700_000_000_000_000


@pytest.fixture(scope="session")
def index_vectors(shared_vectors):
    return json.loads((shared_vectors / "vectors" / "index" / "small.json").read_text())


@pytest.fixture(scope="session")
def vector_entries(index_vectors):
    return [b64decode(entry) for entry in index_vectors["entries"]]


class Clock:
    """Microseconds that pass when the test says so."""

    def __init__(self):
        self.now_us = NOON_US

    def __call__(self):
        return self.now_us


class Crash(Exception):
    """The process dies here."""


class _Tripwire:
    """A transaction during which one operation is the last."""

    def __init__(self, transaction, point):
        self._transaction = transaction
        self._point = point

    def __getattr__(self, name):
        operation = getattr(self._transaction, name)
        if name != self._point:
            return operation

        def last(*arguments):
            operation(*arguments)
            raise Crash(name)

        return last


class FaultyStore(MemoryStore):
    """Crashes once at `crash_at`, an operation or `commit`; `keep` says whether what was written so far stays.

    A store that keeps half a transaction breaks its promise; the log must then stop, never go on.
    """

    Crash = Crash

    def __init__(self):
        super().__init__()
        self.crash_at = None
        self.keep = False

    @contextmanager
    def transaction(self):
        crash_at, keep, self.crash_at = self.crash_at, self.keep, None
        with super().transaction() if crash_at is None else self._crashing(crash_at, keep) as transaction:
            yield transaction

    @contextmanager
    def _crashing(self, crash_at, keep):
        written = None
        try:
            with super().transaction() as written:
                yield _Tripwire(written, crash_at)
                raise Crash("commit")
        except Crash:
            if keep:
                self._commit(written)
            raise

    def tamper_entry(self, index, old, new):
        self._entries[index] = self._entries[index].replace(old, new, 1)

    def tamper_tile(self, level, n, place):
        tile = bytearray(self._tiles[level, n])
        tile[place * 32] ^= 1
        self._tiles[level, n] = bytes(tile)

    def tamper_head(self, name, **changes):
        version, head = self._heads[name][-1]
        self._heads[name][-1] = (version, replace(head, **changes))

    def tamper_edge(self, **changes):
        self._edge = replace(self._edge, **changes)

    def cut_entries(self, size):
        del self._entries[size:]

    def forget_key(self, key):
        del self._keys[key]

    def unlist(self, subject, index):
        self._indices[subject].remove(index)

    def forget_blob(self, digest):
        del self._blobs[digest]


@pytest.fixture(scope="session")
def signer():
    return Ed25519Signer.generate("localhost/test")


@pytest.fixture(scope="session")
def verifier(signer):
    return parse_vkey(signer.vkey())


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture(scope="session")
def faulty_store():
    """The class, for tests that need many."""
    return FaultyStore


@pytest.fixture
def store(faulty_store):
    return faulty_store()


@pytest.fixture
def open_log(store, signer, clock):
    """Opens the log as a process would that starts now."""
    create_log(store, [signer])
    return lambda: Log(store, [signer], clock)


@pytest.fixture
def log(open_log):
    return open_log()


@pytest.fixture(scope="session")
def make_draft():
    """A telemetry draft of truck n mod 5."""

    def make(n, **changes):
        draft = Draft(
            kind="telemetry",
            by="polar",
            type="application/jose",
            key=f"tm/truck-{n % 5}/1/{n}",
            grade="signed",
            subjects=(f"dev:truck-{n % 5}",),
            payload=b"reading %d" % n,
        )
        return replace(draft, **changes)

    return make


@pytest.fixture
def stored(store):
    """Everything a reader can see now."""

    def read():
        with store.snapshot() as view:
            edge = view.edge()
            return edge, list(view.entries(0, edge.size))

    return read
