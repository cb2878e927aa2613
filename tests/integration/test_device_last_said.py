"""What a device last said of itself: when, its battery, its newest message that counts (telemetry §2)."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import permutations

import pytest
from sqlalchemy import Engine, select

from coldchain.db.engine import make_engine
from coldchain.db.tables.telemetry import device_state
from integration.telemetry import MINUTE, START, Device, World, minute_of


@pytest.fixture
def engine(migrated_url: str) -> Iterator[Engine]:
    engine = make_engine(migrated_url)
    yield engine
    engine.dispose()


def battery(device: Device, *samples: tuple[int, float]) -> bytes:
    """A message; samples are (minute, %)."""
    records = (f'{{"n":"battery","t":{1_760_000_400 + minute * 60},"v":{value}}}' for minute, value in samples)
    return device.sends(f"[{','.join(records)}]")


def last_said(world: World) -> tuple[float | None, ...]:
    """Boot and seq of the newest message, minute of the newest sample, minute and value of the battery."""
    c = device_state.c
    with world.engine.connect() as connection:
        (row,) = connection.execute(select(c.boot, c.seq, c.last_us, c.battery_us, c.battery)).all()
    boot, seq, *times, value = row
    return boot, seq, *(None if t_us is None else minute_of(t_us) for t_us in times), value


def test_a_device_that_never_tells_of_its_battery_has_none_and_is_seen_at_its_newest_reading(engine: Engine) -> None:
    device, world = Device(), World(engine)
    world.enrol(device)
    world.hear(device.says((0, -19.5), (7, -19.0)))
    assert last_said(world.fold()) == (1, 0, 7, None, None)


def test_the_newest_level_counts_whatever_the_order_and_the_lower_of_two_at_one_time(engine: Engine) -> None:
    device = Device()
    said = [battery(device, (0, 80.0), (10, 64.5)), battery(device, (10, 64.0)), battery(device, (5, 90.0))]
    said.append(device.says((12, -20.0)))
    for order in permutations(said):
        for size in (None, 1):
            world = World(engine)
            world.enrol(device)
            world.hear(*order)
            assert last_said(world.fold(size)) == (1, 3, 12, 10, 64.0)


def test_a_level_of_zero_is_a_level(engine: Engine) -> None:
    device, world = Device(), World(engine)
    world.enrol(device)
    world.hear(battery(device, (0, 5.0)), battery(device, (1, 0)))
    assert last_said(world.fold())[3:] == (1, 0.0)


def test_of_a_revoked_key_counts_what_is_reached_as_if_it_had_counted_at_once_and_nothing_else(engine: Engine) -> None:
    """One message vouches for two of another boot; they tell of the battery and of a clock that is wrong both ways and
    fast, once held back until their successor comes and once not."""
    device = Device()
    said = [
        battery(device, (0, 80.0), (3 * 1440, 50.0), (-(2 * 10**7), 40.0)),
        battery(device, (10, 64.0)),
        device.says((21, -20.0)),
    ]
    thief = device.signs('[{"n":"battery","t":1760007600,"v":1.0},{"n":"temp/air","t":1770000000,"v":-20}]')
    results = []
    for order in permutations([*said[:2], thief]):
        for size, forgets in ((None, False), (1, False), (1, True)):
            world = World(engine)
            world.enrol(device)
            world.hear(said[2], at_us=START + 20 * MINUTE)
            world.revoke(device)
            for message in order:
                world.hear(message, at_us=START + 20 * MINUTE)
                world.fold(size)
                if forgets:
                    world.views.reset()
            assert last_said(world) == (1, 2, 21, 10, 64.0)
            found = world.verdicts("rule", "channel", "from_us", "to_us", source="device")
            results.append((world.rows(facts_only=True), sorted(found, key=repr)))
            assert world.rebuilt(size).rows(facts_only=True) == results[-1][0]
    assert {channel for rule, channel, *_ in results[0][1] if rule == "device clock"} == {"ahead", "early"}
    assert all(result == results[0] for result in results)
