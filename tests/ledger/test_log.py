"""The sequencer: what an append promises, what a crash leaves, and what it refuses to continue (ledger §3.5, §3.6)."""

from threading import Thread

import pytest

from coldchain_ledger.checkpoint import open_checkpoint
from coldchain_ledger.entry import parse_entry, parse_subject_list
from coldchain_ledger.errors import EntryError, NoteError, ProofError, StoreError
from coldchain_ledger.fsck import fsck
from coldchain_ledger.index import SubjectMap, extend_head, parse_index_payload, verify_map_proof
from coldchain_ledger.keys import Ed25519Signer, MLDSA44Signer, parse_vkey
from coldchain_ledger.log import CLOCK_SLACK_US, Log, Outcome, create_log
from coldchain_ledger.memory import MemoryStore
from coldchain_ledger.merkle import EMPTY_ROOT, leaf_hash, tree_root, verify_inclusion
from coldchain_ledger.note import open_note
from coldchain_ledger.receipt import parse_receipt


def added(*indices, at_us):
    return [Outcome("added", index, at_us) for index in indices]


def test_a_new_log_has_a_signed_checkpoint_of_the_empty_tree(log, signer, verifier):
    checkpoint = open_checkpoint(log.checkpoint(), verifier)
    assert (checkpoint.origin, checkpoint.size, checkpoint.root) == (signer.name, 0, EMPTY_ROOT)
    assert (log.origin, log.vkey) == (signer.name, signer.vkey())


def test_creating_a_log_again_keeps_the_one_there_is(log, store, signer, make_draft):
    log.append([make_draft(0)])
    before = log.edge()
    create_log(store, [signer])
    assert log.edge() == before


def test_a_store_without_a_log_does_not_open(signer, clock):
    with pytest.raises(StoreError, match="no log"):
        Log(MemoryStore(), [signer], clock)


def test_appended_entries_are_numbered_dated_and_under_a_signed_checkpoint(log, make_draft, stored, clock, verifier):
    drafts = [make_draft(n) for n in range(300)]
    assert log.append(drafts) == added(*range(300), at_us=clock.now_us)
    edge, entries = stored()
    assert [parse_entry(data).payload for data in entries] == [draft.payload for draft in drafts]
    assert edge.root == tree_root([leaf_hash(data) for data in entries])
    checkpoint = open_checkpoint(edge.note, verifier)
    assert (checkpoint.size, checkpoint.root, edge.at_us) == (300, edge.root, clock.now_us)


def test_one_by_one_or_all_at_once_gives_the_same_tree(make_draft, signer, clock):
    roots = set()
    for batch in (1, 7, 256, 600):
        store = MemoryStore()
        create_log(store, [signer])
        log = Log(store, [signer], clock)
        for start in range(0, 600, batch):
            log.append([make_draft(n) for n in range(start, min(start + batch, 600))])
        roots.add(log.edge().root)
    assert len(roots) == 1


def test_an_append_of_nothing_signs_nothing(log):
    before = log.edge()
    assert log.append([]) == []
    assert log.edge() == before


def test_the_same_key_and_payload_is_a_duplicate_and_appends_nothing(log, make_draft, clock):
    log.append([make_draft(0), make_draft(1)])
    before, then = log.edge(), clock.now_us
    clock.now_us += 1_000
    assert log.append([make_draft(1)]) == [Outcome("duplicate", 1, then)]
    assert log.edge() == before


def test_the_same_key_with_another_payload_is_a_conflict_and_appends_nothing(log, make_draft, clock):
    log.append([make_draft(0)])
    before = log.edge()
    assert log.append([make_draft(0, payload=b"other")]) == [Outcome("conflict", 0, clock.now_us)]
    assert log.edge() == before


def test_duplicates_and_conflicts_inside_one_batch_stand_against_its_first_copy(log, make_draft, clock):
    log.append([make_draft(9)])
    batch = [make_draft(0), make_draft(0), make_draft(1), make_draft(0, payload=b"other"), make_draft(9), make_draft(2)]
    outcomes = log.append(batch)
    assert [(o.status, o.index) for o in outcomes] == [
        ("added", 1),
        ("duplicate", 1),
        ("added", 2),
        ("conflict", 1),
        ("duplicate", 0),
        ("added", 3),
    ]
    assert {o.at_us for o in outcomes} == {clock.now_us}


def test_one_draft_outside_the_grammar_appends_nothing_of_its_batch(log, make_draft):
    before = log.edge()
    with pytest.raises(EntryError):
        log.append([make_draft(0), make_draft(1, kind="gossip")])
    assert log.edge() == before
    assert log.append([make_draft(0)])[0].status == "added"


def test_quality_is_recorded_as_given(log, make_draft, stored):
    log.append([make_draft(0, quality={"flags": ["late"], "gap_s": 7})])
    assert parse_entry(stored()[1][0]).quality == {"flags": ["late"], "gap_s": 7}


