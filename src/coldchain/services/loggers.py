"""Data loggers: a table becomes SenML packs under its headings; a printed report is kept as what it sums up."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from decimal import Decimal
from typing import Any

from coldchain.domain.imports.table import Cell, Row, Table, cell_name
from coldchain.domain.mappings import DeviceMap
from coldchain.domain.uplinks import source_name
from coldchain.services.chores import canonical
from coldchain.services.identity import CommandRefused
from coldchain_ledger.log import Draft

MAX_PACK = 40 * 1024
"""Bytes of one pack: an entry's payload ends at 48 KiB."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_HEADINGS = 60
"""Rows among which the headings are looked for: some loggers print a page about themselves first."""


@dataclass(frozen=True, slots=True)
class Reading:
    """How a logger's table is to be read."""

    time: str
    """Heading of the column with the times."""
    zone: tzinfo
    """Of times without an offset; one with summer time has hours that it cannot place."""
    form: str = ""
    """As `strptime` has it; "" for ISO 8601, with `/` for `-` and a blank for `T` if need be."""


def packs(table: Table, source: str, how: Reading) -> tuple[list[bytes], int]:
    """(SenML packs, rows) of everything the table says, under its headings; empty cells say nothing.

    Raises CommandRefused naming the cell whose time cannot be read: a file is taken whole.
    """
    head, rows = _headings(table, how.time)
    at = head.index(how.time)
    records = [record for row in rows for record in _records(row, head, at, how)]
    if not records:
        raise CommandRefused(f"the sheet {table.sheet!r} has no reading below its headings")
    return list(_packed(source, records)), len(rows)


def logger_entry(version: DeviceMap, data: bytes, rows: int, written: Sequence[bytes]) -> Draft:
    """That this file was handed in, by its hash; and which packs were made of it, by theirs."""
    hashes = [hashlib.sha256(pack).hexdigest() for pack in written]
    return _document(version, data, "logger", {"rows": rows, "packs": hashes}, "declared")


def summary_entry(version: DeviceMap, data: bytes, least: str, most: str, from_us: int, to_us: int) -> Draft:
    """What somebody read off a printed report: the file's hash, and least and most in degrees Celsius between two
    times. No times of readings are known, so nothing is judged by it. Raises CommandRefused."""
    if from_us > to_us or Decimal(least) > Decimal(most):
        raise CommandRefused(f"expected least <= most and from <= to, found {least}, {most}, {from_us}, {to_us}")
    stated = {"least_c": least, "most_c": most, "from_us": from_us, "to_us": to_us}
    return _document(version, data, "logger-report", stated, "transcribed")


def _headings(table: Table, time: str) -> tuple[list[str], Sequence[Row]]:
    for place, row in enumerate(table.rows[:_HEADINGS]):
        head = ["" if cell is None else str(cell).strip() for cell in row.cells]
        if time in head:
            return head, table.rows[place + 1 :]
    raise CommandRefused(f"no column is headed {time!r} within the first {_HEADINGS} rows")


def _records(row: Row, head: Sequence[str], at: int, how: Reading) -> Iterator[str]:
    if at >= len(row.cells) or row.cells[at] in (None, ""):
        return  # the lines below the last reading: sums, signatures
    t_us = _instant(row.cells[at], cell_name(row.number, at), how)
    for name, cell in zip(head, row.cells, strict=False):
        if name and name != how.time and cell is not None and cell != "":
            yield f'{{"n":{_quoted(name)},"t":{Decimal(t_us) / 1_000_000:f},{_value(cell)}}}'


def _instant(cell: Cell, where: str, how: Reading) -> int:
    try:
        moment = cell if isinstance(cell, datetime) else _parsed(str(cell).strip(), how.form)
    except ValueError as error:
        raise CommandRefused(f"{where}: expected a time such as 2026-03-02 14:30, found {cell!r}: {error}") from error
    return ((moment if moment.tzinfo else _placed(moment, how.zone, where)) - _EPOCH) // timedelta(microseconds=1)


def _placed(moment: datetime, zone: tzinfo, where: str) -> datetime:
    """The one moment at which clocks of the zone show this. Raises CommandRefused where there are two, or none: an hour
    is repeated when clocks go back, and left out when they go forward."""
    first, second = (moment.replace(tzinfo=zone, fold=fold) for fold in (0, 1))
    if first.utcoffset() == second.utcoffset():
        return first
    if first.astimezone(UTC).astimezone(zone).replace(tzinfo=None) != moment:
        raise CommandRefused(
            f"{where}: {moment} was never in {zone}, whose clocks went forward over it: the logger kept another time;"
            " give that as --zone, such as +01:00"
        )
    offsets = " and ".join(one.isoformat()[-6:] for one in (first, second))
    raise CommandRefused(
        f"{where}: {moment} was twice in {zone}, at {offsets}, as its clocks went back:"
        " split the file there, and give each part its offset as --zone"
    )


def _parsed(text: str, form: str) -> datetime:
    return datetime.strptime(text, form) if form else datetime.fromisoformat(text.replace("/", "-"))  # noqa: DTZ007


def _value(cell: Cell) -> str:
    if isinstance(cell, bool):
        return f'"vb":{json.dumps(cell)}'
    return f'"v":{cell:f}' if isinstance(cell, Decimal) else f'"vs":{_quoted(str(cell))}'


def _packed(source: str, records: Sequence[str]) -> Iterator[bytes]:
    head = f'[{{"bn":{_quoted(source)}}},'.encode()
    held, size = list[bytes](), len(head)
    for record in map(str.encode, records):
        if held and size + len(record) + 1 > MAX_PACK:
            yield head + b",".join(held) + b"]"
            held, size = [], len(head)
        held.append(record)
        size += len(record) + 1
    yield head + b",".join(held) + b"]"


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _document(version: DeviceMap, data: bytes, doc: str, stated: dict[str, Any], grade: str) -> Draft:
    sha256 = hashlib.sha256(data).hexdigest()
    body = {"v": 1, "doc": doc, "device": version.device, "sha256": sha256, "bytes": len(data), **stated}
    names = {f"dev:{version.device}", source_name(version.gateway, version.source), f"doc:logger/{sha256[:32]}"}
    return Draft(
        kind="document",
        by=version.org,
        type="application/json",
        key=f"doc/{doc}/{version.device}/{hashlib.sha256(canonical(body)).hexdigest()}",
        grade=grade,
        subjects=tuple(sorted(names)),
        payload=canonical(body),
    )
