"""What devices say, folded from ledger entries into tables: any order, any batches, rebuilt, it comes out the same."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, select

from coldchain.db.engine import make_engine, writing
from coldchain.db.tables import telemetry
from coldchain.db.tables.verdicts import verdict, verdict_touched
from coldchain.domain.folding import advance
from coldchain.domain.rulepacks import Stage, parse_pack
from coldchain.domain.temperature import Beside, Segment, merged, open_segments
from coldchain.projections.series import readings
from coldchain.rules import shipped_packs
from exploring import examples
from integration.telemetry import MINUTE, START, Device, World, json_bytes, minute_of
from opening import migrated_file

FROZEN = next(pack for pack in shipped_packs() if pack.name == "CN-frozen")


@pytest.fixture(scope="module")
def sqlite_engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    engine = make_engine(migrated_file(tmp_path_factory.mktemp("views") / "views.db"))
    yield engine
    engine.dispose()


@pytest.fixture
def world(sqlite_engine: Engine) -> World:
    return World(sqlite_engine)


@pytest.fixture
def truck(world: World) -> Device:
    device = Device()
    world.enrol(device)
    return device


def steady(
    device: Device, first: float, last: float, value: float, step: float = 5, per_message: int = 4
) -> list[bytes]:
    """Messages with a reading every `step` minutes."""
    times = [first + step * i for i in range(round((last - first) / step) + 1)]
    return [device.says(*((t, value) for t in times[i : i + per_message])) for i in range(0, len(times), per_message)]


def test_a_breach_is_found_with_its_thresholds_and_the_entries_that_confirm_it(world: World, truck: Device) -> None:
    cold = world.hear(*steady(truck, 0, 15, -20.5))
    warm = world.hear(*steady(truck, 20, 55, -12.25))
    world.hear(*steady(truck, 60, 75, -19))
    world.fold(now_us=START + 80 * MINUTE)
    assert world.segments() == [
        (0, 20, "in_range", "", None),
        (20, 60, "breach", "", -12_250),
        (60, None, "in_range", "", None),
    ]
    ((rule, subject, channel, found, state, detail, grade, basis),) = world.verdicts(
        "rule", "subject", "channel", "verdict", "state", "detail", "weakest_grade", "basis_index"
    )
    assert (rule, subject, channel, found, state) == (
        "CN-frozen transport limit",
        "dev:TRUCK-1",
        "air",
        "breach",
        "closed",
    )
    assert (grade, json.loads(basis)) == ("signed", warm[:1])
    assert json.loads(detail) == {
        "clause": FROZEN.stages["transport"].clause,
        "confirmed_us": START + 35 * MINUTE,
        "consecutive_s": 900,
        "hysteresis_mc": 500,
        "limit_mc": -18_000,
        "max_mc": -12_250,
        "pack": "CN-frozen",
        "severity": "alarm",
        "stage": "transport",
        "verified": False,
        "version": 1,
    }
    assert cold[0] not in json.loads(basis)


def test_an_open_breach_keeps_the_same_words_while_it_gets_worse(world: World, truck: Device) -> None:
    world.hear(*steady(truck, 0, 20, -17))
    first = world.fold(now_us=START + 20 * MINUTE).verdicts("from_us", "to_us", "state", "detail")
    world.hear(*steady(truck, 25, 45, -5))
    assert world.fold(now_us=START + 45 * MINUTE).verdicts("from_us", "to_us", "state", "detail") == first
    assert first[0][:3] == (START, None, "open")


def test_silence_turns_into_unknown_by_ledger_time_alone(world: World, truck: Device) -> None:
    world.hear(*steady(truck, 0, 20, -20))
    world.fold(now_us=START + 30 * MINUTE)
    assert world.segments() == [(0, None, "in_range", "", None)]
    world.record("time", "time/1", b"{}")
    world.fold(now_us=START + 30 * MINUTE + 1)
    assert world.segments() == [(0, 20, "in_range", "", None), (20, None, "unknown", "gap", None)]
    assert world.verdicts("rule", "to_us", "state") == [("CN-frozen gap", None, "open")]


def test_a_late_reading_that_fills_the_silence_takes_the_verdict_back(world: World, truck: Device) -> None:
    first, late, last = truck.says((0, -20), (10, -20)), truck.says((20, -20)), truck.says((30, -20), (35, -20))
    world.hear(first, last)
    world.fold(now_us=START + 40 * MINUTE)
    assert [row[2] for row in world.segments()] == ["in_range", "unknown", "in_range"]
    world.hear(late)
    world.fold(now_us=START + 40 * MINUTE)
    assert world.segments() == [(0, None, "in_range", "", None)]
    assert world.verdicts("rule") == []


def open_breaches(world: World) -> list[tuple[Any, ...]]:
    """(minute confirmed, minute critical, severity)"""
    details = [json.loads(detail) for (detail,) in world.verdicts("detail")]
    return [
        (minute_of(d["confirmed_us"]), minute_of(d["critical_us"]) if "critical_us" in d else None, d["severity"])
        for d in details
    ]


def test_a_breach_becomes_critical_and_else_an_open_one_says_the_same(world: World, truck: Device) -> None:
    strictly(world)
    heard = []
    world.hear(*steady(truck, -5, -5, -15))
    for n, message in enumerate(steady(truck, 0, 40, -10, per_message=1)):
        world.hear(message)
        heard.append(world.fold(now_us=START + n * 5 * MINUTE).verdicts("rule", "state", "detail"))
    assert [len(rows) for rows in heard] == [0, 0, 0, 1, 1, 1, 1, 1, 1]
    assert heard[3] == [("CN-frozen transport limit", "open", heard[3][0][2])]
    assert open_breaches(world) == [(15, 20, "critical")]
    assert heard[4] == heard[-1] != heard[3]


def test_goods_too_cold_breach_the_low_limit(world: World, truck: Device) -> None:
    strictly(world)
    world.hear(*steady(truck, 0, 20, -20), *steady(truck, 25, 30, -25), *steady(truck, 35, 40, -15))
    world.fold(now_us=START + 40 * MINUTE)
    ((rule, detail),) = world.verdicts("rule", "detail")
    assert rule == "CN-frozen transport low limit"
    assert json.loads(detail) == {
        **{name: value for name, value in STRICT.items() if name not in ("low_mc", "max_gap_s")},
        "limit_mc": -19_000,
        "min_mc": -25_000,
        "confirmed_us": START + 15 * MINUTE,
        "critical_us": START + 20 * MINUTE,
        "pack": "CN-frozen",
        "version": 2,
        "stage": "transport",
        "verified": True,
        "severity": "critical",
    }


@pytest.mark.parametrize("door_first", [True, False])
def test_an_open_door_stops_the_timers_whether_it_is_told_of_in_time_or_late(
    world: World, truck: Device, door_first: bool
) -> None:
    strictly(world)
    door, warm = truck.shows("door/rear", (5, True), (10, True), (12, False)), steady(truck, 0, 30, -10)
    for message in [door, *warm] if door_first else [*warm, door]:
        world.hear(message)
        world.fold(now_us=START + 30 * MINUTE)
    assert open_breaches(world) == [(25, 30, "critical")]


def test_a_door_told_of_by_a_message_that_does_not_count_stops_nothing(world: World, truck: Device) -> None:
    strictly(world)
    world.hear(*steady(truck, 0, 30, -10))
    door = truck.signs(json.dumps([{"n": "door/rear", "t": (START + 5 * MINUTE) / 1e6, "vb": True}]))
    world.hear(door)
    world.fold(now_us=START + 30 * MINUTE)
    assert open_breaches(world) == [(25, 30, "critical")]
    world.hear(truck.signs(_pack(200, -10, 200)))
    world.fold(now_us=START + 30 * MINUTE)
    assert open_breaches(world) == [(15, 20, "critical")]


def test_fault_values_are_neither_breach_nor_in_range(world: World, truck: Device) -> None:
    world.hear(truck.says((0, -20), (5, -20)))
    world.hear(truck.says((6, 85.0), (7, "1e999"), (8, 4294967294), (9, '"###"')))
    world.hear(truck.says((10, -20), (15, -20)))
    world.fold(now_us=START + 20 * MINUTE)
    assert world.segments() == [
        (0, 5, "in_range", "", None),
        (5, 10, "unknown", "fault", None),
        (10, None, "in_range", "", None),
    ]
    assert world.verdicts("rule", "verdict") == [("CN-frozen sensor fault", "unknown")]


def test_times_that_cannot_be_are_kept_and_judge_nothing(world: World, truck: Device) -> None:
    world.hear(truck.says((0, -20), (5, -20)), at_us=START + 5 * MINUTE)
    world.hear(truck.says((3 * 1440, -5), (10, -20)), at_us=START + 10 * MINUTE)
    world.hear(truck.says((-(2 * 10**7), -5)), at_us=START + 10 * MINUTE)
    world.fold(now_us=START + 10 * MINUTE)
    assert world.segments() == [(0, None, "in_range", "", None)]
    assert [row[:2] for row in world.verdicts("rule", "channel", "from_us", source="device")] == [
        ("device clock", "early"),
        ("device clock", "ahead"),
    ]


def test_differing_copies_are_evidence_of_nothing_whichever_came_first(world: World, truck: Device) -> None:
    world.hear(*steady(truck, 0, 15, -20))
    honest, forged = truck.signs(_pack(20, -5, 40)), truck.signs(_pack(20, -20, 40))
    results = []
    for order in ((honest, forged), (forged, honest)):
        mine = World(world.engine)
        mine.entries = list(world.entries)
        for copy in order:
            mine.hear(copy)
            mine.fold(now_us=START + 90 * MINUTE)
        results.append(mine.rows(facts_only=True))
        assert mine.segments() == [(0, 15, "in_range", "", None), (15, None, "unknown", "gap", None)]
        assert mine.verdicts("rule", "channel", source="device") == [("device disputed", "1/1")]
    assert results[0] == results[1]


def test_a_message_of_a_revoked_key_counts_only_when_one_recorded_before_reaches_it(
    world: World, truck: Device
) -> None:
    early, middle, newest = (truck.says((m, -20), (m + 5, -20)) for m in (0, 10, 20))
    thief = truck.signs(_pack(30, -1, 30))
    world.hear(newest)
    world.revoke(truck)
    world.hear(early, thief)
    world.fold(now_us=START + 30 * MINUTE)
    assert world.segments() == [(20, None, "in_range", "", None)]
    world.hear(middle)
    world.fold(now_us=START + 30 * MINUTE)
    assert world.segments() == [(0, None, "in_range", "", None)]
    with world.engine.connect() as connection:
        stored = readings(connection, "TRUCK-1", START, START + 90 * MINUTE)
    assert {reading.quality for reading in stored if reading.t_us >= START + 30 * MINUTE} == {"revoked"}


def test_missing_messages_show_as_a_gap_until_they_come(world: World, truck: Device) -> None:
    messages = steady(truck, 0, 100, -20)
    truck.reboots()
    messages += steady(truck, 105, 140, -20)
    world.hear(*messages[:2], *messages[4:5], *messages[7:])
    world.fold()
    assert [(rule, channel, json.loads(detail)) for rule, channel, detail in _device_rows(world)] == [
        ("device gap", "1/2", {"boot": 1, "seq": 2, "upto": 3}),
        ("device gap", "2/0", {"boot": 2, "seq": 0, "upto": 0}),
    ]
    world.hear(*messages[2:4], *messages[5:7])
    world.fold()
    assert _device_rows(world) == []


def test_signed_events_are_links_of_the_same_chain(world: World, truck: Device) -> None:
    world.hear(truck.says((0, -20)))
    event = {"type": "ObjectEvent", "eventTime": "2025-10-09T09:00:00Z", "eventTimeZoneOffset": "+00:00"}
    document = json.dumps({**event, "action": "OBSERVE", "epcList": ["urn:epc:id:sscc:6901234.0500000002"]})
    jws = truck.sends(document, typ="epcis+json")
    world.record("event", "tm/TRUCK-1/1/1", jws)
    world.hear(truck.says((5, -20)))
    assert _device_rows(world.fold()) == []
    with world.engine.connect() as connection:
        c = telemetry.device_range.c
        assert connection.execute(select(c.boot, c.lo, c.hi)).all() == [(1, 0, 2)]


def test_a_message_that_names_another_predecessor_is_a_broken_link(world: World, truck: Device) -> None:
    first = truck.says((0, -20))
    truck.prev = bytes(32)
    world.hear(first, truck.says((5, -20)))
    assert [row[:2] for row in _device_rows(world.fold())] == [("device prev-mismatch", "1/1")]


def test_a_room_is_judged_as_storage_and_a_device_without_profile_not_at_all(world: World) -> None:
    room, logger = Device("ROOM-1"), Device("LOGGER-1")
    world.enrol(room, place="room:w1/a")
    world.enrol(logger, place=None, profile=None)
    world.hear(*steady(room, 0, 60, -5, step=25), *steady(logger, 0, 60, -5, step=25))
    world.fold(now_us=START + 60 * MINUTE)
    assert world.verdicts("rule", "subject") == [("CN-frozen storage limit", "dev:ROOM-1")]
    with world.engine.connect() as connection:
        c = telemetry.channel.c
        assert connection.execute(select(c.state, c.last_mc).order_by(c.state)).all() == [
            ("breach", -5_000),
            ("unjudged", -5_000),
        ]


def test_a_pack_recorded_in_the_ledger_judges_from_its_own_day_on(world: World, truck: Device) -> None:
    stage = {"clause": "test", "limit_mc": -30_000, "hysteresis_mc": 0, "consecutive_s": 60, "max_gap_s": 600}
    pack = {"v": 1, "name": "CN-frozen", "version": 2, "from_us": START + 30 * MINUTE, "clause": "test"}
    world.hear(*steady(truck, 0, 60, -20))
    world.fold(now_us=START + 60 * MINUTE)
    world.record("rules", "rules/CN-frozen/2", json_bytes({**pack, "verified": True, "stages": {"transport": stage}}))
    world.fold(now_us=START + 60 * MINUTE)
    assert world.segments() == [
        (0, 25, "in_range", "", None),
        (25, 30, "in_range", "", None),
        (30, None, "breach", "", None),
    ]
    assert [json.loads(detail)["version"] for (detail,) in world.verdicts("detail")] == [2]


def test_a_device_mounted_elsewhere_is_judged_by_its_new_place_from_then_on(world: World) -> None:
    device = Device()
    world.enrol(device, at_us=START)
    world.hear(*steady(device, 0, 20, -5), at_us=START + 20 * MINUTE)
    world.fold(now_us=START + 20 * MINUTE)
    world.enrol(device, at_us=START + 22 * MINUTE, op="rotate", place="room:w1/a")
    world.hear(*steady(device, 25, 90, -5, step=20), at_us=START + 90 * MINUTE)
    world.fold(now_us=START + 90 * MINUTE)
    assert world.verdicts("rule", "to_us") == [
        ("CN-frozen transport limit", START + 20 * MINUTE),
        ("CN-frozen storage limit", None),
    ]


def test_readings_come_back_by_probe_and_time_with_their_quality(world: World, truck: Device) -> None:
    world.hear(truck.says((0, -20.125), (5, "NaN"), (400, -18.0005)), truck.says((0, -20.5)))
    world.fold()
    with world.engine.connect() as connection:
        found = readings(connection, "TRUCK-1", START, START + 401 * MINUTE, "temp/air")
        part = readings(connection, "TRUCK-1", START + 5 * MINUTE, START + 400 * MINUTE)
    assert [(r.t_us - START, r.value, r.quality, r.seq) for r in found] == [
        (0, -20_125, "conflict", 0),
        (0, -20_500, "conflict", 1),
        (5 * MINUTE, None, "not-finite", 0),
        (400 * MINUTE, -18_000, "", 0),
    ]
    assert [r.t_us - START for r in part] == [5 * MINUTE]


def _pack(minute: float, value: float, until: float) -> str:
    records = [
        {"n": "temp/air", "t": (START + m * MINUTE) / 1e6, "v": value} for m in range(int(minute), int(until) + 1, 5)
    ]
    return json.dumps(records)


def _device_rows(world: World) -> list[tuple[Any, ...]]:
    rows = world.verdicts("rule", "channel", "detail", source="device")
    return sorted(rows, key=lambda row: (row[0], row[1]))


moments = st.sampled_from(
    [0, 3, 5, 8, 10, 12, 15, 20, 25, 30, 33, 40, 50, 60, 75, 90, 360, 365, 370, 375, 380, 720, 725, 750]
)
celsius = st.sampled_from([-20, -20, -18.2, -17, -17, -10, -5, 85.0, "NaN"])
contents = st.lists(st.lists(st.tuples(moments, celsius), min_size=1, max_size=5), min_size=1, max_size=14)
views = settings(max_examples=examples(40), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


STRICT = {"clause": "t", "limit_mc": -12_000, "hysteresis_mc": 300, "consecutive_s": 300, "max_gap_s": 900}
STRICT |= {"low_mc": -19_000, "tolerance_mc": 3_000, "tolerance_s": 900, "critical_s": 1_200}
STRICT |= {"defrost_cap_s": 900, "door_cap_s": 600}


def strictly(world: World) -> None:
    """A rule with all a rule may say."""
    pack = {"name": "CN-frozen", "version": 2, "clause": "t", "verified": True, "stages": {"transport": STRICT}}
    world.record("rules", "rules/CN-frozen/2", json_bytes(pack))


def told(world: World, contents: Sequence[Sequence[tuple[float, Any]]], rng: random.Random) -> list[bytes]:
    """Messages of one truck with two probes and a door, some of them lost, repeated with another content, or after a
    reboot."""
    device = Device()
    world.enrol(device)
    if rng.random() < 0.6:
        strictly(world)
    messages = []
    for samples in contents:
        if rng.random() < 0.1:
            messages.append(device.signs(_pack(10, -3, 30)))
        if rng.random() < 0.5:
            shown = [(minute + rng.choice([0, 1, 5]), rng.random() < 0.6) for minute, _ in samples]
            messages.append(device.shows(rng.choice(["defrost", "door/rear"]), *shown))
        message = device.says(*samples, probe=rng.choice(["air", "air", "box"]))
        messages += [message] if rng.random() < 0.9 else []
        if rng.random() < 0.1:
            device.reboots()
    return messages


@views
@given(contents, st.randoms(use_true_random=False), st.integers(1, 5))
def test_any_order_of_arrival_in_any_batches_ends_in_the_same_facts(
    sqlite_engine: Engine, contents: list[list[tuple[float, Any]]], rng: random.Random, size: int
) -> None:
    now_us = START + rng.choice([0, 20, 400, 2_000]) * MINUTE
    one = World(sqlite_engine)
    messages = told(one, contents, rng)
    enrolment = list(one.entries)
    one.hear(*messages)
    facts = one.fold(now_us=now_us).rows(facts_only=True)
    other = World(sqlite_engine)
    other.entries = enrolment
    rng.shuffle(messages)
    other.hear(*messages)
    assert other.fold(size, now_us).rows(facts_only=True) == facts


@views
@given(contents, st.randoms(use_true_random=False), st.integers(1, 5))
def test_a_rebuild_gives_every_column_back_and_a_restart_changes_nothing(
    sqlite_engine: Engine, contents: list[list[tuple[float, Any]]], rng: random.Random, size: int
) -> None:
    world, until_us = World(sqlite_engine), START + 380 * MINUTE
    world.now_us = START
    messages = told(world, contents, rng)
    rng.shuffle(messages)
    for message in messages:
        world.hear(message)
        something_happens(world, rng)
        world.fold(now_us=until_us)
        if rng.random() < 0.3:
            world.views.reset()
    rows = world.fold(now_us=until_us).rows()
    assert world.rebuilt(size, until_us).rows() == rows


def something_happens(world: World, rng: random.Random) -> None:
    """A key revoked, a device moved, a rule pack recorded; mostly nothing."""
    what = rng.random()
    if what < 0.1:
        world.revoke(Device())
    elif what < 0.2:
        world.now_us += rng.choice([0, 5, 300]) * MINUTE
        world.enrol(
            Device(), place=rng.choice([None, "veh:A", "room:w/a"]), profile=rng.choice(["CN-frozen", "P", None])
        )
    elif what < 0.25:
        stage = {"clause": "t", "limit_mc": -19_000, "hysteresis_mc": 0, "consecutive_s": 60, "max_gap_s": 3_600}
        pack = {"name": rng.choice(["CN-frozen", "P"]), "version": rng.randint(1, 3), "clause": "t", "verified": True}
        pack |= {"from_us": START + rng.choice([0, 20, 90, 400]) * MINUTE, "stages": {"transport": stage}}
        world.record("rules", f"rules/{pack['name']}/{len(world.entries)}", json_bytes(pack))


@views
@given(contents, contents, st.randoms(use_true_random=False), st.integers(1, 5))
def test_with_doors_and_defrosts_the_segments_are_those_of_one_fold_too(
    sqlite_engine: Engine,
    contents: list[list[tuple[float, Any]]],
    shown: list[list[tuple[float, Any]]],
    rng: random.Random,
    size: int,
) -> None:
    rule, now_us = strict_rule(), START + 800 * MINUTE
    world, device = World(sqlite_engine), Device()
    world.enrol(device)
    strictly(world)
    messages = [device.says(*samples) for samples in contents]
    pauses = [(rng.choice(["defrost", "door/rear"]), [(m, v == -17) for m, v in samples]) for samples in shown]
    messages += [device.shows(name, *samples) for name, samples in pauses]
    rng.shuffle(messages)
    for message in messages:
        world.hear(message)
    world.fold(size, now_us)
    windows: dict[str, dict[int, bool]] = {}
    for name, samples in pauses:
        for minute, on in samples:
            at_us = START + minute * MINUTE
            windows.setdefault(name, {})[at_us] = on or windows.setdefault(name, {}).get(at_us, False)
    beside = Beside(lambda _from_us, _to_us: {name: sorted(said.items()) for name, said in windows.items()})
    state, closed = advance(rule, None, merged(_items(contents)), beside)
    assert state is not None
    assert world.segments() == _told(closed + open_segments(rule, state, now_us))


def strict_rule() -> Stage:
    pack = {"name": "p", "version": 1, "clause": "t", "verified": True, "stages": {"transport": STRICT}}
    return parse_pack(pack).stages["transport"]


def _items(contents: Sequence[Sequence[tuple[float, Any]]]) -> list[tuple[int, int | None]]:
    return [
        (START + round(m * MINUTE), round(v * 1000) if isinstance(v, (int, float)) and v < 85 else None)
        for samples in contents
        for m, v in samples
    ]


def _told(segments: Sequence[Segment]) -> list[tuple[Any, ...]]:
    return [
        (minute_of(s.from_us), None if s.to_us is None else minute_of(s.to_us), s.state, s.reason, s.max_mc)
        for s in segments
    ]


@views
@given(contents, st.randoms(use_true_random=False))
def test_the_segments_are_those_of_the_fold_over_everything_at_once(
    sqlite_engine: Engine, contents: list[list[tuple[float, Any]]], rng: random.Random
) -> None:
    rule, now_us = FROZEN.stages["transport"], START + 400 * MINUTE
    world = World(sqlite_engine)
    device = Device()
    world.enrol(device)
    messages = [device.says(*samples) for samples in contents]
    rng.shuffle(messages)
    world.hear(*messages)
    world.fold(3, now_us)
    state, closed = advance(rule, None, merged(_items(contents)))
    assert state is not None
    assert world.segments() == _told(closed + open_segments(rule, state, now_us))


def a_day(world: World, rng: random.Random) -> list[bytes]:
    """Sixteen hours of a truck whose box is warm now and then, faulty, or not heard of. Without every other message the
    readings still follow each other closely enough."""
    device = Device()
    world.enrol(device)
    if rng.random() < 0.5:
        strictly(world)
    minute, messages = 0, []
    while minute < 960:
        value = rng.choice([-20, -20, -20, -17, -5, 85.0])
        for _ in range(rng.randint(1, 4)):
            for first in (0, 5):
                said = value if rng.random() < 0.9 else rng.choice([-20, -17])
                messages.append(device.says((minute + first, said), (minute + first + 10, said)))
            if rng.random() < 0.3:
                messages.append(device.shows("door/rear", (minute, True), (minute + rng.choice([5, 25]), False)))
            minute += 20
        minute += rng.choice([0, 0, 0, 60])
    return messages


@settings(views, max_examples=examples(20))
@given(st.randoms(use_true_random=False), st.integers(1, 5))
def test_a_backlog_in_whatever_pieces_ends_as_if_it_had_come_in_order(
    sqlite_engine: Engine, rng: random.Random, size: int
) -> None:
    """Pieces as devices send them: the newest first and then the rest, in order or from the end, between live ones."""
    now_us = START + rng.choice([970, 2_000]) * MINUTE
    one = World(sqlite_engine)
    messages = a_day(one, rng)
    before = list(one.entries)
    first, last = sorted(rng.sample(range(len(messages)), 2))
    backlog, live = messages[first:last], messages[last:]
    if rng.random() < 0.3:
        backlog.reverse()
    for lost in range(rng.randint(0, 2)):
        backlog.insert(rng.randrange(len(backlog) + 1), backlog.pop(lost % len(backlog)))
    ahead = rng.randint(0, len(live))
    arrivals = messages[:first] + live[:ahead]
    for place, late in enumerate(backlog):
        arrivals += [late, *live[ahead + place : ahead + place + 1]]
    arrivals += live[ahead + len(backlog) :]
    assert sorted(arrivals) == sorted(messages)
    one.hear(*arrivals)
    rows = one.fold(size, now_us).rows()
    assert one.rebuilt(now_us=now_us).rows() == rows
    other = World(sqlite_engine)
    other.entries = before
    other.hear(*messages)
    facts = other.fold(now_us=now_us).rows(facts_only=True)
    assert one.rebuilt(size, now_us).rows(facts_only=True) == facts


@views
@given(contents, st.randoms(use_true_random=False))
def test_whatever_changes_a_verdict_marks_its_lane(
    sqlite_engine: Engine, contents: list[list[tuple[float, Any]]], rng: random.Random
) -> None:
    world = World(sqlite_engine)
    messages = told(world, contents, rng)
    rng.shuffle(messages)
    now_us = START
    for message in messages:
        before = by_lane(world)
        with writing(world.engine) as connection:
            connection.execute(verdict_touched.delete())
        world.hear(message)
        something_happens(world, rng)
        now_us += rng.choice([0, 5, 30]) * MINUTE
        world.fold(now_us=now_us)
        after = by_lane(world)
        with world.engine.connect() as connection:
            marked = {tuple(row[:3]) for row in connection.execute(select(verdict_touched))}
        assert {lane for lane in before.keys() | after.keys() if before.get(lane) != after.get(lane)} <= marked


def by_lane(world: World) -> dict[tuple[str, ...], set[tuple[Any, ...]]]:
    with world.engine.connect() as connection:
        found: dict[tuple[str, ...], set[tuple[Any, ...]]] = {}
        for _, *row in connection.execute(select(verdict)):
            found.setdefault(tuple(row[:3]), set()).add(tuple(row[3:-1]))
        return found


def test_postgresql_holds_the_same_rows_as_sqlite(world: World, migrated_postgres_url: str, tmp_path: Path) -> None:
    engine = make_engine(migrated_postgres_url)
    other = World(engine)
    rng = random.Random(7)
    samples = [
        [(rng.randrange(0, 800, 5), rng.choice([-20, -17, -5, 85.0, "NaN"])) for _ in range(5)] for _ in range(60)
    ]
    messages = told(world, samples, rng)
    rng.shuffle(messages)
    world.hear(*messages)
    other.entries = world.entries
    assert other.fold(7, START + 900 * MINUTE).rows() == world.fold(11, START + 900 * MINUTE).rows()
    engine.dispose()
