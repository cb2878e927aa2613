"""A vehicle that stands where nobody registered a site, under seal: a reason to wonder, no more (domain §3)."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coldchain.domain.halts import Position, halts
from coldchain.services.recorded import Recorded
from continuity.facts import DOCK, OUT, TRUCK, S, load, mounted, pack, read, seal, site, told, unload
from continuity.telling import same_in_any_order
from continuity.world import World

SHANGHAI, ROADSIDE, FURTHER = (31.2, 121.5), (30.0, 120.0), (30.01, 120.0)
MINUTE = 60_000_000
SITES = (
    site("w1", "cold-store", lat=SHANGHAI[0], lon=SHANGHAI[1]),
    site("w2", "cold-store", lat=29.5, lon=119.0, org="w2"),
)
RIDE = [
    SITES[0],
    SITES[1],
    mounted(),
    pack(0, S, 1, 2),
    read(0.5, OUT, S, 1, 2),
    seal(0.9, TRUCK, "A1234567"),
    load(1, TRUCK, S),
    unload(6, TRUCK, S),
    read(6.5, DOCK, S, 1, 2, by="w2"),
]


def position(seq: int, at_h: float, where: tuple[float, float]) -> Recorded:
    return told(seq, (at_h, "lat", round(where[0] * 1e7)), (at_h, "lon", round(where[1] * 1e7)))


def stands(where: tuple[float, float], minutes: int = 25, every: int = 5) -> list[Recorded]:
    """A position every few minutes, from three o'clock on; before and after it drives."""
    there = [position(seq, 3 + seq * every / 60, where) for seq in range(minutes // every + 1)]
    last = len(there)
    return [*there, position(last, 3 + last * every / 60, FURTHER), position(last + 1, 5, SHANGHAI)]


def test_a_stop_outside_every_site_under_seal_shows_on_the_segment_and_stays_a_suspicion(worlds: type[World]) -> None:
    world = worlds()
    world.record(*RIDE, *stands(ROADSIDE))
    world.settle()
    world.pass_time(1000)
    world.settle()
    (found,) = world.verdicts("B5")
    assert (found.subject, found.channel, found.state, found.verdict) == (
        TRUCK,
        "truck-1 halt",
        "suspected",
        "UNOBSERVED",
    )
    assert found.detail["seen"] == ["stood outside every registered place, under seal"]
    rows = world.connection.exec_driver_sql(
        "SELECT verdict, because FROM unit_segment WHERE unit = ? AND because <> '[]'", (S,)
    ).all()
    assert [(row.verdict, "truck-1 halt" in row.because) for row in rows] == [("UNOBSERVED", True)]


@pytest.mark.parametrize(
    "facts",
    [
        [*RIDE, *stands(SHANGHAI)],  # at a site
        [*RIDE, *stands(ROADSIDE, minutes=15)],  # a quarter of an hour is not over
        [*RIDE, *stands(ROADSIDE, minutes=60, every=20)],  # what it did between is not known
        [*RIDE[2:], *stands(ROADSIDE)],  # nobody registered any site
        [*RIDE[:5], *RIDE[6:], *stands(ROADSIDE)],  # no seal
        [*RIDE[:6], *stands(ROADSIDE)],  # nothing aboard
        [*RIDE, *stands(ROADSIDE), position(20, 3 + 12 / 60, FURTHER)],  # it went somewhere in the midst of it
    ],
)
def test_other_stops_are_none(worlds: type[World], facts: list[Recorded]) -> None:
    world = worlds()
    world.record(*facts)
    assert world.verdicts("B5") == []


def test_a_broken_seal_bears_it_out(worlds: type[World]) -> None:
    world = worlds()
    world.record(*RIDE, *stands(ROADSIDE), seal(6, TRUCK, "A1234567", "checked", "broken", by="w2"))
    world.settle()
    assert [one.state for one in world.verdicts("B5")] == ["asked"]


@pytest.mark.parametrize("more", [[], [position(20, 3 + 12 / 60, FURTHER)]])
def test_any_order_concludes_the_same(worlds: type[World], more: list[Recorded]) -> None:
    same_in_any_order(worlds, [*RIDE, *stands(ROADSIDE), *more])


def test_a_site_registered_late_says_that_it_stood_there(worlds: type[World]) -> None:
    world = worlds()
    world.record(*RIDE, *stands(ROADSIDE))
    assert len(world.verdicts("B5")) == 1
    world.record(site("w9", "cross-dock", lat=ROADSIDE[0], lon=ROADSIDE[1]))
    assert world.verdicts("B5") == []


@given(st.lists(st.integers(0, 4), max_size=30), st.randoms(use_true_random=False))
def test_every_position_is_in_one_halt_whatever_the_order(moves: list[int], chance: random.Random) -> None:
    line, north = [], 300_000_000
    for place, move in enumerate(moves):
        north += move * 9_000  # about a hundred metres each
        line.append(Position(place * MINUTE, north, 1_200_000_000))
    shuffled = chance.sample(line, len(line))
    found = halts(shuffled, 5 * MINUTE)
    assert found == halts(line, 5 * MINUTE)
    assert [one for halt in found for one in halt] == line
    assert all(one.is_near(halt[0]) for halt in found for one in halt)
