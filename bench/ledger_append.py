"""Durable append through `Log` against raw inserts of the same bytes, on SQLite (performance §2.3).

All sides commit batches of 1,000 with the same engine settings, synchronous=FULL; entries have 300 bytes, header
included. Two references: `bare`, one `executemany` of (index, bytes) into a table without any other index, the ceiling
that no ledger reaches; `rows`, the same bytes with what any ledger of unique keys and subjects must keep beside them
(key, subject link, subject state) by `executemany` into plain tables.

Found by profiling: with the keys of a thousand devices in one large index, two thirds of the time was COMMIT writing a
thousand pages a batch; they wait in `recent_key` since.
"""

from __future__ import annotations

import itertools
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import Engine

from bench.rows import Row
from coldchain.db.engine import make_engine, writing
from coldchain.db.ledger_store import SqlStore
from coldchain.db.migrate import migrate
from coldchain_ledger.log import Draft, Log, create_log
from coldchain_ledger.note import Ed25519Signer

BATCH = 1_000
BATCHES = 40
ENTRY_BYTES = 300

Side = Callable[[], float]
"""Runs about a second and gives entries a second."""


def rows(rounds: int) -> list[Row]:
    """For one device and a thousand; the ratio is the median of the rounds."""
    return [_compare(devices, rounds) for devices in (1, 1_000)]


def _compare(devices: int, rounds: int) -> Row:
    with tempfile.TemporaryDirectory(prefix="coldchain-bench-") as directory:
        sides = {
            "ours": _ours(Path(directory), devices),
            "bare": _bare(Path(directory)),
            "rows": _rows(Path(directory), devices),
        }
        for side in sides.values():
            side()
        rates: dict[str, list[float]] = {name: [] for name in sides}
        for number in range(rounds):
            for name in sorted(sides, reverse=bool(number % 2)):
                rates[name].append(sides[name]())
    ours = statistics.median(rates["ours"])
    bare, least, most = _ratio(rates["ours"], rates["bare"])
    named = "one device" if devices == 1 else f"{devices:,} devices"
    return Row(
        f"ledger append, {named}, batch {BATCH:,} of {ENTRY_BYTES} B",
        ours,
        "entries/s",
        "bare insert",
        statistics.median(rates["bare"]),
        bare,
        "0.5 and 60,000/s",
        bare >= 0.5 and ours >= 60_000,
        f"{least:.2f}-{most:.2f}; {_ratio(rates['ours'], rates['rows'])[0]:.2f} of rows with key, link and head",
    )


def _ratio(ours: list[float], reference: list[float]) -> tuple[float, float, float]:
    """Median, least and most of the rounds."""
    ratios = sorted(mine / other for mine, other in zip(ours, reference, strict=True))
    return statistics.median(ratios), ratios[0], ratios[-1]


def _side(batches: Callable[[], list[Any]], write: Callable[[Any], object]) -> Side:
    def side() -> float:
        prepared = batches()
        started = time.perf_counter()
        for batch in prepared:
            write(batch)
        return BATCH * BATCHES / (time.perf_counter() - started)

    return side


def _batches(make: Callable[[int], Any], numbers: Iterator[int]) -> list[Any]:
    return [[make(next(numbers)) for _ in range(BATCH)] for _ in range(BATCHES)]


def _names(number: int, devices: int) -> tuple[str, str]:
    """Key and subject of the message: devices take turns, each counting its own messages."""
    device = f"truck-{number * 7_919 % devices:04}"
    return f"tm/{device}/1/{number // devices}", f"dev:{device}"


def draft(number: int, payload: bytes, devices: int = 1_000) -> Draft:
    """A device's message as the server would record it."""
    key, subject = _names(number, devices)
    return Draft("telemetry", "polar", "application/jose", key, "signed", (subject,), payload)


def _ours(directory: Path, devices: int) -> Side:
    engine = make_engine(f"sqlite:///{directory / 'ours.db'}")
    migrate(engine)
    store, signers = SqlStore(engine), [Ed25519Signer.generate("bench.example/log")]
    create_log(store, signers)
    log = Log(store, signers, lambda: time.time_ns() // 1_000)

    log.append([draft(0, b"", devices)])
    with store.snapshot() as snapshot:
        payload = os.urandom(ENTRY_BYTES - len(snapshot.entry(0)) - 4)  # message numbers grow to some five digits
    numbers = itertools.count(1)
    return _side(lambda: _batches(lambda number: draft(number, payload, devices), numbers), log.append)


def _bare(directory: Path) -> Side:
    engine = make_engine(f"sqlite:///{directory / 'bare.db'}")
    data = os.urandom(ENTRY_BYTES)
    numbers = itertools.count()

    def write(batch: list[tuple[int, bytes]]) -> None:
        with writing(engine) as connection:
            connection.exec_driver_sql("INSERT INTO entry VALUES (?, ?)", batch)

    _create(engine, "entry (idx INTEGER PRIMARY KEY, data BLOB NOT NULL)")
    return _side(lambda: _batches(lambda number: (number, data), numbers), write)


def _rows(directory: Path, devices: int) -> Side:
    engine = make_engine(f"sqlite:///{directory / 'rows.db'}")
    data, head = os.urandom(ENTRY_BYTES), os.urandom(32)
    numbers = itertools.count()

    def write(batch: list[tuple[int, str, str]]) -> None:
        with writing(engine) as connection:
            for table, rows in (
                ("entry VALUES (?, ?)", [(number, data) for number, _, _ in batch]),
                ("key VALUES (?, ?)", [(key, number) for number, key, _ in batch]),
                ("link VALUES (?, ?)", [(subject, number) for number, _, subject in batch]),
            ):
                connection.exec_driver_sql(f"INSERT INTO {table}", rows)
            heads = list({subject: (subject, number, head) for number, _, subject in batch}.values())
            connection.exec_driver_sql("INSERT OR REPLACE INTO head VALUES (?, ?, ?)", heads)

    _create(
        engine,
        "entry (idx INTEGER PRIMARY KEY, data BLOB NOT NULL)",
        "key (key TEXT PRIMARY KEY, idx INTEGER NOT NULL) WITHOUT ROWID",
        "link (subject TEXT, idx INTEGER, PRIMARY KEY (subject, idx)) WITHOUT ROWID",
        "head (subject TEXT PRIMARY KEY, last INTEGER, digest BLOB) WITHOUT ROWID",
    )
    return _side(lambda: _batches(lambda number: (number, *_names(number, devices)), numbers), write)


def _create(engine: Engine, *tables: str) -> None:
    with writing(engine) as connection:
        for table in tables:
            connection.exec_driver_sql(f"CREATE TABLE {table}")
