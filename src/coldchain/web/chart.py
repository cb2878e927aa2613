"""Readings as a chart and as the table under it, from the same numbers.

A chart never joins what was not measured: a line ends where a probe was silent for longer than its rule allows.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Annotated, Any, NamedTuple

from fastapi import Query

from coldchain.domain.rulepacks import Regime
from coldchain.projections.rollups import Stretch
from coldchain.projections.series import Reading

SECOND_US = 1_000_000
HOUR_US = 3_600 * SECOND_US
DAY_US = 24 * HOUR_US
WINDOW_US = 7 * DAY_US
"""The longest time on one chart: bounds what a page reads, however long the history."""
MAX_POINTS = 700
MAX_ROWS = 60
Until = Annotated[int | None, Query(ge=1, le=2**53)]
"""End of the time a chart shows, microseconds; the newest where it is left out."""
_ROW_WIDTHS = (HOUR_US, 3 * HOUR_US, 6 * HOUR_US, 12 * HOUR_US, DAY_US, 7 * DAY_US, 30 * DAY_US)
_EVIDENCE = ("", "conflict")
"""Qualities of readings that are judged; of several values at one time the warmest is."""


class Point(NamedTuple):
    """One reading, or all readings of one hour or day."""

    t_us: int
    low_mc: int | None
    """None where nothing of it is evidence."""
    high_mc: int | None
    readings: int = 1


class Row(NamedTuple):
    """What one line said during one stretch of time."""

    from_us: int
    line: str
    low_mc: int | None
    high_mc: int | None
    usable: int
    unusable: int
    """Faults, and readings that are no evidence."""


@dataclass(slots=True)
class _Cell:
    low: int | None = None
    high: int | None = None
    usable: int = 0
    unusable: int = 0

    def take(self, point: Point) -> None:
        if point.low_mc is None or point.high_mc is None:
            self.unusable += 1
            return
        self.usable += point.readings
        self.low = point.low_mc if self.low is None else min(self.low, point.low_mc)
        self.high = point.high_mc if self.high is None else max(self.high, point.high_mc)


@dataclass(slots=True)
class Chart:
    """Lines of readings over [from_us, to_us)."""

    from_us: int
    to_us: int
    limit_mc: int | None = None
    low_mc: int | None = None
    breaches: list[tuple[int, int]] = field(default_factory=list)
    unknown: list[tuple[int, int]] = field(default_factory=list)
    """Times to shade behind the lines."""
    silence_us: int = HOUR_US // 2
    """Between readings further apart nothing is drawn."""
    bucket_us: int = 0
    """Width of the hours or days whose extremes are drawn; 0 for single readings."""
    _points: dict[str, list[Point]] = field(default_factory=dict)
    _lifted: dict[str, set[int]] = field(default_factory=dict)

    def apply(self, regimes: Sequence[Regime]) -> None:
        """Draw the limits the rules agree on, and lift lines at the longest silence one of them allows."""
        rules = [regime.rule for regime in regimes if regime.rule is not None]
        limits, lows = {rule.limit_mc for rule in rules}, {rule.low_mc for rule in rules}
        self.limit_mc = limits.pop() if len(limits) == 1 else None
        self.low_mc = lows.pop() if len(lows) == 1 else None
        if rules:
            self.silence_us = max(rule.max_gap_s for rule in rules) * SECOND_US

    def shade(self, state: str, from_us: int, to_us: int | None) -> None:
        """Mark a breach or unknown time, as far as it is on the chart."""
        span = max(from_us, self.from_us), self.to_us if to_us is None else min(to_us, self.to_us)
        spans = {"breach": self.breaches, "unknown": self.unknown}.get(state)
        if spans is not None and span[0] < span[1] and span not in spans:
            spans.append(span)

    def add(self, line: str, points: Iterable[Point]) -> None:
        self._points.setdefault(line, []).extend(points)

    def add_stretches(self, line: str, found: Iterable[Stretch]) -> None:
        """Hours or days of one channel, as wide as `bucket_us`."""
        for stretch in found:
            bucket = stretch.bucket
            self.add(line, [Point(stretch.from_us, bucket.low, bucket.high, bucket.readings)])
            if stretch.silent_before:
                self._lifted.setdefault(line, set()).add(stretch.from_us - self.bucket_us // 2)

    def __bool__(self) -> bool:
        return any(self._points.values())

    def rows(self) -> list[Row]:
        """The table: at most some sixty stretches of time, each line in each of them."""
        span = self.to_us - self.from_us
        width = next((width for width in _ROW_WIDTHS if span <= width * MAX_ROWS), _ROW_WIDTHS[-1])
        found = [
            Row(bucket * width, line, cell.low, cell.high, cell.usable, cell.unusable)
            for line, points in self._points.items()
            for bucket, cell in _cells(points, width).items()
        ]
        return sorted(found, key=lambda row: (row.from_us, row.line))

    def lines(self) -> str:
        """JSON for the chart: one line for each name, its warmest reading in each step of time; of hours and days the
        coldest too."""
        cells = {line: _cells(points, self._step_us()) for line, points in self._points.items()}
        lows = {line: _low(found) for line, found in cells.items()} if self.bucket_us else {}
        return self._json({line: _high(found) for line, found in cells.items()}, lows)

    def envelope(self, warmest: str, coldest: str) -> str:
        """JSON for the chart: the warmest and the coldest of all lines in each step of time."""
        everything = [point for points in self._points.values() for point in points]
        cells = _cells(everything, self._step_us())
        return self._json({warmest: _high(cells), coldest: _low(cells)}, {})

    def _step_us(self) -> int:
        """Whole minutes, so that lines of one device share their steps. Between two hours or days there is one to
        lift the line in."""
        if self.bucket_us:
            return self.bucket_us // 2
        minute = 60 * SECOND_US
        return max(minute, -(-(self.to_us - self.from_us) // MAX_POINTS // minute) * minute)

    def _json(self, lines: Mapping[str, Mapping[int, int]], lows: Mapping[str, Mapping[int, int]]) -> str:
        step = self._step_us()
        longest = max(2, -(-(self.bucket_us or self.silence_us) // step))
        gaps = {
            name: _gaps(sorted(values), longest) | {t_us // step for t_us in self._lifted.get(name, ())}
            for name, values in lines.items()
        }
        buckets = sorted({bucket for values in lines.values() for bucket in values} | set().union(*gaps.values()))
        document = {
            "times": [bucket * step // SECOND_US for bucket in buckets],
            "lines": [
                {"name": name, "values": [_value(values, gaps[name], bucket) for bucket in buckets]}
                | ({"low": [_value(lows[name], gaps[name], bucket) for bucket in buckets]} if name in lows else {})
                for name, values in lines.items()
            ],
            "limits": [mc / 1000 for mc in (self.limit_mc, self.low_mc) if mc is not None],
            "breaches": _seconds(self.breaches),
            "unknown": _seconds(self.unknown),
        }
        # "<" could end the script element that carries it.
        return json.dumps(document, separators=(",", ":"), ensure_ascii=False).replace("<", "\\u003c")


def point_of(reading: Reading) -> Point:
    value = reading.value if reading.quality in _EVIDENCE and isinstance(reading.value, int) else None
    return Point(reading.t_us, value, value)


def _cells(points: Iterable[Point], width_us: int) -> dict[int, _Cell]:
    found: dict[int, _Cell] = {}
    for point in points:
        found.setdefault(point.t_us // width_us, _Cell()).take(point)
    return found


def _high(cells: Mapping[int, _Cell]) -> dict[int, int]:
    return {bucket: cell.high for bucket, cell in cells.items() if cell.high is not None}


def _low(cells: Mapping[int, _Cell]) -> dict[int, int]:
    return {bucket: cell.low for bucket, cell in cells.items() if cell.low is not None}


def _seconds(spans: Iterable[tuple[int, int]]) -> list[list[int]]:
    return [[from_us // SECOND_US, to_us // SECOND_US] for from_us, to_us in spans]


def _gaps(buckets: Sequence[int], longest: int) -> set[int]:
    """A step within every silence, where the line is lifted."""
    return {one + 1 for one, other in pairwise(buckets) if other - one > longest}


def _value(values: Mapping[int, int], gaps: set[int], bucket: int) -> Any:
    """°C; null lifts the line, false passes over a step that only another line has."""
    if bucket in values:
        return values[bucket] / 1000
    return None if bucket in gaps else False
