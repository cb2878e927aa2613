"""Mosquitto with the files this project ships."""

from __future__ import annotations

import re
from pathlib import Path

from coldchain.mqtt import mosquitto
from coldchain.mqtt.accounts import new_account

SHIPPED = Path(__file__).resolve().parents[2] / "mosquitto"


def settings(text: str) -> list[str]:
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def test_the_shipped_configuration_is_the_one_under_test():
    accounts = "/mosquitto/accounts"
    paths = (f"{accounts}/passwords", f"{accounts}/acl", f"{accounts}/mosquitto.pid", "/mosquitto/data/")

    assert settings((SHIPPED / "mosquitto.conf").read_text()) == settings(mosquitto.configuration("1883", *paths))


def test_the_shipped_acl_is_what_is_rendered_without_gateways():
    device, _ = new_account("device", "o", "s", "d1")

    assert (SHIPPED / "acl").read_text() == mosquitto.acl([]) == mosquitto.acl([device])


def test_a_gateway_gets_lines_of_its_own():
    gateway, _ = new_account("gateway", "polar", "w1", "gw")

    rendered = mosquitto.acl([gateway])

    assert rendered.startswith(mosquitto.acl([]))
    assert "user polar/w1/gw\ntopic write cc/v1/polar/w1/+/up\n" in rendered


def test_the_contract_names_every_reason_and_topic_kind():
    contract = (SHIPPED / "README.md").read_text()

    for word in ("up", "evt", "status", "ack", "nack", "cmd"):
        assert f"| `{word}` |" in contract
    admission = (SHIPPED.parent / "src/coldchain/services/admit.py").read_text()
    for reason in re.findall(r'Refused\([\w.]+, [\w.]+, "([a-z-]+)"', admission):
        assert f"`{reason}`" in contract


def test_nothing_is_dropped_for_a_server_that_is_away(mosquitto_broker, connect, wait_for):
    """The default keeps 1,000 and drops the rest."""
    server = connect(mosquitto_broker, mosquitto_broker.server, clean=False)
    assert server.subscribe("cc/v1/+/+/+/up", 1)
    server.close()
    device = connect(mosquitto_broker, mosquitto_broker.enrol("d1"))
    for number in range(1500):
        device.client.publish("cc/v1/o/s/d1/up", b"%d" % number, qos=1)
    device.publish("cc/v1/o/s/d1/up", b"last")

    mosquitto_broker.stop()
    mosquitto_broker.start()

    returned = connect(mosquitto_broker, mosquitto_broker.server, clean=False)
    wait_for(lambda: len(returned.received) == 1501)
