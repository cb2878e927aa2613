"""The messages of a device and cell of time as two byte strings, from which each comes back exactly.

The first tells of the messages: where they stand, and of which shape each is (the heads of its runs; devices say the
same things again and again). The second holds the samples, run by run of each shape through all its messages: a probe's
day is one column of small differences. Both are compressed as a whole.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from math import copysign
from typing import Any, NamedTuple

from coldchain.domain.blocks import Head, head_of, pack_heads, unpack_heads
from coldchain.domain.columns import FLOAT, integer, pack_integers, pack_values, read_integer
from coldchain.domain.columns import unpack_integers as integers_at
from coldchain.domain.columns import unpack_values as values_at
from coldchain.domain.telemetry import Run, Value

LEVEL = 6
"""Of zlib: level 9 saves one byte in two hundred, and takes twice the time."""
_DECIMALS = (1.0, 10.0, 100.0, 1_000.0, 10_000.0)
_EXACT = 2**50
"""Floats are kept as whole numbers of a decimal place where that gives every one of them back."""


class Message(NamedTuple):
    """One message, as far as one cell of time has its samples."""

    boot: int
    seq: int
    entry: int
    grade: int
    quality: str | None
    first_us: int
    last_us: int
    runs: tuple[Run, ...]


class Place(NamedTuple):
    """The same without its samples."""

    boot: int
    seq: int
    entry: int
    grade: int
    quality: str | None
    first_us: int
    last_us: int
    shape: int


class Cell(NamedTuple):
    """Several messages packed."""

    places: bytes
    samples: bytes


def pack_cell(messages: Sequence[Message]) -> Cell:
    """At least one message; the bytes do not depend on their order."""
    ordered = sorted(messages, key=lambda m: (m.first_us, m.boot, m.seq, m.entry))
    heads = [tuple(map(head_of, message.runs)) for message in ordered]
    shapes = {shape: number for number, shape in enumerate(dict.fromkeys(heads))}
    members: list[list[Message]] = [[] for _ in shapes]
    for message, shape in zip(ordered, heads, strict=True):
        members[shapes[shape]].append(message)
    places = _pack_places(ordered, [shapes[shape] for shape in heads], list(shapes))
    samples = b"".join(_pack_shape(shape, members[number]) for shape, number in shapes.items())
    return Cell(zlib.compress(places, LEVEL), zlib.compress(samples, LEVEL))


def places_of(cell: Cell | bytes) -> list[Place]:
    """The messages of a cell, or of its `places` alone."""
    return _unpack_places(cell if isinstance(cell, bytes) else cell.places)[0]


def unpack_cell(cell: Cell) -> Iterator[Message]:
    """The messages `pack_cell` was given, by time."""
    places, shapes = _unpack_places(cell.places)
    counts = [0] * len(shapes)
    for place in places:
        counts[place.shape] += 1
    data, at = zlib.decompress(cell.samples), 0
    told: list[Iterator[tuple[Run, ...]]] = []
    for shape, count in zip(shapes, counts, strict=True):
        runs, at = _unpack_shape(shape, count, data, at)
        told.append(runs)
    for place in places:
        yield Message(*place[:-1], next(told[place.shape]))


def _pack_places(messages: Sequence[Message], shapes: Sequence[int], heads: Sequence[tuple[Head, ...]]) -> bytes:
    qualities = {quality: number for number, quality in enumerate(sorted({m.quality or "" for m in messages}))}
    columns = (
        [m.boot for m in messages],
        [m.seq for m in messages],
        [m.entry for m in messages],
        [m.grade for m in messages],
        [-1 if m.quality is None else qualities[m.quality] for m in messages],
        [m.first_us for m in messages],
        [m.last_us - m.first_us for m in messages],
        shapes,
    )
    parts = [integer(len(messages)), integer(len(qualities)), *map(_text, qualities), integer(len(heads))]
    parts += map(pack_heads, heads)
    return b"".join(parts + [pack_integers(column, 0) for column in columns])


def _unpack_places(packed: bytes) -> tuple[list[Place], list[list[Head]]]:
    data = zlib.decompress(packed)
    count, at = read_integer(data, 0)
    known, at = read_integer(data, at)
    qualities, at = _texts(data, at, known)
    shapes = []
    known, at = read_integer(data, at)
    for _ in range(known):
        heads, at = unpack_heads(data, at)
        shapes.append(heads)
    columns = []
    for _ in range(8):
        column, at = integers_at(data, at, count, 0)
        columns.append(column)
    boots, seqs, entries, grades, worth, firsts, lasts, numbers = columns
    stated = [None if number < 0 else qualities[number] for number in worth]
    spans = [first + length for first, length in zip(firsts, lasts, strict=True)]
    return list(map(Place, boots, seqs, entries, grades, stated, firsts, spans, numbers)), shapes


def _text(text: str) -> bytes:
    encoded = text.encode()
    return integer(len(encoded)) + encoded


def _texts(data: bytes, at: int, count: int) -> tuple[list[str], int]:
    found = []
    for _ in range(count):
        length, at = read_integer(data, at)
        found.append(data[at : at + length].decode())
        at += length
    return found, at


def _pack_shape(shape: tuple[Head, ...], messages: Sequence[Message]) -> bytes:
    parts = []
    known: dict[tuple[int, ...], int] = {}
    for place, (_, _, kind, _) in enumerate(shape):
        times = tuple([t_us for message in messages for t_us in message.runs[place].times])
        same = known.setdefault(times, place)
        parts += [integer(same), b"" if same < place else pack_integers(times, 0)]
        parts.append(_pack_column(kind, [value for message in messages for value in message.runs[place].values]))
    return b"".join(parts)


def _unpack_shape(shape: Sequence[Head], count: int, data: bytes, at: int) -> tuple[Iterator[tuple[Run, ...]], int]:
    columns: list[tuple[list[int], list[Value | None]]] = []
    for place, (_, _, kind, samples) in enumerate(shape):
        same, at = read_integer(data, at)
        if same < place:
            times = columns[same][0]
        else:
            times, at = integers_at(data, at, count * samples, 0)
        values, at = _unpack_column(kind, data, at, count * samples)
        columns.append((times, values))
    return _cut(shape, columns, count), at


def _cut(
    shape: Sequence[Head], columns: Sequence[tuple[list[int], list[Value | None]]], count: int
) -> Iterator[tuple[Run, ...]]:
    for number in range(count):
        yield tuple(
            [
                Run(name, quality, times[number * n : number * n + n], values[number * n : number * n + n])
                for (name, quality, _, n), (times, values) in zip(shape, columns, strict=True)
            ]
        )


def _pack_column(kind: int, values: Sequence[Any]) -> bytes:
    if kind != FLOAT:
        return pack_values(kind, values)
    for place, unit in enumerate(_DECIMALS):
        scaled = _whole(values, unit)
        if scaled is not None:
            return bytes((place,)) + pack_integers(scaled, 0)
    return bytes((len(_DECIMALS),)) + pack_values(FLOAT, values)


def _whole(values: Sequence[float], unit: float) -> list[int] | None:
    """The values as whole numbers of 1/unit; None where one of them would come back as another."""
    if not all(-_EXACT < value * unit < _EXACT for value in values):
        return None
    scaled = [round(value * unit) for value in values]
    exact = all(number / unit == value for number, value in zip(scaled, values, strict=True))
    negative_zero = 0.0 in values and any(copysign(1.0, value) < 0 for value in values if value == 0)
    return scaled if exact and not negative_zero else None


def _unpack_column(kind: int, data: bytes, at: int, count: int) -> tuple[list[Value | None], int]:
    if kind != FLOAT:
        return values_at(kind, data, at, count)
    place, at = data[at], at + 1
    if place == len(_DECIMALS):
        return values_at(FLOAT, data, at, count)
    scaled, at = integers_at(data, at, count, 0)
    unit = _DECIMALS[place]
    return [number / unit for number in scaled], at
