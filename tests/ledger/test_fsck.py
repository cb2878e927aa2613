"""fsck names what was changed and says what that proves; audit shows what fsck cannot (ledger §8)."""

from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from coldchain_ledger.audit import audit
from coldchain_ledger.checkpoint import Checkpoint
from coldchain_ledger.entry import Entry, encode_entry, parse_entry
from coldchain_ledger.errors import NoteError, StoreError
from coldchain_ledger.fsck import fsck
from coldchain_ledger.index import index_payload
from coldchain_ledger.keys import Ed25519Cosigner, Ed25519Signer, parse_vkey
from coldchain_ledger.log import Log, create_log
from coldchain_ledger.memory import MemoryStore
from coldchain_ledger.merkle import leaf_hash, tree_root, verify_consistency
from coldchain_ledger.note import sign_note, signature_line
from coldchain_ledger.rows import Row
from coldchain_ledger.store import Edge
from coldchain_ledger.tiles import Frontier

SIZE = 700


@pytest.fixture
def full_log(log, make_draft, clock):
    """700 entries in uneven batches: two full tiles and a partial one, an index entry, a list stored aside."""
    log.append([make_draft(n) for n in range(300)])
    clock.now_us += 5
    log.append_index()
    log.append([make_draft(301, kind="event", subjects=tuple(f"case:{n:05d}" for n in range(450)))])
    log.append([make_draft(n) for n in range(302, SIZE - 1)])
    log.append_index()
    return log


@pytest.fixture(autouse=True)
def short_stretches(monkeypatch):
    """So that the logs of these tests have several for a crew of processes."""
    monkeypatch.setattr("coldchain_ledger.stretch.STRETCH", 256)


def bad_of(store, verifier):
    """What fsck names, however many processes look for it."""
    report = fsck(store, verifier)
    assert report.ok is (report.first_bad is None) is False
    assert fsck(store, verifier, processes=2).first_bad == report.first_bad
    return report.first_bad


def test_an_untouched_log_is_clean_and_the_report_says_what_that_does_not_prove(full_log, store, verifier):
    report = fsck(store, verifier)
    edge = full_log.edge()
    assert (report.ok, report.first_bad) == (True, None)
    assert (report.entries, report.root, report.checkpoint_size) == (SIZE, edge.root, SIZE)
    assert report.tree_entries_per_second > report.entries_per_second > 0
    assert "rewrite or truncate everything consistently" in report.not_proved
    assert report.to_dict()["root"] == edge.root.hex()


def test_several_processes_find_the_same_log_clean(full_log, store, verifier):
    alone, shared = fsck(store, verifier), fsck(store, verifier, processes=2)
    of_time = {"tree_entries_per_second": 0, "entries_per_second": 0}
    assert replace(alone, **of_time) == replace(shared, **of_time)


def cosigned(store, *witnesses):
    text = store._edge.note.decode().rsplit("\n\n", 1)[0] + "\n"
    store.tamper_edge(note=store._edge.note + "".join(signature_line(text, witness) for witness in witnesses).encode())


def test_cosignatures_by_given_witnesses_are_checked_and_others_are_named_as_not_checked(full_log, store, verifier):
    known, stranger = (Ed25519Cosigner(name, Ed25519PrivateKey.generate()) for name in ("known.example", "far.example"))
    cosigned(store, known, stranger)
    report = fsck(store, verifier, witnesses=[parse_vkey(known.vkey())])
    assert report.ok
    assert (report.signed_by, report.not_checked) == ((verifier.name, "known.example"), ("far.example",))
    assert fsck(store, verifier).not_checked == ("known.example", "far.example")


