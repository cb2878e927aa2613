"""The command line as a whole: complete, uniform, and quick to answer `--help`."""

from __future__ import annotations

import importlib
import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from pkgutil import iter_modules

import click
import pytest
from click.testing import CliRunner

from coldchain import cli
from coldchain.bootstrap.core import open_core
from coldchain.cli import COMMANDS, group, main
from coldchain.settings import load_settings


def leaves() -> Iterator[tuple[str, click.Command]]:
    """Every command that does something, by the words that call it."""
    context = click.Context(group)
    waiting = [(name, group.get_command(context, name)) for name in reversed(COMMANDS)]
    while waiting:
        words, command = waiting.pop()
        assert command is not None
        if isinstance(command, click.Group):
            waiting += [(f"{words} {sub}", one) for sub, one in reversed(command.commands.items())]
        else:
            yield words, command


def test_help_lists_every_command_with_what_it_does() -> None:
    result = CliRunner().invoke(group, ["--help"], terminal_width=200)
    assert result.exit_code == 0
    for name, said in COMMANDS.items():
        assert f"  {name} " in result.output
        assert said in result.output


def test_every_module_with_a_command_is_listed() -> None:
    modules = {module.name for module in iter_modules(cli.__path__)}
    found = {name for name in modules if hasattr(importlib.import_module(f"coldchain.cli.{name}"), "command")}
    assert {name.rstrip("_") for name in found} == set(COMMANDS)


@pytest.mark.parametrize(("words", "command"), [pytest.param(*leaf, id=leaf[0]) for leaf in leaves()])
def test_every_command_takes_a_directory_a_database_and_json_and_explains_itself(
    words: str, command: click.Command
) -> None:
    options = {option for parameter in command.params for option in parameter.opts}
    assert {"--dir", "--database", "--json"} <= options

    result = CliRunner().invoke(group, [*words.split(), "--help"])
    assert result.exit_code == 0
    assert command.help
    assert command.help.splitlines()[0][:30] in result.output


def test_help_imports_neither_database_nor_web_nor_cryptography() -> None:
    program = (
        "import json, sys; from coldchain.cli import group; group.main(['--help'], standalone_mode=False);"
        "print(json.dumps(sorted(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded = set(json.loads(done.stdout.splitlines()[-1]))
    assert loaded.isdisjoint({"sqlalchemy", "fastapi", "pydantic", "cryptography", "rich", "coldchain.bootstrap.core"})
    assert "coldchain.cli" in loaded


def test_a_command_that_does_not_exist_is_a_usage_error() -> None:
    assert CliRunner().invoke(group, ["nosuch"]).exit_code == 2


def told(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[object, str]:
    """(exit code, stderr) of a command that cannot do its work; nothing is on stdout."""
    with pytest.raises(SystemExit) as ended:
        main(list(words))
    captured = capsys.readouterr()
    assert captured.out == ""
    return ended.value.code, captured.err


def test_what_a_person_can_mend_is_told_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, line = told(capsys, "log", "key", "--dir", str(tmp_path / "none"))
    assert (code, line.count("\n")) == (2, 1)
    code, line = told(capsys, "log", "key", "--dir", str(tmp_path), "--database", "mysql://x/y")
    assert (code, line) == (
        2,
        f"coldchain: {tmp_path} is no data directory: `coldchain migrate --dir {tmp_path}` makes one\n",
    )


def test_a_database_of_a_newer_program_or_a_damaged_one_could_not_be_checked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with open_core(load_settings(dir=tmp_path), create=True):
        pass
    database = tmp_path / "coldchain.db"
    with closing(sqlite3.connect(database)) as db, db:
        db.execute("UPDATE alembic_version SET version_num = '9999'")
    code, line = told(capsys, "log", "key", "--dir", str(tmp_path))
    assert (code, "9999" in line) == (3, True)

    os.truncate(database, database.stat().st_size // 2)
    code, line = told(capsys, "inspect", "veh:TRUCK-1", "--dir", str(tmp_path))
    assert code == 3
    assert "malformed" in line


@pytest.mark.parametrize("words", ["fsck", "log key", "inspect veh:T1", "rebuild", "rejects"])
def test_a_database_that_is_lost_is_said_so_and_no_other_ledger_begins_in_its_place(
    words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with open_core(load_settings(dir=tmp_path), create=True):
        pass
    for file in tmp_path.glob("coldchain.db*"):
        file.unlink()
    code, line = told(capsys, *words.split(), "--dir", str(tmp_path))
    assert (code, line.count("\n"), f"there is no {tmp_path / 'coldchain.db'}" in line) == (3, 1, True)
    assert not list(tmp_path.glob("coldchain.db*"))

    elsewhere = f"sqlite:///{tmp_path / 'empty.db'}"
    sqlite3.connect(tmp_path / "empty.db").close()
    code, line = told(capsys, *words.split(), "--dir", str(tmp_path), "--database", elsewhere)
    assert (code, "holds no ledger" in line) == (3, True)
