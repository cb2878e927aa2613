"""What goods were exposed to, wherever they were, and what of their budgets they spent (docs/temperature.md §6).

Known is the time between two readings of a probe that are no further apart than its longest gap; a value holds from its
reading to the next. Nothing is said of the rest. Every sum is one of whole microseconds and thousandths of a degree.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Literal, NamedTuple

from coldchain.domain.rulepacks import FAULTS_IN_A_ROW, SECOND_US, Budget, Stage
from coldchain.domain.temperature import Item
from coldchain.domain.tracing import FOREVER_US

Span = tuple[int, int]
"""[from, to) in microseconds."""
Verdict = Literal["kept", "exceeded", "unknown"]
Movement = tuple[str, str, int, int]
"""(unit, holder, from, to)."""
KINDS = ("air", "product")
LOADS = ("case:", "sscc:", "hu:", "grai:", "cont:")
"""Beginnings of names of units that goods are in; anything else that holds them is a place."""
HOUR_US = 3_600_000_000
PRECOOLED_US = HOUR_US // 2
"""How long before a loading a body's air is asked for, and how soon after it the device is to have spoken again."""
MAX_CLIMB = 64
"""Levels of packing followed: nothing real comes near, and units that contain each other end there."""


class Watch(NamedTuple):
    """A device hung at a place during [from_us, to_us), its temperatures judged by one stage of one version of a pack,
    which a profile chose: the device's own, or that of the goods."""

    device_no: int
    device: str
    grade: str
    place: str
    from_us: int
    to_us: int
    pack: str
    version: int
    verified: bool
    stage: str
    rule: Stage
    profile: str


class Probe(NamedTuple):
    """One probe, for as long as it decided at one place: mounted there, judged by one rule, of one kind."""

    kind: str
    """`air` or `product`."""
    from_us: int
    to_us: int
    max_gap_us: int
    items: Sequence[Item]
    """Merged and in time order, with those up to the longest gap before `from_us` and after `to_us`; spikes are faults
    (1.4)."""
    stuck: Sequence[Span] = ()
    """Joined: when the sensor was stuck, from the first of its equal readings to the last (4.2)."""


class Piece(NamedTuple):
    """Known time with one temperature."""

    from_us: int
    to_us: int
    mc: int
    kind: str
    """Which kind of probe decided."""


class Interval(NamedTuple):
    """The holder `place` was around the goods then, `depth` units away from them."""

    place: str
    from_us: int
    to_us: int
    depth: int


class Stay(NamedTuple):
    """The goods were at a place whose devices are judged by a pack."""

    place: str
    from_us: int
    to_us: int


class Spent(NamedTuple):
    """What one budget came to."""

    budget: Budget
    spent_us: int
    """Time above, in all or of the longest stretch."""
    exceeded_us: int | None
    """The moment from which it was more than the budget has."""
    verdict: Verdict
    """`unknown`: not exceeded, but with the unknown time it might be."""

    @property
    def remaining_us(self) -> int:
        return max(0, self.budget.max_s * SECOND_US - self.spent_us)


class Figures(NamedTuple):
    """A temperature over known time."""

    known_us: int
    min_mc: int
    max_mc: int
    mean_mc: int
    """Weighted by time, to the nearest thousandth."""


# Spans


def joined(spans: Iterable[Span]) -> list[Span]:
    """Their union, in order; spans that touch are one."""
    found: list[Span] = []
    for from_us, to_us in sorted(spans):
        if from_us >= to_us:
            continue
        if found and from_us <= found[-1][1]:
            found[-1] = found[-1][0], max(found[-1][1], to_us)
        else:
            found.append((from_us, to_us))
    return found


def common(some: Sequence[Span], others: Sequence[Span]) -> list[Span]:
    """The time that is in both, each given joined."""
    found: list[Span] = []
    place = 0
    for from_us, to_us in some:
        while place < len(others) and others[place][1] <= from_us:
            place += 1
        for begin, end in others[place:]:
            if begin >= to_us:
                break
            found.append((max(from_us, begin), min(to_us, end)))
    return found


