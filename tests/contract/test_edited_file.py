"""Somebody edits the SQLite file with another program: most edits are refused, the rest is named and fails nothing."""

import sqlite3
from contextlib import closing, suppress

import pytest

from coldchain.db.engine import make_engine, writing
from coldchain.db.ledger_store import SqlStore
from coldchain.db.migrate import lift_append_only
from coldchain_ledger.errors import LedgerError
from coldchain_ledger.fsck import fsck
from coldchain_ledger.keys import Ed25519Signer, parse_vkey
from coldchain_ledger.log import Draft, Log, create_log
from coldchain_ledger.merkle import leaf_hash

pytestmark = pytest.mark.parametrize("migrated_url", ["sqlite"], indirect=True)

SIGNER = Ed25519Signer.generate("edited.example/log")
SIZE = 300


@pytest.fixture
def open_log(sql_store):
    return lambda: Log(sql_store, [SIGNER], lambda: 1_000)


@pytest.fixture
def recorded(sql_store, open_log):
    """300 entries naming two subjects and a list of many, the keys of all but the last few shelved."""
    create_log(sql_store, [SIGNER])
    many = tuple(f"case:{n:05d}" for n in range(450))
    drafts = [
        Draft("event", "polar", "text/plain", f"key/{n}", "signed", many if n == 9 else (f"dev:{n % 2}",), b"a truck")
        for n in range(SIZE)
    ]
    log = open_log()
    log.append(drafts[:290])
    with sql_store.transaction() as transaction:
        transaction._shelve_keys()
    log.append(drafts[290:])
    return log


@pytest.fixture
def bare(recorded, migrated_url):
    """Run a statement as the `sqlite3` program would, with none of our settings; tells how many rows it changed."""
    with closing(sqlite3.connect(migrated_url.removeprefix("sqlite:///"), isolation_level=None)) as connection:
        yield lambda statement: connection.execute(statement).rowcount


@pytest.fixture
def edit(bare, engine):
    """The same without triggers and checks."""
    with writing(engine) as connection:
        lift_append_only(connection)
    bare("PRAGMA ignore_check_constraints = on")
    return bare


@pytest.fixture
def first_bad(sql_store, migrated_url, monkeypatch):
    """What fsck names, by itself and with a crew of processes, which must be the same."""
    monkeypatch.setattr("coldchain_ledger.stretch.STRETCH", 256)

    def check():
        bad = fsck(sql_store, parse_vkey(SIGNER.vkey())).first_bad
        engine = make_engine(migrated_url)  # processes are forked, so nothing may have been read through theirs
        assert fsck(SqlStore(engine), parse_vkey(SIGNER.vkey()), processes=2).first_bad == bad
        engine.dispose()
        return bad

    return check


@pytest.mark.parametrize(
    "edit_of",
    ["data = data || 'x'", "data = replace(data, 'truck', 'trick')", "data = ''", "data = 7", "data = x'ff'"],
)
def test_an_edited_entry_is_named_with_both_hashes_whatever_type_it_has_now(edit, first_bad, sql_store, edit_of):
    with sql_store.snapshot() as snapshot:
        signed = leaf_hash(snapshot.entry(5))
    assert edit(f"UPDATE entry SET {edit_of} WHERE idx = 5") == 1
    with sql_store.snapshot() as snapshot:
        now = leaf_hash(snapshot.entry(5))
    bad = first_bad()
    assert (bad["index"], bad["expected"], bad["found"]) == (5, signed.hex(), now.hex())


def test_an_edit_of_all_entries_names_the_first(edit, first_bad):
    edit("UPDATE entry SET data = replace(data, 'truck', 'trick')")
    assert first_bad()["index"] == 0


