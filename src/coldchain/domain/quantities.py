"""How much of which goods was in what, when: goods that are counted or weighed instead of named (domain §2).

Amounts are exact where the record says so and otherwise lie between `least` and `most`: before a place's opening count,
where two versions of one event disagree, where a count differs from what was put in. The truth lies inside. Each goods
and each unit of measure is a line of its own; cases are never computed from kilograms.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import NamedTuple

from coldchain.domain.containment import takes_all
from coldchain.domain.events import Event, in_force
from coldchain.domain.identifiers import IdentifierError, subject_name

IN, OPENING, COUNT, FROM, OUT, EMPTIED = "in", "opening", "count", "from", "out", "emptied"
ACTS = (IN, OPENING, COUNT, FROM, OUT, EMPTIED)
"""In the order in which steps of one instant are taken, that of events (`domain.events.in_force`). `opening`: all there
was counted. `from`: an event that puts goods elsewhere names this unit as where they came from (`linkedFrom`)."""
COUNTS = (OPENING, COUNT)
PLACES = ("room:", "loc:")
"""What holds goods before anybody counts them: unknown until the opening count (domain §2)."""
_COUNTING = {"stock_taking": OPENING, "cycle_counting": COUNT}
"""CBV 2.0 §7.1: stock taking counts everything at a place, cycle counting a part of it."""


MOST_MILLI = 2**62
"""More than this of anything is nobody's stock; databases keep 2^63."""


class Step(NamedTuple):
    """What one event does to one line."""

    parent: str
    item: str
    """A `lot:` or `code:` name; "" with `emptied`: every line of the parent."""
    measure: str
    """UN/ECE code such as `KGM`; "" for pieces, that is cases."""
    time_us: int
    act: str
    amount_milli: int
    """Thousandths; 0 where `in` and `out` do not say how much."""
    maybe: bool
    """Of a disputed event, or one of several units the goods may have come from: it happened in part or not at all."""
    key: str


class Amount(NamedTuple):
    """Between `least_milli` and `most_milli` of the goods were in `parent` during [from_us, to_us)."""

    parent: str
    item: str
    measure: str
    from_us: int
    to_us: int | None
    least_milli: int
    most_milli: int | None
    """None: nobody can tell."""
    why: tuple[str, ...]

    def holds(self, t_us: int) -> bool:
        return self.from_us <= t_us and (self.to_us is None or t_us < self.to_us)


class Fault(NamedTuple):
    """A statement about goods that the statements before it do not allow."""

    rule: str
    """`more-out-than-in` or `count-differs`."""
    parent: str
    item: str
    measure: str
    from_us: int
    """Since when the amount it contradicts was believed."""
    to_us: int
    """When it was stated."""
    stated_milli: int
    least_milli: int
    most_milli: int | None
    why: tuple[str, ...]


def steps_of(events: Iterable[Event]) -> tuple[Step, ...]:
    """What the events that stand do to which lines, sorted; the same for any order and repetition of the events.

    Withdrawn events do nothing; of a disputed one each version may have happened, or none.
    """
    standing, disputed = in_force(events)
    sure: list[Step] = []
    versions: dict[tuple[str, str], list[Step]] = {}
    for event in standing:
        if event.key in disputed:
            versions.setdefault((event.by, event.event_id), []).extend(_summed(_steps(event)))
        else:
            sure += _summed(_steps(event))
    return tuple(sorted([*sure, *(step for several in versions.values() for step in _either(several))]))


def linked_from(event: Event) -> tuple[str, ...]:
    """The units the event says its goods came from, sorted; what is no identifier is passed over."""
    stated = event.extra("linkedFrom")
    names = set()
    for text in stated if isinstance(stated, list) else [stated]:
        try:
            names.add(subject_name(text) if isinstance(text, str) and text else "")
        except IdentifierError:
            continue
    return tuple(sorted(names - {"", event.parent}))


def recorded_since(steps: Iterable[Step]) -> dict[str, int]:
    """By parent: from when its contents are on record, all lines that begin later beginning at nothing."""
    found: dict[str, int] = {}
    for step in steps:
        if step.act == beginning(step.parent) and not step.maybe:
            found[step.parent] = min(found.get(step.parent, step.time_us), step.time_us)
    return found


def beginning(parent: str) -> str:
    """The act from which on what the parent holds is on record: a place's opening count, the first goods put into a
    pallet, container or vehicle."""
    return OPENING if parent.startswith(PLACES) else IN


