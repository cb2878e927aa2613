"""Recompute everything a log has stored from the entries' bytes, and name the first thing that is wrong (ledger §8).

The procedure; it stops at the first thing wrong:

1. The checkpoint is signed by the given key; what follows is judged against it.
2. Every entry's bytes -> leaf hash -> tiles, compared with the stored tiles of every level.
3. Every header against the grammar; `at` never falls; the key leads to this entry and so to no other.
4. Every subject's chain is extended by the entries that name it.
5. Every `index` entry states root and count of the map of all subjects named before it.
6. Root and time against the stored edge, the edge against the checkpoint; no entry stands beyond the edge.
7. The stored head and list of every subject, and that there are no others.

Steps 2 to 5 share one stream over the entries: a log is read once. Memory holds a head for each subject and eight bytes
for each naming.
"""

from __future__ import annotations

from array import array
from dataclasses import asdict, dataclass
from hashlib import sha256
from time import perf_counter
from typing import Any, NoReturn, TypedDict

from coldchain_ledger.checkpoint import Checkpoint, open_checkpoint
from coldchain_ledger.entry import parse_entry, parse_subject_list, scan_entry
from coldchain_ledger.errors import EntryError, NoteError, StoreError
from coldchain_ledger.index import SubjectMap, extend_chain, index_payload
from coldchain_ledger.keys import Verifier
from coldchain_ledger.log import edge_of
from coldchain_ledger.merkle import HASH_BYTES, inclusion_ranges, node_hash
from coldchain_ledger.store import Edge, Head, Snapshot, Store
from coldchain_ledger.tiles import TILE_BYTES, TILE_HEIGHT, TILE_WIDTH, Frontier, TileReader, complete_root

CHUNK = 16 * TILE_WIDTH
"""Entries in memory at once; whole tiles, so that each full tile is compared once."""

NOT_PROVED = (
    "A clean result proves that what is stored agrees with itself and with its checkpoint, not that it is what was"
    " stored before: whoever holds the log's key can rewrite or truncate everything consistently, sign again and pass."
    " Only an older checkpoint (audit --since old.note), a witness's cosignature or a time stamp shows that."
    " Not checked here: cosignatures, files stored aside other than subject lists, verdicts."
)
_ENTRY_CHANGED = (
    "The signed checkpoint commits to the expected leaf hash: these are not the bytes that were signed. What they were,"
    " and who changed them, this does not show."
)
_TILE_CHANGED = (
    "A stored tile is not what the entries under it hash to, so proofs made from it fail. That says nothing against the"
    " entries; the tile can be made again from them."
)
_TOGETHER = (
    "The signed checkpoint commits to the expected hash; entries and tiles under it agree on another: they were changed"
    " together. Which entries, only another copy of them or an older proof shows."
)
_SEVERAL_CHANGED = (
    "Entries and tile disagree, and neither leads to a checkpoint this key signed: more than one of them was changed."
)
_LOST = (
    "What the log committed to is gone from this store. Whoever holds a checkpoint of this size can demand it; who"
    " removed it, this does not show."
)
_DERIVED_CHANGED = (
    "A stored value is not the one the entries give. That says nothing against the entries; the value can be made again"
    " from them."
)
_APPENDED_SO = (
    "The signed checkpoint commits to these bytes, so they were not changed afterwards: the log's own writer appended"
    " what the format forbids."
)
_NOT_SIGNED = "The stored checkpoint is not one this key signed: it was changed, or the key belongs to another log."
_REWRITTEN = (
    "Entries and tiles agree with each other but not with what this key signed: they were rewritten or cut together."
    " Which entries changed, only another copy of them or an older proof shows."
)


class Bad(TypedDict):
    """The first thing found wrong; hashes are in hex."""

    index: int | None
    """The entry concerned, where it is one."""
    expected: str
    """What the rest of the log demands."""
    found: str
    what: str
    proves: str
    """What follows from it, and what does not."""