def test_a_cosignature_that_its_witness_did_not_make_is_named(full_log, store, verifier):
    witness, other = (Ed25519Cosigner("w.example", Ed25519PrivateKey.generate()) for _ in range(2))
    cosigned(store, witness)
    note = store._edge.note
    at = note.rindex(b"\n", 0, -1) + len("— w.example ".encode()) + 20  # inside the signature, behind the key id
    store.tamper_edge(note=note[:at] + (b"A" if note[at : at + 1] != b"A" else b"B") + note[at + 1 :])
    report = fsck(store, verifier, witnesses=[parse_vkey(witness.vkey())])
    assert report.first_bad["what"] == "cosignature"
    assert "nothing against the entries" in report.first_bad["proves"]
    assert fsck(store, verifier, witnesses=[parse_vkey(other.vkey())]).ok, "a witness that did not sign says nothing"


def test_an_empty_log_is_clean_and_no_log_is_an_error(log, store, verifier):
    assert fsck(store, verifier).ok
    with pytest.raises(StoreError, match="no log"):
        fsck(MemoryStore(), verifier)


@pytest.mark.parametrize("index", [0, 1, 255, 256, 299, 511, 512, 697])
def test_an_edited_entry_is_named_with_the_hash_that_was_signed(full_log, store, verifier, stored, index):
    signed = leaf_hash(stored()[1][index])
    store.tamper_entry(index, b"reading", b"feeling")
    bad = bad_of(store, verifier)
    assert (bad["index"], bad["what"]) == (index, "entry")
    assert (bad["expected"], bad["found"]) == (signed.hex(), leaf_hash(stored()[1][index]).hex())
    assert "not the bytes that were signed" in bad["proves"]


def test_of_two_edited_entries_the_first_is_named(full_log, store, verifier):
    store.tamper_entry(600, b"reading", b"feeling")
    store.tamper_entry(17, b"reading", b"feeling")
    assert bad_of(store, verifier)["index"] == 17


def test_an_entry_cut_out_or_cut_off_is_named(full_log, store, verifier):
    store.tamper_entry(40, b"reading", b"feeling")
    store.cut_entries(650)
    assert bad_of(store, verifier)["index"] == 40
    store.tamper_entry(40, b"feeling", b"reading")
    bad = bad_of(store, verifier)
    assert (bad["index"], bad["what"], bad["found"]) == (650, "entry", "no entry")
    assert "gone from this store" in bad["proves"]


@pytest.mark.parametrize(
    ("level", "n", "place", "what", "index"),
    [
        (0, 0, 3, "hash 3 of tile 0/0", 3),
        (0, 1, 255, "hash 255 of tile 0/1", 511),
        (0, 2, 100, "hash 100 of tile 0/2", 612),
        (1, 0, 1, "hash 1 of tile 1/0", None),
    ],
)
def test_an_edited_tile_is_told_from_an_edited_entry(full_log, store, verifier, level, n, place, what, index):
    store.tamper_tile(level, n, place)
    bad = bad_of(store, verifier)
    assert (bad["what"], bad["index"]) == (what, index)
    assert "says nothing against the entries" in bad["proves"]


def test_a_tile_edited_all_over_is_still_told_from_edited_entries(full_log, store, verifier):
    for place in range(256):
        store.tamper_tile(0, 1, place)
    bad = bad_of(store, verifier)
    assert (bad["what"], bad["index"]) == ("hash 0 of tile 0/1", 256)
    assert "says nothing against the entries" in bad["proves"]


def test_a_tile_of_the_wrong_width_or_a_lost_one_is_named(full_log, store, verifier):
    tile = store._tiles[0, 2]
    store._tile_lengths[0, 2][-1] = (store._version, len(tile) - 32)
    bad = bad_of(store, verifier)
    assert (bad["what"], bad["expected"], bad["found"]) == ("tile 0/2", "188 hashes", "187 hashes")
    del store._tile_lengths[0, 2]
    assert bad_of(store, verifier)["found"] == "0 hashes"


def test_an_entry_edited_together_with_its_tile_is_narrowed_to_the_tile(full_log, store, verifier, stored):
    store.tamper_entry(300 + 10, b"reading", b"feeling")
    rewrite_tiles(store, stored()[1], levels=[0])
    bad = bad_of(store, verifier)
    assert (bad["index"], bad["what"]) == (None, "entries 256..511 under tile 1/0")
    assert "changed together" in bad["proves"]


