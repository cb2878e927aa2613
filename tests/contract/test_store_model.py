"""A database store and the one in memory, given the same history, give the same answers at every step."""

import itertools
from contextlib import ExitStack

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from coldchain.db import bundles, ledger_store
from coldchain.db.ledger_store import SqlStore
from coldchain_ledger.errors import StoreError
from coldchain_ledger.index import extend_head
from coldchain_ledger.memory import MemoryStore
from coldchain_ledger.merkle import leaf_hash
from coldchain_ledger.rows import Row
from coldchain_ledger.store import Edge
from coldchain_ledger.tiles import Frontier
from exploring import examples

NAMES = ("dev:1", "dev:2", "sscc:3", "lot:四")
KEYS = tuple(f"key/{n}" for n in range(30))
LOGS = itertools.count(100)

batches = st.lists(
    st.tuples(st.sampled_from(KEYS), st.sets(st.sampled_from(NAMES)).map(lambda names: tuple(sorted(names)))),
    max_size=6,
)


def answers(view):
    edge = view.edge()
    size = edge.size if edge else 0
    return {
        "edge": edge,
        "entries": list(view.entries(0, size)),
        "some entries": list(view.entries(size // 3, size // 2)),
        "one by one": [view.entry(index) for index in range(0, size, 50)],
        "heads": dict(view.all_heads()),
        "some heads": view.heads(NAMES[:2]),
        "keys": view.find(KEYS),
        "chains": [view.indices(name) for name in NAMES],
        "parts": [view.indices(name, size // 3, size // 2) for name in NAMES],
        "tiles": [view.tile(0, n) for n in range((size + 255) // 256)],
    }


def append(transaction, batch):
    """What a log does; and its answers before it is over."""
    size = transaction.edge().size if transaction.edge() else 0
    rows = []
    for index, (key, names) in enumerate(batch, size):
        data = f"{index} {key}".encode()
        rows.append(Row(index, index, "event", key, names, leaf_hash(data), data))
    heads = transaction.heads({name for row in rows for name in row.subjects})
    for row in rows:
        for name in row.subjects:
            heads[name] = extend_head(heads.get(name), row.index, row.leaf)
    transaction.append(rows)
    transaction.put_heads(heads)
    if rows:
        transaction.put_tiles(Frontier.load(size, transaction.tile).append([row.leaf for row in rows]))
    transaction.put_edge(Edge(size + len(rows), leaf_hash(b"%d" % (size + len(rows))), size, b"note"))
    return answers(transaction)


class GivenUp(Exception):
    """Why a transaction was left."""


class TwoStores(RuleBasedStateMachine):
    engine = None

    def __init__(self):
        super().__init__()
        self.stores = (SqlStore(self.engine, next(LOGS)), MemoryStore())
        self.early = []
        self.open = ExitStack()

    def both(self, use):
        """Both outcomes: answers, or that the store refused."""
        outcomes = []
        for store in self.stores:
            try:
                outcomes.append(use(store))
            except StoreError:
                outcomes.append("refused")
        assert outcomes[0] == outcomes[1]

    @initialize(size=st.sampled_from([0, 0, 255, 512, 600]))
    def begin(self, size):
        """Some of the histories go on from full bundles."""
        self.commit([(f"first/{n}", NAMES[n % 7 : n % 7 + 1]) for n in range(size)])

    @rule()
    def compact(self):
        for store in self.stores:
            while store.compact():
                pass

    @rule(batch=batches)
    def commit(self, batch):
        def write(store):
            with store.transaction() as transaction:
                return append(transaction, batch)

        self.both(write)

    @rule(batch=batches)
    def give_up(self, batch):
        def write(store):
            try:
                with store.transaction() as transaction:
                    seen = append(transaction, batch)
                    raise GivenUp
            except GivenUp:
                return seen

        self.both(write)

    @rule()
    def look(self):
        def read(store):
            with store.snapshot() as snapshot:
                return answers(snapshot)

        self.both(read)

    @rule()
    def keep_a_snapshot_open(self):
        if len(self.early) < 3:
            self.early.append([self.open.enter_context(store.snapshot()) for store in self.stores])

    @rule()
    def look_through_every_open_snapshot(self):
        for sql, memory in self.early:
            assert answers(sql) == answers(memory)

    def teardown(self):
        self.look_through_every_open_snapshot()
        self.open.close()


@pytest.mark.parametrize("shelf_every", [3, 1_000], ids=["keys shelved often", "keys all recent"])
def test_a_database_answers_as_memory_does(engine, monkeypatch, shelf_every):
    monkeypatch.setattr(ledger_store, "_SHELF_EVERY", shelf_every)
    monkeypatch.setattr(bundles, "BEHIND", 0)
    machine = type("Machine", (TwoStores,), {"engine": engine})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples(20), stateful_step_count=15, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
