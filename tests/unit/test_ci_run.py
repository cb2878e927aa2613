"""`.ci/run`: what the suite needs is there, and nothing is skipped for want of it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

RUN = Path(__file__).parents[2] / ".ci" / "run"
TOLD = 'echo "$(basename "$0") $* [$COLDCHAIN_REQUIRE_SERVICES]" >> "$CALLS"\n'


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """Programs that say how they were called, before those of this machine."""
    programs = {
        "make": TOLD + 'test "$1" != "$FAILS"\n',
        "apt-get": TOLD,
        "sudo": 'exec "$@"\n',
        "mosquitto": "",
        "python3": f'case "$*" in *"$LACKS"*) exit 1;; esac\nexec {sys.executable} "$@"\n',
    }
    for name, text in programs.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}")
        (tmp_path / name).chmod(0o755)
    return tmp_path


def called(machine: Path, *, fails: str = "nothing", lacks: str = "nothing") -> tuple[int, list[str]]:
    """Exit code, and the calls that matter: PostgreSQL may have to be installed here or not."""
    environment = {"PATH": f"{machine}:/usr/bin:/bin", "CALLS": str(machine / "calls"), "FAILS": fails, "LACKS": lacks}
    done = subprocess.run([RUN], env=environment, capture_output=True, text=True, check=False)
    return done.returncode, (machine / "calls").read_text().splitlines()


def test_lint_and_the_whole_suite_run_and_a_missing_service_fails(machine: Path) -> None:
    code, calls = called(machine)
    assert (code, calls[-3:]) == (0, ["make check [1]", "make test [1]", "make test-compiled [1]"])


@pytest.mark.parametrize("target", ["check", "test", "test-compiled"])
def test_what_fails_fails_the_run(machine: Path, target: str) -> None:
    code, calls = called(machine, fails=target)
    assert (code, calls[-1]) == (1, f"make {target} [1]")


@pytest.mark.parametrize(("lacks", "package"), [("ensurepip", "python3-venv"), ("sysconfig", "python3-dev")])
def test_what_is_missing_is_installed_before(machine: Path, lacks: str, package: str) -> None:
    _, calls = called(machine, lacks=lacks)
    update, install = [call for call in calls if call.startswith("apt-get")]
    assert update.startswith("apt-get update")
    assert package in install
    assert "mosquitto" not in install
