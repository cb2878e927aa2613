"""The sequencer: append a batch, get indices and a signed checkpoint, in one transaction (ledger §3.5, §3.6).

Nothing outlives a crash but what the store has committed. Opening a log, and every append that finds the edge not as it
left it, run the same `_read_state`; recovery is not a path of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Literal

from coldchain_ledger.checkpoint import Checkpoint, open_checkpoint
from coldchain_ledger.entry import encode_with_list, parse_entry
from coldchain_ledger.errors import NoteError, StoreError
from coldchain_ledger.index import IndexProof, SubjectMap, extend_chain, index_payload
from coldchain_ledger.keys import Signer, Verifier, parse_vkey
from coldchain_ledger.merkle import EMPTY_ROOT, leaf_hash
from coldchain_ledger.note import sign_note
from coldchain_ledger.receipt import encode_receipt
from coldchain_ledger.rows import Row
from coldchain_ledger.store import Edge, Head, Snapshot, Store, Transaction
from coldchain_ledger.tiles import Frontier, TileReader

CLOCK_SLACK_US = 5_000_000
"""How far behind the newest entry the clock may be when a log is opened (ledger §3.6)."""


@dataclass(slots=True, init=False)
class Draft:
    """What an entry will say; the log gives it index and time. Subjects may come in any order and repeat."""

    kind: str
    by: str
    type: str
    key: str
    grade: str
    subjects: Sequence[str]
    payload: bytes
    quality: Mapping[str, Any] | None

    def __init__(
        self,
        kind: str,
        by: str,
        type: str,  # noqa: A002 (the header's own name for it)
        key: str,
        grade: str,
        subjects: Sequence[str],
        payload: bytes,
        quality: Mapping[str, Any] | None = None,
    ) -> None:
        self.kind, self.by, self.type, self.key = kind, by, type, key
        self.grade, self.subjects, self.payload, self.quality = grade, subjects, payload, quality


@dataclass(slots=True, init=False)
class Outcome:
    """Where the draft's key stands in the log.

    added: this draft is entry `index`. duplicate: entry `index` has this key and this payload already. conflict: it has
    this key and another payload, and nothing was appended for the draft.
    """

    status: Literal["added", "duplicate", "conflict"]
    index: int
    at_us: int
    """`at` of entry `index`, microseconds since the epoch."""

    def __init__(self, status: Literal["added", "duplicate", "conflict"], index: int, at_us: int) -> None:
        self.status, self.index, self.at_us = status, index, at_us


@dataclass(frozen=True, slots=True)
class _State:
    """A stored edge and the frontier that leads to its root."""

    edge: Edge
    frontier: Frontier


def create_log(store: Store, signers: Sequence[Signer]) -> None:
    """The store has a log afterwards: the one it had, or an empty one whose origin is the first signer's name."""
    with store.transaction() as transaction:
        if transaction.edge() is None:
            transaction.put_edge(Edge(0, EMPTY_ROOT, 0, _signed_checkpoint(signers, 0, EMPTY_ROOT)))


