"""History at size: cells of the series that are over are packed and summed up, behind the ledger and never in its way.

Whatever changes a cell marks it, in the transaction that changes it (`Marks`). `History.step` takes some marked cells
that are over: it reads, packs and sums them up beside the writers, and then writes in one short transaction. A crash
leaves the marks, so a cell is done again; nothing that reads the series or the sums sees a difference but in time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Engine, select

from coldchain.db.bulk import append_rows, fetch, put_rows, remove_rows
from coldchain.db.engine import writing
from coldchain.db.series_rows import messages, next_cell, put_cell
from coldchain.db.tables.telemetry import (
    device_disputed,
    device_held,
    device_mounting,
    rollup,
    rollup_due,
    series_due,
)
from coldchain.domain.cells import Message
from coldchain.domain.rollups import DAY_HOURS, HOUR_US, Bucket, add_readings, by_day, by_hour, longest_silence
from coldchain.domain.rulepacks import Regime
from coldchain.projections.mounts import Posting
from coldchain.projections.rulebook import Rulebook
from coldchain.projections.series import CELL_US
from coldchain.projections.sites import Sites

GRACE_US = HOUR_US
"""Ledger time that has to pass after a cell before it is packed: what comes a little late is packed with it."""
CELLS = 8
"""Packed in one transaction; three thousand messages of devices that report each minute."""
CELL_HOURS = CELL_US // HOUR_US
CELLS_A_DAY = DAY_HOURS // CELL_HOURS

Buckets = dict[str, dict[int, Bucket]]
"""By channel and hour, or day; in time order."""


def first_open(ledger_time_us: int) -> int:
    """The first cell that is not over."""
    return max(0, ledger_time_us - GRACE_US) // CELL_US


class Marks:
    """Which cells changed. Remembers those marked that are not over yet: nobody takes their marks away."""

    def __init__(self) -> None:
        self._marked: set[tuple[int, int]] = set()
        self._first_open = 0

    def mark(self, connection: Connection, touched: set[tuple[int, int]], ledger_time_us: int) -> None:
        """(device, cell) of rows of the series that came, or that count now or no more."""
        first = first_open(ledger_time_us)
        if first > self._first_open:
            self._first_open = first
            self._marked = {pair for pair in self._marked if pair[1] >= first}
        fresh = sorted(pair for pair in touched - self._marked if pair[1] > 0)
        put_rows(connection, series_due, fresh, "ON CONFLICT DO NOTHING")
        self._marked.update(pair for pair in fresh if pair[1] >= first)

    @staticmethod
    def rejudged(connection: Connection, devices: Mapping[int, int]) -> None:
        """Devices that another rule is in force for, from a time on."""
        again = "ON CONFLICT (device_no) DO UPDATE SET cell = excluded.cell WHERE excluded.cell < rollup_due.cell"
        put_rows(connection, rollup_due, [(no, from_us // CELL_US) for no, from_us in devices.items()], again)


class Worth:
    """What counts of a device, and by which rules its silences are judged."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._rules, self._sites = Rulebook(), Sites()
        self._rules.load(connection)
        self._sites.load(connection)
        self._schedules: dict[int, Sequence[Regime]] = {}

    def schedule(self, device_no: int) -> Sequence[Regime]:
        found = self._schedules.get(device_no)
        if found is None:
            c = device_mounting.c
            rows = self._connection.execute(select(device_mounting).where(c.device_no == device_no).order_by(c.at_us))
            posted = [Posting(row.at_us, row.place, row.profile) for row in rows]
            found = self._schedules[device_no] = self._rules.schedule(self._sites.mountings(posted))
        return found

    def evidence(self, device_no: int, found: Iterable[Message]) -> list[Message]:
        """Of these messages those that count."""
        of = "SELECT {} FROM {} WHERE device_no = ?"
        disputed = set(fetch(self._connection, of.format("boot, seq", device_disputed.name), device_no))
        held = {row[0] for row in fetch(self._connection, of.format("entry", device_held.name), device_no)}
        return [one for one in found if (one.boot, one.seq) not in disputed and one.entry not in held]

    def hours(self, device_no: int, found: Iterable[Message]) -> Buckets:
        """The messages that count, summed up."""
        readings: dict[str, list[tuple[int, int]]] = {}
        for message in self.evidence(device_no, found):
            for run in message.runs:
                add_readings(readings, run)
        schedule = self.schedule(device_no)
        return {name: dict(by_hour(told, longest_silence(schedule, name))) for name, told in readings.items()}


