"""One message's samples as bytes: columns of differences in the narrowest width, and read back exactly.

A block is a sequence of runs; a run is the samples of one name, quality and kind of value, in message order: length of
the name, quality and kind, u16 count, name, times, values. A column of integers is a width (0 for one step throughout),
its first value, its unit or step, and the differences in that unit; integers outside columns carry their own length.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, islice
from math import gcd
from operator import sub
from typing import Any

from coldchain.domain.telemetry import Run, Value

QUALITIES = ("", "not-finite", "bad-time", "fault", "bad-type")
_INTEGER, _FLOAT, _FLAG, _TEXT, _NOTHING = range(5)
_HEAD = struct.Struct("<BBH")
_WIDTHS = {1: "b", 2: "h", 4: "i", 8: "q"}


def pack(runs: Iterable[Run], base_us: int) -> bytes:
    """At most 65,535 samples a run and 255 bytes a name; times and integers of 64 bits. base_us: a time near theirs."""
    parts: list[bytes] = []
    for name, quality, times, values in runs:
        kind = _kind(values[0])
        encoded = name.encode()
        parts += (
            _HEAD.pack(len(encoded), QUALITIES.index(quality) << 4 | kind, len(times)),
            encoded,
            _pack_integers(times, base_us),
            _pack_values(kind, values),
        )
    return b"".join(parts)


def unpack(block: bytes, base_us: int) -> Iterator[Run]:
    """The runs `pack` was given."""
    at = 0
    while at < len(block):
        length, tag, count = _HEAD.unpack_from(block, at)
        at += _HEAD.size
        name = block[at : at + length].decode()
        times, at = _unpack_integers(block, at + length, count, base_us)
        values, at = _unpack_values(tag & 15, block, at, count)
        yield Run(name, QUALITIES[tag >> 4], times, values)


def _kind(value: Value | None) -> int:
    if isinstance(value, bool):
        return _FLAG
    if isinstance(value, int):
        return _INTEGER
    if isinstance(value, float):
        return _FLOAT
    return _NOTHING if value is None else _TEXT


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
