"""The same store three times over, and rows to put into it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from sqlalchemy import Engine

from coldchain.db.engine import make_engine
from coldchain.db.ledger_store import SqlStore
from coldchain_ledger.index import extend_head
from coldchain_ledger.memory import MemoryStore
from coldchain_ledger.merkle import leaf_hash
from coldchain_ledger.rows import Row
from coldchain_ledger.store import Store, Transaction
from opening import migrated_file

Append = Callable[[Transaction, Sequence[Row]], None]
MakeRows = Callable[..., list[Row]]


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """URL of an empty database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'coldchain.db'}"
    return str(request.getfixturevalue("postgres_url"))


@pytest.fixture
def engine(migrated_url: str) -> Iterator[Engine]:
    """A migrated database of each make."""
    engine = make_engine(migrated_url)
    yield engine
    engine.dispose()


@pytest.fixture
def sql_store(engine: Engine) -> SqlStore:
    return SqlStore(engine)


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """An empty store of each kind."""
    if request.param == "memory":
        yield MemoryStore()
        return
    if request.param == "sqlite":
        url = migrated_file(tmp_path / "coldchain.db")
    else:
        url = request.getfixturevalue("migrated_postgres")()
    engine = make_engine(url)
    yield SqlStore(engine)
    engine.dispose()


@pytest.fixture
def make_rows() -> MakeRows:
    """Rows first..first+len(subjects)-1, the n-th naming the n-th tuple of subjects."""

    def make(first: int, subjects: Sequence[tuple[str, ...]]) -> list[Row]:
        rows = []
        for index, names in enumerate(subjects, first):
            data = b'{"n":%d}\npayload %d' % (index, index)
            rows.append(Row(index, 1_000 + index, "event", f"key/{index}", names, leaf_hash(data), data))
        return rows

    return make


@pytest.fixture
def append() -> Append:
    """Append rows and advance the heads of all subjects they name, as a log does."""

    def append_rows(transaction: Transaction, rows: Sequence[Row]) -> None:
        heads = transaction.heads({name for row in rows for name in row.subjects})
        for row in rows:
            for name in row.subjects:
                heads[name] = extend_head(heads.get(name), row.index, row.leaf)
        transaction.append(rows)
        transaction.put_heads(heads)

    return append_rows
