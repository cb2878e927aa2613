"""Older entries are kept compressed: nobody who reads, appends, crashes or checks sees a difference."""

import signal
import subprocess
import sys
import threading
from contextlib import suppress

import pytest

from coldchain.db import bundles
from coldchain.db.engine import make_engine, writing
from coldchain.db.ledger_store import SqlStore
from coldchain.db.migrate import lift_append_only, migrate
from coldchain.db.room import give_back, room
from coldchain_ledger.errors import StoreError
from coldchain_ledger.fsck import fsck
from coldchain_ledger.keys import Ed25519Signer, parse_vkey
from coldchain_ledger.log import Draft, Log, create_log

SIGNER = Ed25519Signer.generate("compact.example/log")
VERIFIER = parse_vkey(SIGNER.vkey())
ON_DATABASES = pytest.mark.parametrize("store", ["sqlite", "postgresql"], indirect=True)


@pytest.fixture(autouse=True)
def nothing_is_too_new(monkeypatch):
    monkeypatch.setattr(bundles, "BEHIND", 0)


def drafts(first, stop):
    for n in range(first, stop):
        payload = b"event %d " % n + b"x" * (n % 50)
        yield Draft("event", "polar", "text/plain", f"key/{n}", "signed", ("all", f"dev:{n % 7}"), payload)


def open_log(store):
    return Log(store, [SIGNER], lambda: 1_000)


def fill(store, size):
    create_log(store, [SIGNER])
    log = open_log(store)
    log.append(list(drafts(0, size)))
    return log


def compact(store):
    moved = 0
    while store.compact():
        moved += 1
    return moved


def rows(store, table):
    with store.snapshot() as view:
        return view.connection.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar_one()


def answers(view, size):
    spans = [(0, size), (255, 257), (256, 512), (100, 700), (511, size), (5, 5)]
    return {
        "spans": [list(view.entries(start, stop)) for start, stop in spans],
        "one by one": [view.entry(index) for index in (size - 1, 0, 511, 512, 255, 256)],
        "keys": view.find(["key/0", "key/300", "key/9999"]),
        "lists": view.indices("dev:3"),
        "tile": view.tile(0, 1),
    }


@pytest.mark.parametrize("size", [767, 768, 769])
def test_every_answer_stays_the_same(store, size):
    fill(store, size)
    with store.snapshot() as early:
        with store.snapshot() as view:
            before = answers(view, size)
        compact(store)
        with store.snapshot() as view:
            assert answers(view, size) == before
        assert answers(early, size) == before
    assert fsck(store, VERIFIER).ok


@ON_DATABASES
@pytest.mark.parametrize(("size", "full"), [(255, 0), (256, 1), (700, 2)])
def test_what_is_full_is_in_bundles_and_the_rest_in_rows(store, size, full):
    fill(store, size)
    assert compact(store) == full
    assert (rows(store, "bundle"), rows(store, "entry")) == (full, size - 256 * full)
    assert not store.compact()


@ON_DATABASES
def test_the_newest_stay_as_they_are(store, monkeypatch):
    monkeypatch.setattr(bundles, "BEHIND", 300)
    log = fill(store, 811)
    assert compact(store) == 1
    log.append(list(drafts(811, 812)))
    assert compact(store) == 1


def test_a_log_goes_on_from_compressed_entries(store):
    log = fill(store, 512)
    compact(store)
    again = log.append([*drafts(300, 302), *drafts(512, 514)])
    assert [(o.status, o.index) for o in again] == [
        ("duplicate", 300),
        ("duplicate", 301),
        ("added", 512),
        ("added", 513),
    ]
    compact(store)
    other = Draft("event", "polar", "text/plain", "key/7", "signed", (), b"another")
    assert [(o.status, o.index) for o in open_log(store).append([other, *drafts(514, 515)])] == [
        ("conflict", 7),
        ("added", 514),
    ]
    assert fsck(store, VERIFIER).ok


