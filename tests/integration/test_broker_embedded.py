"""The embedded broker lives and dies with the server, on a store nobody else may use."""

from __future__ import annotations

import os
import re
import resource
import shutil
import signal
import socket
import stat
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from coldchain.mqtt import nats_config
from coldchain.mqtt.accounts import new_account
from coldchain.mqtt.connection import probe_login
from coldchain.mqtt.embedded import EmbeddedBroker
from coldchain.mqtt.errors import BrokerError
from integration.conftest import Nats

SERVER = """
import sys, time
from pathlib import Path
from coldchain.mqtt.accounts import new_account
from coldchain.mqtt.embedded import EmbeddedBroker
account, _ = new_account("server")
broker = EmbeddedBroker(Path(sys.argv[1]), lambda: [account], port=int(sys.argv[2]))
broker.start()
print(broker.pid, flush=True)
time.sleep(60)
"""


@pytest.fixture
def accounts():
    return [new_account("server")[0]]


def bound_of(directory: Path) -> int:
    """Bytes that the broker's store may take."""
    (bound,) = re.findall(r'"max_file_store": (\d+)', (directory / "nats-server.conf").read_text())
    return int(bound)


def test_killing_the_server_ends_its_broker_and_frees_the_store(tmp_path, wait_for, accounts, free_port):
    port = free_port()
    command = [sys.executable, "-c", SERVER, str(tmp_path), str(port)]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    with server:
        assert server.stdout is not None
        pid = int(server.stdout.readline())
        assert Path(f"/proc/{pid}/comm").read_text().strip() == "nats-server"
        server.kill()

    wait_for(lambda: not Path(f"/proc/{pid}").exists() or " Z " in Path(f"/proc/{pid}/stat").read_text())
    with EmbeddedBroker(tmp_path, lambda: accounts, port=port) as successor:
        assert successor.address == ("127.0.0.1", port)


def test_the_broker_outlives_the_thread_that_asked_for_it(tmp_path, accounts):
    broker = EmbeddedBroker(tmp_path, lambda: accounts, port=0)
    starter = threading.Thread(target=broker.start)
    starter.start()
    starter.join()
    try:
        pid = broker.pid
        assert pid
        os.kill(pid, 0)
        assert broker.pid == pid
    finally:
        broker.stop()


def test_a_second_broker_on_the_same_store_is_refused_by_name(nats):
    with pytest.raises(BrokerError, match=rf"another broker runs on .*broker .*process {os.getpid()}"):
        EmbeddedBroker(nats.broker.directory, nats.source, port=0).start()

    assert probe_login(nats.address, nats.server, 1.0)


def test_a_taken_port_is_named_and_nothing_is_left_running(tmp_path, accounts, free_port):
    port = free_port()
    with socket.create_server(("127.0.0.1", port)):
        broker = EmbeddedBroker(tmp_path, lambda: accounts, port=port)
        with pytest.raises(BrokerError, match=f"port {port} on 127.0.0.1 is taken"):
            broker.start()
        assert broker.pid == 0

    with EmbeddedBroker(tmp_path, lambda: accounts, port=port) as second_try:
        assert second_try.pid


def test_what_else_keeps_it_from_starting_is_told_in_its_own_words(tmp_path, accounts):
    (tmp_path / "js").write_text("not a directory")

    with pytest.raises(BrokerError, match=r"does not start: .* storage directory is not a directory"):
        EmbeddedBroker(tmp_path, lambda: accounts, port=0).start()


def test_a_broker_that_crashes_comes_back_on_the_same_port(nats, wait_for):
    address, pid = nats.address, nats.broker.pid

    os.kill(pid, signal.SIGSEGV)

    wait_for(lambda: nats.broker.pid not in (0, pid) and probe_login(address, nats.server, 0.1))
    assert nats.address == address


def test_a_broker_that_met_a_full_disk_takes_messages_again_once_there_is_room(nats, connect, wait_for):
    """NATS would go on refusing: what failed once to be written stays failed for it."""
    server = connect(nats, nats.server, clean=False)
    assert server.subscribe("cc/v1/+/+/+/up", 1)
    device, pid = connect(nats, nats.enrol("d1")), nats.broker.pid
    device.publish("cc/v1/o/s/d1/up", b"before")
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (300_000, resource.RLIM_INFINITY))
    sent = [b"%d" % number + bytes(20_000) for number in range(30)]
    for payload in sent:
        device.client.publish("cc/v1/o/s/d1/up", payload, qos=1)

    wait_for(lambda: {payload for _, payload in server.received} >= {b"before", *sent}, 20)
    assert nats.broker.pid != pid