def test_a_log_with_an_ml_dsa_key_signs_every_checkpoint_with_both(store, signer, verifier, make_draft, clock):
    try:
        second = MLDSA44Signer.generate(signer.name)
    except NoteError as error:
        pytest.skip(str(error))
    create_log(store, [signer, second])
    log = Log(store, [signer, second], clock)
    log.append([make_draft(0)])
    keys = (verifier, parse_vkey(second.vkey()))
    assert open_note(log.checkpoint(), keys).verified == keys


def test_subjects_in_any_order_are_recorded_sorted_and_once(log, make_draft, stored):
    log.append([make_draft(0, subjects=("veh:t1", "dev:a", "veh:t1"))])
    assert parse_entry(stored()[1][0]).subjects == ("dev:a", "veh:t1")


def test_chains_of_subjects_run_through_batches(log, store, make_draft, stored):
    for start in range(0, 30, 10):
        log.append([make_draft(n) for n in range(start, start + 10)])
    expected = None
    for index, data in enumerate(stored()[1]):
        if index % 5 == 3:
            expected = extend_head(expected, index, leaf_hash(data))
    with store.snapshot() as view:
        assert view.heads(["dev:truck-3"]) == {"dev:truck-3": expected}
        assert view.indices("dev:truck-3") == [3, 8, 13, 18, 23, 28]


def test_more_than_400_subjects_are_stored_aside_and_still_chained(log, store, make_draft, stored, verifier):
    names = tuple(f"case:16901234500018/{n:05d}" for n in range(500))
    log.append([make_draft(0), make_draft(1, subjects=names)])
    entry = parse_entry(stored()[1][1])
    with store.snapshot() as view:
        blob = view.blob(entry.subjects_digest[1])
        assert parse_subject_list(blob, entry.subjects_digest) == names
        assert {head.last for head in view.heads(names).values()} == {1}
        assert view.indices(names[-1]) == [1]
    assert fsck(store, verifier).ok


def test_time_in_the_log_stands_still_while_the_clock_is_set_back(log, make_draft, clock):
    noon = clock.now_us
    log.append([make_draft(0)])
    clock.now_us -= 60_000_000
    assert log.append([make_draft(1)]) == added(1, at_us=noon)
    clock.now_us = noon + 1
    assert log.append([make_draft(2)]) == added(2, at_us=noon + 1)


def test_a_clock_far_behind_the_newest_entry_keeps_the_log_shut(log, open_log, make_draft, clock):
    log.append([make_draft(0)])
    newest = clock.now_us
    clock.now_us -= CLOCK_SLACK_US
    open_log()
    clock.now_us -= 1
    with pytest.raises(StoreError, match=f"{clock.now_us} < {newest}"):
        open_log()


def test_another_key_keeps_the_log_shut(log, store, signer, clock):
    other = Ed25519Signer.generate(signer.name)
    with pytest.raises(StoreError) as refusal:
        Log(store, [other], clock)
    assert other.vkey() in str(refusal.value)
    assert signer.key_id.hex() in str(refusal.value)


@pytest.mark.parametrize(
    ("tamper", "message"),
    [
        (lambda store: store.tamper_edge(root=bytes(32)), "checkpoint mismatch: signed size 300 root"),
        (lambda store: store.tamper_edge(size=299), "signed size 300 .* stored edge size 299"),
        (lambda store: store.tamper_edge(at_us=1), "newest entry is of .* us != edge of 1 us"),
        (lambda store: store.tamper_edge(note=b"nonsense"), "not by the configured key"),
        (lambda store: store.tamper_tile(0, 1, 43), "root mismatch at size 300: tiles"),
        (lambda store: store.tamper_tile(1, 0, 0), "root mismatch at size 300: tiles"),
        (lambda store: store.tamper_entry(299, b"reading", b"feeling"), "entry 299 hashes to"),
        (lambda store: store.cut_entries(299), "no entry 299"),
    ],
)
def test_a_log_that_its_checkpoint_does_not_match_stays_shut(log, open_log, store, make_draft, tamper, message):
    log.append([make_draft(n) for n in range(300)])
    open_log()
    tamper(store)
    with pytest.raises(StoreError, match=message):
        open_log()


def test_an_edge_changed_behind_a_running_log_stops_it_before_it_signs(log, store, make_draft):
    log.append([make_draft(n) for n in range(3)])
    store.tamper_edge(root=bytes(32))
    with pytest.raises(StoreError, match="checkpoint mismatch"):
        log.append([make_draft(3)])


def test_two_writers_on_one_store_continue_each_other(open_log, make_draft, stored, store, verifier):
    logs = [open_log(), open_log()]
    for n in range(40):
        assert logs[n % 3 % 2].append([make_draft(n)])[0].index == n
    assert logs[1].append([make_draft(3, payload=b"other")])[0].status == "conflict"
    edge, entries = stored()
    assert edge.root == tree_root([leaf_hash(data) for data in entries])
    assert fsck(store, verifier).ok


