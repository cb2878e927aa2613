"""One message's samples as bytes: columns of differences in the narrowest width, and read back exactly.

A block starts with the number of its runs (one byte; 255 and a u16 where they are more than 254) and a head for each:
length of the name, quality and kind, u16 count, name.
Then come the times of all runs in one column, then the values; runs of integers that follow each other share a column
where their names have the same first part (`temp/`). A column of integers is a width (0 for one step throughout), its
first value, its unit or step, and the differences in that unit; integers outside columns carry their own length.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import accumulate, islice
from math import gcd
from operator import sub
from typing import Any, NamedTuple

from coldchain.domain.telemetry import Run, Value

QUALITIES = ("", "not-finite", "bad-time", "fault", "bad-type")
_INTEGER, _FLOAT, _FLAG, _TEXT, _NOTHING = range(5)
_KINDS: dict[type, int] = {int: _INTEGER, float: _FLOAT, bool: _FLAG, str: _TEXT, type(None): _NOTHING}
_HEAD = struct.Struct("<BBH")
_MANY = 255
"""In place of a number of runs that a byte does not hold: the number follows."""
_WIDTHS = {1: "b", 2: "h", 4: "i", 8: "q"}
PROBES = "temp/"


class Block(NamedTuple):
    """The samples of a message, packed, and what is asked of them first."""

    first_us: int | None
    """First and last time of those whose time is believed; `data` counts from the first."""
    last_us: int | None
    samples: int
    min_mc: int | None
    """Coldest and warmest usable temperature."""
    max_mc: int | None
    data: bytes


def block_of(runs: Sequence[Run]) -> Block:
    """At most 65,535 runs and samples a run, 255 bytes a name; times and integers of 64 bits."""
    times = [t_us for run in runs if run.quality != "bad-time" for t_us in run.times]
    temperatures: list[Any] = [
        mc for run in runs if run.quality == "" and run.name.startswith(PROBES) for mc in run.values
    ]
    first_us, last_us = (min(times), max(times)) if times else (None, None)
    min_mc, max_mc = (min(temperatures), max(temperatures)) if temperatures else (None, None)
    samples = sum([len(run.times) for run in runs])
    return Block(first_us, last_us, samples, min_mc, max_mc, pack(runs, first_us or 0))


_Head = tuple[str, str, int, int]
"""(name, quality, kind, samples) of a run: what is the same in every message of a device."""


def pack(runs: Sequence[Run], base_us: int) -> bytes:
    """base_us: a time near theirs."""
    if not runs:
        return b""
    heads = tuple([(run.name, run.quality, _KINDS[run.values[0].__class__], len(run.times)) for run in runs])
    parts = [_pack_heads(heads), _pack_times(tuple([t_us - base_us for run in runs for t_us in run.times]))]
    for kind, start, stop in _columns(heads):
        parts.append(_pack_values(kind, [value for run in runs[start:stop] for value in run.values]))
    return b"".join(parts)


def unpack(block: bytes, base_us: int) -> Iterator[Run]:
    """The runs `pack` was given."""
    if not block:
        return
    heads, at = _unpack_heads(block)
    times, at = _unpack_integers(block, at, sum([count for *_, count in heads]), base_us)
    taken = 0
    for kind, start, stop in _columns(tuple(heads)):
        values, at = _unpack_values(kind, block, at, sum([count for *_, count in heads[start:stop]]))
        read = 0
        for name, quality, _, count in heads[start:stop]:
            yield Run(name, quality, times[taken : taken + count], values[read : read + count])
            taken, read = taken + count, read + count


@lru_cache(4_096)
def _pack_heads(heads: tuple[_Head, ...]) -> bytes:
    parts = [bytes((len(heads),)) if len(heads) < _MANY else struct.pack("<BH", _MANY, len(heads))]
    for name, quality, kind, count in heads:
        encoded = name.encode()
        parts += [_HEAD.pack(len(encoded), QUALITIES.index(quality) << 4 | kind, count), encoded]
    return b"".join(parts)


def _unpack_heads(block: bytes) -> tuple[list[_Head], int]:
    runs, at = (block[0], 1) if block[0] < _MANY else (int.from_bytes(block[1:3], "little"), 3)
    heads = []
    for _ in range(runs):
        length, tag, count = _HEAD.unpack_from(block, at)
        at += _HEAD.size + length
        heads.append((block[at - length : at].decode(), QUALITIES[tag >> 4], tag & 15, count))
    return heads, at


@lru_cache(4_096)
def _columns(heads: tuple[_Head, ...]) -> list[tuple[int, int, int]]:
    """(kind, first run, the run after the last) of each column of values."""
    columns: list[tuple[int, int, int]] = []
    family = ""
    for place, (name, _, kind, _) in enumerate(heads):
        before, family = family, name.partition("/")[0]
        if columns and kind == columns[-1][0] == _INTEGER and family == before:
            columns[-1] = (kind, columns[-1][1], place + 1)
        else:
            columns.append((kind, place, place + 1))
    return columns


@lru_cache(4_096)
def _pack_times(after_us: tuple[int, ...]) -> bytes:
    """Most devices measure in the same rhythm all the time."""
    return _pack_integers(after_us, 0)


def _pack_values(kind: int, values: Sequence[Any]) -> bytes:
    if kind == _INTEGER:
        return _pack_integers(values, 0)
    if kind == _FLOAT:
        return struct.pack(f"<{len(values)}d", *values)
    if kind == _FLAG:
        return bytes(values)
    if kind == _TEXT:
        return b"".join(_integer(len(text)) + text for text in map(str.encode, values))
    return b""


def _unpack_values(kind: int, block: bytes, at: int, count: int) -> tuple[list[Value | None], int]:
    if kind == _INTEGER:
        integers, at = _unpack_integers(block, at, count, 0)
        return [*integers], at
    if kind == _FLOAT:
        return [*struct.unpack_from(f"<{count}d", block, at)], at + 8 * count
    if kind == _FLAG:
        return [flag != 0 for flag in block[at : at + count]], at + count
    if kind == _NOTHING:
        return [None] * count, at
    texts: list[Value | None] = []
    for _ in range(count):
        length, at = _read_integer(block, at)
        texts.append(block[at : at + length].decode())
        at += length
    return texts, at


def _pack_integers(values: Sequence[int], base: int) -> bytes:
    first = values[0]
    steps = list(map(sub, islice(values, 1, None), values))
    lowest, highest = (min(steps), max(steps)) if steps else (0, 0)
    if lowest == highest:
        return b"\0" + _integer(first - base) + _integer(lowest)
    unit = gcd(*steps)
    scaled = steps if unit == 1 else [step // unit for step in steps]
    width = _width(max(highest, -lowest) // unit)
    differences = struct.pack(f"<{len(scaled)}{_WIDTHS[width]}", *scaled)
    return bytes((width,)) + _integer(first - base) + _integer(unit) + differences


def _unpack_integers(block: bytes, at: int, count: int, base: int) -> tuple[list[int], int]:
    width = block[at]
    first, at = _read_integer(block, at + 1)
    unit, at = _read_integer(block, at)
    if width == 0:
        return [base + first + unit * place for place in range(count)], at
    steps = struct.unpack_from(f"<{count - 1}{_WIDTHS[width]}", block, at)
    scaled = accumulate([step * unit for step in steps], initial=base + first)
    return list(scaled), at + width * (count - 1)


def _width(reach: int) -> int:
    if reach < 1 << 7:
        return 1
    if reach < 1 << 15:
        return 2
    return 4 if reach < 1 << 31 else 8


def _integer(value: int) -> bytes:
    length = (value.bit_length() + 8) >> 3
    return bytes((length,)) + value.to_bytes(length, "little", signed=True)


def _read_integer(block: bytes, at: int) -> tuple[int, int]:
    end = at + 1 + block[at]
    return int.from_bytes(block[at + 1 : end], "little", signed=True), end