def test_an_entry_and_another_hash_of_its_tile_edited_leaves_open_which(full_log, store, verifier):
    store.tamper_entry(10, b"reading", b"feeling")
    store.tamper_tile(0, 0, 99)
    bad = bad_of(store, verifier)
    assert (bad["index"], bad["what"]) == (10, "entry or tile 0/0")
    assert "more than one of them was changed" in bad["proves"]


def test_entries_tiles_and_edge_rewritten_without_the_key_do_not_match_the_checkpoint(
    log, store, make_draft, verifier, stored
):
    log.append([make_draft(n) for n in range(300)])
    edge, _ = stored()
    store.tamper_entry(10, b"reading", b"feeling")
    root = rewrite_tiles(store, stored()[1], levels=[0, 1])
    store.tamper_edge(root=root)
    bad = bad_of(store, verifier)
    assert bad["what"] == "root"
    assert (edge.root.hex() in bad["expected"], root.hex() in bad["found"]) == (True, True)
    assert "rewritten or cut together" in bad["proves"]


def test_a_rewrite_without_the_key_that_an_index_entry_gives_away_is_not_blamed_on_the_writer(
    full_log, store, verifier, stored
):
    store.tamper_entry(10, b"reading", b"feeling")
    store.tamper_edge(root=rewrite_tiles(store, stored()[1], levels=[0, 1]))
    bad = bad_of(store, verifier)
    assert (bad["index"], bad["what"]) == (300, "index entry")
    assert "rewritten or cut together" in bad["proves"]


def rewrite_tiles(store, entries, levels):
    frontier = Frontier()
    for place, tile in frontier.append([leaf_hash(data) for data in entries]).items():
        if place[0] in levels:
            store._tiles[place] = tile
    return frontier.root()


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"root": bytes(32)}, "root of the stored edge"),
        ({"at_us": 1}, "time of the stored edge"),
        ({"size": SIZE - 1}, "size of the stored edge"),
        ({"size": SIZE + 1}, "size of the stored edge"),
        ({"note": b"nonsense"}, "checkpoint"),
    ],
)
def test_an_edited_edge_is_named(full_log, store, verifier, change, what):
    store.tamper_edge(**change)
    assert bad_of(store, verifier)["what"] == what


def test_an_older_checkpoint_put_back_does_not_match(log, store, make_draft, verifier):
    log.append([make_draft(0)])
    old = log.checkpoint()
    log.append([make_draft(1)])
    store.tamper_edge(note=old)
    assert bad_of(store, verifier)["what"] == "root"


def test_a_log_checked_against_another_key_is_not_clean(full_log, store, signer):
    other = parse_vkey(Ed25519Signer.generate(signer.name).vkey())
    bad = bad_of(store, other)
    assert bad["what"] == "checkpoint"
    assert "not one this key signed" in bad["proves"]


def test_an_entry_beyond_the_edge_is_named(full_log, store, verifier):
    store._entries.append(b"more")
    bad = bad_of(store, verifier)
    assert (bad["index"], bad["what"]) == (SIZE, "entry beyond the edge")


@pytest.mark.parametrize(
    "change",
    [{"count": 1}, {"last": 5}, {"digest": bytes(32)}],
)
def test_an_edited_head_is_named_with_its_subject(full_log, store, verifier, change):
    store.tamper_head("dev:truck-3", **change)
    bad = bad_of(store, verifier)
    assert (bad["what"], bad["index"]) == ("head of dev:truck-3", 698)
    assert bad["expected"] != bad["found"]


def test_a_lost_head_and_an_invented_one_are_named(full_log, store, verifier):
    invented = store._heads["dev:nobody"] = store._heads["dev:truck-3"]
    assert bad_of(store, verifier)["what"] == "head of dev:nobody"
    assert invented == store._heads.pop("dev:nobody")
    del store._heads["case:00007"]
    bad = bad_of(store, verifier)
    assert (bad["what"], bad["index"], bad["found"]) == ("head of case:00007", 301, "nothing")


