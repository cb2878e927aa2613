"""Readings summed up by hour and day: exact, and the same whatever order they came in.

Values are thousandths of their unit, so temperatures milli-°C, and sums are exact integers. A bucket knows of the
silences between its own readings; those at its edges are found beside its neighbours, so that a late reading changes
the bucket it is in and no other.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice, pairwise
from math import sqrt
from operator import mul, sub
from typing import NamedTuple

from coldchain.domain.blocks import PROBES
from coldchain.domain.columns import (
    TEXT,
    integer,
    pack_integers,
    pack_values,
    read_integer,
    unpack_integers,
    unpack_values,
)
from coldchain.domain.rulepacks import Regime, regime_at
from coldchain.domain.telemetry import Run

HOUR_US = 3_600_000_000
DAY_HOURS = 24
SILENCE_US = 1_800_000_000
"""Between readings further apart nothing is known, where no rule says how far: half an hour."""
FAMILIES = frozenset({"temp", "rh", "setpoint", "battery", "speed", "light", "shock"})
"""First parts of the names that are summed up: positions have no mean, and vendors' own names no end."""
MOST = 10**12
"""Thousandths; no sensor we know measures more than a billion of anything. Beyond, a value is not summed up."""
_STORABLE = 2**63


class Bucket(NamedTuple):
    """At least one reading of a channel within a stretch of time."""

    readings: int
    low: int
    high: int
    total: int
    squares: int | None
    """Sum of squares; None where 64 bits do not hold it."""
    first_us: int
    first: int
    last_us: int
    last: int
    gap_us: int
    """Time between the first and the last reading in which two of them were further apart than the rule allows."""
    silence_us: int
    """The longest silence that the rule in force at the last reading allows."""

    @property
    def mean(self) -> float:
        return self.total / self.readings

    @property
    def deviation(self) -> float | None:
        """Standard deviation over all readings, in thousandths."""
        if self.squares is None:
            return None
        return sqrt(max(0, self.squares * self.readings - self.total * self.total)) / self.readings


class Longest(NamedTuple):
    """How long a silence after a reading may last."""

    schedule: Sequence[Regime]
    """Empty where nothing is judged."""

    def after(self, t_us: int) -> int:
        rule = self.schedule[regime_at(self.schedule, t_us)].rule if self.schedule else None
        return SILENCE_US if rule is None else rule.max_gap_us

    def least(self) -> int:
        """After any reading."""
        return min([SILENCE_US, *(regime.rule.max_gap_us for regime in self.schedule if regime.rule is not None)])


def longest_silence(schedule: Sequence[Regime], channel: str) -> Longest:
    """A rule speaks of temperatures; of anything else the default holds."""
    return Longest(schedule if channel.startswith(PROBES) else ())


def add_readings(found: dict[str, list[tuple[int, int]]], run: Run) -> None:
    """Put the usable numbers of a run to those of its channel, in thousandths."""
    values = run.values
    if run.quality or run.name.partition("/")[0] not in FAMILIES or values[0].__class__ not in (int, float):
        return
    if values[0].__class__ is float:
        scaled = [round(value * 1_000) if abs(value) < MOST else MOST for value in values]  # type: ignore[operator,arg-type]
        values = scaled  # type: ignore[assignment]
    told = found.setdefault(run.name, [])
    told += zip(run.times, values, strict=True)  # type: ignore[arg-type]


