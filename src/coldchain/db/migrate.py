"""Bringing a database to this version's schema (docs/decisions/0003-migrations.md)."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.resources import files

from sqlalchemy import Connection, Engine, MetaData, Table, delete, insert, inspect, select, text
from sqlalchemy.dialects import registry
from sqlalchemy.schema import CreateIndex, CreateTable

from coldchain.db.engine import writing
from coldchain.db.tables import projection_tables
from coldchain.db.tables.side import projection_table

REVISION = "0006"
"""The newest migration of the ledger and side tables."""
FOLD_VERSION = 1
"""Raise it when a projection concludes differently from the same entries: its rows are then derived anew."""
NO_TABLES = "no tables yet"
_LOCK = 0x736368656D61
"""Advisory lock of schema changes on PostgreSQL, "schema"."""


def migrate(engine: Engine) -> None:
    """Ledger, side and projection tables are of this version afterwards; safe to call from several processes at once.

    One transaction: a crash leaves the schema as it was. Projection tables made by another version are empty afterwards
    and their cursors at the start; the follower derives them again. Raises what Alembic raises for a database newer
    than this program.
    """
    with writing(engine) as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        if _revision(connection) != REVISION:
            _upgrade(connection)
        _create_projection_tables(connection)


def differences(engine: Engine) -> str:
    """What `migrate` would have to change, in words; empty where the database is of this version. Reads only."""
    with engine.connect() as connection:
        revision = _revision(connection)
        if revision is None:
            return NO_TABLES
        if revision != REVISION:
            return f"schema {revision}, this program's is {REVISION}"
        made, defined = _made(connection), _defined(connection)
        said = f"derived tables of another version ({_short(made)}, this program's are {_short(defined)})"
        return "" if made == defined else said


def opens_by_itself(engine: Engine) -> bool:
    """Whether whatever opens this database for writing next brings it to this version: it is of none that is newer."""
    names = (entry.name for entry in (files("coldchain.db") / "migrations" / "versions").iterdir())
    with engine.connect() as connection:
        return _revision(connection) in {name.partition("_")[0] for name in names if name.endswith(".py")}


def create_projection_tables(engine: Engine) -> None:
    """Every projection table is there and as defined; all of them are empty if any was not."""
    with writing(engine) as connection:
        _create_projection_tables(connection)


def lift_append_only(connection: Connection) -> None:
    """Drop the triggers that keep the ledger append-only.

    For showing on a copy of a database that tampering is found out (`coldchain fsck`). Nothing puts them back.
    """
    if connection.dialect.name == "postgresql":
        listing = "SELECT tgname, tgrelid::regclass::text FROM pg_trigger WHERE tgname LIKE 'append_only_%'"
    else:
        listing = "SELECT name, tbl_name FROM sqlite_schema WHERE type = 'trigger' AND name LIKE 'append_only_%'"
    for name, table in connection.execute(text(listing)).all():
        on_table = f" ON {table}" if connection.dialect.name == "postgresql" else ""
        connection.execute(text(f"DROP TRIGGER {name}{on_table}"))


def _revision(connection: Connection) -> str | None:
    """Asked without Alembic, whose import takes longer than the answer."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    return str(connection.scalar(text("SELECT version_num FROM alembic_version")))


def _upgrade(connection: Connection) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(files("coldchain.db") / "migrations").replace("%", "%%"))
    command.upgrade(config, "head")


def _create_projection_tables(connection: Connection) -> None:
    made, defined = _made(connection), _defined(connection)
    if made == defined:
        return
    _drop(connection, made)
    for table in projection_tables():
        table.create(connection)
    connection.execute(delete(projection_table))
    if defined:
        rows = [{"name": name, "fingerprint": fingerprint} for name, fingerprint in defined.items()]
        connection.execute(insert(projection_table), rows)


def _made(connection: Connection) -> dict[str, str]:
    """The projection tables of this database and the fingerprint each was made with."""
    rows = connection.execute(select(projection_table.c.name, projection_table.c.fingerprint)).all()
    return {row.name: row.fingerprint for row in rows}


def _defined(connection: Connection) -> dict[str, str]:
    """The same as this program has them."""
    tables = projection_tables()
    fingerprint = _fingerprint(connection.dialect.name, FOLD_VERSION, *tables)
    return dict.fromkeys((table.name for table in tables), fingerprint)


def _short(fingerprints: dict[str, str]) -> str:
    return " ".join(sorted({one[:8] for one in fingerprints.values()})) or "none"


def _drop(connection: Connection, names: dict[str, str]) -> None:
    """Drop tables by name alone: this version may no longer know what they looked like."""
    present = set(inspect(connection).get_table_names()).intersection(names)
    old = MetaData()
    old.reflect(connection, only=sorted(present))
    old.drop_all(connection)


@cache
def _fingerprint(dialect: str, fold_version: int, *tables: Table) -> str:
    """SHA-256 over the tables' DDL in this dialect, hex. One for all: they are derived together."""
    spoken = registry.load(dialect)()
    ddl = [str(CreateTable(table).compile(dialect=spoken)) for table in tables]
    ddl += [str(CreateIndex(index).compile(dialect=spoken)) for table in tables for index in table.indexes]
    return hashlib.sha256("\n".join([f"fold {fold_version}", *sorted(ddl)]).encode()).hexdigest()
