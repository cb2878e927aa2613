"""Recompute everything a log has stored from the entries' bytes (ledger §8), and hold it against an older checkpoint.

The procedure; it stops at the first thing that is wrong:

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
from typing import Any, Literal, NoReturn, TypedDict

from coldchain_ledger import strictb64
from coldchain_ledger.checkpoint import Checkpoint, open_checkpoint
from coldchain_ledger.entry import parse_entry, parse_subject_list, scan_entry
from coldchain_ledger.errors import EntryError, NoteError, ProofError, StoreError
from coldchain_ledger.index import SubjectMap, extend_chain, index_payload
from coldchain_ledger.keys import Verifier
from coldchain_ledger.merkle import HASH_BYTES, verify_consistency, verify_inclusion
from coldchain_ledger.store import Edge, Head, Snapshot, Store
from coldchain_ledger.tiles import TILE_HEIGHT, TILE_WIDTH, Frontier, TileReader

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
_SEVERAL_CHANGED = (
    "Entry and tile disagree and neither leads to a checkpoint this key signed: more than one of the three was changed."
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
    "These bytes are what the tree holds, so they were not changed afterwards: the log's own writer appended what the"
    " format forbids."
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
        check = _Check(view, _edge_of(view), verifier)
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
        # Step 1. A checkpoint that fails is reported last: a changed entry is the better answer.
        self._signed: Checkpoint | None = None
        self._not_signed = ""
        try:
            self._signed = open_checkpoint(edge.note, verifier)
        except NoteError as error:
            self._not_signed = str(error)

    def run(self) -> Bad | None:
        """What the procedure stopped at."""
        try:
            for start in range(0, self.edge.size, CHUNK):
                stop = min(start + CHUNK, self.edge.size)
                began = perf_counter()
                entries = self._read(start, stop)
                leaves = self._tree(entries)
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
            width = min(TILE_WIDTH, (self.edge.size >> TILE_HEIGHT * level) - n * TILE_WIDTH)
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
        if level:
            raise _Wrong(None, f"hash {place} of {tile}", of_entries, of_tile, _TILE_CHANGED)
        index = n * TILE_WIDTH + place
        if self._is_signed(index, of_entries):
            raise _Wrong(index, f"hash {place} of {tile}", of_entries, of_tile, _TILE_CHANGED)
        if self._is_signed(index, of_tile):
            raise _Wrong(index, "entry", of_tile, of_entries, _ENTRY_CHANGED)
        raise _Wrong(index, f"entry or {tile}", of_tile, of_entries, _SEVERAL_CHANGED)

    def _is_signed(self, index: int, leaf: bytes) -> bool:
        """Whether the leaf leads to the signed checkpoint through the stored tiles beside it."""
        if self._signed is None:
            return False
        try:
            proof = TileReader(self._signed.size, self.view.tile).inclusion(index)
            verify_inclusion(index, self._signed.size, leaf, proof, self._signed.root)
        except (ProofError, StoreError):
            return False
        return True

    def _headers(self, start: int, entries: list[bytes], leaves: list[bytes]) -> None:
        """Steps 3 to 5 for entries whose bytes are those of the tree."""
        keys: dict[str, int] = {}
        named: dict[str, list[tuple[int, bytes]]] = {}
        for index, (data, leaf) in enumerate(zip(entries, leaves, strict=True), start):
            try:
                at_us, kind, key, subjects, digest = scan_entry(data)
            except EntryError as error:
                raise _Wrong(index, "header", "a header of ledger §2", error, _APPENDED_SO) from error
            if at_us < self._at_us:
                raise _Wrong(index, "at", f"{self._at_us} us or later", f"{at_us} us", _APPENDED_SO)
            self._at_us = at_us
            if keys.setdefault(key, index) != index:
                raise _Wrong(index, "key", "a key of its own", f"{key}, as entry {keys[key]}", _APPENDED_SO)
            if kind == "index":
                self._chains(named)
                self._index_entry(index, data)
                named = {}
            for subject in subjects if digest is None else self._listed(index, digest):
                named.setdefault(subject, []).append((index, leaf))
        self._chains(named)
        self._lookup(keys)

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
            raise _Wrong(index, "index entry", expected.decode(), repr(found[:200]), _APPENDED_SO)

    def _lookup(self, keys: dict[str, int]) -> None:
        """Each key leads to its entry; had another entry the same key, one of the two would not be found."""
        found = self.view.find(keys)
        if found != keys:
            key = next(key for key in keys if found.get(key) != keys[key])
            raise _Wrong(keys[key], f"lookup of key {key}", keys[key], found.get(key), _DERIVED_CHANGED)

    def _stored_edge(self) -> None:
        """Step 6."""
        edge, root, signed = self.edge, self.frontier.root(), self._signed
        if signed is None:
            raise _Wrong(None, "checkpoint", "a note signed by the given key", self._not_signed, _NOT_SIGNED)
        if (signed.size, signed.root) != (edge.size, root):
            found = f"size {edge.size} root {root.hex()}"
            raise _Wrong(None, "root", f"size {signed.size} root {signed.root.hex()}", found, _REWRITTEN)
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


@dataclass(frozen=True, slots=True)
class Audit:
    """What the log's present checkpoint is to an older one. Notes and proof are evidence anyone can check."""

    result: Literal["consistent", "rollback", "fork"]
    """rollback: the log shrank below a size it signed. fork: it has other entries under a size it signed."""
    old: Checkpoint
    new: Checkpoint
    detail: str
    old_note: bytes
    new_note: bytes
    proof: tuple[bytes, ...]
    """Consistency proof from the stored tiles (RFC 6962 §2.1.2); it verifies only where the result is consistent."""

    @property
    def ok(self) -> bool:
        return self.result == "consistent"

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it; roots and proof in base64 as the notes write them."""
        return {
            "ok": self.ok,
            "result": self.result,
            "detail": self.detail,
            "old_note": self.old_note.decode(),
            "new_note": self.new_note.decode(),
            "proof": [strictb64.encode(digest) for digest in self.proof],
        }


def audit(view: Snapshot, old_note: bytes, verifier: Verifier) -> Audit:
    """Whether the log still is the one that signed `old_note` (ledger §8).

    NoteError: a checkpoint is not signed by this key. StoreError: the tiles do not lead to the present checkpoint, so
    nothing can be said before fsck.
    """
    new_note = _edge_of(view).note
    old, new = open_checkpoint(old_note, verifier), open_checkpoint(new_note, verifier)
    tiles = TileReader(new.size, view.tile)
    if tiles.root() != new.root:
        raise StoreError(f"tiles lead to root {tiles.root().hex()} != signed {new.root.hex()}: run fsck")
    proof = tuple(tiles.consistency(old.size)) if 0 < old.size <= new.size else ()
    then = TileReader(old.size, view.tile).root() if old.size <= new.size else b""
    result: Literal["consistent", "rollback", "fork"] = "consistent"
    detail = f"the first {old.size} of {new.size} entries are those of the older checkpoint"
    if old.size > new.size:
        result, detail = "rollback", f"size was {old.size} and is {new.size}"
    elif then != old.root:
        result, detail = "fork", f"root at size {old.size} was {old.root.hex()} and is {then.hex()}"
    elif old.size:
        verify_consistency(old.size, new.size, old.root, new.root, proof)
    return Audit(result, old, new, detail, old_note, new_note, proof)


def _edge_of(view: Snapshot) -> Edge:
    edge = view.edge()
    if edge is None:
        raise StoreError("the store holds no log: no right edge was ever written")
    return edge


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
