"""A lock is held by one process and dies with it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from coldchain.bootstrap.locks import exclusive, is_locked

HOLD = """
import sys, pathlib
from coldchain.bootstrap.locks import exclusive
with exclusive(pathlib.Path(sys.argv[1])) as mine:
    print(mine, flush=True)
    sys.stdin.read()
"""


def test_a_second_holder_is_told_at_once_and_a_killed_one_lets_go(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    assert not is_locked(path)
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "True\n"
        with exclusive(path) as mine:
            assert not mine
        holder.kill()
        holder.wait()
    with exclusive(path) as mine:
        assert mine
