"""A clock that is behind (docs/temperature.md 4.5): told of where messages that wait cannot look like it."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, select

from coldchain.db.engine import make_engine
from coldchain.db.tables.verdicts import verdict, verdict_touched
from coldchain.domain.lateness import DAY_US, PROMPT_US, QUARTER_US, STEADY_US, behind_us
from exploring import examples
from integration.telemetry import MINUTE, START, Device, World
from opening import migrated_file
from temperature import reference as plain

HOUR_US = 60 * MINUTE
FIRST_DAY_US = (START // DAY_US + 1) * DAY_US
RULE = "device clock-behind"


class Arrival(NamedTuple):
    at_us: int
    newest_us: int


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    engine = make_engine(migrated_file(tmp_path_factory.mktemp("behind") / "behind.db"))
    yield engine
    engine.dispose()


def day(late_us: int, quarters: Iterable[int] = range(96), number: int = 0) -> list[Arrival]:
    """A message in each of these quarter hours of a day."""
    begin_us = FIRST_DAY_US + number * DAY_US
    times = [begin_us + quarter * QUARTER_US + 7 * MINUTE for quarter in quarters]
    return [Arrival(t_us, t_us - late_us) for t_us in times]


def signed(device: Device, arrivals: Iterable[Arrival]) -> list[tuple[bytes, int]]:
    return [(device.says(((one.newest_us - START) / MINUTE, -20)), one.at_us) for one in arrivals]


def told(engine: Engine) -> list[tuple[int, int | None, int]]:
    with engine.connect() as connection:
        rows = connection.execute(select(verdict).where(verdict.c.rule == RULE).order_by(verdict.c.from_us)).all()
    assert all((row.state == "open") == (row.to_us is None) for row in rows)
    return [(row.from_us, row.to_us, json.loads(row.detail)["behind_s"] * 1_000_000) for row in rows]


def played(engine: Engine, arrivals: Sequence[Arrival]) -> list[tuple[int, int | None, int]]:
    world, device = World(engine), Device()
    world.enrol(device, START)
    for message, at_us in signed(device, arrivals):
        world.hear(message, at_us=at_us)
    world.fold()
    return told(engine)


def test_a_clock_three_hours_behind_for_a_day_is_told_of(engine: Engine) -> None:
    assert played(engine, day(3 * HOUR_US)) == [(FIRST_DAY_US, None, 3 * HOUR_US)]
    with engine.connect() as connection:
        assert connection.scalar(select(verdict_touched.c.rule).where(verdict_touched.c.rule == RULE)) == RULE


def test_three_of_four_quarter_hours_are_a_day_and_one_fewer_is_not(engine: Engine) -> None:
    assert played(engine, day(3 * HOUR_US, range(71))) == []
    assert len(played(engine, day(3 * HOUR_US, range(72)))) == 1


def test_an_hour_late_is_told_of_and_less_is_not(engine: Engine) -> None:
    assert len(played(engine, day(PROMPT_US))) == 1
    assert played(engine, day(PROMPT_US - 1_000_000)) == []


def test_one_prompt_message_takes_the_day_back_and_ends_the_days_before(engine: Engine) -> None:
    before, other = day(3 * HOUR_US), day(3 * HOUR_US, number=1)
    prompt = Arrival(FIRST_DAY_US + DAY_US + HOUR_US, FIRST_DAY_US + DAY_US + HOUR_US)
    assert played(engine, [*before, *other]) == [(FIRST_DAY_US, None, 3 * HOUR_US)]
    assert played(engine, [*before, *other, prompt]) == [(FIRST_DAY_US, FIRST_DAY_US + DAY_US, 3 * HOUR_US)]
    assert played(engine, [*other, prompt]) == []


def test_what_was_sent_after_a_tunnel_does_not_hide_it(engine: Engine) -> None:
    late = [one._replace(at_us=FIRST_DAY_US + 12 * HOUR_US) for one in day(3 * HOUR_US, range(42, 48))]
    assert len(played(engine, [*day(3 * HOUR_US, [*range(42), *range(48, 96)]), *late])) == 1


def test_messages_of_a_revoked_key_tell_nothing(engine: Engine) -> None:
    world, device = World(engine), Device()
    world.enrol(device, START)
    messages = signed(device, day(3 * HOUR_US))
    world.hear(messages[0][0], at_us=messages[0][1])
    world.revoke(device)
    for message, at_us in messages[1:]:
        world.hear(message, at_us=at_us)
    world.fold()
    assert told(engine) == []


days = st.tuples(
    st.sampled_from([45, 60, 61, 180]),
    st.sampled_from([0, 60, 200]),
    st.sampled_from([70, 72, 96]),
    st.sampled_from([None, None, None, 10, 90]),
)
"""(minutes late, seconds of jitter, quarter hours, quarter hour of a prompt message)"""


def stated(said: Sequence[tuple[int, int, int, int | None]], rng: random.Random) -> list[Arrival]:
    found = []
    for number, (late, jitter, quarters, prompt) in enumerate(said):
        for one in day(late * MINUTE, sorted(rng.sample(range(96), quarters)), number):
            found.append(one._replace(newest_us=one.newest_us - rng.randint(0, jitter) * 1_000_000))
        if prompt is not None:
            found += day(0, [prompt], number)
    return sorted(found)


@settings(max_examples=examples(20), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(days, min_size=1, max_size=3), st.randoms(use_true_random=False))
def test_the_server_tells_what_the_clauses_tell_in_any_order_of_folding(
    engine: Engine, said: list[tuple[int, int, int, int | None]], rng: random.Random
) -> None:
    arrivals = stated(said, rng)
    world, device = World(engine), Device()
    world.enrol(device, START)
    messages = signed(device, arrivals)
    rng.shuffle(messages)
    while messages:
        size = rng.randint(1, 60)
        for message, at_us in messages[:size]:
            world.hear(message, at_us=at_us)
        del messages[:size]
        world.fold(rng.choice([7, None]))
        if rng.random() < 0.3:
            world.views.reset()
    assert told(engine) == plain.behind(arrivals)


# A device with a right clock


sendings = st.tuples(
    st.sampled_from([1, 5, 15, 60]),
    st.integers(1, 60),
    st.lists(st.tuples(st.integers(0, 1440), st.integers(1, 900)), max_size=4),
    st.integers(2, 40),
    st.integers(0, 45),
)
"""Minutes of samples in a message, between two sendings; outages, each with its length; messages a sending; minutes on
the way."""


@settings(max_examples=examples(300))
@given(sendings)
def test_a_device_that_keeps_and_sends_is_never_taken_for_one_whose_clock_is_behind(
    said: tuple[int, int, list[tuple[int, int]], int, int],
) -> None:
    """Messages are made in time and sent oldest first, so many at a time, whenever there is a connection: faster than
    they are made, or it would never have sent everything."""
    length, every, outages, most, way = said
    most = max(most, 2 * every // length)
    waiting: list[int] = []
    arrivals = []
    for minute in range(1, 3 * 1440):
        if minute % length == 0:
            waiting.append(minute)
        cut = any(begin <= minute % 1440 < begin + lasts for begin, lasts in outages)
        if minute % every == 0 and not cut:
            arrivals += [Arrival((minute + way) * MINUTE, newest * MINUTE) for newest in waiting[:most]]
            del waiting[:most]
    assert plain.behind(arrivals) == []


def test_a_day_is_judged_by_the_soonest_of_each_quarter_hour() -> None:
    steady = {quarter: PROMPT_US + quarter % 2 * STEADY_US for quarter in range(96)}
    assert behind_us(steady) == PROMPT_US
    assert behind_us({quarter: late + (quarter % 2) for quarter, late in steady.items()}) is None
    assert behind_us({}) is None
