"""A year of ten channels at 15 minutes: asked for by day and hour, and a truck's reports packed.

The series is filled by bulk inserts, as the projection would leave it, and packed and summed up by `History`. A
question goes through everything behind the route but the web server itself; its reference is the same year of one probe
read reading by reading. Bytes are those of the file, freed pages left out, the device's few other rows included.
"""

from __future__ import annotations

import random
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, text

from bench.rows import Row
from coldchain.api import answers
from coldchain.api import schemas as s
from coldchain.api.series import stretches_page
from coldchain.db.bulk import append_rows, fetch
from coldchain.db.engine import make_engine, writing
from coldchain.db.migrate import migrate
from coldchain.db.series_rows import series_row
from coldchain.db.tables.cursor import cursor
from coldchain.db.tables.telemetry import device, series, series_due
from coldchain.domain.cells import Message
from coldchain.domain.rollups import HOUR_US
from coldchain.domain.telemetry import Run
from coldchain.projections.history import History, Marks
from coldchain.projections.series import CELL_US, PROBES, readings

START_US = 1_735_689_600_000_000
DAY_US = 24 * HOUR_US
CHANNELS = 10
TARGET_MS = 100
REPORTS = ("front", "middle", "rear", "return")


def rows(days: int, questions: int) -> list[Row]:
    """Milliseconds of an answer, bytes a reading, microseconds a message."""
    with tempfile.TemporaryDirectory(prefix="coldchain-bench-") as directory:
        store, truck = Path(directory) / "store.db", Path(directory) / "truck.db"
        sizes = {path: _packed(path, said) for path, said in ((store, _store(days)), (truck, _truck(days // 12)))}
        engine = make_engine(f"sqlite:///{store}")
        with engine.connect() as connection:
            span = START_US, START_US + days * DAY_US
            raw = _timed(5, lambda: readings(connection, "device", *span, PROBES + "p0"))
            by_day = _timed(questions, lambda: _answer(connection, 24, span))
            month = span[1] - min(days, 31) * DAY_US, span[1]
            by_hour = _timed(questions, lambda: _answer(connection, 1, month))
        engine.dispose()
    return [
        *_answers(days, raw, by_day, by_hour),
        *_sizes("cold store", *sizes[store]),
        *_sizes("truck", *sizes[truck]),
    ]


def _answers(days: int, raw: list[float], by_day: list[float], by_hour: list[float]) -> list[Row]:
    reference, middle = statistics.median(raw), statistics.median(by_day)
    p99 = statistics.quantiles(by_day, n=100)[98]
    hour_p99 = statistics.quantiles(by_hour, n=100)[98]
    return [
        Row(
            "a year of one probe, by day", middle, "ms", "reading by reading", reference, middle / reference,
            f"< {TARGET_MS} ms", p99 < TARGET_MS, f"{days} days at 15 minutes, one of {CHANNELS}; p99 {p99:.1f} ms",
        ),
        Row(
            "a month of one probe, by hour", statistics.median(by_hour), "ms", target=f"< {TARGET_MS} ms",
            met=hour_p99 < TARGET_MS, note=f"p99 {hour_p99:.1f} ms",
        ),
    ]  # fmt: skip


def _sizes(name: str, said: int, messages: int, before: int, after: int, blocks: int, took_s: float) -> list[Row]:
    mark_us = _mark_us(messages)
    return [
        Row(
            f"series of a {name}, packed", blocks / said, "B/reading", "of the file, before", before / said,
            after / before, "4", blocks / said <= 4,
            f"{said:,} readings of {messages:,} messages; of the file, roll-ups included: {after / said:.1f}",
        ),
        Row(
            f"packing and summing up, {name}", took_s / messages * 1e6, "µs/message",
            note=f"of one core, once a cell is over; marking it when a message comes: {mark_us:.2f} µs",
        ),
    ]  # fmt: skip


def _answer(connection: Connection, hours: int, span: tuple[int, int]) -> None:
    found, following = stretches_page(connection, 1, hours, PROBES + "p0", span, 1_000, span[1])
    page = s.Page(items=[answers.stretch(one) for one in found], next=None)
    assert len(page.model_dump_json()) > 0
    assert following is None
    assert len(page.items) == (span[1] - span[0]) // (hours * HOUR_US)


def _timed(times: int, question: Callable[[], Any]) -> list[float]:
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        question()
        taken.append((time.perf_counter() - began) * 1e3)
    return taken


def _store(days: int) -> list[Message]:
    """One message every 15 minutes with a reading of each of ten probes."""
    chance = random.Random(7)
    found = []
    for seq in range(days * 96):
        t_us = START_US + seq * 900_000_000
        runs = [Run(f"temp/p{n}", "", [t_us], [round(chance.gauss(-20_000, 700), -1)]) for n in range(CHANNELS)]
        found.append(Message(1, seq, seq, 0, None, t_us, t_us, tuple(runs)))
    return found


def _truck(days: int) -> list[Message]:
    """Twenty readings a minute, as in the benchmark of ingest."""
    chance = random.Random(8)
    found = []
    for seq in range(days * 1_440):
        times = [START_US + seq * 60_000_000 + back * 1_000_000 for back in (0, 15, 30, 45)]
        runs = [
            Run(f"temp/{name}", "", times, [round(chance.gauss(-21_000, 300), -1) for _ in times]) for name in REPORTS
        ]
        last = times[-1:]
        runs += [
            Run("rh/box", "", last, [float(chance.randrange(60, 80))]),
            Run("door/rear", "", last, [chance.random() < 0.02]),
            Run("lat", "", last, [310_000_000 + seq * 1_000 + chance.randrange(-90, 90)]),
            Run("lon", "", last, [1_210_000_000 + seq * 1_000 + chance.randrange(-90, 90)]),
        ]
        found.append(Message(1, seq, seq * 40 + chance.randrange(30), 0, None, times[0], times[-1], tuple(runs)))
    return found


def _packed(path: Path, said: list[Message]) -> tuple[int, int, int, int, int, float]:
    """(readings, messages, bytes of the file before and after, of the packed blocks, processor seconds of packing)."""
    engine = make_engine(f"sqlite:///{path}")
    migrate(engine)
    empty = _bytes(engine)
    stored = [series_row(1, message.first_us // CELL_US, message) for message in said]
    with writing(engine) as connection:
        append_rows(connection, device, [("device", 1, "o", "s", "room:s/a", "CN-frozen", "signed", "sensor", 0)])
        append_rows(connection, series, stored)
        append_rows(connection, series_due, sorted({row[:2] for row in stored}))
        append_rows(connection, cursor, [("telemetry", 1, len(said), said[-1].last_us + DAY_US)])
    before = _bytes(engine) - empty
    began = time.process_time()
    History(engine).catch_up()
    took_s = time.process_time() - began
    with engine.connect() as connection:
        blocks = fetch(connection, "SELECT sum(length(places) + length(samples)) FROM series_packed")[0][0]
        assert fetch(connection, "SELECT count(*) FROM series")[0][0] == 0
    after = _bytes(engine) - empty
    engine.dispose()
    return sum(len(run.times) for one in said for run in one.runs), len(said), before, after, blocks, took_s


def _bytes(engine: Engine) -> int:
    with engine.connect() as connection:
        pages, free, size = (
            connection.scalar(text(f"PRAGMA {name}")) for name in ("page_count", "freelist_count", "page_size")
        )
    return int((pages - free) * size)


def _mark_us(messages: int) -> float:
    """Microseconds of marking a message that comes into an open cell, two thousand a batch."""
    with tempfile.TemporaryDirectory(prefix="coldchain-bench-") as directory:
        engine = make_engine(f"sqlite:///{directory}/marks.db")
        migrate(engine)
        marks, taken, batch = Marks(), 0.0, 2_000
        with writing(engine) as connection:
            for start in range(0, messages, batch):
                stored = [(number % 1_000, START_US // CELL_US) for number in range(start, start + batch)]
                began = time.process_time()
                marks.mark(connection, {row[:2] for row in stored}, START_US)
                marks.rejudged(connection, {})
                taken += time.process_time() - began
        engine.dispose()
    return taken / (-(-messages // batch) * batch) * 1e6
