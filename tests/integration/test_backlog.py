"""Devices that report late: what is published of them, how often, and what a round of conclusions costs."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

import pytest
from sqlalchemy import delete, event

from coldchain.bootstrap.conclusions import FOREVER_US
from coldchain.bootstrap.core import Core, open_core
from coldchain.cli.playing import enrolment
from coldchain.db import lanes
from coldchain.db import queries_events as q
from coldchain.db.engine import writing
from coldchain.db.tables.verdicts import verdict_touched
from coldchain.domain.findings import Change, changes
from coldchain.domain.pacing import SETTLE_US, lane_of
from coldchain.projections.follow import CHUNK
from coldchain.services.identity import enrol
from coldchain.settings import load_settings
from coldchain_devices.scenario import load_scenario
from coldchain_ledger.entry import parse_entry
from coldchain_ledger.log import Draft
from integration.hostile import NOW_S, Clock, Door, Truck
from integration.test_same_facts import arrivals
from opening import new_core

MINUTE_S = 60
SECOND_US = 1_000_000
HOUR_US = 3_600 * SECOND_US


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Door]:
    clock = Clock()
    with new_core(load_settings(dir=tmp_path / "data"), clock=clock) as core:
        yield Door(core, clock)


def pack(truck: Truck, minute: float, celsius: float = -20.0, minutes: int = 5) -> bytes:
    """Two probes, a reading a minute, from a minute on."""
    return truck.says(
        [
            {"n": f"temp/{probe}", "u": "Cel", "t": NOW_S + (minute + back) * MINUTE_S, "v": celsius}
            for probe in ("front", "rear")
            for back in range(minutes)
        ]
    )


def hear(door: Door, truck: Truck, *packs: bytes) -> None:
    replies = door.offer(*packs, topic=f"cc/v1/acme/fleet/{truck.device}/up")
    assert all(reply is not None and reply.kind == "ack" for reply in replies)


def pass_time(door: Door, minutes: float) -> None:
    """Time that the ledger knows of: another device reports."""
    door.clock.now_us += round(minutes * MINUTE_S * SECOND_US)
    door.offer(door.truck.reading(t_s=door.clock.now_us / SECOND_US))


def entries_about(core: Core, truck: Truck) -> int:
    """How many findings about the truck the ledger holds."""
    return len(rules_about(core, truck))


def rules_about(core: Core, truck: Truck) -> list[str]:
    """The rule of every finding about the truck that the ledger holds."""
    with core.store.snapshot() as snapshot:
        entries = [parse_entry(data) for data in snapshot.entries(0, core.log.edge().size)]
    found = [entry for entry in entries if entry.kind == "finding" and f"dev:{truck.device}" in entry.subjects]
    return [json.loads(entry.payload)["rule"] for entry in found]


def unpublished(core: Core, truck: Truck | None = None) -> list[Change]:
    """What is concluded and not published, or the other way round; of all devices, or of one."""
    with core.engine.connect() as connection:
        found = changes(q.current_verdicts(connection), q.published(connection))
    return [change for change in found if truck is None or lane_of(change)[1] == f"dev:{truck.device}"]


def rules(core: Core) -> set[tuple[str, str]]:
    with core.engine.connect() as connection:
        return {(item.rule, item.state) for item in q.published(connection)}


def enrolled(door: Door, device: str = "truck-9") -> Truck:
    truck = Truck(device)
    door.enrol(truck)
    return truck


def test_a_backlog_that_drains_is_published_once_and_not_message_by_message(door: Door) -> None:
    truck = enrolled(door)
    door.clock.now_us += 12 * HOUR_US
    for minute in range(0, 300, 5):
        hear(door, truck, pack(truck, minute))
        door.core.settle()
    assert entries_about(door.core, truck) == 0
    assert unpublished(door.core), "the verdicts themselves are exact at every round"
    pass_time(door, 31)
    door.core.settle()
    assert entries_about(door.core, truck) == 2, "one silence for each probe"
    assert unpublished(door.core, truck) == []


def test_live_readings_before_the_backlog_make_no_more_of_it(door: Door) -> None:
    truck = enrolled(door)
    hear(door, truck, pack(truck, 0))
    door.core.settle()
    backlog = [pack(truck, minute) for minute in range(5, 300, 5)]
    pass_time(door, 300)
    door.core.settle()
    before = entries_about(door.core, truck)
    hear(door, truck, pack(truck, 300))
    door.core.settle()
    for one in backlog:
        hear(door, truck, one)
        door.core.settle()
    hear(door, truck, pack(truck, 305, minutes=2))
    pass_time(door, 5)
    hear(door, truck, pack(truck, 307))
    door.core.settle()
    pass_time(door, 36)
    door.core.settle(everything=True)
    assert (before, entries_about(door.core, truck) - before) == (2, 2), "two probes: the silence, and its end"
    assert unpublished(door.core) == []


@pytest.mark.parametrize("step", [5, 7], ids=["in step", "out of step"])
def test_a_truck_that_reports_every_half_hour_is_never_published_as_silent(door: Door, step: int) -> None:
    """Whatever the moment at which somebody looks: it is silent for most of every half hour."""
    truck = enrolled(door)
    told = 0
    for minute in range(step, 5 * 60, step):
        pass_time(door, step)
        while told + 30 <= minute:
            hear(door, truck, *(pack(truck, told + part) for part in range(0, 30, 5)))
            told += 30
        door.core.settle()
    assert rules_about(door.core, truck) == []


def test_a_truck_that_reports_every_three_hours_costs_an_entry_a_probe_each_time(door: Door) -> None:
    truck = enrolled(door)
    for upload in range(1, 4):
        for _ in range(6):
            pass_time(door, 30)
            door.core.settle()
        for minute in range(180 * upload - 180, 180 * upload, 10):
            hear(door, truck, pack(truck, minute, minutes=10))
            door.core.settle()
    pass_time(door, 60)
    door.core.settle()
    assert 2 <= entries_about(door.core, truck) <= 3 * 2
    assert unpublished(door.core, truck) == []


def test_a_breach_is_published_in_the_round_that_finds_it_though_the_backlog_drains_on(door: Door) -> None:
    truck = enrolled(door)
    door.clock.now_us += 12 * HOUR_US
    for minute in range(0, 60, 5):
        hear(door, truck, pack(truck, minute, -5.0 if minute >= 20 else -20.0))
        door.core.settle()
        breaches = {rule for rule, _ in rules(door.core)}
        assert breaches == ({"CN-frozen transport limit"} if minute >= 35 else set())
    assert entries_about(door.core, truck) <= 2, "that it grows is not told each time"
    pass_time(door, 31)
    door.core.settle()
    assert unpublished(door.core, truck) == []


def test_what_waits_is_published_when_its_time_comes_though_nothing_else_is_recorded(door: Door) -> None:
    truck = enrolled(door)
    door.clock.now_us += 12 * HOUR_US
    hear(door, truck, pack(truck, 0))
    door.core.settle()
    assert entries_about(door.core, truck) == 0
    door.clock.now_us += SETTLE_US
    door.core.settle()
    assert entries_about(door.core, truck) == 2
    assert unpublished(door.core) == []


def test_at_the_end_of_a_run_everything_is_published(door: Door) -> None:
    truck = enrolled(door)
    door.clock.now_us += 12 * HOUR_US
    hear(door, truck, pack(truck, 0))
    door.core.settle(everything=True)
    assert entries_about(door.core, truck) == 2
    assert unpublished(door.core) == []


@pytest.mark.parametrize("forgotten", [False, True], ids=["marked", "marks lost"])
def test_a_server_killed_before_it_published_loses_nothing(tmp_path: Path, forgotten: bool) -> None:
    clock = Clock()
    settings = load_settings(dir=tmp_path / "data")
    with new_core(settings, clock=clock) as core:
        door = Door(core, clock)
        truck = enrolled(door)
        door.clock.now_us += 12 * HOUR_US
        hear(door, truck, *(pack(truck, minute, -5.0) for minute in range(0, 60, 5)))
        core.conclusions.step()
        core.follower.catch_up()  # and here it is killed: the verdicts are there, nothing of them is published
        assert unpublished(core)
        if forgotten:
            with writing(core.engine) as connection:
                connection.execute(delete(verdict_touched))
    with open_core(settings, clock=clock) as core:
        core.settle()
        assert {rule for rule, _ in rules(core)} >= {"CN-frozen transport limit"}
        clock.now_us += SETTLE_US + HOUR_US
        core.settle()
        assert unpublished(core) == []


def test_a_rebuild_publishes_nothing_and_loses_nothing_that_waited(door: Door) -> None:
    truck = enrolled(door)
    door.clock.now_us += 12 * HOUR_US
    hear(door, truck, pack(truck, 0))
    door.core.settle()
    size = door.core.log.edge().size
    door.core.follower.rebuild()
    assert door.core.log.edge().size == size
    pass_time(door, 31)
    door.core.settle()
    assert entries_about(door.core, truck) == 2


def test_whatever_differs_from_what_is_published_is_marked(tmp_path: Path) -> None:
    """Every writer of verdicts marks what it changes: an unmarked lane would wait for the next start."""
    plan = load_scenario(Path(__file__).with_name("eventful.toml")).generate()
    clock = Clock()
    clock.now_us = plan.end_us
    with new_core(load_settings(dir=tmp_path / "data", ask_deadline_h=12.0), clock=clock) as core:
        core.log.append([enrol(core.registry, "operator", enrolment(spec, 0))[1] for spec in plan.devices])
        happenings = arrivals(plan)
        Random(3).shuffle(happenings)
        held = 0
        for place, arrive in enumerate(happenings):
            arrive(core)
            if place % 30 == 0:
                core.settle()
                differing = {lane_of(change) for change in unpublished(core)}
                with core.engine.connect() as connection:
                    assert differing <= lanes.due(connection, FOREVER_US).keys()
                held += len(differing)
        assert held, "something waited"
        core.settle(everything=True)
        assert unpublished(core) == []


# What a round costs


@contextmanager
def counted(core: Core) -> Iterator[Callable[[], int]]:
    """Steps of SQLite's virtual machine, whichever connection takes them: rows looked at cost some, time does not."""
    steps = 0

    def step() -> int:
        nonlocal steps
        steps += 1
        return 0

    def watch(connection: sqlite3.Connection, *_: object) -> None:
        connection.set_progress_handler(step, 1)

    core.engine.dispose()
    event.listen(core.engine, "connect", watch)
    with core.engine.connect(), core.engine.connect():
        yield lambda: steps
    event.remove(core.engine, "connect", watch)
    core.engine.dispose()


