"""Order, repetition and rebuilding are held by comparing digests of derived tables: nothing may escape them."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from sqlalchemy import Column, Engine, Row, Table, and_, select, update

from coldchain.bootstrap.core import open_core
from coldchain.cli import group
from coldchain.db.engine import writing
from coldchain.db.tables.telemetry import series
from coldchain.projections.follow import digests
from coldchain.settings import load_settings
from opening import new_core
from web.story import END, START, Clock, tell


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("digests") / "data"
    clock = Clock(START)
    with new_core(load_settings(dir=path), clock=clock) as core:
        tell(core, clock)
    return path


def other(value: Any) -> Any:
    match value:
        case None:
            return 1_000_003
        case bool():
            return not value
        case int() | float():
            return value + 1_000_003  # no other row has it
        case bytes():
            return value + b"x"
    return f"{value}x"


@contextmanager
def changed(engine: Engine, table: Table, row: Row[Any], column: Column[Any]) -> Iterator[None]:
    """One cell has another value meanwhile."""

    def put(old: dict[str, Any], new: Any) -> None:
        this_row = and_(*(c.is_(None) if old[c.name] is None else c == old[c.name] for c in table.columns))
        with writing(engine) as connection:
            assert connection.execute(update(table).where(this_row).values({column.name: new})).rowcount == 1

    was = dict(row._mapping)
    put(was, other(was[column.name]))
    yield
    put({**was, column.name: other(was[column.name])}, was[column.name])


def test_every_cell_counts_and_of_facts_every_one_but_provenance(directory: Path) -> None:
    with open_core(load_settings(dir=directory), clock=Clock(END)) as core:
        # What a series' row holds is unpacked before it is compared: `tests/integration/test_history.py`.
        tables = [t for t in core.follower.tables() if t.info.get("facts", True) and t is not series]
        seen = set()
        for table in tables:
            with core.engine.connect() as connection:
                row = connection.execute(select(table)).first()
            for column in table.columns if row is not None else ():
                whole, facts = (digests(core.engine, [table], facts_only=only) for only in (False, True))
                with changed(core.engine, table, row, column):
                    assert digests(core.engine, [table]) != whole, column
                    same = digests(core.engine, [table], facts_only=True) == facts
                    assert same == bool(column.info.get("provenance")), column
                assert digests(core.engine, [table]) == whole
                seen.add(table.name)
        assert len(seen) > 20


def test_a_rebuild_that_gives_other_rows_says_in_which_table_and_ends_with_1(directory: Path) -> None:
    with closing(sqlite3.connect(directory / "coldchain.db")) as db, db:
        assert db.execute("DELETE FROM segment WHERE rowid = (SELECT min(rowid) FROM segment)").rowcount == 1
    words = ["rebuild", "--check", "--dir", str(directory), "--json"]
    found = CliRunner().invoke(group, words)
    tables = json.loads(found.stdout)["tables"]
    assert found.exit_code == 1
    assert [name for name, one in tables.items() if one["before"] != one["after"]] == ["segment"]
    assert CliRunner().invoke(group, words).exit_code == 0
