"""Sensors that are doubted: found where a message looks doubtful, where readings came late, and where a window ended.

What a message in order may raise is known from what is remembered of its probes (`domain.watching`). Everything else is
looked at with the slow form, over the stored series, from before the times in doubt to behind them, where it matters.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from operator import itemgetter

from sqlalchemy import Connection

from coldchain.domain.quality import SPIKE, STUCK, Row, Sum, moved, rows, spikes, window_at, without
from coldchain.domain.rulepacks import Regime, regime_at
from coldchain.domain.temperature import Item
from coldchain.domain.watching import Family
from coldchain.projections.channels import FOREVER_US, Channel
from coldchain.projections.device_state import Device
from coldchain.projections.quality_rows import (
    Doubt,
    Ledger,
    Probes,
    Said,
    doubt,
    replace,
    stored,
    stuck_stretches,
    write_verdicts,
)
from coldchain.projections.quality_windows import Windows, begun_us, beside
from coldchain.projections.series import CELL_US, PROBES, Reader, cell_before, next_cell

_AROUND_US = 3_600_000_000
"""Read before the times in doubt at first; more where a row is longer."""
_AT_ONCE = 8
"""Cells looked at together: bounds memory where everything is to be looked at again."""
_BESIDE = 4
"""Items on either side of the times in doubt: two of which something else may be said now, and what that rests on."""


@dataclass(slots=True)
class _Times:
    """What is in doubt of a device."""

    device: Device
    from_us: int
    to_us: int
    spoilt: bool
    """Whether readings there are others than before, and not only more than before."""


class Doubts:
    """`load` first; then batch by batch `hear` and `touch`, and `apply` once."""

    def __init__(self) -> None:
        self._families: dict[int, Family] = {}
        self._times: dict[int, _Times] = {}
        self._crossed: dict[int, tuple[Device, int]] = {}
        """Devices that spoke of a window later than before, perhaps, and of when."""
        self._windows = Windows()
        self._again: dict[int, Device | None] = {}
        """Devices all of whose windows are compared again."""
        self.left_out: list[tuple[Device, int, int | None]] = []
        """Of the newest batch: devices, and from when to when readings are left out of the judgement, or are no more;
        to None: while the newest is one of them."""

    def load(self, connection: Connection, devices: Iterable[Device], probes: Probes) -> None:
        """Everything the tables hold, so that no batch reads them again."""
        for no, channels in probes.items():
            seen = [(one.state.seen_us, one.schedule) for one in channels.values() if one.state is not None]
            if seen:
                newest = max(seen, key=itemgetter(0))
                family = self._family(no)
                family.closed_us = begun_us(*newest)
                family.long_until_us = newest[0]  # which rows ended before is not known any more
        for no, name, from_us, to_us in stuck_stretches(connection):
            probes[no][PROBES + name].stuck.append((from_us, FOREVER_US if to_us is None else to_us))
        self._windows.refit(devices)

    def refit(self, connection: Connection, refitted: Iterable[Device], moved: Iterable[Device]) -> None:
        """Something else is known of these devices' sensors, or they hang elsewhere: recorders beside controllers, and
        beside what were controllers, are compared again."""
        before = dict(self._windows.controllers)
        refitted = list(refitted)
        self._windows.refit(refitted)
        if not before and not self._windows.controllers:
            return
        for known in {*refitted, *moved}:
            self._again[known.no] = known
            if known.no in before or known.no in self._windows.controllers:
                self._again |= {no: None for no in beside(connection, known.no) if no not in self._again}

    def hear(self, probe: Channel, before_us: int | None, last_mc: int | None, items: Sequence[Item]) -> None:
        """Items that follow the newest one of a probe in order; before_us, last_mc: its newest reading before them."""
        if probe.rule is None:
            if probe.watch is not None:
                probe.watch.until_us = probe.watch.rule_until_us = 0  # whoever judges it again looks first
                probe.watch.whole = False
            return
        gap_us = probe.rule.max_gap_us
        for t_us, mc in items:
            if mc is None or last_mc is None or before_us is None or t_us - before_us > gap_us:
                self._hear_parted(probe, items)
                return
            before_us = t_us
        assert last_mc is not None
        self.hear_readings(probe, last_mc, *zip(*items, strict=True))

    def _hear_parted(self, probe: Channel, items: Sequence[Item]) -> None:
        """Readings with a gap or a fault before them or among them."""
        readings = [(t_us, mc) for t_us, mc in items if mc is not None]
        if readings:
            self._family(probe.device.no).watch(probe.name).counts(*zip(*readings, strict=True))
        self.touch(probe.device, items[0][0], items[-1][0], spoilt=False)

    def hear_readings(self, probe: Channel, last_mc: int, times: Sequence[int], values: Sequence[int]) -> None:
        """The same of readings none of which is a gap away from the one before it."""
        watch = probe.watch
        if watch is None:
            watch = probe.watch = self._family(probe.device.no).watch(probe.name)
        if times[-1] >= watch.until_us:
            self._crossed[probe.device.no] = probe.device, times[-1]
        if times[0] < (watch.family.closed_us or 0):
            self.touch(probe.device, times[0], times[-1])
        elif not watch.goes_on(last_mc, times, values):
            self.touch(probe.device, times[0], times[-1], spoilt=False)

    def hear_controller(self, known: Device, from_us: int, to_us: int) -> None:
        """The device passed on what the refrigeration's controller stated between these times."""
        family = self._family(known.no)
        family.controlled = True
        if from_us < (family.closed_us or 0):
            self.touch(known, from_us, to_us)

    def touch(self, known: Device, from_us: int, to_us: int, *, spoilt: bool = True) -> None:
        """Look at what the device said between these times."""
        if spoilt:
            for watch in self._family(known.no).watches.values():
                watch.spoils(from_us, to_us)
        times = self._times.get(known.no)
        if times is None:
            self._times[known.no] = _Times(known, from_us, to_us, spoilt)
        else:
            times.from_us, times.to_us = min(from_us, times.from_us), max(to_us, times.to_us)
            times.spoilt = times.spoilt or spoilt

    def _family(self, no: int) -> Family:
        found = self._families.get(no)
        if found is None:
            found = self._families[no] = Family()
        return found

    def apply(self, connection: Connection, reader: Reader, probes: Probes, ledger_time_us: int) -> list[Channel]:
        """Tables and verdicts agree with the series. Returns probes of which times are to be folded again, touched."""
        at, touched = Ledger(connection, reader, probes), dict[Channel, None]()
        changed: dict[int, set[Doubt]] = {}
        self.left_out = []
        for no, times in self._times.items():
            if no in probes:
                look = _Look(at, times.device, self._family(no))
                for from_us, to_us in look.parts(times.from_us, times.to_us):
                    look.at(from_us, to_us)
                look.remember()
                touched |= look.touched
                changed[no] = look.changed
                times.from_us = min([times.from_us, *(one.from_us for one in look.changed if one.kind == SPIKE)])
                self.left_out += [(times.device, one.from_us, one.to_us) for one in look.changed]
        for no, known, span in self._to_compare(at):
            changed.setdefault(no, set()).update(self._windows.compare(at, known, self._family(no), span))
        for no, found in changed.items():
            if found:
                channels = probes[no].values()
                known, schedule = next((one.device, one.schedule) for one in channels)
                write_verdicts(Said(at, known, schedule, self._family(no).closed_us or 0), found, ledger_time_us)
        self._times, self._crossed, self._again = {}, {}, {}
        return list(touched)

    def _to_compare(self, at: Ledger) -> Iterator[tuple[int, Device, tuple[int, int, bool]]]:
        """Devices with windows that may have to be compared, from when to when; what hangs beside a controller after
        it."""
        crossed = {no: _Times(known, t_us, t_us, spoilt=False) for no, (known, t_us) in self._crossed.items()}
        for no, times in {**crossed, **self._times}.items():
            if no not in at.probes:
                continue
            span = times.from_us, times.to_us, times.spoilt
            closed_us = self._family(no).closed_us
            yield no, times.device, span
            if no in self._windows.controllers and (times.spoilt or closed_us != self._family(no).closed_us):
                for other in beside(at.connection, no) & at.probes.keys():
                    known = next(iter(at.probes[other].values())).device
                    yield other, known, (min(times.from_us, closed_us or times.from_us), times.to_us, True)
        for no in self._again.keys() & at.probes.keys():
            yield no, next(iter(at.probes[no].values())).device, (0, FOREVER_US, True)


