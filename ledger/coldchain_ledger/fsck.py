"""Recompute everything a log has stored from the entries' bytes, and name the first thing that is wrong (ledger §8).

The procedure; it stops at the first thing wrong:

1. The checkpoint is signed by the given key; what follows is judged against it. Cosignatures in it, by witnesses given.
2. Every entry's bytes -> leaf hash -> tiles, compared with the stored tiles of every level.
3. Every header against the grammar; `at` never falls; the key leads to this entry and so to no other.
4. Every subject's chain is extended by the entries that name it.
5. Every `index` entry states root and count of the map of all subjects named before it.
6. Root and time against the stored edge, the edge against the checkpoint; no entry stands beyond the edge.
7. The stored head and list of every subject, and that there are no others.

Steps 2 to 5 share one stream over the entries: a log is read once, by several processes where they are given. Memory
holds a head for each subject and eight bytes for each naming.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from hashlib import sha256
from time import perf_counter
from typing import Any, NoReturn

from coldchain_ledger.checkpoint import Checkpoint, open_checkpoint
from coldchain_ledger.entry import parse_entry, parse_subject_list, scan_entry
from coldchain_ledger.errors import EntryError, NoteError, StoreError
from coldchain_ledger.fault import (
    APPENDED_SO,
    COSIGNATURE_CHANGED,
    DERIVED_CHANGED,
    ENTRY_CHANGED,
    LOST,
    NOT_PROVED,
    NOT_SIGNED,
    REWRITTEN,
    SEVERAL_CHANGED,
    TILE_CHANGED,
    TOGETHER,
    Bad,
    Wrong,
)
from coldchain_ledger.index import SubjectMap, extend_chain, index_payload
from coldchain_ledger.keys import Verifier
from coldchain_ledger.log import edge_of
from coldchain_ledger.merkle import HASH_BYTES, inclusion_ranges, node_hash
from coldchain_ledger.note import open_note
from coldchain_ledger.store import Edge, Head, Snapshot, Store
from coldchain_ledger.stretch import CHUNK, Crew, Stretch, can_fork
from coldchain_ledger.tiles import TILE_BYTES, TILE_HEIGHT, TILE_WIDTH, Frontier, TileReader, complete_root


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
    signed_by: tuple[str, ...]
    """Keys, of those given, whose signatures in the checkpoint were verified."""
    not_checked: tuple[str, ...]
    """Who else signed it by its own words: keys that were not given."""
    not_proved: str = NOT_PROVED

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it; the root in hex."""
        return asdict(self) | {"root": self.root.hex()}


def fsck(store: Store, verifier: Verifier, processes: int = 1, witnesses: Sequence[Verifier] = ()) -> Report:
    """Check the whole log as of one snapshot. What is wrong with it is reported, not raised.

    verifier: the log's public key, from whoever asks and never from the store; likewise the witnesses, whose
    cosignatures are checked where the checkpoint has them. processes: more than one are forked and read the log side by
    side; this process then has neither threads nor a connection of the store's, which a fork would inherit. StoreError:
    there is no log.
    """
    began = perf_counter()
    with ExitStack() as stack:
        crew = stack.enter_context(Crew(store, processes)) if processes > 1 and can_fork() else None
        view = stack.enter_context(store.snapshot())
        edge = edge_of(view)
        check = _Check(view, edge, verifier, witnesses)
        if crew is not None and check.is_clean(crew):
            bad = None
        else:
            check = _Check(view, edge, verifier, witnesses)
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
        signed_by=check.signed_by,
        not_checked=check.not_checked,
    )


