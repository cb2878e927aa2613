"""What was inside what, when: a relation over time folded from events (design §8).

ADD puts children into a parent, DELETE takes them out; a transformation and an ObjectEvent DELETE end its inputs. An
OBSERVE read is evidence, not a move: a misread tag moves nothing. A read that continuity confirms as a change comes in
as a `Move`. A unit is in one parent at a time, and beside it in the lot it was commissioned with.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

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


def fold(events: Iterable[Event], moves: Iterable[Move] = ()) -> tuple[Interval, ...]:
    """The intervals, sorted; the same for any order and repetition of the events and moves."""
    standing, disputed = in_force(events)
    steps: list[tuple[int, int, int, Event | Move]] = [
        (event.time_us, 0, place, event) for place, event in enumerate(standing) if event.key not in disputed
    ]
    # Gone first, come second: a unit confirmed gone from one pallet and come onto another at one instant ends there.
    steps += [(move.time_us, 1 + move.entered, place, move) for place, move in enumerate(sorted(set(moves)))]
    relation = _Relation()
    for _, _, _, step in sorted(steps, key=lambda step: step[:3]):
        if isinstance(step, Event):
            relation.apply(step)
        else:
            relation.move(step)
    return relation.finish()


def takes_all(event: Event) -> bool:
    """A DELETE that names no children empties its parent (EPCIS 2.0 §7.4.3)."""
    return event.action == "DELETE" and not event.units and not event.quantities


class _Relation:
    """Who is in whom at the time the fold has reached."""

    def __init__(self) -> None:
        self._inside: dict[str, tuple[str, int, tuple[str, ...]]] = {}
        self._lots: dict[tuple[str, str], Interval] = {}
        self._done: list[Interval] = []

    def apply(self, event: Event) -> None:
        why = (event.key,)
        if event.kind in ("AggregationEvent", "AssociationEvent"):
            if event.action == "ADD" and event.parent:
                for unit in event.units:
                    self._put(unit, event.parent, event.time_us, why)
            elif event.action == "DELETE":
                for unit in self._inside_of(event.parent) if takes_all(event) else event.units:
                    self._take(unit, event.parent, event.time_us, why)
        elif event.kind == "TransformationEvent":
            for unit in event.inputs:
                self._take(unit, None, event.time_us, why)
        elif event.kind == "ObjectEvent" and event.action == "DELETE":
            for unit in event.units:
                self._take(unit, None, event.time_us, why)
        if event.lot:
            self._join_lots(event)

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

    def _put(self, unit: str, parent: str, time_us: int, why: tuple[str, ...]) -> None:
        if parent == unit or self._inside.get(unit, ("",))[0] == parent:
            return
        self._take(unit, None, time_us, why)
        self._inside[unit] = (parent, time_us, why)

    def _take(self, unit: str, parent: str | None, time_us: int, why: tuple[str, ...]) -> None:
        """parent None: wherever it is. Taking a unit out of something it is not in changes nothing."""
        if unit not in self._inside or parent not in (None, self._inside[unit][0]):
            return
        holder, since, began = self._inside.pop(unit)
        if since < time_us:
            self._done.append(Interval(unit, holder, since, time_us, (*began, *(k for k in why if k not in began))))

    def _join_lots(self, event: Event) -> None:
        for unit in event.units or event.outputs:
            if unit.startswith("case:"):
                lot = f"lot:{unit[5:19]}/{event.lot}"
                self._lots.setdefault((unit, lot), Interval(unit, lot, event.time_us, None, (event.key,)))


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
