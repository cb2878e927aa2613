"""Which halves of handovers belong together: taken in order of time, a function of the set of halves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from coldchain.domain.handovers import RECEIVED, SHIPPED, SLACK_US, Half, Handover

LOADING_US = 24 * 3_600_000_000
"""Longest time between `shipping` and `departing` of one shipment."""


def things(half: Half) -> tuple[str, ...]:
    """Everything by which a half may find its other half."""
    return (*_event(half), *half.units, *_papers(half), *_lots(half))


def _event(half: Half) -> tuple[str, ...]:
    name = half.answers or (half.event_id if half.side == SHIPPED else "")
    return (f"event {name}",) if name else ()


def _papers(half: Half) -> tuple[str, ...]:
    return tuple(f"paper {paper}" for paper in half.papers)


def _lots(half: Half) -> tuple[str, ...]:
    return tuple(sorted({item for item, _, _ in half.quantities}))


def fold(halves: Iterable[Half]) -> tuple[Handover, ...]:
    """The handovers, by id. Taken in order of time, so that a return and a second trip are their own."""
    legs = _Legs()
    once = {half.key: half for half in halves}
    for half in sorted(once.values(), key=lambda half: (half.time_us, half.side == RECEIVED, half.key)):
        legs.take(half)
    return tuple(sorted((leg.handover() for leg in legs.all if leg.counts), key=lambda one: one.id))


@dataclass(eq=False, slots=True)
class _Leg:
    """A handover as far as the fold has come."""

    halves: list[Half] = field(default_factory=list)

    def handover(self) -> Handover:
        ordered = sorted(self.halves, key=lambda half: (half.time_us, half.key))
        return Handover(*(tuple(half for half in ordered if half.side == side) for side in (SHIPPED, RECEIVED)))

    @property
    def counts(self) -> bool:
        """Whether it is a handover already. A receipt that names no giver and answers nothing is a read at a dock."""
        return any(half.side == SHIPPED or half.giver for half in self.halves)

    def fits(self, half: Half, thing: str) -> bool:
        """Whether the half may belong here by that thing."""
        if any(other.giver and half.giver and other.giver != half.giver for other in self.halves):
            return False
        same_side = [other for other in self.halves if other.side == half.side]
        other_side = [other for other in self.halves if other.side != half.side]
        if half.side == SHIPPED:
            if other_side:  # shipped after it was received: two clocks, unless there is a shipment already
                return not same_side and half.time_us - other_side[-1].time_us <= SLACK_US
            return all(o.step != half.step and half.time_us - o.time_us <= LOADING_US for o in same_side)
        if thing in half.units:
            return all(other.step != half.step or thing not in other.units for other in same_side)
        papers = {paper for other in other_side for paper in other.papers}
        return not (half.papers and papers and papers.isdisjoint(half.papers))

    def left(self, item: str) -> int:
        """Thousandths of a lot shipped and not received yet."""
        signs = {SHIPPED: 1, RECEIVED: -1}
        return sum(signs[half.side] * n for half in self.halves for lot, _, n in half.quantities if lot == item)


class _Legs:
    """Every leg begun, and by what each is found."""

    def __init__(self) -> None:
        self.all: list[_Leg] = []
        self._by_thing: dict[tuple[str, str], list[_Leg]] = {}

    def take(self, half: Half) -> None:
        """Put a half, part by part, where its other half is; else it begins a leg."""
        for leg, part in self._places(half) or [(self._begin(), half)]:
            leg.halves.append(part)
            for thing in things(part):
                known = self._by_thing.setdefault((half.taker, thing), [])
                if leg not in known:
                    known.append(leg)

    def _begin(self) -> _Leg:
        self.all.append(_Leg())
        return self.all[-1]

    def _places(self, half: Half) -> list[tuple[_Leg, Half]]:
        """By the most telling thing it shares: the event it answers, units, papers, lots."""
        for shared, whole in ((_event, True), (_units, False), (_papers, True), (_lots, False)):
            found: dict[str, _Leg] = {}
            for thing in shared(half):
                fitting = [leg for leg in self._by_thing.get((half.taker, thing), ()) if leg.fits(half, thing)]
                if fitting:
                    found[thing] = _of_several([leg for leg in fitting if leg.counts] or fitting, half, thing)
            # What only a mere read saw before belongs to the handover that the rest of the half belongs to.
            counting = {thing: leg for thing, leg in found.items() if leg.counts or half.giver}
            if found:
                first = next(iter((counting or found).values()))
                return [(first, half)] if whole or not counting else _parts(half, counting, first)
        return []


def _units(half: Half) -> tuple[str, ...]:
    return half.units


def _of_several(fitting: Sequence[_Leg], half: Half, thing: str) -> _Leg:
    """The last one; of several shipments of a lot the oldest of which just so much is left, else at least so much."""
    amounts = [amount for item, _, amount in half.quantities if item == thing]
    if half.side == SHIPPED or not amounts:
        return fitting[-1]
    exact = [leg for leg in fitting if leg.left(thing) == sum(amounts)]
    enough = [leg for leg in fitting if leg.left(thing) >= sum(amounts)]
    return next(iter(exact or enough), fitting[-1])


def _parts(half: Half, found: Mapping[str, _Leg], first: _Leg) -> list[tuple[_Leg, Half]]:
    """One receipt may answer several shipments: each leg gets its own units and lots, the first what fits nowhere."""
    legs = list(dict.fromkeys(found.values()))
    if len(legs) == 1:
        return [(first, half)]
    return [
        (
            leg,
            replace(
                half,
                units=tuple(unit for unit in half.units if found.get(unit, first) is leg),
                quantities=tuple(q for q in half.quantities if found.get(q[0], first) is leg),
                count=None,
            ),
        )
        for leg in legs
    ]