def test_a_lookup_that_misses_an_entry_is_named(full_log, store, verifier, make_draft):
    store.unlist("dev:truck-2", 512)
    bad = bad_of(store, verifier)
    assert (bad["index"], bad["what"], bad["found"]) == (512, "list of entries naming dev:truck-2", "not listed")
    store._indices["dev:truck-2"].insert(101, 511)
    assert bad_of(store, verifier)["index"] == 511
    store._keys[make_draft(7).key] = 8
    bad = bad_of(store, verifier)
    assert (bad["index"], bad["expected"], bad["found"]) == (7, "7", "8")
    assert "says nothing against the entries" in bad["proves"]
    store.forget_key(make_draft(7).key)
    bad = bad_of(store, verifier)
    assert (bad["index"], bad["what"], bad["found"]) == (7, "lookup of key tm/truck-2/1/7", "nothing")


def test_a_lost_or_edited_subject_list_is_named_by_its_entry(full_log, store, verifier, stored):
    digest = parse_entry(stored()[1][301]).subjects_digest[1]
    store._blobs[digest] = store._blobs[digest].replace(b"case:00017", b"case:0001x")
    assert bad_of(store, verifier)["what"] == "subject list"
    store.forget_blob(digest)
    bad = bad_of(store, verifier)
    assert (bad["index"], bad["what"], bad["expected"]) == (301, "subject list", digest.hex())


@pytest.fixture
def sign_anything(signer):
    """A store whose operator appended these entries as they are, with tree and signature in order."""

    def make(entries):
        store, frontier = MemoryStore(), Frontier()
        leaves = [leaf_hash(data) for data in entries]
        tiles = frontier.append(leaves)
        note = sign_note(Checkpoint(signer.name, len(entries), frontier.root()).text(), [signer])
        with store.transaction() as transaction:
            transaction.append(
                [
                    Row(index, 0, "time", f"key {index}", (), leaf, data)
                    for index, (leaf, data) in enumerate(zip(leaves, entries, strict=True))
                ]
            )
            transaction.put_tiles(tiles)
            transaction.put_edge(Edge(len(entries), frontier.root(), 2, note))
        return store

    return make


ENTRY = Entry("time", "operator", 2, "application/json", "key 0", "derived", (), b"{}")
INDEX = replace(ENTRY, kind="index", key="key 1")


@pytest.mark.parametrize(
    ("second", "what"),
    [
        (b"not an entry", "header"),
        (encode_entry(replace(ENTRY, key="key 1", at_us=1)), "at"),
        (encode_entry(ENTRY), "key"),
        (encode_entry(replace(INDEX, payload=index_payload(bytes(32), 0, 0))), "index entry"),
        (encode_entry(replace(INDEX, payload=index_payload(bytes(32), 1, 1))), "index entry"),
        (encode_entry(replace(INDEX, payload=index_payload(b"\x01" * 32, 1, 0))), "index entry"),
        (encode_entry(replace(INDEX, payload=b"{}")), "index entry"),
    ],
)
def test_what_the_operator_signed_against_the_format_is_held_against_the_operator(
    sign_anything, verifier, second, what
):
    bad = bad_of(sign_anything([encode_entry(ENTRY), second]), verifier)
    assert (bad["index"], bad["what"]) == (1, what)
    assert "own writer appended" in bad["proves"]


def test_a_key_used_again_thousands_of_entries_later_is_found(sign_anything, verifier, monkeypatch):
    monkeypatch.setattr("coldchain_ledger.fsck.CHUNK", 256)
    entries = [encode_entry(replace(ENTRY, key=f"key {n}")) for n in range(300)]
    assert fsck(sign_anything(entries), verifier).ok
    bad = bad_of(sign_anything([*entries[:299], encode_entry(replace(ENTRY, key="key 5"))]), verifier)
    assert (bad["index"], bad["what"], bad["found"]) == (299, "key", "key 5, as entry 5")


