"""The part of fsck that several processes share (ledger §8, "parallel by tile").

A process takes a stretch of whole tiles and checks in it all that needs no other stretch, and answers with what the
stretch adds to the steps that go in ledger order; or with nothing, where something in it is wrong or could not be read.
So a clean log is read by all cores; in another one procedure, which goes in order, names what is wrong first.
"""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from multiprocessing import get_all_start_methods, get_context
from time import perf_counter
from types import TracebackType

from coldchain_ledger.entry import parse_subject_list, scan_entry
from coldchain_ledger.errors import LedgerError, StoreError
from coldchain_ledger.merkle import HASH_BYTES
from coldchain_ledger.store import Snapshot, Store
from coldchain_ledger.tiles import TILE_BYTES, TILE_WIDTH, complete_root

CHUNK = 16 * TILE_WIDTH
"""Entries in memory at once; whole tiles, so that each full tile is compared once."""
STRETCH = 4 * CHUNK
"""Entries a process is given at a time."""
_AHEAD = 3
"""Stretches under way for each process: enough that none waits, few enough that their answers fit in memory."""
_LISTS = STRETCH
"""Namings of subjects whose lists a process is given at a time."""

Naming = Mapping[str, "array[int]"]
"""Indices of the entries naming each subject."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """What a stretch without fault adds to the whole."""

    start: int
    leaves: bytes
    """Leaf hashes, joined."""
    roots: bytes
    """Roots of its tiles, joined."""
    first_us: int
    last_us: int
    """`at` of its first and last entry."""
    named: tuple[tuple[Naming, int | None], ...]
    """Subjects named since the `index` entry before, and the next such entry, or None at the end of the stretch."""
    keys_digest: int
    """Of its entries' keys; see `digest_of_keys`."""
    tree_s: float
    """Seconds for reading, leaf hashes and tiles: its share of them, as many processes go on side by side."""

    def links(self, naming: array[int]) -> list[tuple[int, bytes]]:
        """(index, leaf hash) of these entries of the stretch."""
        leaves, start = self.leaves, self.start
        return [(i, leaves[(i - start) * HASH_BYTES : (i - start + 1) * HASH_BYTES]) for i in naming]


class Crew:
    """Processes that check stretches of one store. They are forked on entering and gone on leaving.

    A fork must inherit neither threads nor connections: on entering there may be none in this process that belong to
    the store.
    """

    def __init__(self, store: Store, processes: int) -> None:
        self._processes = processes
        self._pool = ProcessPoolExecutor(processes, get_context("fork"), _join, (store,))

    def __enter__(self) -> Crew:
        with _ended():
            self._pool.submit(_ready).result()  # the first task forks all of them
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._pool.shutdown(cancel_futures=True)

    def keys(self, size: int) -> Callable[[], int | None]:
        """Begin to read the stored keys of the entries below `size`; the answer waits for their digest."""
        digest = self._pool.submit(_keys, size)

        def result() -> int | None:
            with _ended():
                return digest.result()

        return result

    def stretches(self, size: int) -> Iterator[Stretch | None]:
        """What every stretch of the entries below `size`, whole tiles, adds; in ledger order.

        Raises StoreError where a process was ended from outside.
        """
        spans = ((start, min(start + STRETCH, size)) for start in range(0, size, STRETCH))
        waiting: deque[Future[Stretch | None]] = deque()
        with _ended():
            for start, stop in spans:
                waiting.append(self._pool.submit(_check, start, stop, self._processes))
                if len(waiting) == _AHEAD * self._processes:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()

    def unlike(self, naming: Naming, size: int) -> Iterator[str]:
        """Subjects, in the order given, whose list in the store may not be this one; `size` as for `stretches`."""
        with _ended():
            groups = [(group, self._pool.submit(_alike, group, size)) for group in _groups(naming)]
            for group, alike in groups:
                if not alike.result():
                    yield from (subject for subject, _ in group)


def can_fork() -> bool:
    """Whether this system can have a crew."""
    return "fork" in get_all_start_methods()


def digest_of_keys(pairs: Iterable[tuple[str, int]]) -> int:
    """The sum of the hashes of (key, index), in any order, by which two sets of them are compared.

    The hash is the interpreter's own, keyed by a secret that it draws when it starts and that a fork shares: who edits
    a database cannot aim at a sum.
    """
    return sum(map(hash, pairs))


