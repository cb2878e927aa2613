"""Where and when any device was warmer than a budget or MKT of its pack allows at all: what goods have to be judged by.

Of nearly every message nothing is to be said but that it is not: one comparison. A part of `TelemetryViews`, because it
needs what messages of all sorts of devices say, and to know when a device was moved or is judged by another rule.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from sqlalchemy import Connection

from coldchain.db.bulk import fetch, put_rows, remove_rows
from coldchain.db.exposure_touches import TOLD, kinetic_windows, touch, widen
from coldchain.db.tables.exposure import warm_hour
from coldchain.domain.exposure import HOUR_US, PRECOOLED_US, Watch
from coldchain.domain.rulepacks import RulePack
from coldchain.domain.tracing import FOREVER_US
from coldchain.projections.device_state import Device, Heard
from coldchain.projections.exposures import Exposures
from coldchain.projections.series import Span, warm_in, warm_times
from coldchain.services.recorded import Recorded

NEVER_MC = 2**40
MANY_HOURS = 1_000
"""A message that reaches over more touches whatever there is."""


@dataclass(slots=True)
class _Place:
    """A place in memory."""

    hours: dict[int, set[str]] = field(default_factory=dict)
    """By hour: the devices that were warm in it."""
    loaded_us: int = -FOREVER_US
    """Up to when readings may bear on the last loading of a vehicle."""
    quiet_after_us: int = -FOREVER_US
    """Messages that begin from here on meet neither."""
    window: tuple[int, int] = (FOREVER_US, -FOREVER_US)
    """When cold time counts as well, for goods that were warm here or elsewhere."""

    def meets(self, from_us: int, to_us: int) -> bool:
        """Whether anything there was warm, within an hour, or counts for a mean."""
        if from_us <= self.window[1] and self.window[0] <= to_us:
            return True
        first, last = from_us // HOUR_US, to_us // HOUR_US
        return last - first > MANY_HOURS or any(map(self.hours.__contains__, range(first, last + 1)))

    def settle(self) -> None:
        warm_us = max(self.hours, default=-FOREVER_US) * HOUR_US + HOUR_US
        self.quiet_after_us = max(warm_us, self.loaded_us + 1, self.window[1] + 1)


class _Now(NamedTuple):
    """Where a device's newest messages belong."""

    from_us: int
    to_us: int
    above_mc: int
    place: _Place


_NOWHERE = _Now(-FOREVER_US, FOREVER_US, NEVER_MC, _Place())


