"""The same server on PostgreSQL, and on a Mosquitto of somebody else's."""

from __future__ import annotations

import grp
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from coldchain.mqtt.mosquitto import configuration
from coldchain_devices.signer import DeviceKey
from e2e.serving import Server, enrol, run
from e2e.test_serve import Device


def test_the_demo_runs_on_postgresql(postgres_url: str, tmp_path: Path) -> None:
    where = ("--dir", str(tmp_path / "d"), "--database", postgres_url)
    document = run("demo", "--scenario", "smoke", "--no-serve", *where)
    assert document["verified"]
    assert run("fsck", *where)["entries"] == document["entries"]
    tables = run("rebuild", "--check", *where)["tables"]
    assert all(one["before"] == one["after"] for one in tables.values())


class Mosquitto:
    """Started on empty account files, as an operator would before the first enrolment."""

    def __init__(self, program: str, directory: Path, port: int) -> None:
        self.password_file, self.pid_file = directory / "passwords", directory / "pid"
        (directory / "acl").touch()
        self.password_file.touch()
        if os.geteuid() == 0:  # it gives up root: its group must reach what we write (mosquitto/README.md)
            os.chown(directory, -1, grp.getgrnam("mosquitto").gr_gid)
        directory.chmod(0o2777)
        text = configuration(
            f"{port} 127.0.0.1", str(self.password_file), str(directory / "acl"), str(self.pid_file), f"{directory}/"
        )
        (directory / "mosquitto.conf").write_text(text)
        with (directory / "log").open("w") as log:
            self.process = subprocess.Popen([program, "-c", str(directory / "mosquitto.conf")], stdout=log, stderr=log)
        while not self.pid_file.exists():
            assert self.process.poll() is None, (directory / "log").read_text()
            time.sleep(0.02)


@pytest.fixture
def mosquitto(tmp_path: Path, free_port: Callable[[], int]) -> Iterator[tuple[Mosquitto, int]]:
    program = shutil.which("mosquitto") or "/usr/sbin/mosquitto"
    if not Path(program).exists():
        if os.environ.get("COLDCHAIN_REQUIRE_SERVICES") == "1":
            pytest.fail("COLDCHAIN_REQUIRE_SERVICES=1, but Mosquitto is not installed")
        pytest.skip("Mosquitto is not installed (Debian: mosquitto)")
    import tempfile

    # Not below pytest's own directory: Mosquitto gives up root and could not read its files there.
    with tempfile.TemporaryDirectory(prefix="coldchain-mosquitto-") as directory:
        port = free_port()
        broker = Mosquitto(program, Path(directory), port)
        yield broker, port
        broker.process.send_signal(signal.SIGTERM)
        broker.process.wait(10)


def test_a_device_enrolled_beside_the_server_is_heard_through_mosquitto(
    mosquitto: tuple[Any, int], tmp_path: Path, free_port: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    broker, port = mosquitto
    monkeypatch.setenv("COLDCHAIN_MOSQUITTO_PASSWORD_FILE", str(broker.password_file))
    monkeypatch.setenv("COLDCHAIN_MOSQUITTO_PID_FILE", str(broker.pid_file))
    monkeypatch.setenv("COLDCHAIN_MQTT", f"mqtt://127.0.0.1:{port}")
    server = Server(tmp_path / "data", free_port(), port, "--mqtt", f"mqtt://127.0.0.1:{port}")
    with closing(server):
        server.start()
        key = DeviceKey.generate()
        device = Device(server, "truck-7", enrol(server.directory, key, "truck-7"), key)
        for second in range(5):
            device.publish(-20.0, time.time() + second)
        deadline = time.monotonic() + 10
        while sum(1 + len(a.get("more", [])) for _, a in device.heard) < 5 and time.monotonic() < deadline:
            time.sleep(0.02)
        assert {kind for kind, _ in device.heard} == {"ack"}
        device.stop()
        assert server.terminate() < 15
        assert run("fsck", "--dir", str(server.directory))["ok"]
