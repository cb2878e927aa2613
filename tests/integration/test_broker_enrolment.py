"""Accounts come and go while the broker runs: who is new gets in, who is revoked is cut, nobody else notices."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from coldchain.mqtt import mosquitto
from coldchain.mqtt.accounts import new_account
from coldchain.mqtt.connection import probe_login
from coldchain.mqtt.embedded import apply_accounts, reload
from coldchain.mqtt.errors import BrokerError

RENDER = """
import json, sys
from pathlib import Path
from coldchain.mqtt.accounts import Account
from coldchain.mqtt.embedded import apply_accounts
accounts = [Account(**one) for one in json.load(sys.stdin)]
sys.exit(0 if apply_accounts(Path(sys.argv[1]), lambda: accounts) else 3)
"""


def test_a_new_account_gets_in_and_nobody_is_dropped(broker, connect):
    others = [connect(broker, broker.server), connect(broker, broker.enrol("d1"))]

    newcomer = broker.enrol("d2")

    assert probe_login(broker.address, newcomer, 10.0)
    assert connect(broker, newcomer).is_up()
    assert [one.drops for one in others] == [0, 0]


def test_a_revoked_account_is_cut_and_stays_out(broker, connect, wait_for):
    kept, revoked = broker.enrol("d1"), broker.enrol("d2")
    keeper, goner = connect(broker, kept), connect(broker, revoked)

    broker.revoke(revoked)

    wait_for(lambda: goner.drops > 0)
    assert not probe_login(broker.address, revoked, 0.2)
    assert keeper.drops == 0


def test_a_new_password_ends_the_old_one(broker, connect, wait_for):
    stolen = broker.enrol("d1")
    thief = connect(broker, stolen)

    renewed = broker.enrol("d1")

    wait_for(lambda: thief.drops > 0)
    assert not probe_login(broker.address, stolen, 0.2)
    assert probe_login(broker.address, renewed, 5.0)


def test_another_process_can_enrol_beside_the_running_server(nats, connect):
    server = connect(nats, nats.server)
    newcomer, credentials = new_account("device", "o", "s", "d1")
    accounts = [{name: getattr(one, name) for name in one.__slots__} for one in [*nats.in_force.values(), newcomer]]

    command = [sys.executable, "-c", RENDER, str(nats.broker.directory)]
    subprocess.run(command, input=json.dumps(accounts).encode(), check=True, timeout=30)

    assert probe_login(nats.address, credentials, 0.5)
    assert server.drops == 0


def test_a_broken_accounts_file_leaves_the_old_accounts_in_force(nats, connect):
    credentials = nats.enrol("d1")
    device = connect(nats, credentials)
    accounts_file = nats.broker.directory / "accounts.conf"
    accounts_file.write_bytes(accounts_file.read_bytes()[:-40])

    with pytest.raises(BrokerError, match="keeps its old accounts"):
        reload(nats.broker.directory)

    assert probe_login(nats.address, credentials, 1.0)  # evicts the device: same client id
    nats.apply()
    assert device.is_up()


def test_without_accounts_the_broker_is_not_told_to_let_everyone_in(nats):
    with pytest.raises(BrokerError, match="open to everyone"):
        apply_accounts(nats.broker.directory, list)

    assert probe_login(nats.address, nats.server, 1.0)


def test_accounts_rendered_before_the_first_start_wait_for_it(tmp_path):
    device, _ = new_account("device", "o", "s", "d1")

    assert not apply_accounts(tmp_path / "broker", lambda: [device])
    assert device.nats_hash in (tmp_path / "broker" / "accounts.conf").read_text()


def test_a_stale_pid_file_hangs_up_on_nobody(tmp_path):
    bystander = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    pid_file = tmp_path / "mosquitto.pid"
    pid_file.write_text(str(bystander.pid))
    try:
        assert not mosquitto.apply_accounts(tmp_path / "passwords", tmp_path / "acl", pid_file, list)
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()


def test_a_thousand_accounts_are_taken_without_a_drop(broker, connect):
    server = connect(broker, broker.server)
    for number in range(1000):
        account, _ = new_account("device", "o", "s", f"d{number}")
        broker.in_force[account.username] = account

    broker.apply()

    assert probe_login(broker.address, broker.enrol("last"), 10.0)
    assert server.drops == 0
