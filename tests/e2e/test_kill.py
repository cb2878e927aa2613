"""kill -9 of the server at random moments under load: what it acknowledged is there, what it had not is sent again."""

from __future__ import annotations

import json
import os
import random
import sqlite3
import threading
import time
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from coldchain_devices.outbox import Outbox
from coldchain_devices.publisher import Publisher
from coldchain_devices.signer import DeviceKey, Signer
from coldchain_ledger.entry import parse_entry
from e2e.serving import Server, enrol, run, stored_entries

DEVICES = 4
RATE = 800
"""Messages a second, all devices together."""
WAITING = 4_000
"""Most that wait for an answer: a machine that is slower than the load must get through it in the end."""


class Acks:
    """What one device was answered, in a file: an ack is on disk before it counts as heard.

    Whoever hears them may not wait for the disk, or a slow one would hold back the load: a thread of its own writes as
    many as came meanwhile, and waits once for all of them.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._changed = threading.Condition()
        self._unwritten: list[bytes] = []
        self._told = self._on_disk = 0
        self._closing = False
        self._writer = threading.Thread(target=self._write, name=path.name, daemon=True)
        self._writer.start()

    def tell(self, boot: int, seq: int, index: int) -> None:
        with self._changed:
            self._unwritten.append(json.dumps([boot, seq, index]).encode() + b"\n")
            self._told += 1
            self._changed.notify_all()

    def settle(self) -> None:
        """All that was told until now is on disk."""
        with self._changed:
            told = self._told
            assert self._changed.wait_for(lambda: self._on_disk >= told, 60), f"{self.path} takes no acks"

    def close(self) -> None:
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._writer.join()

    def _write(self) -> None:
        with self.path.open("ab") as file:
            while burst := self._next():
                file.write(b"".join(burst))
                file.flush()
                os.fsync(file.fileno())
                with self._changed:
                    self._on_disk += len(burst)
                    self._changed.notify_all()

    def _next(self) -> list[bytes]:
        """All that is not written yet, as soon as there is any; nothing once closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._unwritten or self._closing)
            burst, self._unwritten = self._unwritten, []
        return burst


