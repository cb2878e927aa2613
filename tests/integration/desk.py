"""Somebody at a desk with a data directory, files, and the command line."""

from __future__ import annotations

import io
import json
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from coldchain.cli import main


class Answer(NamedTuple):
    exit_code: int
    stdout: str
    stderr: str


class Desk:
    """Somebody at a desk with a data directory and files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.run("migrate")

    def file(self, name: str, *lines: str) -> Path:
        path = self.folder / name
        path.write_text("\n".join(lines))
        return path

    def invoke(self, *words: str | Path) -> Answer:
        out, err = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as ended:
            main([*map(str, words), "--dir", str(self.folder / "D"), "--json"])
        return Answer(int(ended.value.code or 0), out.getvalue(), err.getvalue())

    def run(self, *words: str | Path, code: int = 0) -> Any:
        result = self.invoke(*words)
        assert result.exit_code == code, result
        return json.loads(result.stdout)

    def load(self, path: Path, *more: str | Path, kind: str = "packing-list", org: str = "acme", code: int = 0) -> Any:
        return self.run("import", path, "--org", org, *(("--kind", kind) if kind else ()), *more, code=code)

    def entries(self) -> int:
        return int(self.run("fsck")["entries"])
