"""What a database adds to the contract: durability, other processes, append-only tables, and its own bad days."""

import hashlib
import signal
import subprocess
import sys
import textwrap
from contextlib import ExitStack
from dataclasses import replace

import pytest
from sqlalchemy import event, text
from sqlalchemy.exc import DBAPIError

from coldchain.db import engine as engine_module
from coldchain.db import ledger_store
from coldchain.db.engine import make_engine, writing
from coldchain.db.ledger_store import SqlStore
from coldchain.db.migrate import lift_append_only, migrate
from coldchain_ledger.errors import StoreError
from coldchain_ledger.index import extend_head
from coldchain_ledger.store import Edge, Head

H = [hashlib.sha256(bytes([n])).digest() for n in range(4)]


@pytest.fixture
def filled(sql_store, make_rows, append, monkeypatch):
    """A store with two entries, a tile, an edge and a blob; the first key is shelved, the second a recent one."""
    monkeypatch.setattr(ledger_store, "_SHELF_EVERY", 1)
    with sql_store.transaction() as transaction:
        append(transaction, make_rows(0, [("dev:1",)]))
    monkeypatch.undo()
    with sql_store.transaction() as transaction:
        append(transaction, make_rows(1, [("dev:1", "dev:2")]))
        transaction.put_tiles({(0, 0): H[0] + H[1]})
        transaction.put_blob(hashlib.sha256(b"scan").digest(), b"scan")
        transaction.put_edge(Edge(2, H[0], 1_001, b"note"))
    return sql_store


@pytest.fixture
def run_writer(migrated_url):
    """Start a process that runs the code with `store` over the same database; it tells how far it is by `say(word)`."""
    prelude = """
        import hashlib, sys, time
        from coldchain.db.engine import make_engine
        from coldchain.db.ledger_store import SqlStore
        from coldchain_ledger.store import Edge, Row
        store = SqlStore(make_engine(sys.argv[1]))
        root = bytes(32)
        def say(word):
            print(word, flush=True)
        def add(transaction):
            size = transaction.edge().size
            transaction.append([Row(size, 0, "event", f"key/{size}", (), root, sys.argv[2].encode())])
            transaction.put_edge(Edge(size + 1, hashlib.sha256(b"%d" % size).digest(), 0, b""))
    """
    processes = []

    def run(code, name="writer"):
        program = textwrap.dedent(prelude) + textwrap.dedent(code)
        command = [sys.executable, "-c", program, migrated_url, name]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        processes.append(process)
        return process

    yield run
    for process in processes:
        process.kill()
        process.wait()
        process.stdout.close()


def test_what_was_committed_is_there_after_reopening(migrated_url, engine, filled):
    engine.dispose()
    again = make_engine(migrated_url)
    migrate(again)
    with SqlStore(again).snapshot() as snapshot:
        assert snapshot.edge() == Edge(2, H[0], 1_001, b"note")
        assert len(list(snapshot.entries(0, 2))) == 2
        assert snapshot.indices("dev:1") == [0, 1]
        assert snapshot.tile(0, 0) == H[0] + H[1]
    again.dispose()


def test_writers_in_different_processes_take_turns(sql_store, run_writer):
    with sql_store.transaction() as transaction:
        transaction.put_edge(Edge(0, H[0], 0, b""))
    code = """
        for _ in range(40):
            with store.transaction() as transaction:
                add(transaction)
    """
    writers = [run_writer(code, name) for name in ("one", "two")]
    assert [writer.wait(60) for writer in writers] == [0, 0]
    with sql_store.snapshot() as snapshot:
        assert snapshot.edge().size == 80
        assert sorted(snapshot.entries(0, 80)) == [b"one"] * 40 + [b"two"] * 40


def test_a_writer_killed_before_its_commit_leaves_nothing_and_blocks_nobody(filled, run_writer, make_rows, append):
    writer = run_writer("""
        with store.transaction() as transaction:
            add(transaction)
            say("written")
            time.sleep(60)
    """)
    assert writer.stdout.readline() == "written\n"
    writer.send_signal(signal.SIGKILL)
    writer.wait()
    with filled.transaction() as transaction:
        assert transaction.edge().size == 2
        append(transaction, make_rows(2, [("dev:1",)]))


