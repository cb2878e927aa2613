"""What an account may do at the broker and what it may not: the same on both."""

from __future__ import annotations

import re
import socket

import pytest

from coldchain.mqtt.accounts import Credentials
from coldchain.mqtt.connection import probe_login
from coldchain.mqtt.topics import INGEST_FILTERS


@pytest.fixture
def server(broker, connect):
    client = connect(broker, broker.server)
    for kind in ("up", "evt", "status"):
        assert client.subscribe(f"cc/v1/+/+/+/{kind}", 1)
    return client


@pytest.fixture
def published(server, wait_for):
    """Publish as a device and say which topics reached the server."""

    def publish(device, marker, topics):
        for topic in topics:
            device.publish(topic, b"x")
        device.publish(marker, b"done")
        wait_for(lambda: (marker, b"done") in server.received)
        return [topic for topic, payload in server.received if payload == b"x"]

    return publish


@pytest.fixture
def told(server, wait_for):
    """Subscribe as a device, have the server publish, and say which topics reached the device."""

    def tell(device, marker, filters, topics):
        assert device.subscribe(marker)
        for one in filters:
            device.subscribe(one)
        for topic in [*topics, marker]:
            server.publish(topic, b"x")
        wait_for(lambda: (marker, b"x") in device.received)
        return {topic for topic, _ in device.received}

    return tell


OTHERS_UP = ["cc/v1/o/s/d2/up", "cc/v1/o/other/d1/up", "cc/v1/other/s/d1/up"]


def test_a_device_publishes_below_its_own_id_and_nowhere_else(broker, connect, published):
    device = connect(broker, broker.enrol("d1"))
    own = [f"cc/v1/o/s/d1/{kind}" for kind in ("up", "evt", "status")]

    # Mosquitto acknowledges a forbidden publication and cuts the connection, NATS acknowledges and drops it.
    assert published(device, "cc/v1/o/s/d1/status", [*OTHERS_UP, *own]) == own


BRIDGED = "cc/v1/o/s/d1/up/spBv1.0/plant/DDATA/edge-1/冷库"


def test_what_a_gateway_bridges_keeps_its_own_topic_below_up(broker, connect, wait_for):
    """Dots and all; each message once, by the filters the server listens with."""
    server = connect(broker, broker.server)
    for one in INGEST_FILTERS:
        server.subscribe(one, 1)
    gateway, other = connect(broker, broker.enrol("d1")), connect(broker, broker.enrol("d2"))
    other.publish(BRIDGED, b"forged")
    for topic in (BRIDGED, "cc/v1/o/s/d1/up/v1/gateway/telemetry", "cc/v1/o/s/d1/up", "cc/v1/o/s/d1/evt"):
        gateway.publish(topic, b"x")
    wait_for(lambda: ("cc/v1/o/s/d1/evt", b"x") in server.received)
    topics = [BRIDGED, "cc/v1/o/s/d1/up/v1/gateway/telemetry", "cc/v1/o/s/d1/up", "cc/v1/o/s/d1/evt"]
    assert sorted(server.received) == sorted((topic, b"x") for topic in topics)


def test_a_device_cannot_answer_in_the_name_of_the_server(broker, connect, told):
    listener = connect(broker, broker.enrol("d1"))
    forger = connect(broker, broker.enrol("d2"))
    assert listener.subscribe("cc/v1/o/s/d1/ack")
    forger.publish("cc/v1/o/s/d1/ack", b"forged")
    forger.publish("cc/v1/o/s/d2/ack", b"forged")

    told(listener, "cc/v1/o/s/d1/nack", [], ["cc/v1/o/s/d1/ack"])

    assert [payload for topic, payload in listener.received if topic.endswith("/ack")] == [b"x"]


