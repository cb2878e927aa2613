"""B4: goods change container, trailer or vehicle outside a permitted place (domain §3)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from coldchain.domain.continuity.looks import Change, Look, changes_of
from coldchain.domain.continuity.model import Opportunity, Rules, is_carrier, point_of
from coldchain.domain.continuity.places import Sites
from coldchain.domain.events import Event
from coldchain.domain.identifiers import IdentifierError, subject_name


class Carriage(NamedTuple):
    """What the goods ride in, as far as it is stated."""

    container: str
    trailer: str
    vehicle: str

    def told(self) -> str:
        return ", ".join(name for name in self if name)


def same_carriage(one: Carriage, other: Carriage) -> bool:
    """Compared by the innermost thing either states: a container stays itself on another truck, a trailer behind
    another tractor. What only one of them states contradicts nothing."""
    for mine, theirs in zip(one, other, strict=True):
        if mine or theirs:
            return not (mine and theirs) or mine == theirs
    return True


def transloads(unit: str, events: Sequence[Event], sites: Sites, rules: Rules) -> Iterable[Opportunity]:
    """Silent changes, confirmed by a second statement; and declared ones at a place where that is not done.

    Taken off and put on at a registered site is how freight moves; at a place nobody registered it is unobserved.
    """
    mine = [event for event in events if unit in event.units or event.parent == unit]
    for change in changes_of(_looks(unit, mine, sites, rules), same_carriage):
        yield _opportunity(unit, change, "", "a second statement of what it rides in", confirmed=change.confirmed)
    yield from _off_site(unit, mine, sites)


def carriage_of(event: Event, unit: str) -> Carriage | None:
    """What this event says the unit rides in."""
    trailer, vehicle = (_vehicle(event.extra(name)) for name in ("trailer", "vehicle"))
    parent = event.parent if unit in event.units else ""
    container = parent if parent.startswith("cont:") else ""
    if parent.startswith("veh:") and parent != trailer:
        vehicle = vehicle or parent
    found = Carriage(container, trailer, vehicle)
    return found if any(found) else None


def _vehicle(stated: object) -> str:
    """The vehicle's name, in any spelling and as the bare registry id; "" for what names none."""
    if not isinstance(stated, str) or not stated:
        return ""
    try:
        name = subject_name(stated if ":" in stated else f"veh:{stated}")
    except IdentifierError:
        return ""
    return name if name.startswith("veh:") else ""


def _looks(unit: str, events: Sequence[Event], sites: Sites, rules: Rules) -> Iterable[Look]:
    removals = [(e.time_us, e.parent) for e in events if e.action == "DELETE" and is_carrier(e.parent)]
    riding: Carriage | None = None
    for event in events:
        carriage = carriage_of(event, unit)
        put_down = _may_change_hands(unit, event, sites) or _about_to_leave(riding, event.time_us, removals, rules)
        if put_down and (carriage is None or event.action == "ADD"):
            yield Look(event.time_us, None, "", event.key, event.by)
            riding = None
        if carriage is not None:
            yield Look(event.time_us, carriage, f"event {event.key}", event.key, event.by)
            riding = carriage
            if event.action == "DELETE" and is_carrier(event.parent):
                yield Look(event.time_us, None, "", event.key, event.by)
                riding = None


def _may_change_hands(unit: str, event: Event, sites: Sites) -> bool:
    """Put down, or seen, at a place where goods may be moved; any place will do where none is registered."""
    place = next((p for p in (event.parent, point_of(event)) if p.startswith(("loc:", "room:"))), "")
    return bool(place) and (not sites.known(event.time_us) or sites.permitted(place, event.time_us))


def _about_to_leave(riding: Carriage | None, t_us: int, removals: Sequence[tuple[int, str]], rules: Rules) -> bool:
    """Loaded before it was unloaded, by two clocks that differ: told in the other order it is no change."""
    return riding is not None and any(t_us < at <= t_us + rules.clock_us and name in riding for at, name in removals)


def _off_site(unit: str, events: Sequence[Event], sites: Sites) -> Iterable[Opportunity]:
    off: Event | None = None
    before: Carriage | None = None
    for event in events:
        carriage = carriage_of(event, unit)
        if carriage is None:
            continue
        if event.action == "DELETE" and is_carrier(event.parent):
            off, before = event, carriage
        elif event.action == "ADD" and off is not None and before is not None:
            if not same_carriage(before, carriage):
                yield from _judged_place(unit, off, before, event, carriage, sites)
            off = before = None


def _judged_place(
    unit: str, off: Event, before: Carriage, on: Event, after: Carriage, sites: Sites
) -> Iterable[Opportunity]:
    place = next((p for p in (point_of(on), point_of(off)) if p.startswith(("loc:", "room:"))), "")
    if not place or not sites.known(on.time_us) or sites.permitted(place, on.time_us):
        return
    registered = sites.registered(place, on.time_us)
    change = Change(before, after, off.time_us, on.time_us, off.by, [off.key, on.key])
    yield _opportunity(unit, change, place, "a registered place: nothing is known of this one", confirmed=registered)


def _opportunity(unit: str, change: Change, place: str, lacks: str, *, confirmed: bool) -> Opportunity:
    return Opportunity(
        code="B4",
        subject=unit,
        channel=place,
        from_us=change.from_us,
        to_us=change.to_us,
        confirmed=confirmed,
        askable=confirmed,
        lacks="" if confirmed else lacks,
        units=tuple(sorted({name for name in (*change.before, *change.after) if name})),
        places=(place,) if place else (),
        holder=change.holder,
        why=tuple(sorted(set(change.why))),
        seen=(f"rode in {change.before.told()}, then in {change.after.told()}",),
    )
