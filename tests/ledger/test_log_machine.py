"""No history of appends, crashes, restarts, second writers and tampering breaks a promise (ledger §3.5, §9)."""

from contextlib import contextmanager

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from coldchain_ledger.audit import audit
from coldchain_ledger.checkpoint import open_checkpoint
from coldchain_ledger.entry import parse_entry
from coldchain_ledger.errors import StoreError
from coldchain_ledger.fsck import fsck
from coldchain_ledger.index import extend_head, index_payload, map_root
from coldchain_ledger.keys import Ed25519Signer, parse_vkey
from coldchain_ledger.log import CLOCK_SLACK_US, Draft, Log, create_log
from coldchain_ledger.memory import MemoryStore
from coldchain_ledger.merkle import leaf_hash, tree_root
from exploring import examples

SIGNER = Ed25519Signer.generate("localhost/machine")
VERIFIER = parse_vkey(SIGNER.vkey())
WRITERS = st.sampled_from([0, 1])
CRASHES = st.sampled_from(["edge", "find", "append", "heads", "put_tiles", "put_heads", "put_edge", "commit"])


def drafts(keys, max_size):
    """Batches over a small key space, so that duplicates and conflicts are common."""
    draft = st.builds(
        Draft,
        kind=st.sampled_from(["telemetry", "event"]),
        by=st.just("polar"),
        type=st.just("application/json"),
        key=st.integers(0, keys).map("key/{}".format),
        grade=st.just("signed"),
        subjects=st.lists(st.sampled_from(["dev:a", "dev:b", "sscc:1", "veh:t"]), max_size=3).map(tuple),
        payload=st.sampled_from([b"one", b"one", b"one", b"two"]),
    )
    return st.lists(draft, max_size=max_size)


BATCHES = drafts(12, 8) | drafts(1000, 40)


