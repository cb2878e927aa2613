"""What each package may import (import-linter holds what they may import of each other)."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
STDLIB = sys.stdlib_module_names


def imported(folder: Path) -> dict[str, set[str]]:
    """The top-level packages a folder's files import, wherever in the file, and which files."""
    found: dict[str, set[str]] = {}
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) and node.module else []
            for name in names:
                found.setdefault(name.partition(".")[0], set()).add(path.name)
    return found


@pytest.mark.parametrize(
    ("folder", "allowed"),
    [
        ("ledger/coldchain_ledger", {"coldchain_ledger", "cryptography"}),
        ("devices/coldchain_devices", {"coldchain_devices", "coldchain_ledger", "cryptography", "paho"}),
        ("src/coldchain/domain", {"coldchain"}),
    ],
)
def test_a_package_stands_on_what_the_design_names_and_on_nothing_else(folder: str, allowed: set[str]) -> None:
    others = {name: files for name, files in imported(PROJECT / folder).items() if name not in STDLIB | allowed}
    assert others == {}


def test_only_the_commands_that_play_devices_import_them() -> None:
    players = {"demo.py", "simulate.py", "replay.py", "playing.py"}
    assert imported(PROJECT / "src")["coldchain_devices"] == players
