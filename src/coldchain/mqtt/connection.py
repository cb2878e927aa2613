"""One connection to a broker by paho-mqtt, from CONNECT to its end: one thread serves it, others queue work for it.

paho is driven by the calls it offers to foreign event loops (`loop_read`, `loop_write`, `loop_misc`), from one thread;
what the socket brings and takes goes through `coldchain.mqtt.stream`.
So we can stop reading without missing keepalives, as a callback that blocks paho's own loop would, and there is no
thread of paho's that an exception could end unseen.
"""

from __future__ import annotations

import select
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

from paho.mqtt.client import Client, ConnectFlags
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.reasoncodes import ReasonCode

from coldchain.mqtt.accounts import Credentials
from coldchain.mqtt.errors import ProtocolError
from coldchain.mqtt.packets import Burst
from coldchain.mqtt.stream import StreamClient, check
from coldchain.mqtt.topics import RETIRED_FILTERS

Address = tuple[str, int]
_Client = TypeVar("_Client", bound=Client)

KEEPALIVE_S = 30
"""After that much silence paho pings, and after as much again without an answer the connection is given up."""
OPEN_TIMEOUT_S = 5.0
GOODBYE_TIMEOUT_S = 1.0
Publication = tuple[str, bytes]
"""(topic, payload)"""


@dataclass(slots=True, eq=False)
class Received:
    """A burst, with the connection that its packet ids belong to."""

    connection: Connection
    burst: Burst


class Connection:
    """A session with clean_session off: the broker keeps what it could not deliver.

    Packet ids mean something on the connection they came by and on no other, so acknowledgements are queued on that
    connection and end with it. The next connection is another object, with a paho client of its own.
    """

    def __init__(
        self,
        address: Address,
        credentials: Credentials,
        filters: Sequence[str],
        on_received: Callable[[Received], None],
    ) -> None:
        """on_received: called on the connection's thread. Raises OSError when nobody answers at the address."""
        self._username = credentials.username
        self._filters = tuple(filters)
        self._on_received = on_received
        self._lock = threading.Lock()
        self._outbox: deque[tuple[Sequence[int], Sequence[Publication]]] = deque()
        self._unacknowledged: set[int] = set()
        self._reading = True
        self._closing = False
        self._ended = False
        self.listening = False
        """Whether the broker has granted every subscription."""
        self.session_kept = False
        """Whether the broker still had our session."""
        self._client = self._new_client(credentials)
        self._socket = _dial(self._client, address, OPEN_TIMEOUT_S)
        self._wake_in, self._wake_out = socket.socketpair()
        self._wake_in.setblocking(False)

    def _new_client(self, credentials: Credentials) -> StreamClient:
        client = _client(StreamClient, credentials, clean=False)
        client.on_connect = self._connected
        client.on_subscribe = self._subscribed
        client.on_socket_register_write = lambda *_: None  # having one keeps paho from writing before loop_write
        return client

    # From any thread

    def send(self, mids: Sequence[int], publications: Sequence[Publication] = ()) -> bool:
        """Queue a PUBACK for each packet id and a PUBLISH at QoS 0 for each publication.

        False when the connection has ended: they go nowhere, the ids are void.
        """
        with self._lock:
            if self._ended:
                return False
            self._outbox.append((mids, publications))
        self._wake()
        return True

    def read(self, on: bool) -> None:
        """Stop reading or go on. TCP makes the broker wait; pings go out all the same, but within two keepalives, their
        answers unread, paho gives the connection up."""
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
        opened = time.monotonic()
        while not self._closing:
            reading = self._reading
            wanted = (select.POLLIN if reading else 0) | (select.POLLOUT if self._client.want_write() else 0)
            poller.register(self._socket, wanted)
            events = dict(poller.poll(1000))
            if self._wake_out.fileno() in events:
                self._wake_out.recv(4096)
            event = events.get(self._socket.fileno(), 0)
            if event & select.POLLIN:
                self._receive()
            elif event & (select.POLLHUP | select.POLLERR):
                raise ProtocolError("broker closed the connection")
            if not reading:
                opened = time.monotonic()  # SUBACK may stand behind a backlog
            if not self.listening and time.monotonic() - opened > OPEN_TIMEOUT_S:
                raise ProtocolError(f"broker has not granted a session within {OPEN_TIMEOUT_S:g} s")
            self._flush()
            self._keep_alive()

    def _keep_alive(self) -> None:
        if self._client.loop_misc() or self._client.socket() is None:
            raise ProtocolError(f"broker has not answered a ping within {KEEPALIVE_S} s")

    def _receive(self) -> None:
        burst = Burst()
        for arrival in self._client.receive():
            burst.take(arrival, self._unacknowledged)
        if burst.mids or burst.repeats:
            self._on_received(Received(self, burst))

    def _flush(self) -> None:
        while self._outbox:
            mids, publications = self._outbox.popleft()
            self._unacknowledged.difference_update(mids)
            self._client.acknowledge(mids)
            for topic, payload in publications:
                self._client.publish(topic, payload)
        if self._client.want_write():
            check(self._client.loop_write())

    def _say_goodbye(self) -> None:
        self._socket.settimeout(GOODBYE_TIMEOUT_S)
        self._flush()
        self._client.disconnect()
        self._client.loop_write()

    # What paho calls, on the thread, inside loop_read; what they raise comes out of it

    def _connected(self, client: Client, _data: Any, flags: ConnectFlags, reason: ReasonCode, _properties: Any) -> None:
        if reason.is_failure:
            raise ProtocolError(f"broker refuses the connection of {self._username!r}: {reason}")
        self.session_kept = flags.session_present
        client.unsubscribe(list(RETIRED_FILTERS))
        client.subscribe([(one, 1) for one in self._filters])

    def _subscribed(self, _client: Client, _data: Any, _mid: int, reasons: list[ReasonCode], _properties: Any) -> None:
        granted = {one for one, reason in zip(self._filters, reasons, strict=False) if reason.value == 1}
        if refused := [one for one in self._filters if one not in granted]:
            raise ProtocolError(f"broker does not grant QoS 1 on {', '.join(refused)}: check the account's permissions")
        self.listening = True