def test_it_goes_on_beside_a_writer_and_another_of_its_kind(store):
    log = fill(store, 600)
    failures = []

    def work(act):
        try:
            act()
        except Exception as error:  # noqa: BLE001 (whatever it is, the test shows it)
            failures.append(error)

    threads = [threading.Thread(target=work, args=[lambda: compact(store)]) for _ in range(2)]
    for thread in threads:
        thread.start()
    for n in range(600, 1_100, 50):
        log.append(list(drafts(n, n + 50)))
    for thread in threads:
        thread.join()
    assert failures == []
    compact(store)
    report = fsck(store, VERIFIER)
    assert (report.ok, report.entries) == (True, 1_100)


@ON_DATABASES
@pytest.mark.parametrize("failing", ["insert", "query"])
def test_a_move_that_does_not_end_leaves_the_rows(store, monkeypatch, failing):
    fill(store, 300)
    whole = getattr(store._sql, failing)

    def last(connection, what, *values):
        result = whole(connection, what, *values)
        if what.startswith(("bundle", "DELETE")):
            raise StoreError("the process ends here")
        return result

    monkeypatch.setattr(store._sql, failing, last)
    with pytest.raises(StoreError, match="ends here"):
        store.compact()
    monkeypatch.undo()
    assert (rows(store, "bundle"), rows(store, "entry")) == (0, 300)
    assert fsck(store, VERIFIER).ok


DYING = """
import os, signal, sys
from coldchain.db import bundles
from coldchain.db.engine import make_engine
from coldchain.db.ledger_store import SqlStore

def die():
    os.kill(os.getpid(), signal.SIGKILL)

def dying(whole, beginning):
    def act(connection, what, *values):
        result = whole(connection, what, *values)
        if what.startswith(beginning):
            die()
        return result
    return act

url, moment = sys.argv[1:]
bundles.BEHIND = 0
store = SqlStore(make_engine(url))
store.compact()
if moment == "the bundle is there":
    store._sql.insert = dying(store._sql.insert, "bundle")
if moment == "the rows are gone":
    store._sql.query = dying(store._sql.query, "DELETE")
store.compact()
die()
"""


@ON_DATABASES
@pytest.mark.parametrize(
    ("moment", "moved"), [("the bundle is there", 1), ("the rows are gone", 1), ("it is committed", 2)]
)
def test_a_process_killed_at_any_moment_leaves_the_entries_where_they_were_or_where_they_go(store, moment, moved):
    log = fill(store, 800)
    url = store._engine.url.render_as_string(hide_password=False)
    assert subprocess.run([sys.executable, "-c", DYING, url, moment], check=False).returncode == -signal.SIGKILL
    assert (rows(store, "bundle"), rows(store, "entry")) == (moved, 800 - 256 * moved)
    assert fsck(store, VERIFIER).ok
    assert compact(store) == 3 - moved
    log.append(list(drafts(800, 801)))
    assert fsck(store, VERIFIER).ok


@ON_DATABASES
def test_bytes_that_do_not_give_the_signed_entries_back_replace_nothing(store, monkeypatch):
    fill(store, 300)
    monkeypatch.setattr(bundles, "pack", lambda entries: bundles.zlib.compress(bundles.encode_bundle(entries[:255])))
    with pytest.raises(StoreError, match="entry 255"):
        store.compact()
    assert (rows(store, "bundle"), rows(store, "entry")) == (0, 300)


@ON_DATABASES
def test_an_edited_entry_is_not_moved_and_is_named(store):
    fill(store, 600)
    with writing(store._engine) as connection:
        lift_append_only(connection)
        connection.exec_driver_sql("UPDATE entry SET data = 'forged' WHERE idx = 300")
    with pytest.raises(StoreError, match="entry 300 is not the one hashed in tile 0/1"):
        compact(store)
    assert (rows(store, "bundle"), rows(store, "entry")) == (1, 344)
    assert fsck(store, VERIFIER).first_bad["index"] == 300


