"""Stored messages of devices, wherever they lie: a row each while their cell of time is open, packed by cell after."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from sqlalchemy import Connection, select

from coldchain.db.bulk import append_rows, fetch, put_rows, remove_rows, stream
from coldchain.db.tables.telemetry import series, series_packed
from coldchain.domain.blocks import block_of, unpack
from coldchain.domain.cells import Cell, Message, pack_cell, places_of, unpack_cell

FOREVER_US = 2**62


class Spoken(NamedTuple):
    """One message of a device in a cell, without its samples."""

    device_no: int
    boot: int
    seq: int
    entry: int
    first_us: int
    last_us: int


def messages(
    connection: Connection, device_no: int, cells: tuple[int, int], from_us: int = 0, to_us: int = FOREVER_US
) -> Iterator[Message]:
    """Those in the cells from one to another with samples from `from_us` to `to_us`; all bounds are included."""
    bounds = (device_no, *cells, to_us, from_us)
    query = (
        "SELECT boot, seq, entry, grade, quality, first_us, last_us, block FROM series"
        " WHERE device_no = ? AND cell BETWEEN ? AND ? AND first_us <= ? AND last_us >= ?"
    )
    for row in fetch(connection, query, *bounds):
        yield _message(*row)
    query = (
        "SELECT places, samples FROM series_packed"
        " WHERE device_no = ? AND cell BETWEEN ? AND ? AND first_us <= ? AND last_us >= ?"
    )
    for places, samples in fetch(connection, query, *bounds):
        for message in _unpacked(places, samples):
            if message.first_us <= to_us and message.last_us >= from_us:
                yield message


def _message(
    boot: int, seq: int, entry: int, grade: int, quality: str | None, first_us: int, last_us: int, block: bytes
) -> Message:
    return Message(boot, seq, entry, grade, quality, first_us, last_us, tuple(unpack(block, first_us)))


@lru_cache(8)
def _unpacked(places: bytes, samples: bytes) -> tuple[Message, ...]:
    """Messages that are disputed one after the other lie in few cells."""
    return tuple(unpack_cell(Cell(places, samples)))


def next_cell(connection: Connection, device_no: int, cell: int) -> int | None:
    """The first cell from this one on that holds anything of the device."""
    query = "SELECT min(cell) FROM {} WHERE device_no = ? AND cell >= ?"
    found = [fetch(connection, query.format(name), device_no, cell)[0][0] for name in ("series", "series_packed")]
    return min((one for one in found if one is not None), default=None)


def cell_before(connection: Connection, device_no: int, cell: int) -> int | None:
    """The last cell before this one that holds anything of a believed time of the device."""
    query = "SELECT max(cell) FROM {} WHERE device_no = ? AND cell < ? AND cell > 0"
    found = [fetch(connection, query.format(name), device_no, cell)[0][0] for name in ("series", "series_packed")]
    return max((one for one in found if one is not None), default=None)


def spoken(
    connection: Connection, device_nos: Iterable[int] | None = None, from_us: int = 0, to_us: int = FOREVER_US
) -> Iterator[Spoken]:
    """The messages of some devices, or of all, with samples from one time to another, bounds included: a part for each
    cell it reaches into. Walks everything stored of the devices."""
    for table in (series, series_packed):
        c = table.c
        columns = (c.boot, c.seq, c.entry, c.first_us, c.last_us) if table is series else (c.places,)
        query = select(c.device_no, *columns).where(c.first_us <= to_us, c.last_us >= from_us)
        if device_nos is not None:
            query = query.where(c.device_no.in_(list(device_nos)))
        for device_no, *rest in connection.execute(query):
            found = [rest] if table is series else [place[:3] + place[5:7] for place in places_of(rest[0])]
            for boot, seq, entry, first_us, last_us in found:
                if first_us <= to_us and last_us >= from_us:
                    yield Spoken(device_no, boot, seq, entry, first_us, last_us)


def copies(
    connection: Connection, device_no: int, positions: Collection[tuple[int, int]]
) -> list[tuple[int, int, int, int | None, int | None]]:
    """(boot, seq, entry, first_us, last_us) of every message at these places of a device's chain, a part for each cell
    it reaches into. Walks the device's rows, and unpacks the cells that may hold one of them."""
    wanted = sorted(set(positions))
    query = "SELECT boot, seq, entry, first_us, last_us FROM series WHERE device_no = ?"
    found = [tuple(row) for row in fetch(connection, query, device_no)]
    query = "SELECT cell, low_boot, low_seq, high_boot, high_seq FROM series_packed WHERE device_no = ?"
    for cell, *ends in fetch(connection, query, device_no):
        place = bisect_left(wanted, (ends[0], ends[1]))
        if place < len(wanted) and wanted[place] <= (ends[2], ends[3]):
            packed = "SELECT places FROM series_packed WHERE device_no = ? AND cell = ?"
            ((places,),) = fetch(connection, packed, device_no, cell)
            found += [(*one[:3], one.first_us, one.last_us) for one in places_of(bytes(places))]
    known = set(wanted)
    return [one for one in found if one[:2] in known]


