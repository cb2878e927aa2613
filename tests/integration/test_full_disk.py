"""What a full disk is told as: by its directory, whatever failed on it first."""

from __future__ import annotations

import errno
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from coldchain.bootstrap.core import open_core
from coldchain.bootstrap.room import room_in
from coldchain.settings import load_settings
from coldchain_ledger.errors import StoreError
from e2e.serving import run


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of eight MiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("a small disk is mounted by root alone, with `mount`")
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", disk], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"no small disk can be mounted here: {mounted.stderr.strip()}")
    yield disk
    subprocess.run(["umount", "--lazy", disk], check=True)


def fill(disk: Path) -> Path:
    """A file that takes all there is."""
    path = disk / "filler"
    with pytest.raises(OSError, match="No space left"), path.open("wb", buffering=0) as file:
        while file.write(bytes(4096)):
            pass
    return path


def test_serve_on_a_full_disk_names_the_directory(small_disk: Path) -> None:
    data = small_disk / "data"
    serve = ["serve", "--dir", str(data), "--http", "127.0.0.1:0", "--mqtt", "127.0.0.1:0"]
    told = {"error": {"code": 3, "message": f"{data}: the disk is full, 0 bytes are free: make room first"}}
    filler = fill(small_disk)
    assert run(*serve, expect=3) == told

    filler.unlink()
    with open_core(load_settings(dir=data), create=True) as core:
        size = core.log.edge().size
    fill(small_disk)
    assert run(*serve, expect=3) == told

    filler.unlink()
    with open_core(load_settings(dir=data)) as core:
        assert core.log.edge().size == size, "it was not harmed"


def test_a_database_that_may_not_grow_is_told_with_its_directory(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "c.db")) as db:
        db.execute("CREATE TABLE t (x)")
        db.execute("PRAGMA max_page_count = 1")
        with (
            pytest.raises(StoreError, match=f"^{tmp_path}: the disk is full, [1-9][0-9,]* bytes are free"),
            room_in(tmp_path),
        ):
            db.execute("INSERT INTO t VALUES (zeroblob(100000))")


@pytest.mark.parametrize(
    "error", [OSError(errno.ENOSPC, "elsewhere"), sqlite3.OperationalError("no such table"), KeyError(1)]
)
def test_what_failed_while_there_is_room_is_told_as_it_was(tmp_path: Path, error: Exception) -> None:
    with pytest.raises(type(error)) as raised, room_in(tmp_path):
        raise error
    assert raised.value is error
