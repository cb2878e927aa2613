"""A client that takes another's client id: the worst it can do on either broker."""

from __future__ import annotations

import pytest

from coldchain.mqtt.subscriber import Subscriber


@pytest.fixture
def recorded(broker, wait_for):
    """What the server has recorded, in order of arrival."""
    messages = []
    subscriber = Subscriber(broker.address, broker.server, lambda batch: messages.extend(batch) or [], linger_s=0.001)
    subscriber.start()
    wait_for(lambda: not subscriber.fault)
    yield messages, subscriber
    subscriber.stop()


@pytest.mark.parametrize("clean", [True, False])
def test_a_device_with_the_server_s_client_id_reads_nothing_and_loses_us_nothing(
    broker, recorded, connect, wait_for, clean
):
    messages, subscriber = recorded
    thief, sender = broker.enrol("thief"), connect(broker, broker.enrol("d1"))
    sender.publish("cc/v1/o/s/d1/up", b"before")

    stolen = connect(broker, thief, broker.server.client_id, clean=clean)
    stolen.subscribe("cc/v1/+/+/+/up", 1)
    sender.publish("cc/v1/o/s/d1/up", b"during")
    assert stolen.subscribe("cc/v1/o/s/thief/ack")  # answered after whatever else the broker had for it
    stolen.close()

    # The server takes its session back; what the thief made the broker forget, the device would send again.
    wait_for(lambda: not subscriber.fault)
    while b"after" not in [message.payload for message in messages]:
        sender.publish("cc/v1/o/s/d1/up", b"after")
    assert stolen.received == []


def test_mosquitto_takes_the_user_name_for_the_client_id_whatever_the_client_says(mosquitto_broker, connect):
    server = connect(mosquitto_broker, mosquitto_broker.server)
    victim = connect(mosquitto_broker, mosquitto_broker.enrol("d1"))

    for stolen in (mosquitto_broker.server.client_id, "coldchain", "o/s/d1"):
        connect(mosquitto_broker, mosquitto_broker.enrol("thief"), stolen).close()

    assert (server.drops, victim.drops) == (0, 0)


def test_a_client_id_cannot_be_guessed(broker):
    one, other = broker.enrol("d1").client_id, broker.enrol("d1").client_id

    assert one != other
    assert len(bytes.fromhex(one.rpartition("-")[2])) == 16