class Log:
    """One writer of a log. Any number of them, in any process, may share the store; threads may share one Log."""

    def __init__(self, store: Store, signers: Sequence[Signer], clock: Callable[[], int]) -> None:
        """Refuses to open (StoreError, with both values) a log that this key or this clock must not continue.

        signers: the first is the log's Ed25519 key and names its origin; further ones sign the same checkpoints.
        clock: integer microseconds since the epoch, UTC.
        """
        self._store = store
        self._signers = tuple(signers)
        self.clock = clock
        self.vkey = signers[0].vkey()
        self._verifier = parse_vkey(self.vkey)
        self.origin = signers[0].name
        with store.snapshot() as snapshot:
            self._state: _State | None = _read_state(snapshot, self._verifier)
        newest, now = self._state.edge.at_us, clock()
        if now < newest - CLOCK_SLACK_US:
            raise StoreError(f"clock is {newest - now} us behind the newest entry: {now} < {newest}")

    def edge(self) -> Edge:
        """The committed right edge, whoever wrote it."""
        with self._store.snapshot() as snapshot:
            return edge_of(snapshot)

    def checkpoint(self) -> bytes:
        """The committed checkpoint, a signed note."""
        return self.edge().note

    def append(self, drafts: Sequence[Draft]) -> list[Outcome]:
        """The outcome of each draft, in order; all that is `added` is durable and under a signed checkpoint.

        One transaction: when it raises before commit nothing happened; when commit itself raised, all or nothing did.
        Either way the same call again gives the outcomes. EntryError: a draft is outside the grammar.
        """
        with self._store.transaction() as transaction:
            # From here to the last line there is no cached state: whatever raises, an unknown COMMIT outcome above all,
            # the next append reads and checks the edge again before it signs.
            state, self._state = self._state, None
            state, outcomes = self._append(transaction, state, drafts)
        self._state = state
        return outcomes

    def append_index(self) -> Outcome:
        """Record the root of the subject map over every entry so far (ledger §5.5).

        Due every 100,000 entries or daily. It reads every head inside the transaction: some 5 s for a million subjects.
        """
        return self._append_index()[0]

    def prove_subjects(self, names: Collection[str]) -> IndexProof:
        """What the index says of these subjects now, for a dossier: of all entries so far that name them.

        Appends an index entry unless one is the newest entry already.
        """
        with self._store.snapshot() as snapshot:
            newest = edge_of(snapshot).size - 1
            if snapshot.find([f"index/{newest}"]):  # it names nobody, so the heads are still those that it covers
                subjects = SubjectMap(snapshot.all_heads())
                return IndexProof(newest, {name: subjects.prove(name) for name in names})
        outcome, subjects = self._append_index()
        return IndexProof(outcome.index, {name: subjects.prove(name) for name in names})

    def _append_index(self) -> tuple[Outcome, SubjectMap]:
        with self._store.transaction() as transaction:
            state, self._state = self._state, None
            subjects, size = SubjectMap(transaction.all_heads()), edge_of(transaction).size
            payload = index_payload(subjects.root, size, len(subjects))
            draft = Draft("index", self.origin, "application/json", f"index/{size}", "derived", (), payload)
            state, outcomes = self._append(transaction, state, [draft])
        self._state = state
        return outcomes[0], subjects

    def receipt(self, index: int) -> bytes:
        """A tlog-proof file: entry `index` is under the committed checkpoint (ledger §7.1). Raises ProofError."""
        with self._store.snapshot() as snapshot:
            edge = edge_of(snapshot)
            proof = TileReader(edge.size, snapshot.tile).inclusion(index)
        return encode_receipt(index, proof, edge.note)

    def _append(
        self, transaction: Transaction, cached: _State | None, drafts: Sequence[Draft]
    ) -> tuple[_State, list[Outcome]]:
        # Another writer may have moved the edge since; the transaction excludes it until we commit.
        if cached is None or cached.edge != transaction.edge():
            cached = _read_state(transaction, self._verifier)
        at_us = max(self.clock(), cached.edge.at_us)
        batch = _Batch(transaction, cached.edge.size, at_us, drafts)
        outcomes = [batch.add(draft) for draft in drafts]
        return (self._write(transaction, cached, batch) if batch.rows else cached), outcomes

    def _write(self, transaction: Transaction, state: _State, batch: _Batch) -> _State:
        """Entries, tiles, heads and the checkpoint over them. A crash anywhere in here leaves the log as it was: the
        note signed below dies with the transaction and never left the process (ledger §3.5)."""
        frontier = state.frontier  # ours alone: it left the cache and returns there only after commit
        tiles = frontier.append([row.leaf for row in batch.rows])
        root = frontier.root()
        edge = Edge(frontier.size, root, batch.at_us, _signed_checkpoint(self._signers, frontier.size, root))
        transaction.append(batch.rows)
        transaction.put_tiles(tiles)
        transaction.put_heads(_advance_heads(transaction, batch.rows))
        for digest, blob in batch.lists.items():
            transaction.put_blob(digest, blob)
        transaction.put_edge(edge)
        # A crash after commit, before the caller hears of it: its drafts come again and are duplicates.
        return _State(edge, frontier)


