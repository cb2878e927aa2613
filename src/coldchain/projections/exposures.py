"""Where devices were judged by which pack, and what their probes say there: read from the tables of telemetry."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import pairwise

from sqlalchemy import Connection, select

from coldchain.db.bulk import fetch
from coldchain.db.queries_events import chunks
from coldchain.db.queries_fittings import fittings_of
from coldchain.db.tables.telemetry import device, device_mounting
from coldchain.domain.commodities import OF_DEVICES, Judged, Turns
from coldchain.domain.exposure import Interval, Movement, Probe, Span, Watch, climb, joined
from coldchain.domain.fittings import AIR, Fitting, probe_kind
from coldchain.domain.quality import SPIKE, STUCK, without
from coldchain.domain.rulepacks import RulePack, carrying
from coldchain.domain.tracing import FOREVER_US
from coldchain.projections.kinds_of_goods import KindsOfGoods
from coldchain.projections.mounts import Posting
from coldchain.projections.rulebook import Rulebook
from coldchain.projections.series import items_between
from coldchain.projections.sites import Sites


class Exposures:
    """What is asked of telemetry to judge goods by; over one connection, for one batch or one answer."""

    def __init__(self, connection: Connection, before: Exposures | None = None) -> None:
        """before: one since which no rule, site or device was registered."""
        self._connection = connection
        self._rules: Rulebook = Rulebook() if before is None else before._rules
        self._sites: Sites = Sites() if before is None else before._sites
        if before is None:
            self._rules.load(connection)
            self._sites.load(connection)
        self._kinds = KindsOfGoods(connection, self._rules.profiles.values())

    @property
    def packs(self) -> Mapping[tuple[str, int], RulePack]:
        """Every version of every pack."""
        return self._rules.packs

    @property
    def longest_gap_us(self) -> int:
        """Of any stage of any pack: no reading tells of more time than that."""
        return max(stage.max_gap_us for pack in self.packs.values() for stage in pack.stages.values())

    def around(self, units: Iterable[str]) -> dict[str, list[Interval]]:
        """By unit: everything that was ever around it, at any height."""
        return climb(units, lambda several: movements(self._connection, several))

    def judged(self, units: Iterable[str]) -> dict[str, tuple[Judged, ...]]:
        """By unit: the profiles its goods fall under, while they are in it."""
        return self._kinds.judged(units)

    def at(self, places: Iterable[str], turns: Turns = OF_DEVICES) -> dict[str, list[Watch]]:
        """By place: every watch there, by time and device. turns: the profile that goods there fall under."""
        wanted = set(places)
        c = device_mounting.c
        numbers = {
            number
            for part in chunks(wanted)
            for number in self._connection.scalars(select(c.device_no).where(c.place.in_(part)))
        }
        found: dict[str, list[Watch]] = {}
        for watch in self.of(numbers, turns):
            if watch.place in wanted:
                found.setdefault(watch.place, []).append(watch)
        return found

    def of(self, device_nos: Iterable[int] | None = None, turns: Turns = OF_DEVICES) -> list[Watch]:
        """Every watch of these devices, or of all, by time and device, for goods that fall under these profiles."""
        c = device_mounting.c
        query = select(*c, device.c.device, device.c.grade).join(device, device.c.device_no == c.device_no)
        parts = [None] if device_nos is None else chunks(device_nos)
        by_device: dict[int, list[tuple[str, str, int, str, str]]] = {}
        for part in parts:
            rows = self._connection.execute(query if part is None else query.where(c.device_no.in_(part)))
            for row in rows:
                posting = row.device, row.grade, row.at_us, row.place, row.profile
                by_device.setdefault(row.device_no, []).append(posting)
        found = [watch for number, posted in by_device.items() for watch in self._watches(number, posted, turns)]
        return sorted(found, key=lambda watch: (watch.from_us, watch.device))

    def _watches(self, number: int, posted: list[tuple[str, str, int, str, str]], turns: Turns) -> Iterable[Watch]:
        posted.sort(key=lambda posting: posting[2])
        name, grade = posted[0][:2]
        starts = [-FOREVER_US, *(at_us for _, _, at_us, _, _ in posted[1:]), FOREVER_US]
        own = self._sites.mountings([Posting(*posting[2:]) for posting in posted])
        mountings = own if turns == OF_DEVICES else carrying(own, turns)
        schedule = self._rules.schedule(mountings)
        ruling = [-FOREVER_US, *(regime.from_us for regime in schedule[1:]), FOREVER_US]
        for (_, _, _, place, _), hung in zip(posted, pairwise(starts), strict=True):
            for regime, ruled in zip(schedule, pairwise(ruling), strict=True):
                from_us, to_us = max(hung[0], ruled[0]), min(hung[1], ruled[1])
                if place and regime.rule is not None and from_us < to_us:
                    profile = [one.profile for one in mountings if one.from_us <= max(from_us, mountings[0].from_us)][
                        -1
                    ]
                    judged = regime.pack, regime.version, regime.verified, regime.stage, regime.rule, profile
                    yield Watch(number, name, grade, place, from_us, to_us, *judged)

    def possible(self, device_nos: Iterable[int] | None = None) -> list[Watch]:
        """Every watch of these devices, or of all, by which anything there may be judged: those by their own profiles,
        and those by any profile that goods may fall under, as far as it gives them a budget or an MKT, or asks for a
        cold body."""
        numbers = None if device_nos is None else set(device_nos)
        found = self.of(numbers)
        budgeted = {name for (name, _), pack in self.packs.items() if pack.budgets or pack.mkt is not None}
        for profile in sorted({name for name, _ in self._rules.profiles}):
            for watch in self.of(numbers, ((-FOREVER_US, profile),)):
                if watch.pack in budgeted or watch.rule.precool_mc is not None:
                    found.append(watch)
        return sorted(set(found), key=lambda watch: (watch.from_us, watch.device, watch.profile, watch.pack))

    def possible_at(self, places: Collection[str]) -> list[Watch]:
        """`possible` of the devices that ever hung at one of the places, as far as they hung there."""
        c = device_mounting.c
        numbers = {
            number
            for part in chunks(places)
            for number in self._connection.scalars(select(c.device_no).where(c.place.in_(part)))
        }
        return [watch for watch in self.possible(numbers) if watch.place in places]

    def probes(self, watches: Iterable[Watch], span: Span) -> list[Probe]:
        """The probes of these watches, with all that is needed of their readings to know the span."""
        here = [one for one in watches if one.from_us < span[1] and span[0] < one.to_us]
        fitted = fittings_of(self._connection, {watch.device_no for watch in here}) if here else {}
        found: list[Probe] = []
        for watch in here:
            gap_us = watch.rule.max_gap_us
            within = max(span[0], watch.from_us), min(span[1], watch.to_us)
            around = within[0] - gap_us, within[1] + gap_us + 1
            doubted = self._doubted(watch.device_no, around)
            for name, items in items_between(self._connection, watch.device_no, *around).items():
                spiked, stuck = doubted.get((name, SPIKE), ()), joined(doubted.get((name, STUCK), ()))
                said = without(items, (t_us for t_us, _ in spiked))
                for kind, begin, end in _kinds(fitted.get(watch.device_no, ()), name, within):
                    found.append(Probe(kind, begin, end, gap_us, said, stuck))
        return found

    def _doubted(self, device_no: int, span: Span) -> dict[tuple[str, str], list[Span]]:
        """By probe and kind of doubt: when its readings are left out of the judgement."""
        query = (
            "SELECT channel, kind, from_us, to_us FROM quality WHERE device_no = ? AND kind IN (?, ?)"
            " AND from_us <= ? AND (to_us IS NULL OR to_us >= ?)"
        )
        found: dict[tuple[str, str], list[Span]] = {}
        for channel, kind, from_us, to_us in fetch(self._connection, query, device_no, SPIKE, STUCK, span[1], span[0]):
            found.setdefault((channel, kind), []).append((from_us, FOREVER_US if to_us is None else to_us))
        return found

    def is_air(self, watch: Watch, probe: str, t_us: int) -> bool:
        """Whether a probe of the device, without `temp/`, measured air at that time."""
        history = fittings_of(self._connection, [watch.device_no]).get(watch.device_no, ())
        return probe_kind(history, probe, t_us) == AIR

    def newest(self, watches: Iterable[Watch]) -> dict[int, int]:
        """By device: its newest usable reading."""
        numbers = {watch.device_no for watch in watches}
        query = "SELECT device_no, max(last_us) FROM channel WHERE device_no IN ({}) GROUP BY device_no"
        return {
            number: last_us
            for part in chunks(numbers)
            for number, last_us in fetch(self._connection, query.format(", ".join("?" * len(part))), *part)
            if last_us is not None
        }


def _kinds(history: Sequence[Fitting], probe: str, span: Span) -> Iterable[tuple[str, int, int]]:
    """(`air` or `product`, from, to): what a probe measured when."""
    turns = [span[0], *(one.from_us for one in history if span[0] < one.from_us < span[1]), span[1]]
    for begin, end in pairwise(turns):
        yield probe_kind(history, probe, begin), begin, end


def movements(connection: Connection, units: Iterable[str]) -> list[Movement]:
    """What these units were directly in, ever."""
    found: list[Movement] = []
    for part in chunks(units):
        query = f"SELECT child, parent, from_us, to_us FROM containment WHERE child IN ({', '.join('?' * len(part))})"  # noqa: S608
        for child, parent, from_us, to_us in fetch(connection, query, *part):
            found.append((child, parent, from_us, FOREVER_US if to_us is None else to_us))
    return found
