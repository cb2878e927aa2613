"""P3 and P4: cases of one load under another without its having been said where they come from (domain §3).

What reads alone show is P2's. This is about declarations: a party packs onto one load what another still holds.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from coldchain.domain.boards import OFF, board_history
from coldchain.domain.containment import takes_all
from coldchain.domain.continuity.links import is_linked
from coldchain.domain.continuity.looks import Look, changes_of
from coldchain.domain.continuity.model import Opportunity, Rules, is_pallet, point_of
from coldchain.domain.events import Event


@dataclass(slots=True)
class _Taken:
    """Cases of this load that an event packed onto another."""

    to_us: int
    from_us: int
    holder: str
    tags: set[str]
    whole: int
    """How many it held at that moment."""
    why: list[str]
    points: set[str] = field(default_factory=set)


def packed_elsewhere(unit: str, events: Sequence[Event], rules: Rules) -> Iterable[Opportunity]:
    """events: those naming the unit, and those naming its cases elsewhere, in order of time."""
    for other, taken in sorted(_taken(unit, events).items()):
        if not taken.tags or is_linked(events, (unit, *sorted(taken.tags)), other):
            continue
        most = 2 * len(taken.tags) > taken.whole
        sure = len(taken.points) > 1
        yield Opportunity(
            code="P3" if most else "P4",
            subject=unit,
            channel=other,
            from_us=taken.from_us,
            to_us=taken.to_us,
            confirmed=sure,
            askable=sure,
            lacks="" if sure else "a second read point or a scan that shows the cases under the other number",
            missing=tuple(sorted(taken.tags)) if sure else (),
            suspected=() if sure else tuple(sorted(taken.tags)),
            units=(other,),
            holder=taken.holder,
            why=tuple(sorted(set(taken.why))),
            seen=(f"{len(taken.tags)} of {taken.whole} cases are packed onto {other}, which is not linked to it",),
        )


def declared_cases(unit: str, events: Iterable[Event]) -> frozenset[str]:
    """Every case an event ever packed onto the unit: events naming one of them bear on its verdicts."""
    return frozenset(
        tag
        for event in events
        if event.parent == unit and event.kind == "AggregationEvent" and event.action == "ADD"
        for tag in event.units
        if tag.startswith("case:")
    )


def declared_gone(unit: str, events: Iterable[Event]) -> dict[str, tuple[int, ...]]:
    """When events packed a case onto another load, used it up or ended it, case by case."""
    gone: dict[str, list[int]] = {}
    for event in events:
        ended = event.kind == "ObjectEvent" and event.action == "DELETE"
        packed = event.kind == "AggregationEvent" and event.action == "ADD" and event.parent != unit
        if ended or packed or event.inputs:
            for tag in (*event.inputs, *(event.units if ended or packed else ())):
                if tag.startswith("case:"):
                    gone.setdefault(tag, []).append(event.time_us)
    return {tag: tuple(times) for tag, times in gone.items()}


def _taken(unit: str, events: Sequence[Event]) -> dict[str, _Taken]:
    held: set[str] = set()
    found: dict[str, _Taken] = {}
    from_us, holder, last_key = 0, "", ""
    for event in events:
        if event.parent == unit:
            if event.kind == "AggregationEvent":
                _fold(held, event)
                _seen_here(found, event)
            from_us, holder, last_key = event.time_us, event.by, event.key
        elif event.kind == "TransformationEvent" or (event.kind == "ObjectEvent" and event.action == "DELETE"):
            held.difference_update((*event.inputs, *event.units))
        elif event.kind == "AggregationEvent" and is_pallet(event.parent):
            tags = held.intersection(event.units)
            known = found.get(event.parent)
            if event.action == "ADD" and tags:
                if known is None:
                    known = found[event.parent] = _Taken(
                        event.time_us, from_us, holder, set(), len(held), [last_key] if last_key else []
                    )
                known.tags |= tags
                held -= tags
            if known is not None and event.action != "DELETE" and known.tags.intersection(event.units):
                known.points.add(f"packed {event.key}" if event.action == "ADD" else point_of(event))
                known.why.append(event.key)
    return found


def _fold(held: set[str], event: Event) -> None:
    if event.action == "ADD":
        held.update(tag for tag in event.units if tag.startswith("case:"))
    elif takes_all(event):
        held.clear()
    elif event.action == "DELETE":
        held.difference_update(event.units)


def _seen_here(found: dict[str, _Taken], event: Event) -> None:
    """Read on its own load again: whoever packed it elsewhere misread a tag."""
    if event.action == "OBSERVE":
        for taken in found.values():
            if len(taken.points) < 2:
                taken.tags -= set(event.units)


def lots_mixed(unit: str, events: Sequence[Event], rules: Rules) -> Iterable[Opportunity]:
    """P4: a lot counted on a load that no event put there."""
    looks: dict[str, list[Look]] = {}
    declared: set[str] = set()
    base: Event | None = None
    for event in events:
        lots = {quantity.item for quantity in event.quantities if quantity.item.startswith("lot:")}
        if event.parent != unit or not lots:
            continue
        if event.action == "ADD" or base is None:
            declared |= lots
            base = event
            looks = {}
        elif event.action == "OBSERVE":
            for lot in lots - declared:
                looks.setdefault(lot, [Look(base.time_us, "", "", base.key, base.by)])
            for lot, several in looks.items():
                several.append(Look(event.time_us, lot if lot in lots else "", point_of(event), event.key, event.by))
            if lots <= declared:
                base = event
    for lot, several in sorted(looks.items()):
        for change in changes_of(several)[:1]:
            yield Opportunity(
                code="P4",
                subject=unit,
                channel=lot,
                from_us=change.from_us,
                to_us=change.to_us,
                confirmed=change.confirmed,
                askable=change.confirmed,
                lacks="" if change.confirmed else "a second read point or another party's count that shows the lot",
                units=(lot,),
                holder=change.holder,
                why=tuple(sorted(set(change.why))),
                seen=(f"{lot} is on it, which no event put there",),
            )


def board_renamed(unit: str, events: Sequence[Event], rules: Rules) -> Iterable[Opportunity]:
    """P3: the load's board under a new number. Boards are used again, so it is confirmed only where lot and count under
    the new number are this load's, and at two points."""
    facts = board_history(events)
    mine = [fact for fact in facts if fact.load == unit]
    if not mine or any(fact.act == OFF for fact in mine):
        return
    last = mine[-1]
    ended = any(event.parent == unit and takes_all(event) for event in events)
    goods = _goods(unit, events)
    others = sorted({fact.load for fact in facts if fact.board == last.board and fact.time_us > last.time_us} - {unit})
    for other in others:
        later = [fact for fact in facts if fact.load == other and fact.board == last.board and fact.act != OFF]
        later = [fact for fact in later if fact.time_us > last.time_us]
        if not later or ended or is_linked(events, (unit, last.board), other):
            continue
        points = {fact.point or f"event {fact.key}" for fact in later}
        same = bool(goods) and goods == _goods(other, events)
        sure = same and len(points) > 1
        yield Opportunity(
            code="P3",
            subject=unit,
            channel=other,
            from_us=last.time_us,
            to_us=later[0].time_us,
            confirmed=sure,
            askable=sure,
            lacks="" if sure else "the same lot and count under the new number, at two read points",
            units=(other,),
            holder=last.by,
            why=tuple(sorted({last.key, *(fact.key for fact in later)})),
            seen=(f"its board {last.board} is under {other}",),
        )


def _goods(unit: str, events: Iterable[Event]) -> frozenset[tuple[str, int]]:
    """Lots and amounts as last stated of a unit."""
    stated = [event.quantities for event in events if event.parent == unit and event.quantities]
    return frozenset((quantity.item, quantity.amount_milli) for quantity in stated[-1]) if stated else frozenset()
