"""What one unit was exposed to and what is left of its budgets, for people and programs (docs/temperature.md §6)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from coldchain.domain.commodities import OF_DEVICES, Judged, Turns
from coldchain.domain.containment import Interval as Portion
from coldchain.domain.exposure import (
    LOADS,
    Interval,
    Piece,
    Probe,
    Span,
    Stay,
    Watch,
    above,
    common,
    figures,
    innermost,
    joined,
    length,
    pieces,
    spend,
    watched,
    within,
    without,
)
from coldchain.domain.kinetics import kinetic
from coldchain.domain.quantities import Amount
from coldchain.domain.rulepacks import RulePack
from coldchain.domain.tracing import FOREVER_US
from coldchain.services.moments import rfc3339, rfc3339_or_none

LOTS = ("lot", "code")
PATHS = 50
"""Ways that the goods of a lot went, that are told; those with the most goods first."""
PARTS = 500
"""Holders and cases of a lot that are looked at for that."""


class ExposureSource(Protocol):
    """What is read of places and their probes; times integer microseconds."""

    @property
    def packs(self) -> Mapping[tuple[str, int], RulePack]:
        """Every version of every pack."""
        ...

    def around(self, units: Iterable[str]) -> Mapping[str, Sequence[Interval]]:
        """By unit: everything that was ever around it, at any height."""
        ...

    def judged(self, units: Iterable[str]) -> Mapping[str, Sequence[Judged]]:
        """By unit or lot: the profiles its goods fall under, while they are in it."""
        ...

    def at(self, places: Iterable[str], turns: Turns) -> Mapping[str, Sequence[Watch]]:
        """By place: the devices that hung there, and by which pack they judge goods that fall under these profiles."""
        ...

    def probes(self, watches: Iterable[Watch], span: Span) -> Sequence[Probe]:
        """The probes of these devices, with all that is needed of their readings to know the span."""
        ...


class GoodsSource(Protocol):
    """What is read of the goods of a lot."""

    def within(self, units: Iterable[str]) -> Sequence[Portion]:
        """Intervals in which one of `units` is the parent."""
        ...

    def portions_of(self, units: Iterable[str]) -> Sequence[Portion]:
        """When what may have held some of one of these goods, counted: the goods are the child."""
        ...

    def amounts_in(self, parents: Iterable[str], t_us: int) -> Sequence[Amount]:
        """Counted goods directly in one of the parents at that moment."""
        ...


class Path(NamedTuple):
    """What was around some goods, and how many of them went this way."""

    around: Sequence[Interval]
    goods: Mapping[str, Any] | None


def exposures(source: ExposureSource, goods: GoodsSource, name: str, at_us: int, now_us: int) -> list[dict[str, Any]]:
    """One for each pack that judged the unit anywhere; of a lot, for each way its goods went. Empty where no device
    that a pack judges was ever around it.

    at_us: what is told of had happened by then. now_us: the newest time the ledger knows.
    """
    kind = name.partition(":")[0]
    if kind in LOTS:
        paths = _paths(source, goods, name, at_us)
    else:
        paths = [Path(source.around([name])[name], None)] if name.startswith(LOADS) else []
    until_us = min(at_us, now_us)
    places = {one.place for path in paths for one in path.around}
    told = [
        one
        for judged in source.judged([name])[name]
        for one in _exposures(source, source.at(places, judged.turns), paths, judged, until_us)
    ]
    return sorted(told, key=lambda one: -_size(one["goods"]))[:PATHS] if kind in LOTS else told


def _exposures(
    source: ExposureSource,
    watches: Mapping[str, Sequence[Watch]],
    paths: Iterable[Path],
    judged: Judged,
    until_us: int,
) -> Iterator[dict[str, Any]]:
    for path in paths:
        here = path._replace(around=within(path.around, judged.spans))
        for pack in sorted({watch.pack for one in here.around for watch in watches.get(one.place, ())}):
            if (one := _exposure(source, watches, here, pack, judged, until_us)) is not None:
                yield one


def _size(goods: Mapping[str, Any]) -> float:
    return float(goods["cases"] or 0) + sum(one["most"] or 0 for one in goods["amounts"])


def _paths(source: ExposureSource, goods: GoodsSource, lot: str, at_us: int) -> list[Path]:
    """Named cases by the way they went, and what counted goods were in."""
    cases = sorted({i.child for i in goods.within([lot]) if i.child.startswith("case:")})[:PARTS]
    alike: dict[tuple[Interval, ...], int] = {}
    for around in source.around(cases).values():
        alike[tuple(around)] = alike.get(tuple(around), 0) + 1
    found = [Path(around, {"cases": count, "holder": None, "amounts": []}) for around, count in alike.items()]
    portions = sorted(goods.portions_of([lot]))[:PARTS]
    outside = source.around({one.parent for one in portions})
    for one in portions:
        span = one.from_us, FOREVER_US if one.to_us is None else one.to_us
        further = ((i.place, i.depth + 1, common([(i.from_us, i.to_us)], [span])) for i in outside[one.parent])
        around = [Interval(one.parent, *span, 1)]
        around += [Interval(place, *part, depth) for place, depth, parts in further for part in parts]
        found.append(Path(around, {"cases": None, "holder": one.parent, "amounts": _amounts(goods, lot, one, at_us)}))
    return found


def _amounts(goods: GoodsSource, lot: str, portion: Portion, at_us: int) -> list[dict[str, Any]]:
    """How much of the lot the holder had, at the last moment of the portion."""
    t_us = min(at_us, FOREVER_US - 1 if portion.to_us is None else portion.to_us - 1)
    return [
        {"measure": one.measure, "least": one.least_milli / 1000, "most": _number(one.most_milli)}
        for one in goods.amounts_in([portion.parent], t_us)
        if one.item == lot
    ]


def _number(milli: int | None) -> float | None:
    return None if milli is None else milli / 1000


def _exposure(
    source: ExposureSource,
    watches: Mapping[str, Sequence[Watch]],
    path: Path,
    pack: str,
    judged: Judged,
    until_us: int,
) -> dict[str, Any] | None:
    around = [one._replace(to_us=min(one.to_us, until_us)) for one in path.around if one.from_us < until_us]
    stays = innermost(around, watched(watches, pack))
    if not stays:
        return None
    known = [_known(source, watches, pack, stay) for stay in stays]
    found = [piece for several in known for piece in several]
    life = min(one.from_us for one in around), max(one.to_us for one in around)
    life = life[0], _told_until(watches, pack, stays[-1], found, life[1], until_us)
    unknown = without([life], joined((piece.from_us, piece.to_us) for piece in found))
    judging = source.packs[pack, _version(watches, pack, stays[0])]
    mkt = _mkt(judging, found, length(unknown))
    return {
        "pack": pack,
        "version": judging.version,
        "clause": judging.clause,
        "verified": judging.verified,
        "profile": _profile(watches, pack, stays[0], judged),
        "goods": path.goods,
        "from": rfc3339(life[0]),
        "to": rfc3339(life[1]),
        "verdict": _verdict(judging, found, unknown, mkt),
        "budgets": [_budget(judging, number, found, unknown) for number in range(len(judging.budgets))],
        "mkt": mkt,
        **_told(judging, found, unknown),
        "stays": [_stay(judging, stay, several, life[1]) for stay, several in zip(stays, known, strict=True)],
    }


def _known(source: ExposureSource, watches: Mapping[str, Sequence[Watch]], pack: str, stay: Stay) -> list[Piece]:
    span = stay.from_us, stay.to_us
    return pieces(source.probes([one for one in watches[stay.place] if one.pack == pack], span), span)


def _profile(watches: Mapping[str, Sequence[Watch]], pack: str, stay: Stay, judged: Judged) -> dict[str, Any]:
    """Which profile chose the pack when the goods first came under it: that of the goods, or of the devices there."""
    there = (one for one in watches[stay.place] if one.pack == pack and one.from_us <= stay.from_us < one.to_us)
    name, why = min(one.profile for one in there), ", ".join(judged.why)
    if judged.profile(stay.from_us):
        return {"name": name, "by": why, "why": None}
    return {"name": name, "by": "device", "why": why if judged.turns == OF_DEVICES else "no profile claimed them then"}


def _version(watches: Mapping[str, Sequence[Watch]], pack: str, stay: Stay) -> int:
    """That in force when the goods first came under the pack judges their whole life (6.2)."""
    there = (one for one in watches[stay.place] if one.pack == pack and one.from_us <= stay.from_us < one.to_us)
    return max(one.version for one in there)


def _told_until(
    watches: Mapping[str, Sequence[Watch]], pack: str, last: Stay, found: Sequence[Piece], end_us: int, until_us: int
) -> int:
    """Where goods still are, the time after the newest reading is neither spent nor unknown until a reading is due."""
    known_us = found[-1].to_us if found else 0
    gap_us = max(one.rule.max_gap_us for one in watches[last.place] if one.pack == pack)
    due = last.to_us == end_us == until_us and last.from_us <= known_us and until_us - known_us <= gap_us
    return known_us if due else end_us


def _verdict(
    pack: RulePack, found: Sequence[Piece], unknown: Sequence[Span], mkt: Mapping[str, Any] | None
) -> str | None:
    """The worst of its budgets and its MKT; None where the pack has none."""
    verdicts = {spend(one, above(found, one.above_mc), unknown).verdict for one in pack.budgets}
    verdicts |= {mkt["verdict"]} if mkt is not None else set()
    return next((word for word in ("exceeded", "unknown", "kept") if word in verdicts), None)


def _budget(pack: RulePack, number: int, found: Sequence[Piece], unknown: Sequence[Span]) -> dict[str, Any]:
    budget = pack.budgets[number]
    spent = spend(budget, above(found, budget.above_mc), unknown)
    return {
        "above_mc": budget.above_mc,
        "max_s": budget.max_s,
        "single": budget.single,
        "clause": budget.clause,
        "spent_s": _seconds(spent.spent_us),
        "remaining_s": _seconds(spent.remaining_us),
        "unknown_s": _seconds(length(unknown)),
        "verdict": spent.verdict,
        "exceeded": rfc3339_or_none(spent.exceeded_us),
    }


def _mkt(pack: RulePack, found: Sequence[Piece], unknown_us: int) -> dict[str, Any] | None:
    warmest = kinetic(pack.mkt, found, unknown_us) if pack.mkt is not None else None
    if pack.mkt is None or warmest is None:
        return None
    return {
        "mkt_mc": warmest.mkt_mc,
        "max_mc": pack.mkt.max_mc,
        "window_s": pack.mkt.window_s,
        "clause": pack.mkt.clause,
        "from": rfc3339(warmest.from_us),
        "known_s": _seconds(warmest.known_us),
        "verdict": warmest.verdict,
        "exceeded": rfc3339_or_none(warmest.exceeded_us),
    }


def _told(pack: RulePack, found: Sequence[Piece], unknown: Iterable[Span]) -> dict[str, Any]:
    """What is known of some time, and how much above each of the pack's thresholds."""
    told = figures(found)
    thresholds = {stage.limit_mc for stage in pack.stages.values()} | {one.above_mc for one in pack.budgets}
    warm = {above_mc: above(found, above_mc) for above_mc in sorted(thresholds)}
    return {
        "decided_on": sorted({piece.kind for piece in found}),
        "known_s": _seconds(told.known_us if told else 0),
        "unknown_s": _seconds(length(unknown)),
        "min_mc": told.min_mc if told else None,
        "max_mc": told.max_mc if told else None,
        "mean_mc": told.mean_mc if told else None,
        "above": [
            {
                "above_mc": above_mc,
                "time_s": _seconds(length(spans)),
                "longest_s": _seconds(max((to_us - from_us for from_us, to_us in spans), default=0)),
            }
            for above_mc, spans in warm.items()
        ],
    }


def _stay(pack: RulePack, stay: Stay, found: Sequence[Piece], end_us: int) -> dict[str, Any]:
    span = stay.from_us, min(stay.to_us, max(end_us, stay.from_us))
    unknown = without([span], joined((piece.from_us, piece.to_us) for piece in found))
    ends = {"from": rfc3339(span[0]), "to": rfc3339(span[1])}
    return {"place": stay.place, **ends, **_told(pack, found, unknown)}


def _seconds(us: int) -> int | float:
    return us // 1_000_000 if us % 1_000_000 == 0 else us / 1_000_000