class LedgerMachine(RuleBasedStateMachine):
    """Two writers on one store, beside a model that is a list of (key, payload)."""

    def __init__(self, faulty_store):
        super().__init__()
        self.now_us = 1_700_000_000_000_000
        self.store = faulty_store()
        create_log(self.store, [SIGNER])
        self.writers = [self.open_log(), self.open_log()]
        self.model = []
        self.notes = []

    def open_log(self, store=None):
        return Log(store or self.store, [SIGNER], lambda: self.now_us)

    # What the model says

    def expected(self, batch):
        """(status, index) of each draft, and the model after the batch."""
        after, outcomes = list(self.model), []
        taken = {key: index for index, (key, _) in enumerate(self.model)}
        for draft in batch:
            index = taken.setdefault(draft.key, len(after))
            if index == len(after):
                outcomes.append(("added", index))
                after.append((draft.key, draft.payload))
            else:
                outcomes.append(("duplicate" if after[index][1] == draft.payload else "conflict", index))
        return outcomes, after

    def read(self):
        with self.store.snapshot() as view:
            edge = view.edge()
            return edge, list(view.entries(0, edge.size))

    # What happens

    @initialize(size=st.sampled_from([0, 1, 250, 255, 256, 510]))
    def begin(self, size):
        """Most of the ways to be wrong are near the edge of a full tile."""
        first = [Draft("event", "polar", "text/plain", f"first/{n}", "declared", ("dev:a",), b"") for n in range(size)]
        self.append(0, first)
        self.keep_the_checkpoint()

    @rule(writer=WRITERS, batch=BATCHES)
    def append(self, writer, batch):
        outcomes, after = self.expected(batch)
        assert [(o.status, o.index) for o in self.writers[writer].append(batch)] == outcomes
        self.model = after

    @rule(writer=WRITERS, batch=BATCHES, crash_at=CRASHES)
    def crash_before_commit(self, writer, batch, crash_at):
        self.store.crash_at, self.store.keep = crash_at, False
        with pytest.raises(self.store.Crash):
            self.writers[writer].append(batch)

    @rule(writer=WRITERS, batch=BATCHES, other_first=st.booleans())
    def crash_after_commit(self, writer, batch, other_first):
        self.store.crash_at, self.store.keep = "commit", True
        with pytest.raises(self.store.Crash):
            self.writers[writer].append(batch)
        _, self.model = self.expected(batch)
        self.append(1 - writer if other_first else writer, batch)

    @rule(writer=WRITERS)
    def append_index(self, writer):
        size, heads = len(self.model), {}
        for index, data in enumerate(self.read()[1]):
            for subject in parse_entry(data).subjects:
                heads[subject] = extend_head(heads.get(subject), index, leaf_hash(data))
        outcome = self.writers[writer].append_index()
        assert (outcome.status, outcome.index) == ("added", size)
        self.model.append((f"index/{size}", index_payload(map_root(heads.items()), size, len(heads))))

    @rule(step_us=st.sampled_from([-CLOCK_SLACK_US - 1, -1_000, 1, 3_000_000]))
    def set_clock(self, step_us):
        self.now_us += step_us

    @rule(writer=WRITERS)
    def restart(self, writer):
        newest = self.read()[0].at_us
        if self.now_us < newest - CLOCK_SLACK_US:
            with pytest.raises(StoreError, match=f"{self.now_us} < {newest}"):
                self.open_log()
            self.now_us = newest
        self.writers[writer] = self.open_log()

    @rule()
    def keep_the_checkpoint(self):
        self.notes = [*self.notes[-3:], self.writers[0].checkpoint()]

    # What an attacker tries; each is undone, so that the history goes on

    @precondition(lambda self: self.model)
    @rule(data=st.data())
    def tamper_with_an_entry(self, data):
        index = data.draw(st.integers(0, len(self.model) - 1))
        original = bytearray(self.store._entries[index])
        original[data.draw(st.integers(0, len(original) - 1))] ^= 1
        with self.altered(self.store._entries, index, bytes(original)):
            bad = fsck(self.store, VERIFIER).first_bad
            assert (bad["index"], bad["what"], bad["found"]) == (index, "entry", leaf_hash(bytes(original)).hex())
            if index == len(self.model) - 1:
                with pytest.raises(StoreError):
                    self.open_log()

    @precondition(lambda self: self.model)
    @rule(data=st.data())
    def tamper_with_a_tile(self, data):
        place = data.draw(st.sampled_from(sorted(self.store._tiles)))
        tile = bytearray(self.store._tiles[place])
        tile[data.draw(st.integers(0, len(tile) - 1))] ^= 1
        with self.altered(self.store._tiles, place, bytes(tile)):
            assert not fsck(self.store, VERIFIER).ok

    @precondition(lambda self: self.model)
    @rule(data=st.data())
    def cut_off_the_tail(self, data):
        """Without the key: the checkpoint still demands what is gone."""
        size = data.draw(st.integers(0, len(self.model) - 1))
        tail = self.store._entries[size:]
        self.store.cut_entries(size)
        bad = fsck(self.store, VERIFIER).first_bad
        assert (bad["index"], bad["found"]) == (size, "no entry")
        with pytest.raises(StoreError):
            self.open_log()
        self.store._entries += tail

    @precondition(lambda self: self.model and self.notes)
    @rule(data=st.data(), keep_length=st.booleans())
    def rewrite_with_the_key(self, data, keep_length):
        """Only a checkpoint that someone kept shows it."""
        entries = [parse_entry(entry) for entry in self.read()[1]]
        indexed = next((n for n, entry in enumerate(entries) if entry.kind == "index"), len(entries))
        cut = min(data.draw(st.integers(0, len(entries) - 1)), indexed)
        entries = [*entries[:cut], *(e for e in entries[cut + 1 :] if keep_length and e.kind != "index")]
        rewritten = self.log_of(entries)
        assert fsck(rewritten, VERIFIER).ok
        for note in self.notes:
            size = open_checkpoint(note, VERIFIER).size
            with rewritten.snapshot() as view:
                result = audit(view, note, VERIFIER).result
            assert result == ("consistent" if size <= cut else "rollback" if size > len(entries) else "fork")

    def log_of(self, entries):
        """A log of its own under the same key."""
        store, now_us = MemoryStore(), self.now_us
        create_log(store, [SIGNER])
        self.now_us = 0
        log = self.open_log(store)
        for entry in entries:
            self.now_us = entry.at_us
            log.append([Draft(entry.kind, entry.by, entry.type, entry.key, entry.grade, entry.subjects, entry.payload)])
        self.now_us = now_us
        return store

    @contextmanager
    def altered(self, container, key, value):
        original, container[key] = container[key], value
        yield
        container[key] = original

    # What always holds

    @invariant()
    def the_tree_is_the_naive_tree_over_what_is_stored(self):
        edge, entries = self.read()
        leaves = [leaf_hash(data) for data in entries]
        assert edge.root == tree_root(leaves)
        for note in [edge.note, *self.notes]:
            checkpoint = open_checkpoint(note, VERIFIER)
            assert checkpoint.root == tree_root(leaves[: checkpoint.size])

    @invariant()
    def every_acknowledged_index_holds_those_bytes(self):
        entries = [parse_entry(data) for data in self.read()[1]]
        assert [(entry.key, entry.payload) for entry in entries] == self.model

    @invariant()
    def fsck_finds_nothing(self):
        report = fsck(self.store, VERIFIER)
        assert report.ok, report.first_bad


def test_no_history_breaks_the_logs_promises(faulty_store):
    run_state_machine_as_test(
        lambda: LedgerMachine(faulty_store),
        settings=settings(max_examples=examples(40), stateful_step_count=30, deadline=None),
    )
