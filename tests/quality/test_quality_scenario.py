"""Faults of simulated sensors, from a scenario file to findings."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from coldchain.db.engine import make_engine
from coldchain.db.tables.verdicts import verdict
from coldchain_devices.plan import Publish
from coldchain_devices.scenario import load_scenario
from integration.scenario_head import HEAD
from integration.telemetry import Device, World
from opening import migrated_file

HOUR_US = 3_600_000_000
SCENARIO = (
    HEAD
    + """
name = "doubts"
hours = 6
message_s = 300
sample_s = 60
vehicle = [{ id = "T1", home = "w1" }, { id = "T2", home = "w1" }]
sensor = [
  { id = "stuck", org = "polar", site = "w1", place = "veh:T1", kind = "truck" },
  { id = "broken", org = "polar", site = "w1", place = "veh:T2", kind = "truck" },
]
fault = [
  { kind = "stuck", device = "stuck", channel = "temp/box", from_h = 1.0, to_h = 5.0 },
  { kind = "sentinel", device = "broken", channel = "temp/box", value = 85.0, from_h = 2.0, to_h = 2.5 },
]
"""
)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    engine = make_engine(migrated_file(tmp_path / "test.db"))
    yield World(engine)
    engine.dispose()


def test_what_a_scenario_does_to_sensors_is_what_is_found(world: World, tmp_path: Path) -> None:
    (tmp_path / "doubts.toml").write_text(SCENARIO)
    plan = load_scenario(tmp_path / "doubts.toml").generate()
    devices = {spec.id: Device(spec.id) for spec in plan.devices}
    for device in devices.values():
        world.enrol(device, at_us=plan.start_us)
    for action in plan.actions:
        if isinstance(action, Publish):
            world.hear(devices[action.device].sends(action.body.decode()), at_us=action.at_us)
    world.fold(50)
    with world.engine.connect() as connection:
        rows = connection.execute(select(verdict).order_by(verdict.c.from_us)).all()
    found = {(row.subject, row.channel, row.rule): row for row in rows}
    stuck = found["dev:stuck", "box", "quality stuck"]
    assert (stuck.from_us - plan.start_us, stuck.to_us - plan.start_us) == (1 * HOUR_US, 5 * HOUR_US - HOUR_US // 60)
    fault = found["dev:broken", "box", "CN-frozen sensor fault"]
    assert fault.from_us - plan.start_us == 2 * HOUR_US - HOUR_US // 60, "from the last good reading on"
    assert {key for key in found if key[2] in ("quality spike", "quality drift", "quality echo")} == set()
    assert ("dev:stuck", "box", "CN-frozen gap") not in found
