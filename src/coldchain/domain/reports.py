"""Figures of a trip, a stay or a consignment: what was measured, how its time was judged (docs/reports.md).

Temperatures in thousandths of a degree Celsius, times in microseconds. Statistics are of the readings; every length of
time is taken from the segments, so that a report never says more than the verdict it belongs to.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from math import sqrt
from typing import NamedTuple

from coldchain.domain.fittings import Mark
from coldchain.domain.temperature import BREACH, IN_RANGE, UNKNOWN

UNJUDGED = "unjudged"
STATES = (IN_RANGE, UNJUDGED, UNKNOWN, BREACH)
"""From the best to the worst; the worst is the verdict of what they are of."""


class Stretch(NamedTuple):
    """A segment of a probe as far as it lies in the period."""

    from_us: int
    to_us: int
    state: str
    reason: str = ""
    extreme_mc: int | None = None


class Above(NamedTuple):
    """Known time above a temperature, and its longest single stretch."""

    mc: int
    total_us: int
    longest_us: int


class Openings(NamedTuple):
    """Door openings or defrosts: how many, how long together."""

    windows: int
    total_us: int


class Figures(NamedTuple):
    """One probe in one stay."""

    device: str
    probe: str
    kind: str
    """`air` or `product`."""
    readings: int
    """Distinct times with a usable reading."""
    faults: int
    min_mc: int | None
    max_mc: int | None
    mean_mc: int | None
    sd_mc: int | None
    """Of the readings, population."""
    in_range_us: int
    breach_us: int
    unknown_us: int
    unjudged_us: int
    gaps: int
    longest_gap_us: int
    above: tuple[Above, ...]
    excursions: tuple[Stretch, ...]
    """Breaches, oldest first."""
    calibration: Mark

    @property
    def verdict(self) -> str:
        """The worst state in which any time was spent; unknown where there was no time."""
        spent = {
            IN_RANGE: self.in_range_us,
            UNJUDGED: self.unjudged_us,
            UNKNOWN: self.unknown_us,
            BREACH: self.breach_us,
        }
        return next((state for state in reversed(STATES) if spent[state]), UNKNOWN)


def figures(
    device: str,
    probe: str,
    kind: str,
    calibration: Mark,
    readings: Iterable[tuple[int, int | None]],
    stretches: Sequence[Stretch],
    period: tuple[int, int],
    levels: Iterable[int],
) -> Figures:
    """readings: (time, value or None for a fault) within the period, any order; of one time the warmest counts.
    stretches: the probe's segments cut to the period, which need not fill it: what they leave is unknown where a probe
    is judged at all, else unjudged. levels: temperatures to tell the time above of."""
    usable: dict[int, int] = {}
    faults = set()
    for t_us, mc in readings:
        if mc is None:
            faults.add(t_us)
        else:
            usable[t_us] = max(mc, usable.get(t_us, mc))
    items = sorted(usable.items())
    values = [mc for _, mc in items]
    lasted = {state: sum(one.to_us - one.from_us for one in stretches if one.state == state) for state in STATES}
    left_us = period[1] - period[0] - sum(lasted.values())
    rest = UNKNOWN if stretches else UNJUDGED
    lasted[rest] += left_us
    silences = _silences(stretches, period) if stretches else []
    known = sorted((one.from_us, one.to_us) for one in stretches if one.state in (IN_RANGE, BREACH))
    return Figures(
        device=device,
        probe=probe,
        kind=kind,
        readings=len(items),
        faults=len(faults - usable.keys()),
        min_mc=min(values, default=None),
        max_mc=max(values, default=None),
        mean_mc=round(sum(values) / len(values)) if values else None,
        sd_mc=_deviation(values) if values else None,
        in_range_us=lasted[IN_RANGE],
        breach_us=lasted[BREACH],
        unknown_us=lasted[UNKNOWN],
        unjudged_us=lasted[UNJUDGED],
        gaps=len(silences),
        longest_gap_us=max((to_us - from_us for from_us, to_us in silences), default=0),
        above=tuple(_above(mc, items, known) for mc in sorted(set(levels))),
        excursions=tuple(sorted(one for one in stretches if one.state == BREACH)),
        calibration=calibration,
    )


def overlap(windows: Iterable[tuple[int, int]], period: tuple[int, int]) -> Openings:
    """Of windows, those that reach into the period, as far as they lie in it; overlapping time counts once."""
    cut = sorted((max(a, period[0]), min(b, period[1])) for a, b in windows if a < period[1] and b > period[0])
    total_us, reached = 0, period[0]
    for from_us, to_us in cut:
        total_us += max(0, to_us - max(from_us, reached))
        reached = max(reached, to_us)
    return Openings(len(cut), total_us)


def _silences(stretches: Sequence[Stretch], period: tuple[int, int]) -> list[tuple[int, int]]:
    """Every stretch of the period that is neither in range nor breach."""
    found, at_us = [], period[0]
    for one in sorted(stretches):
        if one.state in (IN_RANGE, BREACH):
            if at_us < one.from_us:
                found.append((at_us, one.from_us))
            at_us = max(at_us, one.to_us)
    return [*found, (at_us, period[1])] if at_us < period[1] else found


def _deviation(values: Sequence[int]) -> int:
    """Exact up to the root: n Σx² - (Σx)² are integers."""
    n = len(values)
    return round(sqrt(n * sum(mc * mc for mc in values) - sum(values) ** 2) / n)


def _above(level_mc: int, items: Sequence[tuple[int, int]], known: Sequence[tuple[int, int]]) -> Above:
    """A reading holds until the next one, within known time only."""
    spans: list[list[int]] = []
    times = [t_us for t_us, _ in items]
    for begin_us, end_us in known:
        place = max(0, bisect_right(times, begin_us) - 1)
        while place + 1 < len(items) and times[place] < end_us:
            low, high = max(times[place], begin_us), min(times[place + 1], end_us)
            if items[place][1] > level_mc and low < high:
                if spans and spans[-1][1] == low:
                    spans[-1][1] = high
                else:
                    spans.append([low, high])
            place += 1
    lengths = [high - low for low, high in spans]
    return Above(level_mc, sum(lengths), max(lengths, default=0))


def worst(verdicts: Iterable[str]) -> str:
    """Of several verdicts; unknown where there are none: nobody measured."""
    return max(verdicts, key=STATES.index, default=UNKNOWN)
