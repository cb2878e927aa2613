"""Keys and tokens of a data directory: whole or not there, one for all processes, for their owner alone."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from coldchain.bootstrap.secrets import log_signer, operator_token, read_secret, write_secret


def test_a_crash_while_a_secret_is_written_leaves_no_part_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(_descriptor: int) -> None:
        raise OSError("the power is gone")

    with monkeypatch.context() as patched, pytest.raises(OSError, match="power"):
        patched.setattr(os, "fsync", crash)
        log_signer(tmp_path, "", create=True)
    assert list(tmp_path.iterdir()) == []
    assert log_signer(tmp_path, "", create=True).vkey() == log_signer(tmp_path, "", create=False).vkey()


def test_processes_that_start_at_once_agree_on_one_secret(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as threads:
        tokens = set(threads.map(lambda _: operator_token(tmp_path, create=True), range(32)))
        keys = set(threads.map(lambda _: log_signer(tmp_path, "", create=True).vkey(), range(32)))
    assert (len(tokens), len(keys)) == (1, 1)


def test_a_secret_is_never_overwritten_and_is_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "token"
    write_secret(path, b"first")
    write_secret(path, b"second")
    assert read_secret(path) == b"first"
    assert path.stat().st_mode & 0o777 == 0o600
    assert [one.name for one in tmp_path.iterdir()] == ["token"]