def check_stretch(view: Snapshot, start: int, stop: int, processes: int) -> Stretch | None:
    """The entries start..stop-1, whole tiles, checked as far as possible without the others; None where one fails."""
    part = _Part(view)
    try:
        for at in range(start, stop, CHUNK):
            part.add(at, min(at + CHUNK, stop))
    except (LedgerError, _OddError):
        return None
    part.named.append((part.naming, None))
    return Stretch(
        start,
        b"".join(part.leaves),
        b"".join(part.roots),
        part.first_us,
        part.last_us,
        tuple(part.named),
        part.keys_digest,
        part.tree_s / processes,
    )


class _OddError(Exception):
    """Something is not as it must be; what, the exact procedure says."""


class _Part:
    """A stretch as far as it was read."""

    def __init__(self, view: Snapshot) -> None:
        self._view = view
        self.leaves: list[bytes] = []
        self.roots: list[bytes] = []
        self.first_us = self.last_us = -1
        self.naming: dict[str, array[int]] = {}
        self.named: list[tuple[Naming, int | None]] = []
        self.keys_digest = 0
        self.tree_s = 0.0

    def add(self, start: int, stop: int) -> None:
        began = perf_counter()
        entries = list(self._view.entries(start, stop))
        self._tiles(start, entries)
        self.tree_s += perf_counter() - began
        self._headers(start, entries)

    def _tiles(self, start: int, entries: Sequence[bytes]) -> None:
        sha = sha256
        leaves = b"".join([sha(b"\x00" + data).digest() for data in entries])
        for n, at in enumerate(range(0, len(leaves), TILE_BYTES), start // TILE_WIDTH):
            tile = leaves[at : at + TILE_BYTES]
            if self._view.tile(0, n) != tile:
                raise _OddError
            self.roots.append(complete_root(tile))
        self.leaves.append(leaves)

    def _headers(self, start: int, entries: Sequence[bytes]) -> None:
        keys: list[tuple[str, int]] = []
        naming, last_us = self.naming, self.last_us
        if last_us < 0:
            self.first_us = scan_entry(entries[0])[0]
        for index, data in enumerate(entries, start):
            at_us, kind, key, subjects, digest = scan_entry(data)
            if at_us < last_us:
                raise _OddError
            last_us = at_us
            keys.append((key, index))
            if kind == "index":
                self.named.append((naming, index))
                self.naming = naming = {}
            for subject in subjects if digest is None else self._listed(digest):
                indices = naming.get(subject)
                if indices is None:
                    indices = naming[subject] = array("Q")
                indices.append(index)
        self.last_us = last_us
        self.keys_digest += digest_of_keys(keys)

    def _listed(self, digest: tuple[int, bytes]) -> tuple[str, ...]:
        blob = self._view.blob(digest[1])
        if blob is None:
            raise _OddError
        return parse_subject_list(blob, digest)


def _groups(naming: Naming) -> Iterator[list[tuple[str, array[int]]]]:
    """All of it, in pieces of about the same work."""
    group: list[tuple[str, array[int]]] = []
    namings = 0
    for subject, indices in naming.items():
        group.append((subject, indices))
        namings += len(indices)
        if namings >= _LISTS:
            yield group
            group, namings = [], 0
    if group:
        yield group


@contextmanager
def _ended() -> Iterator[None]:
    try:
        yield
    except BrokenProcessPool as error:
        raise StoreError("a process that checked the log was ended from outside; memory may be short") from error


_store: Store
"""Of a process of a crew: the log it checks."""


def _join(store: Store) -> None:
    global _store  # a process belongs to one crew
    _store = store


def _ready() -> None:
    """A first task: there is nothing to do."""


def _check(start: int, stop: int, processes: int) -> Stretch | None:
    try:
        with _store.snapshot() as view:
            return check_stretch(view, start, stop, processes)
    except StoreError:
        return None  # who goes through it in order meets the same error, and tells it


def _keys(size: int) -> int | None:
    try:
        with _store.snapshot() as view:
            return digest_of_keys(view.all_keys(size))
    except StoreError:
        return None


def _alike(group: Sequence[tuple[str, array[int]]], size: int) -> bool:
    try:
        with _store.snapshot() as view:
            return all(view.indices(subject, 0, size) == naming.tolist() for subject, naming in group)
    except StoreError:
        return False
