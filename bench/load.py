"""The load generator: a process that plays signed scripts over MQTT and keeps when each answer came.

    python -m bench.load HOST PORT     # a list of lines (`Line` as JSON) on stdin, then one JSON order a line

It parses nothing while it plays: packets are sent from the file as they are, and what comes back is kept with its time
and only counted. So it takes some 10 µs of processor a message (most of it in the kernel) and never limits the server.
An order plays up to a message, at a rate or as fast as the window allows; `report` reads what came back.
"""

from __future__ import annotations

import json
import os
import re
import selectors
import socket
import sys
import time
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from bench.fleet import ORG, Script

READ_BYTES = 256 * 1024
TICK_S = 0.002
"""Longest sleep while something is due: what a paced message may be late by our own doing."""
STALLED_S = 30.0
_TRUCK = re.compile(rb"/truck-(\d+)/ack$")


class Line:
    """One gateway's connection: what it still has to say, and what it was told."""

    def __init__(self, address: tuple[str, int], config: dict[str, Any]) -> None:
        data, self.starts = Script(Path(config["script"])).read()
        self.count = len(self.starts) - 1
        self._data = memoryview(data)
        self._trucks, self._gateways = config["trucks"], config["gateways"]
        self._at = 0
        self.answered = 0
        self.chunks: list[tuple[float, bytes]] = []
        self._tail = b""
        self.socket = _connected(address, config)

    def send(self, upto: int) -> None:
        """Send messages before `upto`, as far as the socket takes them."""
        target = self.starts[min(upto, self.count)]
        while self._at < target:
            try:
                self._at += self.socket.send(self._data[self._at : min(target, self._at + READ_BYTES)])
            except BlockingIOError:
                return

    @property
    def sent(self) -> int:
        """Messages wholly given to the socket."""
        return bisect_right(self.starts, self._at) - 1

    def receive(self) -> None:
        data = self.socket.recv(READ_BYTES)
        if not data:
            raise ConnectionError("the broker closed a gateway's connection")
        self.chunks.append((time.monotonic(), data))
        # Every answer but those after the first of a coalesced one spells "seq"; all of boot 1.
        self.answered += (self._tail[-5:] + data).count(b'"seq":') + (self._tail[-2:] + data).count(b"[1,")
        self._tail = data[-5:]

    def answers(self) -> Iterator[tuple[int, float]]:
        """(place in the script, when it was answered) of every acknowledgement. Raises ValueError for a `nack`."""
        for at, topic, payload in _publishes(self.chunks):
            truck = _TRUCK.search(topic)
            if truck is None:
                raise ValueError(f"a message was refused: {topic.decode()} {payload.decode()}")
            body = json.loads(payload)
            for _, seq, _ in [(body["boot"], body["seq"], body["index"]), *body.get("more", ())]:
                yield seq * self._trucks + int(truck[1]) // self._gateways, at
        self.chunks.clear()


def _connected(address: tuple[str, int], config: dict[str, Any]) -> socket.socket:
    """Logged in and subscribed to its site's answers."""
    connection = socket.create_connection(address, timeout=10)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    texts = (config["client_id"], config["username"], config["password"])
    connection.sendall(_packet(0x10, b"\x00\x04MQTT\x04\xc2\x00\x00" + b"".join(map(_string, texts))))
    _expect(connection, b"\x20\x02\x00\x00")
    filters = [f"cc/v1/{ORG}/{config['site']}/+/{kind}" for kind in ("ack", "nack")]
    connection.sendall(_packet(0x82, b"\x00\x01" + b"".join(_string(one) + b"\x00" for one in filters)))
    _expect(connection, b"\x90\x04\x00\x01\x00\x00")
    connection.setblocking(False)
    return connection


def _expect(connection: socket.socket, answer: bytes) -> None:
    found = b""
    while len(found) < len(answer):
        data = connection.recv(len(answer) - len(found))
        if not data:
            break
        found += data
    if found != answer:
        raise ConnectionError(f"broker: expected {answer.hex()}, found {found.hex()}")