def without(spans: Sequence[Span], gone: Sequence[Span]) -> list[Span]:
    """The first without the second, each given joined."""
    found: list[Span] = []
    for from_us, to_us in spans:
        for begin, end in common([(from_us, to_us)], gone):
            if from_us < begin:
                found.append((from_us, begin))
            from_us = end
        if from_us < to_us:
            found.append((from_us, to_us))
    return found


def length(spans: Iterable[Span]) -> int:
    return sum(to_us - from_us for from_us, to_us in spans)


# Where goods were (6.1)


def climb(units: Iterable[str], above: Callable[[Iterable[str]], Iterable[Movement]]) -> dict[str, list[Interval]]:
    """By unit: everything that was around it, at any height; lots, which are no place, are left out.

    above: what these units were directly in, (unit, holder, from, to); asked once for each height.
    """
    found: dict[str, list[Interval]] = {unit: [] for unit in units}
    layer = {(unit, unit, -FOREVER_US, FOREVER_US) for unit in found}
    seen = set(layer)
    for depth in range(1, MAX_CLIMB):
        at: dict[str, list[Movement]] = {}
        for reach in layer:
            at.setdefault(reach[1], []).append(reach)
        layer = set()
        for child, holder, from_us, to_us in above(at) if at else ():
            for unit, _, begin, end in at[child] if not holder.startswith("lot:") else ():
                here = unit, holder, max(from_us, begin), min(to_us, end)
                if here[2] < here[3] and here not in seen and holder != unit:
                    layer.add(here)
                    found[unit].append(Interval(*here[1:], depth))
        seen |= layer
    return found


def within(around: Iterable[Interval], spans: Sequence[Span]) -> list[Interval]:
    """What was around the goods during the spans, given joined."""
    return [
        one._replace(from_us=from_us, to_us=to_us)
        for one in around
        for from_us, to_us in common([(one.from_us, one.to_us)], spans)
    ]


def innermost(around: Iterable[Interval], watched: Mapping[str, Sequence[Span]]) -> list[Stay]:
    """Where the goods were, by time: the nearest of what was around them that was watched then.

    watched: by place, joined, when devices were mounted there that the pack judges.
    """
    taken: list[Span] = []
    found: list[Stay] = []
    by_depth: dict[int, list[Interval]] = {}
    for one in around:
        by_depth.setdefault(one.depth, []).append(one)
    for depth in sorted(by_depth):
        nearer = taken
        for one in by_depth[depth]:
            here = common([(one.from_us, one.to_us)], watched.get(one.place, ()))
            for span in without(here, nearer):
                found.append(Stay(one.place, *span))
            taken = joined([*taken, *here])
    return sorted(found, key=lambda stay: (stay.from_us, stay.place))


def watched(watches: Mapping[str, Sequence[Watch]], pack: str) -> dict[str, list[Span]]:
    """By place: when devices were there that the pack judges."""
    return {
        place: joined((watch.from_us, watch.to_us) for watch in several if watch.pack == pack)
        for place, several in watches.items()
    }


# What is known there (2.1, 6.1)


def pieces(probes: Sequence[Probe], span: Span) -> list[Piece]:
    """The known temperature within the span, in time order: product probes decide where one is known, else air; of
    several the warmest."""
    said = [(probe.kind == "product", hold) for probe in probes if (hold := _held(probe, span))]
    if len(said) == 1:
        ((product, alone),) = said
        return [Piece(*hold, KINDS[product]) for hold in alone]
    held = sorted((*hold, product, who) for who, (product, several) in enumerate(said) for hold in several)
    return _swept(held)


