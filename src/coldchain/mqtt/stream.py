"""The two directions of a paho client's socket, read and written in bulk.

paho reads a packet in four system calls, writes each in one, and lets every message pass a dozen of its own. With a
thousand messages a burst that was half of what recording a message takes, and each call gave the interpreter lock away
to threads that compute. So what the socket holds is read at once and cut into packets here; messages, nearly all there
is, are taken from it, and any other packet is given to paho. What paho and we write goes out together.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from typing import Any, NamedTuple

from paho.mqtt.client import Client, error_string
from paho.mqtt.enums import MQTTErrorCode

from coldchain.mqtt.errors import ProtocolError

READ_BYTES = 64 * 1024
"""Of one read. The packets it completes are one burst."""
_PUBLISH, _DUP, _QOS = 0x30, 0x08, 0x06
_PUBACK = b"\x40\x02"
_LENGTH_BYTES = 4
"""Of a packet's length at most (MQTT 3.1.1 §2.2.3)."""


class Arrival(NamedTuple):
    """One PUBLISH (MQTT 3.1.1 §3.3)."""

    topic: bytes
    mid: int
    """0 for QoS 0."""
    repeated: bool
    """The DUP flag."""
    payload: bytes


class StreamClient(Client):
    """For a caller that asks `receive` where it would call `loop_read`, and acknowledges by `acknowledge`.

    It overrides three methods of paho that are not public: with a paho that calls others, no connection comes about.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._unread = bytearray()
        """The beginning of a packet."""
        self._given = b""
        """A packet that paho is to read."""
        self._unsent = bytearray()

    def receive(self) -> list[Arrival]:
        """What one read of the socket completes. Raises OSError, and ProtocolError where the stream is no MQTT or has
        ended."""
        try:
            data = super()._sock_recv(READ_BYTES)
        except BlockingIOError:
            return []
        if not data:
            raise ProtocolError("broker closed the connection")
        self._unread += data
        body = _body(self._unread, 0)
        if body is None:
            return []
        data, at = bytes(self._unread), 0
        arrivals: list[Arrival] = []
        while body is not None:
            start, end = body
            if data[at] & 0xF0 == _PUBLISH:
                arrivals.append(_arrival(data, at, start, end))
            else:
                self._given = data[at:end]
                check(self.loop_read())
            at, body = end, _body(data, end)
        del self._unread[:at]
        return arrivals

    def acknowledge(self, mids: Iterable[int]) -> None:
        """A PUBACK for each packet id goes out with the next `loop_write`."""
        self._unsent += b"".join([_PUBACK + mid.to_bytes(2, "big") for mid in mids])

    def want_write(self) -> bool:
        return bool(self._unsent) or super().want_write()

    def loop_write(self) -> MQTTErrorCode:
        code = super().loop_write()
        if code or self.socket() is None:
            return code
        try:
            self._push()
        except OSError:
            return MQTTErrorCode.MQTT_ERR_CONN_LOST
        return code

    def _push(self) -> None:
        with suppress(BlockingIOError):  # the broker does not read; `want_write` says that there is more
            while self._unsent:
                del self._unsent[: super()._sock_send(self._unsent)]

    def _sock_recv(self, bufsize: int) -> bytes:
        if not self._given:
            raise BlockingIOError
        part, self._given = self._given[:bufsize], self._given[bufsize:]
        return part

    def _sock_send(self, buf: bytes | bytearray) -> int:
        self._unsent += buf
        return len(buf)

    def _sock_close(self) -> None:
        with suppress(OSError):  # a DISCONNECT waits there, or whoever closes has lost the socket
            self._push()
        super()._sock_close()


def _body(data: bytes | bytearray, at: int) -> tuple[int, int] | None:
    """Where the packet that starts at `at` has its body and where it ends; None while it is not all there."""
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


def check(code: MQTTErrorCode) -> None:
    """Raises ProtocolError for anything but success."""
    if code != MQTTErrorCode.MQTT_ERR_SUCCESS:
        raise ProtocolError(error_string(code))
