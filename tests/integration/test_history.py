"""Cells that are over, packed and summed up: nothing that is read says otherwise than before, whatever came when."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from statistics import pstdev
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, func, select

from coldchain.db.bulk import put_rows
from coldchain.db.engine import make_engine, writing
from coldchain.db.tables import metadata
from coldchain.db.tables import telemetry as tables
from coldchain.db.tables.cursor import cursor
from coldchain.domain.rollups import HOUR_US, SILENCE_US, by_hour, longest_silence, pack_hours, unpack_hours
from coldchain.projections.follow import digests
from coldchain.projections.history import History, first_open
from coldchain.projections.rollups import Stretch, stretches
from coldchain.projections.series import CELL_US, Reading, readings, spans
from coldchain.projections.telemetry import TelemetryViews
from coldchain.rules import shipped_documents
from coldchain.settings import load_settings
from integration.telemetry import MINUTE, START, Device, World
from opening import migrated_file, new_core
from web.story import START as TOLD_FROM
from web.story import Clock, tell

FOREVER = 2**62
FACTS = [metadata.tables[name] for name in TelemetryViews.tables]
END = START + 10_000 * MINUTE


class Past(World):
    """A world whose cells are packed and summed up when it is told to."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        self.history = History(engine)

    def fold(self, size: int | None = None, now_us: int | None = None) -> Past:
        super().fold(size, now_us)
        with writing(self.engine) as connection:
            put_rows(connection, cursor, [("telemetry", 1, self.folded, now_us or END)])
        return self

    def settle(self, size: int | None = None) -> Past:
        self.fold(size, END)
        self.history.catch_up()
        return self

    def again(self, other: Past) -> Past:
        """The same ledger, folded from nothing."""
        self.entries = other.entries
        return self

    def facts(self) -> dict[str, str]:
        return digests(self.engine, FACTS, facts_only=True)

    def said(self, device: Device, prefix: str = "") -> list[Reading]:
        with self.engine.connect() as connection:
            return readings(connection, device.name, 0, FOREVER, prefix)

    def summed(self, device: Device, hours: int, span: tuple[int, int] = (START, END)) -> list[Stretch]:
        with self.engine.connect() as connection:
            return stretches(connection, self.number(device), hours, span, END)

    def number(self, device: Device) -> int:
        with self.engine.connect() as connection:
            query = select(tables.device.c.device_no).where(tables.device.c.device == device.name)
            return int(connection.scalar(query) or 0)

    def stored(self) -> tuple[int, int]:
        """Rows of messages with a believable time that are not packed, and cells that are."""
        loose = select(func.count()).where(tables.series.c.first_us.is_not(None))
        with self.engine.connect() as connection:
            packed = connection.scalar(select(func.count()).select_from(tables.series_packed))
            return connection.scalar(loose) or 0, packed or 0


@pytest.fixture(scope="module")
def sqlite_engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    engine = make_engine(migrated_file(tmp_path_factory.mktemp("past") / "past.db"))
    yield engine
    engine.dispose()


@pytest.fixture
def postgres_engine(migrated_postgres_url: str) -> Iterator[Engine]:
    engine = make_engine(migrated_postgres_url)
    yield engine
    engine.dispose()


@pytest.fixture(params=["sqlite_engine", "postgres_engine"])
def past(request: pytest.FixtureRequest) -> Past:
    return Past(request.getfixturevalue(request.param))


@pytest.fixture
def world(sqlite_engine: Engine) -> Past:
    return Past(sqlite_engine)


def enrolled(past: Past, name: str = "TRUCK-1") -> Device:
    device = Device(name)
    past.enrol(device, at_us=START)
    return device


def hours_of(device: Device, hours: float, step: float = 10, value: float = -20.5) -> list[bytes]:
    """A message every half hour with a reading every `step` minutes."""
    count = round(hours * 60 / step)
    times = [step * n for n in range(count)]
    each = max(1, round(30 / step))
    return [device.says(*((t, value - (t % 7) / 10) for t in times[n : n + each])) for n in range(0, count, each)]


