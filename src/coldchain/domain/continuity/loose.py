"""B4 and P6 of cases that ride without a pallet, as far as they are known one by one (domain §3).

Floor-loaded cases of a container are judged together, as the container's: one question about all that turned up
elsewhere, not one about each. A few cases in a vehicle are followed one by one. On a pallet they are the pallet's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set

from coldchain.domain.continuity.carriage import transloads
from coldchain.domain.continuity.model import Opportunity, Rules, is_carrier, is_pallet
from coldchain.domain.continuity.places import Sites
from coldchain.domain.continuity.presence import impossible_travel, two_parents
from coldchain.domain.events import Event

FEW = 50
"""Cases of one event in a vehicle that are followed one by one."""


def few_loaded(event: Event) -> tuple[str, ...]:
    """Cases that the event loads into a vehicle without a pallet, where they are few."""
    if event.action != "ADD" or not event.parent.startswith("veh:"):
        return ()
    cases = tuple(unit for unit in event.units if unit.startswith("case:"))
    return cases if len(cases) <= FEW else ()


def floor_loaded(container: str, events: Iterable[Event]) -> frozenset[str]:
    """Every case that was ever put into the container without a pallet."""
    loads = (event for event in events if event.parent == container and event.action == "ADD")
    return frozenset(unit for event in loads for unit in event.units if unit.startswith("case:"))


def loose_case(case: str, events: Sequence[Event], sites: Sites, rules: Rules) -> Iterable[Opportunity]:
    """What is wrong with the carriage of one case while it rides in vehicles without a pallet."""
    for ride in _rides(case, events):
        if _container(ride):
            continue  # judged with the container
        yield from transloads(case, ride, sites, rules)
        yield from two_parents(case, ride, rules)


def loose_in_container(
    container: str,
    events: Sequence[Event],
    sites: Sites,
    rules: Rules,
    followed: Set[str],
) -> Iterable[Opportunity]:
    """The same of all cases that were in this container first, and travel faster than possible of those that are not
    followed one by one; what several of them show alike is one opportunity of the container."""
    alike: dict[tuple[str, str, bool], list[Opportunity]] = {}
    for cases, own in _told_alike(floor_loaded(container, events), events, followed):
        for ride in _rides(cases[0], own):
            if _container(ride) != container:
                continue
            found = [*transloads(cases[0], ride, sites, rules), *two_parents(cases[0], ride, rules)]
            if cases[0] not in followed:
                found += impossible_travel(cases[0], ride, sites, rules)
            for it in found:
                lane = it.code, it.channel or " ".join(it.units), it.confirmed
                alike.setdefault(lane, []).extend(it._replace(subject=case) for case in cases)
    return _grouped(container, alike)


def _told_alike(
    cases: Set[str], events: Iterable[Event], followed: Set[str]
) -> Iterable[tuple[list[str], tuple[Event, ...]]]:
    """Cases that the same events name, and these: a container has a thousand cases, and few events tell of each."""
    naming: dict[str, list[Event]] = {case: [] for case in sorted(cases)}
    for event in events:
        for unit in (*event.units, *event.inputs):
            if unit in naming:
                naming[unit].append(event)
    groups: dict[tuple[bool, tuple[str, ...]], tuple[list[str], tuple[Event, ...]]] = {}
    for case, own in naming.items():
        key = case in followed, tuple(event.key for event in own)
        groups.setdefault(key, ([], tuple(own)))[0].append(case)
    return groups.values()


def _grouped(container: str, alike: Mapping[tuple[str, str, bool], Sequence[Opportunity]]) -> Iterable[Opportunity]:
    for (_, channel, sure), its in sorted(alike.items()):
        first = min(its)
        cases = tuple(sorted({it.subject for it in its}))
        yield first._replace(
            subject=container,
            channel=f"cases {channel}",
            from_us=min(it.from_us for it in its),
            to_us=max(it.end_us for it in its),
            missing=cases if sure else (),
            suspected=() if sure else cases,
            units=tuple(sorted({name for it in its for name in it.units} - {container})),
            why=tuple(sorted({key for it in its for key in it.why})),
            seen=(f"{len(cases)} cases without a pallet", *sorted({told for it in its for told in it.seen})),
        )


def _container(ride: Iterable[Event]) -> str:
    """The container it was in first, whose question it is; "" where it was in none."""
    return next((event.parent for event in ride if event.parent.startswith("cont:")), "")


def _rides(case: str, events: Iterable[Event]) -> Iterable[list[Event]]:
    """What is said of the case from when it is put into a vehicle or container until it is packed or used up."""
    ride: list[Event] = []
    for event in events:
        named = case in event.units
        if named and event.action == "ADD" and is_carrier(event.parent):
            ride.append(event)
        elif case in event.inputs or (named and event.action == "ADD" and is_pallet(event.parent)):
            yield from [ride] if ride else []
            ride = []
        elif named and ride and not is_pallet(event.parent):
            ride.append(event)
    yield from [ride] if ride else []
