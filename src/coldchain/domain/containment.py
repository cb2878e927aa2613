"""What was inside what, when: a relation over time folded from events (design §8).

ADD puts children into a parent, DELETE takes them out; a transformation and an ObjectEvent DELETE end its inputs. An
OBSERVE read is evidence, not a move: a misread tag moves nothing. A read that continuity confirms as a change comes in
as a `Move`. A unit is in one parent at a time, and beside it in the lot it was commissioned with.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from coldchain.domain.boards import BOARD, LOADS
from coldchain.domain.events import Event, in_force


class Interval(NamedTuple):
    """`child` was in `parent` during [from_us, to_us); to_us None: as far as is known it still is."""

    child: str
    parent: str
    from_us: int
    to_us: int | None
    why: tuple[str, ...]
    """Keys of the events that began it and, where it ended, ended it."""

    def holds(self, t_us: int) -> bool:
        return self.from_us <= t_us and (self.to_us is None or t_us < self.to_us)


class Move(NamedTuple):
    """A change nobody declared but readings confirm: `unit` left `source`, or came into it as `parent`."""

    unit: str
    time_us: int
    source: str
    """The unit whose readings show it."""
    entered: bool
    why: tuple[str, ...]


class Conflict(NamedTuple):
    """Two statements about where a unit was that cannot both be right."""

    rule: str
    """`two-parents`: `stated` has it in `parent` while it was put into `other`, or puts it into both at one instant ·
    `never-put-in`: it was taken out of `parent`, which nobody had put it into, its earlier stays being on record."""
    unit: str
    parent: str
    other: str
    from_us: int
    """Since when the other statement has it elsewhere."""
    to_us: int
    """When this one was made."""
    why: tuple[str, ...]


def fold(events: Iterable[Event], moves: Iterable[Move] = ()) -> tuple[Interval, ...]:
    """The intervals, sorted; the same for any order and repetition of the events and moves."""
    return relation(events, moves)[0]


def relation(events: Iterable[Event], moves: Iterable[Move] = ()) -> tuple[tuple[Interval, ...], tuple[Conflict, ...]]:
    """Intervals and contradictions, each sorted; the same for any order and repetition of the events and moves."""
    standing, disputed = in_force(events)
    steps: list[tuple[int, int, int, Event | Move]] = [
        (event.time_us, 0, place, event) for place, event in enumerate(standing) if event.key not in disputed
    ]
    # Gone first, come second: a unit confirmed gone from one pallet and come onto another at one instant ends there.
    steps += [(move.time_us, 1 + move.entered, place, move) for place, move in enumerate(sorted(set(moves)))]
    found = _Relation()
    for _, _, _, step in sorted(steps, key=lambda step: step[:3]):
        if isinstance(step, Event):
            found.apply(step)
        else:
            found.move(step)
    return found.finish(), tuple(sorted(found.conflicts.values()))


def takes_all(event: Event) -> bool:
    """A DELETE that names no children empties its parent (EPCIS 2.0 §7.4.3)."""
    return event.action == "DELETE" and not event.units and not event.quantities


class _Relation:
    """Who is in whom at the time the fold has reached."""

    def __init__(self) -> None:
        self._inside: dict[str, tuple[str, int, tuple[str, ...]]] = {}
        self._lots: dict[tuple[str, str], Interval] = {}
        self._done: list[Interval] = []
        self._ever: dict[str, set[str]] = {}
        """What each unit was ever put into, up to now."""
        self._left: dict[str, tuple[str, int]] = {}
        """What each unit was in last, and when it left."""
        self.conflicts: dict[tuple[object, ...], Conflict] = {}
        """By all but why: two events that say the same are one contradiction."""

    def apply(self, event: Event) -> None:
        if event.kind in ("AggregationEvent", "AssociationEvent") and event.parent:
            self._regroup(event)
        elif event.kind == "TransformationEvent":
            self._end(event.inputs, event)
        elif event.kind == "ObjectEvent" and event.action == "DELETE":
            self._end(event.units, event)
        if event.lot:
            self._join_lots(event)

    def _regroup(self, event: Event) -> None:
        units = self._inside_of(event.parent) if takes_all(event) else event.units
        for unit in units:
            if carries(event.parent, unit):
                continue
            if event.action == "ADD":
                self._compare_arrival(unit, event)
                self._put(unit, event.parent, event.time_us, (event.key,))
            elif event.action == "DELETE":
                self._compare_departure(unit, event)
                self._take(unit, event.parent, event.time_us, (event.key,))

    def _end(self, units: Iterable[str], event: Event) -> None:
        for unit in units:
            self._take(unit, None, event.time_us, (event.key,))

    def move(self, move: Move) -> None:
        if move.entered:
            self._put(move.unit, move.source, move.time_us, move.why)
        else:
            self._take(move.unit, move.source, move.time_us, move.why)

    def finish(self) -> tuple[Interval, ...]:
        still = [Interval(unit, parent, since, None, why) for unit, (parent, since, why) in self._inside.items()]
        return tuple(sorted([*self._done, *still, *self._lots.values()]))

    def _inside_of(self, parent: str) -> list[str]:
        return [unit for unit, (holder, _, _) in self._inside.items() if holder == parent]

    def _compare_arrival(self, unit: str, event: Event) -> None:
        parent, since_us, why = self._inside.get(unit, ("", 0, ()))
        if parent not in ("", event.parent) and since_us == event.time_us:
            self._conflict("two-parents", unit, event, parent, since_us, why)

    def _compare_departure(self, unit: str, event: Event) -> None:
        parent, since_us, why = self._inside.get(unit, ("", 0, ()))
        if self._left.get(unit) == (event.parent, event.time_us):
            return  # one paper, one time: out of the room and into the truck
        if parent not in ("", event.parent):
            self._conflict("two-parents", unit, event, parent, since_us, why)
        elif not parent and unit in self._ever and event.parent not in self._ever[unit]:
            self._conflict("never-put-in", unit, event, "", event.time_us, ())

    def _conflict(self, rule: str, unit: str, event: Event, other: str, since_us: int, why: tuple[str, ...]) -> None:
        found = Conflict(rule, unit, event.parent, other, since_us, event.time_us, (*why, event.key))
        known = self.conflicts.setdefault(found[:-1], found)
        self.conflicts[found[:-1]] = known._replace(why=tuple(dict.fromkeys((*known.why, *found.why))))

    def _put(self, unit: str, parent: str, time_us: int, why: tuple[str, ...]) -> None:
        if parent == unit or self._inside.get(unit, ("",))[0] == parent:
            return
        self._take(unit, None, time_us, why)
        self._inside[unit] = (parent, time_us, why)
        self._ever.setdefault(unit, set()).add(parent)

    def _take(self, unit: str, parent: str | None, time_us: int, why: tuple[str, ...]) -> None:
        """parent None: wherever it is. Taking a unit out of something it is not in changes nothing."""
        if unit not in self._inside or parent not in (None, self._inside[unit][0]):
            return
        holder, since, began = self._inside.pop(unit)
        self._left[unit] = holder, time_us
        if since < time_us:
            self._done.append(Interval(unit, holder, since, time_us, (*began, *(k for k in why if k not in began))))

    def _join_lots(self, event: Event) -> None:
        for unit in event.units or event.outputs:
            if unit.startswith("case:"):
                lot = f"lot:{unit[5:19]}/{event.lot}"
                self._lots.setdefault((unit, lot), Interval(unit, lot, event.time_us, None, (event.key,)))


def carries(parent: str, child: str) -> bool:
    """Whether this is a board and its load, either way round."""
    return any(a.startswith(BOARD) and b.startswith(LOADS) for a, b in ((parent, child), (child, parent)))


def contents(intervals: Iterable[Interval], parent: str, t_us: int) -> list[Interval]:
    """Everything inside `parent` at that moment, at any depth, outer before inner. Never recursive."""
    children: dict[str, list[Interval]] = {}
    for interval in intervals:
        if interval.holds(t_us):
            children.setdefault(interval.parent, []).append(interval)
    found: list[Interval] = []
    seen, layer = {parent}, [parent]
    while layer:
        inner = [interval for holder in layer for interval in sorted(children.get(holder, ()))]
        fresh = [interval for interval in inner if interval.child not in seen]
        found += fresh
        layer = [interval.child for interval in fresh]
        seen.update(layer)
    return found


def parents(intervals: Iterable[Interval], unit: str, t_us: int) -> list[Interval]:
    """The chain around `unit` at that moment, inner before outer; lots, which are no place, are left out."""
    holder = {i.child: i for i in intervals if i.holds(t_us) and not i.parent.startswith("lot:")}
    chain: list[Interval] = []
    seen = {unit}
    while (interval := holder.get(unit)) is not None and interval.parent not in seen:
        chain.append(interval)
        unit = interval.parent
        seen.add(unit)
    return chain