def test_a_writer_killed_right_after_its_commit_leaves_all_of_it(filled, run_writer):
    writer = run_writer("""
        with store.transaction() as transaction:
            add(transaction)
        say("committed")
        time.sleep(60)
    """)
    assert writer.stdout.readline() == "committed\n"
    writer.send_signal(signal.SIGKILL)
    writer.wait()
    with filled.snapshot() as snapshot:
        assert snapshot.edge().size == 3
        assert snapshot.entry(2) == b"writer"


@pytest.mark.usefixtures("shipped")
def test_commits_are_on_disk_when_they_return(engine):
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            settings = {name: connection.scalar(text(f"PRAGMA {name}")) for name in ("journal_mode", "synchronous")}
            assert settings == {"journal_mode": "wal", "synchronous": 2}
        else:
            assert connection.scalar(text("SHOW synchronous_commit")) == "on"


def test_side_tables_commit_and_roll_back_with_the_ledger(sql_store, engine, make_rows):
    insert = text("INSERT INTO projection_table (name, fingerprint) VALUES ('side', 'x')")
    count = text("SELECT count(*) FROM projection_table WHERE name = 'side'")
    with pytest.raises(ZeroDivisionError), sql_store.transaction() as transaction:
        transaction.append(make_rows(0, [()]))
        transaction.connection.execute(insert)
        raise ZeroDivisionError
    with sql_store.snapshot() as snapshot:
        assert snapshot.connection.scalar(count) == 0
    with sql_store.transaction() as transaction:
        transaction.append(make_rows(0, [()]))
        transaction.connection.execute(insert)
    with sql_store.snapshot() as snapshot:
        assert snapshot.connection.scalar(count) == 1
        assert snapshot.find(["key/0"]) == {"key/0": 0}


def test_two_logs_share_a_database_and_nothing_else(engine, filled, make_rows, append):
    other = SqlStore(engine, log=2)
    with other.transaction() as transaction:
        append(transaction, make_rows(0, [("dev:1",), ("dev:3",)]))
        transaction.put_tiles({(0, 0): H[3]})
        transaction.put_edge(Edge(2, H[3], 7, b"other"))
    with other.snapshot() as second, filled.snapshot() as first:
        assert (first.edge().note, second.edge().note) == (b"note", b"other")
        assert (first.tile(0, 0), second.tile(0, 0)) == (H[0] + H[1], H[3])
        assert (first.indices("dev:1"), second.indices("dev:1")) == ([0, 1], [0])
        assert set(dict(first.all_heads())) == {"dev:1", "dev:2"}
        assert set(dict(second.all_heads())) == {"dev:1", "dev:3"}


@pytest.mark.parametrize("heads", [{}, {"dev:1": Head(9, 0, H[0])}], ids=["forgotten", "of another entry"])
def test_entries_without_the_head_that_covers_them_do_not_commit(filled, make_rows, heads):
    with pytest.raises(StoreError, match=r"dev:1.*2"), filled.transaction() as transaction:
        transaction.append(make_rows(2, [("dev:1",)]))
        transaction.put_heads(heads)
    with filled.snapshot() as snapshot:
        assert snapshot.indices("dev:1") == [0, 1]


def test_a_blob_under_another_hash_is_refused(sql_store):
    with pytest.raises(StoreError, match=H[0].hex()), sql_store.transaction() as transaction:
        transaction.put_blob(H[0], b"scan")


NEW_VALUES = {
    "entry": "data = 'forged'",
    "entry_key": "idx = idx + 1",
    "recent_key": "idx = idx + 1",
    "subject_entry": "prev = NULL",
    "blob": "data = 'forged'",
    "subject": "count = 1",
    "tile": "hashes = substr(hashes, 33)",
    "edge": "size = size - 1",
}


@pytest.mark.parametrize("table", NEW_VALUES)
@pytest.mark.parametrize("statement", ["UPDATE {table} SET {values}", "DELETE FROM {table}", "TRUNCATE {table}"])
def test_the_database_itself_refuses_to_rewrite_the_ledger(filled, engine, table, statement):
    if statement.startswith("TRUNCATE") and engine.dialect.name == "sqlite":
        statement = "REPLACE INTO {table} SELECT * FROM {table}"
    attack = text(statement.format(table=table, values=NEW_VALUES[table]))
    with pytest.raises(DBAPIError, match=r"append-only|only grows|never falls"), writing(engine) as connection:
        connection.execute(attack)


