"""Every sentence of `coldchain_ledger.store`, held against memory, SQLite and PostgreSQL alike."""

import hashlib
import threading
from dataclasses import replace

import pytest

from coldchain_ledger.errors import StoreError
from coldchain_ledger.index import extend_head
from coldchain_ledger.merkle import leaf_hash
from coldchain_ledger.rows import Row
from coldchain_ledger.store import Edge, Head

H = [hashlib.sha256(bytes([n])).digest() for n in range(8)]


def edge(size, root=H[0], at_us=0, note=b"note"):
    return Edge(size, root, at_us, note)


def contents(view, names, keys):
    """All that a view says about these names and keys."""
    newest = view.edge()
    return {
        "edge": newest,
        "entries": list(view.entries(0, newest.size if newest else 0)),
        "heads": view.heads(names),
        "all heads": dict(view.all_heads()),
        "keys": view.find(keys),
        "indices": {name: view.indices(name) for name in names},
    }


def test_a_store_without_a_log_has_no_edge_and_answers_every_question(store):
    with store.snapshot() as snapshot:
        assert contents(snapshot, ["dev:1"], ["key/0"]) == {
            "edge": None,
            "entries": [],
            "heads": {},
            "all heads": {},
            "keys": {},
            "indices": {"dev:1": []},
        }
        assert snapshot.blob(H[0]) is None


def test_what_was_committed_is_read_back_byte_for_byte(store, make_rows, append):
    rows = make_rows(0, [("dev:1",), ("dev:1", "sscc:2"), ()])
    with store.transaction() as transaction:
        append(transaction, rows)
        transaction.put_tiles({(0, 0): b"".join(row.leaf for row in rows)})
        transaction.put_edge(edge(3, H[1], 1_002, b"origin\n3\n\x00\xff"))
    with store.snapshot() as snapshot:
        assert snapshot.edge() == edge(3, H[1], 1_002, b"origin\n3\n\x00\xff")
        assert [snapshot.entry(index) for index in range(3)] == [row.data for row in rows]
        assert list(snapshot.entries(1, 3)) == [rows[1].data, rows[2].data]
        assert snapshot.tile(0, 0) == b"".join(row.leaf for row in rows)
        assert snapshot.find(["key/0", "key/2", "key/9"]) == {"key/0": 0, "key/2": 2}
        head = extend_head(extend_head(None, 0, rows[0].leaf), 1, rows[1].leaf)
        assert snapshot.heads(["dev:1", "dev:9"]) == {"dev:1": head}
        assert dict(snapshot.all_heads()) == {"dev:1": head, "sscc:2": extend_head(None, 1, rows[1].leaf)}
        assert snapshot.indices("dev:1") == [0, 1]


def test_a_transaction_reads_its_own_writes_and_nobody_else_does(store, make_rows, append):
    with store.transaction() as transaction:
        append(transaction, make_rows(0, [("dev:1",)] * 2))
        transaction.put_edge(edge(2))
    rows = make_rows(2, [("dev:1",), ("dev:2",)])
    names, keys = ["dev:1", "dev:2"], ["key/1", "key/3"]
    with store.snapshot() as snapshot:
        before = contents(snapshot, names, keys)
    with store.transaction() as transaction:
        append(transaction, rows)
        transaction.put_edge(edge(4))
        transaction.put_tiles({(0, 0): H[0]})
        inside = contents(transaction, names, keys)
        with store.snapshot() as snapshot:
            assert contents(snapshot, names, keys) == before
            with pytest.raises(StoreError):
                snapshot.tile(0, 0)
        assert transaction.tile(0, 0) == H[0]
        assert transaction.entry(3) == rows[1].data
    assert inside["edge"] == edge(4)
    assert inside["keys"] == {"key/1": 1, "key/3": 3}
    assert inside["indices"] == {"dev:1": [0, 1, 2], "dev:2": [3]}
    with store.snapshot() as snapshot:
        assert contents(snapshot, names, keys) == inside


