"""The rules and a plain second reading of them see the same in small random worlds, whatever the order of events."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from coldchain.domain.continuity import Opportunity, Rules
from coldchain.domain.continuity.board import board_changes
from coldchain.domain.continuity.carriage import transloads
from coldchain.domain.continuity.cartons import opened, swapped
from coldchain.domain.continuity.counts import drifts
from coldchain.domain.continuity.model import merged
from coldchain.domain.continuity.places import Sites
from coldchain.domain.continuity.presence import off_vehicle, two_parents
from coldchain.domain.continuity.renaming import packed_elsewhere
from coldchain.domain.continuity.sealing import seal_breaks
from coldchain.domain.events import Event
from continuity import reference as plain
from continuity.facts import BOX, TRUCK, S, T, U, case
from continuity.networks import events_of
from exploring import examples

RULES, SITES = Rules(), Sites()
Rule = Callable[[str, list[Event]], Iterable[Opportunity]]
Reading = Callable[[list[Event], str], list[plain.Break]]
LOADS, CASES = (S, T, U), (case(1), case(2))

READINGS: dict[str, tuple[tuple[str, ...], Rule, Reading]] = {
    "P1": (LOADS, lambda unit, events: board_changes(unit, events, RULES), plain.boards_changed),
    "P3 P4": (LOADS, lambda unit, events: packed_elsewhere(unit, events, RULES), plain.packed_onto_others),
    "P2 P5": (LOADS, lambda unit, events: drifts(unit, _naming(unit, events), (), RULES), plain.drifted),
    "P6": ((*LOADS, BOX), lambda unit, events: two_parents(unit, events, RULES), plain.in_two_parents),
    "P7": (LOADS, lambda unit, events: off_vehicle(unit, events, SITES, RULES), plain.off_its_vehicle),
    "B1": (CASES, lambda unit, events: opened(unit, _naming(unit, events), SITES, RULES), plain.cartons_opened),
    "B2": (CASES, lambda unit, events: swapped(unit, events, RULES), plain.cartons_swapped),
    "B3": ((S, BOX, TRUCK), lambda unit, events: seal_breaks(unit, events, RULES), plain.seals_broken),
    "B4": (LOADS, lambda unit, events: transloads(unit, events, SITES, RULES), plain.transloaded),
}


def _naming(unit: str, events: list[Event]) -> list[Event]:
    return [event for event in events if unit in (event.parent, *event.units)]


@settings(
    max_examples=examples(300), deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
@given(facts=events_of(), seed=st.integers(0, 2**32))
def test_both_readings_see_the_same(facts: list[plain.Recorded], seed: int) -> None:
    shuffled = list(facts)
    random.Random(seed).shuffle(shuffled)
    events = plain.history([*shuffled, *shuffled[:3]])
    for name, (units, rule, reading) in READINGS.items():
        for unit in units:
            seen = {(it.code, it.channel, it.from_us, it.end_us, it.confirmed) for it in merged(rule(unit, events))}
            assert seen == {(it.code, it.channel, it.from_us, it.to_us, it.sure) for it in reading(events, unit)}, name
