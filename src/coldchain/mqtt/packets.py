"""Packets of MQTT 3.1.1, cut from what a socket brings. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from coldchain.mqtt.errors import ProtocolError
from coldchain.services.messages import Inbound

OBJECT_BYTES = 256
"""What a message costs beside its bytes, so that a flood of tiny ones is bounded too."""
UNREADABLE_TOPIC = "\ufffd"
"""For a topic that is not UTF-8: admission refuses it, while an exception here would meet it again and again."""

_PUBLISH, _DUP, _QOS = 0x30, 0x08, 0x06
_LENGTH_BYTES = 4
"""Of a packet's length at most (MQTT 3.1.1 §2.2.3)."""


@dataclass(slots=True, init=False)
class Arrival:
    """One PUBLISH (MQTT 3.1.1 §3.3)."""

    topic: bytes
    mid: int
    """0 for QoS 0."""
    repeated: bool
    """The DUP flag."""
    payload: bytes

    def __init__(self, topic: bytes, mid: int, repeated: bool, payload: bytes) -> None:
        self.topic, self.mid, self.repeated, self.payload = topic, mid, repeated, payload


def cut(data: bytes) -> tuple[list[Arrival], list[bytes], int]:
    """The messages and the other packets that are all there, and how many bytes they take. Raises ProtocolError where
    it is no MQTT."""
    messages: list[Arrival] = []
    others: list[bytes] = []
    at, body = 0, body_of(data, 0)
    while body is not None:
        start, end = body
        if data[at] & 0xF0 == _PUBLISH:
            messages.append(_arrival(data, at, start, end))
        else:
            others.append(data[at:end])
        at, body = end, body_of(data, end)
    return messages, others, at


def body_of(data: bytes | bytearray, at: int) -> tuple[int, int] | None:
    """Where the packet that starts at `at` has its body and where it ends; None while it is not all there. Raises
    ProtocolError where its length is none."""
    length = shift = 0
    for place, digit in enumerate(data[at + 1 : at + 1 + _LENGTH_BYTES], at + 2):
        length |= (digit & 0x7F) << shift
        if digit < 0x80:
            return (place, place + length) if place + length <= len(data) else None
        shift += 7
    if shift == 7 * _LENGTH_BYTES:
        raise ProtocolError(f"broker sends a packet whose length has more than {_LENGTH_BYTES} bytes")
    return None


def _arrival(data: bytes, at: int, start: int, end: int) -> Arrival:
    flags, qos = data[at], data[at] & _QOS
    topic_end = start + 2 + int.from_bytes(data[start : start + 2], "big")
    payload = topic_end + 2 if qos else topic_end
    if payload > end or qos > 2:
        raise ProtocolError(f"broker sends a PUBLISH of {end - start} bytes that is none of QoS 0 or 1")
    mid = int.from_bytes(data[topic_end:payload], "big")
    return Arrival(data[start + 2 : topic_end], mid, flags & _DUP != 0, data[payload:end])


class Burst:
    """What one read of a socket brought; ids and messages in step."""

    def __init__(self) -> None:
        self.mids: list[int] = []
        """0 for QoS 0, which wants no acknowledgement."""
        self.messages: list[Inbound] = []
        self.repeats = 0
        """How many came with the DUP flag."""
        self.size = 0
        """Bytes in memory."""

    def take(self, arrival: Arrival, unacknowledged: set[int]) -> None:
        """Add a message, and its id to the unacknowledged ones; but for one that is repeated while it is one of them.

        NATS repeats what waits longer than `ack_wait`, under its old packet id: it is the very message that still
        stands in our queue."""
        self.repeats += arrival.repeated
        if arrival.repeated and arrival.mid in unacknowledged:
            return
        try:
            topic = arrival.topic.decode()
        except UnicodeDecodeError:
            topic = UNREADABLE_TOPIC
        if arrival.mid:
            unacknowledged.add(arrival.mid)
        self.mids.append(arrival.mid)
        self.messages.append(Inbound(topic, arrival.payload))
        self.size += OBJECT_BYTES + len(arrival.topic) + len(arrival.payload)
