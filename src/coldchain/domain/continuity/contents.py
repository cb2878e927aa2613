"""P2: the case set of a pallet differs from its last observation, and no event says why (domain §3).

Everything here is a pure function of the set of events: order of arrival, duplicates and restarts change nothing. A
false accusation is worse than a late one, so one read never confirms anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from coldchain.domain.containment import Move, takes_all
from coldchain.domain.continuity.counts import count_of, kept_by_count
from coldchain.domain.continuity.model import Opportunity, Rules, is_pallet, places_of, point_of
from coldchain.domain.events import Event, in_force


@dataclass(frozen=True, slots=True)
class History:
    """What the events say about one unit's contents."""

    unit: str
    times: tuple[int, ...]
    """Every moment it was observed, ascending."""
    whole: tuple[int, ...]
    """Those at which its contents were declared, read in full, or counted as they should be."""
    opportunities: tuple[Opportunity, ...]
    moves: tuple[Move, ...]
    doubted: frozenset[str]
    """Tags that deviated at some read; sightings of them under other parents matter to this history."""
    counted: bool = False
    """Whether `whole` rests on counts alone: none of its cases has a number of its own."""


def observe(unit: str, events: Iterable[Event], rules: Rules) -> History:
    """The history of `unit` from the events naming it and those naming a doubted tag; any others change nothing."""
    standing, disputed = in_force(events)
    mine = [event for event in standing if event.parent == unit or unit in event.units]
    fold = _Contents(unit, rules, _Sightings(unit, standing))
    for event in mine:
        fold.step(event, event.key in disputed)
    counts = () if fold.tagged else kept_by_count(unit, mine, disputed)
    return History(
        unit=unit,
        times=tuple(sorted({event.time_us for event in mine})),
        whole=counts or tuple(fold.whole),
        opportunities=fold.opportunities(),
        moves=fold.moves(),
        doubted=frozenset(fold.doubted),
        counted=bool(counts),
    )


class _Sightings:
    """Where tags were seen or put other than in the unit in question."""

    def __init__(self, unit: str, events: Sequence[Event]) -> None:
        self._elsewhere: dict[str, list[tuple[int, str]]] = {}
        for event in events:
            if event.parent not in ("", unit) and event.action in ("OBSERVE", "ADD"):
                for tag in event.units:
                    self._elsewhere.setdefault(tag, []).append((event.time_us, point_of(event)))

    def between(self, tag: str, from_us: int, to_us: int | None) -> list[tuple[int, str]]:
        """(time, read point) of its sightings elsewhere; to_us None: for ever after."""
        seen = self._elsewhere.get(tag, ())
        return [(t, point) for t, point in seen if from_us <= t and (to_us is None or t <= to_us)]


@dataclass(slots=True)
class _Doubt:
    """A tag that is there and should not be (extra), or should be and is not."""

    extra: bool
    from_us: int
    to_us: int
    holder: str
    points: set[str] = field(default_factory=set)
    why: list[str] = field(default_factory=list)

    def note(self, event: Event, point: str) -> None:
        self.points.add(point)
        if event.key not in self.why:
            self.why.append(event.key)


