"""Budgets of goods, from where they were and when it was warm there (docs/temperature.md 6.2).

A place is looked at when what it was told may exceed the least that anything in it has left, and no sooner: the rows
are exact after every batch all the same. What is on a pallet from first to last is told for by the pallet.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from sqlalchemy import Connection

from coldchain.db.bulk import fetch
from coldchain.db.queries_events import chunks
from coldchain.domain.commodities import OF_DEVICES, Judged, Turns
from coldchain.domain.exposure import (
    HOUR_US,
    LOADS,
    Interval,
    Span,
    Spent,
    Stay,
    Watch,
    above,
    common,
    innermost,
    joined,
    length,
    pieces,
    spend,
    watched,
    within,
)
from coldchain.domain.rulepacks import SECOND_US, Budget, RulePack
from coldchain.domain.tracing import FOREVER_US
from coldchain.projections.exposures import Exposures, movements

GTIN = "code:gtin/"
GOODS = ("lot:", GTIN)
KEPT_HOURS = 20_000
"""Hours of places whose warm time is kept in memory."""


class Outcome(NamedTuple):
    """One budget of one unit."""

    unit: str
    pack: RulePack
    spent: Spent
    warm: Sequence[Span]
    """The time that counts."""
    stays: Sequence[Stay]
    watches: Sequence[Watch]
    """The devices of those places."""


class _Mark(NamedTuple):
    """A place that was looked at."""

    until_us: int
    """Up to where its readings were complete."""
    limit_us: int
    """Nothing in it can exceed anything before it was warm for so much longer."""


class Due(NamedTuple):
    """What is to be reckoned anew."""

    units: set[str]
    places: set[str]
    """Those of which everything that is there now is among the units."""
    restated: set[str]
    """Units of whose goods something else may be known than before, whether they are judged for themselves or not."""


@dataclass(slots=True)
class _Place:
    """The known time above at a place."""

    hours: dict[tuple[Turns, str, int, int], list[Span]] = field(default_factory=dict)
    """By profiles of the goods, pack, threshold and hour."""
    joined: dict[tuple[Turns, str, int], list[Span]] = field(default_factory=dict)
    """By profiles, pack and threshold, of all hours."""


class Spending:
    """What is remembered from batch to batch; all of it can be read again."""

    def __init__(self) -> None:
        self._marks: dict[str, _Mark] = {}
        self._warm_places: set[str] | None = None
        self._places: dict[str, _Place] = {}
        self._watches: dict[str, dict[Turns, Sequence[Watch]]] = {}
        """By place, and profiles that goods there fall under."""
        self._around: dict[str, Sequence[Interval]] = {}
        self._judged: dict[str, Sequence[Judged]] = {}
        self._members: dict[str, tuple[int, set[str]]] = {}
        """By place: whatever was in it from a time on and is judged for itself."""

    def due(self, connection: Connection, exposures: Exposures, told: Mapping[str, Span], moved: Iterable[str]) -> Due:
        """told: places whose temperatures may be others then; moved: units and places of whose containment that is
        true."""
        moved = set(moved)
        if moved:
            self._around.clear()
            self._judged.clear()
            self._members.clear()
        self._find_warm(connection, told)
        gap_us = exposures.longest_gap_us
        found = Due(set(), set(), set())
        warmer = [place for place, span in told.items() if self._forget(place, *span, gap_us)]
        self._watch(exposures, [place for place in warmer if not self._is_within(place, *told[place])])
        for place in warmer:
            from_us, to_us = told[place]
            if self._is_within(place, from_us, to_us):
                continue
            mark = self._marks.get(place)
            if mark is None or to_us >= mark.until_us:
                found.places.add(place)
                found.units.update(self._inside(connection, place, from_us - gap_us))
            else:
                del self._marks[place]  # what is there now may have less left
                found.units.update(members(connection, place, from_us - gap_us, to_us + gap_us))
        units = {name for name in moved if name.startswith(LOADS)}
        for place in moved - units:
            self._marks.pop(place, None)
        units |= _holding(connection, {name for name in moved if name.startswith(GOODS)})
        inside = _descendants(connection, units)
        units |= _ancestors(connection, units)
        found.restated.update(units)
        found.units.update(_own(connection, units | inside))
        return found

    def is_warm(self, place: str) -> bool:
        """Whether anything there was ever warmer than some budget allows."""
        return place in (self._warm_places or ())

    def watches(self, exposures: Exposures, place: str, turns: Turns) -> Sequence[Watch]:
        self._watch(exposures, [place], turns)
        return self._watches[place][turns]

    def around(self, units: Iterable[str]) -> dict[str, Sequence[Interval]]:
        """What was ever around these units, as `reckon` found it."""
        return {unit: self._around[unit] for unit in units}

    def reckon(self, connection: Connection, exposures: Exposures, due: Due) -> list[Outcome]:
        """Every budget of the units that spent any of it; and what is remembered of the places is brought to that."""
        wanted = sorted(due.units)
        unknown = [unit for unit in wanted if unit not in self._around]
        self._around.update(exposures.around(unknown) if unknown else {})
        warm = self._warm_places or set()
        concerned = [unit for unit in wanted if any(one.place in warm for one in self._around[unit])]
        self._judged.update(exposures.judged(unit for unit in concerned if unit not in self._judged))
        wanted_at: dict[Turns, set[str]] = {}
        for unit in concerned:
            places = {one.place for one in self._around[unit]}
            for judged in self._judged[unit]:
                wanted_at.setdefault(judged.turns, set()).update(places)
        for turns, places in wanted_at.items():
            self._watch(exposures, places, turns)
        found = [one for unit in concerned for one in self._outcomes(connection, exposures, unit)]
        for place in {stay.place for one in found for stay in one.stays} - due.places:
            self._marks.pop(place, None)
        self._mark(exposures, due.places, found)
        return found

    def _watch(self, exposures: Exposures, places: Iterable[str], turns: Turns = OF_DEVICES) -> None:
        if unseen := {place for place in places if turns not in self._watches.get(place, ())}:
            found = exposures.at(unseen, turns)
            for place in unseen:
                self._watches.setdefault(place, {})[turns] = found.get(place, ())

    def _find_warm(self, connection: Connection, told: Iterable[str]) -> None:
        if self._warm_places is None:
            rows = fetch(connection, "SELECT DISTINCT place FROM warm_hour")
            self._warm_places = {place for (place,) in rows}
        for place in told:
            if fetch(connection, "SELECT hour FROM warm_hour WHERE place = ? LIMIT 1", place):
                self._warm_places.add(place)
            else:
                self._warm_places.discard(place)

    def _is_within(self, place: str, from_us: int, to_us: int) -> bool:
        """Whether nobody there can have come to the end of a budget by what is newly told."""
        mark = self._marks.get(place)
        return mark is not None and from_us > mark.until_us and to_us - mark.until_us < mark.limit_us

    def _forget(self, place: str, from_us: int, to_us: int, gap_us: int) -> bool:
        """What is known no more; whether anything may have come of it."""
        if to_us >= FOREVER_US or sum(len(one.hours) for one in self._places.values()) > KEPT_HOURS:
            self._places.clear()
            self._watches.clear()
            self._judged.clear()
            self._marks.clear()
        elif place in self._places:
            stale = range((from_us - gap_us) // HOUR_US, (to_us + gap_us) // HOUR_US + 1)
            hours = self._places[place].hours
            self._places[place] = _Place({key: spans for key, spans in hours.items() if key[-1] not in stale})
        return to_us >= FOREVER_US or place in (self._warm_places or ())

    def _here(self, place: str) -> list[Watch]:
        """The devices there, by whichever profiles they are known to judge."""
        return [watch for several in self._watches.get(place, {}).values() for watch in several]

    # Who is concerned

    def _inside(self, connection: Connection, place: str, since_us: int) -> set[str]:
        """What was there from a time on."""
        known = self._members.get(place)
        if known is None or known[0] > since_us:
            known = self._members[place] = since_us, members(connection, place, since_us, FOREVER_US)
        return known[1]

    # What they spent

    def _outcomes(self, connection: Connection, exposures: Exposures, unit: str) -> Iterator[Outcome]:
        for judged in self._judged[unit]:
            around = within(self._around[unit], judged.spans)
            watches = {one.place: self._watches[one.place][judged.turns] for one in around}
            for name in sorted({watch.pack for several in watches.values() for watch in several}):
                stays = innermost(around, watched(watches, name))
                pack = first_pack(exposures, watches, name, stays)
                for budget in pack.budgets if pack else ():
                    assert pack is not None
                    warm = self.warm(connection, exposures, stays, judged.turns, name, budget)
                    here = [one for place in {s.place for s in stays} for one in watches[place] if one.pack == name]
                    yield Outcome(unit, pack, spend(budget, warm, ()), warm, stays, here)

    def warm(
        self,
        connection: Connection,
        exposures: Exposures,
        stays: Iterable[Stay],
        turns: Turns,
        pack: str,
        budget: Budget,
    ) -> list[Span]:
        """The time above, joined, at places whose watches were asked for."""
        return joined(
            span
            for stay in stays
            for span in common([stay[1:]], self._above(connection, exposures, stay.place, turns, pack, budget.above_mc))
        )

    def _above(
        self, connection: Connection, exposures: Exposures, place: str, turns: Turns, pack: str, above_mc: int
    ) -> list[Span]:
        """All the known time above at a place, looked for where any device there was warm at all."""
        known = self._places.setdefault(place, _Place())
        found = known.joined.get((turns, pack, above_mc))
        if found is None:
            rows = fetch(connection, "SELECT DISTINCT hour FROM warm_hour WHERE place = ?", place)
            hours = sorted(hour for (hour,) in rows)
            watches = [watch for watch in self._watches[place][turns] if watch.pack == pack]
            fresh = [hour for hour in hours if (turns, pack, above_mc, hour) not in known.hours]
            for first, last in joined((hour, hour + 1) for hour in fresh):
                span = first * HOUR_US, last * HOUR_US
                spans = above(pieces(exposures.probes(watches, span), span), above_mc)
                for hour in range(first, last):
                    here = common(spans, [(hour * HOUR_US, (hour + 1) * HOUR_US)])
                    known.hours[turns, pack, above_mc, hour] = here
            found = joined(span for hour in hours for span in known.hours[turns, pack, above_mc, hour])
            known.joined[turns, pack, above_mc] = found
        return found

    # When to look again

    def _mark(self, exposures: Exposures, places: Iterable[str], found: Sequence[Outcome]) -> None:
        """What is in these places has at least so much left."""
        newest = exposures.newest(watch for place in places for watch in self._here(place))
        for place in places:
            until_us = _complete(self._here(place), newest)
            here = (one for one in found if any(s.place == place and s.to_us > until_us for s in one.stays))
            self._marks[place] = _Mark(until_us, min((_left(one, until_us) for one in here), default=FOREVER_US))


def _left(one: Outcome, until_us: int) -> int:
    """How much longer it may be warm before the budget is exceeded; nothing where that rests on readings that others
    of the place may still correct."""
    if one.spent.exceeded_us is not None:
        return 0 if one.spent.exceeded_us > until_us else FOREVER_US
    max_us = one.spent.budget.max_s * SECOND_US
    if not one.spent.budget.single:
        return max_us - length(one.warm)
    lasts = one.warm and one.warm[-1][1] >= until_us
    return max_us - (one.warm[-1][1] - one.warm[-1][0] if lasts else 0)


def _complete(watches: Iterable[Watch], newest: Mapping[int, int]) -> int:
    """Up to when every device that hangs there still and is not silent has spoken."""
    told = [(newest.get(one.device_no, -FOREVER_US), one.rule.max_gap_us) for one in watches if one.to_us >= FOREVER_US]
    now_us = max((t_us for t_us, _ in told), default=-FOREVER_US)
    return min((t_us for t_us, gap_us in told if now_us - t_us <= gap_us), default=-FOREVER_US)


def first_pack(
    exposures: Exposures, watches: Mapping[str, Sequence[Watch]], name: str, stays: Sequence[Stay]
) -> RulePack | None:
    """The version in force when the goods first came under the pack."""
    for stay in stays[:1]:
        there = (one for one in watches[stay.place] if one.pack == name and one.from_us <= stay.from_us < one.to_us)
        return exposures.packs[name, max(one.version for one in there)]
    return None


def members(connection: Connection, place: str, from_us: int, to_us: int) -> set[str]:
    """What was in a place at some time from one to another, and all it ever held, as far as it is judged for itself."""
    query = "SELECT child FROM containment WHERE parent = ? AND from_us < ? AND (to_us IS NULL OR to_us > ?)"
    direct = {child for (child,) in fetch(connection, query, place, to_us, from_us)}
    return _own(connection, direct | _descendants(connection, direct))


def _descendants(connection: Connection, units: Iterable[str]) -> set[str]:
    found: set[str] = set()
    layer = set(units)
    while layer:
        fresh = {
            child
            for part in chunks(layer)
            for (child,) in fetch(
                connection,
                f"SELECT DISTINCT child FROM containment WHERE parent IN ({', '.join('?' * len(part))})",  # noqa: S608
                *part,
            )
        }
        layer = fresh - found
        found |= fresh
    return found


def _ancestors(connection: Connection, units: Iterable[str]) -> set[str]:
    """The loads they were ever in: what these hold, other rules may judge."""
    found: set[str] = set()
    layer = set(units)
    while layer:
        around = movements(connection, layer)
        layer = {holder for _, holder, _, _ in around if holder.startswith(LOADS)} - found
        found |= layer
    return found


def _holding(connection: Connection, goods: Iterable[str]) -> set[str]:
    """The cases of these lots, and the loads in which these goods were ever counted."""
    exact = "SELECT parent FROM quantity_span WHERE item = ? UNION SELECT child FROM containment WHERE parent = ?"
    like = (
        "SELECT parent FROM quantity_span WHERE item LIKE ? OR item = ?"
        " UNION SELECT child FROM containment WHERE parent LIKE ? OR child LIKE ?"
    )
    found: set[str] = set()
    for name in goods:
        lots, cases = (f"{kind}:{name.removeprefix(GTIN)}/%" for kind in ("lot", "case"))
        rows = (
            fetch(connection, like, lots, name, lots, cases)
            if name.startswith(GTIN)
            else fetch(connection, exact, name, name)
        )
        found.update(holder for (holder,) in rows if holder.startswith(LOADS))
    return found


def _own(connection: Connection, units: Iterable[str]) -> set[str]:
    """Those that were ever anywhere but in one load."""
    holders: dict[str, set[str]] = {unit: set() for unit in units}
    for part in chunks(holders):
        query = f"SELECT DISTINCT child, parent FROM containment WHERE child IN ({', '.join('?' * len(part))})"  # noqa: S608
        for child, parent in fetch(connection, query, *part):
            if not parent.startswith("lot:"):
                holders[child].add(parent)
    return {unit for unit, several in holders.items() if len(several) != 1 or not next(iter(several)).startswith(LOADS)}
