"""`make`, before there is anything to make with."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

MAKEFILE = Path(__file__).parents[2] / "Makefile"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """The makefile alone, with what its targets look at."""
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        (tmp_path / name).write_text(MAKEFILE.with_name(name).read_text())
    return tmp_path


def make(checkout: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """As from a shell: what the `make` that runs this test was told (MAKEFLAGS, VENV) is not for this one."""
    environment = {"PATH": os.environ["PATH"]}
    return subprocess.run(["make", *words], cwd=checkout, env=environment, capture_output=True, text=True, check=False)


def python_that_fails_at(word: str, checkout: Path) -> str:
    """The one that runs the tests, but for programs in which the word occurs."""
    program = checkout / "python"
    program.write_text(f'#!/bin/sh\ncase "$*" in *{word}*) exit 1;; esac\nexec {sys.executable} "$@"\n')
    program.chmod(0o755)
    return f"PYTHON={program}"


def test_make_alone_lists_every_target(checkout: Path) -> None:
    listed = [line.split(maxsplit=1) for line in make(checkout).stdout.splitlines()]
    (phony,) = (line for line in MAKEFILE.read_text().splitlines() if line.startswith(".PHONY:"))
    assert [name for name, _ in listed] == phony.split()[1:]
    assert all(len(said) == 2 for said in listed)


@pytest.mark.parametrize(
    ("lacks", "told"),
    [
        ("venv", "apt install python3-venv"),
        ("ensurepip", "apt install python3-venv"),  # what Debian's package has; `import venv` works without it
        ("version_info", "Python 3.11 or newer is needed"),
    ],
)
def test_a_python_that_does_not_do_is_said_with_the_remedy(checkout: Path, lacks: str, told: str) -> None:
    done = make(checkout, "test", python_that_fails_at(lacks, checkout))
    assert done.returncode != 0
    assert told in done.stdout
    assert not (checkout / ".venv").exists()


def test_clean_removes_what_can_be_made_again_and_no_data(checkout: Path) -> None:
    made = [checkout / ".venv" / "bin", checkout / ".pytest_cache", checkout / "src" / "__pycache__"]
    for directory in made:
        directory.mkdir(parents=True)
    data = checkout / "coldchain-data" / "coldchain.db"
    data.parent.mkdir()
    data.write_bytes(b"irreplaceable")

    assert make(checkout, "clean").returncode == 0

    assert data.read_bytes() == b"irreplaceable"
    assert not any(directory.exists() for directory in made)


def test_without_a_compiler_the_bench_says_so_and_measures_what_there_is(checkout: Path) -> None:
    bench = checkout / ".venv" / "bin" / "python"
    bench.parent.mkdir(parents=True)
    bench.write_text('#!/bin/sh\necho "measured: $*"\n')
    bench.chmod(0o755)
    (checkout / ".venv" / ".installed").touch()
    stale = checkout / "build" / "compiled" / "coldchain"
    stale.mkdir(parents=True)
    tools = checkout / "tools"
    tools.mkdir()
    for name in ("sh", "find", "rm", "test"):
        (tools / name).symlink_to(f"/usr/bin/{name}")

    done = make(checkout, "bench", f"PATH={tools}", f"PYTHON={sys.executable}")

    assert done.stdout.splitlines()[0].startswith("No C compiler")
    assert "measured: -m bench" in done.stdout
    assert not stale.exists()