class Warmth:
    """`load` it, then `apply` batch by batch, after everything else of telemetry is written."""

    def __init__(self) -> None:
        self._applied = False
        self._watches: dict[int, list[Watch]] = {}
        self._now: dict[int, _Now] = {}
        self._places: dict[str, _Place] = {}
        self._least: dict[str, int] = {}
        """By pack: the least threshold of any budget or mean kinetic temperature of any of its versions."""
        self._touched: dict[str, tuple[int, int]] = {}
        self._fresh: set[tuple[str, int, str]] = set()

    def apply(
        self,
        connection: Connection,
        rest: Sequence[Recorded],
        heard: Iterable[Heard],
        turned: Iterable[tuple[Device, Iterable[Span]]],
        moved: Iterable[Device],
    ) -> None:
        """rest: of the batch, what is no signed telemetry. turned: earlier messages that are evidence no more, or now,
        or are gone. moved: devices that hang elsewhere, are judged otherwise, or of whose sensors something else is
        known."""
        ruled = any(item.entry.kind == "rules" for item in rest)
        if ruled or moved:
            self._rewatch(connection, None if ruled else {known.no for known in moved}, first=not self._applied)
        self._applied = True
        for name, window in kinetic_windows(connection).items():
            if self._place(name).window != window:
                self._place(name).window = window
                self._place(name).settle()
        for item in rest:
            for event in item.events:
                if event.action == "ADD" and event.parent.startswith("veh:"):
                    self._load_goods(event.parent, event.time_us)
        for message in heard:
            (first_us, last_us, _, _, max_mc, _), now = message.block, self._now.get(message.device.no, _NOWHERE)
            if (
                first_us is None
                or last_us is None
                or (
                    now.from_us <= first_us
                    and last_us < now.to_us
                    and first_us >= now.place.quiet_after_us
                    and (max_mc is None or max_mc <= now.above_mc)
                )
            ):
                continue
            self._take(message, first_us, last_us)
        for known, spans in turned:
            for span in spans:
                if span.first_us is not None and span.last_us is not None:
                    self._touch(known.no, span.first_us, span.last_us)
        self._write(connection)

    def load(self, connection: Connection) -> None:
        """Before anything of the first batch is written: what changes with it is told by what was before."""
        for place, hour, device in fetch(connection, "SELECT place, hour, device FROM warm_hour"):
            self._place(place).hours.setdefault(hour, set()).add(device)
        query = (
            "SELECT parent, max(from_us) FROM containment WHERE parent >= 'veh:' AND parent < 'veh;' GROUP BY parent"
        )
        for place, loaded_us in fetch(connection, query):
            self._place(place).loaded_us = loaded_us + PRECOOLED_US
        for one in self._places.values():
            one.settle()
        self._rule(connection)

    def _rule(self, connection: Connection) -> None:
        exposures = Exposures(connection)
        self._least = _least(exposures.packs.values())
        for watch in exposures.possible():
            self._watches.setdefault(watch.device_no, []).append(watch)
        self._now = {number: self._where(several, several[-1].from_us) for number, several in self._watches.items()}

    def _place(self, name: str) -> _Place:
        return self._places.setdefault(name, _Place())

    def _where(self, watches: Iterable[Watch], t_us: int) -> _Now:
        """By whichever watches hold then: a device hangs at one place, goods there may fall under any profile."""
        here = [watch for watch in watches if watch.from_us <= t_us < watch.to_us]
        if not here:
            return _NOWHERE
        from_us, to_us = max(one.from_us for one in here), min(one.to_us for one in here)
        others = [t for one in watches for t in (one.from_us, one.to_us)]
        from_us = max([from_us, *(t for t in others if t <= t_us)])
        to_us = min([to_us, *(t for t in others if t > t_us)])
        above_mc = min(self._least.get(one.pack, NEVER_MC) for one in here)
        return _Now(from_us, to_us, above_mc, self._place(here[0].place))

    def _load_goods(self, vehicle: str, time_us: int) -> None:
        place = self._place(vehicle)
        place.loaded_us = max(place.loaded_us, time_us + PRECOOLED_US)
        place.settle()

    def _take(self, message: Heard, first_us: int, last_us: int) -> None:
        max_mc, no = message.block.max_mc, message.device.no
        watches = self._watches.get(no, ())
        for watch in watches:
            above_mc = self._least.get(watch.pack, NEVER_MC)
            if watch.from_us <= last_us and first_us < watch.to_us and max_mc is not None and max_mc > above_mc:
                self._warm(watch, (t_us for run in message.runs for t_us in warm_in(run, above_mc)))
        self._now[no] = self._where(watches, last_us)
        self._touch(no, first_us, last_us)

    def _warm(self, watch: Watch, times: Iterable[int], since: int = -FOREVER_US) -> None:
        """since: hours before it are known."""
        place = self._place(watch.place)
        gap_us = watch.rule.max_gap_us
        for t_us in times:
            if watch.from_us <= t_us < watch.to_us:
                for hour in range(max(t_us // HOUR_US, since), (t_us + gap_us) // HOUR_US + 1):
                    if watch.device not in place.hours.setdefault(hour, set()):
                        place.hours[hour].add(watch.device)
                        self._fresh.add((watch.place, hour, watch.device))
        place.settle()

    def _touch(self, device_no: int, first_us: int, last_us: int) -> None:
        for watch in self._watches.get(device_no, ()):
            from_us, to_us = max(first_us, watch.from_us), min(last_us, watch.to_us)
            place = self._place(watch.place)
            if from_us <= to_us and from_us < place.quiet_after_us:
                loading = watch.rule.precool_mc is not None and from_us <= place.loaded_us
                if loading or place.meets(from_us, to_us):
                    widen(self._touched, watch.place, from_us, to_us)

    def _rewatch(self, connection: Connection, device_nos: set[int] | None, first: bool) -> None:
        """Where devices were otherwise, or by another rule, than was known: their warm hours from then on anew. first:
        of a process, which knows the sites as the batch has left them already."""
        exposures = Exposures(connection)
        self._least, before = _least(exposures.packs.values()), self._least
        found: dict[int, list[Watch]] = {}
        for watch in exposures.possible(device_nos):
            found.setdefault(watch.device_no, []).append(watch)
        for number in sorted(found.keys() | (self._watches.keys() if device_nos is None else device_nos)):
            old, new = self._watches.get(number, []), found.get(number, [])
            lower = [watch.from_us for watch in new if before.get(watch.pack) != self._least.get(watch.pack)]
            since_us = -FOREVER_US if first else min([*lower, *_differing(old, new)], default=None)
            self._watches[number] = new
            self._now[number] = self._where(new, new[-1].from_us) if new else _NOWHERE
            for place in {watch.place for watch in (*old, *new)}:
                widen(self._touched, place, -FOREVER_US if since_us is None else since_us, FOREVER_US)
            if since_us is not None:
                self._rescan(connection, old, new, since_us)

    def _rescan(self, connection: Connection, old: Sequence[Watch], new: Sequence[Watch], since_us: int) -> None:
        since = since_us // HOUR_US
        gone = []
        for watch in old:
            for hour in [hour for hour in self._place(watch.place).hours if hour >= since]:
                devices = self._place(watch.place).hours[hour]
                if watch.device in devices:
                    devices.discard(watch.device)
                    gone.append((watch.place, hour, watch.device))
                if not devices:
                    del self._place(watch.place).hours[hour]
            self._place(watch.place).settle()
        self._fresh -= set(gone)
        remove_rows(connection, warm_hour, gone)
        for watch in new:
            above_mc, from_us = (
                self._least.get(watch.pack, NEVER_MC),
                max(watch.from_us, since * HOUR_US - watch.rule.max_gap_us),
            )
            if above_mc != NEVER_MC and from_us < watch.to_us:
                times = warm_times(connection, watch.device_no, from_us, watch.to_us, above_mc)
                self._warm(watch, times, since)

    def _write(self, connection: Connection) -> None:
        put_rows(connection, warm_hour, sorted(self._fresh))
        touch(connection, TOLD, self._touched)
        self._fresh, self._touched = set(), {}


def _least(packs: Iterable[RulePack]) -> dict[str, int]:
    found: dict[str, int] = {}
    for pack in packs:
        mean = [pack.mkt.max_mc] if pack.mkt is not None else []
        for above_mc in (*mean, *(budget.above_mc for budget in pack.budgets)):
            found[pack.name] = min(found.get(pack.name, above_mc), above_mc)
    return found


def _differing(old: Sequence[Watch], new: Sequence[Watch]) -> list[int]:
    """The first moment from which a device was elsewhere, or judged otherwise; nothing where there is none."""
    turns = sorted({t_us for watch in (*old, *new) for t_us in (watch.from_us, watch.to_us)})
    return next(([t_us] for t_us in turns if _active(old, t_us) != _active(new, t_us)), [])


def _active(watches: Sequence[Watch], t_us: int) -> list[Watch]:
    found = (watch._replace(from_us=0, to_us=0) for watch in watches if watch.from_us <= t_us < watch.to_us)
    return sorted(found, key=lambda watch: (watch.profile, watch.pack))