@dataclass(frozen=True, slots=True)
class Report:
    """Outcome of `fsck`."""

    entries: int
    """Entries read; all of them, or those up to a few thousand past the first bad one."""
    root: bytes
    """Root over them as they were found."""
    checkpoint_size: int
    """Size the stored edge claims."""
    ok: bool
    first_bad: Bad | None
    tree_entries_per_second: int
    """Step 2 alone: reading, leaf hashes, tiles."""
    entries_per_second: int
    """All steps."""
    not_proved: str = NOT_PROVED

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it; the root in hex."""
        return asdict(self) | {"root": self.root.hex()}


class _Wrong(Exception):
    def __init__(self, index: int | None, what: str, expected: object, found: object, proves: str) -> None:
        super().__init__(what)
        self.bad = Bad(index=index, expected=_text(expected), found=_text(found), what=what, proves=proves)


def fsck(store: Store, verifier: Verifier) -> Report:
    """Check the whole log as of one snapshot. What is wrong with it is reported, not raised.

    verifier: the log's public key, from whoever asks and never from the store. StoreError: there is no log.
    """
    began = perf_counter()
    with store.snapshot() as view:
        check = _Check(view, edge_of(view), verifier)
        bad = check.run()
    taken, size = perf_counter() - began, check.frontier.size
    return Report(
        entries=size,
        root=check.frontier.root(),
        checkpoint_size=check.edge.size,
        ok=bad is None,
        first_bad=bad,
        tree_entries_per_second=int(size / check.tree_s) if size else 0,
        entries_per_second=int(size / taken),
    )


class _Check:
    """One run over one snapshot: what the entries read so far amount to."""

    def __init__(self, view: Snapshot, edge: Edge, verifier: Verifier) -> None:
        self.view = view
        self.edge = edge
        self.frontier = Frontier()
        self.tree_s = 0.0
        self._heads: dict[str, Head] = {}
        self._naming: dict[str, array[int]] = {}
        """Indices of the entries naming each subject."""
        self._at_us = 0
        # Step 1. What is wrong with edge or checkpoint is reported last: a changed entry is the better answer.
        self._signed: Checkpoint | None = None
        self._not_signed = ""
        try:
            self._signed = open_checkpoint(edge.note, verifier)
        except NoteError as error:
            self._not_signed = str(error)
        self._size = self._extent()

    def _extent(self) -> int:
        """Entries to expect: as many as are signed, or as the edge claims where the store really has them."""
        claimed = self.edge.size
        signed = claimed if self._signed is None else self._signed.size
        return claimed if claimed > signed and _has_entry(self.view, claimed - 1) else signed

    def run(self) -> Bad | None:
        """What the procedure stopped at."""
        try:
            for start in range(0, self._size, CHUNK):
                began = perf_counter()
                try:
                    entries = self._read(start, min(start + CHUNK, self._size))
                    leaves = self._tree(entries)
                finally:
                    self.tree_s += perf_counter() - began
                self._headers(start, entries, leaves)
            self._stored_edge()
            self._stored_subjects()
        except _Wrong as wrong:
            return wrong.bad
        return None

    def _read(self, start: int, stop: int) -> list[bytes]:
        try:
            return list(self.view.entries(start, stop))
        except StoreError:
            missing = next(index for index in range(start, stop) if not _has_entry(self.view, index))
        self._tree(list(self.view.entries(start, missing)))  # what is wrong before the gap comes first
        n, place = divmod(missing, TILE_WIDTH)
        raise _Wrong(missing, "entry", _hash(self._stored_tile(0, n), place), "no entry", _LOST)

    def _tree(self, entries: list[bytes]) -> list[bytes]:
        """Step 2. The entries' leaf hashes, once every tile they reach is as stored."""
        sha = sha256
        leaves = [sha(b"\x00" + data).digest() for data in entries]
        for (level, n), computed in self.frontier.append(leaves).items():
            stored = self._stored_tile(level, n)
            width = min(TILE_WIDTH, (self._size >> TILE_HEIGHT * level) - n * TILE_WIDTH)
            if len(stored) != width * HASH_BYTES or not stored.startswith(computed):
                self._refuse_tile(level, n, computed, stored, width)
        return leaves

    def _refuse_tile(self, level: int, n: int, computed: bytes, stored: bytes, width: int) -> NoReturn:
        both = min(len(computed), len(stored)) // HASH_BYTES
        place = next((at for at in range(both) if _hash(computed, at) != _hash(stored, at)), None)
        tile = f"tile {level}/{n}"
        if place is None:
            raise _Wrong(None, tile, f"{width} hashes", f"{len(stored) / HASH_BYTES:g} hashes", _TILE_CHANGED)
        of_entries, of_tile = _hash(computed, place), _hash(stored, place)
        first = (n * TILE_WIDTH + place) << TILE_HEIGHT * level
        if self._is_signed(level, n, place, computed):
            raise _Wrong(None if level else first, f"hash {place} of {tile}", of_entries, of_tile, _TILE_CHANGED)
        signed = self._is_signed(level, n, place, stored)
        if level:
            proves = _TOGETHER if signed else _SEVERAL_CHANGED
            under = f"entries {first}..{first + (1 << TILE_HEIGHT * level) - 1} under {tile}"
            raise _Wrong(None, under, of_tile, of_entries, proves)
        if signed:
            raise _Wrong(first, "entry", of_tile, of_entries, _ENTRY_CHANGED)
        raise _Wrong(first, f"entry or {tile}", of_tile, of_entries, _SEVERAL_CHANGED)

    def _is_signed(self, level: int, n: int, place: int, tile: bytes) -> bool:
        """Whether the checkpoint commits to a tile with these hashes, by way of the stored tiles beside and above it.

        Of a partial tile, which has no root of its own, it is one hash that is judged.
        """
        digest, index = _hash(tile, place), n * TILE_WIDTH + place
        if len(tile) == TILE_BYTES:
            level, digest, index = level + 1, complete_root(tile), n
        leaf, below = index << TILE_HEIGHT * level, TILE_HEIGHT * level
        signed = self._signed
        if signed is None or leaf >= signed.size:
            return False
        try:
            siblings = TileReader(signed.size, self.view.tile).inclusion(leaf)[below:]
        except StoreError:
            return False
        for (low, _), sibling in zip(inclusion_ranges(leaf, signed.size)[below:], siblings, strict=True):
            digest = node_hash(digest, sibling) if low > leaf else node_hash(sibling, digest)
        return digest == signed.root

    def _headers(self, start: int, entries: list[bytes], leaves: list[bytes]) -> None:
        """Steps 3 to 5 for entries whose bytes are those of the tree."""
        keys: dict[str, int] = {}
        named: dict[str, list[tuple[int, bytes]]] = {}
        for index, (data, leaf) in enumerate(zip(entries, leaves, strict=True), start):
            try:
                at_us, kind, key, subjects, digest = scan_entry(data)
            except EntryError as error:
                self._refuse_entry(index, "header", "a header of ledger §2", error)
            if at_us < self._at_us:
                self._refuse_entry(index, "at", f"{self._at_us} us or later", f"{at_us} us")
            self._at_us = at_us
            if keys.setdefault(key, index) != index:
                self._refuse_entry(index, "key", "a key of its own", f"{key}, as entry {keys[key]}")
            if kind == "index":
                self._chains(named)
                self._index_entry(index, data)
                named = {}
            for subject in subjects if digest is None else self._listed(index, digest):
                named.setdefault(subject, []).append((index, leaf))
        self._chains(named)
        self._lookup(keys)

    def _refuse_entry(self, index: int, what: str, expected: object, found: object) -> NoReturn:
        n, place = divmod(index, TILE_WIDTH)
        signed = self._is_signed(0, n, place, self._stored_tile(0, n))
        raise _Wrong(index, what, expected, found, _APPENDED_SO if signed else _REWRITTEN)

    def _chains(self, named: dict[str, list[tuple[int, bytes]]]) -> None:
        """Step 4 for these links."""
        for subject, links in named.items():
            self._heads[subject] = extend_chain(self._heads.get(subject), links)
            self._naming.setdefault(subject, array("Q")).extend([index for index, _ in links])

    def _listed(self, index: int, digest: tuple[int, bytes]) -> tuple[str, ...]:
        blob = self.view.blob(digest[1])
        if blob is None:
            raise _Wrong(index, "subject list", digest[1], None, _LOST)
        try:
            return parse_subject_list(blob, digest)
        except EntryError as error:
            raise _Wrong(index, "subject list", f"{digest[0]} names, hash {digest[1].hex()}", error, _LOST) from error

    def _index_entry(self, index: int, data: bytes) -> None:
        """Step 5."""
        expected = index_payload(SubjectMap(self._heads.items()).root, index, len(self._heads))
        found = parse_entry(data).payload
        if found != expected:
            self._refuse_entry(index, "index entry", expected.decode(), repr(found[:200]))

    def _lookup(self, keys: dict[str, int]) -> None:
        """Each key leads to its entry; had another entry the same key, one of the two would not be found."""
        found = self.view.find(keys)
        if found == keys:
            return
        key, index = next((key, index) for key, index in keys.items() if found.get(key) != index)
        other = found.get(key)
        if other is not None and _has_entry(self.view, other) and scan_entry(self.view.entry(other))[2] == key:
            self._refuse_entry(index, "key", "a key of its own", f"{key}, as entry {other}")
        raise _Wrong(index, f"lookup of key {key}", index, other, _DERIVED_CHANGED)

    def _stored_edge(self) -> None:
        """Step 6."""
        edge, root, signed = self.edge, self.frontier.root(), self._signed
        if signed is None:
            raise _Wrong(None, "checkpoint", "a note signed by the given key", self._not_signed, _NOT_SIGNED)
        if (signed.size, signed.root) != (self._size, root):
            found = f"size {self._size} root {root.hex()}"
            raise _Wrong(None, "root", f"size {signed.size} root {signed.root.hex()}", found, _REWRITTEN)
        if edge.size != self._size:
            raise _Wrong(None, "size of the stored edge", self._size, edge.size, _DERIVED_CHANGED)
        if edge.root != root:
            raise _Wrong(None, "root of the stored edge", root, edge.root, _DERIVED_CHANGED)
        if edge.at_us != self._at_us:
            raise _Wrong(None, "time of the stored edge", self._at_us, edge.at_us, _DERIVED_CHANGED)
        if _has_entry(self.view, edge.size):
            raise _Wrong(edge.size, "entry beyond the edge", "no entry", "an entry", _REWRITTEN)

    def _stored_subjects(self) -> None:
        """Step 7."""
        stored = 0
        for subject, head in self.view.all_heads():
            expected = self._heads.get(subject)
            if head != expected:
                last = expected.last if expected else None
                raise _Wrong(last, f"head of {subject}", expected, head, _DERIVED_CHANGED)
            stored += 1
        if stored < len(self._heads):
            subject = next(subject for subject in self._heads if not self.view.heads([subject]))
            raise _Wrong(self._heads[subject].last, f"head of {subject}", self._heads[subject], None, _DERIVED_CHANGED)
        for subject, naming in self._naming.items():
            listed = self.view.indices(subject)
            if listed != naming.tolist():
                self._refuse_list(subject, set(naming), set(listed))

    def _refuse_list(self, subject: str, naming: set[int], listed: set[int]) -> NoReturn:
        index = min(naming ^ listed, default=None)
        expected, found = ("listed", "not listed") if index in naming else ("not listed", "listed")
        raise _Wrong(index, f"list of entries naming {subject}", expected, found, _DERIVED_CHANGED)

    def _stored_tile(self, level: int, n: int) -> bytes:
        try:
            return self.view.tile(level, n)
        except StoreError:
            return b""


def _has_entry(view: Snapshot, index: int) -> bool:
    try:
        view.entry(index)
    except StoreError:
        return False
    return True


def _hash(joined: bytes, place: int) -> bytes:
    return joined[place * HASH_BYTES : (place + 1) * HASH_BYTES]


def _text(value: object) -> str:
    match value:
        case bytes():
            return value.hex() or "nothing"
        case None:
            return "nothing"
        case Head(count, last, digest):
            return f"{count} entries, last {last}, head {digest.hex()}"
    return str(value)