def put_cell(connection: Connection, device_no: int, cell: int, found: Sequence[Message]) -> None:
    """The cell holds these messages and no others, packed; nothing where there are none.

    Belongs into the transaction that read them: whatever else was stored of the cell is gone.
    """
    key = [(device_no, cell)]
    remove_rows(connection, series, key, ("device_no =", "cell ="))
    if not found:
        remove_rows(connection, series_packed, key)
        return
    packed = pack_cell(found)
    span = min(message.first_us for message in found), max(message.last_us for message in found)
    count = sum(len(run.times) for message in found for run in message.runs)
    chained = [message[:2] for message in found]
    put_rows(connection, series_packed, [(device_no, cell, *span, count, *min(chained), *max(chained), *packed)])


def remove_boot(connection: Connection, device_no: int, boot: int) -> list[tuple[int, Message]]:
    """Forget a device's messages of a boot. Returns (cell, message) of those with a believable time."""
    query = (
        "SELECT cell, boot, seq, entry, grade, quality, first_us, last_us, block FROM series"
        " WHERE device_no = ? AND boot = ? AND first_us IS NOT NULL"
    )
    gone = [(cell, _message(*row)) for cell, *row in fetch(connection, query, device_no, boot)]
    remove_rows(connection, series, [(device_no, boot)], ("device_no =", "boot ="))
    query = "SELECT cell, places, samples FROM series_packed WHERE device_no = ?"
    for cell, places, samples in fetch(connection, query, device_no):
        if any(place.boot == boot for place in places_of(bytes(places))):
            found = list(unpack_cell(Cell(places, samples)))
            gone += [(cell, message) for message in found if message.boot == boot]
            kept = [series_row(device_no, cell, message) for message in found if message.boot != boot]
            remove_rows(connection, series_packed, [(device_no, cell)])
            append_rows(connection, series, kept)
    return gone


def series_row(device_no: int, cell: int, message: Message) -> tuple[Any, ...]:
    """The row of `series` that a message had before it was packed."""
    block = block_of(message.runs)
    return (
        device_no,
        cell,
        message.boot,
        message.seq,
        message.entry,
        message.first_us,
        message.last_us,
        *block[2:5],
        message.grade,
        message.quality,
        block.data,
    )


def loose_rows(connection: Connection) -> Iterator[tuple[Any, ...]]:
    """All of `series` as it is when nothing is packed: the same rows whether anything is or not."""
    names = ", ".join(column.name for column in series.columns)
    yield from (tuple(row) for row in stream(connection, f"SELECT {names} FROM series"))  # noqa: S608 (names of ours)
    for device_no, cell, places, samples in stream(
        connection, "SELECT device_no, cell, places, samples FROM series_packed"
    ):
        for message in unpack_cell(Cell(places, samples)):
            yield series_row(device_no, cell, message)