def test_threads_sharing_a_log_append_each_draft_once(log, make_draft, store, verifier):
    outcomes = []

    def work():
        outcomes.extend(log.append([make_draft(n)])[0] for n in range(60))

    threads = [Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(o.index for o in outcomes if o.status == "added") == list(range(60))
    assert sum(o.status == "duplicate" for o in outcomes) == 180
    assert fsck(store, verifier).entries == 60


OPERATIONS = ["edge", "find", "append", "heads", "put_tiles", "put_heads", "put_blob", "put_edge"]


@pytest.mark.parametrize(
    ("crash_at", "keep", "then"),
    [
        *((operation, False, "progress") for operation in OPERATIONS),
        ("commit", False, "progress"),
        ("commit", True, "progress"),
        # Below here the store broke its promise and kept half a transaction.
        ("edge", True, "progress"),
        ("find", True, "progress"),
        ("append", True, "fatal"),
        ("heads", True, "fatal"),
        ("put_tiles", True, "fatal"),
        ("put_heads", True, "fatal"),
        ("put_blob", True, "fatal"),
        ("put_edge", True, "progress"),
    ],
)
@pytest.mark.parametrize("restart", [False, True], ids=["same process", "after restart"])
def test_after_a_crash_the_log_goes_on_or_stops_for_good(
    log, open_log, store, make_draft, stored, verifier, clock, crash_at, keep, then, restart
):
    """Failure point x {not persisted, persisted} -> {progress, fatal}."""
    log.append([make_draft(n) for n in range(5)])
    before = stored()
    batch = [make_draft(5), make_draft(6, subjects=tuple(f"case:{n:04d}" for n in range(401)))]
    store.crash_at, store.keep = crash_at, keep
    with pytest.raises(store.Crash, match=crash_at):
        log.append(batch)
    persisted = keep and crash_at in ("commit", "put_edge")
    clock.now_us += 1_000
    log = open_log() if restart else log
    if then == "progress":
        status = "duplicate" if persisted else "added"
        assert [(o.status, o.index) for o in log.append(batch)] == [(status, 5), (status, 6)]
        assert stored()[1][:5] == before[1]
        assert fsck(store, verifier).ok
    else:
        with pytest.raises(StoreError, match="beyond the edge"):
            log.append(batch)
        with pytest.raises(StoreError):
            log.append([make_draft(7)])
        assert stored() == before
        assert not fsck(store, verifier).ok


def test_after_an_unknown_commit_the_stored_edge_is_read_before_anything_is_signed(
    log, open_log, store, make_draft, verifier
):
    """The commit is lost, another writer takes the place, and the first must not sign a second tree of that size."""
    log.append([make_draft(0)])
    other = open_log()
    store.crash_at, store.keep = "commit", False
    with pytest.raises(store.Crash, match="commit"):
        log.append([make_draft(1)])
    other.append([make_draft(2)])
    assert log.append([make_draft(1)])[0].index == 2
    assert fsck(store, verifier).ok


def test_an_index_entry_commits_to_every_subject_before_it(log, store, make_draft, stored):
    log.append([make_draft(n) for n in range(20)])
    outcome = log.append_index()
    entry = parse_entry(stored()[1][20])
    root, size, subjects = parse_index_payload(entry.payload)
    assert (outcome.status, outcome.index, size, subjects) == ("added", 20, 20, 5)
    assert (entry.kind, entry.by, entry.type, entry.key, entry.grade, entry.subjects) == (
        "index",
        log.origin,
        "application/json",
        "index/20",
        "derived",
        (),
    )
    with store.snapshot() as view:
        heads = dict(view.all_heads())
    proof = SubjectMap(heads.items()).prove("dev:truck-2")
    assert verify_map_proof(root, "dev:truck-2", proof) == heads["dev:truck-2"]


def test_an_index_of_an_empty_log_is_the_empty_map(log, stored, store, verifier):
    log.append_index()
    assert parse_index_payload(parse_entry(stored()[1][0]).payload) == (bytes(32), 0, 0)
    assert fsck(store, verifier).ok


def test_a_receipt_proves_one_entry_under_the_newest_checkpoint(log, make_draft, stored, verifier):
    log.append([make_draft(n) for n in range(700)])
    _, entries = stored()
    for index in (0, 255, 256, 699):
        receipt = parse_receipt(log.receipt(index))
        checkpoint = open_checkpoint(receipt.note, verifier)
        verify_inclusion(index, checkpoint.size, leaf_hash(entries[index]), receipt.proof, checkpoint.root)
        assert receipt.index == index
    with pytest.raises(ProofError):
        log.receipt(700)


def test_a_refused_payload_is_never_partly_there(log, make_draft, store):
    with pytest.raises(EntryError, match="payload has 50000 bytes"):
        log.append([make_draft(0, payload=bytes(50_000))])
    with store.snapshot() as view, pytest.raises(StoreError):
        view.entry(0)
