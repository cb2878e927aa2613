"""A full disk, told as one: neither the kernel nor SQLite names the directory, and SQLite not always the reason."""

from __future__ import annotations

import errno
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from coldchain_ledger.errors import StoreError

NO_ROOM_BYTES = 2**20
"""With less than this free, what could not be read, written or opened failed for want of room: opening a database takes
some 40 KiB, a commit as many pages as it changed."""


@contextmanager
def room_in(directory: Path) -> Iterator[None]:
    """Raises StoreError naming the directory where what is done within fails because the disk it is on is full.

    What else is full, a database server's disk or the one an answer is written to, is told as before.
    """
    try:
        yield
    except Exception as error:
        free = shutil.disk_usage(directory).free if directory.exists() else NO_ROOM_BYTES
        if any(_for_want_of_room(cause, free) for cause in _causes(error)):
            raise StoreError(f"{directory}: the disk is full, {free:,} bytes are free: make room first") from error
        raise


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__


def _for_want_of_room(error: BaseException, free: int) -> bool:
    if isinstance(error, sqlite3.OperationalError):
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF  # without what it was doing
        starved = code in (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN) and free < NO_ROOM_BYTES
        return code == sqlite3.SQLITE_FULL or starved
    return isinstance(error, OSError) and error.errno == errno.ENOSPC and free < NO_ROOM_BYTES
