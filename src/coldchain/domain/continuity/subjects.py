"""Everything the rules see on one unit, before a fact about another bears it out (domain §3)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from coldchain.domain.boards import board_history
from coldchain.domain.continuity.board import board_changes
from coldchain.domain.continuity.carriage import transloads
from coldchain.domain.continuity.cartons import cartons_in, inner_names, issued_cases, opened, swapped
from coldchain.domain.continuity.contents import History, observe
from coldchain.domain.continuity.counts import drifts
from coldchain.domain.continuity.facts import names_beside, names_board
from coldchain.domain.continuity.legs import Leg, legs, palletised_only
from coldchain.domain.continuity.loose import few_loaded, floor_loaded, loose_case, loose_in_container
from coldchain.domain.continuity.model import InForce, Opportunity, Rules, is_pallet, merged, point_of
from coldchain.domain.continuity.places import Sites
from coldchain.domain.continuity.presence import impossible_travel, off_vehicle, two_parents
from coldchain.domain.continuity.renaming import (
    board_renamed,
    declared_cases,
    declared_gone,
    lots_mixed,
    packed_elsewhere,
)
from coldchain.domain.continuity.sealing import seal_breaks
from coldchain.domain.events import Event, in_force
from coldchain.domain.parties import site_of
from coldchain.domain.seals import seal_history

MAX_SCANNED = 50
"""Cases of one scan that are followed one by one; longer lists are stock, not scans of a case in somebody's hand."""


def _never(place: str) -> int | None:
    return None


@dataclass(frozen=True, slots=True)
class World:
    """What is known beside events."""

    rules: InForce
    sites: Sites = field(default_factory=Sites)
    opened_us: Callable[[str], int | None] = _never
    """When the site of a place made its opening count."""


@dataclass(frozen=True, slots=True)
class Found:
    """What the events say about one unit."""

    history: History
    opportunities: tuple[Opportunity, ...]
    legs: tuple[Leg, ...] = ()
    opened_us: int | None = None
    """Before it, it was stock that nobody had counted yet."""
    strayed: frozenset[str] = frozenset()
    """Cases packed elsewhere, or loaded without a pallet: sightings of them under other parents matter."""


def ties(unit: str, events: Iterable[Event]) -> frozenset[str]:
    """Other names whose events bear on the unit: its cases, its boards, what was in the carton; a case its own."""
    events = list(events)
    if is_pallet(unit):
        boards = {fact.board for fact in board_history(filter(names_board, events)) if fact.load == unit}
        return declared_cases(unit, events) | boards
    if is_followed(unit, events):
        return inner_names(unit, events) | {unit}
    return floor_loaded(unit, events) if unit.startswith("cont:") else frozenset()


def is_followed(unit: str, events: Iterable[Event]) -> bool:
    """A case with a life of its own on record: looked at, unpacked, scanned or loaded by itself, or issued twice. All
    others are followed with their pallets."""
    events = list(events)
    if not unit.startswith("case:"):
        return False
    issues = {event.key for event in events if unit in issued_cases(event)}
    return len(issues) > 1 or any(unit in followed_cases(event) for event in events)


def _followed_among(events: Iterable[Event]) -> frozenset[str]:
    """Every case for which `is_followed` holds."""
    issued: dict[str, int] = {}
    found: set[str] = set()
    for event in events:
        found |= followed_cases(event)
        for case in issued_cases(event):
            issued[case] = issued.get(case, 0) + 1
    return frozenset(found | {case for case, times in issued.items() if times > 1})


def followed_cases(event: Event) -> frozenset[str]:
    """Cases that one event is enough to follow."""
    found = {carton.case for carton in cartons_in(event)}
    scanned = [unit for unit in event.units if unit.startswith("case:")]
    is_scan = event.kind == "ObjectEvent" and event.action == "OBSERVE" and bool(site_of(point_of(event)))
    if is_scan and len(scanned) <= MAX_SCANNED:
        found.update(scanned)
    found.update(few_loaded(event))
    return frozenset(found | ({event.parent} if event.parent.startswith("case:") else set()))


def is_case_tie(name: str) -> bool:
    """Of a tied case only what packs it elsewhere or ends it matters, of anything else every event."""
    return name.startswith("case:")


def bears_on_tied_case(event: Event) -> bool:
    packs = event.kind == "AggregationEvent" and event.action == "ADD"
    return packs or event.kind == "TransformationEvent" or (event.kind == "ObjectEvent" and event.action == "DELETE")


