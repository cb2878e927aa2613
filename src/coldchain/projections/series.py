"""Readings by device and time: one packed row per message and cell of time, and the ways to read them back."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any, NamedTuple

from sqlalchemy import Connection, select

from coldchain.db.bulk import append_rows, put_rows
from coldchain.db.series_rows import cell_before as cell_before
from coldchain.db.series_rows import copies, messages, remove_boot
from coldchain.db.series_rows import next_cell as next_cell
from coldchain.db.tables.telemetry import device, device_disputed, device_held, series, series_due
from coldchain.domain.blocks import PROBES as PROBES
from coldchain.domain.blocks import block_of
from coldchain.domain.cells import Message
from coldchain.domain.devices import Position
from coldchain.domain.pauses import tells_of_pause
from coldchain.domain.telemetry import Block, Run, Value
from coldchain.domain.temperature import Item, merged
from coldchain.domain.units import MILLI
from coldchain.projections.device_state import Device, Heard
from coldchain.projections.transport import LOOSE

CELL_US = 6 * 3600 * 1_000_000
"""A message that spans several cells has a row in each: so a query by time reads a bounded stretch of the index."""
CONTROLLED = ("x/return_air", "x/supply_air")
"""What a refrigeration unit's own controller states of the air, passed on by the device."""
GRADES = ("signed", "transport", "declared", "transcribed", "derived")
"""From the strongest to the weakest (design §6); their places are what the table holds."""


class Reading(NamedTuple):
    """One stored sample. quality: as `Sample.quality`, or `disputed`, `revoked`, `conflict`: kept, and no evidence, or,
    for a conflict, one of several values at one time, the warmest of which is judged."""

    name: str
    t_us: int
    value: Value | None
    quality: str
    boot: int
    seq: int
    entry: int


class Span(NamedTuple):
    """Where a message's samples are."""

    boot: int
    seq: int
    entry: int
    first_us: int | None
    last_us: int | None


def append(connection: Connection, heard: Iterable[Heard]) -> set[tuple[int, int]]:
    """Keep the samples of messages recorded now, whatever they are worth. Returns the (device, cell) they lie in."""
    rows = [row for message in heard for row in _rows(message)]
    append_rows(connection, series, rows)
    return {row[:2] for row in rows}


def remove_loose(connection: Connection, known: Device) -> list[tuple[str, int, int]]:
    """Forget what gateways passed on of the device, which is about to be told anew. Returns each name that judging
    looks at and that was spoken of, with the first and last time."""
    spans: dict[str, tuple[int, int]] = {}
    gone = remove_boot(connection, known.no, LOOSE)
    for _, message in gone:
        for run in message.runs:
            if _is_judged(run.name) and run.quality != "bad-time":
                from_us, to_us = spans.get(run.name, (run.times[0], run.times[0]))
                spans[run.name] = min(from_us, *run.times), max(to_us, *run.times)
    due = sorted({(known.no, cell) for cell, _ in gone if cell})
    put_rows(connection, series_due, due, "ON CONFLICT DO NOTHING")
    return [(name, *span) for name, span in spans.items()]


