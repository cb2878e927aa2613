"""A count or weight that differs is more than a slip where the scale underneath shows the same (domain §3, P5)."""

from __future__ import annotations

import pytest

from coldchain.services.recorded import Recorded
from continuity.facts import DOCK, TRUCK, TRUCK2, S, T, load, mounted, pack, read, told, unload
from continuity.telling import same_in_any_order
from continuity.world import World

LOT = "lot:16901234500018/L1"
LIGHTER = (12_000, 12_010, 11_990, 11_600, 11_610, 11_590)


def weighed(seq: int, from_h: float, *kilograms: float, name: str = "weight") -> Recorded:
    """A sample every five minutes."""
    return told(seq, *((from_h + place / 12, name, float(kg)) for place, kg in enumerate(kilograms)))


RIDE = [mounted(), pack(0, S, lots=[(LOT, 400)]), load(1, TRUCK, S)]
SHORT = [unload(6.1, TRUCK, S), read(6.2, DOCK, S, by="w2", count=388)]


def state(world: World) -> list[tuple[str, str]]:
    return [(one.code, one.state) for one in world.verdicts()]


def test_a_load_that_became_lighter_on_the_way_bears_out_what_is_missing(worlds: type[World]) -> None:
    world = worlds()
    world.record(*RIDE, *SHORT)
    world.settle()
    assert state(world) == [("P5", "suspected")]
    world.record(weighed(0, 3, *LIGHTER))
    world.settle()
    (found,) = world.verdicts()
    assert (found.code, found.state, found.verdict) == ("P5", "asked", "BROKEN_PENDING")
    assert "the scale truck-1 showed 12000 kg, then 11600 kg" in found.detail["seen"]


def test_a_scale_that_nobody_mapped_and_a_platform_in_a_room_serve_as_well(worlds: type[World]) -> None:
    world = worlds()
    place = "room:w1/scale"
    world.record(
        mounted(place=place), pack(0, S, lots=[(LOT, 400)]), load(1, place, S), unload(6.1, place, S), SHORT[1]
    )
    world.record(weighed(0, 3, 812, 812, 812, 790, 790, 790, name="x/weight"))
    world.settle()
    assert state(world) == [("P5", "asked")]


@pytest.mark.parametrize(
    "facts",
    [
        [*RIDE, weighed(0, 3, *LIGHTER)],  # a scale by itself
        [*RIDE, *SHORT, weighed(0, 3, *LIGHTER[::-1])],  # heavier, and yet goods are missing
        [*RIDE, *SHORT, weighed(0, 3, *LIGHTER), load(2.5, TRUCK, T), unload(3.2, TRUCK, T)],  # another one got off
        [*RIDE, *SHORT, weighed(0, 7, *LIGHTER)],  # when it was off already
        [mounted(place=TRUCK2), *RIDE[1:], *SHORT, weighed(0, 3, *LIGHTER)],  # another truck's scale
        [*RIDE, *SHORT, weighed(0, 3, 12_000, 12_000, 12_000, 9_000, 12_000, 12_000, 12_000)],  # a bump
    ],
)
def test_what_says_nothing_accuses_nobody(worlds: type[World], facts: list[Recorded]) -> None:
    world = worlds()
    world.record(*facts)
    world.settle()
    world.pass_time(1000)
    assert {one.state for one in world.verdicts()} <= {"suspected"}


@pytest.mark.parametrize("more", [(), (load(2.5, TRUCK, T), unload(3.2, TRUCK, T))])
def test_any_order_concludes_the_same(worlds: type[World], more: tuple[Recorded, ...]) -> None:
    parts = [weighed(0, 3, *LIGHTER[:2]), weighed(1, 3 + 2 / 12, *LIGHTER[2:4]), weighed(2, 3 + 4 / 12, *LIGHTER[4:])]
    same_in_any_order(worlds, [*RIDE, *SHORT, *parts, *more])
