"""P2 by count, and P5: what was counted or weighed differs from what was there (domain §3).

One party's figure is a slip until proved otherwise: beyond tolerance it is P5, a suspicion. Two parties who count the
same number, which is not the number that was put there, confirm P2.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any

from coldchain.domain.containment import takes_all
from coldchain.domain.continuity.model import Opportunity, Rules
from coldchain.domain.events import Event

_GRAMS = {"KGM": 1_000, "KG": 1_000, "GRM": 1, "G": 1, "TNE": 1_000_000, "T": 1_000_000}
_LIMIT = 2**53


def count_of(event: Event, unit: str) -> int | None:
    """The cases somebody counted on this unit and no other; None where nobody says."""
    if not _is_about(event, unit):
        return None
    stated = event.extra("count")
    if type(stated) is int and 0 <= stated < _LIMIT:
        return stated
    pieces = [quantity for quantity in event.quantities if not quantity.unit]
    if event.action == "OBSERVE" and event.parent == unit and pieces:
        return sum(quantity.amount_milli for quantity in pieces) // 1_000
    return None


def weight_of(event: Event, unit: str) -> int | None:
    """The gross weight somebody found for this unit, grams."""
    stated = event.extra("grossWeight") if _is_about(event, unit) else None
    if not isinstance(stated, Mapping) or type(stated.get("value")) not in (int, float):
        return None
    try:
        grams = int(Decimal(str(stated["value"])) * _GRAMS.get(str(stated.get("uom", "")).upper(), 0))
    except (InvalidOperation, OverflowError, ValueError):  # NaN and the infinities weigh nothing
        return None
    return grams if 0 < grams < _LIMIT else None


def kept_by_count(unit: str, events: Iterable[Event], disputed: Collection[str]) -> tuple[int, ...]:
    """Moments at which the number of cases was declared for the first time, or counted as it should be, ascending.

    All that can be said of goods without numbers of their own. Two versions of one event leave the number unknown.
    """
    base: int | None = None
    kept: list[int] = []
    for event in events:
        number = count_of(event, unit)
        if event.parent == unit and event.kind == "AggregationEvent" and event.action in ("ADD", "DELETE"):
            before = base
            declared = _declared(base, event) if number is None else number
            base = None if event.key in disputed else declared
            if before is None and base is not None and not kept:
                kept.append(event.time_us)
        elif number is not None and number == base and event.key not in disputed:
            kept.append(event.time_us)
    return tuple(kept)


@dataclass(slots=True)
class _Series:
    """Figures of one kind since the load was last changed by an event."""

    base: int | None = None
    from_us: int = 0
    holder: str = ""
    key: str = ""
    deviating: list[tuple[Event, int]] = field(default_factory=list)

    def rebase(self, figure: int | None, event: Event) -> None:
        self.base, self.from_us, self.holder, self.key = figure, event.time_us, event.by, event.key
        self.deviating = []

    def take(self, event: Event, figure: int, same: bool) -> None:
        if self.base is None:
            self.rebase(figure, event)
        elif same:
            self.from_us, self.holder = event.time_us, event.by
            self.deviating = []
        else:
            self.deviating.append((event, figure))

    def _drift(self) -> int:
        """Which way the figures differ; 0 where they differ among themselves."""
        assert self.base is not None
        ways = {1 if figure > self.base else -1 for _, figure in self.deviating}
        return ways.pop() if len(ways) == 1 else 0

    def opportunity(self, unit: str, code: str, channel: str, seen: str, **more: Any) -> Opportunity:
        return Opportunity(
            code=code,
            subject=unit,
            channel=channel,
            from_us=self.from_us,
            to_us=self.deviating[0][0].time_us,
            holder=self.holder,
            why=tuple(sorted({self.key, *(event.key for event, _ in self.deviating)})),
            seen=(seen,),
            drift=self._drift(),
            **more,
        )


def drifts(unit: str, events: Sequence[Event], found: Sequence[Opportunity], rules: Rules) -> Iterable[Opportunity]:
    """found: the unit's P2 by tags, whose confirmed changes are what a count should show."""
    counts, weights = _Series(), _Series()
    changes = sorted((it.end_us, len(it.extra) - len(it.missing)) for it in found if it.confirmed)
    ended: list[Opportunity] = []
    for event in events:
        while changes and counts.base is not None and changes[0][0] <= event.time_us:
            counts.base += changes.pop(0)[1]
        if event.parent == unit and event.kind == "AggregationEvent" and event.action in ("ADD", "DELETE"):
            ended += [*_judge_counts(unit, counts, rules), *_judge_weights(unit, weights, counts, rules)]
            stated = count_of(event, unit)
            counts.rebase(_declared(counts.base, event) if stated is None else stated, event)
            weights.rebase(weight_of(event, unit), event)
            continue
        if (number := count_of(event, unit)) is not None:
            counts.take(event, number, number == counts.base)
        if (grams := weight_of(event, unit)) is not None:
            weights.take(event, grams, weights.base is None or _within(grams, weights.base, rules, counts.base))
    return [*ended, *_judge_counts(unit, counts, rules), *_judge_weights(unit, weights, counts, rules)]


def _judge_counts(unit: str, counts: _Series, rules: Rules) -> Iterable[Opportunity]:
    base = counts.base
    if base is None or not counts.deviating:
        return
    parties: dict[int, set[str]] = {}
    for event, number in counts.deviating:
        parties.setdefault(number, set()).add(event.by)
    agreed = sorted(number for number, by in parties.items() if len(by) > 1)
    told = ", ".join(f"{number} by {event.by}" for event, number in counts.deviating)
    if agreed:
        yield counts.opportunity(
            unit, "P2", "count", f"{base} cases before, then counted {told}", confirmed=True, askable=True, lacks=""
        )
        return
    tolerance = max(base * rules.drift_per_mille, 1_000 * rules.drift_cases)
    if any(1_000 * abs(number - base) > tolerance for _, number in counts.deviating):
        yield counts.opportunity(
            unit, "P5", "count", f"{base} cases before, then counted {told}", confirmed=False, askable=False,
            lacks="the same count by another party, a case read missing or extra, or a broken seal",
        )  # fmt: skip


def _judge_weights(unit: str, weights: _Series, counts: _Series, rules: Rules) -> Iterable[Opportunity]:
    if weights.base is None or not weights.deviating:
        return
    told = ", ".join(f"{grams} g by {event.by}" for event, grams in weights.deviating)
    yield weights.opportunity(
        unit, "P5", "weight", f"{weights.base} g before, then weighed {told}", confirmed=False, askable=False,
        lacks="a case read missing or extra, another count, or a broken seal",
    )  # fmt: skip


def _within(grams: int, base: int, rules: Rules, cases: int | None) -> bool:
    """Half a percent, or the weight of a case where it is known how many there are."""
    one_case = 1_000 * rules.drift_cases * base // cases if cases else 0
    return 1_000 * abs(grams - base) <= max(base * rules.drift_per_mille, one_case)


def _declared(base: int | None, event: Event) -> int | None:
    """The number after an event that puts cases on or takes them off; None where it cannot be told."""
    if takes_all(event):
        return 0
    pieces = sum(quantity.amount_milli for quantity in event.quantities if not quantity.unit) // 1_000
    cases = sum(name.startswith("case:") for name in event.units) + pieces
    if event.action == "ADD":
        return (base or 0) + cases if cases else None
    return base - cases if base is not None and cases else None


def _is_about(event: Event, unit: str) -> bool:
    return event.parent == unit or (event.units == (unit,) and not event.parent.startswith(("sscc:", "hu:")))