def test_a_device_hears_only_what_is_meant_for_it(broker, connect, told):
    device = connect(broker, broker.enrol("d1"))
    down = [f"cc/v1/o/s/d1/{kind}" for kind in ("ack", "nack", "cmd")]
    foreign = ["cc/v1/o/s/d2/ack", "cc/v1/o/s/+/ack", "cc/v1/#", "#", "+/+/+/+/+/+", "$MQTT/sub/#", "$SYS/#"]

    heard = told(device, "cc/v1/o/s/d1/cmd", [*foreign, *down], [*down, "cc/v1/o/s/d2/ack", "cc/v1/o/x/d1/ack"])

    assert heard == set(down)


def test_a_device_cannot_read_the_telemetry_of_others(broker, connect, published, told):
    reader, sender = connect(broker, broker.enrol("d1")), connect(broker, broker.enrol("d2"))
    for one in ("cc/v1/o/s/d2/up", "cc/v1/+/+/+/up", "cc/v1/o/s/#"):
        reader.subscribe(one, 1)

    assert published(sender, "cc/v1/o/s/d2/status", ["cc/v1/o/s/d2/up"]) == ["cc/v1/o/s/d2/up"]
    assert told(reader, "cc/v1/o/s/d1/ack", [], []) == {"cc/v1/o/s/d1/ack"}


def test_a_gateway_speaks_and_listens_for_its_site_and_no_other(broker, connect, published, told):
    gateway = connect(broker, broker.enrol("gw", role="gateway"))
    own = ["cc/v1/o/s/d1/up", "cc/v1/o/s/d2/evt"]

    assert published(gateway, "cc/v1/o/s/d9/status", ["cc/v1/o/other/d1/up", "cc/v1/x/s/d1/up", *own]) == own
    heard = told(gateway, "cc/v1/o/s/d9/cmd", ["cc/v1/o/s/+/ack"], ["cc/v1/o/s/d1/ack", "cc/v1/o/other/d1/ack"])
    assert heard == {"cc/v1/o/s/d1/ack", "cc/v1/o/s/d9/cmd"}


def test_a_probe_may_log_in_and_nothing_else(broker, connect, published):
    probe = connect(broker, broker.enrol(role="probe"))
    device = connect(broker, broker.enrol("d1"))
    probe.subscribe("cc/v1/#")
    for topic in ("cc/v1/o/s/d1/up", "cc/v1/coldchain-probe/up"):
        probe.publish(topic, b"x")

    assert published(device, "cc/v1/o/s/d1/status", ["cc/v1/o/s/d1/up"]) == ["cc/v1/o/s/d1/up"]
    assert probe.received == []


@pytest.mark.parametrize("password", ["", "wrong"])
def test_a_wrong_password_does_not_get_in(broker, password):
    credentials = broker.enrol("d1")

    assert probe_login(broker.address, credentials, 5.0)
    assert not probe_login(broker.address, Credentials(credentials.username, password, "x"), 0.1)
    assert not probe_login(broker.address, Credentials("o/s/d2", credentials.password, "x"), 0.1)


def test_nobody_gets_in_without_an_account(broker):
    with socket.create_connection(broker.address, timeout=5) as anonymous:
        anonymous.sendall(bytes.fromhex("100d00044d51545404020014000161"))  # CONNECT, no user name, client id "a"
        answer = anonymous.recv(4)

    assert answer in (b"", b"\x20\x02\x00\x05")


def test_the_port_nats_keeps_for_its_own_protocol_lets_no_account_in(nats):
    credentials = nats.enrol("d1")
    log = (nats.broker.directory / "nats-server.log").read_text()
    port = int(re.findall(r"Listening for client connections on 127\.0\.0\.1:(\d+)", log)[-1])

    for who in (credentials, nats.server):
        with socket.create_connection(("127.0.0.1", port), timeout=5) as client, client.makefile("rwb") as stream:
            assert stream.readline().startswith(b"INFO ")
            login = f'CONNECT {{"user":"{who.username}","pass":"{who.password}","verbose":true}}\r\nPING\r\n'
            stream.write(login.encode())
            stream.flush()
            assert stream.readline().startswith(b"-ERR 'Authorization Violation'")
