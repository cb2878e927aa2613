"""What a broker's socket brings is cut into the same packets however the network cut it, and what goes out arrives."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt.enums import CallbackAPIVersion

from coldchain.mqtt.errors import ProtocolError
from coldchain.mqtt.packets import Arrival
from coldchain.mqtt.stream import READ_BYTES, StreamClient

CONNACK = b"\x20\x02\x00\x00"
SUBACK = b"\x90\x03\x00\x01\x01"
PINGRESP = b"\xd0\x00"


@contextmanager
def connected() -> Iterator[tuple[StreamClient, socket.socket]]:
    """A client and the broker's end of its connection, CONNECT read."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = StreamClient(CallbackAPIVersion.VERSION2, "server", manual_ack=True, reconnect_on_failure=False)
        client.on_socket_register_write = lambda *_: None
        client.connect(*listener.getsockname())
        broker, _ = listener.accept()
    with closing(broker):
        broker.settimeout(5)
        client.loop_write()
        assert broker.recv(4096)[0] == 0x10, "CONNECT"
        yield client, broker
        client._sock_close()


def publish(arrival: Arrival) -> bytes:
    """As MQTT 3.1.1 §3.3 spells it."""
    mid = arrival.mid.to_bytes(2, "big") if arrival.mid else b""
    body = len(arrival.topic).to_bytes(2, "big") + arrival.topic + mid + arrival.payload
    length, left = bytearray(), len(body)
    while left > 127:
        length.append(left % 128 | 128)
        left //= 128
    length.append(left)
    return bytes((0x30 | (2 if arrival.mid else 0) | (8 if arrival.repeated else 0),)) + length + body


def taken(client: StreamClient, count: int) -> list[Arrival]:
    found: list[Arrival] = []
    while len(found) < count:
        found += client.receive()
    return found


arrivals = st.builds(
    Arrival,
    topic=st.text(max_size=30).map(str.encode),
    mid=st.integers(0, 65_535),
    repeated=st.just(False),
    payload=st.one_of(st.binary(max_size=200), st.integers(0, 3 * READ_BYTES).map(bytes)),
)


@given(st.data())
def test_messages_are_the_same_wherever_the_network_cuts_them(data: st.DataObject) -> None:
    said = data.draw(st.lists(arrivals, min_size=1, max_size=5))
    others = st.sampled_from([b"", PINGRESP, SUBACK])
    wire = CONNACK + b"".join(publish(one) + data.draw(others) for one in said)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(wire)), max_size=6)))
    with connected() as (client, broker):
        parts = [wire[start:end] for start, end in zip([0, *cuts], [*cuts, len(wire)], strict=True)]
        sending = threading.Thread(target=lambda: [broker.sendall(part) for part in parts])
        sending.start()
        assert taken(client, len(said)) == said
        sending.join()


def test_a_repeated_message_says_so() -> None:
    arrival = Arrival(b"cc/v1/acme/s/T1/up", 7, True, b"x")
    with connected() as (client, broker):
        broker.sendall(CONNACK + publish(arrival))
        assert taken(client, 1) == [arrival]


def test_other_packets_reach_paho() -> None:
    reasons, granted = [], []
    with connected() as (client, broker):
        client.on_connect = lambda _client, _data, _flags, reason, _properties: reasons.append(str(reason))
        client.on_subscribe = lambda _client, _data, mid, codes, _properties: granted.append((mid, codes[0].value))
        broker.sendall(CONNACK + SUBACK + publish(Arrival(b"t", 1, False, b"")))
        taken(client, 1)
    assert (reasons, granted) == (["Success"], [(1, 1)])


def test_acknowledgements_and_publications_go_out_whole_to_a_broker_that_reads_late() -> None:
    mids = list(range(1, 65_001)) * 60
    with connected() as (client, broker):
        client.acknowledge(mids)
        client.publish("answer", b"a" * 100)
        client.loop_write()
        assert client.want_write(), "more than the socket takes at once"
        expected = b"".join(b"\x40\x02" + mid.to_bytes(2, "big") for mid in mids)  # 16 MB
        expected += publish(Arrival(b"answer", 0, False, b"a" * 100))
        got = bytearray()
        while len(got) < len(expected):
            client.loop_write()
            got += broker.recv(1 << 20)
    assert got == expected
    assert not client.want_write()


@pytest.mark.parametrize(
    ("wire", "why"),
    [
        (b"\x30\xff\xff\xff\xff\x01", "more than 4 bytes"),
        (b"\x32\x04\x00\x09ab", "PUBLISH of 4 bytes"),
        (b"\x34\x05\x00\x01t\x00\x01", "none of QoS 0 or 1"),
        (b"\x30\x01\x00", "PUBLISH of 1 bytes"),
    ],
)
def test_what_is_no_mqtt_ends_the_connection(wire: bytes, why: str) -> None:
    with connected() as (client, broker):
        broker.sendall(wire)
        with pytest.raises(ProtocolError, match=why):
            while True:
                client.receive()


def test_a_broker_that_goes_away_is_noticed() -> None:
    with connected() as (client, broker):
        broker.close()
        with pytest.raises(ProtocolError, match="closed the connection"):
            taken(client, 1)


def test_a_goodbye_is_sent_before_the_socket_is_closed() -> None:
    with connected() as (client, broker):
        client.acknowledge([5])
        client.disconnect()
        client.loop_write()
        assert broker.recv(100) == b"\x40\x02\x00\x05\xe0\x00"
        assert broker.recv(100) == b""
