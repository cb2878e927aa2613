"""Columns of values as bytes: integers as differences in the narrowest width, and all of them read back exactly.

A column of integers is a width (0 for one step throughout), its first value, its unit or step, and the differences in
that unit; integers outside columns carry their own length.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from itertools import accumulate, islice
from math import gcd
from operator import sub
from typing import Any

from coldchain.domain.telemetry import Value

INTEGER, FLOAT, FLAG, TEXT, NOTHING = range(5)
KINDS: dict[type, int] = {int: INTEGER, float: FLOAT, bool: FLAG, str: TEXT, type(None): NOTHING}
_WIDTHS = {1: "b", 2: "h", 4: "i", 8: "q"}


def pack_values(kind: int, values: Sequence[Any]) -> bytes:
    if kind == INTEGER:
        return pack_integers(values, 0)
    if kind == FLOAT:
        return struct.pack(f"<{len(values)}d", *values)
    if kind == FLAG:
        return bytes(values)
    if kind == TEXT:
        return b"".join(integer(len(text)) + text for text in map(str.encode, values))
    return b""


def unpack_values(kind: int, block: bytes, at: int, count: int) -> tuple[list[Value | None], int]:
    if kind == INTEGER:
        integers, at = unpack_integers(block, at, count, 0)
        return [*integers], at
    if kind == FLOAT:
        return [*struct.unpack_from(f"<{count}d", block, at)], at + 8 * count
    if kind == FLAG:
        return [flag != 0 for flag in block[at : at + count]], at + count
    if kind == NOTHING:
        return [None] * count, at
    texts: list[Value | None] = []
    for _ in range(count):
        length, at = read_integer(block, at)
        texts.append(block[at : at + length].decode())
        at += length
    return texts, at


def pack_integers(values: Sequence[int], base: int) -> bytes:
    first = values[0]
    steps = list(map(sub, islice(values, 1, None), values))
    lowest, highest = (min(steps), max(steps)) if steps else (0, 0)
    if lowest == highest:
        return b"\0" + integer(first - base) + integer(lowest)
    unit = gcd(*steps)
    scaled = steps if unit == 1 else [step // unit for step in steps]
    width = _width(max(highest, -lowest) // unit)
    differences = struct.pack(f"<{len(scaled)}{_WIDTHS[width]}", *scaled)
    return bytes((width,)) + integer(first - base) + integer(unit) + differences


def unpack_integers(block: bytes, at: int, count: int, base: int) -> tuple[list[int], int]:
    width = block[at]
    first, at = read_integer(block, at + 1)
    unit, at = read_integer(block, at)
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


def integer(value: int) -> bytes:
    length = (value.bit_length() + 8) >> 3
    return bytes((length,)) + value.to_bytes(length, "little", signed=True)


def read_integer(block: bytes, at: int) -> tuple[int, int]:
    end = at + 1 + block[at]
    return int.from_bytes(block[at + 1 : end], "little", signed=True), end
