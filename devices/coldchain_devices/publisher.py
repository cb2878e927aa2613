"""Store and forward over MQTT: a message is sent until the ledger itself answers, a broker's PUBACK counts for nothing.

1. send the oldest stored messages, at most `window` unanswered at a time        (design §4.1)
2. `<topic>/ack`  names (boot, seq): the ledger has it, forget the bytes          (design §4.8)
3. `<topic>/nack` names our bytes by hash: keep them parked with the reason, send no more
4. no answer within `resend_after_s`, or a new connection: send the stored bytes again; never sign again
"""

from __future__ import annotations

import json
import logging
import select
import socket
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from coldchain_devices.outbox import Outbox, Place

log = logging.getLogger(__name__)

FIRST_BACKOFF_S = 0.1
LAST_BACKOFF_S = 5.0
TICK_S = 0.5
"""How often a quiet connection looks at its timers."""

OnAck = Callable[[int, int, int], None]
"""(boot, seq, ledger index)"""
OnNack = Callable[[int, int, str], None]
"""(boot, seq, reason)"""


class Publisher:
    """One device's connection: one thread, one socket.

    Callbacks run on that thread, after the outbox has taken the answer; what they raise is logged and goes no further.
    """

    def __init__(
        self,
        address: tuple[str, int],
        username: str,
        password: str,
        client_id: str,
        org: str,
        site: str,
        device: str,
        outbox: Outbox,
        *,
        window: int = 256,
        resend_after_s: float = 30.0,
        clock: Callable[[], float] = time.monotonic,
        on_ack: OnAck | None = None,
        on_nack: OnNack | None = None,
    ) -> None:
        """address: broker host and port. window: most messages unanswered at a time. clock: seconds, for resending."""
        self._address, self._username, self._password, self._client_id = address, username, password, client_id
        self._topic = f"cc/v1/{org}/{site}/{device}"
        self._device, self._outbox = device, outbox
        self._window, self._resend_after_s, self._clock = window, resend_after_s, clock
        self._on_ack, self._on_nack = on_ack, on_nack
        self._in_flight: dict[Place, float] = {}  # by time sent, oldest first: only this connection's sendings
        self._ready = False  # subscribed: an answer can reach us
        self._look = True  # something may wait that is not in flight
        self._link_up = True
        self._stopping = False
        self._answered = threading.Condition()
        self._wake_in, self._wake_out = socket.socketpair()
        self._wake_in.setblocking(False)
        self._wake_out.setblocking(False)
        self._thread = threading.Thread(target=self._run, name=f"publisher {device}", daemon=True)

    def start(self) -> None:
        """Connect and keep connected until `stop`; whatever the outbox holds is sent, the oldest first."""
        self._outbox.watch(self._device, self._notice)
        self._thread.start()

    def stop(self) -> None:
        """Disconnect and end the thread. What is unanswered stays in the outbox for the next start."""
        self._stopping = True
        self._notice()
        self._thread.join()
        self._outbox.watch(self._device, None)
        self._wake_in.close()
        self._wake_out.close()

    def set_link(self, up: bool) -> None:
        """Cut the radio link without a goodbye (the broker sends the last will), or let it come back."""
        self._link_up = up
        self._notice()

    def pending(self) -> int:
        """How many messages of the device wait for the ledger's answer."""
        return self._outbox.count(self._device)

    def wait_idle(self, timeout: float) -> bool:
        """True once everything is answered; False when that took longer than `timeout` seconds."""
        with self._answered:
            return self._answered.wait_for(lambda: self.pending() == 0, timeout)

    def _notice(self) -> None:
        self._look = True
        with suppress(OSError):  # full: a wake-up is on its way already; closed: stopped meanwhile
            self._wake_in.send(b"!")

    # The thread

    def _run(self) -> None:
        backoff_s = FIRST_BACKOFF_S
        while not self._stopping:
            if self._link_up:
                try:
                    self._session()
                except (OSError, sqlite3.Error) as error:  # broker away, disk full: both pass, both are tried again
                    log.warning("%s: connection to %s:%d ended: %s", self._device, *self._address, error)
                backoff_s = FIRST_BACKOFF_S if self._ready else min(backoff_s * 2, LAST_BACKOFF_S)
            self._sleep(backoff_s if self._link_up else TICK_S)

    def _sleep(self, seconds: float) -> None:
        poller = select.poll()
        poller.register(self._wake_out, select.POLLIN)
        poller.poll(0 if self._stopping else seconds * 1000)
        self._drain_wakes()

    def _drain_wakes(self) -> None:
        with suppress(BlockingIOError):
            self._wake_out.recv(4096)

    def _session(self) -> None:
        """One connection, from CONNECT to its end. A fresh client each time: old message ids are void anyway, and
        what paho itself would repeat we send from the outbox."""
        self._ready = False
        self._in_flight.clear()
        self._look = True
        client = self._client()
        client.connect(*self._address, keepalive=30)
        sock = client.socket()
        if isinstance(sock, socket.socket):  # else Nagle's algorithm holds a small message back for some 40 ms
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            while self._alive() and self._turn(client):
                if self._ready:
                    self._resend_overdue(client)
                    self._send_next(client)
        finally:
            self._part(client)

    def _alive(self) -> bool:
        return self._link_up and not self._stopping

    def _client(self) -> mqtt.Client:
        client = mqtt.Client(CallbackAPIVersion.VERSION2, self._client_id, protocol=mqtt.MQTTv311)
        client.username_pw_set(self._username, self._password)
        client.max_inflight_messages_set(self._window)
        client.will_set(f"{self._topic}/status", b'{"status":"offline"}', qos=1, retain=True)
        client.on_connect = self._connected
        client.on_subscribe = self._subscribed
        client.on_message = self._message
        return client

    def _turn(self, client: mqtt.Client) -> bool:
        """Wait for the socket or a wake-up and serve it; False when the connection has ended."""
        sock = client.socket()
        if sock is None:
            return False
        poller = select.poll()
        poller.register(self._wake_out, select.POLLIN)
        poller.register(sock, select.POLLIN | (select.POLLOUT if client.want_write() else 0))
        ready = dict(poller.poll(min(TICK_S, self._resend_after_s) * 1000))
        happened = ready.get(sock.fileno(), 0)
        if self._wake_out.fileno() in ready:
            self._drain_wakes()
        if happened & ~select.POLLOUT and client.loop_read() != mqtt.MQTT_ERR_SUCCESS:
            return False
        if happened & select.POLLOUT and client.loop_write() != mqtt.MQTT_ERR_SUCCESS:
            return False
        return client.loop_misc() == mqtt.MQTT_ERR_SUCCESS

    def _part(self, client: mqtt.Client) -> None:
        if self._stopping and self._ready:
            client.publish(f"{self._topic}/status", b'{"status":"offline"}', qos=1, retain=True)
            client.disconnect()
        elif sock := client.socket():
            sock.close()

    # What paho calls, on our thread, inside loop_read

    def _connected(self, client: mqtt.Client, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        if reason.is_failure:
            log.warning("%s: the broker refused the connection: %s", self._device, reason)
            return
        # QoS 0: a lost answer costs one resend, a QoS 1 subscription costs NATS a consumer (telemetry §3).
        client.subscribe([(f"{self._topic}/ack", 0), (f"{self._topic}/nack", 0)])
        client.publish(f"{self._topic}/status", b'{"status":"online"}', qos=1, retain=True)

    def _subscribed(self, _client: mqtt.Client, _data: Any, _mid: int, reasons: Any, _properties: Any) -> None:
        self._ready = not any(reason.is_failure for reason in reasons)
        if not self._ready:
            log.warning("%s: the broker refused the subscription to answers", self._device)

    def _message(self, _client: mqtt.Client, _data: Any, message: mqtt.MQTTMessage) -> None:
        try:
            answer = json.loads(message.payload)
            if message.topic.endswith("/nack"):
                self._refused(bytes.fromhex(answer["sha256"]), str(answer["reason"]))
            else:
                listed = [(answer["boot"], answer["seq"], answer["index"]), *answer.get("more", [])]
                self._recorded([(int(boot), int(seq), int(index)) for boot, seq, index in listed])
        except (ValueError, KeyError, TypeError) as error:
            log.warning("%s: unreadable answer on %s: %r", self._device, message.topic, error)

    def _recorded(self, answers: list[tuple[int, int, int]]) -> None:
        self._outbox.forget(self._device, [(boot, seq) for boot, seq, _ in answers])
        for boot, seq, index in answers:
            self._settle((boot, seq))
            self._call(self._on_ack, boot, seq, index)
        self._announce()

    def _refused(self, sha256: bytes, reason: str) -> None:
        place = self._outbox.park(self._device, sha256, reason)
        if place is None:
            log.warning("%s: a message in our name that we never sent was refused: %s", self._device, reason)
            return
        self._settle(place)
        self._call(self._on_nack, *place, reason)
        self._announce()

    def _settle(self, place: Place) -> None:
        self._in_flight.pop(place, None)
        self._look = True

    def _announce(self) -> None:
        with self._answered:
            self._answered.notify_all()

    def _call(self, callback: Callable[..., None] | None, *values: object) -> None:
        try:
            if callback is not None:
                callback(*values)
        except Exception:  # the caller's bug must not end the thread that carries its data
            log.exception("%s: callback failed", self._device)

    # Sending

    def _send_next(self, client: mqtt.Client) -> None:
        if not self._look or len(self._in_flight) >= self._window:
            return
        self._look = False  # before the query: what is stored during it sets the flag again
        for place in self._outbox.pending(self._device, self._window):
            if len(self._in_flight) >= self._window:
                break
            if place not in self._in_flight:
                self._send(client, place)

    def _resend_overdue(self, client: mqtt.Client) -> None:
        due = self._clock() - self._resend_after_s
        while self._in_flight:
            place, sent_s = next(iter(self._in_flight.items()))
            if sent_s > due:
                break
            del self._in_flight[place]
            self._send(client, place)

    def _send(self, client: mqtt.Client, place: Place) -> None:
        if stored := self._outbox.load(self._device, place):
            client.publish(f"{self._topic}/{stored.leaf}", stored.jws, qos=1)
            self._in_flight[place] = self._clock()
