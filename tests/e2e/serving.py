"""The server as its users start it: a subprocess, reached over its sockets alone."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key

from coldchain.db.engine import make_engine
from coldchain.db.ledger_store import SqlStore
from coldchain_devices.signer import DeviceKey
from coldchain_ledger.log import edge_of

COLDCHAIN = Path(sys.executable).with_name("coldchain")
READY_S = 30.0


class Server:
    """`coldchain serve` on one data directory and fixed ports, so that devices find it again after a kill."""

    def __init__(self, directory: Path, http: int, mqtt: int, *options: str, env: dict[str, str] | None = None) -> None:
        self.directory = directory
        self.http = f"http://127.0.0.1:{http}"
        self.mqtt = ("127.0.0.1", mqtt)
        self._command = [
            str(COLDCHAIN), "serve", "--dir", str(directory), "--http", f"127.0.0.1:{http}",
            "--mqtt", f"127.0.0.1:{mqtt}", *options,
        ]  # fmt: skip
        self._env = {**os.environ, **(env or {})}
        self.process: subprocess.Popen[str] | None = None

    def start(self) -> str:
        """The ready line."""
        with (self.directory.parent / "server.log").open("a") as log:
            self.process = subprocess.Popen(self._command, stdout=subprocess.PIPE, stderr=log, text=True, env=self._env)
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise AssertionError(f"serve ended with {self.process.wait()}:\n{self.log()[-4000:]}")
        return line

    def close(self) -> None:
        """No test leaves a server behind, however it ends."""
        if self.process is not None and self.process.poll() is None:
            self.kill()

    def log(self) -> str:
        return (self.directory.parent / "server.log").read_text()

    def kill(self) -> None:
        assert self.process is not None
        assert self.process.stdout is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(5)
        self.process.stdout.close()

    def terminate(self) -> float:
        """Seconds it took to end after SIGTERM, cleanly: exit code 0, and nothing said but the ready line."""
        assert self.process is not None
        assert self.process.stdout is not None
        since = time.monotonic()
        self.process.terminate()
        code = self.process.wait(20)
        took = time.monotonic() - since
        with self.process.stdout as stdout:
            assert (code, stdout.read()) == (0, "")
        return took

    def counted(self) -> dict[str, int]:
        """What admission did with messages since the start, as /metrics says it."""
        token = (self.directory / "secrets" / "operator.token").read_text().strip()
        asked = Request(f"{self.http}/metrics", headers={"Authorization": f"Bearer {token}"})
        with urlopen(asked, timeout=10) as answer:
            lines = answer.read().decode().splitlines()
        told = [line.removeprefix('coldchain_messages_total{kind="') for line in lines if "messages_total{" in line]
        return {kind: int(float(count)) for kind, _, count in (line.partition('"} ') for line in told)}

    def broker_pids(self) -> list[int]:
        """nats-server processes whose command line names this directory."""
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if words[0].endswith(b"nats-server") and any(str(self.directory).encode() in word for word in words):
                found.append(int(entry.name))
        return found


def run(*arguments: str, expect: int = 0) -> Any:
    """One command with --json; its document."""
    done = subprocess.run([str(COLDCHAIN), *arguments, "--json"], capture_output=True, text=True, timeout=240)
    assert done.returncode == expect, (
        f"{arguments}: exit {done.returncode}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    )
    return json.loads(done.stdout) if done.stdout.strip() else None


def enrol(directory: Path, key: DeviceKey, device: str, *options: str, org: str = "acme", site: str = "fleet") -> Any:
    pem = directory.parent / f"{device}.pem"
    public = load_der_public_key(key.public_spki())
    pem.write_bytes(public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return run(
        "device", "enrol", "--dir", str(directory), "--org", org, "--site", site, "--id", device,
        "--public-key", str(pem), *options,
    )  # fmt: skip


def parse_ready(line: str) -> tuple[str, str]:
    match = re.search(r"(http://127\.0\.0\.1:\d+).*(mqtt://127\.0\.0\.1:\d+)", line)
    assert match is not None, line
    return match[1], match[2]


def stored_entries(directory: Path) -> list[bytes]:
    """All of the ledger, in order, whichever way it is stored."""
    engine = make_engine(f"sqlite:///{directory / 'coldchain.db'}")
    with SqlStore(engine).snapshot() as view:
        found = list(view.entries(0, edge_of(view).size))
    engine.dispose()
    return found
