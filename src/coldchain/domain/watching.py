"""The fast form of `domain.quality`: what is remembered of a probe so that most messages are known to raise no doubt.

Conservative: where a watch says that nothing is doubtful, the slow form finds nothing either; where it does not say so,
somebody looks with the slow form and sets the watch anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import groupby

from coldchain.domain.quality import NO_WINDOW, Row, Sum, Window, window_at
from coldchain.domain.rulepacks import Regime, regime_at

NEVER_US = 2**62


@dataclass(slots=True, eq=False)
class Watch:
    """One probe, as of its newest item. A new one knows nothing yet, and has somebody look at the first message."""

    name: str
    family: Family
    until_us: int = 0
    """From then on another rule is in force, or a reading begins another window."""
    rule_until_us: int = 0
    """From then on another rule is in force."""
    samples: int = 0
    spike_mc: int = 0
    row_mc: int | None = None
    """Value of the row of equal readings that the newest one is in; None where it is not known."""
    row_from_us: int = 0
    row_readings: int = 0
    doubted: bool = False
    """Whether the sensor is stuck in that row."""
    window: Window = NO_WINDOW
    readings: int = 0
    total_mc: int = 0
    whole: bool = False
    """Whether the sum is of every reading of the window so far."""
    closing: tuple[Window, Sum] | None = None
    """The whole sum of the window before, until it is compared."""

    def goes_on(self, last_mc: int, times: Sequence[int], values: Sequence[int]) -> bool:
        """Take readings that follow the newest one, `last_mc`, in order, without faults and gaps. True where nothing is
        doubtful about them; else they are taken all the same, but for the row, which is set by whoever looks."""
        self.counts(times, values)
        if times[-1] >= self.rule_until_us or times[0] <= self.family.long_until_us:
            return False
        low, high = min(values), max(values)
        beside_calm = not self.family.long or self.family.widen(self, low, high)
        spike_mc = self.spike_mc
        if high - low >= spike_mc or last_mc - low >= spike_mc or high - last_mc >= spike_mc:
            return False
        if low == high == self.row_mc:
            self.row_readings += len(values)
            return beside_calm and (self.row_readings < self.samples or self.doubted or self.family.is_calm(self))
        return self._turns(times, values) and beside_calm

    def _turns(self, times: Sequence[int], values: Sequence[int]) -> bool:
        """The row ends, or others begin."""
        lead, stop = 0, len(values)
        while lead < stop and values[lead] == self.row_mc:
            lead += 1
        if self.doubted or self.row_mc is None or self.row_readings + lead >= self.samples:
            return False
        if stop - lead >= self.samples and max(len(list(row)) for _, row in groupby(values[lead:])) >= self.samples:
            return False
        place = stop - 1
        while place > lead and values[place - 1] == values[-1]:
            place -= 1
        self.row_mc, self.row_from_us, self.row_readings = values[-1], times[place], stop - place
        return True

    def counts(self, times: Sequence[int], values: Sequence[int]) -> None:
        """Take readings that follow the newest one, in order, into the sums of their windows."""
        if times[-1] < self.until_us:
            self.readings += len(values)
            self.total_mc += sum(values)
            return
        if times[-1] >= self.rule_until_us:
            self.whole = False
            return
        place = next(place for place, t_us in enumerate(times) if t_us >= self.window.to_us)
        if self.whole:
            self.closing = self.window, Sum(self.readings + place, self.total_mc + sum(values[:place]))
        length_us = self.window.to_us - self.window.from_us
        from_us = times[place] // length_us * length_us
        self.window = Window(from_us, from_us + length_us)
        self.readings, self.total_mc = len(times) - place, sum(values[place:])
        self.whole = times[-1] < self.window.to_us
        self.until_us = min(self.window.to_us, self.rule_until_us)

    def leaves_out(self, t_us: int, mc: int) -> None:
        """A reading that was taken turns out to be a spike."""
        if self.closing is not None and self.closing[0].from_us <= t_us < self.closing[0].to_us:
            window, (readings, total_mc) = self.closing
            self.closing = window, Sum(readings - 1, total_mc - mc)
        if self.window.from_us <= t_us < self.window.to_us:
            self.readings -= 1
            self.total_mc -= mc

    def spoils(self, from_us: int, to_us: int) -> None:
        """Readings between these times are not as they were taken."""
        if self.window.from_us <= to_us and from_us < self.window.to_us:
            self.whole = False
        if self.closing is not None and self.closing[0].from_us <= to_us and from_us < self.closing[0].to_us:
            self.closing = None

    def sum_of(self, window: Window) -> Sum | None:
        """Of every reading of a window; None where that is not known here."""
        if self.closing is not None and self.closing[0] == window:
            return self.closing[1]
        return Sum(self.readings, self.total_mc) if self.whole and self.window == window else None

    def seen(
        self, schedule: Sequence[Regime], newest_us: int, row: Row | None, doubted: bool, whole: Sum | None = None
    ) -> None:
        """Somebody looked: this is the row that the newest item is in, None where it is in none. whole: of every
        reading of the window of the newest item, without spikes; None where not all of it was looked at."""
        regime = schedule[regime_at(schedule, newest_us)]
        window = window_at(schedule, newest_us)
        if window != self.window:
            if self.whole and self.window.to_us <= window.from_us:
                self.closing = self.window, Sum(self.readings, self.total_mc)
            self.window, self.whole, self.readings, self.total_mc = window, False, 0, 0
        if whole is not None:
            self.whole, (self.readings, self.total_mc) = True, whole
        changes = [one.from_us for one in schedule if one.from_us > newest_us]
        self.rule_until_us = next(iter(changes), NEVER_US) if regime.rule is not None else 0
        self.until_us = min(window.to_us, self.rule_until_us)
        self.samples, self.spike_mc = regime.quality.stuck_samples, regime.quality.spike_mc
        self.doubted = doubted
        if row is None:
            self.row_mc, self.row_readings = None, 0
        else:
            self.row_mc, self.row_from_us, self.row_readings = row.mc, row.from_us, row.readings
        self.family.long.pop(self, None)


@dataclass(slots=True, eq=False)
class Family:
    """The probes of one device."""

    watches: dict[str, Watch] = field(default_factory=dict)
    long: dict[Watch, dict[str, list[int]]] = field(default_factory=dict)
    """Probes that are in a long row though no sibling moved: by sibling, its least and most since the row began."""
    long_until_us: int = -1
    """When the last row ended that was long enough to be stuck: a probe that speaks of earlier times may have moved
    meanwhile."""
    moved_mc: int = 0
    controlled: bool = False
    """Whether the device passed on what the refrigeration's controller states."""
    closed_us: int | None = None
    """Windows that end up to then have been compared; None: none was."""

    def watch(self, name: str) -> Watch:
        found = self.watches.get(name)
        if found is None:
            found = self.watches[name] = Watch(name, self)
        return found

    def widen(self, watch: Watch, low_mc: int, high_mc: int) -> bool:
        """A probe measured between these: what others in long rows compare themselves with. False where it has moved
        by now, as far as one of them is concerned."""
        calm = True
        for other, ranges in self.long.items():
            if other is watch:
                continue
            known = ranges.get(watch.name)
            if known is None:
                known = ranges[watch.name] = [low_mc, high_mc]
                calm = calm and high_mc - low_mc < self.moved_mc
            elif low_mc < known[0] or high_mc > known[1]:
                before_mc = known[1] - known[0]
                known[0], known[1] = min(low_mc, known[0]), max(high_mc, known[1])
                calm = calm and not before_mc < self.moved_mc <= known[1] - known[0]
        return calm

    def is_calm(self, watch: Watch) -> bool:
        """Whether no sibling moved since the row of the probe began."""
        ranges = self.long.get(watch)
        if ranges is None:
            return False
        return all(high - low < self.moved_mc for low, high in ranges.values())