def by_hour(readings: Sequence[tuple[int, int]], longest: Longest) -> Iterator[tuple[int, Bucket]]:
    """(hours since the epoch, what was read in it). Of several values at one time the highest counts."""
    hours: dict[int, dict[int, int]] = {}
    for t_us, value in sorted(readings):
        if -MOST < value < MOST:
            hours.setdefault(t_us // HOUR_US, {})[t_us] = value
    for hour, at in hours.items():
        yield hour, _bucket(list(at), list(at.values()), longest)


def _bucket(times: Sequence[int], values: Sequence[int], longest: Longest) -> Bucket:
    squares = sum(map(mul, values, values))
    return Bucket(
        len(values),
        min(values),
        max(values),
        sum(values),
        squares if squares < _STORABLE else None,
        times[0],
        values[0],
        times[-1],
        values[-1],
        _silent_us(times, longest),
        longest.after(times[-1]),
    )


def _silent_us(times: Sequence[int], longest: Longest) -> int:
    steps = list(map(sub, islice(times, 1, None), times))
    if not steps or max(steps) <= longest.least():
        return 0
    return sum(step for t_us, step in zip(times, steps, strict=False) if step > longest.after(t_us))


def joined(buckets: Sequence[Bucket]) -> Bucket:
    """One bucket of several, which are in time order and at least one."""
    squares = [bucket.squares for bucket in buckets if bucket.squares is not None]
    total_squares = sum(squares)
    return Bucket(
        sum(bucket.readings for bucket in buckets),
        min(bucket.low for bucket in buckets),
        max(bucket.high for bucket in buckets),
        sum(bucket.total for bucket in buckets),
        total_squares if len(squares) == len(buckets) and total_squares < _STORABLE else None,
        buckets[0].first_us,
        buckets[0].first,
        buckets[-1].last_us,
        buckets[-1].last,
        sum(bucket.gap_us for bucket in buckets) + sum(_between(*pair) for pair in pairwise(buckets)),
        buckets[-1].silence_us,
    )


def _between(one: Bucket, other: Bucket) -> int:
    """The time between two buckets, where it is silence."""
    step = other.first_us - one.last_us
    return step if step > one.silence_us else 0


def by_day(hours: Mapping[int, Bucket]) -> dict[int, Bucket]:
    """Days since the epoch, from hours in time order."""
    days: dict[int, list[Bucket]] = {}
    for hour, bucket in hours.items():
        days.setdefault(hour // DAY_HOURS, []).append(bucket)
    return {day: joined(found) for day, found in days.items()}


Buckets = dict[str, dict[int, Bucket]]
"""By channel and hour, or day; in time order."""
_NO_SQUARES = -1


def pack_hours(summed: Buckets) -> bytes:
    """The hours of a cell in few bytes; the same for the same hours. No channel is without hours."""
    parts = [integer(len(summed)), pack_values(TEXT, sorted(summed))]
    for _, hours in sorted(summed.items()):
        packed = _pack_channel(hours)
        parts += [integer(len(packed)), packed]
    return zlib.compress(b"".join(parts))


def _pack_channel(found: Mapping[int, Bucket]) -> bytes:
    rows = [(hour, *bucket) for hour, bucket in sorted(found.items())]
    hours, readings, low, high, total, squares, first_us, first, last_us, last, gap_us, silence_us = zip(
        *rows, strict=True
    )
    columns = (
        hours,
        [t_us - hour * HOUR_US for hour, t_us in zip(hours, first_us, strict=True)],
        [end - begin for begin, end in zip(first_us, last_us, strict=True)],
        readings,
        low,
        high,
        total,
        [_NO_SQUARES if one is None else one for one in squares],
        first,
        last,
        gap_us,
        silence_us,
    )
    return integer(len(rows)) + b"".join([pack_integers(column, 0) for column in columns])


def unpack_hours(packed: bytes, channel: str | None = None) -> Buckets:
    """What `pack_hours` was given, or one channel of it."""
    data = zlib.decompress(packed)
    channels, at = read_integer(data, 0)
    names, at = unpack_values(TEXT, data, at, channels)
    found: Buckets = {}
    for name in names:
        length, at = read_integer(data, at)
        if channel in (None, name):
            found[str(name)] = _unpack_channel(data, at)
        at += length
    return found


def _unpack_channel(data: bytes, at: int) -> dict[int, Bucket]:
    count, at = read_integer(data, at)
    columns = []
    for _ in range(12):
        column, at = unpack_integers(data, at, count, 0)
        columns.append(column)
    return dict(_unpacked_hour(*row) for row in zip(*columns, strict=True))


def _unpacked_hour(
    hour: int, after_us: int, length_us: int, readings: int, low: int, high: int, total: int, squares: int, *rest: int
) -> tuple[int, Bucket]:
    first, last, gap_us, silence_us = rest
    first_us = hour * HOUR_US + after_us
    known = None if squares == _NO_SQUARES else squares
    last_us = first_us + length_us
    return hour, Bucket(readings, low, high, total, known, first_us, first, last_us, last, gap_us, silence_us)


def gap_share(before: Bucket | None, bucket: Bucket, after: Bucket | None, span: tuple[int, int], now_us: int) -> float:
    """The share without data, from 0 to 1, of the part of a span up to now. The span holds the bucket's readings.

    before, after: the channel's nearest readings around it; None: there are none. now_us: the newest time the ledger
    knows; a silence that is not too long by then is none yet.
    """
    from_us, to_us = span[0], min(span[1], max(now_us, bucket.last_us + 1))
    silent_us = bucket.gap_us
    if before is None or bucket.first_us - before.last_us > before.silence_us:
        silent_us += bucket.first_us - from_us
    next_us = now_us if after is None else after.first_us
    if next_us - bucket.last_us > bucket.silence_us:
        silent_us += to_us - bucket.last_us
    return min(1.0, silent_us / (to_us - from_us))
