"""History at size: cells of the series that are over are packed and summed up, behind the ledger and never in its way.

Whatever changes a cell marks it, in the transaction that changes it (`Marks`). `History.step` takes some marked cells
that are over: it reads, packs and sums them up beside the writers, and then writes in one short transaction. A crash
leaves the marks, so a cell is done again; nothing that reads the series or the sums sees a difference but in time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, Engine, select

from coldchain.db.bulk import append_rows, fetch, put_rows, remove_rows
from coldchain.db.engine import writing
from coldchain.db.series_rows import messages, next_cell, put_cell
from coldchain.db.tables.telemetry import (
    device_disputed,
    device_held,
    device_mounting,
    rollup_day,
    rollup_due,
    rollup_hour,
    series_due,
)
from coldchain.domain.cells import Message
from coldchain.domain.rollups import (
    DAY_HOURS,
    HOUR_US,
    Bucket,
    Buckets,
    add_readings,
    by_day,
    by_hour,
    longest_silence,
    pack_hours,
    unpack_hours,
)
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
        summed = {name: dict(by_hour(told, longest_silence(schedule, name))) for name, told in readings.items()}
        return {name: hours for name, hours in summed.items() if hours}


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


class Summed(NamedTuple):
    """What some cells come to, and the days they are of."""

    hours: dict[tuple[int, int], Buckets]
    """By device and cell."""
    days: dict[tuple[int, int], Buckets]
    """By device and day."""


def _summed(connection: Connection, found: Mapping[tuple[int, int], Sequence[Message]]) -> Summed:
    worth = Worth(connection)
    hours = {pair: worth.hours(pair[0], told) for pair, told in found.items()}
    days = {}
    for no, day in sorted({(no, cell // CELLS_A_DAY) for no, cell in found}):
        cells = range(day * CELLS_A_DAY, (day + 1) * CELLS_A_DAY)
        of_day = [
            hours[no, cell] if (no, cell) in hours else stored_hours(connection, no, (cell, cell)) for cell in cells
        ]
        names = sorted(set().union(*of_day))
        joined = {name: {at: one for part in of_day for at, one in part.get(name, {}).items()} for name in names}
        days[no, day] = {name: by_day(told) for name, told in joined.items()}
    return Summed(hours, days)


def _replace(connection: Connection, summed: Summed) -> None:
    packed = [(*pair, pack_hours(found)) for pair, found in summed.hours.items() if found]
    remove_rows(connection, rollup_hour, [pair for pair, found in summed.hours.items() if not found])
    put_rows(connection, rollup_hour, packed)
    names = {no: channels(connection, no) for no, _ in summed.days}
    keys = [(no, name, day) for no, day in summed.days for name in names[no]]
    remove_rows(connection, rollup_day, keys)
    rows: list[_Row] = []
    for (no, _), found in summed.days.items():
        rows += [(no, name, day, *bucket) for name, told in found.items() for day, bucket in told.items()]
    append_rows(connection, rollup_day, rows)


def channels(connection: Connection, device_no: int) -> list[str]:
    """Names of the channels that anything of the device was summed up of."""
    found: list[str] = []
    query = "SELECT min(channel) FROM rollup_day WHERE device_no = ? AND channel > ?"
    while (name := fetch(connection, query, device_no, found[-1] if found else "")[0][0]) is not None:
        found.append(name)
    return found


def stored_hours(connection: Connection, device_no: int, cells: tuple[int, int], channel: str | None = None) -> Buckets:
    """Hours of the cells from one to another, included, as they were summed up last."""
    query = "SELECT hours FROM rollup_hour WHERE device_no = ? AND cell BETWEEN ? AND ? ORDER BY cell"
    found: Buckets = {}
    for (packed,) in fetch(connection, query, device_no, *cells):
        for name, hours in unpack_hours(packed, channel).items():
            found.setdefault(name, {}).update(hours)
    return found


def stored_days(connection: Connection, device_no: int, days: tuple[int, int], channel: str | None = None) -> Buckets:
    """Days from one to before another, as they were summed up last."""
    query = "SELECT * FROM rollup_day WHERE device_no = ? AND channel = ? AND day >= ? AND day < ? ORDER BY day"
    found: Buckets = {}
    for name in [channel] if channel is not None else channels(connection, device_no):
        rows = fetch(connection, query, device_no, name, *days)
        if rows:
            found[name] = {row[2]: Bucket(*row[3:]) for row in rows}
    return found
