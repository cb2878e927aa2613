"""The processes of a run: each ends with us, however we end."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from coldchain.mqtt import diewithparent

PROJECT = Path(__file__).resolve().parent.parent
COLDCHAIN = Path(sys.executable).with_name("coldchain")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def mosquitto_program() -> str | None:
    return shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


@contextmanager
def child(*command: str | Path, log: Path, env: dict[str, str] | None = None) -> Iterator[subprocess.Popen[str]]:
    """A program with pipes to talk by, ended when left; its stderr goes to `log`."""
    launcher = [sys.executable, "-I", "-S", diewithparent.__file__, str(os.getpid())]
    with (
        log.open("a") as errors,
        subprocess.Popen(
            [*launcher, *map(str, command)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            cwd=PROJECT,
            env={**os.environ, **(env or {})},
        ) as process,
    ):
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()


def ask(process: subprocess.Popen[str], question: object = None) -> Any:
    """One JSON line to a child, unless None; its next JSON line. Raises RuntimeError when it ended instead."""
    assert process.stdin is not None
    assert process.stdout is not None
    if question is not None:
        process.stdin.write((question if isinstance(question, str) else json.dumps(question)) + "\n")
        process.stdin.flush()
    line = process.stdout.readline()
    if not line:
        raise RuntimeError(f"{process.args!r} ended with {process.wait()}")
    return json.loads(line)


def children_of(pid: int) -> list[int]:
    """Processes started by this one, and by those."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        if parent == pid:
            found += [int(entry.name), *children_of(int(entry.name))]
    return found
