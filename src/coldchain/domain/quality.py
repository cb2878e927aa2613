"""When readings of a sensor are doubted: spikes, stuck sensors, drift, echoes (docs/temperature.md 1.4, 4).

Pure functions over what probes of one device measured; each says what it compared. Everything is a function of the
items and the rules in force, so whatever order they came in, it is the same.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from operator import itemgetter
from statistics import median
from typing import NamedTuple

from coldchain.domain.rulepacks import SECOND_US, Quality, Regime, regime_at
from coldchain.domain.temperature import Item

SPIKE = "spike"
STUCK = "stuck"
DRIFT = "drift"
ECHO = "echo"
DAY_US = 86_400 * SECOND_US
LEAST_READINGS = 20
"""So many readings in a window have a mean that says something of a sensor."""
LEAST_SIBLINGS = 2
"""One sibling that differs could be the one that drifts."""
LEAST_VALUES = 3
"""Two sensors in a cold store may well agree on one value or two."""
_MINUTE_US = 60 * SECOND_US
_time = itemgetter(0)


class Row(NamedTuple):
    """Equal readings in a row, as long as they go on; none of them a gap apart."""

    from_us: int
    to_us: int
    mc: int
    readings: int


def is_spike(quality: Quality, gap_us: int, before: Item, item: Item, after: Item) -> bool:
    """1.4: whether the middle one of three items that follow each other leaves and returns faster than goods can."""
    if before[1] is None or item[1] is None or after[1] is None:
        return False
    up_mc, down_mc = item[1] - before[1], item[1] - after[1]
    if up_mc < 0:
        up_mc, down_mc = -up_mc, -down_mc
    up_us, down_us = item[0] - before[0], after[0] - item[0]
    if min(up_mc, down_mc) < quality.spike_mc or max(up_us, down_us) > gap_us:
        return False
    return (
        up_mc * _MINUTE_US > quality.spike_mc_per_min * up_us
        and down_mc * _MINUTE_US > quality.spike_mc_per_min * down_us
    )


def spikes(schedule: Sequence[Regime], items: Sequence[Item]) -> list[int]:
    """Times of the spikes among items in time order, which know their neighbours; none where nothing is judged."""
    found = []
    least_mc = min((regime.quality.spike_mc for regime in schedule), default=0)
    for before, item, after in zip(items, items[1:], items[2:], strict=False):
        if before[1] is None or item[1] is None or -least_mc < item[1] - before[1] < least_mc:
            continue  # nearly all: half of a late flood went into asking further
        regime = schedule[regime_at(schedule, item[0])]
        if regime.rule is not None and is_spike(regime.quality, regime.rule.max_gap_us, before, item, after):
            found.append(item[0])
    return found


def without(items: list[Item], spiked: Iterable[int]) -> list[Item]:
    """The items with each spike as the fault it is taken for."""
    times = frozenset(spiked)
    return [(t_us, None) if t_us in times else (t_us, mc) for t_us, mc in items] if times else items


def rows(schedule: Sequence[Regime], items: Iterable[Item]) -> Iterator[Row]:
    """Items in time order, without spikes, as rows of equal readings. Other readings, gaps and new rules end one; a
    fault does not, for it is no other reading. Nothing unjudged is in one."""
    row: Row | None = None
    place = -1
    for t_us, mc in items:
        if mc is None:
            continue
        now = regime_at(schedule, t_us)
        rule = schedule[now].rule
        if row is not None and mc == row.mc and now == place and rule and t_us - row.to_us <= rule.max_gap_us:
            row = Row(row.from_us, t_us, row.mc, row.readings + 1)
            continue
        if row is not None:
            yield row
        row = Row(t_us, t_us, mc, 1) if rule is not None else None
        place = now
    if row is not None:
        yield row


def moved(quality: Quality, row: Row, siblings: Mapping[str, Sequence[Item]]) -> list[str]:
    """4.2: the siblings that moved while the row lasted, by name; none where it is too short to be told of. siblings:
    their items in time order, without spikes."""
    if row.readings < quality.stuck_samples:
        return []
    return [name for name, items in sorted(siblings.items()) if _range_mc(row, items) >= quality.stuck_move_mc]


def _range_mc(row: Row, items: Sequence[Item]) -> int:
    first, stop = bisect_left(items, row.from_us, key=_time), bisect_right(items, row.to_us, key=_time)
    known = [mc for _, mc in items[first:stop] if mc is not None]
    return max(known) - min(known) if known else 0


class Window(NamedTuple):
    """A stretch of device time over which means are compared: a multiple of its length long after the epoch."""

    from_us: int
    to_us: int


def window_at(schedule: Sequence[Regime], t_us: int) -> Window:
    """The window of a time, as long as the rule in force then says."""
    length_us = schedule[regime_at(schedule, t_us)].quality.drift_window_s * SECOND_US
    from_us = t_us // length_us * length_us
    return Window(from_us, from_us + length_us)


NO_WINDOW = Window(0, 0)


class Sum(NamedTuple):
    """Readings of one probe in one window."""

    readings: int
    total_mc: int


def drifted(quality: Quality, sums: Mapping[str, Sum]) -> dict[str, tuple[int, int]]:
    """4.4: of the probes of one device in one window those that drifted, each with its mean and the median of its
    siblings' means, to whole milli-°C. Compared exactly, in fractions of neither."""
    means = {name: one.total_mc / one.readings for name, one in sums.items() if one.readings >= LEAST_READINGS}
    found = {}
    for name, mean in means.items():
        others = sorted(other for sibling, other in means.items() if sibling != name)
        if len(others) >= LEAST_SIBLINGS and abs(mean - median(others)) >= quality.drift_mc:
            found[name] = (round(mean), round(median(others)))
    return found


def echoes(quality: Quality, items: Sequence[Item], stated: Mapping[int, int]) -> list[Window]:
    """4.6: stretches, from a first to a last reading, in which the probe says what the controller stated at each same
    time. stated: by time, milli-°C. Times of which the controller said nothing end a stretch, as faults do."""
    found: list[Window] = []
    same: list[Item] = []
    for item in [*items, (0, None)]:
        if item[1] is not None and stated.get(item[0]) == item[1]:
            same.append(item)
            continue
        if len(same) >= quality.echo_samples and len({mc for _, mc in same}) >= LEAST_VALUES:
            found.append(Window(same[0][0], same[-1][0]))
        same = []
    return found


def joined(windows: Iterable[Window]) -> list[Window]:
    """Windows that follow each other as one."""
    found: list[Window] = []
    for window in sorted(windows):
        if found and window.from_us <= found[-1].to_us:
            found[-1] = Window(found[-1].from_us, max(found[-1].to_us, window.to_us))
        else:
            found.append(window)
    return found