@pytest.mark.parametrize("migrated_url", ["sqlite"], indirect=True)
def test_a_recent_key_may_leave_only_for_the_shelf(filled, engine):
    with writing(engine) as connection:
        connection.execute(text("INSERT INTO entry_key SELECT * FROM recent_key"))
        assert connection.execute(text("DELETE FROM recent_key")).rowcount == 1
    with filled.snapshot() as snapshot:
        assert snapshot.find(["key/0", "key/1"]) == {"key/0": 0, "key/1": 1}


@pytest.mark.parametrize("shelf_every", [1, 3, 4, 100])
def test_a_key_is_found_and_stays_taken_wherever_it_is_kept(sql_store, make_rows, monkeypatch, shelf_every):
    monkeypatch.setattr(ledger_store, "_SHELF_EVERY", shelf_every)
    rows = make_rows(0, [()] * 10)
    for start in range(0, 10, 2):
        with sql_store.transaction() as transaction:
            transaction.append(rows[start : start + 2])
            assert len(transaction.find([row.key for row in rows])) == start + 2
    for taken in rows:
        again = replace(make_rows(10, [()])[0], key=taken.key)
        with pytest.raises(StoreError), sql_store.transaction() as transaction:
            transaction.append([again])
        with pytest.raises(StoreError), sql_store.transaction() as transaction:
            assert transaction.find([taken.key]) == {taken.key: taken.index}
            transaction.append([again])


@pytest.mark.parametrize(
    ("table", "values"),
    [
        ("subject", "name = 'dev:9'"),
        ("subject", "no = no + 10"),
        ("tile", "n = 1"),
        ("tile", "log = 2"),
        ("edge", "root = substr(note || note || note || note || note || note || note || note, 1, 32)"),
    ],
)
def test_rows_that_advance_stay_the_rows_they_are(filled, engine, table, values):
    with pytest.raises(DBAPIError, match=r"append-only|one root"), writing(engine) as connection:
        connection.execute(text(f"UPDATE {table} SET {values}"))


def test_the_tampering_demo_can_lift_the_triggers_of_its_copy(filled, engine):
    with writing(engine) as connection:
        lift_append_only(connection)
        for table, values in NEW_VALUES.items():
            rows = connection.scalar(text(f"SELECT count(*) FROM {table}"))
            assert connection.execute(text(f"UPDATE {table} SET {values}")).rowcount == rows


def test_a_hole_in_the_entries_is_named(filled, engine, make_rows, append):
    with filled.transaction() as transaction:
        append(transaction, make_rows(2, [()] * 3))
    with writing(engine) as connection:
        lift_append_only(connection)
        connection.execute(text("DELETE FROM entry WHERE idx = 3"))
    with filled.snapshot() as snapshot:
        assert len(list(snapshot.entries(0, 3))) == 3
        with pytest.raises(StoreError, match="no entry 3 "):
            list(snapshot.entries(0, 5))


def test_a_database_that_was_never_migrated_is_a_store_error(database_url):
    engine = make_engine(database_url)
    with pytest.raises(StoreError, match="edge"), SqlStore(engine).snapshot():
        pass
    engine.dispose()


def test_waiting_for_another_writer_of_this_process_ends(engine, sql_store, monkeypatch):
    monkeypatch.setattr(engine_module, "WAIT_S", 0.05)
    if engine.dialect.name == "postgresql":

        @event.listens_for(engine, "begin")
        def wait_briefly(connection):
            connection.exec_driver_sql("SET LOCAL lock_timeout = '50ms'")

    with (
        sql_store.transaction() as first,
        pytest.raises(StoreError, match=r"waited|lock timeout"),
        sql_store.transaction(),
    ):
        pytest.fail("two writers at once")
    assert first.edge() is None
    with sql_store.transaction() as transaction:
        transaction.put_edge(Edge(0, H[0], 0, b""))