def test_an_exception_rolls_back_every_write(store, make_rows, append):
    with store.transaction() as transaction:
        append(transaction, make_rows(0, [("dev:1",)]))
        transaction.put_tiles({(0, 0): H[0]})
        transaction.put_edge(edge(1))
    with store.snapshot() as snapshot:
        before = contents(snapshot, ["dev:1", "dev:2"], ["key/0", "key/1"])

    content = b"aside"
    with pytest.raises(ZeroDivisionError), store.transaction() as transaction:
        append(transaction, make_rows(1, [("dev:1", "dev:2")]))
        transaction.put_tiles({(0, 0): H[0] + H[1], (1, 0): H[2]})
        transaction.put_blob(hashlib.sha256(content).digest(), content)
        transaction.put_edge(edge(2, H[2]))
        raise ZeroDivisionError

    with store.snapshot() as snapshot:
        assert contents(snapshot, ["dev:1", "dev:2"], ["key/0", "key/1"]) == before
        assert snapshot.tile(0, 0) == H[0]
        assert snapshot.blob(hashlib.sha256(content).digest()) is None
        with pytest.raises(StoreError):
            snapshot.tile(1, 0)
    with store.transaction() as transaction:
        append(transaction, make_rows(1, [("dev:2",)]))


def test_a_snapshot_goes_on_showing_its_state_while_others_commit(store, make_rows, append):
    with store.transaction() as transaction:
        append(transaction, make_rows(0, [("dev:1",), ("dev:2",)]))
        transaction.put_tiles({(0, 0): H[0]})
        transaction.put_edge(edge(2))
    names, keys = ["dev:1", "dev:2", "dev:3"], ["key/0", "key/2"]
    with store.snapshot() as early:
        # No question asked yet: the state shown is the one at entry, not at the first read.
        with store.transaction() as transaction:
            append(transaction, make_rows(2, [("dev:1",), ("dev:3",)]))
            transaction.put_tiles({(0, 0): H[0] + H[1]})
            transaction.put_edge(edge(4))
        with store.snapshot() as late:
            assert late.edge() == edge(4)
            assert late.tile(0, 0) == H[0] + H[1]
        seen = contents(early, names, keys)
        assert seen["edge"] == edge(2)
        assert set(seen["all heads"]) == {"dev:1", "dev:2"}
        assert seen["heads"]["dev:1"].count == 1
        assert seen["keys"] == {"key/0": 0}
        assert seen["indices"] == {"dev:1": [0], "dev:2": [1], "dev:3": []}
        assert early.tile(0, 0) == H[0]
        with pytest.raises(StoreError):
            early.entry(2)


@pytest.mark.parametrize(("start", "stop"), [(3, 4), (0, 4), (2, 5), (7, 9)])
def test_a_range_with_a_missing_entry_raises(store, make_rows, append, start, stop):
    with store.transaction() as transaction:
        append(transaction, make_rows(0, [()] * 3))
    with store.snapshot() as snapshot:
        with pytest.raises(StoreError, match=r"\d"):
            list(snapshot.entries(start, stop))
        with pytest.raises(StoreError, match="3"):
            snapshot.entry(3)
        assert list(snapshot.entries(2, 2)) == []
        assert list(snapshot.entries(0, 3)) == [snapshot.entry(index) for index in range(3)]


def test_a_tile_grows_until_it_is_full(store):
    full = b"".join(hashlib.sha256(bytes([n])).digest() for n in range(256))
    for width in (1, 2, 255, 256, 256):
        with store.transaction() as transaction:
            transaction.put_tiles({(0, 0): full[: 32 * width], (1, 7): full[:32]})
        with store.snapshot() as snapshot:
            assert snapshot.tile(0, 0) == full[: 32 * width]
            assert snapshot.tile(1, 7) == full[:32]


@pytest.mark.parametrize(
    "rewrite",
    [
        pytest.param(H[0], id="shorter"),
        pytest.param(H[0] + H[2], id="other hash"),
        pytest.param(H[2] + H[1] + H[2], id="longer with another start"),
        pytest.param(b"", id="empty"),
        pytest.param(H[0] + H[1] + b"x", id="half a hash"),
        pytest.param((H[0] + H[1]) * 129, id="wider than a tile"),
    ],
)
def test_a_tile_is_never_rewritten(store, rewrite):
    with store.transaction() as transaction:
        transaction.put_tiles({(0, 0): H[0] + H[1]})
    with pytest.raises(StoreError), store.transaction() as transaction:
        transaction.put_tiles({(0, 0): rewrite})
    with store.snapshot() as snapshot:
        assert snapshot.tile(0, 0) == H[0] + H[1]