class _Look:
    """Spikes and stuck sensors of one device, looked at again."""

    def __init__(self, at: Ledger, known: Device, family: Family) -> None:
        self._connection, self._reader = at.connection, at.reader
        self._known, self._family = known, family
        self._channels = at.probes[known.no]
        self._newest: dict[str, tuple[int, Row | None, Sum | None]] = {}
        """By probe: its newest item, the row that its newest reading is in, and the sum of the newest window, if all of
        it was read."""
        self.changed: set[Doubt] = set()
        self.touched: dict[Channel, None] = {}

    def parts(self, from_us: int, to_us: int) -> Iterator[tuple[int, int]]:
        """The times in parts that fit into memory."""
        cell = next_cell(self._connection, self._known.no, max(1, from_us // CELL_US))
        while cell is not None and (cell + _AT_ONCE) * CELL_US <= to_us:
            yield from_us, (cell + _AT_ONCE) * CELL_US - 1
            from_us = (cell + _AT_ONCE) * CELL_US
            cell = next_cell(self._connection, self._known.no, cell + _AT_ONCE)
        yield from_us, to_us

    def at(self, from_us: int, to_us: int) -> None:
        for channel in self._channels.values():
            self._at(channel, from_us, to_us)

    def _at(self, probe: Channel, from_us: int, to_us: int) -> None:
        items, begun, ended = self._around(probe, from_us, to_us)
        spiked = spikes(probe.schedule, items)
        usable = without(items, spiked)
        first_us, last_us = _reach(usable, from_us, to_us)
        said = stored(self._connection, self._known.no, probe.probe, SPIKE, first_us, last_us)
        told = [doubt(probe.probe, SPIKE, t_us, t_us) for t_us in spiked if first_us <= t_us <= last_us]
        self._leave_out(probe, items, self._take(probe, said, told) & {*told})
        found = list(rows(probe.schedule, usable))
        newest = found[-1] if found and ended else None
        stuck = [
            self._stuck(probe, row, row is newest) for row in found if row.from_us <= last_us and row.to_us >= first_us
        ]
        said = stored(self._connection, self._known.no, probe.probe, STUCK, first_us, last_us)
        self._take(probe, said, [one for one in stuck if one is not None])
        self._family.long_until_us = max(
            [self._family.long_until_us, *(row.to_us for row in found if row is not newest and _is_long(probe, row))]
        )
        if ended and items:
            self._newest[probe.name] = items[-1][0], newest, _sum(probe, usable, begun=begun)

    def _leave_out(self, probe: Channel, items: Iterable[Item], spiked: Iterable[Doubt]) -> None:
        """Spikes found now: they were counted when they came."""
        times = {one.from_us for one in spiked}
        for t_us, mc in items if times else ():
            if t_us in times and mc is not None:
                self._family.watch(probe.name).leaves_out(t_us, mc)

    def _take(self, probe: Channel, before: Sequence[Doubt], after: Sequence[Doubt]) -> set[Doubt]:
        """Rows of one kind are those after, and no more those before; the rows that went or came."""
        for one in (changed := replace(self._connection, self._known.no, before, after)):
            probe.touch(one.from_us, FOREVER_US if one.to_us is None else one.to_us)
            self.touched[probe] = None
        if any(one.kind == STUCK for one in changed):
            spans = {(one.from_us, FOREVER_US if one.to_us is None else one.to_us) for one in before}
            now = {(one.from_us, FOREVER_US if one.to_us is None else one.to_us) for one in after}
            probe.stuck = sorted((set(probe.stuck) - spans) | now)
        self.changed |= changed
        return changed

    def _stuck(self, probe: Channel, row: Row, lasts: bool) -> Doubt | None:
        if not _is_long(probe, row):
            return None
        quality = probe.schedule[regime_at(probe.schedule, row.from_us)].quality
        siblings = moved(quality, row, self._siblings(probe, row))
        if not siblings:
            return None
        if lasts:
            return doubt(probe.probe, STUCK, row.from_us, None, mc=row.mc)
        return doubt(probe.probe, STUCK, row.from_us, row.to_us, mc=row.mc, readings=row.readings, moved=siblings)

    def _siblings(self, probe: Channel, row: Row) -> dict[str, list[Item]]:
        """What the others said meanwhile, without spikes."""
        found: dict[str, list[Item]] = {}
        for other in self._channels.values():
            if other is not probe:
                items, *_ = self._around(other, row.from_us, row.to_us, whole=False)
                found[other.probe] = without(items, spikes(other.schedule, items))
        return found

    def _around(self, probe: Channel, from_us: int, to_us: int, *, whole: bool = True) -> tuple[list[Item], bool, bool]:
        """Items between these times and around them, as far as spikes and, for `whole`, rows there depend on them; and
        whether the oldest and the newest of all are among them."""
        known, name, schedule = self._known, probe.name, probe.schedule
        first = from_us // CELL_US
        items = self._reader.items(known, name, first, from_us - _AROUND_US)
        cell = next_cell(self._connection, known.no, first + 1)
        while cell is not None and (cell * CELL_US <= to_us or not _enough_after(schedule, items, to_us, whole)):
            items = items + self._reader.items(known, name, cell, -1)
            cell = next_cell(self._connection, known.no, cell + 1)
        earlier: int | None = first
        while earlier is not None and not _enough_before(schedule, items, from_us, whole):
            rest = bisect_left(items, (earlier + 1) * CELL_US, key=itemgetter(0))
            items = self._reader.items(known, name, earlier, -1) + items[rest:]
            earlier = cell_before(self._connection, known.no, earlier)
        return items, earlier is None, cell is None

    def remember(self) -> None:
        """What was looked at is known of the probes from here on."""
        family = self._family
        for name, (newest_us, row, whole) in self._newest.items():
            probe = self._channels[name]
            is_stuck = bool(probe.stuck) and probe.stuck[-1][1] == FOREVER_US
            probe.watch = family.watch(name)
            probe.watch.seen(probe.schedule, newest_us, row, is_stuck, whole)
            quality = probe.schedule[regime_at(probe.schedule, newest_us)].quality
            if row is not None and row.readings >= quality.stuck_samples and not is_stuck:
                family.moved_mc = quality.stuck_move_mc
                family.long[probe.watch] = self._ranges(probe, row)

    def _ranges(self, probe: Channel, row: Row) -> dict[str, list[int]]:
        found = {}
        for other, items in self._siblings(probe, row._replace(to_us=FOREVER_US)).items():
            said = [mc for t_us, mc in items if mc is not None and t_us >= row.from_us]
            if said:
                found[PROBES + other] = [min(said), max(said)]
        return found


def _is_long(probe: Channel, row: Row) -> bool:
    """Whether it may be that of a stuck sensor."""
    return row.readings >= probe.schedule[regime_at(probe.schedule, row.from_us)].quality.stuck_samples


def _sum(probe: Channel, usable: Sequence[Item], *, begun: bool) -> Sum | None:
    """Of the window that the newest item is in; None where items of it may lie before these."""
    from_us = window_at(probe.schedule, usable[-1][0]).from_us
    if not begun and usable[0][0] >= from_us:
        return None
    said = [mc for t_us, mc in usable if mc is not None and t_us >= from_us]
    return Sum(len(said), sum(said))


def _enough_before(schedule: Sequence[Regime], items: list[Item], from_us: int, whole: bool) -> bool:
    """Whether nothing before these items matters to what is said of those from a time on, and of two readings before
    it, of which something else may be said now."""
    place = bisect_left(items, from_us, key=itemgetter(0))
    return place >= _BESIDE and (not whole or _breaks(schedule, _certain(schedule, items, 1, place)[:-1]))


def _enough_after(schedule: Sequence[Regime], items: list[Item], to_us: int, whole: bool) -> bool:
    place = bisect_right(items, to_us, key=itemgetter(0))
    count = len(items)
    return count - place >= _BESIDE and (
        not whole or _breaks(schedule, _certain(schedule, items, place, count - 1)[1:])
    )


def _certain(schedule: Sequence[Regime], items: list[Item], start: int, stop: int) -> list[Item]:
    """Readings of a part of the items; whether the outermost items are spikes depends on neighbours not known."""
    return [item for item in without(items, spikes(schedule, items))[start:stop] if item[1] is not None]


def _breaks(schedule: Sequence[Regime], readings: Sequence[Item]) -> bool:
    """Whether some row ends among these."""
    gap_us = max([regime.rule.max_gap_us for regime in schedule if regime.rule is not None], default=0)
    return any(one[1] != other[1] or other[0] - one[0] > gap_us for one, other in pairwise(readings))


def _reach(usable: Sequence[Item], from_us: int, to_us: int) -> tuple[int, int]:
    """The times of which something else may be said because of items between these: to two readings on either side,
    for what ends a row is a reading, and whether that is a spike depends on the next."""
    times = [t_us for t_us, mc in usable if mc is not None]
    if not times:
        return from_us, to_us
    first = max(0, min(len(times) - 1, bisect_left(times, from_us) - 2))
    last = min(len(times), bisect_right(times, to_us) + 2) - 1
    return min(from_us, times[first]), max(to_us, times[last])