def _client(kind: type[_Client], credentials: Credentials, *, clean: bool) -> _Client:
    client = kind(
        CallbackAPIVersion.VERSION2,
        credentials.client_id,
        clean_session=clean,
        reconnect_on_failure=False,
        manual_ack=True,
    )
    client.username_pw_set(credentials.username, credentials.password)
    return client


def _dial(client: Client, address: Address, timeout_s: float) -> socket.socket:
    """The socket, once TCP is connected; CONNECT is under way."""
    client.connect_timeout = timeout_s
    check(client.connect(*address, keepalive=KEEPALIVE_S))
    sock = client.socket()
    assert isinstance(sock, socket.socket)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def probe_login(address: Address, credentials: Credentials, timeout_s: float = 5.0) -> bool:
    """True as soon as the broker accepts the credentials, False when it has not within `timeout_s`.

    The login is clean: under a client id in use it would cut that client and drop its session, so probe an account
    before its owner has it (Mosquitto takes the user name for the id), or with a client id of your own.
    """
    deadline = time.monotonic() + timeout_s
    while (left_s := deadline - time.monotonic()) > 0:
        if _logs_in(address, credentials, left_s):
            return True
        time.sleep(0.02)
    return False


def _logs_in(address: Address, credentials: Credentials, timeout_s: float) -> bool:
    accepted: list[bool] = []
    client = _client(Client, credentials, clean=True)
    client.on_connect = lambda _client, _data, _flags, reason, _properties: accepted.append(not reason.is_failure)
    deadline = time.monotonic() + timeout_s
    with suppress(OSError, ProtocolError):
        _dial(client, address, timeout_s)
        while not accepted and (left_s := deadline - time.monotonic()) > 0:
            check(client.loop(left_s))
        client.disconnect()
    return accepted == [True]