@pytest.mark.parametrize("migrated_url", ["sqlite"], indirect=True)
def test_a_full_disk_stops_the_writer_until_there_is_room(engine, filled, make_rows, append):
    with engine.connect() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar()

    @event.listens_for(engine, "begin")
    def limit(connection):
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")

    rows = make_rows(2, [("dev:1", f"dev:{n}") for n in range(3, 2_000)])
    with pytest.raises(StoreError, match="full"), filled.transaction() as transaction:
        append(transaction, rows)
        transaction.put_edge(Edge(2_000, H[1], 0, b""))
    with filled.snapshot() as snapshot:
        assert snapshot.edge().size == 2
        assert len(list(snapshot.entries(0, 2))) == 2
        assert snapshot.find(["key/2"]) == {}

    pages = 1_000_000
    with filled.transaction() as transaction:
        append(transaction, rows)
    with filled.snapshot() as snapshot:
        assert snapshot.heads(["dev:1"])["dev:1"].count == 2 + len(rows)


FILE_TOO_LARGE = """
    import os, resource, signal
    from coldchain_ledger.errors import StoreError
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    database = sys.argv[1].removeprefix("sqlite:///")
    def limit(size):
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
    def big(transaction):
        size = transaction.edge().size
        transaction.append([Row(size + n, 0, "event", f"key/{size + n}", (), root, b"x" * 60_000) for n in range(20)])
        transaction.put_edge(Edge(size + 20, root, 0, b""))
    limit(os.path.getsize(database + "-wal") + 300_000)
    try:
        with store.transaction() as transaction:
            big(transaction)
            say("written")
    except StoreError as error:
        say(f"refused: {error}")
    limit(resource.RLIM_INFINITY)
    with store.transaction() as transaction:
        say(str(transaction.edge().size))
        big(transaction)
    say("worked again")
"""


@pytest.mark.parametrize("migrated_url", ["sqlite"], indirect=True)
def test_a_write_the_operating_system_refuses_at_commit_is_a_store_error(filled, run_writer):
    """The batch fits SQLite's cache, so the file is written to, and fails, in COMMIT itself."""
    writer = run_writer(FILE_TOO_LARGE)
    said = writer.stdout.read().splitlines()
    assert said[0] == "written"
    assert said[1].startswith("refused: log 1: ")
    assert said[2:] == ["2", "worked again"]
    with filled.snapshot() as snapshot:
        assert snapshot.edge().size == 22


@pytest.fixture
def mortal_postgres(postgres):
    """The cluster, for a test that crashes it: it runs again afterwards, whatever the test came to."""
    yield postgres
    if not postgres.running:
        postgres.start()


def test_as_many_readers_as_there_are_request_threads_do_not_keep_the_writer_waiting(
    sql_store, make_rows, append, monkeypatch
):
    monkeypatch.setattr(sql_store._engine.pool, "_timeout", 2)
    with ExitStack() as requests:
        for _ in range(40):
            requests.enter_context(sql_store.snapshot())
        with sql_store.transaction() as transaction:
            append(transaction, make_rows(0, [("dev:1",)]))


@pytest.fixture
def postgres_store(mortal_postgres):
    engine = make_engine(mortal_postgres.new_database())
    migrate(engine)
    yield SqlStore(engine)
    engine.dispose()


def test_postgresql_going_away_is_a_store_error_and_its_return_needs_no_restart(
    mortal_postgres, postgres_store, make_rows, append
):
    store = postgres_store
    with store.transaction() as transaction:
        append(transaction, make_rows(0, [("dev:1",)]))
        transaction.put_edge(Edge(1, H[0], 0, b""))
    rows = make_rows(1, [("dev:1",)])

    with pytest.raises(StoreError), store.transaction() as transaction:
        append(transaction, rows)
        mortal_postgres.crash()
    with pytest.raises(StoreError), store.snapshot():
        pass
    with pytest.raises(StoreError), store.transaction():
        pass

    mortal_postgres.start()
    with store.transaction() as transaction:
        assert transaction.edge().size == 1
        append(transaction, rows)
    with store.snapshot() as snapshot:
        assert snapshot.heads(["dev:1"])["dev:1"] == extend_head(
            extend_head(None, 0, make_rows(0, [()])[0].leaf), 1, rows[0].leaf
        )


def test_postgresql_going_away_in_the_middle_of_a_copy_is_a_store_error(mortal_postgres, postgres_store, make_rows):
    with pytest.raises(StoreError) as caught, postgres_store.transaction() as transaction:
        mortal_postgres.crash()
        transaction.append(make_rows(0, [()] * 10))
    assert caught.value.__cause__ is not None
    mortal_postgres.start()
    with postgres_store.transaction() as transaction:
        transaction.append(make_rows(0, [()]))