@pytest.mark.parametrize(
    ("statement", "index", "what"),
    [
        ("DELETE FROM entry WHERE idx = 5", 5, "entry"),
        ("UPDATE entry SET idx = 5.5 WHERE idx = 5", 5, "entry"),
        ("UPDATE entry SET idx = 'five' WHERE idx = 5", 5, "entry"),
        ("UPDATE tile SET hashes = hashes || 'x' WHERE level = 0 AND n = 1", None, "tile 0/1"),
        ("UPDATE tile SET hashes = CAST(substr(hashes, 1, 33) AS TEXT) WHERE n = 1", None, "tile 0/1"),
        ("UPDATE tile SET hashes = '' WHERE level = 0 AND n = 0", None, "tile 0/0"),
        ("DELETE FROM tile WHERE level = 1", None, "tile 1/0"),
        ("UPDATE edge SET note = replace(note, 'a', 'b')", None, "checkpoint"),
        ("UPDATE edge SET note = ''", None, "checkpoint"),
        ("UPDATE edge SET root = root || 'x'", None, "root of the stored edge"),
        ("UPDATE edge SET size = 'many'", None, "size of the stored edge"),
        ("UPDATE edge SET at_us = ''", None, "time of the stored edge"),
        ("UPDATE subject SET digest = digest || 'x' WHERE name = 'dev:1'", 299, "head of dev:1"),
        ("UPDATE subject SET digest = '' WHERE name = 'dev:1'", 299, "head of dev:1"),
        ("UPDATE subject SET last = 'x' WHERE name = 'dev:1'", 299, "head of dev:1"),
        ("UPDATE subject SET name = CAST(x'ff' AS TEXT) WHERE name = 'dev:1'", None, "head of \\xff"),
        ("DELETE FROM subject WHERE name = 'dev:1'", 299, "head of dev:1"),
        ("UPDATE subject_entry SET prev = idx WHERE idx = 20", 0, "list of entries naming dev:0"),
        ("UPDATE subject_entry SET prev = 'x' WHERE idx = 20", 0, "list of entries naming dev:0"),
        ("UPDATE subject_entry SET prev = NULL WHERE idx = 20", 0, "list of entries naming dev:0"),
        ("DELETE FROM subject_entry WHERE idx = 20", 0, "list of entries naming dev:0"),
        ("UPDATE entry_key SET idx = 'x' WHERE idx = 7", 7, "lookup of key key/7"),
        ("UPDATE entry_key SET idx = 8 WHERE idx = 7", 7, "lookup of key key/7"),
        ("UPDATE recent_key SET idx = '' WHERE idx = 295", 295, "lookup of key key/295"),
        ("DELETE FROM recent_key WHERE idx = 295", 295, "lookup of key key/295"),
        ("UPDATE entry_key SET key = CAST(key AS BLOB) WHERE idx = 7", 7, "lookup of key key/7"),
        ("UPDATE blob SET data = data || 'x'", 9, "subject list"),
        ("UPDATE blob SET data = ''", 9, "subject list"),
        ("DELETE FROM blob", 9, "subject list"),
    ],
)
def test_whatever_else_is_edited_is_named(edit, first_bad, open_log, statement, index, what):
    assert edit(statement) >= 1
    bad = first_bad()
    assert (bad["index"], bad["what"]) == (index, what)
    assert bad["expected"] != bad["found"]
    with suppress(LedgerError):
        open_log()  # as a start and `doctor` do: it may refuse this log, in words


def test_without_its_own_not_null_a_column_may_even_hold_nothing(edit, first_bad, engine):
    edit("CREATE TABLE loose AS SELECT * FROM entry")
    edit("DROP TABLE entry")
    edit("ALTER TABLE loose RENAME TO entry")
    edit("UPDATE entry SET data = NULL WHERE idx = 5")
    engine.dispose()
    assert (first_bad()["index"], first_bad()["found"]) == (5, leaf_hash(b"").hex())


@pytest.mark.parametrize(
    "statement",
    [
        "INTO entry SELECT log, idx, x'00' FROM entry WHERE idx = 5",
        "INTO entry (rowid, log, idx, data) VALUES (6, 1, 10000, x'00')",
        "INTO entry_key SELECT log, key, 8 FROM entry_key WHERE idx = 7",
        "INTO recent_key SELECT log, key, 8 FROM recent_key WHERE idx = 295",
        "INTO subject_entry SELECT log, idx, subject, NULL FROM subject_entry WHERE idx = 20",
        "INTO subject SELECT log, no, 'dev:x', count, last, digest FROM subject WHERE name = 'dev:1'",
        "INTO subject SELECT log, no + 9000, name, 1, last, digest FROM subject WHERE name = 'dev:1'",
        "INTO blob SELECT sha256, x'00' FROM blob",
        "INTO blob (rowid, sha256, data) SELECT rowid, zeroblob(32), data FROM blob",
        "INTO tile SELECT log, level, n, substr(hashes, 33) FROM tile WHERE level = 0",
        "INTO tile SELECT log, level, n, zeroblob(8192) FROM tile WHERE level = 0",
        "INTO tile SELECT log, level, n, CAST(hashes AS TEXT) FROM tile WHERE level = 0",
        "INTO tile (rowid, log, level, n, hashes) SELECT rowid, 1, 0, 99, hashes FROM tile",
        "INTO edge SELECT log, size - 1, root, at_us, note FROM edge",
        "INTO edge SELECT log, size, zeroblob(32), at_us, note FROM edge",
        "INTO edge (rowid, log, size, root, at_us, note) SELECT rowid, 2, size, root, at_us, note FROM edge",
    ],
)
@pytest.mark.parametrize("form", ["INSERT OR REPLACE", "REPLACE"])
def test_replacing_a_row_is_refused_to_a_connection_with_none_of_our_settings(bare, first_bad, form, statement):
    with pytest.raises(sqlite3.DatabaseError, match=r"append-only|CHECK"):
        bare(f"{form} {statement}")
    assert first_bad() is None


@pytest.mark.parametrize("column", ["rowid", "oid", "_rowid_"])
def test_a_row_that_grows_cannot_be_moved_onto_another(bare, first_bad, column):
    with pytest.raises(sqlite3.DatabaseError, match="a row stays where it is"):
        bare(f"UPDATE OR REPLACE tile SET {column} = 2 WHERE rowid = 1")
    assert first_bad() is None


def test_a_log_goes_on_after_refused_edits(bare, recorded, first_bad):
    with pytest.raises(sqlite3.DatabaseError):
        bare("REPLACE INTO entry SELECT log, idx, x'00' FROM entry")
    recorded.append([Draft("event", "polar", "text/plain", "key/next", "signed", ("dev:1",), b"a truck")])
    assert first_bad() is None