class _Contents:
    """The expected case set of one unit while its events are folded in time order."""

    def __init__(self, unit: str, rules: Rules, sightings: _Sightings) -> None:
        self._unit, self._rules, self._sightings = unit, rules, sightings
        self._expected: set[str] = set()
        self._forming: dict[str, set[str]] | None = {}
        """Read points by tag while the set was never declared and not yet read twice; None once it is known."""
        self._untouched = True
        self._once: set[str] = set()
        """Seen once while the set formed: may join it or stay away without anyone being accused."""
        self._doubts: dict[str, _Doubt] = {}
        self._confirmed: list[tuple[str, _Doubt]] = []
        self._gone: dict[str, _Doubt] = {}
        """Confirmed missing and not accounted for since."""
        self._places: list[tuple[int, str]] = []
        self._last_by = ""
        self._counted: dict[int, dict[str, str]] = {}
        """By number: who counted so many with what deviates, and in which event, since the set last changed."""
        self.whole: list[int] = []
        self.tagged = False
        """Whether any case was ever named in it."""
        self.doubted: set[str] = set()

    def step(self, event: Event, disputed: bool) -> None:
        """Fold one event; steps come in event-time order."""
        self._places += [(event.time_us, name) for name in places_of(event, self._unit)]
        if event.kind in ("AggregationEvent", "AssociationEvent") and event.parent == self._unit:
            self.tagged = self.tagged or bool(event.units)
            if disputed or event.action != "OBSERVE":
                self._counted.clear()
            if disputed:
                self._forget()
            elif event.action == "ADD":
                self._put_in(event)
            elif event.action == "DELETE":
                everything = {*self._expected, *self._once, *self._doubts, *self._gone}
                self._take_out(everything if takes_all(event) else set(event.units))
            elif event.units:
                self._read(event)
        elif event.kind == "ObjectEvent" and event.action == "OBSERVE":
            self._scan(event)
        if event.action == "OBSERVE" and not disputed:
            self._count(event)
        self._last_by = event.by

    def _count(self, event: Event) -> None:
        """Two parties who count as many as there are with what deviates confirm it (domain §3)."""
        number = count_of(event, self._unit)
        extra = sum(doubt.extra for doubt in self._doubts.values())
        shown = len(self._expected) + 2 * extra - len(self._doubts)
        if number != shown or shown == len(self._expected):
            return
        self._counted.setdefault(number, {})[event.by] = event.key
        if len(self._counted[number]) > 1:
            for tag, doubt in sorted(self._doubts.items()):
                if not (doubt.extra and self._seen_elsewhere(tag, doubt, event.time_us)):
                    doubt.why += sorted(self._counted[number].values())
                    del self._doubts[tag]
                    self._confirm(tag, doubt)
            self._counted.clear()

    def _forget(self) -> None:
        """Two versions of one event: what the unit holds is unknown until it is read twice again."""
        self._expected, self._forming, self._untouched = set(), {}, False
        self._doubts.clear()
        self._gone.clear()

    def _put_in(self, event: Event) -> None:
        if self._untouched and event.units:
            self._forming, self._untouched = None, False
            self.whole.append(event.time_us)
        self._expected.update(event.units)
        for tag in event.units:
            self._settle(tag)

    def _take_out(self, tags: set[str]) -> None:
        self._expected -= tags
        for tag in tags:
            self._settle(tag)

    def _settle(self, tag: str) -> None:
        """An event declares where the tag is: what was doubted of it before is answered."""
        self._once.discard(tag)
        self._doubts.pop(tag, None)
        self._gone.pop(tag, None)

    def _read(self, event: Event) -> None:
        """A full read: what is not in it was not there, or was missed."""
        tags, point = set(event.units), point_of(event)
        if self._forming is not None:
            self._form(tags, point, event.time_us)
            return
        joined = tags & self._once
        self._expected |= joined
        self._once -= joined
        deviating = tags ^ self._expected
        for tag in set(self._doubts) - deviating:
            del self._doubts[tag]
        for tag in sorted(deviating):
            self._doubt(event, tag, tag in tags, point)
        self._repeat(tags, point, event)
        self.whole.append(event.time_us)

    def _form(self, tags: set[str], point: str, time_us: int) -> None:
        assert self._forming is not None
        self._untouched = False
        for tag in tags:
            self._forming.setdefault(tag, set()).add(point)
        if len(set().union(*self._forming.values())) < 2:
            return
        twice = {tag for tag, points in self._forming.items() if len(points) > 1}
        self._once = set(self._forming) - twice - self._expected
        self._expected |= twice
        self._forming = None
        self.whole.append(time_us)

    def _scan(self, event: Event) -> None:
        """Somebody scanned cases together with the unit: says what is there, nothing about what is not.

        A list of several pallets and their cases does not say which is on which.
        """
        if sum(is_pallet(name) for name in event.units) > 1:
            return
        for tag in event.units:
            if not tag.startswith("case:") or self._forming is not None or tag in self._once:
                continue
            if tag in self._expected:
                self._doubts.pop(tag, None)
            else:
                self._doubt(event, tag, True, f"scan {event.key}")

    def _doubt(self, event: Event, tag: str, extra: bool, point: str) -> None:
        doubt = self._doubts.get(tag)
        if doubt is None:
            doubt = self._doubts[tag] = _Doubt(extra, self.whole[-1], event.time_us, self._last_by)
            self.doubted.add(tag)
        doubt.note(event, point)
        if len(doubt.points) > 1 and not (extra and self._seen_elsewhere(tag, doubt, event.time_us)):
            del self._doubts[tag]
            self._confirm(tag, doubt)

    def _seen_elsewhere(self, tag: str, doubt: _Doubt, now_us: int) -> bool:
        """A cross-read of the neighbouring lane: its own pallet showed the tag as often meanwhile."""
        slack = self._rules.cross_read_us
        return len(self._sightings.between(tag, doubt.to_us - slack, now_us + slack)) >= len(doubt.why)

    def _confirm(self, tag: str, doubt: _Doubt) -> None:
        """From here the new set is the expected one, so that one change is found once."""
        if not doubt.extra:
            self._expected.discard(tag)
            self._confirmed.append((tag, doubt))
            self._gone[tag] = doubt
            return
        self._expected.add(tag)
        gone = self._gone.pop(tag, None)
        if gone and not self._sightings.between(tag, gone.to_us - self._rules.cross_read_us, doubt.to_us):
            self._confirmed.remove((tag, gone))  # here again and never seen elsewhere: it was missed, it had not left
        else:
            self._confirmed.append((tag, doubt))

    def _repeat(self, tags: set[str], point: str, event: Event) -> None:
        """Later reads that still lack a confirmed missing tag add to its weight."""
        for tag, doubt in self._gone.items():
            if tag not in tags and event.key not in doubt.why:
                doubt.note(event, point)

    def moves(self) -> tuple[Move, ...]:
        return tuple(sorted(Move(tag, d.to_us, self._unit, d.extra, tuple(d.why[:2])) for tag, d in self._confirmed))

    def opportunities(self) -> tuple[Opportunity, ...]:
        """One for each last whole moment, confirmed and suspected tags together."""
        groups: dict[int, list[tuple[str, _Doubt, bool]]] = {}
        for tag, doubt in self._confirmed:
            groups.setdefault(doubt.from_us, []).append((tag, doubt, True))
        for tag, doubt in self._doubts.items():
            groups.setdefault(doubt.from_us, []).append((tag, doubt, False))
        return tuple(self._opportunity(from_us, group) for from_us, group in sorted(groups.items()))

    def _opportunity(self, from_us: int, group: list[tuple[str, _Doubt, bool]]) -> Opportunity:
        extra = tuple(sorted(tag for tag, d, sure in group if sure and d.extra))
        missing = tuple(sorted(tag for tag, d, sure in group if sure and not d.extra))
        suspected = tuple(sorted(tag for tag, _, sure in group if not sure))
        to_us = max(doubt.to_us for _, doubt, _ in group)
        askable = bool(extra) or len(missing) > 1 or any(self._well_missed(t, d) for t, d, sure in group if sure)
        return Opportunity(
            code="P2",
            subject=self._unit,
            channel="",
            from_us=from_us,
            to_us=to_us,
            confirmed=bool(extra or missing),
            askable=askable,
            lacks="" if askable else _lacks(group, self._rules),
            extra=extra,
            missing=missing,
            suspected=suspected,
            places=tuple(sorted({name for t, name in self._places if from_us <= t <= to_us})),
            holder=next((doubt.holder for _, doubt, _ in group), ""),
            why=tuple(sorted({key for _, doubt, _ in group for key in doubt.why})),
        )

    def _well_missed(self, tag: str, doubt: _Doubt) -> bool:
        """A lone missing tag: enough read points without it, or two that saw it elsewhere."""
        found = {point for _, point in self._sightings.between(tag, doubt.to_us - self._rules.cross_read_us, None)}
        return len(doubt.points) >= self._rules.lone_missing_points or len(found) > 1


def _lacks(group: list[tuple[str, _Doubt, bool]], rules: Rules) -> str:
    if any(sure for _, _, sure in group):
        return f"one missing tag alone is asked about after {rules.lone_missing_points} read points without it"
    wanted = []
    if any(doubt.extra for _, doubt, _ in group):
        wanted.append("a second read point or a scan that shows the extra tag, and not under its own pallet")
    if any(not doubt.extra for _, doubt, _ in group):
        wanted.append("the next full read at another read point without the missing tag")
    return "; ".join(wanted)
