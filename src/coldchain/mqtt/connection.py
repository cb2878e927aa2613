"""One TCP connection to a broker, from CONNECT to its end: one thread serves it, others queue bytes for it."""

from __future__ import annotations

import select
import socket
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

from coldchain.mqtt import packets
from coldchain.mqtt.accounts import Credentials
from coldchain.mqtt.errors import ProtocolError
from coldchain.mqtt.packets import Received

Address = tuple[str, int]

KEEPALIVE_S = 30
PING_EVERY_S = KEEPALIVE_S / 2
DEAD_AFTER_S = KEEPALIVE_S * 1.5
"""Silence that long although we pinged: the other side is gone, even if TCP has not noticed."""
OPEN_TIMEOUT_S = 5.0
READ_BYTES = 64 * 1024

OnReceived = Callable[["Connection", Received, int], None]
"""Takes the connection, what one read brought, and its bytes; called on the connection's thread."""


class Connection:
    """A session with clean_session off: the broker keeps what it could not deliver.

    Packet ids mean something on the connection they came by and on no other, so acknowledgements are queued on that
    connection and end with it.
    """

    def __init__(
        self, address: Address, credentials: Credentials, filters: Sequence[str], on_received: OnReceived
    ) -> None:
        """Raises OSError when nobody answers at the address."""
        self._filters = tuple(filters)
        self._on_received = on_received
        self._socket = _dial(address, OPEN_TIMEOUT_S)
        self._socket.setblocking(False)
        self._wake_in, self._wake_out = socket.socketpair()
        self._wake_in.setblocking(False)
        self._lock = threading.Lock()
        self._outbox = bytearray(
            packets.connect(
                credentials.client_id, credentials.username, credentials.password, clean=False, keepalive_s=KEEPALIVE_S
            )
        )
        self._unread = b""
        self._unacknowledged: set[bytes] = set()
        self._reading = True
        self._closing = False
        self._ended = False
        self.listening = False
        """Whether the broker has granted every subscription."""
        self.session_kept = False
        """Whether the broker still had our session."""

    # From any thread

    def send(self, data: bytes) -> bool:
        """Queue bytes; False when the connection has ended and they go nowhere."""
        with self._lock:
            if self._ended:
                return False
            self._outbox += data
        self._wake()
        return True

    def acknowledge(self, mids: Sequence[bytes]) -> bool:
        """Queue a PUBACK for each packet id; False when they are void because the connection has ended."""
        self._unacknowledged.difference_update(mids)
        return self.send(packets.pubacks(mids))

    def read(self, on: bool) -> None:
        """Stop reading or go on. Keepalives are sent all the same; TCP makes the broker wait."""
        if self._reading != on:
            self._reading = on
            self._wake()

    def close(self) -> None:
        """Send what is queued and DISCONNECT, then end."""
        self._closing = True
        self._wake()

    def _wake(self) -> None:
        with suppress(OSError):  # its buffer is full: a wake-up is on its way; it is closed: nobody sleeps
            self._wake_in.send(b"!")

    # The thread

    def run(self) -> None:
        """Serve the connection until `close`. Raises OSError or ProtocolError when it ends otherwise."""
        try:
            self._serve()
            self._say_goodbye()
        finally:
            with self._lock:
                self._ended = True
            for one in (self._socket, self._wake_in, self._wake_out):
                one.close()

    def _serve(self) -> None:
        poller = select.poll()
        poller.register(self._wake_out, select.POLLIN)
        opened = pinged = heard = time.monotonic()
        while not self._closing:
            reading = self._reading
            poller.register(self._socket, (select.POLLIN if reading else 0) | (select.POLLOUT if self._outbox else 0))
            events = dict(poller.poll(1000))
            now = time.monotonic()
            if self._wake_out.fileno() in events:
                self._wake_out.recv(4096)
            event = events.get(self._socket.fileno(), 0)
            if reading and event & select.POLLIN:
                self._receive()
            elif event & (select.POLLHUP | select.POLLERR):
                raise ProtocolError("broker closed the connection")
            if event & select.POLLIN:
                heard = now
            if not reading:
                opened = heard = now  # what we wait for may stand unread, SUBACK behind a backlog too
            if now - pinged > PING_EVERY_S:
                pinged = now
                self.send(packets.PINGREQ)
            if not self.listening and now - opened > OPEN_TIMEOUT_S:
                raise ProtocolError(f"broker has not granted a session within {OPEN_TIMEOUT_S:g} s")
            if now - heard > DEAD_AFTER_S:
                raise ProtocolError(f"broker has been silent for {now - heard:.0f} s")
            self._flush()

    def _receive(self) -> None:
        data = self._socket.recv(READ_BYTES)
        if not data:
            raise ProtocolError(f"broker closed the connection{'' if self.listening else ' before it was set up'}")
        received = packets.parse(self._unread + data if self._unread else data)
        self._unread = received.rest
        for packet_type, body in received.others:
            self._control(packet_type, body)
        if received.repeats:
            received = self._without_pending(received)
        self._unacknowledged.update(received.mids)
        if received.messages or received.repeats:
            self._on_received(self, received, len(data))

    def _control(self, packet_type: int, body: bytes) -> None:
        if packet_type == packets.CONNACK:
            self.session_kept = packets.check_connack(body)
            self.send(packets.subscribe(1, self._filters))
        elif packet_type == packets.SUBACK:
            packets.check_suback(body, self._filters)
            self.listening = True
        elif packet_type != packets.PINGRESP:
            raise ProtocolError(f"broker sent a packet of type {packet_type}, which is not for a subscriber")

    def _without_pending(self, received: Received) -> Received:
        """NATS repeats what waits for its acknowledgement longer than `ack_wait`: under its old packet id, so it is the
        very message that still stands in our queue."""
        pending = self._unacknowledged
        pairs = zip(received.mids, received.messages, strict=True)
        fresh = [(mid, message) for mid, message in pairs if not mid or mid not in pending]
        return received._replace(mids=[mid for mid, _ in fresh], messages=[message for _, message in fresh])

    def _flush(self) -> None:
        if not self._outbox:
            return
        with self._lock, suppress(BlockingIOError):
            sent = self._socket.send(self._outbox)
            del self._outbox[:sent]

    def _say_goodbye(self) -> None:
        self._socket.settimeout(1.0)
        with self._lock:
            self._socket.sendall(bytes(self._outbox) + packets.DISCONNECT)


def _dial(address: Address, timeout_s: float) -> socket.socket:
    connection = socket.create_connection(address, timeout=timeout_s)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def probe_login(address: Address, credentials: Credentials, timeout_s: float = 5.0) -> bool:
    """True as soon as the broker accepts the credentials, False when it has not within `timeout_s`.

    The login is clean: under a client id in use it would cut that client and drop its session, so probe an account
    before its owner has it (Mosquitto takes the user name for the id), or with a client id of your own.
    """
    hello = packets.connect(
        credentials.client_id, credentials.username, credentials.password, clean=True, keepalive_s=KEEPALIVE_S
    )
    deadline = time.monotonic() + timeout_s
    while (left_s := deadline - time.monotonic()) > 0:
        with suppress(OSError, ProtocolError), _dial(address, left_s) as connection:
            connection.sendall(hello)
            for packet_type, body in packets.parse(connection.recv(64)).others:
                if packet_type == packets.CONNACK:
                    packets.check_connack(body)
                    connection.sendall(packets.DISCONNECT)
                    return True
        time.sleep(min(0.02, max(left_s, 0)))
    return False