def test_packed_cells_read_as_before_and_only_what_is_open_stays_loose(past: Past) -> None:
    truck = enrolled(past)
    past.hear(*hours_of(truck, 30))
    now_us = START + 30 * HOUR_US
    past.fold(now_us=now_us)
    before, facts = past.said(truck), past.facts()
    past.history.catch_up()
    loose, packed = past.stored()
    assert packed >= 4
    assert 0 < loose <= 2 * 7
    assert first_open(now_us) == (now_us - HOUR_US) // CELL_US
    assert past.said(truck) == before
    assert {name for name, digest in past.facts().items() if digest != facts[name]} == {"rollup_hour", "rollup_day"}


def test_a_copy_that_differs_withdraws_a_packed_message_from_everything(past: Past) -> None:
    truck = enrolled(past)
    past.hear(*hours_of(truck, 6))
    twin, warm_at = Device(), 7 * 60
    twin.seq = truck.seq
    past.hear(truck.says(*((warm_at + 5 * n, -3.0) for n in range(12))))
    past.settle()
    assert past.stored()[0] == 0
    assert ("breach",) in past.verdicts("verdict")
    past.hear(twin.says(*((warm_at + 5 * n, -19.0) for n in range(12))))
    past.settle()
    assert ("breach",) not in past.verdicts("verdict")
    assert {reading.quality for reading in past.said(truck) if reading.seq == truck.seq - 1} == {"disputed"}
    assert max(stretch.bucket.high for stretch in past.summed(truck, 1)) < -18_000
    assert past.stored()[0] == 0
    assert past.facts() == Past(past.engine).again(past).settle().facts()


def test_summed_hours_and_days_are_those_of_the_readings_that_count(world: Past) -> None:
    truck = enrolled(world)
    rng = random.Random(3)
    minutes = sorted({rng.randrange(0, 3 * 1440) for _ in range(400)})
    values = {minute: round(rng.uniform(-25, -15), 2) for minute in minutes}
    world.hear(*(truck.says(*((m, values[m]) for m in minutes[n : n + 5])) for n in range(0, 400, 5)))
    world.settle()
    for hours in (1, 24):
        width = hours * HOUR_US
        for stretch in world.summed(truck, hours):
            times = {START + m * MINUTE: round(v * 1000) for m, v in values.items()}
            inside = {t: v for t, v in times.items() if stretch.from_us <= t < stretch.to_us}
            found = list(inside.values())
            bucket = stretch.bucket
            assert (bucket.readings, bucket.low, bucket.high) == (len(found), min(found), max(found))
            assert (bucket.mean, bucket.deviation) == pytest.approx((sum(found) / len(found), pstdev(found)))
            assert (bucket.first, bucket.last) == (inside[min(inside)], inside[max(inside)])
            known = reference_known_us(sorted(times), stretch.from_us, stretch.to_us, 600_000_000)
            assert stretch.gap_share == pytest.approx(1 - known / width)


def reference_known_us(times: list[int], from_us: int, to_us: int, longest: int) -> int:
    """Time of a stretch between readings no further apart than the rule allows."""
    return sum(max(0, min(b, to_us) - max(a, from_us)) for a, b in pairwise(times) if b - a <= longest)


def test_what_is_not_summed_up_yet_is_answered_the_same(world: Past) -> None:
    truck = enrolled(world)
    world.hear(*hours_of(truck, 50))
    world.fold(now_us=END)
    before = world.summed(truck, 1), world.summed(truck, 24)
    assert len(before[0]) == 50
    world.history.step()
    assert (world.summed(truck, 1), world.summed(truck, 24)) == before
    world.history.catch_up()
    assert (world.summed(truck, 1), world.summed(truck, 24)) == before


def test_another_rule_tells_the_silences_of_the_past_anew(world: Past) -> None:
    truck = enrolled(world)
    world.hear(*hours_of(truck, 8, step=15))
    world.settle()
    assert {stretch.gap_share for stretch in world.summed(truck, 1)} == {1.0}, "every quarter of an hour is too rare"
    pack = next(document for document in shipped_documents() if document["name"] == "CN-frozen")
    stages = {name: {**stage, "max_gap_s": 1_200} for name, stage in pack["stages"].items()}
    world.record("rules", "rules/CN-frozen/9", json.dumps({**pack, "version": 9, "stages": stages}).encode())
    world.settle()
    told = world.summed(truck, 1)
    assert {stretch.gap_share for stretch in told[1:-1]} == {0.0}
    assert world.facts() == Past(world.engine).again(world).settle().facts()