def test_a_time_that_falls_between_two_stretches_is_found(sign_anything, verifier):
    entries = [encode_entry(replace(ENTRY, key=f"key {n}", at_us=2 if n < 256 else 1)) for n in range(512)]
    bad = bad_of(sign_anything(entries), verifier)
    assert (bad["index"], bad["what"]) == (256, "at")


def test_a_right_index_entry_signed_by_hand_is_clean(sign_anything, verifier):
    right = encode_entry(replace(INDEX, payload=index_payload(bytes(32), 1, 0)))
    assert fsck(sign_anything([encode_entry(ENTRY), right]), verifier).ok


def copy_of(log, signer, clock, drafts):
    """Another log under the same key: what only its holder can make."""
    store = MemoryStore()
    create_log(store, [signer])
    Log(store, [signer], clock).append(drafts)
    return store


def test_a_log_that_grew_is_consistent_with_every_checkpoint_it_ever_gave(log, store, make_draft, verifier):
    notes = [log.checkpoint()]
    for n in range(0, 600, 60):
        log.append([make_draft(i) for i in range(n, n + 60)])
        notes.append(log.checkpoint())
    with store.snapshot() as view:
        results = [audit(view, note, verifier) for note in notes]
    assert all(result.ok for result in results)
    for result in results[1:]:
        verify_consistency(result.old.size, result.new.size, result.old.root, result.new.root, result.proof)
    assert results[5].to_dict()["old_note"].encode() == notes[5]


def test_a_consistent_rewrite_passes_fsck_and_fails_the_audit_as_a_fork(
    full_log, make_draft, signer, verifier, clock, stored
):
    old = full_log.checkpoint()
    drafts = [make_draft(n) for n in range(SIZE + 50)]
    rewritten = copy_of(full_log, signer, clock, [*drafts[:9], replace(drafts[9], payload=b"milder"), *drafts[10:]])
    assert fsck(rewritten, verifier).ok
    with rewritten.snapshot() as view:
        result = audit(view, old, verifier)
        then = tree_root([leaf_hash(data) for data in view.entries(0, SIZE)])
    assert (result.result, result.ok, result.to_dict()["ok"]) == ("fork", False, False)
    assert stored()[0].root.hex() in result.detail
    assert then.hex() in result.detail


def test_a_consistent_truncation_passes_fsck_and_fails_the_audit_as_a_rollback(
    full_log, make_draft, signer, verifier, clock
):
    shorter = copy_of(full_log, signer, clock, [make_draft(n) for n in range(SIZE - 1)])
    assert fsck(shorter, verifier).ok
    with shorter.snapshot() as view:
        result = audit(view, full_log.checkpoint(), verifier)
    assert (result.result, result.detail) == ("rollback", f"size was {SIZE} and is {SIZE - 1}")


def test_two_trees_of_one_size_are_a_fork(log, make_draft, signer, verifier, clock, store):
    log.append([make_draft(0)])
    other = copy_of(log, signer, clock, [make_draft(1)])
    with store.snapshot() as view:
        assert audit(view, log.checkpoint(), verifier).ok
    with other.snapshot() as view:
        assert audit(view, log.checkpoint(), verifier).result == "fork"


def test_an_audit_takes_no_checkpoint_of_another_key(full_log, store, verifier, signer):
    forged = sign_note(Checkpoint(signer.name, 3, bytes(32)).text(), [Ed25519Signer.generate(signer.name)])
    with store.snapshot() as view, pytest.raises(NoteError):
        audit(view, forged, verifier)


def test_an_audit_over_broken_tiles_asks_for_fsck_first(full_log, store, verifier):
    store.tamper_tile(0, 2, 100)
    with store.snapshot() as view, pytest.raises(StoreError, match="run fsck"):
        audit(view, full_log.checkpoint(), verifier)
