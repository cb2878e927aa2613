"""`coldchain demo --tamper N`."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from coldchain.cli.common import BROKEN, OK, Data, fail

if TYPE_CHECKING:
    from sqlalchemy import Connection


def tamper_with(data: Data, directory: Path, index: int) -> NoReturn:
    """Edit one entry in a copy of the demo's database, its trigger dropped, and see whether fsck names it."""
    copy = directory / "tampered"
    shutil.rmtree(copy, ignore_errors=True)
    copy.mkdir()
    shutil.copytree(directory / "secrets", copy / "secrets")
    _copy_database(directory / "coldchain.db", copy / "coldchain.db")
    bad = _edit_and_check(copy, index)
    found = bad is not None and bad["index"] == index
    document = {"tampered": index, "first_bad": bad, "found": found}
    data.show(
        document, lambda d: iter([f"{'✓' if found else '!'} entry {index} edited; fsck names {bad and bad['index']}"])
    )
    sys.exit(OK if found else BROKEN)


def _copy_database(source: Path, target: Path) -> None:
    import sqlite3

    with sqlite3.connect(source) as original, sqlite3.connect(target) as copy:
        original.backup(copy)


def _edit_and_check(copy: Path, index: int) -> Any:
    from coldchain.bootstrap.core import open_ledger
    from coldchain.db.engine import make_engine, writing
    from coldchain.db.migrate import lift_append_only
    from coldchain.settings import load_settings
    from coldchain_ledger.fsck import fsck

    settings = load_settings(dir=copy, database=f"sqlite:///{copy.resolve() / 'coldchain.db'}")
    engine = make_engine(settings.database_url)
    with writing(engine) as connection:
        lift_append_only(connection)
        if not _edit(connection, index):
            fail(f"there is no entry {index}")
    engine.dispose()
    with open_ledger(settings) as (store, verifier):
        return fsck(store, verifier).first_bad


def _edit(connection: Connection, index: int) -> bool:
    """Change the last byte of an entry where it is stored, in a row of its own or compressed with others."""
    from sqlalchemy import select, update

    from coldchain.db.bundles import pack, unpack
    from coldchain.db.tables.ledger import bundle, entry
    from coldchain_ledger.tiles import TILE_WIDTH

    stored = connection.scalar(select(entry.c.data).where(entry.c.idx == index))
    if stored is not None:
        connection.execute(update(entry).where(entry.c.idx == index).values(data=_other(stored)))
        return True
    n, place = divmod(index, TILE_WIDTH)
    packed = connection.scalar(select(bundle.c.data).where(bundle.c.n == n))
    if packed is None:
        return False
    entries = unpack(packed)
    entries[place] = _other(entries[place])
    connection.execute(update(bundle).where(bundle.c.n == n).values(data=pack(entries)))
    return True


def _other(stored: bytes) -> bytes:
    return stored[:-1] + bytes([stored[-1] ^ 1])
