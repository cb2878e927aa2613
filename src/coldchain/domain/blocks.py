"""One message's samples as bytes: columns of differences in the narrowest width, and read back exactly.

A block starts with the number of its runs (one byte; 255 and a u16 where they are more than 254) and a head for each:
length of the name, quality and kind, u16 count, name.
Then come the times of all runs in one column, then the values; runs of integers that follow each other share a column
where their names have the same first part (`temp/`).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from coldchain.domain.columns import INTEGER, KINDS, pack_integers, pack_values, unpack_integers, unpack_values
from coldchain.domain.telemetry import Block, Run

QUALITIES = ("", "not-finite", "bad-time", "fault", "bad-type")
_HEAD = struct.Struct("<BBH")
_MANY = 255
"""In place of a number of runs that a byte does not hold: the number follows."""
PROBES = "temp/"


Head = tuple[str, str, int, int]
"""(name, quality, kind, samples) of a run: what is the same in every message of a device."""


def head_of(run: Run) -> Head:
    return run.name, run.quality, KINDS[run.values[0].__class__], len(run.times)


class _Layout(NamedTuple):
    """What follows from the heads alone."""

    packed: bytes
    columns: list[tuple[int, int, int]]
    """(kind, first run, the run after the last) of each column of values."""
    samples: int
    believed: bool
    """Whether all times are."""
    probes: list[int]
    """Runs of usable temperatures."""


def block_of(runs: Sequence[Run]) -> Block:
    """At most 65,535 runs and samples a run, 255 bytes a name; times and integers of 64 bits."""
    if not runs:
        return Block(None, None, 0, None, None, b"")
    layout = _layout(tuple([head_of(run) for run in runs]))
    times = [t_us for run in runs for t_us in run.times]
    believed = times if layout.believed else [t for run in runs if run.quality != "bad-time" for t in run.times]
    temperatures: list[Any] = [mc for place in layout.probes for mc in runs[place].values]
    first_us, last_us = (min(believed), max(believed)) if believed else (None, None)
    min_mc, max_mc = (min(temperatures), max(temperatures)) if temperatures else (None, None)
    return Block(first_us, last_us, layout.samples, min_mc, max_mc, _pack(layout, runs, times, first_us or 0))


def pack(runs: Sequence[Run], base_us: int) -> bytes:
    """base_us: a time near theirs."""
    if not runs:
        return b""
    return _pack(_layout(tuple([head_of(run) for run in runs])), runs, [t for run in runs for t in run.times], base_us)


def _pack(layout: _Layout, runs: Sequence[Run], times: Sequence[int], base_us: int) -> bytes:
    parts = [layout.packed, _pack_times(tuple([t_us - base_us for t_us in times]))]
    for kind, start, stop in layout.columns:
        parts.append(pack_values(kind, [value for run in runs[start:stop] for value in run.values]))
    return b"".join(parts)


@lru_cache(4_096)
def _layout(heads: tuple[Head, ...]) -> _Layout:
    return _Layout(
        pack_heads(heads),
        _columns(heads),
        sum(count for _, _, _, count in heads),
        all(quality != "bad-time" for _, quality, _, _ in heads),
        [place for place, (name, quality, _, _) in enumerate(heads) if quality == "" and name.startswith(PROBES)],
    )


def unpack(block: bytes, base_us: int) -> Iterator[Run]:
    """The runs `pack` was given."""
    if not block:
        return
    at = _heads_end(block)
    samples, columns = _plan(block[:at])
    times, at = unpack_integers(block, at, samples, base_us)
    for kind, count, runs in columns:
        values, at = unpack_values(kind, block, at, count)
        for name, quality, of_times, of_values in runs:
            yield Run(name, quality, times[of_times], values[of_values])


def _heads_end(block: bytes) -> int:
    runs, at = (block[0], 1) if block[0] < _MANY else (int.from_bytes(block[1:3], "little"), 3)
    for _ in range(runs):
        at += _HEAD.size + block[at]
    return at


_Slices = tuple[str, str, slice, slice]
"""(name, quality, where its times are among all, where its values are in their column) of a run."""


@lru_cache(4_096)
def _plan(packed_heads: bytes) -> tuple[int, list[tuple[int, int, list[_Slices]]]]:
    """What follows the heads: how many samples, and (kind, values, runs) of each column."""
    heads, _ = unpack_heads(packed_heads, 0)
    taken, columns = 0, []
    for kind, start, stop in _columns(tuple(heads)):
        read, runs = 0, []
        for name, quality, _, count in heads[start:stop]:
            runs.append((name, quality, slice(taken, taken + count), slice(read, read + count)))
            taken, read = taken + count, read + count
        columns.append((kind, read, runs))
    return taken, columns


@lru_cache(4_096)
def pack_heads(heads: tuple[Head, ...]) -> bytes:
    parts = [bytes((len(heads),)) if len(heads) < _MANY else struct.pack("<BH", _MANY, len(heads))]
    for name, quality, kind, count in heads:
        encoded = name.encode()
        parts += [_HEAD.pack(len(encoded), QUALITIES.index(quality) << 4 | kind, count), encoded]
    return b"".join(parts)


def unpack_heads(block: bytes, at: int) -> tuple[list[Head], int]:
    """The heads from a place on, and where they end."""
    runs, at = block[at], at + 1
    if runs == _MANY:
        runs, at = int.from_bytes(block[at : at + 2], "little"), at + 2
    heads = []
    for _ in range(runs):
        length, tag, count = _HEAD.unpack_from(block, at)
        at += _HEAD.size + length
        heads.append((block[at - length : at].decode(), QUALITIES[tag >> 4], tag & 15, count))
    return heads, at


@lru_cache(4_096)
def _columns(heads: tuple[Head, ...]) -> list[tuple[int, int, int]]:
    """(kind, first run, the run after the last) of each column of values."""
    columns: list[tuple[int, int, int]] = []
    family = ""
    for place, (name, _, kind, _) in enumerate(heads):
        before, family = family, name.partition("/")[0]
        if columns and kind == columns[-1][0] == INTEGER and family == before:
            columns[-1] = (kind, columns[-1][1], place + 1)
        else:
            columns.append((kind, place, place + 1))
    return columns


@lru_cache(4_096)
def _pack_times(after_us: tuple[int, ...]) -> bytes:
    """Most devices measure in the same rhythm all the time."""
    return pack_integers(after_us, 0)