def test_a_round_without_a_change_reads_nothing_that_grows_with_history(door: Door) -> None:
    costs = []
    for days in (1, 10):
        other = enrolled(door, f"truck-of-{days}-days")
        for part in range(4 * days):
            hear(door, other, *(pack(other, 360 * part + minute, -5.0) for minute in range(0, 30, 5)))
        door.clock.now_us += 24 * HOUR_US
        door.core.settle(everything=True)
        assert unpublished(door.core) == []
        with counted(door.core) as steps:
            assert not door.core.conclusions.step()
            costs.append(steps())
    assert costs[1] == costs[0] > 0


def test_a_round_with_one_change_reads_that_lane_alone(door: Door) -> None:
    costs = []
    for trucks in (2, 20):
        for number in range(trucks):
            other = enrolled(door, f"truck-{trucks}-{number}")
            hear(door, other, *(pack(other, minute, -5.0) for minute in range(0, 30, 5)))
        door.clock.now_us += 24 * HOUR_US
        door.core.settle(everything=True)
        assert unpublished(door.core) == []
        warm = enrolled(door, f"warm-{trucks}")
        minute = (door.clock.now_us // SECOND_US - NOW_S) // MINUTE_S - 30
        hear(door, warm, *(pack(warm, minute + back, -5.0) for back in range(0, 30, 5)))
        door.core.follower.catch_up()
        with counted(door.core) as steps:
            drafts = door.core.conclusions._conclusions(everything=False)
            costs.append(steps())
        assert len(drafts) == 2
        door.core.settle(everything=True)
    assert costs[1] < 1.2 * costs[0]


def test_a_server_that_ends_leaves_off_folding_and_the_next_one_goes_on(tmp_path: Path) -> None:
    papers = [Draft("document", "test", "text/plain", f"doc/{n}", "declared", (), b"paper") for n in range(2 * CHUNK)]
    with new_core(load_settings(dir=tmp_path / "data"), clock=Clock()) as core:
        core.log.append(papers)
        core.follower.ending = lambda: True
        core.settle()
        assert 0 < core.follower.cursor() <= CHUNK
        assert core.log.edge().size < 3 * CHUNK, "half of the facts are no ground for conclusions"
    with open_core(load_settings(dir=tmp_path / "data"), clock=Clock()) as core:
        core.settle()
        assert core.follower.cursor() == core.log.edge().size
