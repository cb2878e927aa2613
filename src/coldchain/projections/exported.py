"""Derived rows as they leave the house: readings one by one, and the tables people calculate with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import chain, islice
from typing import Any, Literal, NamedTuple

from sqlalchemy import BigInteger, Boolean, Connection, Float, Integer, LargeBinary, Table, func, or_, select

from coldchain.db.bulk import fetch
from coldchain.db.series_rows import next_cell
from coldchain.db.tables.cursor import cursor
from coldchain.db.tables.events import event, finding
from coldchain.db.tables.telemetry import device, segment
from coldchain.projections.series import CELL_US, PROBES, Reading, readings

Kind = Literal["integer", "number", "flag", "text", "time", "bytes"]
"""Of the values of a column."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_E7 = frozenset({"lat", "lon"})
_MILLI = frozenset({"setpoint"})
READING: dict[str, Kind] = {
    "device": "text",
    "channel": "text",
    "at": "time",
    "number": "number",
    "milli": "integer",
    "flag": "flag",
    "text": "text",
    "quality": "text",
    "boot": "integer",
    "seq": "integer",
    "entry": "integer",
}
"""Columns of a reading. number: any number in the unit of its channel, degrees Celsius of temperatures; milli: a
temperature exactly, in thousandths. quality: empty for good, else why it is no evidence; of a `conflict` the warmest
of one time is judged."""


class Wanted(NamedTuple):
    """What is to be exported: [from, to), and the devices by name, None for all."""

    from_us: int
    to_us: int
    devices: tuple[str, ...] | None


def folded(connection: Connection) -> int:
    """Ledger entries that every derived row stands on."""
    return connection.scalar(select(func.min(cursor.c.next_index))) or 0


def months(connection: Connection, wanted: Wanted) -> Iterator[tuple[str, int, int]]:
    """(2026-03, its first microsecond, that of the next) of the months with readings among those wanted, oldest
    first; a month with nothing of the devices wanted may be among them."""
    ends = [fetch(connection, f"SELECT min(cell), max(cell) FROM {name} WHERE cell > 0")[0] for name in _SERIES]  # noqa: S608
    cells = [cell for cell in chain.from_iterable(ends) if cell is not None]
    if not cells:
        return
    from_us, to_us = max(wanted.from_us, min(cells) * CELL_US), min(wanted.to_us, (max(cells) + 1) * CELL_US)
    while from_us < to_us:
        begin = _EPOCH + from_us * _MICROSECOND
        following = (begin.replace(day=1) + timedelta(days=32)).replace(
            day=1, hour=0, minute=0, second=0, microsecond=0
        )
        next_us = (following - _EPOCH) // _MICROSECOND
        yield f"{begin:%Y-%m}", from_us, min(to_us, next_us)
        from_us = next_us


_SERIES = ("series", "series_packed")


def reading_rows(connection: Connection, wanted: Wanted, from_us: int, to_us: int) -> Iterator[tuple[Any, ...]]:
    """Rows of `READING` in [from, to), by device and cell of time; those whose time is not believed are left out."""
    for no, name in _devices(connection, wanted):
        cell = next_cell(connection, no, from_us // CELL_US)
        while cell is not None and cell * CELL_US < to_us:
            span = max(from_us, cell * CELL_US), min(to_us, (cell + 1) * CELL_US)
            for one in readings(connection, name, *span):
                if one.quality != "bad-time":
                    yield _reading(name, one)
            cell = next_cell(connection, no, cell + 1)


def _devices(connection: Connection, wanted: Wanted) -> Sequence[tuple[int, str]]:
    query = select(device.c.device_no, device.c.device).order_by(device.c.device)
    if wanted.devices is not None:
        query = query.where(device.c.device.in_(wanted.devices))
    return [(row.device_no, row.device) for row in connection.execute(query)]


def _reading(name: str, one: Reading) -> tuple[Any, ...]:
    value = one.value
    number = milli = flag = text = None
    if isinstance(value, bool):
        flag = value
    elif isinstance(value, str):
        text = value
    elif value is not None and (one.name.startswith(PROBES) or one.name in _MILLI):
        number, milli = value / 1_000, value
    elif value is not None:
        number = value / 1e7 if one.name in _E7 else float(value)
    return name, one.name, one.t_us, number, milli, flag, text, one.quality, one.boot, one.seq, one.entry


class Listing(NamedTuple):
    """A table as it is exported."""

    name: str
    columns: dict[str, Kind]
    rows: Iterator[tuple[Any, ...]]


def segments(connection: Connection, wanted: Wanted) -> Listing:
    """Time in range, beyond the limit, and unknown, of each probe."""
    c = segment.c
    columns = [column for column in segment.columns if column.name != "device_no"]
    query = select(device.c.device, *columns).join(device, device.c.device_no == c.device_no)
    query = query.where(c.from_us < wanted.to_us, or_(c.to_us.is_(None), c.to_us > wanted.from_us))
    if wanted.devices is not None:
        query = query.where(device.c.device.in_(wanted.devices))
    query = query.order_by(device.c.device, c.channel, c.from_us)
    named: dict[str, Kind] = {"device": "text"}
    return Listing("segments", named | _columns(segment, "device_no"), _rows(connection, query))


def findings(connection: Connection, wanted: Wanted) -> Listing:
    """Every published entry of every finding."""
    c = finding.c
    query = select(finding).where(c.from_us < wanted.to_us, or_(c.to_us.is_(None), c.to_us > wanted.from_us))
    if wanted.devices is not None:
        query = query.where(c.subject.in_([f"dev:{name}" for name in wanted.devices]))
    return Listing("findings", _columns(finding), _rows(connection, query.order_by(c.entry)))


def events(connection: Connection, wanted: Wanted) -> Listing:
    """Events by time, each with its data as JSON; they name no devices, so none where only some are wanted."""
    c = event.c
    query = select(event).where(c.time_us >= wanted.from_us, c.time_us < wanted.to_us).order_by(c.time_us, c.key)
    return Listing("events", _columns(event), _rows(connection, query))


def _columns(table: Table, *without: str) -> dict[str, Kind]:
    """Names and kinds; `_us` is left out of the names of times."""
    return {column.name.removesuffix("_us"): _kind(column) for column in table.columns if column.name not in without}


def _kind(column: Any) -> Kind:
    if column.name.endswith("_us"):
        return "time"
    kinds: tuple[tuple[type, Kind], ...] = (
        (Boolean, "flag"),
        (BigInteger, "integer"),
        (Integer, "integer"),
        (Float, "number"),
        (LargeBinary, "bytes"),
    )
    return next((kind for sort, kind in kinds if isinstance(column.type, sort)), "text")


def _rows(connection: Connection, query: Any) -> Iterator[tuple[Any, ...]]:
    found = connection.execution_options(yield_per=5_000).execute(query)
    while part := list(islice(found, 5_000)):
        yield from map(tuple, part)
