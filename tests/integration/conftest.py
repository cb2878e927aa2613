"""Both brokers, real, with accounts that tests enrol and revoke; and a device to talk to them."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from pathlib import Path

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from coldchain.mqtt import embedded, mosquitto, nats_config
from coldchain.mqtt.accounts import Account, Credentials, Role, new_account
from coldchain.mqtt.connection import Address, probe_login
from coldchain.mqtt.embedded import EmbeddedBroker, apply_accounts

MOSQUITTO = shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


def _wait_for(condition: Callable[[], object], timeout_s: float = 10.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.005)


@pytest.fixture
def wait_for() -> Callable[..., None]:
    """`wait_for(condition, timeout_s=10)` returns once the condition holds and fails when it never does."""
    return _wait_for


class Accounts(ABC):
    """The accounts in force; `apply` makes the broker know them."""

    def __init__(self) -> None:
        self.in_force: dict[str, Account] = {}
        self.server = self._add("server")

    def source(self) -> list[Account]:
        return list(self.in_force.values())

    def enrol(self, device: str = "d1", site: str = "s", org: str = "o", role: Role = "device") -> Credentials:
        credentials = self._add(role) if role == "probe" else self._add(role, org, site, device)
        self.apply()
        return credentials

    def revoke(self, credentials: Credentials) -> None:
        del self.in_force[credentials.username]
        self.apply()

    @abstractmethod
    def apply(self) -> None: ...

    def _add(self, role: Role, org: str = "", site: str = "", device: str = "") -> Credentials:
        account, credentials = new_account(role, org, site, device)
        self.in_force[account.username] = account
        return credentials


class Nats(Accounts):
    name = "nats"

    def __init__(self, directory: Path, port: int) -> None:
        super().__init__()
        self.broker = EmbeddedBroker(directory, self.source, port=port)
        self.broker.start()

    @property
    def address(self) -> Address:
        return self.broker.address

    def apply(self) -> None:
        assert apply_accounts(self.broker.directory, self.source)

    def kill_and_start(self) -> None:
        """The keeper starts it again."""
        pid = self.broker.pid
        os.kill(pid, 9)
        own = Credentials(self.server.username, self.server.password, "test-probe")
        _wait_for(lambda: self.broker.pid not in (0, pid) and probe_login(self.address, own, 0.1))

    def stop(self) -> None:
        self.broker.stop()


class Mosquitto(Accounts):
    name = "mosquitto"

    def __init__(self, directory: Path, port: int) -> None:
        super().__init__()
        assert MOSQUITTO
        self.address: Address = ("127.0.0.1", port)
        self.directory = directory
        self.files = directory / "passwords", directory / "acl", directory / "mosquitto.pid"
        config = mosquitto.configuration(f"{port} 127.0.0.1", *map(str, self.files), f"{directory}/")
        if os.geteuid() == 0:
            config += "user root\n"  # the test's folder is root's
        (directory / "mosquitto.conf").write_text(config)
        self.marker = self._add("device", "test", "test", "reload")
        mosquitto.apply_accounts(*self.files, self.source)
        self.start()

    def start(self) -> None:
        with (self.directory / "log").open("ab") as log:
            command = [MOSQUITTO, "-c", str(self.directory / "mosquitto.conf")]
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        assert probe_login(self.address, self.marker, 10.0), (self.directory / "log").read_text()

    def apply(self) -> None:
        """Mosquitto says nothing when it has read its files, so a new password of the marker account tells."""
        self.marker = self._add("device", "test", "test", "reload")
        assert mosquitto.apply_accounts(*self.files, self.source)
        assert probe_login(self.address, self.marker, 10.0)

    def kill_and_start(self) -> None:
        self.process.kill()
        self.process.wait()
        self.start()

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait()


Broker = Nats | Mosquitto


@pytest.fixture
def nats(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free_port: Callable[[], int]) -> Iterator[Nats]:
    monkeypatch.setattr(nats_config, "ACK_WAIT", "1s")  # how long a test waits for a repetition
    monkeypatch.setattr(embedded, "RESTART_AFTER_S", 0.1)
    monkeypatch.setattr(embedded, "LOCK_TIMEOUT_S", 0.1)
    broker = Nats(tmp_path / "broker", free_port())  # not the kernel's: killed, it must get the same one again
    yield broker
    broker.stop()


@pytest.fixture
def mosquitto_broker(tmp_path: Path, free_port: Callable[[], int]) -> Iterator[Mosquitto]:
    if MOSQUITTO is None:
        reason = "mosquitto is not installed"
        if os.environ.get("COLDCHAIN_REQUIRE_SERVICES") == "1":
            pytest.fail(f"COLDCHAIN_REQUIRE_SERVICES=1, but {reason}")
        pytest.skip(reason)
    directory = tmp_path / "mosquitto"
    directory.mkdir()
    broker = Mosquitto(directory, free_port())
    yield broker
    broker.stop()


@pytest.fixture(params=["nats", "mosquitto_broker"])
def broker(request: pytest.FixtureRequest) -> Broker:
    """The same test on both brokers."""
    return request.getfixturevalue(request.param)


class Device:
    """A client as devices have it: paho, QoS 1 up, QoS 0 down."""

    def __init__(self, address: Address, credentials: Credentials, client_id: str | None, *, clean: bool) -> None:
        self.received: list[tuple[str, bytes]] = []
        self.drops = 0
        self._up = threading.Event()
        self._granted: dict[int, bool] = {}
        self._published: set[int] = set()
        client = paho.Client(CallbackAPIVersion.VERSION2, client_id or credentials.client_id, clean_session=clean)
        client.username_pw_set(credentials.username, credentials.password)
        client.reconnect_delay_set(0.05, 0.2)
        client.max_inflight_messages_set(500)
        client.on_connect = lambda _c, _u, _f, reason, _p: None if reason.is_failure else self._up.set()
        client.on_disconnect = self._dropped
        client.on_message = lambda _c, _u, message: self.received.append((message.topic, message.payload))
        client.on_publish = lambda _c, _u, mid, _r, _p: self._published.add(mid)
        client.on_subscribe = lambda _c, _u, mid, codes, _p: self._granted.update({mid: not codes[0].is_failure})
        self.client = client
        with contextlib.suppress(OSError):
            client.connect(*address)
        client.loop_start()

    def _dropped(self, *_: object) -> None:
        self.drops += 1
        self._up.clear()

    def is_up(self, timeout_s: float = 5.0) -> bool:
        return self._up.wait(timeout_s)

    def publish(self, topic: str, payload: bytes, timeout_s: float = 10.0) -> None:
        """Returns once the broker has acknowledged it, on this connection or, as paho repeats it, on a later one."""
        mid = self.client.publish(topic, payload, qos=1).mid
        _wait_for(lambda: mid in self._published, timeout_s)

    def subscribe(self, topic: str, qos: int = 0) -> bool:
        """Whether the broker says it granted the subscription (Mosquitto says so for what it will never deliver)."""
        _, mid = self.client.subscribe(topic, qos)
        assert mid is not None
        _wait_for(lambda: mid in self._granted)
        return self._granted[mid]

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()


Connect = Callable[..., Device]


@pytest.fixture
def connect() -> Iterator[Connect]:
    """Connect a device: `connect(broker, credentials, client_id=None, clean=True)`; returns when it is up."""
    devices: list[Device] = []

    def open_device(
        broker: Broker, credentials: Credentials, client_id: str | None = None, *, clean: bool = True
    ) -> Device:
        device = Device(broker.address, credentials, client_id, clean=clean)
        devices.append(device)
        assert device.is_up()
        return device

    yield open_device
    for device in devices:
        device.close()