def test_for_a_server_that_is_away_no_more_is_kept_than_the_bound_and_it_gets_all_of_it_when_it_is_back(
    monkeypatch, tmp_path, free_port, connect, wait_for
):
    """The ledger needs the disk as well. NATS lets nobody in where it cannot store their session."""
    monkeypatch.setattr(nats_config, "MAX_STORE", 300_000)
    monkeypatch.setattr(nats_config, "LEAST_STORE", 1)
    monkeypatch.setattr(shutil, "disk_usage", lambda _directory: SimpleNamespace(free=600_000))
    bounded = Nats(tmp_path / "broker", free_port())
    try:
        server = connect(bounded, bounded.server, clean=False)
        assert server.subscribe("cc/v1/+/+/+/up", 1)
        server.close()
        device, pid = connect(bounded, bounded.enrol("d1")), bounded.broker.pid
        sent = [b"%d" % number + bytes(20_000) for number in range(30)]
        for payload in sent:
            device.client.publish("cc/v1/o/s/d1/up", payload, qos=1)
        wait_for(lambda: device.drops, 20)
        stored = sum(path.stat().st_size for path in (tmp_path / "broker" / "js").rglob("*.blk"))
        assert 200_000 < stored < 400_000
        assert bounded.broker.pid == pid, "nothing failed: it need not be started again"

        returned = connect(bounded, bounded.server, clean=False)
        wait_for(lambda: {payload for _, payload in returned.received} == set(sent), 20)
        raised, rest = divmod(bound_of(tmp_path / "broker") - 300_000, 300_000)
        assert (raised >= 1, rest) == (True, 0), "by half of the rest, each time that it let nobody in"
    finally:
        bounded.stop()


def test_what_a_store_holds_when_its_broker_is_started_again_counts_as_taken_and_half_of_the_rest_stays_free(
    monkeypatch, tmp_path, accounts
):
    monkeypatch.setattr(shutil, "disk_usage", lambda _directory: SimpleNamespace(free=10_000_000))
    with EmbeddedBroker(tmp_path, lambda: accounts, port=0):
        assert bound_of(tmp_path) == 5_000_000
    (tmp_path / "js" / "kept").write_bytes(bytes(700_000))
    with EmbeddedBroker(tmp_path, lambda: accounts, port=0):
        assert 5_700_000 <= bound_of(tmp_path) < 5_800_000


@pytest.mark.parametrize(
    ("stored", "free", "bound"),
    [
        (0, 2**50, 8 * 2**30),
        (3 * 2**30, 2**50, 8 * 2**30),
        (8 * 2**30 - 1, 2**50, 9 * 2**30 - 1),
        (20 * 2**30, 2**50, 21 * 2**30),
        (5 * 2**30, 2 * 2**30, 6 * 2**30),
        (5 * 2**30, 0, 5 * 2**30),
        (0, 0, 2**20),
    ],
)
def test_a_store_is_bounded_from_its_start(stored: int, free: int, bound: int) -> None:
    assert nats_config.first_bound(stored, free) == bound


def test_a_stopped_broker_is_gone_and_its_store_free(tmp_path, accounts):
    for _ in range(2):
        broker = EmbeddedBroker(tmp_path, lambda: accounts, port=0)
        broker.start()
        assert broker.pid
        broker.stop()
        assert broker.pid == 0


def test_its_files_are_for_our_eyes_only(nats):
    directory = nats.broker.directory
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    for name in ("accounts.conf", "nats-server.conf"):
        assert stat.S_IMODE((directory / name).stat().st_mode) == 0o600


def test_messages_for_a_server_that_is_away_survive_a_crash_of_the_broker(nats, connect, wait_for):
    server = connect(nats, nats.server, clean=False)
    assert server.subscribe("cc/v1/+/+/+/up", 1)
    server.close()
    device = connect(nats, nats.enrol("d1"))
    sent = [b"%d" % number for number in range(300)]
    for payload in sent:
        device.publish("cc/v1/o/s/d1/up", payload)

    nats.kill_and_start()

    returned = connect(nats, nats.server, clean=False)
    wait_for(lambda: {payload for _, payload in returned.received} == set(sent))
