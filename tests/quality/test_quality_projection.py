"""Doubted sensors from ledger entries to findings: any order, any batches, rebuilt, they come out the same."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from coldchain.db.engine import make_engine
from coldchain.db.tables import telemetry
from coldchain.db.tables.verdicts import verdict
from exploring import examples
from integration.telemetry import MINUTE, START, Device, World
from opening import migrated_file

DAY_MIN = 1_440
PACK = {
    "name": "case",
    "version": 1,
    "from_us": 0,
    "clause": "case",
    "verified": False,
    "stages": {
        "transport": {"clause": "c", "limit_mc": -10_000, "hysteresis_mc": 0, "consecutive_s": 900, "max_gap_s": 600}
    },
    "quality": {"stuck_samples": 5, "drift_window_s": 7_200, "echo_samples": 6},
}
WINDOW_MIN = 120
BEGIN = -(START // MINUTE) % WINDOW_MIN
"""Minute at which a window begins."""


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    engine = make_engine(migrated_file(tmp_path / "test.db"))
    yield World(engine)
    engine.dispose()


@pytest.fixture
def now(world: World) -> None:
    """The ledger is as old as the readings of the first twenty minutes."""
    world.now_us = START + 20 * MINUTE


@pytest.fixture
def truck(world: World) -> Device:
    return enrolled(world, "TRUCK-1")


def enrolled(world: World, name: str, **stated: Any) -> Device:
    device = Device(name)
    if not world.entries:
        world.record("rules", "rules/case/1", json.dumps({"v": 1, **PACK}).encode())
    world.enrol(device, profile="case", **{"place": "veh:T1", **stated})
    return device


def says(device: Device, minute: float, **probes: Sequence[float | str]) -> bytes:
    """A message with one value a minute of each probe."""
    records = [
        f'{{"n":"temp/{name}","t":{(START + round((minute + place) * MINUTE)) / 1e6:.6f},"v":{value}}}'
        for name, values in probes.items()
        for place, value in enumerate(values)
    ]
    return device.sends(f"[{','.join(records)}]")


def doubted(world: World, kind: str = "") -> list[tuple[Any, ...]]:
    """(probe, kind, first and last minute, how often) of the findings."""
    query = select(verdict).where(verdict.c.source == "quality").order_by(verdict.c.channel, verdict.c.from_us)
    with world.engine.connect() as connection:
        rows = connection.execute(query).all()
    return [
        (row.channel, row.rule.removeprefix("quality "), minute(row.from_us), minute(row.to_us))
        for row in rows
        if kind in row.rule
    ]


def minute(t_us: int | None) -> float | None:
    return None if t_us is None else (t_us - START) / MINUTE


def segments(world: World, probe: str) -> list[tuple[Any, ...]]:
    c = telemetry.segment.c
    with world.engine.connect() as connection:
        rows = connection.execute(select(telemetry.segment).where(c.channel == probe).order_by(c.from_us)).all()
    return [(row.state, row.reason, minute(row.from_us), minute(row.to_us)) for row in rows]


def detail(world: World, kind: str) -> dict[str, Any]:
    with world.engine.connect() as connection:
        stated = connection.scalars(select(verdict.c.detail).where(verdict.c.rule == f"quality {kind}")).all()
    assert len(stated) == 1
    return json.loads(stated[0])  # type: ignore[no-any-return]


@pytest.mark.usefixtures("now")
@pytest.mark.parametrize("size", [1, None])
def test_a_spike_is_left_out_of_the_judgement_and_told_of_once_a_day(world: World, truck: Device, size: int) -> None:
    calm = [-5, -5.1, -5, -5.1, -5]
    world.hear(*(says(truck, 5 * place, air=calm) for place in range(3)))
    world.hear(says(truck, 15, air=[-5, -5.1]), says(truck, 17, air=[-60, -5.1, -5, -60]), says(truck, 21, air=[-5.1]))
    world.fold(size)
    assert segments(world, "air") == [("breach", "", 0, None)], "two readings of -60 would have ended it"
    assert doubted(world) == [("air", "spike", 17, 20)]
    said = detail(world, "spike")
    assert (said["spikes"], said["severity"], said["spike_mc"], said["pack"]) == (2, "warning", 5_000, "case")


def test_a_spike_is_known_once_its_successor_came_and_no_more_when_that_is_disputed(
    world: World, truck: Device
) -> None:
    world.hear(says(truck, 0, air=[-20, -20.1, -20, 10]))
    assert doubted(world.fold()) == []
    after = Device("TRUCK-1")
    after.boot, after.seq, after.prev = truck.boot, truck.seq, truck.prev
    world.hear(says(truck, 4, air=[-20]))
    assert doubted(world.fold()) == [("air", "spike", 3, 3)]
    world.hear(says(after, 4, air=[9]))
    assert doubted(world.fold()) == [], "neither copy is evidence, so nobody knows what followed"


@pytest.mark.usefixtures("now")
@pytest.mark.parametrize("size", [1, None])
def test_a_sensor_that_stands_still_while_its_sibling_moves_is_unknown(world: World, truck: Device, size: int) -> None:
    for start in range(0, 12, 3):
        world.hear(says(truck, start, box=[-20] * 3, air=[-21, -20.4, -19.9 + start / 100]))
    world.fold(size)
    assert doubted(world) == [("box", "stuck", 0, None)]
    assert segments(world, "box") == [("unknown", "stuck", 0, None)]
    assert segments(world, "air") == [("in_range", "", 0, None)]
    world.hear(says(truck, 12, box=[-20, -20, -20.5], air=[-21, -20, -21]))
    world.fold(size)
    assert doubted(world) == [("box", "stuck", 0, 13)]
    assert segments(world, "box") == [("unknown", "stuck", 0, 13), ("in_range", "", 13, None)]
    said = detail(world, "stuck")
    assert (said["mc"], said["readings"], said["moved"]) == (-20_000, 14, ["air"])
    assert (said["stuck_samples"], said["stuck_move_mc"], said["version"]) == (5, 1_000, 1)


@pytest.mark.usefixtures("now")
def test_a_late_reading_that_moved_takes_the_doubt_back(world: World, truck: Device) -> None:
    late = Device("TRUCK-1")
    late.boot = 2
    for start in range(0, 12, 4):
        world.hear(says(truck, start, box=[-20] * 4, air=[-21, -20.4, -19.9, -21]))
    assert doubted(world.fold()) == [("box", "stuck", 0, None)]
    world.hear(*(says(late, start + 0.5, box=[-20.3]) for start in (3, 7)))
    assert doubted(world.fold()) == []
    assert segments(world, "box") == [("in_range", "", 0, None)]


def test_a_sensor_that_is_stuck_and_falls_silent_is_told_of_as_both(world: World, truck: Device) -> None:
    world.hear(says(truck, 0, box=[-20] * 9, air=[-21, -19] * 4))
    world.fold(now_us=START + 10 * MINUTE)
    rules = select(verdict.c.rule).where(verdict.c.channel == "box")
    with world.engine.connect() as connection:
        assert connection.scalars(rules).all() == ["quality stuck"], "not told twice"
    world.hear(at_us=START + 60 * MINUTE)
    world.record("time", "time/1", b"{}", START + 60 * MINUTE)
    world.fold()
    with world.engine.connect() as connection:
        assert sorted(connection.scalars(rules)) == ["case gap", "quality stuck"]


def drifting(device: Device, window: int, off: float) -> list[bytes]:
    start = BEGIN + window * WINDOW_MIN
    return [
        says(device, start + part * 10, a=[-20] * 10, b=[-20.2] * 9 + [-20.1], c=[-20 + off] * 9 + [-19.9 + off])
        for part in range(3)
    ]


@pytest.mark.parametrize("size", [1, 2, None])
def test_a_probe_that_drifts_is_told_of_as_one_for_as_long_as_it_does(world: World, truck: Device, size: int) -> None:
    for window, off in enumerate((0, 4, 4.5, 0)):
        world.hear(*drifting(truck, window, off))
    world.fold(size)
    both = [("c", "drift", BEGIN + WINDOW_MIN, BEGIN + 3 * WINDOW_MIN)]
    assert doubted(world, "drift") == both
    said = detail(world, "drift")
    assert (said["mean_mc"], said["siblings_mc"], said["drift_mc"]) == (-15_490, -20_095, 3_000)
    with world.engine.connect() as connection:
        states = select(verdict.c.state).where(verdict.c.rule == "quality drift")
        assert connection.scalars(states).all() == ["open"], "the window after it has not ended"
    world.hear(*drifting(truck, 4, 0))
    assert doubted(world.fold(size), "drift") == both
    with world.engine.connect() as connection:
        assert connection.scalars(states).all() == ["closed"]


@pytest.mark.parametrize("restart", [False, True])
def test_a_spike_is_in_no_mean_whether_the_window_is_remembered_or_read_again(
    world: World, truck: Device, restart: bool
) -> None:
    calm = {"a": [-20] * 5, "b": [-20] * 5, "c": [-15] * 5}
    world.hear(says(truck, BEGIN - 2, a=[-20, -20], b=[-20, -20], c=[-15, -15]))
    for part in range(24):
        spiked = [-15, -15, 25, -15, -15] if part == 9 else [-15] * 5
        world.hear(says(truck, BEGIN + 5 * part, **{**calm, "c": spiked}))
    world.hear(says(truck, BEGIN + WINDOW_MIN, a=[-20], b=[-20]))
    world.fold(1)
    if restart:
        world.views.reset()
    world.hear(says(truck, BEGIN + WINDOW_MIN + 1, c=[-15]))
    world.fold(1)
    assert detail(world, "drift")["mean_mc"] == -15_000


def test_a_spike_that_shows_after_its_window_was_compared_is_in_no_mean_either(world: World, truck: Device) -> None:
    calm = {"a": [-20] * 5, "b": [-20] * 5}
    for part in range(24):
        world.hear(says(truck, BEGIN + 5 * part, **calm, c=[-15] * 4 + [25 if part == 23 else -15]))
    world.hear(says(truck, BEGIN + WINDOW_MIN, a=[-20], b=[-20]))
    assert detail(world.fold(1), "drift")["mean_mc"] == -14_667
    world.hear(says(truck, BEGIN + WINDOW_MIN, c=[-15]))
    assert detail(world.fold(1), "drift")["mean_mc"] == -15_000


def test_late_readings_of_a_window_are_compared_again(world: World, truck: Device) -> None:
    late = Device("TRUCK-1")
    late.boot = 2
    early, *rest = drifting(truck, 0, 4)
    world.hear(early, *rest[:1], *drifting(truck, 1, 0))
    assert doubted(world.fold(), "drift") == [("c", "drift", BEGIN, BEGIN + WINDOW_MIN)]
    world.hear(says(late, BEGIN + 40, a=[-20] * 2, b=[-20] * 2, c=[-20.1] * 60))
    assert doubted(world.fold(), "drift") == []


@pytest.mark.parametrize("size", [1, None])
def test_a_recorder_that_repeats_the_controller_is_told_of(world: World, size: int) -> None:
    recorder = enrolled(world, "REC")
    controller = enrolled(world, "UNIT", controller=True)
    elsewhere = enrolled(world, "OTHER", place="veh:T2")
    values = [-20, -20.5, -21, -20, -20.5, -21, -20.5]
    for device in (recorder, controller, elsewhere):
        world.hear(says(device, BEGIN + 1, air=values), says(device, BEGIN + WINDOW_MIN, air=[-20]))
    world.fold(size)
    assert doubted(world, "echo") == [("air", "echo", BEGIN, BEGIN + WINDOW_MIN)]
    assert detail(world, "echo")["equals"] == ["UNIT air"]
    with world.engine.connect() as connection:
        subjects = connection.scalars(select(verdict.c.subject).where(verdict.c.rule == "quality echo")).all()
    assert subjects == ["dev:REC"]


def test_a_device_that_passes_on_what_its_controller_states_is_compared_with_that(world: World, truck: Device) -> None:
    values = [-20, -20.5, -21, -20, -20.5, -21, -20.5]
    records = [
        {"n": name, "t": (START + (BEGIN + place) * MINUTE) / 1e6, "v": value}
        for name in ("temp/air", "x/return_air")
        for place, value in enumerate(values)
    ]
    world.hear(truck.sends(json.dumps(records)), says(truck, BEGIN + WINDOW_MIN, air=[-20]))
    assert doubted(world.fold(), "echo") == [("air", "echo", BEGIN, BEGIN + WINDOW_MIN)]
    assert detail(world, "echo")["equals"] == ["x/return_air"]


def test_whether_a_device_is_the_controller_may_be_told_late(world: World) -> None:
    recorder, unit = enrolled(world, "REC"), enrolled(world, "UNIT")
    values = [-20, -20.5, -21, -20, -20.5, -21, -20.5]
    for device in (recorder, unit):
        world.hear(says(device, BEGIN + 1, air=values), says(device, BEGIN + WINDOW_MIN, air=[-20]))
    assert doubted(world.fold(), "echo") == []
    world.enrol(unit, profile="case", place="veh:T1", controller=True)
    assert doubted(world.fold(), "echo") == [("air", "echo", BEGIN, BEGIN + WINDOW_MIN)]


def test_where_nothing_is_judged_nothing_is_doubted(world: World) -> None:
    device = enrolled(world, "FREE")
    world.enrol(device, profile=None, place="veh:T1")
    other = Device("LOOSE")
    world.enrol(other, profile=None)
    world.hear(says(other, 0, box=[-20] * 9 + [50, -20], air=[-21, -19] * 5))
    assert doubted(world.fold()) == []


@pytest.mark.parametrize("size", [1, None])
def test_a_sensor_was_stuck_up_to_its_last_equal_reading_though_faults_follow(
    world: World, truck: Device, size: int | None
) -> None:
    world.hear(
        says(truck, 0, box=[-20], top=[-20] * 3),
        says(truck, 3, box=[-18.9]),
        says(truck, 4, box=[-20], top=[-20, -20, '"###"', '"###"']),
        says(truck, 8, box=[-20], top=[-20.5]),
    )
    assert doubted(world.fold(size)) == [("top", "stuck", 0, 5)]


@pytest.mark.parametrize("size", [1, None])
def test_a_stuck_sensor_that_speaks_rarely_was_stuck_since_its_first_equal_reading(
    world: World, truck: Device, size: int | None
) -> None:
    own = [-20] * 20 + [-21, '"###"', -22, '"###"']
    world.hear(*(says(truck, 5 * n, box=[mc], top=[-20 - n % 5]) for n, mc in enumerate(own)))
    assert doubted(world.fold(size)) == [("box", "stuck", 0, 95)]


@pytest.mark.parametrize("size", [1, None])
@pytest.mark.parametrize("restart", [False, True])
def test_a_sibling_that_is_heard_later_is_found_to_have_moved_while_a_sensor_was_stuck(
    world: World, truck: Device, size: int | None, restart: bool
) -> None:
    world.hear(
        says(truck, 0, box=[-20]),
        says(truck, 1, top=[-20]),
        says(truck, 1, box=[-20] * 5 + [-19.9]),
    )
    assert doubted(world.fold(size)) == []
    if restart:
        world.views.reset()
    world.hear(says(truck, 3, top=[-18]), says(truck, 9, box=[-20]))
    assert doubted(world.fold(size)) == [("box", "stuck", 0, 5)]


def test_a_sibling_that_speaks_of_the_past_for_hours_after_a_restart_is_compared_all_along(world: World) -> None:
    daily = {**PACK, "quality": {"stuck_samples": 5, "drift_window_s": 86_400}}
    world.record("rules", "rules/case/1", json.dumps({"v": 1, **daily}).encode())
    truck = enrolled(world, "TRUCK-1")
    world.hear(says(truck, -1, top=[-20], box=[-20]))
    other = [-20 - n / 10 for n in range(5)]
    for part in range(0, 900, 5):
        world.hear(says(truck, part, box=[-25] * 5 if 500 <= part < 600 else other))
    world.fold()
    world.views.reset()
    for part in range(0, 900, 5):
        world.hear(says(truck, part, top=[-20, -20.1, -20.4 if part < 550 else -23, -20.2, -20.1]))
    world.fold(1)
    assert doubted(world, "stuck") == [("box", "stuck", 500, 599)]


cells = st.sampled_from([-20, -20, -20, -20, -20.5, -18.9, 12, '"###"'])
messages = st.lists(
    st.tuples(
        st.sampled_from([0, 0, 0, 1, 9, 40, 100]),
        st.lists(cells, min_size=1, max_size=8),
        st.lists(cells, max_size=8),
        st.lists(cells, max_size=8),
    ),
    min_size=1,
    max_size=12,
)


def stream(device: Device, said: Sequence[tuple[int, list[Any], list[Any], list[Any]]]) -> list[bytes]:
    found, at = [], 0.0
    for pause, box, air, top in said:
        at += pause
        found.append(says(device, at, box=box, air=air, top=top))
        at += max(len(box), len(air), len(top))
    return found


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=examples(40), deadline=None)
@given(messages, st.randoms(use_true_random=False), st.integers(1, 6), st.booleans())
def test_any_order_of_arrival_in_any_batches_ends_in_the_same_doubts(
    world: World, said: list[Any], shuffler: random.Random, size: int, restart: bool
) -> None:
    one = World(world.engine)
    signed = stream(enrolled(one, "TRUCK-1"), said)
    one.hear(*signed)
    expected = one.fold(size).rows(facts_only=True)
    shuffler.shuffle(signed)
    other = World(world.engine)
    enrolled(other, "TRUCK-1")
    for half in (signed[: len(signed) // 2], signed[len(signed) // 2 :]):
        other.hear(*half)
        other.fold(shuffler.randint(1, 4))
        if restart:
            other.views.reset()
    assert other.rows(facts_only=True) == expected
    rows = other.rows()
    assert other.rebuilt(size).rows() == rows


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=examples(25), deadline=None)
@given(st.data())
def test_windows_remembered_and_windows_read_again_are_compared_alike(world: World, data: st.DataObject) -> None:
    """Long messages with faults, gaps, spikes and a few late ones over several windows; one probe may well drift."""
    cell = st.sampled_from([-20, -20.1, -20.3, -21, 12, '"###"'])
    message = st.tuples(
        st.sampled_from([0, 0, 0, 1, 40]),
        *[st.lists(cell, min_size=10, max_size=40)] * 2,
        st.lists(st.sampled_from([-16.5, -17, -17.2, '"###"']), min_size=10, max_size=40),
    )
    said = data.draw(st.lists(message, min_size=3, max_size=9))
    late = data.draw(st.lists(st.integers(0, len(said) - 1), max_size=1))
    rows, facts = [], []
    for moved, forgets in (([], False), (late, False), (late, True)):
        one = World(world.engine)
        signed = stream(enrolled(one, "TRUCK-1"), said)
        for place in moved:
            signed.append(signed.pop(place))
        for sent in signed:
            one.hear(sent)
            one.fold()
            if forgets:
                one.views.reset()
        rows.append(one.rows())
        facts.append(one.rows(facts_only=True))
    assert rows[1] == rows[2]
    assert facts[0] == facts[1]
