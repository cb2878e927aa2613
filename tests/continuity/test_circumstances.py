"""Places, legs, opening counts, stops, fences and rules: what surrounds a break decides what it is (domain §3)."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest

from coldchain.db.queries_inspect import InspectQueries
from coldchain.projections.exposures import Exposures
from coldchain.services.inspect import inspect
from coldchain.services.recorded import Recorded
from continuity.facts import (
    BOX,
    DOCK,
    GATE,
    OUT,
    ROADSIDE,
    STORE,
    TRUCK,
    S,
    case,
    doors,
    fact,
    hours,
    load,
    mounted,
    pack,
    read,
    scan,
    seal,
    site,
    told,
    unload,
)
from continuity.world import World, in_batches

SHANGHAI, GUANGZHOU = (31.2, 121.5), (23.1, 113.3)
LOT = "lot:16901234500018/L1"


def sites(**changed: Any) -> list[Recorded]:
    return [
        site("w1", "cold-store", lat=SHANGHAI[0], lon=SHANGHAI[1], **changed),
        site("w2", "cold-store", lat=GUANGZHOU[0], lon=GUANGZHOU[1], org="w2"),
    ]


def codes(world: World) -> list[tuple[str, str, str]]:
    return [(v.code, v.channel, v.state) for v in world.verdicts()]


def swapped(at_h: float = 8) -> list[Recorded]:
    return [
        pack(0, S, 1, 2, 3, 4),
        read(1, OUT, S, 1, 2, 3, 4),
        read(at_h, DOCK, S, 1, 2, 7, 8, by="w2"),
        read(at_h + 1, STORE, S, 1, 2, 7, 8, by="w2"),
    ]


# A portal that misses the pallet's own tag


def test_a_missed_pallet_tag_accuses_nobody_and_is_made_good_by_the_next_full_read(worlds: type[World]) -> None:
    world, cases = worlds(), [case(number) for number in range(1, 5)]
    world.record(*sites(), pack(0, S, 1, 2, 3, 4), load(1, TRUCK, S), unload(7, TRUCK, S), scan(8, DOCK, *cases))
    assert [verdict for verdict, _ in world.segments(S)] == ["UNOBSERVED", "UNOBSERVED"]
    world.record(read(9, STORE, S, 1, 2, 3, 4, by="w2"))
    assert [verdict for verdict, _ in world.segments(S)] == ["CONTINUOUS"] * 3
    assert world.verdicts() == []


# Two places


def test_one_id_read_twice_in_each_of_two_cities_within_the_hour_is_confirmed(worlds: type[World]) -> None:
    reads = [scan(1, OUT, S), scan(1.2, GATE, S), scan(1.4, DOCK, S, by="w2"), scan(1.6, STORE, S, by="w2")]
    world = worlds()
    world.record(*sites(), *reads[:3])
    assert codes(world) == [("P6", "travel loc:w1 loc:w2", "suspected")]
    world.record(reads[3])
    world.settle()
    assert codes(world) == [("P6", "travel loc:w1 loc:w2", "asked")]
    world.pass_time(73)
    assert [v.verdict for v in world.verdicts()] == ["BROKEN_UNEXPLAINED"]


def test_clocks_half_an_hour_apart_make_nobody_travel_too_fast(worlds: type[World]) -> None:
    near = site("w2", "cold-store", lat=31.2, lon=122.2, org="w2")  # 66 km, driven in 25 min by two clocks
    reads = [scan(1, OUT, S), scan(1.1, GATE, S), scan(1.5, DOCK, S, by="w2"), scan(1.6, STORE, S, by="w2")]
    world = worlds()
    world.record(sites()[0], near, *reads)
    assert codes(world) == []


def test_a_site_registered_late_judges_what_was_seen_before(worlds: type[World]) -> None:
    reads = [scan(1, OUT, S), scan(1.2, GATE, S), scan(1.4, DOCK, S, by="w2"), scan(1.6, STORE, S, by="w2")]
    tables = []
    for order in (sites() + reads, reads + sites(), [*reads[:2], sites()[1], *reads[2:], sites()[0]]):
        world = worlds()
        in_batches(world, order, [1])
        assert [code for code, _, _ in codes(world)] == ["P6"]
        tables.append(world.tables())
    assert tables[0] == tables[1] == tables[2]


def test_a_place_nobody_registered_is_unobserved_once_anybody_registers_places(worlds: type[World]) -> None:
    world = worlds()
    world.record(pack(0, S, 1), scan(2, ROADSIDE, S))
    assert codes(world) == []
    world.record(*sites())
    assert codes(world) == [("P7", ROADSIDE, "suspected")]
    world.settle()
    world.pass_time(1000)
    assert [v.verdict for v in world.verdicts()] == ["UNOBSERVED"]


# Legs and opening counts


@pytest.mark.parametrize(
    ("leg", "counted", "segment"),
    [
        ("loose", 4, ("CONTINUOUS", "count kept, pallet not kept")),
        ("loose", 3, ("UNOBSERVED", "loose, and not counted alike at both ends")),
        ("unstated", 4, ("UNOBSERVED", "a leg unstated")),
        ("palletised", 4, ("UNOBSERVED", "")),
    ],
)
def test_pallet_codes_are_about_palletised_legs(
    worlds: type[World], leg: str, counted: int, segment: tuple[str, str]
) -> None:
    world = worlds()
    world.record(
        pack(0, S, 1, 2, 3, 4, count=4),
        load(1, TRUCK, S, leg=leg),
        unload(6, TRUCK, S),
        read(6, DOCK, S, 1, 2, 7, 8, by="w2", count=counted),
        read(7, STORE, S, 1, 2, 7, 8, by="w2", count=counted),
    )
    assert [code for code, _, _ in codes(world) if code == "P2"] == (["P2"] if leg == "palletised" else [])
    assert world.segments(S)[1] == segment


def test_stock_that_lay_there_before_the_opening_count_is_unobserved_and_accuses_nobody(worlds: type[World]) -> None:
    before = [read(0, DOCK, S, 1, 2, 3, by="w2"), read(1, STORE, S, 1, 2, 3, by="w2"), read(2, DOCK, S, 1, by="w2"),
              read(3, STORE, S, 1, by="w2")]  # fmt: skip
    count = scan(10, DOCK, S, by="w2", openingCount=True)
    tables = []
    for order in ([*before, count], [count, *before]):
        world = worlds()
        in_batches(world, order, [1])
        assert codes(world) == []
        assert set(world.segments(S)) == {("UNOBSERVED", "stock of a site before its opening count")}
        tables.append(world.tables())
    assert tables[0] == tables[1]
    world = worlds()
    world.record(*before)
    assert [code for code, _, _ in codes(world)] == ["P2"]


# Doors, fences, stops


def opened(at: tuple[float, float]) -> Recorded:
    return told(
        0,
        *((t, "door/rear", t < 3.4) for t in (3, 3.2, 3.4)),
        *((t, "lat", round(at[0] * 1e7)) for t in (3, 3.2)),
        *((t, "lon", round(at[1] * 1e7)) for t in (3, 3.2)),
    )


@pytest.mark.parametrize(("at", "found"), [(SHANGHAI, []), ((30.0, 120.0), ["B5"])])
def test_an_event_does_not_cover_a_door_opened_outside_every_registered_place(
    worlds: type[World], at: tuple[float, float], found: list[str]
) -> None:
    facts = [*sites(), mounted(), pack(0, S, 1), load(1, TRUCK, S), opened(at), scan(3.1, "", S, by="carrier")]
    tables = []
    for order in (facts, facts[::-1]):
        world = worlds()
        in_batches(world, order, [1])
        assert [code for code, _, _ in codes(world)] == found
        tables.append(world.tables())
    assert tables[0] == tables[1]


def standing(seq: int, from_h: float, off: bool = True, speed: float = 0.0) -> Recorded:
    """Four minutes of a stop, a sample a minute."""
    times = [from_h + minute / 60 for minute in range(4)]
    return told(seq, *((t, "compressor", not off) for t in times), *((t, "speed", speed) for t in times))


STOP = [standing(seq, 3 + seq * 4 / 60) for seq in range(5)]
RIDE = [mounted(), pack(0, S, 1), seal(0.9, TRUCK, "A1234567"), load(1, TRUCK, S)]


def test_a_reefer_switched_off_at_a_stop_under_seal_is_a_suspicion(worlds: type[World]) -> None:
    world = worlds()
    world.record(*RIDE, *STOP)
    assert codes(world) == [("B5", "truck-1 reefer", "suspected")]
    (found,) = world.verdicts()
    assert (found.from_us, found.to_us) == (hours(3), hours(3 + 19 / 60))
    assert found.detail["units"] == [S]


@pytest.mark.parametrize(
    "facts",
    [
        [*RIDE, *STOP[:3]],  # a quarter of an hour is not over
        [*RIDE[:2], RIDE[3], *STOP],  # no seal
        [*RIDE, *STOP[:2], standing(2, 3 + 8 / 60, off=False), *STOP[3:]],  # the unit ran
        [*RIDE, *STOP[:2], standing(2, 3 + 8 / 60, speed=8.0), *STOP[3:]],  # it drove
        [*RIDE[:3], *STOP],  # nothing aboard
    ],
)
def test_other_stops_are_none(worlds: type[World], facts: list[Recorded]) -> None:
    world = worlds()
    world.record(*facts)
    assert codes(world) == []


def test_a_stop_is_found_in_whatever_order_its_messages_and_the_seal_become_known(worlds: type[World]) -> None:
    tables = []
    for order in ([*RIDE, *STOP], [*STOP, *RIDE], [*STOP[::-1], *RIDE[::-1]], [*RIDE[::-1], *STOP[2:], *STOP[:2]]):
        world = worlds()
        in_batches(world, order, [1])
        assert codes(world) == [("B5", "truck-1 reefer", "suspected")]
        tables.append(world.tables())
    assert all(one == tables[0] for one in tables)


def test_a_message_that_shows_the_unit_running_ends_an_earlier_suspicion(worlds: type[World]) -> None:
    world = worlds()
    world.record(*RIDE, *STOP[:2], *STOP[3:], standing(9, 3 + 8 / 60))
    assert [code for code, _, _ in codes(world)] == ["B5"]
    world.record(standing(10, 3 + 9.5 / 60, off=False))
    assert codes(world) == []


def test_a_broken_seal_bears_out_a_door(worlds: type[World]) -> None:
    world = worlds()
    world.record(*RIDE, doors(0, (3, True), (3.2, False)))
    assert codes(world) == [("B5", "truck-1 door/rear", "suspected")]
    world.record(seal(6, TRUCK, "A1234567", "checked", "broken", by="w2"))
    world.settle()
    assert codes(world) == [("B3", "A1234567", "asked"), ("B5", "truck-1 door/rear", "asked")]
    assert "B3 of veh:TRUCK-1 bears it out" in world.verdicts("B5")[0].detail["seen"]


def test_a_broken_seal_on_the_container_touches_what_was_in_it(worlds: type[World]) -> None:
    world = worlds()
    world.record(
        pack(0, S, 1),
        read(0.5, OUT, S, 1),
        load(1, BOX, S),
        seal(1.1, BOX, "A1234567"),
        seal(6, BOX, "A1234567", "checked", "broken", by="w2"),
        unload(7, BOX, S),
        read(8, DOCK, S, 1, by="w2"),
    )
    world.settle()
    world.pass_time(100)
    assert [v.verdict for v in world.verdicts("B3")] == ["BROKEN_UNEXPLAINED"]
    assert [verdict for verdict, _ in world.segments(S)] == [
        "CONTINUOUS", "CONTINUOUS", "BROKEN_UNEXPLAINED", "CONTINUOUS",
    ]  # fmt: skip


# Rules of their day


def rules(version: int, from_h: float, **numbers: int) -> Recorded:
    stated = {
        "kind": "continuity", "name": "continuity-2026", "clause": "test", "verified": False, "version": version,
        "from_us": hours(from_h), "cover_s": 600, "cross_read_s": 300, "lone_missing_points": 3, "clock_s": 1800,
        "drift_per_mille": 5, "drift_cases": 1, "impossible_kmh": 150, "idle_s": 900, "report_s": 1800,
    }  # fmt: skip
    return fact("rules", f"rules/continuity-2026/{version}", "operator", "declared", body={**stated, **numbers})


def test_what_happened_is_judged_by_the_version_of_its_day_whenever_that_is_recorded(worlds: type[World]) -> None:
    counted = [
        pack(0, S, lots=[(LOT, 100)]),
        read(1, OUT, S, count=97),
        pack(10, S, lots=[(LOT, 100)]),
        read(11, OUT, S, count=194),
    ]
    lenient = rules(2, 9, drift_cases=10)
    tables = []
    for order in permutations([lenient, counted[:2], counted[2:]]):
        world = worlds()
        for part in order:
            world.record(*(part if isinstance(part, list) else [part]))
        assert codes(world) == [("P5", "count", "suspected")]
        assert world.verdicts()[0].from_us == hours(0)
        tables.append(world.tables())
    assert all(one == tables[0] for one in tables)
    world.record(*swapped(20)[2:], rules(3, 9))
    assert ("P5", "count", "suspected") in codes(world)


def test_an_entry_that_states_no_rules_changes_nothing(worlds: type[World]) -> None:
    world = worlds()
    world.record(*swapped(), rules(2, 0, drift_cases=-1), rules(3, 0, unheard_of=1))
    assert [code for code, _, _ in codes(world)] == ["P2"]


# What an inspection makes of it


def verdicts_of(world: World, unit: str) -> list[str]:
    document = inspect(InspectQueries(world.connection), Exposures(world.connection), unit)
    assert document is not None
    return [segment["verdict"] for segment in document["segments"]]


def test_until_a_pallet_is_formed_container_and_seal_are_what_a_case_is_judged_by(worlds: type[World]) -> None:
    world = worlds()
    world.record(
        seal(0, BOX, "A1234567"),
        load(0.5, BOX, case(1), case(2)),
        seal(6, BOX, "A1234567", "checked", "intact", by="w2"),
        unload(7, BOX, case(1), case(2)),
        pack(7, S, 1, 2, at=DOCK, by="w2"),
        read(9, STORE, S, 1, 2, by="w2"),
    )
    assert verdicts_of(world, case(1)) == ["CONTINUOUS", "UNOBSERVED", "CONTINUOUS"]


def test_a_pallet_read_at_both_ends_is_whole_whether_or_not_anybody_looked_at_a_seal(worlds: type[World]) -> None:
    world = worlds()
    world.record(
        pack(0, S, 1), load(1, BOX, S), seal(2, BOX, "A1234567"), unload(7, BOX, S), read(8, DOCK, S, 1, by="w2")
    )
    assert set(verdicts_of(world, S)) == set(verdicts_of(world, case(1))) == {"CONTINUOUS"}
    assert verdicts_of(world, BOX) == ["UNOBSERVED", "UNOBSERVED"]