class _Check:
    """One run over one snapshot: what the entries read so far amount to."""

    def __init__(self, view: Snapshot, edge: Edge, verifier: Verifier, witnesses: Sequence[Verifier]) -> None:
        self.view = view
        self.edge = edge
        self.frontier = Frontier()
        self.tree_s = 0.0
        self._heads: dict[str, Head] = {}
        self._naming: dict[str, array[int]] = {}
        """Indices of the entries naming each subject."""
        self._keys_digest = 0
        """Of those that a crew has read."""
        self._at_us = 0
        # Step 1. What is wrong with edge or checkpoint is reported last: a changed entry is the better answer.
        self._signed: Checkpoint | None = None
        self._not_signed = self._not_cosigned = ""
        self.signed_by: tuple[str, ...] = ()
        self.not_checked: tuple[str, ...] = ()
        try:
            self._signed = open_checkpoint(edge.note, verifier)
            self._cosigned(verifier, witnesses)
        except NoteError as error:
            self._not_signed = str(error)
        self._size = self._extent()

    def _cosigned(self, verifier: Verifier, witnesses: Sequence[Verifier]) -> None:
        """Step 1, for the signatures beside the log's."""
        given = [verifier]
        for witness in witnesses:
            try:
                open_note(self.edge.note, [verifier, witness])
                given.append(witness)
            except NoteError as error:
                self._not_cosigned = str(error)
        note = open_note(self.edge.note, given)
        known = {(key.name, key.key_id) for key in note.verified}
        self.signed_by = tuple(key.name for key in note.verified)
        self.not_checked = tuple(s.name for s in note.signatures if (s.name, s.key_id) not in known)

    def _extent(self) -> int:
        """Entries to expect: as many as are signed, or as the edge claims where the store really has them."""
        claimed = self.edge.size
        signed = claimed if self._signed is None else self._signed.size
        return claimed if claimed > signed and _has_entry(self.view, claimed - 1) else signed

    def run(self) -> Bad | None:
        """What the procedure stopped at."""
        try:
            self._in_order(0)
            self._stored_edge()
            self._stored_heads()
            self._stored_lists(self._naming)
        except Wrong as wrong:
            return wrong.bad
        return None

    def is_clean(self, crew: Crew) -> bool:
        """The same with a crew, up to the first fault of any sort. Which one comes first only `run` tells."""
        whole = self._size - self._size % TILE_WIDTH
        try:
            stored_keys = crew.keys(whole)
            if not all(stretch is not None and self._take(stretch) for stretch in crew.stretches(whole)):
                return False
            self._in_order(whole)
            self._stored_edge()
            self._stored_heads()
            self._stored_lists(crew.unlike(self._naming, self._size))
            return stored_keys() == self._keys_digest
        except Wrong:
            return False

    def _take(self, stretch: Stretch) -> bool:
        """Add a stretch that is right in itself; whether it follows on what is read."""
        if stretch.first_us < self._at_us or self._unlike(self.frontier.append_tiles(stretch.roots)) is not None:
            return False
        self._at_us = stretch.last_us
        self._keys_digest += stretch.keys_digest
        self.tree_s += stretch.tree_s
        for naming, index in stretch.named:
            self._chains({subject: stretch.links(indices) for subject, indices in naming.items()})
            if index is not None:
                self._index_entry(index, self.view.entry(index))
        return True

    def _in_order(self, start: int) -> None:
        """Steps 2 to 5 for the entries from `start`, one after the other."""
        for at in range(start, self._size, CHUNK):
            began = perf_counter()
            try:
                entries = self._read(at, min(at + CHUNK, self._size))
                leaves = self._tree(entries)
            finally:
                self.tree_s += perf_counter() - began
            self._headers(at, entries, leaves)

    def _read(self, start: int, stop: int) -> list[bytes]:
        try:
            return list(self.view.entries(start, stop))
        except StoreError:
            missing = next(index for index in range(start, stop) if not _has_entry(self.view, index))
        self._tree(list(self.view.entries(start, missing)))  # what is wrong before the gap comes first
        n, place = divmod(missing, TILE_WIDTH)
        raise Wrong(missing, "entry", _hash(self._stored_tile(0, n), place), "no entry", LOST)

    def _tree(self, entries: list[bytes]) -> list[bytes]:
        """Step 2. The entries' leaf hashes, once every tile they reach is as stored."""
        sha = sha256
        leaves = [sha(b"\x00" + data).digest() for data in entries]
        tiles = self.frontier.append(leaves)
        unlike = self._unlike(tiles)
        if unlike is not None:
            self._refuse_tile(*unlike, tiles[unlike])
        return leaves

    def _unlike(self, tiles: Mapping[tuple[int, int], bytes]) -> tuple[int, int] | None:
        """The first of these tiles that is not as stored."""
        for (level, n), computed in tiles.items():
            stored = self._stored_tile(level, n)
            if len(stored) != self._width(level, n) * HASH_BYTES or not stored.startswith(computed):
                return level, n
        return None

    def _width(self, level: int, n: int) -> int:
        """Hashes that a tile of a log of this size has."""
        return min(TILE_WIDTH, (self._size >> TILE_HEIGHT * level) - n * TILE_WIDTH)

    def _refuse_tile(self, level: int, n: int, computed: bytes) -> NoReturn:
        stored, width = self._stored_tile(level, n), self._width(level, n)
        both = min(len(computed), len(stored)) // HASH_BYTES
        place = next((at for at in range(both) if _hash(computed, at) != _hash(stored, at)), None)
        tile = f"tile {level}/{n}"
        if place is None:
            raise Wrong(None, tile, f"{width} hashes", f"{len(stored) / HASH_BYTES:g} hashes", TILE_CHANGED)
        of_entries, of_tile = _hash(computed, place), _hash(stored, place)
        first = (n * TILE_WIDTH + place) << TILE_HEIGHT * level
        if self._is_signed(level, n, place, computed):
            raise Wrong(None if level else first, f"hash {place} of {tile}", of_entries, of_tile, TILE_CHANGED)
        signed = self._is_signed(level, n, place, stored)
        if level:
            proves = TOGETHER if signed else SEVERAL_CHANGED
            under = f"entries {first}..{first + (1 << TILE_HEIGHT * level) - 1} under {tile}"
            raise Wrong(None, under, of_tile, of_entries, proves)
        if signed:
            raise Wrong(first, "entry", of_tile, of_entries, ENTRY_CHANGED)
        raise Wrong(first, f"entry or {tile}", of_tile, of_entries, SEVERAL_CHANGED)

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
        raise Wrong(index, what, expected, found, APPENDED_SO if signed else REWRITTEN)

    def _chains(self, named: dict[str, list[tuple[int, bytes]]]) -> None:
        """Step 4 for these links."""
        for subject, links in named.items():
            self._heads[subject] = extend_chain(self._heads.get(subject), links)
            self._naming.setdefault(subject, array("Q")).extend([index for index, _ in links])

    def _listed(self, index: int, digest: tuple[int, bytes]) -> tuple[str, ...]:
        blob = self.view.blob(digest[1])
        if blob is None:
            raise Wrong(index, "subject list", digest[1], None, LOST)
        try:
            return parse_subject_list(blob, digest)
        except EntryError as error:
            raise Wrong(index, "subject list", f"{digest[0]} names, hash {digest[1].hex()}", error, LOST) from error

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
        raise Wrong(index, f"lookup of key {key}", index, other, DERIVED_CHANGED)

    def _stored_edge(self) -> None:
        """Step 6."""
        edge, root, signed = self.edge, self.frontier.root(), self._signed
        if signed is None:
            raise Wrong(None, "checkpoint", "a note signed by the given key", self._not_signed, NOT_SIGNED)
        if self._not_cosigned:
            raise Wrong(None, "cosignature", "one that its witness made", self._not_cosigned, COSIGNATURE_CHANGED)
        if (signed.size, signed.root) != (self._size, root):
            found = f"size {self._size} root {root.hex()}"
            raise Wrong(None, "root", f"size {signed.size} root {signed.root.hex()}", found, REWRITTEN)
        if edge.size != self._size:
            raise Wrong(None, "size of the stored edge", self._size, edge.size, DERIVED_CHANGED)
        if edge.root != root:
            raise Wrong(None, "root of the stored edge", root, edge.root, DERIVED_CHANGED)
        if edge.at_us != self._at_us:
            raise Wrong(None, "time of the stored edge", self._at_us, edge.at_us, DERIVED_CHANGED)
        if _has_entry(self.view, edge.size):
            raise Wrong(edge.size, "entry beyond the edge", "no entry", "an entry", REWRITTEN)

    def _stored_heads(self) -> None:
        """Step 7, the heads."""
        stored = 0
        for subject, head in self.view.all_heads():
            expected = self._heads.get(subject)
            if head != expected:
                last = expected.last if expected else None
                raise Wrong(last, f"head of {subject}", expected, head, DERIVED_CHANGED)
            stored += 1
        if stored < len(self._heads):
            subject = next(subject for subject in self._heads if not self.view.heads([subject]))
            raise Wrong(self._heads[subject].last, f"head of {subject}", self._heads[subject], None, DERIVED_CHANGED)

    def _stored_lists(self, subjects: Iterable[str]) -> None:
        """Step 7, the lists of these subjects."""
        for subject in subjects:
            listed, naming = self.view.indices(subject), self._naming[subject]
            if listed != naming.tolist():
                self._refuse_list(subject, set(naming), set(listed))

    def _refuse_list(self, subject: str, naming: set[int], listed: set[int]) -> NoReturn:
        index = min(naming ^ listed, default=None)
        expected, found = ("listed", "not listed") if index in naming else ("not listed", "listed")
        raise Wrong(index, f"list of entries naming {subject}", expected, found, DERIVED_CHANGED)

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
