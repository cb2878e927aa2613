"""B4 and P6 of goods that ride without a pallet, as far as they are known one by one (domain §3)."""

from __future__ import annotations

import pytest

from continuity.facts import (
    BOX,
    BOX2,
    DOCK,
    GATE,
    OUT,
    STORE,
    TRUCK,
    TRUCK2,
    S,
    case,
    cases,
    load,
    pack,
    scan,
    seen_in,
    unload,
)
from continuity.facts import site as registered
from continuity.telling import FourForms, Story
from continuity.world import World

MANY = cases(*range(1, 81))

STORIES = (
    Story(
        "cases loaded into one truck come out of another",
        "B4",
        case(1),
        [load(1, TRUCK, *cases(1, 2)), seen_in(4, TRUCK2, case(1)), unload(6, TRUCK2, case(1), at=DOCK)],
        "E7",
        "vehicle_to",
        [
            load(1, TRUCK, *cases(1, 2)),
            seen_in(4, TRUCK2, case(1)),
            unload(6, TRUCK, *cases(1, 2), at=DOCK),
        ],  # a list of the truck beside it, once
    ),
    Story(
        "floor-loaded cases of one container come out of another",
        "B4",
        BOX,
        [load(1, BOX, *MANY), load(4, BOX2, *MANY[:60]), unload(6, BOX2, *MANY[:60], at=DOCK)],
        "E7",
        "count",
        [
            load(1, BOX, *MANY),
            unload(4, BOX, *MANY, at=OUT),
            load(5, BOX2, *MANY[:60], at=OUT),
            unload(6, BOX2, *MANY[:60], at=DOCK),
        ],  # devanned and stuffed again, said so where anything may be moved
    ),
    Story(
        "floor-loaded cases in two containers by turns",
        "P6",
        BOX,
        [
            load(1, BOX, *MANY),
            seen_in(2, BOX2, *MANY[:3]),
            seen_in(3, BOX, *MANY[:3]),
            seen_in(4, BOX2, *MANY[:3]),
        ],
        "E11",
        "count_after",
        [load(1, BOX, *MANY), seen_in(2, BOX2, *MANY[:3]), seen_in(3, BOX, *MANY[:3])],  # one misread
    ),
    Story(
        "a loose case in two trucks by turns",
        "P6",
        case(1),
        [load(1, TRUCK, case(1)), seen_in(2, TRUCK2, case(1)), seen_in(3, TRUCK, case(1)), seen_in(4, TRUCK2, case(1))],
        "E11",
        "count_before",
        [load(1, TRUCK, case(1)), seen_in(2, TRUCK2, case(1)), seen_in(3, TRUCK, case(1))],
    ),
)


@pytest.mark.parametrize("story", STORIES, ids=[f"{story.code} {story.title}" for story in STORIES])
class TestStories(FourForms):
    pass


def test_what_many_cases_show_alike_is_one_question_that_names_them(worlds: type[World]) -> None:
    world = worlds()
    world.record(*STORIES[1].broken)
    world.settle()
    (found,) = world.verdicts("B4")
    assert (found.subject, found.state, len(found.detail["missing"])) == (BOX, "asked", 60)
    assert "60 cases without a pallet" in found.detail["seen"]


def test_on_a_pallet_they_are_followed_with_it(worlds: type[World]) -> None:
    world = worlds()
    on_pallet = [pack(2, S, *range(1, 61)), load(2.5, TRUCK2, S), unload(6, TRUCK2, S, at=DOCK)]
    world.record(load(1, BOX, *MANY), unload(1.8, BOX, *MANY, at=OUT), *on_pallet)
    world.record(seen_in(4, TRUCK2, *MANY[:60]), scan(7, STORE, S))
    assert world.verdicts("B4") == []


def test_two_cities_within_the_hour_are_impossible_for_floor_loaded_cases_too(worlds: type[World]) -> None:
    world = worlds()
    world.record(
        registered("w1", "cold-store", lat=31.2, lon=121.5),
        registered("w2", "cold-store", lat=23.1, lon=113.3, org="w2"),
    )
    world.record(load(1, BOX, *MANY, at=OUT), scan(1.2, GATE, *MANY[:60]), scan(1.4, DOCK, *MANY[:60], by="w2"))
    world.record(scan(1.6, STORE, *MANY[:60], by="w2"))
    world.settle()
    assert [(one.code, one.subject, one.state) for one in world.verdicts("P6", BOX)] == [("P6", BOX, "asked")]


def test_a_case_that_is_followed_by_itself_is_not_asked_about_twice(worlds: type[World]) -> None:
    world = worlds()
    world.record(*STORIES[1].broken, scan(7, DOCK, case(1)), scan(7.5, STORE, case(1)))
    world.settle()
    assert [(one.code, one.subject) for one in world.verdicts()] == [("B4", BOX)]
