"""The two directions of a paho client's socket, read and written in bulk.

paho reads a packet in four system calls, writes each in one, and lets every message pass a dozen of its own. With a
thousand messages a burst that was half of what recording a message takes, and each call gave the interpreter lock away
to threads that compute. So what the socket holds is read at once and cut into packets here; messages, nearly all there
is, are taken from it, and any other packet is given to paho. What paho and we write goes out together.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from paho.mqtt.client import Client, error_string
from paho.mqtt.enums import MQTTErrorCode

from coldchain.mqtt.errors import ProtocolError
from coldchain.mqtt.packets import Arrival, body_of, cut

READ_BYTES = 64 * 1024
"""Of one read. The packets it completes are one burst."""
_PUBACK = b"\x40\x02"


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
        if body_of(self._unread, 0) is None:
            return []
        arrivals, others, taken = cut(bytes(self._unread))
        for packet in others:
            self._given = packet
            check(self.loop_read())
        del self._unread[:taken]
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


def check(code: MQTTErrorCode) -> None:
    """Raises ProtocolError for anything but success."""
    if code != MQTTErrorCode.MQTT_ERR_SUCCESS:
        raise ProtocolError(error_string(code))