def fold(steps: Iterable[Step], since: Mapping[str, int]) -> tuple[tuple[Amount, ...], tuple[Fault, ...]]:
    """Amounts and faults of each line, sorted; the same for any order and repetition of the steps.

    steps: all those of each line meant, `emptied` ones of its parent included. since: `recorded_since` of all steps of
    their parents.
    """
    lines: dict[tuple[str, str, str], list[Step]] = {}
    emptied: dict[str, list[Step]] = {}
    for step in set(steps):
        if step.act == EMPTIED:
            emptied.setdefault(step.parent, []).append(step)
        else:
            lines.setdefault(step[:3], []).append(step)
    amounts: list[Amount] = []
    faults: list[Fault] = []
    for (parent, item, measure), own in lines.items():
        line = _Line(parent, item, measure, since.get(parent))
        line.follow([*own, *emptied.get(parent, ())])
        amounts += line.amounts
        faults += line.faults
    return tuple(sorted(amounts, key=_by_line)), tuple(sorted(faults, key=lambda fault: fault[:7]))


def _by_line(amount: Amount) -> tuple[str, str, str, int]:
    return amount[:4]


def _steps(event: Event) -> Iterable[Step]:
    for act, parent in _acts(event):
        for quantity in event.quantities:
            if not quantity.role and (quantity.amount_milli >= 0 or act not in COUNTS):
                amount = max(0, quantity.amount_milli)
                yield Step(parent, quantity.item, quantity.unit, event.time_us, act, amount, False, event.key)
    if event.action == "ADD" and event.kind in _GROUPING and event.parent:
        origins = linked_from(event)
        for origin in origins:
            for q in event.quantities:
                yield Step(
                    origin, q.item, q.unit, event.time_us, FROM, max(0, q.amount_milli), len(origins) > 1, event.key
                )
    for unit in _ended(event):
        yield Step(unit, "", "", event.time_us, EMPTIED, 0, False, event.key)


_GROUPING = ("AggregationEvent", "AssociationEvent")


def _acts(event: Event) -> Iterable[tuple[str, str]]:
    """What the event does to the goods it counts, and where. What is shipped, received or sold passes between parties;
    what was put in or taken out is said by aggregation alone, as of units with a serial number."""
    if event.kind in _GROUPING and event.parent:
        counting = _COUNTING.get(event.biz_step, COUNT)
        if event.action == "ADD" and counting == OPENING and event.parent.startswith(PLACES):
            yield OPENING, event.parent
        else:
            yield {"ADD": IN, "DELETE": OUT, "OBSERVE": counting}[event.action], event.parent
    elif event.kind == "ObjectEvent" and (place := event.location or event.read_point):
        act = {"DELETE": OUT, "OBSERVE": _COUNTING.get(event.biz_step)}.get(event.action)
        if act:
            yield act, place


def _ended(event: Event) -> Iterable[str]:
    """Units whose content, if it was counted, went with them."""
    gone: tuple[str, ...] = ()
    if event.kind in _GROUPING and takes_all(event):
        gone = (event.parent,)
    elif event.kind == "TransformationEvent":
        gone = event.inputs
    elif event.kind == "ObjectEvent" and event.action == "DELETE":
        gone = event.units
    return (unit for unit in gone if unit and not unit.startswith(("case:", "lot:", "code:")))


def _summed(steps: Iterable[Step]) -> list[Step]:
    """One step a line: an event may list the same goods twice, a pallet of two dates."""
    found: dict[Step, list[int]] = {}
    for step in steps:
        found.setdefault(step._replace(amount_milli=0), []).append(step.amount_milli)
    return [
        step._replace(amount_milli=min(sum(several), MOST_MILLI) if all(several) else 0)
        for step, several in found.items()
    ]


def _either(versions: Sequence[Step]) -> list[Step]:
    """The most that any version of a disputed event does to a line, at the earliest time one states."""
    found: dict[tuple[str, str, str, str], list[Step]] = {}
    for step in versions:
        found.setdefault((step.parent, step.item, step.measure, step.act), []).append(step)
    merged = []
    for several in found.values():
        if several[0].act in COUNTS:
            merged += [step._replace(maybe=True) for step in several]
            continue
        amounts = [step.amount_milli for step in several]
        first = min(several, key=lambda step: (step.time_us, step.key))
        merged.append(first._replace(amount_milli=max(amounts) if all(amounts) else 0, maybe=True))
    return merged