def _swept(held: Sequence[tuple[int, int, int, bool, int]]) -> list[Piece]:
    """held: (from, to, milli-°C, whether in the product, which probe), in order."""
    found: list[Piece] = []
    live: tuple[dict[int, int], dict[int, int]] = {}, {}
    ends: list[tuple[int, bool, int]] = []
    at_us, place = held[0][0] if held else 0, 0
    while place < len(held) or ends:
        while ends and ends[0][0] == at_us:
            _, product, who = heapq.heappop(ends)
            del live[product][who]
        while place < len(held) and held[place][0] == at_us:
            _, to_us, mc, product, who = held[place]
            live[product][who] = mc
            heapq.heappush(ends, (to_us, product, who))
            place += 1
        next_us = held[place][0] if place < len(held) else at_us
        if ends and (place == len(held) or ends[0][0] < next_us):
            next_us = ends[0][0]
        if deciding := live[True] or live[False]:
            _add(found, Piece(at_us, next_us, max(deciding.values()), KINDS[bool(live[True])]))
        at_us = next_us
    return found


def _add(found: list[Piece], piece: Piece) -> None:
    if found and (found[-1].to_us, *found[-1][2:]) == (piece.from_us, *piece[2:]):
        found[-1] = found[-1]._replace(to_us=piece.to_us)
    else:
        found.append(piece)


def _held(probe: Probe, span: Span) -> list[tuple[int, int, int]]:
    """(from, to, milli-°C): each reading up to the next, where that is near and no faults stand between (2.1)."""
    low_us, high_us, gap_us, stuck = (
        max(span[0], probe.from_us),
        min(span[1], probe.to_us),
        probe.max_gap_us,
        probe.stuck,
    )
    found: list[tuple[int, int, int]] = []
    last_us, last_mc, faults = -FOREVER_US, 0, 0
    for t_us, mc in probe.items:
        if mc is None:
            faults += 1
            continue
        if t_us - last_us <= gap_us and faults < FAULTS_IN_A_ROW:
            for from_us, to_us in without([(last_us, t_us)], stuck) if stuck else ((last_us, t_us),):
                from_us, to_us = from_us if from_us > low_us else low_us, to_us if to_us < high_us else high_us
                if from_us >= to_us:
                    continue
                if found and found[-1][1] == from_us and found[-1][2] == last_mc:
                    from_us = found.pop()[0]
                found.append((from_us, to_us, last_mc))
        last_us, last_mc, faults = t_us, mc, 0
    return found


# Time above, budgets, figures (6.2)


def above(found: Iterable[Piece], above_mc: int) -> list[Span]:
    """Known time warmer than that; stretches that follow each other without a break are one."""
    return joined((piece.from_us, piece.to_us) for piece in found if piece.mc > above_mc)


def spend(budget: Budget, warm: Sequence[Span], unknown: Sequence[Span]) -> Spent:
    """What the goods spent of a budget. warm: the known time above it, unknown: the time nobody knows, each joined."""
    max_us = budget.max_s * SECOND_US
    exceeded_us = _exceeded(budget, warm, max_us)
    if budget.single:
        spent_us, most_us = _longest(warm), _longest(joined([*warm, *unknown]))
    else:
        spent_us = length(warm)
        most_us = spent_us + length(unknown)
    verdict: Verdict = "exceeded" if exceeded_us is not None else "unknown" if most_us > max_us else "kept"
    return Spent(budget, spent_us, exceeded_us, verdict)


def _exceeded(budget: Budget, warm: Sequence[Span], max_us: int) -> int | None:
    spent_us = 0
    for from_us, to_us in warm:
        if budget.single:
            spent_us = 0
        if spent_us + to_us - from_us > max_us:
            return from_us + max_us - spent_us
        spent_us += to_us - from_us
    return None


def _longest(spans: Iterable[Span]) -> int:
    return max((to_us - from_us for from_us, to_us in spans), default=0)


def figures(found: Sequence[Piece]) -> Figures | None:
    """None where nothing is known."""
    known_us = sum(piece.to_us - piece.from_us for piece in found)
    if not known_us:
        return None
    warmth = sum(piece.mc * (piece.to_us - piece.from_us) for piece in found)
    least, most = min(piece.mc for piece in found), max(piece.mc for piece in found)
    return Figures(known_us, least, most, (2 * warmth + known_us) // (2 * known_us))