class History:
    """Packs and sums up what is over. For whoever follows the ledger alone: between two of its steps, one caller."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def catch_up(self) -> None:
        """Nothing that is over is marked any more."""
        while self.step():
            pass

    def step(self) -> bool:
        """Some cells done; False where none was due. A crash before the commit leaves them as they were, and due."""
        with self._engine.connect() as connection:
            before = _folded(connection)
            first = first_open(before[1])
            query = f"SELECT device_no, cell FROM series_due WHERE cell < ? ORDER BY cell, device_no LIMIT {CELLS}"  # noqa: S608
            due = [(row[0], row[1]) for row in fetch(connection, query, first)]
            if not due and not fetch(connection, "SELECT 1 FROM rollup_due WHERE cell < ? LIMIT 1", first):
                return False
            found = {pair: list(messages(connection, pair[0], (pair[1], pair[1]))) for pair in due}
            summed = _summed(connection, found)
        if not due:
            return self._rejudge(first)
        with writing(self._engine) as connection:
            if _folded(connection) != before:
                return True  # somebody else follows as well: what was read may be old
            for (device_no, cell), told in found.items():
                put_cell(connection, device_no, cell, told)
            _replace(connection, summed)
            remove_rows(connection, series_due, due)
        return True

    def _rejudge(self, first: int) -> bool:
        """Mark some cells of a device that is judged otherwise by now."""
        query = "SELECT device_no, cell FROM rollup_due WHERE cell < ? ORDER BY device_no LIMIT 1"
        with writing(self._engine) as connection:
            waiting = fetch(connection, query, first)
            if not waiting:
                return False
            no, cell = waiting[0]
            due: list[tuple[int, int]] = []
            following = next_cell(connection, no, cell)
            while following is not None and following < first and len(due) < CELLS:
                due.append((no, following))
                following = next_cell(connection, no, following + 1)
            put_rows(connection, series_due, due, "ON CONFLICT DO NOTHING")
            if following is not None and following < first:
                put_rows(connection, rollup_due, [(no, following)])
            else:
                remove_rows(connection, rollup_due, [(no,)])
        return True


def _folded(connection: Connection) -> tuple[int, int]:
    """How far the series follows the ledger, and the newest ledger time it knows."""
    query = "SELECT next_index, ledger_time_us FROM cursor WHERE projection = 'telemetry' ORDER BY log LIMIT 1"
    rows = fetch(connection, query)
    return (rows[0][0], rows[0][1]) if rows else (0, 0)


_Row = tuple[Any, ...]


def _summed(
    connection: Connection, found: Mapping[tuple[int, int], Sequence[Message]]
) -> tuple[list[tuple[int, int, int]], list[_Row]]:
    """(cells and days that are told anew as (device, hours, first bucket), their rows)."""
    worth = Worth(connection)
    hours = {pair: worth.hours(pair[0], told) for pair, told in found.items()}
    rows = [row for (no, _), summed in hours.items() for row in _rows(no, 1, summed)]
    days = sorted({(no, cell // CELLS_A_DAY) for no, cell in found})
    for no, day in days:
        of_day: Buckets = {}
        for name, bucket_hours in stored(connection, no, 1, day * DAY_HOURS, (day + 1) * DAY_HOURS).items():
            kept = {h: b for h, b in bucket_hours.items() if (no, h // CELL_HOURS) not in found}
            of_day.setdefault(name, {}).update(kept)
        for cell in range(day * CELLS_A_DAY, (day + 1) * CELLS_A_DAY):
            for name, anew in hours.get((no, cell), {}).items():
                of_day.setdefault(name, {}).update(anew)
        summed = {name: by_day(dict(sorted(at.items()))) for name, at in of_day.items()}
        rows += _rows(no, DAY_HOURS, summed)
    told = [(no, 1, cell * CELL_HOURS) for no, cell in found] + [(no, DAY_HOURS, day) for no, day in days]
    return told, rows


def _rows(device_no: int, hours: int, summed: Buckets) -> list[_Row]:
    return [(device_no, name, hours, at, *bucket) for name, found in summed.items() for at, bucket in found.items()]


def _replace(connection: Connection, summed: tuple[list[tuple[int, int, int]], list[_Row]]) -> None:
    anew, rows = summed
    names: dict[int, list[str]] = {}
    keys = []
    for no, hours, first in anew:
        if no not in names:
            names[no] = channels(connection, no)
        until = first + (CELL_HOURS if hours == 1 else 1)
        keys += [(no, name, hours, first, until) for name in names[no]]
    where = ("device_no =", "channel =", "hours =", "bucket >=", "bucket <")
    remove_rows(connection, rollup, keys, where)
    append_rows(connection, rollup, rows)


def channels(connection: Connection, device_no: int) -> list[str]:
    """Names of the channels that anything of the device was summed up of."""
    found: list[str] = []
    query = "SELECT min(channel) FROM rollup WHERE device_no = ? AND channel > ?"
    while (name := fetch(connection, query, device_no, found[-1] if found else "")[0][0]) is not None:
        found.append(name)
    return found


def stored(
    connection: Connection, device_no: int, hours: int, first: int, until: int, channel: str | None = None
) -> Buckets:
    """Buckets from one to before another, by channel and in time order, as they were summed up last."""
    found: Buckets = {}
    query = (
        "SELECT * FROM rollup WHERE device_no = ? AND channel = ? AND hours = ? AND bucket >= ? AND bucket < ?"
        " ORDER BY bucket"
    )
    for name in [channel] if channel is not None else channels(connection, device_no):
        rows = fetch(connection, query, device_no, name, hours, first, until)
        if rows:
            found[name] = {row[3]: Bucket(*row[4:]) for row in rows}
    return found
