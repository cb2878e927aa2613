"""A database is made by migrating, and that makes what the code defines (docs/decisions/0003-migrations.md)."""

import threading
from importlib.resources import files

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import BigInteger, Column, MetaData, Table, inspect, text

from coldchain.db import migrate as migrate_module
from coldchain.db.engine import make_engine, writing
from coldchain.db.migrate import REVISION, create_projection_tables, migrate
from coldchain.db.tables import LEDGER_TABLES, SIDE_TABLES, all_tables, metadata, projection_tables

POSTGRES_SCHEMA = [
    "SELECT table_name, column_name, data_type, is_nullable, is_identity, collation_name"
    " FROM information_schema.columns WHERE table_schema = 'public' AND table_name <> 'alembic_version' ORDER BY 1, 2",
    "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint"
    " WHERE connamespace = 'public'::regnamespace AND conrelid <> 'alembic_version'::regclass ORDER BY 1, 2",
    "SELECT indexname, indexdef FROM pg_indexes"
    " WHERE schemaname = 'public' AND tablename <> 'alembic_version' ORDER BY 1",
    "SELECT relname, reloptions FROM pg_class WHERE relkind = 'r' AND reloptions IS NOT NULL ORDER BY 1",
]
SQLITE_SCHEMA = [
    "SELECT name, sql FROM sqlite_schema WHERE type IN ('table', 'index') AND name <> 'alembic_version'"
    " AND sql IS NOT NULL ORDER BY 1"
]


def schema(engine):
    """The schema as the database tells it, but for triggers, and for the quotes SQLite puts around names of tables that
    were made anew."""
    queries = SQLITE_SCHEMA if engine.dialect.name == "sqlite" else POSTGRES_SCHEMA
    with engine.connect() as connection:
        return [
            " ".join(str(tuple(row)).replace('"', "").split())
            for query in queries
            for row in connection.execute(text(query))
        ]


@pytest.fixture
def defined_schema(engine, tmp_path, request):
    """The schema of a database made from the definitions alone."""
    url = f"sqlite:///{tmp_path / 'defined.db'}"
    if engine.dialect.name == "postgresql":
        url = request.getfixturevalue("postgres").new_database()
    defined = make_engine(url)
    all_tables()
    metadata.create_all(defined)
    with defined.connect() as connection:
        connection.execute(text("CREATE TABLE alembic_version (version_num VARCHAR(32))"))
        connection.commit()
    yield schema(defined)
    defined.dispose()


def test_alembic_finds_nothing_to_change_in_a_migrated_database(engine):
    all_tables()
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_migrations_make_what_the_code_defines(engine, defined_schema):
    assert schema(engine) == defined_schema


def test_every_named_table_is_defined():
    assert {table.name for table in all_tables()} >= LEDGER_TABLES | SIDE_TABLES
    assert not {table.name for table in projection_tables()} & (LEDGER_TABLES | SIDE_TABLES)


def test_the_revision_the_program_expects_is_the_newest_script():
    config = Config()
    config.set_main_option("script_location", str(files("coldchain.db") / "migrations"))
    assert ScriptDirectory.from_config(config).get_heads() == [REVISION]


def test_migrating_again_changes_nothing(engine):
    before = schema(engine)
    migrate(engine)
    assert schema(engine) == before


def test_several_starts_at_once_migrate_once(database_url):
    engines = [make_engine(database_url) for _ in range(4)]
    failures = []

    def start(engine):
        try:
            migrate(engine)
        except Exception as error:  # noqa: BLE001 (whatever it is, the test shows it)
            failures.append(error)

    threads = [threading.Thread(target=start, args=[engine]) for engine in engines]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert set(inspect(engines[0]).get_table_names()) >= LEDGER_TABLES | SIDE_TABLES
    for engine in engines:
        engine.dispose()


def test_a_migration_that_fails_leaves_the_database_as_it_was(database_url, monkeypatch):
    engine = make_engine(database_url)
    monkeypatch.setattr(migrate_module, "projection_tables", lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        migrate(engine)
    assert inspect(engine).get_table_names() == []
    engine.dispose()


def test_a_database_of_a_newer_program_is_refused(engine):
    with writing(engine) as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(CommandError, match="9999"):
        migrate(engine)


@pytest.fixture
def define(monkeypatch):
    """Make the program define these projection tables and no others."""

    def define_tables(**columns):
        other = MetaData()
        tables = [
            Table(name, other, *(Column(column, BigInteger, primary_key=True) for column in names))
            for name, names in columns.items()
        ]
        monkeypatch.setattr(migrate_module, "projection_tables", lambda: tables)

    return define_tables


@pytest.fixture
def rows(engine):
    """Count the rows of a table, or None where there is no such table."""

    def count(table):
        if not inspect(engine).has_table(table):
            return None
        with engine.connect() as connection:
            return connection.scalar(text(f"SELECT count(*) FROM {table}"))

    return count


@pytest.fixture
def two_projections(engine, define):
    """Tables `stays` and `moves`, one row each."""
    define(stays=["a"], moves=["a"])
    create_projection_tables(engine)
    with writing(engine) as connection:
        connection.execute(text("INSERT INTO stays VALUES (1)"))
        connection.execute(text("INSERT INTO moves VALUES (1)"))


@pytest.mark.usefixtures("two_projections")
def test_projections_keep_their_rows_while_their_definitions_stay(engine, define, rows):
    define(moves=["a"], stays=["a"])
    create_projection_tables(engine)
    assert (rows("stays"), rows("moves")) == (1, 1)


@pytest.mark.usefixtures("two_projections")
def test_one_changed_projection_empties_them_all_and_nothing_else(engine, define, rows):
    with writing(engine) as connection:
        connection.execute(text("INSERT INTO broker_account VALUES ('u', 'probe', '', '', '', 'n', 'm', true, 1)"))
    define(stays=["a"], moves=["a", "b"])
    create_projection_tables(engine)
    assert (rows("stays"), rows("moves"), rows("broker_account")) == (0, 0, 1)
    assert [column["name"] for column in inspect(engine).get_columns("moves")] == ["a", "b"]


@pytest.mark.usefixtures("two_projections")
def test_a_projection_that_is_no_more_is_dropped(engine, define, rows):
    define(stays=["a"])
    create_projection_tables(engine)
    assert (rows("stays"), rows("moves")) == (0, None)


@pytest.mark.usefixtures("two_projections")
def test_a_fold_that_concludes_differently_starts_from_empty_tables(engine, monkeypatch, rows):
    monkeypatch.setattr(migrate_module, "FOLD_VERSION", migrate_module.FOLD_VERSION + 1)
    create_projection_tables(engine)
    assert (rows("stays"), rows("moves")) == (0, 0)