class _Batch:
    """Drafts on their way to rows."""

    def __init__(self, transaction: Transaction, first: int, at_us: int, drafts: Sequence[Draft]) -> None:
        self.rows: list[Row] = []
        self.lists: dict[bytes, bytes] = {}
        """Subject lists too long for their header, by SHA-256 (ledger §2.3)."""
        self.at_us = at_us
        self._transaction = transaction
        self._first = first
        self._taken = transaction.find({draft.key for draft in drafts})
        """Index by key, of the log's entries and then of this batch's as well."""
        _refuse_beyond(first, "key", self._taken)

    def add(self, draft: Draft) -> Outcome:
        holder = self._taken.get(draft.key)
        if holder is not None:
            return self._compare(draft, holder)
        subjects = tuple(draft.subjects) if len(draft.subjects) < 2 else tuple(sorted(set(draft.subjects)))
        data, names = encode_with_list(draft, self.at_us, subjects)
        if names is not None:
            self.lists[sha256(names).digest()] = names
        index = self._first + len(self.rows)
        self.rows.append(Row(index, self.at_us, draft.kind, draft.key, subjects, leaf_hash(data), data))
        self._taken[draft.key] = index
        return Outcome("added", index, self.at_us)

    def _compare(self, draft: Draft, holder: int) -> Outcome:
        fresh = holder - self._first
        held = parse_entry(self.rows[fresh].data if fresh >= 0 else self._transaction.entry(holder))
        return Outcome("duplicate" if held.payload == draft.payload else "conflict", holder, held.at_us)


def _advance_heads(transaction: Transaction, rows: Sequence[Row]) -> dict[str, Head]:
    """The chains of all subjects these rows name, after them (ledger §5.2); one bulk read."""
    named: dict[str, list[tuple[int, bytes]]] = {}
    for row in rows:
        for subject in row.subjects:
            named.setdefault(subject, []).append((row.index, row.leaf))
    heads = transaction.heads(named)
    _refuse_beyond(rows[0].index, "head of", {subject: head.last for subject, head in heads.items()})
    return {subject: extend_chain(heads.get(subject), links) for subject, links in named.items()}


def _refuse_beyond(size: int, what: str, indices: Mapping[str, int]) -> None:
    """A store that kept half of a transaction must not have its other half answered for or built upon."""
    for name, index in indices.items():
        if index >= size:
            raise StoreError(f"{what} {name} is at entry {index}, beyond the edge at size {size}")


def _signed_checkpoint(signers: Sequence[Signer], size: int, root: bytes) -> bytes:
    return sign_note(Checkpoint(signers[0].name, size, root).text(), signers)


def edge_of(view: Snapshot) -> Edge:
    """The committed right edge. StoreError: the store holds no log."""
    edge = view.edge()
    if edge is None:
        raise StoreError("the store holds no log: no right edge was ever written")
    return edge


def _read_state(view: Snapshot, verifier: Verifier) -> _State:
    """The stored edge, after checking that it is ours to continue (ledger §3.6). StoreError tells both values."""
    edge = edge_of(view)
    _check_checkpoint(edge, verifier)
    frontier = Frontier.load(edge.size, view.tile)
    if frontier.root() != edge.root:
        raise StoreError(f"root mismatch at size {edge.size}: tiles {frontier.root().hex()} != edge {edge.root.hex()}")
    if edge.size:
        _check_newest(view, edge)
    return _State(edge, frontier)


def _check_checkpoint(edge: Edge, verifier: Verifier) -> None:
    try:
        checkpoint = open_checkpoint(edge.note, verifier)
    except NoteError as error:
        raise StoreError(f"newest checkpoint is not by the configured key {verifier.vkey()}: {error}") from error
    if (checkpoint.size, checkpoint.root) != (edge.size, edge.root):
        raise StoreError(
            f"checkpoint mismatch: signed size {checkpoint.size} root {checkpoint.root.hex()}"
            f" != stored edge size {edge.size} root {edge.root.hex()}"
        )


def _check_newest(view: Snapshot, edge: Edge) -> None:
    """A tail cut off below the edge shows here, and a newest entry that is not the one hashed."""
    data = view.entry(edge.size - 1)
    leaf, stored = leaf_hash(data), TileReader(edge.size, view.tile).leaf(edge.size - 1)
    if leaf != stored:
        raise StoreError(f"entry {edge.size - 1} hashes to {leaf.hex()} != {stored.hex()} in its tile")
    at_us = parse_entry(data).at_us
    if at_us != edge.at_us:
        raise StoreError(f"newest entry is of {at_us} us != edge of {edge.at_us} us")