def damage(packed, how):
    entries = bundles.unpack(packed)
    match how:
        case "an entry changed":
            entries[100] = entries[100].replace(b"polar", b"solar")
        case "an entry left out":
            del entries[100]
        case "an entry longer":
            entries[100] += b" "
        case "cut off":
            return packed[: len(packed) * 2 // 3]
        case "more after it":
            return packed + b"x"
        case "one entry more":
            return bundles.zlib.compress(bundles.encode_bundle(entries) + b"\0\1x")
        case "no bundle at all":
            return b"forged"
        case "nothing":
            return b""
    return bundles.pack(entries)


@ON_DATABASES
@pytest.mark.parametrize(
    ("how", "first"),
    [
        ("an entry changed", 356),
        ("an entry left out", 356),
        ("an entry longer", 356),
        ("cut off", None),
        ("more after it", 256),
        ("one entry more", 256),
        ("no bundle at all", 256),
        ("nothing", 256),
    ],
)
def test_whatever_is_done_to_a_bundle_its_first_bad_entry_is_named(store, how, first):
    fill(store, 1_000)
    compact(store)
    mark = "?" if store._engine.dialect.name == "sqlite" else "%s"
    with writing(store._engine) as connection:
        lift_append_only(connection)
        packed = bytes(connection.exec_driver_sql("SELECT data FROM bundle WHERE n = 1").scalar_one())
        new = damage(packed, how)
        connection.exec_driver_sql(f"UPDATE bundle SET data = {mark} WHERE n = 1", (new,))
    if first is None:
        first = 256 + len(bundles.unpack(new))
        assert 256 < first < 512
    assert_first_bad(store, first)


def assert_first_bad(store, first):
    """Alone and with a crew, which is forked and must inherit nothing that was read through."""
    bad = fsck(store, VERIFIER).first_bad
    assert bad["index"] == first
    engine = make_engine(store._engine.url.render_as_string(hide_password=False))
    assert fsck(SqlStore(engine), VERIFIER, processes=2).first_bad == bad
    engine.dispose()


@ON_DATABASES
@pytest.mark.parametrize(
    ("statement", "first"),
    [
        ("DELETE FROM bundle WHERE n = 1", 256),
        ("DELETE FROM bundle", 0),
        ("UPDATE bundle SET n = n + 10 WHERE n = 1", 256),
        ("UPDATE bundle SET data = (SELECT data FROM bundle AS b WHERE b.n = 0) WHERE n = 1", 256),
        ("UPDATE bundle SET log = 2 WHERE n = 2", 512),
        ("INSERT INTO entry SELECT 1, 300, data FROM entry WHERE idx = 800", 300),
    ],
)
def test_a_bundle_that_is_gone_or_in_anothers_place_is_named(store, statement, first):
    fill(store, 1_000)
    compact(store)
    with writing(store._engine) as connection:
        lift_append_only(connection)
        connection.exec_driver_sql(statement)
    assert_first_bad(store, first)


@pytest.mark.parametrize("store", ["sqlite"], indirect=True)
@pytest.mark.parametrize("edit", ["data = 7", "data = CAST(x'ff' AS TEXT)", "n = 'x'", "n = 1.5"])
def test_a_bundle_of_another_type_is_named(store, edit):
    fill(store, 600)
    compact(store)
    with writing(store._engine) as connection:
        lift_append_only(connection)
        connection.exec_driver_sql(f"UPDATE bundle SET {edit} WHERE n = 1")
    assert_first_bad(store, 256)


REFUSED = {
    "a bundle changed": "UPDATE bundle SET data = data",
    "a bundle moved": "UPDATE bundle SET n = n + 5",
    "a bundle deleted": "DELETE FROM bundle WHERE n = 0",
    "a bundle of nothing": "INSERT INTO bundle SELECT log, 7, data FROM bundle WHERE n = 0",
    "a bundle of what is not full": "INSERT INTO bundle SELECT log, 3, data FROM bundle WHERE n = 0",
    "a bundle of another log": "INSERT INTO bundle SELECT 2, 2, data FROM bundle WHERE n = 0",
    "a bundle of what was moved": "INSERT INTO bundle SELECT log, 1, data FROM bundle WHERE n = 0",
    "entries deleted without a bundle": "DELETE FROM entry WHERE idx = 520",
    "an entry again": "INSERT INTO entry SELECT log, 5, data FROM entry WHERE idx = 520",
    "a row of a bundle that is there": "UPDATE entry SET idx = 5 WHERE idx = 520",
}
ON_SQLITE = {
    "a bundle replaced": "REPLACE INTO bundle SELECT log, n, x'00' FROM bundle WHERE n = 0",
    "a bundle's place taken": "REPLACE INTO bundle (rowid, log, n, data) SELECT 1, 1, 2, data FROM bundle WHERE n = 0",
    "an entry replaced": "REPLACE INTO entry SELECT log, 5, data FROM entry WHERE idx = 520",
}
ON_POSTGRESQL = {
    "entries truncated": "TRUNCATE entry",
    "bundles truncated": "TRUNCATE bundle",
    "entries copied over": "INSERT INTO entry SELECT 1, n, 'x' FROM generate_series(400, 511) AS n",
}


@pytest.mark.parametrize(
    ("store", "statement"),
    [
        pytest.param(make, statement, id=f"{what} {make}")
        for make, more in (("sqlite", ON_SQLITE), ("postgresql", ON_POSTGRESQL))
        for what, statement in (REFUSED | more).items()
    ],
    indirect=["store"],
)
def test_the_database_permits_no_other_move(store, monkeypatch, statement):
    log = fill(store, 900)
    monkeypatch.setattr(bundles, "BEHIND", 256)
    assert compact(store) == 2
    with pytest.raises(Exception, match="append-only"), writing(store._engine) as connection:
        connection.exec_driver_sql(statement)
    log.append(list(drafts(900, 901)))
    assert fsck(store, VERIFIER).ok


@ON_DATABASES
def test_the_move_itself_is_permitted_to_anybody(store):
    fill(store, 300)
    with store.snapshot() as view:
        packed = bundles.pack(list(view.entries(0, 256)))
    mark = "?" if store._engine.dialect.name == "sqlite" else "%s"
    with writing(store._engine) as connection:
        connection.exec_driver_sql(f"INSERT INTO bundle VALUES (1, 0, {mark})", (packed,))
        assert connection.exec_driver_sql("DELETE FROM entry WHERE idx < 256").rowcount == 256
    assert fsck(store, VERIFIER).ok


@pytest.mark.parametrize("store", ["sqlite"], indirect=True)
def test_what_was_freed_is_used_for_the_next_entries_or_given_back(store):
    log = fill(store, 1_024)
    log.append([Draft("event", "polar", "text/plain", f"long/{n}", "signed", (), b"x" * 8_000) for n in range(256)])
    size, _ = room(store._engine)
    compact(store)
    grown, free = room(store._engine)
    assert (grown - size < 100_000, free > 2_000_000) == (True, True)
    log.append(list(drafts(1_280, 1_536)))
    assert room(store._engine)[0] == grown
    give_back(store._engine)
    assert room(store._engine) == (pytest.approx(grown - free, abs=500_000), 0)
    assert fsck(store, VERIFIER).ok


@pytest.mark.parametrize("store", ["postgresql"], indirect=True)
def test_postgresql_frees_by_itself(store):
    fill(store, 300)
    give_back(store._engine)
    size, free = room(store._engine)
    assert (size > 1_000_000, free) == (True, None)


@ON_DATABASES
def test_a_bundle_put_beside_its_entries_hides_none_of_them_and_is_told(store):
    fill(store, 300)
    with writing(store._engine) as connection:
        connection.exec_driver_sql("INSERT INTO bundle SELECT 1, 0, data FROM entry WHERE idx = 7")
    assert fsck(store, VERIFIER).ok
    with pytest.raises(StoreError, match="bundle"):
        store.compact()


def test_a_database_of_before_is_checked_as_it_is_and_goes_on_with_bundles(database_url):
    engine = made_by_0005(database_url)
    store = SqlStore(engine)
    fill(store, 600)
    assert fsck(store, VERIFIER).ok
    with store.snapshot() as view, suppress(StoreError):
        view.entry(600)
    migrate(engine)
    assert compact(store) == 2
    open_log(store).append(list(drafts(600, 700)))
    report = fsck(store, VERIFIER)
    assert (report.ok, report.entries) == (True, 700)
    assert rows(store, "bundle") == 2
    engine.dispose()


def made_by_0005(url):
    from importlib.resources import files

    from alembic import command
    from alembic.config import Config

    engine = make_engine(url)
    with writing(engine) as connection:
        config = Config(attributes={"connection": connection})
        config.set_main_option("script_location", str(files("coldchain.db") / "migrations"))
        command.upgrade(config, "0005")
    return engine