def found_on(unit: str, events: Iterable[Event], world: World) -> Found:
    """The same for any order and repetition of the events. events: those naming the unit, those naming what it is tied
    to, and every sighting of cases that deviate."""
    copies = list(events)
    standing, disputed = in_force(copies)
    known = [event for event in standing if event.key not in disputed]
    mine = [event for event in known if _names(unit, event)]
    if is_pallet(unit):
        return _on_pallet(unit, copies, known, mine, world)
    sites, rules = world.sites, world.rules
    found: list[Opportunity] = []
    if is_followed(unit, copies):
        found += rules.find(lambda one: opened(unit, mine, sites, one))
        found += rules.find(lambda one: swapped(unit, known, one))
        found += rules.find(lambda one: impossible_travel(unit, mine, sites, one))
        found += rules.find(lambda one: loose_case(unit, mine, sites, one))
    elif not unit.startswith("case:"):
        found += rules.find(lambda one: seal_breaks(unit, mine, one))
    if unit.startswith("cont:"):
        found += rules.find(lambda one: impossible_travel(unit, mine, sites, one))
        found += rules.find(lambda one: two_parents(unit, mine, one))
        loose, followed = floor_loaded(unit, mine), _followed_among(known)
        found += rules.find(lambda one: loose_in_container(unit, known, sites, one, followed)) if loose else ()
        return Found(_seal_history(unit, mine), merged(found), strayed=loose)
    return Found(_seal_history(unit, mine), merged(found))


def _on_pallet(unit: str, copies: Sequence[Event], known: list[Event], mine: list[Event], world: World) -> Found:
    sites = world.sites
    first_us = min((event.time_us for event in copies if unit in (event.parent, *event.units)), default=0)
    history = observe(unit, copies, world.rules.at(first_us))
    gone, by_key = declared_gone(unit, known), {event.key: event for event in known}

    def by_tags(rules: Rules) -> Iterable[Opportunity]:
        own = observe(unit, copies, rules).opportunities if len(world.rules) > 1 else history.opportunities
        return (left for it in own if (left := _undeclared(it, gone, by_key)) is not None)

    contents = world.rules.find(by_tags)
    elsewhere = world.rules.find(lambda one: packed_elsewhere(unit, known, one))
    found = [*contents, *elsewhere]
    if any(map(names_board, known)):
        found += world.rules.find(lambda one: board_changes(unit, known, one))
        found += world.rules.find(lambda one: board_renamed(unit, known, one))
    found += world.rules.find(lambda one: lots_mixed(unit, mine, one))
    found += world.rules.find(lambda one: drifts(unit, mine, contents, one))
    found += world.rules.find(lambda one: impossible_travel(unit, mine, sites, one))
    found += world.rules.find(lambda one: two_parents(unit, mine, one))
    found += world.rules.find(lambda one: off_vehicle(unit, mine, sites, one))
    found += world.rules.find(lambda one: seal_breaks(unit, mine, one))
    found += world.rules.find(lambda one: transloads(unit, mine, sites, one))
    unpalletised = legs(unit, mine)
    found = palletised_only(found, unpalletised)
    opened_us = _opening(mine, world)
    if opened_us is not None:
        found = [it for it in found if it.from_us >= opened_us]
    strayed = frozenset(tag for it in elsewhere for tag in (*it.missing, *it.suspected))
    return Found(history, merged(found), unpalletised, opened_us, strayed)


def _names(unit: str, event: Event) -> bool:
    return unit in (event.parent, *event.units, *event.inputs, *event.outputs) or unit in names_beside(event)


def _undeclared(it: Opportunity, gone: Mapping[str, Sequence[int]], events: Mapping[str, Event]) -> Opportunity | None:
    """Without the missing cases that an event packed elsewhere, used up or destroyed meanwhile: that is no silent
    change, and what is wrong with it is another code's."""
    seen = {tag for key in it.why if key in events for tag in events[key].units}
    told = {
        tag
        for tag in {*it.missing, *it.suspected} - seen
        if any(it.from_us <= t_us <= it.end_us for t_us in gone.get(tag, ()))
    }
    if not told:
        return it
    left = it._replace(
        missing=tuple(tag for tag in it.missing if tag not in told),
        suspected=tuple(tag for tag in it.suspected if tag not in told),
    )
    if not (left.extra or left.missing or left.suspected):
        return None
    sure = bool(left.extra or left.missing)
    return left._replace(confirmed=sure, askable=sure and it.askable)


def _opening(events: Sequence[Event], world: World) -> int | None:
    """The opening count of the site where the unit was first recorded, where that was before it."""
    first = next((event for event in events if point_of(event)), None)
    if first is None:
        return None
    opened_us = world.opened_us(point_of(first))
    return opened_us if opened_us is not None and first.time_us < opened_us else None


def _seal_history(unit: str, events: Sequence[Event]) -> History:
    """Of what is no pallet: observed whenever an event names it, known whole where its seal was looked at."""
    seals = tuple(fact.time_us for fact in seal_history(events) if fact.unit == unit and fact.state in ("", "intact"))
    times = tuple(sorted({event.time_us for event in events}))
    return History(unit, times, tuple(sorted(set(seals))), (), (), frozenset())