def test_a_subjects_count_never_falls(store, make_rows, append):
    with store.transaction() as transaction:
        append(transaction, make_rows(0, [("dev:1",)] * 2))
    with pytest.raises(StoreError, match=r"dev:1.*2.*1"), store.transaction() as transaction:
        transaction.put_heads({"dev:1": Head(1, 1, H[0])})
    with store.snapshot() as snapshot:
        assert snapshot.heads(["dev:1"])["dev:1"].count == 2


def test_the_edge_never_falls(store):
    with store.transaction() as transaction:
        transaction.put_edge(edge(5))
    with pytest.raises(StoreError, match=r"5.*4"), store.transaction() as transaction:
        transaction.put_edge(edge(4))
    with store.snapshot() as snapshot:
        assert snapshot.edge() == edge(5)


@pytest.mark.parametrize("index", [0, 1, 3, 4], ids=["first again", "newest again", "one left out", "far ahead"])
def test_only_the_next_index_is_taken(store, make_rows, append, index):
    with store.transaction() as transaction:
        append(transaction, make_rows(0, [()] * 2))
    (row,) = make_rows(index, [()])
    with pytest.raises(StoreError, match=str(index)), store.transaction() as transaction:
        transaction.append([replace(row, key="another")])


@pytest.mark.parametrize("distance", [1, 2], ids=["same batch", "later batch"])
def test_a_key_is_taken_once(store, make_rows, distance):
    rows = make_rows(0, [()] * 3)
    rows[distance] = replace(rows[distance], key=rows[0].key)
    with pytest.raises(StoreError), store.transaction() as transaction:
        transaction.append(rows[:2])
        transaction.append(rows[2:])
    with store.snapshot() as snapshot:
        assert snapshot.find([rows[0].key]) == {}


def test_a_key_of_an_earlier_transaction_stays_taken(store, make_rows):
    first, second = make_rows(0, [()] * 2)
    with store.transaction() as transaction:
        transaction.append([first])
    with pytest.raises(StoreError), store.transaction() as transaction:
        transaction.append([replace(second, key=first.key)])
    with store.snapshot() as snapshot:
        assert snapshot.find([first.key]) == {first.key: 0}
        with pytest.raises(StoreError):
            snapshot.entry(1)


def test_several_appends_of_one_transaction_are_one_history(store, make_rows, append):
    with store.transaction() as transaction:
        append(transaction, make_rows(0, [("dev:1",)] * 2))
        append(transaction, make_rows(2, [("dev:1", "dev:2"), ("dev:2",)]))
        assert transaction.indices("dev:1") == [0, 1, 2]
    with store.snapshot() as snapshot:
        assert snapshot.indices("dev:2") == [2, 3]
        assert snapshot.heads(["dev:1"])["dev:1"].count == 3


def test_heads_may_be_put_before_or_after_the_entries(store, make_rows):
    first, second = make_rows(0, [("dev:1",)] * 2)
    with store.transaction() as transaction:
        head = extend_head(None, 0, first.leaf)
        transaction.put_heads({"dev:1": head})
        transaction.append([first])
    with store.transaction() as transaction:
        transaction.append([second])
        transaction.put_heads({"dev:1": extend_head(head, 1, second.leaf)})
    with store.snapshot() as snapshot:
        assert snapshot.indices("dev:1") == [0, 1]


@pytest.mark.parametrize("start", [0, 1, 5, 9, 10, 40])
@pytest.mark.parametrize("stop", [None, 0, 1, 6, 10, 40])
def test_indices_are_those_from_start_up_to_stop(store, make_rows, append, start, stop):
    subjects = [("a",) if n % 3 == 0 else ("b", "c") for n in range(10)]
    with store.transaction() as transaction:
        append(transaction, make_rows(0, subjects))
    for name in ("a", "b", "c", "d"):
        expected = [n for n in range(10) if name in subjects[n] and start <= n and (stop is None or n < stop)]
        with store.snapshot() as snapshot:
            assert snapshot.indices(name, start, stop) == expected


