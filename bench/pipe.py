"""The bare pipe that ingest is compared with: the same broker and messages, and nothing of ours but a leaf hash.

    python -m bench.pipe HOST PORT DATABASE     # credentials as one JSON line on stdin; ends when stdin does

paho with manual acknowledgement -> base64 and msgspec -> leaf hash -> one SQLite transaction (synchronous FULL) of
packed blocks and a signed checkpoint for each batch -> PUBACK and the device's `ack`. No signature is verified, nothing
is deduplicated or judged, and there is neither tree nor chain.
"""

from __future__ import annotations

import json
import sqlite3
import struct
import sys
import threading
import time
from base64 import urlsafe_b64decode
from contextlib import closing
from hashlib import sha256
from pathlib import Path

import msgspec
import paho.mqtt.client as paho
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from paho.mqtt.enums import CallbackAPIVersion

from bench.ingest import Site, load_generator, the_broker
from bench.processes import ask, child

BATCH = 500
LINGER_S = 0.02
WINDOW = 8_000


class _Header(msgspec.Struct):
    boot: int
    seq: int


class _Record(msgspec.Struct, gc=False):
    n: str = ""
    v: float = 0.0
    vb: bool = False
    t: float = 0.0
    bt: float = 0.0


_header = msgspec.json.Decoder(_Header).decode
_records = msgspec.json.Decoder(list[_Record]).decode


def measure(site: Site, messages: int) -> float:
    """Messages/s from the first one sent to the last one answered."""
    database = site.directory / "pipe.db"
    database.unlink(missing_ok=True)
    with the_broker(site, "mosquitto") as (url, _, _):
        port = url.rpartition(":")[2]
        command = [sys.executable, "-m", "bench.pipe", "127.0.0.1", port, str(database)]
        with child(*command, log=site.directory / "pipe.log") as pipe:
            ask(pipe, json.loads((site.directory / "broker" / "server.json").read_text()))
            with load_generator(site, int(port)) as load:
                played = ask(load, {"upto": messages, "window": WINDOW, "rate": None})
                report = ask(load, "report")
    with closing(sqlite3.connect(database)) as connection:
        (stored,) = connection.execute("SELECT count(*) FROM block").fetchone()
    if (stored, report["answered"]) != (messages, messages):
        raise RuntimeError(f"{messages} messages sent, {stored} stored, {report}")
    return float(messages / (played["ended"] - played["began"]))


class _Pipe:
    def __init__(self, database: str) -> None:
        self._connection = sqlite3.connect(database, isolation_level=None)
        for pragma in ("page_size = 8192", "journal_mode = wal", "synchronous = full", "wal_autocheckpoint = 4000"):
            self._connection.execute(f"PRAGMA {pragma}")
        self._connection.executescript(
            "CREATE TABLE block (idx INTEGER PRIMARY KEY, device, first, last, count, low, high, data BLOB);"
            "CREATE INDEX by_device ON block (device, first);"
            "CREATE TABLE checkpoint (size INTEGER PRIMARY KEY, note BLOB)"
        )
        self._key = Ed25519PrivateKey.generate()
        self._size = 0

    def record(self, batch: list[paho.MQTTMessage]) -> list[tuple[str, bytes]]:
        """Durable; returns what to answer."""
        rows, answers, running = [], [], sha256()
        for message in batch:
            topic, payload = message.topic, message.payload
            head, body, _ = payload.split(b".")
            header = _header(urlsafe_b64decode(head + b"==="))
            records = _records(urlsafe_b64decode(body + b"==="))
            base = records[0].bt
            times = [base + one.t for one in records]
            values = [one.v for one in records]
            running.update(sha256(b"\x00" + payload).digest())
            data = struct.pack(f"<{len(records)}i{len(records)}f", *(round(one.t) for one in records), *values)
            rows.append((self._size, topic, min(times), max(times), len(values), min(values), max(values), data))
            answers.append(
                (f"{topic[:-2]}ack", b'{"boot":%d,"seq":%d,"index":%d}' % (header.boot, header.seq, self._size))
            )
            self._size += 1
        note = b"bench\n%d\n%b\n" % (self._size, running.digest())
        self._connection.execute("BEGIN IMMEDIATE")
        self._connection.executemany("INSERT INTO block VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)
        self._connection.execute("INSERT INTO checkpoint VALUES (?, ?)", (self._size, note + self._key.sign(note)))
        self._connection.execute("COMMIT")
        return answers


def main() -> None:
    host, port, database = sys.argv[1:]
    credentials = json.loads(sys.stdin.readline())
    waiting: list[paho.MQTTMessage] = []
    granted = threading.Event()
    client = paho.Client(
        CallbackAPIVersion.VERSION2, credentials["client_id"], clean_session=True, manual_ack=True
    )  # fmt: skip
    client.username_pw_set(credentials["username"], credentials["password"])
    client.on_message = lambda _client, _data, message: waiting.append(message)
    client.on_subscribe = lambda *_: granted.set()
    client.on_connect = lambda *_: client.subscribe("cc/v1/+/+/+/up", qos=1)
    client.connect(host, int(port))
    client.loop_start()
    granted.wait(10)
    sys.stdout.write("{}\n")
    sys.stdout.flush()
    ended = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()
    pipe = _Pipe(str(Path(database)))
    while not ended.is_set():
        deadline = time.monotonic() + LINGER_S
        while len(waiting) < BATCH and time.monotonic() < deadline:
            time.sleep(0.001)
        batch, waiting[:BATCH] = waiting[:BATCH], []
        if batch:
            answers = pipe.record(batch)
            for message in batch:
                client.ack(message.mid, 1)
            for topic, payload in answers:
                client.publish(topic, payload)
    client.disconnect()
    client.loop_stop()


if __name__ == "__main__":
    main()