@dataclass
class _Line:
    """One goods in one parent, at the time the fold has reached.

    What left it was stated by whoever took it out (`out`) and by whoever put it elsewhere (`from`). Both may speak of
    the same goods, so what left lies between the larger of the two sums and both together.
    """

    parent: str
    item: str
    measure: str
    known_us: int | None
    least: int = 0
    most: int | None = None
    taken: int = 0
    claimed: int = 0
    since_us: int = 0
    amounts: list[Amount] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)

    def follow(self, steps: Iterable[Step]) -> None:
        ordered = sorted(steps, key=lambda step: (step.time_us, ACTS.index(step.act), step))
        for time_us, together in groupby(ordered, key=lambda step: step.time_us):
            if self.known_us is not None and time_us >= self.known_us and not self.amounts:
                self.most = 0  # nothing of it was in before the contents went on record
            now = list(together)
            paired = self._paired(now)
            for step in now:
                if step.act in COUNTS:
                    self._count(step, alone=len(now) == 1)
                elif step not in paired:
                    self._take(step)
                elif step.act == OUT:
                    self._take_out(step, settled=True)
            if any(step.act != EMPTIED for step in now) or (self.amounts and self._range() != self.amounts[-1][5:7]):
                self._note(time_us, tuple(sorted({step.key for step in now})))

    def _paired(self, now: Sequence[Step]) -> set[Step]:
        """Of steps of one instant: each `from` that is the other half of an `out` of as much, and that `out`."""
        outs = [step for step in now if step.act == OUT and not step.maybe]
        paired: set[Step] = set()
        for step in now:
            if step.act == FROM and not step.maybe:
                half = next((out for out in outs if out.amount_milli == step.amount_milli and out not in paired), None)
                paired |= {step, half} if half else set()
        return paired

    def _range(self) -> tuple[int, int | None]:
        gone = max(self.taken, self.claimed)
        return self.least - self.taken - self.claimed, None if self.most is None else self.most - gone

    def _fix(self, least: int, most: int | None) -> None:
        self.least, self.most, self.taken, self.claimed = least, most, 0, 0

    def _take(self, step: Step) -> None:
        if step.act == IN:
            self._put_in(step)
        elif step.act == EMPTIED:
            self._fix(0, self._range()[1] if step.maybe else 0)
        elif step.maybe or not step.amount_milli:
            least, most = self._range()
            self._fix(max(0, least - step.amount_milli) if step.amount_milli else 0, most)
        else:
            self._take_out(step)

    def _put_in(self, step: Step) -> None:
        if not step.maybe:
            self.least = min(self.least + step.amount_milli, MOST_MILLI)
        if self.most is not None:
            most = self.most + step.amount_milli
            self.most = most if step.amount_milli and most <= MOST_MILLI else None

    def _take_out(self, step: Step, settled: bool = False) -> None:
        """settled: giver and taker stated it at one instant, so it is no other removal's second half."""
        before = self._range()
        if settled:
            self.least -= step.amount_milli
            self.most = None if self.most is None else self.most - step.amount_milli
        elif step.act == OUT:
            self.taken += step.amount_milli
        else:
            self.claimed += step.amount_milli
        self.least = max(self.least, self.taken + self.claimed)
        most = self._range()[1]
        if most is not None and most < 0:
            self._fault("more-out-than-in", step, before)
            self._fix(0, 0)

    def _count(self, step: Step, alone: bool) -> None:
        least, most = self._range()
        counted = step.amount_milli
        if step.maybe:
            self._fix(min(least, counted), None if most is None else max(most, counted))
            return
        first = step.act == OPENING and not self.amounts  # an opening count may come in several parts
        if not first and (counted < least or (most is not None and most < counted)):
            self._fault("count-differs", step, (least, most))
            if alone:
                self._widen(step)
        self._fix(counted, counted)

    def _fault(self, rule: str, step: Step, before: tuple[int, int | None]) -> None:
        """Of several at one instant the largest statement stands for all."""
        from_us = self.since_us if self.amounts else step.time_us
        why = (*(self.amounts[-1].why if self.amounts else ()), step.key)
        same = (rule, self.parent, self.item, self.measure, from_us, step.time_us)
        found = Fault(*same, step.amount_milli, *before, why)
        if self.faults and self.faults[-1][:6] == same:
            last = self.faults.pop()
            found = max(last, found, key=lambda fault: fault.stated_milli)._replace(why=(*last.why, *why))
        self.faults.append(found._replace(why=tuple(dict.fromkeys(found.why))))

    def _widen(self, step: Step) -> None:
        """It changed at some moment since the statement before; nobody knows when."""
        if self.amounts:
            last = self.amounts[-1]
            most = None if last.most_milli is None else max(last.most_milli, step.amount_milli)
            why = tuple(dict.fromkeys((*last.why, step.key)))
            self.amounts[-1] = last._replace(
                least_milli=min(last.least_milli, step.amount_milli), most_milli=most, why=why
            )

    def _note(self, time_us: int, why: tuple[str, ...]) -> None:
        least, most = self._range()
        last = self.amounts[-1] if self.amounts else None
        self.since_us = time_us
        if last is not None:
            self.amounts[-1] = last._replace(to_us=time_us)
        self.amounts.append(Amount(self.parent, self.item, self.measure, time_us, None, least, most, why))