NAMES = [
    "hu:港務/托盤-7",
    "lot:Å/ß/ﬀ",
    "veh:🚛",
    "code:a b",
    "doc:100%/it's",
    'doc:"?"',
    "doc:%s\\n",
    "doc:A",
    "doc:a",
    "doc: ",
]


def test_subjects_and_keys_are_told_apart_byte_by_byte(store, append):
    rows = [Row(n, 0, "event", f"k/{name}", (name,), leaf_hash(b"%d" % n), b"%d" % n) for n, name in enumerate(NAMES)]
    with store.transaction() as transaction:
        append(transaction, rows)
    with store.snapshot() as snapshot:
        assert {name: snapshot.indices(name) for name in NAMES} == {name: [n] for n, name in enumerate(NAMES)}
        assert set(snapshot.heads(NAMES)) == {name for name, _ in snapshot.all_heads()} == set(NAMES)
        assert snapshot.find([f"k/{name}" for name in NAMES]) == {f"k/{name}": n for n, name in enumerate(NAMES)}
        assert snapshot.heads(["doc:Á", "DOC:A", "doc"]) == {}


def test_an_entry_may_have_the_largest_size_and_any_bytes(store):
    every_byte = bytes(range(256)) * 255 + bytes(range(255))
    assert len(every_byte) == 65_535
    with store.transaction() as transaction:
        transaction.append([Row(0, 0, "event", "k", (), leaf_hash(every_byte), every_byte)])
    with store.snapshot() as snapshot:
        assert snapshot.entry(0) == every_byte


def test_an_entry_may_name_hundreds_of_subjects(store, make_rows, append):
    names = tuple(f"case:{n:03}" for n in range(900))
    with store.transaction() as transaction:
        append(transaction, make_rows(0, [names, names[:1]]))
    with store.snapshot() as snapshot:
        assert snapshot.indices(names[0]) == [0, 1]
        assert snapshot.indices(names[899]) == [0]
        assert len(snapshot.heads(names)) == 900


def test_a_large_batch_is_one_transaction(store, make_rows, append):
    rows = make_rows(0, [(f"dev:{n % 4_000}", "veh:1") for n in range(12_000)])
    with store.transaction() as transaction:
        append(transaction, rows)
    with store.snapshot() as snapshot:
        assert list(snapshot.entries(5, 11_995)) == [row.data for row in rows[5:11_995]]
        assert len(snapshot.find([row.key for row in rows])) == 12_000
        assert len(dict(snapshot.all_heads())) == 4_001
        assert snapshot.indices("veh:1") == list(range(12_000))
        assert snapshot.indices("dev:17") == [17, 4_017, 8_017]


@pytest.mark.parametrize("content", [b"", b"scan", bytes(range(256)) * 8_000], ids=["empty", "small", "2 MB"])
def test_a_blob_is_kept_under_its_hash_however_often_it_is_stored(store, content):
    digest = hashlib.sha256(content).digest()
    with store.transaction() as transaction:
        transaction.put_blob(digest, content)
        transaction.put_blob(digest, content)
        assert transaction.blob(digest) == content
    with store.transaction() as transaction:
        transaction.put_blob(digest, content)
    with store.snapshot() as snapshot:
        assert snapshot.blob(digest) == content
        assert snapshot.blob(H[0]) is None


def test_writers_of_one_process_take_turns(store, make_rows, append):
    def write_ten() -> None:
        for _ in range(10):
            with store.transaction() as transaction:
                size = transaction.edge().size
                append(transaction, make_rows(size, [("dev:1",)]))
                transaction.put_edge(edge(size + 1))

    with store.transaction() as transaction:
        transaction.put_edge(edge(0))
    threads = [threading.Thread(target=write_ten) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with store.snapshot() as snapshot:
        assert snapshot.edge().size == 40
        assert snapshot.indices("dev:1") == list(range(40))
