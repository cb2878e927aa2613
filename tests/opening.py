"""A new data directory at once: its database is a copy of one that was migrated already."""

from __future__ import annotations

import tempfile
from contextlib import AbstractContextManager
from functools import cache
from pathlib import Path
from typing import Any

from coldchain.bootstrap.core import Core, open_core
from coldchain.db.engine import make_engine
from coldchain.db.migrate import migrate
from coldchain.settings import Settings


@cache
def _migrated() -> bytes:
    """The file of an SQLite database with every table and no row, closed."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "empty.db"
        engine = make_engine(f"sqlite:///{path}")
        migrate(engine)
        engine.dispose()
        return path.read_bytes()


def migrated_file(path: Path) -> str:
    """URL of a new SQLite database at that path, with every table and no row."""
    with path.open("xb") as file:
        file.write(_migrated())
    return f"sqlite:///{path}"


def new_core(settings: Settings, **options: Any) -> AbstractContextManager[Core]:
    """`open_core` with `create=True` where no ledger is; on SQLite within 20 ms instead of 75."""
    if not settings.database:
        settings.dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        migrated_file(settings.dir / "coldchain.db")
    return open_core(settings, create=True, **options)
