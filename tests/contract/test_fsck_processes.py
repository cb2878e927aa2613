"""Several processes check one log, on every kind of store, and while it grows."""

import os
from array import array

import pytest

from coldchain.db.engine import make_engine
from coldchain.db.ledger_store import SqlStore
from coldchain_ledger.errors import StoreError
from coldchain_ledger.fsck import fsck
from coldchain_ledger.keys import Ed25519Signer, parse_vkey
from coldchain_ledger.log import Draft, Log, create_log
from coldchain_ledger.memory import MemoryStore
from coldchain_ledger.stretch import Crew, digest_of_keys
from opening import migrated_file

SIGNER = Ed25519Signer.generate("shared.example/log")
VERIFIER = parse_vkey(SIGNER.vkey())
SIZE = 1_100


@pytest.fixture(autouse=True)
def short_stretches(monkeypatch):
    monkeypatch.setattr("coldchain_ledger.stretch.STRETCH", 256)


def drafts(first, stop):
    for n in range(first, stop):
        yield Draft("event", "polar", "text/plain", f"key/{n}", "signed", ("all", f"dev:{n % 7}"), b"event %d" % n)


def fill(store):
    """1,100 entries, the last tile not full, with an index entry in between."""
    create_log(store, [SIGNER])
    log = Log(store, [SIGNER], lambda: 1_000)
    log.append(list(drafts(0, 600)))
    log.append_index()
    log.append(list(drafts(601, SIZE)))
    return log


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
def open_store(request, tmp_path):
    """Gives the same log each time, through nothing that was used before."""
    if request.param == "memory":
        store = MemoryStore()
        yield lambda: store
        return
    if request.param == "sqlite":
        url = migrated_file(tmp_path / "coldchain.db")
    else:
        url = request.getfixturevalue("migrated_postgres")()
    engines = []

    def open_new():
        engines.append(make_engine(url))
        return SqlStore(engines[-1])

    yield open_new
    for engine in engines:
        engine.dispose()


def test_all_processes_together_read_what_one_reads(open_store):
    fill(open_store())
    alone, shared = fsck(open_store(), VERIFIER), fsck(open_store(), VERIFIER, processes=2)
    assert (shared.ok, shared.entries, shared.root) == (True, SIZE, alone.root)


def test_of_two_edited_entries_the_first_is_named_whichever_process_meets_which():
    store = MemoryStore()
    fill(store)
    for index in (900, 300):
        store._entries[index] = store._entries[index].replace(b"event", b"avent")
    assert fsck(store, VERIFIER, processes=2).first_bad["index"] == 300


@pytest.mark.parametrize("open_store", ["sqlite", "postgresql"], indirect=True)
def test_what_is_committed_meanwhile_does_not_show(open_store):
    log = fill(open_store())
    with open_store().snapshot() as view:
        naming = {name: array("Q", view.indices(name)) for name in ("all", "dev:3")}
    with Crew(open_store(), 2) as crew:
        log.append(list(drafts(SIZE, SIZE + 500)))
        stored_keys = crew.keys(SIZE)
        stretches = list(crew.stretches(1_024))
        assert None not in stretches
        rest = [(f"key/{n}", n) for n in range(1_024, SIZE)]
        assert stored_keys() == sum(stretch.keys_digest for stretch in stretches) + digest_of_keys(rest)
        assert list(crew.unlike(naming, SIZE)) == []
        naming["dev:3"].pop()
        assert "dev:3" in list(crew.unlike(naming, SIZE))


def test_a_process_ended_from_outside_leaves_the_log_unchecked(monkeypatch):
    store = MemoryStore()
    fill(store)
    monkeypatch.setattr("coldchain_ledger.stretch.check_stretch", lambda *_: os._exit(9))
    with pytest.raises(StoreError, match="ended from outside"):
        fsck(store, VERIFIER, processes=2)