@dataclass
class Load:
    """Devices that sign and publish without end, and keep what they are answered."""

    server: Server
    directory: Path
    outbox: Outbox
    signed: int = 0
    bytes_of: dict[tuple[str, int, int], bytes] = field(default_factory=dict)
    stopping: threading.Event = field(default_factory=threading.Event)
    publishers: list[Publisher] = field(default_factory=list)
    signers: list[Signer] = field(default_factory=list)
    files: list[Acks] = field(default_factory=list)

    def start(self) -> None:
        for number in range(DEVICES):
            name = f"truck-{number}"
            key = DeviceKey.generate()
            account = enrol(self.server.directory, key, name)
            acks = Acks(self.directory / f"{name}.acks")
            self.files.append(acks)
            self.signers.append(Signer(self.outbox, name, account["kid"], key))
            publisher = Publisher(
                self.server.mqtt, account["username"], account["password"], account["client_id"], "acme", "fleet", name,
                self.outbox, resend_after_s=5.0, on_ack=acks.tell,
            )  # fmt: skip
            publisher.start()
            self.publishers.append(publisher)
        self.thread = threading.Thread(target=self._sign, daemon=True)
        self.thread.start()

    def _sign(self) -> None:
        """Paced by the clock, not by the server: what it cannot take waits in the outbox, up to some seconds' worth."""
        since = time.monotonic()
        while not self.stopping.is_set():
            room = WAITING - sum(publisher.pending() for publisher in self.publishers)
            due = min(int((time.monotonic() - since) * RATE) - self.signed, room)
            for number, signer in enumerate(self.signers):
                t = 1_700_000_000 + self.signed
                body = json.dumps([{"bn": "temp/box", "bt": t, "u": "Cel", "v": -20.0 - number / 10}]).encode()
                batch = signer.sign_many([(body, "senml+json")] * max(due // DEVICES, 0))
                for one in batch:
                    self.bytes_of[f"truck-{number}", one.boot, one.seq] = one.jws
                self.signed += len(batch)
            self.stopping.wait(0.05)

    def finish(self) -> None:
        self.stopping.set()
        self.thread.join()
        for publisher in self.publishers:
            assert publisher.wait_idle(60), f"{publisher.pending()} messages unanswered: {self.server.log()[-3000:]}"
            publisher.stop()
        for acks in self.files:
            acks.close()

    def under_way(self) -> set[tuple[str, int, int]]:
        """Handed to the broker and not answered."""
        return {(f"truck-{n}", *place) for n, one in enumerate(self.publishers) for place in one._in_flight.copy()}

    def await_parting(self) -> None:
        """Until every device has read all that came before the kill: what it was told late is no answer that was lost.
        The broker gets as long to end."""
        deadline = time.monotonic() + 10
        while any(publisher._ready for publisher in self.publishers) and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(0.1)

    def acks(self) -> dict[tuple[str, int, int], int]:
        """All that was heard until now, read from the disk."""
        found: dict[tuple[str, int, int], int] = {}
        for acks in self.files:
            acks.settle()
            for line in acks.path.read_text().splitlines():
                boot, seq, index = json.loads(line)
                place = (acks.path.stem, boot, seq)
                assert found.setdefault(place, index) == index, f"{place} was given two indices"
        return found


def recorded(directory: Path) -> dict[tuple[str, int, int], tuple[int, bytes]]:
    """(device, boot, seq) -> (index, payload), read from the database while nobody runs."""
    found = {}
    for index, data in enumerate(stored_entries(directory)):
        entry = parse_entry(data)
        if entry.kind == "telemetry":
            _, device, boot, seq = entry.key.split("/")
            found[device, int(boot), int(seq)] = (index, entry.payload)
    return found


def kill_run(server: Server, directory: Path, kills: int, seed: int) -> dict[str, float]:
    load = Load(server, directory, Outbox(directory / "outbox.db", synchronous="NORMAL"))
    load.start()
    try:
        counted = kill_under(load, server, kills, random.Random(seed))
        load.finish()
    finally:
        load.stopping.set()
    assert server.terminate() < 15
    assert_nothing_lost(server, load)
    load.outbox.close()
    return counted


def kill_under(load: Load, server: Server, kills: int, draw: random.Random) -> dict[str, float]:
    """Kill at random moments, every second time just after a commit; go on until both sides of a commit were hit.

    `rate` is of messages answered, each once, in a second of the time that the server was up."""
    counted = {"kills": 0, "before_commit": 0, "after_commit": 0, "sent_again": 0}
    up_s, acked = 0.0, set[tuple[str, int, int]]()
    while counted["kills"] < kills or (counted["kills"] < 3 * kills and not all(counted.values())):
        since = time.monotonic()
        time.sleep(draw.uniform(0.4, 1.6))
        counted["sent_again"] += server.counted().get("duplicate", 0)
        if counted["kills"] % 2:
            await_commit(server.directory)
        under_way = load.under_way()
        server.kill()
        up_s += time.monotonic() - since
        load.await_parting()
        assert server.broker_pids() == [], "a broker survived its parent"
        ledgered, acked = set(recorded(server.directory)), set(load.acks())
        assert acked <= ledgered, f"acknowledged and lost: {sorted(acked - ledgered)[:5]}"
        counted["kills"] += 1
        counted["before_commit"] += bool(under_way - ledgered)
        counted["after_commit"] += bool(ledgered - acked)
        server.start()
    return {**counted, "messages": load.signed, "rate": len(acked) / up_s}


def await_commit(directory: Path) -> None:
    """Return as soon as another batch is in the ledger; its answers are then on their way at best."""
    with closing(sqlite3.connect(f"file:{directory / 'coldchain.db'}?mode=ro", uri=True)) as db:
        size = db.execute("SELECT size FROM edge").fetchone()
        deadline = time.monotonic() + 5
        while db.execute("SELECT size FROM edge").fetchone() == size and time.monotonic() < deadline:
            pass


def assert_nothing_lost(server: Server, load: Load) -> None:
    acks, ledger = load.acks(), recorded(server.directory)
    assert set(acks) == set(load.bytes_of), "every message signed is answered in the end"
    for place, index in acks.items():
        assert ledger[place] == (index, load.bytes_of[place]), f"{place} is not at {index} with those bytes"
    report = run("fsck", "--dir", str(server.directory))
    assert report["ok"], report
    with closing(sqlite3.connect(server.directory / "coldchain.db")) as db:
        bundles = db.execute("SELECT count(*) FROM bundle").fetchone()[0]
    assert bundles > 0, "no kill came while older entries were being compressed"


def assert_counts(result: dict[str, float]) -> None:
    """Else the run is void: every place must be hit, under a load that counts."""
    assert result["before_commit"] > 0, f"no kill hit messages on their way to a commit: {result}"
    assert result["after_commit"] > 0, f"no kill hit between commit and answer: {result}"
    assert result["sent_again"] > 0, f"nothing that was recorded came again: {result}"
    assert result["rate"] >= 500, f"the load was too light to count: {result}"


@pytest.mark.timeout(600)
@pytest.mark.usefixtures("shipped")
def test_ten_kills_lose_nothing_and_repeat_nothing(server: Server, tmp_path: Path) -> None:
    result = kill_run(server, tmp_path, kills=10, seed=1)
    print(result)
    assert_counts(result)


@pytest.mark.soak
@pytest.mark.timeout(1800)
@pytest.mark.usefixtures("shipped")
def test_a_hundred_kills(server: Server, tmp_path: Path) -> None:
    result = kill_run(server, tmp_path, kills=100, seed=2)
    print(result)
    assert_counts(result)
