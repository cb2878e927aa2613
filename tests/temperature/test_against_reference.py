"""The server against the second implementation: any samples, any order, pieces and batches, restarts between."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine

from coldchain.db.engine import make_engine
from coldchain.domain.rulepacks import parse_pack
from exploring import examples
from integration.telemetry import Device, World
from opening import migrated_file
from temperature.cases import STAGE, Case
from temperature.playing import MINUTE, START, Sample, pack_of, signed
from temperature.test_cases import expected_of, segments_of

PROBES = ("temp/box", "temp/air")
FLAGS = ("defrost", "door/rear", "door/side")

stages = st.fixed_dictionaries(
    {
        "hysteresis_mc": st.sampled_from([0, 500]),
        "consecutive_s": st.sampled_from([60, 900, 1_800]),
        "tolerance_mc": st.sampled_from([0, 2_000]),
        "tolerance_s": st.sampled_from([0, 1_800]),
        "defrost_cap_s": st.sampled_from([0, 600, 1_800]),
        "door_cap_s": st.sampled_from([0, 300]),
    },
    optional={"low_mc": st.just(-25_000), "critical_s": st.just(2_400)},
)
minutes = st.integers(0, 45).map(lambda n: n * 3) | st.integers(360, 380) | st.sampled_from([718, 725, 731])
celsius = st.sampled_from(["-20", "-20", "-18.2", "-17", "-17", "-15.5", "-24.8", "-26", "85.0", "NaN"])
readings = st.tuples(minutes, st.sampled_from(PROBES), celsius)
flags = st.tuples(minutes, st.sampled_from(FLAGS), st.sampled_from(["true", "true", "false"]))


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    engine = make_engine(migrated_file(tmp_path_factory.mktemp("reference") / "reference.db"))
    yield engine
    engine.dispose()


@settings(max_examples=examples(60), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    stages,
    st.lists(readings, min_size=1, max_size=60),
    st.lists(flags, max_size=10),
    st.sampled_from([0, 5, 11, 200]),
    st.randoms(use_true_random=False),
)
def test_the_server_says_what_the_clauses_say(
    engine: Engine,
    stage: Mapping[str, Any],
    said: list[tuple[int, str, str]],
    flagged: list[tuple[int, str, str]],
    wait: int,
    rng: random.Random,
) -> None:
    samples: list[Sample] = [(float(minute), name, value) for minute, name, value in said + flagged]
    case = Case(0, "", [(0, {**STAGE, **stage})], samples, now=max(minute for minute, _, _ in samples) + wait)
    arriving = rng.sample(samples, len(samples))
    world, device = World(engine), Device()
    world.record("rules", "rules/case/1", json.dumps(pack_of(case, 0)).encode(), START)
    world.enrol(device, START, profile="case")
    now_us = START + round(case.now * MINUTE)
    while arriving:
        size = rng.randint(1, 6)
        world.hear(signed(device, arriving[:size]), at_us=START)
        del arriving[:size]
        if rng.random() < 0.4:
            world.fold(now_us=START + round(rng.random() * case.now * MINUTE))
        if rng.random() < 0.2:
            world.views.reset()
    world.record("time", "time/1", b'{"t_us": 1}', START)
    world.fold(rng.choice([1, 2, None]), now_us)
    expected = expected_of(case, parse_pack(pack_of(case, 0)))
    with engine.connect() as connection:
        assert {probe: segments_of(connection, probe) for probe in expected} == expected