def test_hours_come_back_from_their_packed_form() -> None:
    rng = random.Random(5)
    told = {
        f"temp/p{n}": [(rng.randrange(10**11), rng.randrange(-30_000, 10_000)) for _ in range(60)] for n in range(3)
    }
    told["light"] = [(5, 9 * 10**11), (6, 9 * 10**11)]
    summed = {name: dict(by_hour(readings, longest_silence((), name))) for name, readings in told.items()}
    assert summed["light"][0].squares is None
    assert unpack_hours(pack_hours(summed)) == summed


def test_humidity_is_summed_up_in_thousandths_and_positions_are_not(world: Past) -> None:
    truck = enrolled(world)
    said = [
        {"n": name, "t": START / 1e6, "v": value} for name, value in (("rh/box", 60.5), ("lat", 31.5), ("x/odd", 1))
    ]
    world.hear(truck.sends(json.dumps(said)))
    world.settle()
    (only,) = world.summed(truck, 1)
    assert (only.channel, only.bucket.first, only.bucket.silence_us) == ("rh/box", 60_500, SILENCE_US)


events = st.lists(
    st.tuples(st.integers(0, 60), st.integers(1, 3), st.sampled_from([-21.0, -20.0, -10.0])), min_size=2, max_size=14
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(events, st.randoms(use_true_random=False), st.integers(1, 5))
def test_any_order_of_messages_and_packing_gives_the_same_facts(
    sqlite_engine: Engine, told: list[Any], chance: random.Random, size: int
) -> None:
    truck = Device()
    messages = []
    for half_hour, count, value in told:
        if half_hour % 9 == 0 and messages:  # a copy that differs from the message before
            truck.seq -= 1
        messages.append(truck.says(*((half_hour * 30 + 7 * n, value) for n in range(count))))
    straight = Past(sqlite_engine)
    straight.enrol(truck, at_us=START)
    straight.hear(*messages)
    expected, said = straight.settle().facts(), sorted(map(repr, straight.said(truck)))
    hours = straight.summed(truck, 1)
    mixed = Past(sqlite_engine)
    mixed.enrol(truck, at_us=START)
    chance.shuffle(messages)
    for start in range(0, len(messages), size):
        mixed.hear(*messages[start : start + size])
        mixed.fold(now_us=END)
        for _ in range(chance.randrange(3)):
            mixed.history.step()
    assert mixed.settle().facts() == expected
    assert [reading[:4] for reading in mixed.said(truck)] == [reading[:4] for reading in straight.said(truck)]
    assert mixed.summed(truck, 1) == hours
    assert len(said) == len(mixed.said(truck))


def test_a_crash_while_packing_leaves_the_cell_as_it_was_and_due(world: Past, monkeypatch: pytest.MonkeyPatch) -> None:
    truck = enrolled(world)
    world.hear(*hours_of(truck, 8))
    world.fold(now_us=END)
    before, stored = world.said(truck), world.stored()
    with monkeypatch.context() as patch:
        patch.setattr("coldchain.projections.history._replace", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            world.history.step()
    assert (world.said(truck), world.stored()) == (before, stored)
    world.history.catch_up()
    assert world.said(truck) == before
    assert world.stored()[0] == 0


def test_copies_at_a_place_are_found_wherever_they_lie(world: Past) -> None:
    truck = enrolled(world)
    world.hear(*hours_of(truck, 8))
    world.settle()
    with world.engine.connect() as connection:
        (span,) = spans(connection, world.number(truck), [(1, 3)])
    assert (span.boot, span.seq, span.entry) == (1, 3, 4)


def test_a_rebuild_after_packing_gives_every_table_back(tmp_path: Path) -> None:
    clock = Clock(TOLD_FROM)
    with new_core(load_settings(dir=tmp_path / "data"), clock=clock) as core:
        tell(core, clock)
        clock.now_us += 3 * CELL_US
        core.settle()
        core.history.catch_up()
        with core.engine.connect() as connection:
            assert connection.scalar(select(func.count()).select_from(tables.series_packed))
        found = core.follower.rebuild()
    assert {"series", "rollup_hour", "rollup_day"} <= found.keys()
    assert [name for name, digest in found.items() if digest.before != digest.after] == []
