"""Where goods went and where they came from (domain §5). Iterative throughout: depth and cycles are harmless.

Goods flow *up* into whatever holds them for as long as both stay, *down* from a unit whose whole content is meant to
everything inside it, and *on* through transformations. Of goods that are counted, portions are in many units at once:
when a whole lot is meant so is every portion of it, and a portion says nothing about the rest. A unit reached upwards
holds such goods and does not make its other contents suspect: those are contacts. `b in forward(a)` iff
`a in backward(b)`, because `backward` walks the same steps the other way round.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, Protocol

from coldchain.domain.containment import Interval

FOREVER_US = 2**62
"""Later than any time: the end of what has not ended."""


class Flow(NamedTuple):
    """A transformation: every input is in every output."""

    time_us: int
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    why: str


class Handling(NamedTuple):
    """An event that names `unit` at `place`."""

    time_us: int
    unit: str
    place: str
    why: str


class Movements(Protocol):
    """Where the facts come from; each call takes many units so that a database is asked once per round."""

    def above(self, units: Iterable[str]) -> Sequence[Interval]:
        """Intervals in which one of `units` is the child."""
        ...

    def within(self, units: Iterable[str]) -> Sequence[Interval]:
        """Intervals in which one of `units` is the parent."""
        ...

    def portions_of(self, units: Iterable[str]) -> Sequence[Interval]:
        """When what may have held some of one of these goods, counted: the goods are the child."""
        ...

    def portions_in(self, units: Iterable[str]) -> Sequence[Interval]:
        """When one of `units` may have held which goods, counted."""
        ...

    def flows(self, units: Iterable[str]) -> Sequence[Flow]:
        """Transformations that take in or give out one of `units`."""
        ...

    def handlings(self, units: Iterable[str], places: Iterable[str]) -> Sequence[Handling]:
        """Events naming one of `units` at one of `places`."""
        ...


@dataclass(frozen=True)
class Facts:
    """`Movements` over facts already in memory."""

    intervals: Sequence[Interval] = ()
    transformations: Sequence[Flow] = ()
    handled: Sequence[Handling] = ()
    portions: Sequence[Interval] = ()
    _above: dict[str, list[Interval]] = field(default_factory=dict, init=False, repr=False)
    _within: dict[str, list[Interval]] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        for interval in self.intervals:
            self._above.setdefault(interval.child, []).append(interval)
            self._within.setdefault(interval.parent, []).append(interval)

    def above(self, units: Iterable[str]) -> Sequence[Interval]:
        return [interval for unit in units for interval in self._above.get(unit, ())]

    def within(self, units: Iterable[str]) -> Sequence[Interval]:
        return [interval for unit in units for interval in self._within.get(unit, ())]

    def portions_of(self, units: Iterable[str]) -> Sequence[Interval]:
        wanted = set(units)
        return [portion for portion in self.portions if portion.child in wanted]

    def portions_in(self, units: Iterable[str]) -> Sequence[Interval]:
        wanted = set(units)
        return [portion for portion in self.portions if portion.parent in wanted]

    def flows(self, units: Iterable[str]) -> Sequence[Flow]:
        wanted = set(units)
        return [flow for flow in self.transformations if not wanted.isdisjoint((*flow.inputs, *flow.outputs))]

    def handlings(self, units: Iterable[str], places: Iterable[str]) -> Sequence[Handling]:
        here, there = set(units), set(places)
        return [handling for handling in self.handled if handling.unit in here and handling.place in there]


class Hop(NamedTuple):
    """`unit` is reached from `via` during [from_us, to_us)."""

    unit: str
    via: str
    how: Literal["in", "holds", "becomes"]
    """`in`: unit was inside via. `holds`: unit held via. `becomes`: one was made into the other."""
    from_us: int
    to_us: int | None
    why: tuple[str, ...]
    whole: bool
    """All of the unit is meant, not just something inside it."""


def forward(start: str, movements: Movements, at_us: int | None = None) -> dict[str, Hop]:
    """Every unit that held, was made of, or came out of `start` from `at_us` on, each by its earliest hop."""
    since = -FOREVER_US if at_us is None else at_us
    found: dict[str, Hop] = {}
    whole = {start: since}
    held: set[_Reach] = set()
    frontier = [_Reach(start, since, FOREVER_US, True)]
    while frontier:
        fresh: list[_Reach] = []
        for hop in _onwards(frontier, movements):
            reach = _Reach(hop.unit, hop.from_us, FOREVER_US if hop.whole else _end(hop.to_us), hop.whole)
            if reach.whole:
                if reach.from_us >= whole.get(reach.unit, FOREVER_US):
                    continue
                whole[reach.unit] = reach.from_us
            elif reach in held:
                continue
            held.add(reach)
            fresh.append(reach)
            _keep(found, hop, start, _earliest)
        frontier = _latest_only(fresh, whole)
    return found


def backward(start: str, movements: Movements, at_us: int | None = None) -> dict[str, Hop]:
    """Every unit whose `forward` holds `start`, up to and including `at_us`, each by its latest hop."""
    until = FOREVER_US if at_us is None else at_us + 1
    found: dict[str, Hop] = {}
    whole = {start: until}
    inside = {_Reach(start, -FOREVER_US, until, False)}
    frontier = [*inside, _Reach(start, -FOREVER_US, until, True)]
    while frontier:
        fresh: list[_Reach] = []
        for hop, reach in _back(frontier, movements):
            _keep(found, hop, start, _latest)
            if not reach.whole and reach not in inside:
                inside.add(reach)
                fresh.append(reach)
            if reach.to_us > whole.get(reach.unit, -FOREVER_US):
                whole[reach.unit] = reach.to_us
                fresh.append(_Reach(reach.unit, -FOREVER_US, reach.to_us, True))
        frontier = fresh
    return found


class _Reach(NamedTuple):
    """Forward: goods are in `unit` during [from_us, to_us); whole: the unit is nothing but these goods from then on.

    Backward: goods in `unit` at any moment of [from_us, to_us) would reach the goal; whole: so would the unit's being
    nothing but such goods at any time before `to_us`.
    """

    unit: str
    from_us: int
    to_us: int
    whole: bool


def _end(to_us: int | None) -> int:
    return FOREVER_US if to_us is None else to_us


def _until(end_us: int) -> int | None:
    return None if end_us >= FOREVER_US else end_us


def _by_unit(frontier: Iterable[_Reach]) -> dict[str, list[_Reach]]:
    grouped: dict[str, list[_Reach]] = {}
    for reach in frontier:
        grouped.setdefault(reach.unit, []).append(reach)
    return grouped


def _latest_only(fresh: Iterable[_Reach], whole: Mapping[str, int]) -> list[_Reach]:
    """Of several whole reaches of a unit found in one round only the earliest leads anywhere new."""
    return [reach for reach in fresh if not reach.whole or reach.from_us == whole[reach.unit]]


_Rank = tuple[int, int, str, str, tuple[str, ...]]


def _earliest(hop: Hop) -> _Rank:
    return not hop.whole, hop.from_us, hop.via, hop.how, hop.why


def _latest(hop: Hop) -> _Rank:
    return 0, -_end(hop.to_us), hop.via, hop.how, hop.why


def _keep(found: dict[str, Hop], hop: Hop, start: str, rank: Callable[[Hop], _Rank]) -> None:
    if hop.unit != start and (hop.unit not in found or rank(hop) < rank(found[hop.unit])):
        found[hop.unit] = hop


def _onwards(frontier: Sequence[_Reach], movements: Movements) -> Iterator[Hop]:
    at = _by_unit(frontier)
    for i in movements.above(at):
        for reach in at[i.child]:
            from_us, to_us = max(reach.from_us, i.from_us), min(reach.to_us, _end(i.to_us))
            if from_us < to_us:
                yield Hop(i.parent, i.child, "holds", from_us, _until(to_us), i.why, False)
    whole = {unit: reaches for unit, group in at.items() if (reaches := [r for r in group if r.whole])}
    for i in movements.within(whole):
        for reach in whole[i.parent]:
            if max(reach.from_us, i.from_us) < _end(i.to_us):
                yield Hop(i.child, i.parent, "in", max(reach.from_us, i.from_us), i.to_us, i.why, True)
    yield from _portions_onwards(whole, movements)
    for flow in movements.flows(at):
        for via in flow.inputs:
            if any(reach.from_us <= flow.time_us < reach.to_us for reach in at.get(via, ())):
                for made in flow.outputs:
                    yield Hop(made, via, "becomes", flow.time_us, flow.time_us, (flow.why,), True)


def _portions_onwards(whole: Mapping[str, Sequence[_Reach]], movements: Movements) -> Iterator[Hop]:
    for i in movements.portions_of(whole):
        for reach in whole[i.child]:
            if max(reach.from_us, i.from_us) < _end(i.to_us):
                yield Hop(i.parent, i.child, "holds", max(reach.from_us, i.from_us), i.to_us, i.why, False)


def _back(frontier: Sequence[_Reach], movements: Movements) -> Iterator[tuple[Hop, _Reach]]:
    """The steps of `_onwards`, each from its end to its start."""
    at = _by_unit(frontier)
    whole = {unit: max(r.to_us for r in group if r.whole) for unit, group in at.items() if any(r.whole for r in group)}
    inside = {unit: reaches for unit, group in at.items() if (reaches := [r for r in group if not r.whole])}
    for i in movements.within(inside):  # the child's goods were in the parent
        for reach in inside[i.parent]:
            from_us, to_us = max(reach.from_us, i.from_us), min(reach.to_us, _end(i.to_us))
            if from_us < to_us:
                hop = Hop(i.child, i.parent, "in", from_us, _until(to_us), i.why, True)
                yield hop, _Reach(i.child, from_us, to_us, False)
    yield from _portions_back(inside, movements)
    for i in movements.above(whole):  # all of the parent's content was meant, the child among it
        to_us = min(whole[i.child], _end(i.to_us))
        if i.from_us < to_us:
            hop = Hop(i.parent, i.child, "holds", i.from_us, _until(to_us), i.why, True)
            yield hop, _Reach(i.parent, -FOREVER_US, to_us, True)
    for flow in movements.flows(whole):
        for made in flow.outputs:
            if flow.time_us < whole.get(made, -FOREVER_US):
                for via in flow.inputs:
                    hop = Hop(via, made, "becomes", flow.time_us, flow.time_us, (flow.why,), True)
                    yield hop, _Reach(via, flow.time_us, flow.time_us + 1, False)


def _portions_back(inside: Mapping[str, Sequence[_Reach]], movements: Movements) -> Iterator[tuple[Hop, _Reach]]:
    """Goods meant as a whole put portions of themselves into the parent."""
    for i in movements.portions_in(inside):
        for reach in inside[i.parent]:
            from_us, to_us = max(reach.from_us, i.from_us), min(reach.to_us, _end(i.to_us))
            if from_us < to_us:
                hop = Hop(i.child, i.parent, "in", from_us, _until(to_us), i.why, True)
                yield hop, _Reach(i.child, -FOREVER_US, to_us, True)