def _packet(head: int, body: bytes) -> bytes:
    assert len(body) < 16_384
    length = bytes([len(body)]) if len(body) < 128 else bytes([len(body) & 0x7F | 0x80, len(body) >> 7])
    return bytes([head]) + length + body


def _string(text: str) -> bytes:
    return len(text).to_bytes(2, "big") + text.encode()


def _publishes(chunks: Sequence[tuple[float, bytes]]) -> Iterator[tuple[float, bytes, bytes]]:
    """(when, topic, payload) of every PUBLISH, at QoS 0; a packet came when its last byte did."""
    rest = b""
    for when, chunk in chunks:
        data, at = rest + chunk, 0
        while True:
            length, shift, body = 0, 0, at + 1
            while body < len(data):
                length |= (data[body] & 0x7F) << shift
                shift += 7
                body += 1
                if data[body - 1] < 0x80:
                    break
            else:
                break
            if body + length > len(data):
                break
            if data[at] >> 4 == 3:
                topic_end = body + 2 + int.from_bytes(data[body : body + 2], "big")
                yield when, data[body + 2 : topic_end], data[topic_end : body + length]
            at = body + length
        rest = data[at:]


class Player:
    """All lines together; message i of the whole is the next one of line i % lines."""

    def __init__(self, lines: Sequence[Line]) -> None:
        self.lines = lines
        self.total = sum(line.count for line in lines)
        self._played = 0
        self._schedule: tuple[float, float | None, int] = (0.0, None, 0)
        self._selector = selectors.DefaultSelector()
        for line in lines:
            self._selector.register(line.socket, selectors.EVENT_READ, line)

    def play(self, upto: int, window: int, rate: float | None) -> dict[str, float]:
        """Send messages before `upto` and wait until all are answered; at most `window` are unanswered at a time."""
        first, began, cpu_began = self._played, time.monotonic(), time.process_time()
        self._schedule = (began, rate, first)
        progress = (began, -1)
        while (answered := sum(line.answered for line in self.lines)) < upto:
            now = time.monotonic()
            due = upto if rate is None else min(upto, first + int((now - began) * rate))
            due = min(due, answered + window)
            for number, line in enumerate(self.lines):
                line.send(len(range(number, due, len(self.lines))))
            for key, _ in self._selector.select(TICK_S):
                key.data.receive()
            progress = progress if answered == progress[1] else (now, answered)
            if now - progress[0] > STALLED_S:
                raise TimeoutError(f"{answered} of {upto} messages answered, and none for {STALLED_S:.0f} s")
        self._played = upto
        return {
            "messages": upto - first,
            "began": began,
            "ended": time.monotonic(),
            "cpu_s": time.process_time() - cpu_began,
        }

    def report(self) -> dict[str, Any]:
        """What came back since the last report: every message once, and how long after it was due."""
        began, rate, first = self._schedule
        waits: list[float] = []
        told: Counter[int] = Counter()
        for number, line in enumerate(self.lines):
            for place, at in line.answers():
                message = place * len(self.lines) + number
                told[message] += 1
                if rate is not None:
                    waits.append(at - began - (message - first) / rate)
        waits.sort()
        return {"answered": len(told), "repeated": told.total() - len(told), "latency_ms": _spread(waits)}


def _spread(waits: Sequence[float]) -> dict[str, float]:
    if not waits:
        return {}
    return {
        f"p{percent}": round(waits[min(len(waits) - 1, len(waits) * percent // 100)] * 1_000, 1)
        for percent in (50, 90, 99, 100)
    }


def main() -> None:
    address = (sys.argv[1], int(sys.argv[2]))
    player = Player([Line(address, config) for config in json.loads(sys.stdin.readline())])
    _say({"total": player.total, "pid": os.getpid()})
    for order in sys.stdin:
        _say(player.report() if order.strip() == "report" else player.play(**json.loads(order)))


def _say(document: object) -> None:
    sys.stdout.write(json.dumps(document) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