def _rows(message: Heard) -> Iterator[tuple[Any, ...]]:
    first_us, last_us = message.block.first_us, message.block.last_us
    if first_us is None or last_us is None:
        yield _row(message, 0, message.block)
    elif first_us // CELL_US == last_us // CELL_US:
        yield _row(message, first_us // CELL_US, message.block)
    else:
        for cell, runs in sorted(_by_cell(message.runs, first_us // CELL_US).items()):
            yield _row(message, cell, block_of(runs))


def _row(message: Heard, cell: int, block: Block) -> tuple[Any, ...]:
    *summary, data = block
    return (
        message.device.no,
        cell,
        message.boot,
        message.seq,
        message.ref,
        *summary,
        GRADES.index(message.grade),
        message.quality,
        data,
    )


def _by_cell(runs: Iterable[Run], first_cell: int) -> dict[int, list[Run]]:
    cells: dict[int, list[Run]] = {first_cell: []}
    for run in runs:
        if run.quality == "bad-time":
            cells[first_cell].append(run)
            continue
        parts: dict[int, Run] = {}
        for t_us, value in zip(run.times, run.values, strict=True):
            part = parts.setdefault(t_us // CELL_US, Run(run.name, run.quality, [], []))
            part.times.append(t_us)
            part.values.append(value)
        for cell, part in parts.items():
            cells.setdefault(cell, []).append(part)
    return cells


Witness = tuple[int, int, int]
"""(time, ledger entry, grade) of a usable value."""


@dataclass(slots=True)
class _Read:
    """What was read back of a device."""

    after_us: int
    """Later than this."""
    items: dict[str, list[Item]] = field(default_factory=dict)
    runs: list[tuple[int, int, Run]] = field(default_factory=list)
    """(entry, grade, run)"""
    witnesses: dict[str, list[Witness]] = field(default_factory=dict)
    """By name and in time order, of the names asked for."""

    def controller(self) -> list[Run]:
        """What was passed on of the refrigeration's controller, without faults."""
        return [run for _, _, run in self.runs if run.name in CONTROLLED and not run.quality]

    def between(self, name: str, from_us: int, to_us: int) -> list[Witness]:
        if name not in self.witnesses:
            told = (
                (entry, grade, run.times) for entry, grade, run in self.runs if run.name == name and not run.quality
            )
            self.witnesses[name] = sorted((t_us, entry, grade) for entry, grade, times in told for t_us in times)
        found = self.witnesses[name]
        return found[bisect_left(found, (from_us,)) : bisect_left(found, (to_us + 1,))]


class Reader:
    """What messages that are evidence say of probes, each stretch of a device read back once for all of its probes.

    For one fold of one batch: what is appended to the series later is not seen.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._cells: dict[tuple[int, int], _Read] = {}
        self._spans: dict[tuple[int, int, int], _Read] = {}
        self._next: dict[tuple[int, int], int | None] = {}

    def items(self, known: Device, name: str, cell: int, after_us: int) -> list[Item]:
        """Of one probe in a cell and later than a time, as the fold takes it."""
        found = self._cell(known, cell, after_us).items.get(name, [])
        return found[bisect_right(found, after_us, key=itemgetter(0)) :]

    def told(self, known: Device, from_us: int, to_us: int) -> dict[str, list[tuple[int, bool]]]:
        """Of defrosts and doors from one time to another, both included; of two answers at one time, yes."""
        found: dict[str, list[tuple[int, bool]]] = {}
        for cell in range(from_us // CELL_US, to_us // CELL_US + 1):
            for name, items in self._cell(known, cell, from_us - 1).items.items():
                if tells_of_pause(name):
                    said = [(t_us, said) for t_us, said in items if from_us <= t_us <= to_us and isinstance(said, bool)]
                    found.setdefault(name, []).extend(said)
        return found

    def controller(self, known: Device, from_us: int, to_us: int) -> dict[str, dict[int, int]]:
        """What the device passes on of the controller, from a time to before another: by name and time, in milli-°C; of
        several numbers at one time the warmest."""
        found: dict[str, dict[int, int]] = {}
        for cell in range(from_us // CELL_US, (to_us - 1) // CELL_US + 1):
            for run in self._cell(known, cell, from_us - 1).controller():
                said = found.setdefault(run.name, {})
                for t_us, value in zip(run.times, run.values, strict=True):
                    if isinstance(value, (int, float)) and from_us <= t_us < to_us:
                        said[t_us] = max(round(value * MILLI), said.get(t_us, -(2**62)))
        return found

    def next_cell(self, known: Device, cell: int) -> int | None:
        """The first cell from this one on that holds anything of the device."""
        if (known.no, cell) not in self._next:
            self._next[known.no, cell] = next_cell(self._connection, known.no, cell)
        return self._next[known.no, cell]

    def evidence(self, known: Device, name: str, from_us: int, to_us: int) -> tuple[set[int], set[int]]:
        """Ledger entries with usable readings of a probe from one time to another, both included; and their grades."""
        found = [witness for read in self._of(known, from_us, to_us) for witness in read.between(name, from_us, to_us)]
        return {entry for _, entry, _ in found}, {grade for *_, grade in found}

    def _of(self, known: Device, from_us: int, to_us: int) -> list[_Read]:
        """What was read of these times already; else they are read by themselves."""
        cells = range(from_us // CELL_US, to_us // CELL_US + 1)
        read = [self._cells.get((known.no, cell)) for cell in cells]
        known_of = [one for one in read if one is not None and one.after_us < from_us]
        if len(known_of) == len(read):
            return known_of
        key = known.no, from_us, to_us
        if key not in self._spans:
            found = messages(self._connection, known.no, (cells[0], cells[-1]), from_us, to_us)
            self._spans[key] = _read(known, found, from_us - 1)
        return [self._spans[key]]

    def _cell(self, known: Device, cell: int, after_us: int) -> _Read:
        read = self._cells.get((known.no, cell))
        if read is None or after_us < read.after_us:
            found = messages(self._connection, known.no, (cell, cell), after_us + 1)
            read = self._cells[known.no, cell] = _read(known, found, after_us)
            items: dict[str, list[Item]] = {}
            for run in (run for _, _, run in read.runs if _is_judged(run.name)):
                items.setdefault(run.name, []).extend(run_items(run))
            read.items = {name: merged(said) for name, said in items.items()}
        return read


def _read(known: Device, found: Iterable[Message], after_us: int) -> _Read:
    return _Read(after_us, runs=[(entry, grade, run) for entry, grade, runs in _evidence(known, found) for run in runs])


def _evidence(known: Device, found: Iterable[Message]) -> Iterator[tuple[int, int, list[Run]]]:
    """(entry, grade, what it says of probes, pauses and the controller) of the messages that count."""
    held = {message.ref for message in known.chain.held.values()}
    for message in found:
        if (message.boot, message.seq) not in known.chain.disputed and message.entry not in held:
            yield message.entry, message.grade, [run for run in message.runs if _is_heard(run.name)]


def _is_heard(name: str) -> bool:
    return _is_judged(name) or name in CONTROLLED


def _is_judged(name: str) -> bool:
    return name.startswith(PROBES) or tells_of_pause(name)


def run_items(run: Run) -> list[Item]:
    """A run as the fold takes it: a fault is a time without a value, an unbelievable time nothing at all."""
    if run.quality == "bad-time":
        return []
    if run.quality:
        return [(t_us, None) for t_us in run.times]
    return list(zip(run.times, run.values, strict=True))  # type: ignore[arg-type]


def names_of(connection: Connection, device_no: int, entry: int, first_us: int, last_us: int) -> set[str]:
    """Names that judging looks at and a message speaks of between these times."""
    found = messages(connection, device_no, (first_us // CELL_US, last_us // CELL_US))
    runs = (run for message in found if message.entry == entry for run in message.runs)
    return {run.name for run in runs if _is_judged(run.name) and run.quality != "bad-time"}


def spans(connection: Connection, device_no: int, positions: Collection[Position]) -> list[Span]:
    """Every copy of the messages at these places. Walks the device's rows: for the rare case."""
    return [Span(*one) for one in copies(connection, device_no, positions)]


def readings(connection: Connection, device_name: str, from_us: int, to_us: int, prefix: str = "") -> list[Reading]:
    """Samples of a device from `from_us` to before `to_us` whose name starts with the prefix, by name and time."""
    no = connection.scalar(select(device.c.device_no).where(device.c.device == device_name))
    if no is None:
        return []
    disputed = {(row.boot, row.seq) for row in _of(connection, device_disputed, no)}
    held = {row.entry for row in _of(connection, device_held, no)}
    found = []
    for message in messages(connection, no, (from_us // CELL_US, (to_us - 1) // CELL_US), from_us, to_us - 1):
        boot, seq, entry = message[:3]
        worth = "disputed" if (boot, seq) in disputed else "revoked" if entry in held else ""
        for run in message.runs:
            if run.name.startswith(prefix):
                found += [
                    Reading(run.name, t_us, value, worth or run.quality, boot, seq, entry)
                    for t_us, value in zip(run.times, run.values, strict=True)
                    if from_us <= t_us < to_us
                ]
    return _with_conflicts(sorted(found, key=lambda reading: (reading.name, reading.t_us, reading.entry)))


def items_between(connection: Connection, device_no: int, from_us: int, to_us: int) -> dict[str, list[Item]]:
    """What messages that are evidence say of each probe, without `temp/`, from `from_us` to before `to_us`; merged."""
    disputed = {(row.boot, row.seq) for row in _of(connection, device_disputed, device_no)}
    held = {row.entry for row in _of(connection, device_held, device_no)}
    found: dict[str, list[Item]] = {}
    for boot, seq, entry, runs in _messages(connection, device_no, from_us, to_us):
        if (boot, seq) not in disputed and entry not in held:
            for run in runs:
                found.setdefault(run.name[len(PROBES) :], []).extend(run_items(run))
    return {
        name: [item for item in merged(items) if from_us <= item[0] < to_us] for name, items in sorted(found.items())
    }


def warm_times(connection: Connection, device_no: int, from_us: int, to_us: int, above_mc: int) -> list[int]:
    """When any message, evidence or not, tells of more than that, from `from_us` to before `to_us`."""
    return [
        t_us
        for *_, runs in _messages(connection, device_no, from_us, to_us)
        for run in runs
        for t_us in warm_in(run, above_mc)
        if from_us <= t_us < to_us
    ]


def warm_in(run: Run, above_mc: int) -> list[int]:
    """When a probe was warmer than that."""
    if run.quality or not run.name.startswith(PROBES):
        return []
    return [t_us for t_us, mc in zip(run.times, run.values, strict=True) if mc > above_mc]  # type: ignore[operator]


def _messages(
    connection: Connection, device_no: int, from_us: int, to_us: int
) -> Iterator[tuple[int, int, int, list[Run]]]:
    """(boot, seq, entry, what it says of probes) of messages with times in [from_us, to_us)."""
    cells = from_us // CELL_US, (to_us - 1) // CELL_US
    for message in messages(connection, device_no, cells, from_us, to_us - 1):
        yield *message[:3], [run for run in message.runs if run.name.startswith(PROBES)]


def _with_conflicts(found: list[Reading]) -> list[Reading]:
    values: dict[tuple[str, int], set[Value | None]] = {}
    for reading in found:
        if not reading.quality:
            values.setdefault((reading.name, reading.t_us), set()).add(reading.value)
    return [
        reading._replace(quality="conflict")
        if not reading.quality and len(values[reading.name, reading.t_us]) > 1
        else reading
        for reading in found
    ]


def _of(connection: Connection, table: Any, device_no: int) -> Sequence[Any]:
    return connection.execute(select(table).where(table.c.device_no == device_no)).all()
