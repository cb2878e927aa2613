"""Same facts, same conclusions (design §2.2): order, repetition and restarts of arrival change nothing derived."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from coldchain.bootstrap.core import Core
from coldchain.cli.playing import enrolment
from coldchain.db.tables.events import finding
from coldchain.projections.follow import digests
from coldchain.services.chores import canonical
from coldchain.services.identity import enrol
from coldchain.services.messages import Inbound
from coldchain.settings import load_settings
from coldchain_devices.plan import Capture, Paper, Plan
from coldchain_devices.scenario import load_scenario
from coldchain_ledger.log import Draft
from exploring import examples
from opening import new_core

SECOND_US = 1_000_000
HOUR_US = 3_600_000_000
Arrival = Callable[[Core], None]


STAGE = {"clause": "t", "limit_mc": -18_000, "hysteresis_mc": 300, "consecutive_s": 600, "max_gap_s": 900}
STAGE |= {"low_mc": -20_500, "tolerance_mc": 3_000, "tolerance_s": 1_200, "critical_s": 1_800}
STAGE |= {"defrost_cap_s": 1_800, "door_cap_s": 600}
RULES = {"name": "CN-frozen", "version": 99, "from_us": 0, "clause": "t", "verified": True}
RULES |= {"stages": {"transport": STAGE, "storage": STAGE}}
"""Asks for all that a rule may ask for: doors and defrosts stop the timers."""


class Clock:
    def __init__(self, now_us: int) -> None:
        self.now_us = now_us

    def __call__(self) -> int:
        return self.now_us


def arrivals(plan: Plan) -> list[Arrival]:
    """Everything the plan sends and files, as things that can happen in any order."""
    bases = {spec.id: f"cc/v1/{spec.org}/{spec.site}/{spec.id}" for spec in plan.devices}

    def message(topic: str, payload: bytes) -> Arrival:
        def arrive(core: Core) -> None:
            (reply,) = core.admission.admit([Inbound(topic, payload)])
            assert reply is not None
            assert reply.kind == "ack"

        return arrive

    found = [message(f"{bases[one.device]}/{one.leaf}", one.payload) for one in plan.deliveries()]
    for action in plan.actions:
        if isinstance(action, Capture):
            found.append(lambda core, it=action: core.capture(it.org, it.body))  # type: ignore[misc]
        elif isinstance(action, Paper):
            found.append(lambda core, it=action: core.record_document(it.org, json.loads(it.payload)))  # type: ignore[misc]
    return found


def concluded(
    directory: Path,
    plan: Plan,
    happenings: Sequence[Arrival],
    settle_at: frozenset[int] = frozenset(),
    *,
    ask: bool = True,
) -> tuple[dict[str, str], set[tuple[object, ...]]]:
    """Digests of all fact columns, and the current findings, once ledger time is past every deadline. What arrives is
    recorded a second apart: a fact column that depended on when would show."""
    clock = Clock(plan.end_us)
    options = load_settings(dir=directory, ask_parties=ask, ask_deadline_h=12.0)
    with new_core(options, clock=clock) as core:
        core.log.append([enrol(core.registry, "operator", enrolment(spec, 0))[1] for spec in plan.devices])
        core.log.append(
            [Draft("rules", "operator", "application/json", "rules/test", "declared", (), canonical(RULES))]
        )
        for place, arrive in enumerate(happenings):
            clock.now_us += SECOND_US
            arrive(core)
            if place in settle_at:
                core.settle()
        core.settle()
        clock.now_us = plan.end_us + 100 * HOUR_US
        core.log.append([Draft("time", "test", "application/json", "time/end", "derived", (), canonical({"t_us": 1}))])
        core.settle()
        facts = digests(core.engine, [t for t in core.follower.tables() if t.name != "finding"], facts_only=True)
        c = finding.c
        columns = (c.rule, c.subject, c.channel, c.from_us, c.to_us, c.verdict, c.state)
        with core.engine.connect() as connection:
            query = select(*columns).where(c.current, c.state != "withdrawn")
            current = {tuple(row) for row in connection.execute(query)}
        rebuilt = core.follower.rebuild()
        assert {name for name, digest in rebuilt.items() if digest.before != digest.after} == set()
        return facts, current


@pytest.fixture(scope="module")
def plan() -> Plan:
    return load_scenario(Path(__file__).with_name("eventful.toml")).generate()


@pytest.fixture(scope="module")
def in_order(plan: Plan, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, str], set[tuple[object, ...]]]:
    return concluded(tmp_path_factory.mktemp("order") / "d", plan, arrivals(plan))


def test_the_scenario_has_something_to_conclude(in_order: tuple[dict[str, str], set[tuple[object, ...]]]) -> None:
    found = {(str(rule).partition(" ")[0], verdict) for rule, _, _, _, _, verdict, _ in in_order[1]}
    assert found >= {
        ("CN-frozen", "breach"),
        ("P2", "BROKEN_UNEXPLAINED"),
        ("P2", "BROKEN_AUTHORISED"),
        ("B5", "UNOBSERVED"),
        ("B5", "BROKEN_AUTHORISED"),
    }


@settings(max_examples=examples(4), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32))
def test_any_order_and_any_repetition_conclude_the_same(
    plan: Plan,
    in_order: tuple[dict[str, str], set[tuple[object, ...]]],
    tmp_path_factory: pytest.TempPathFactory,
    seed: int,
) -> None:
    draw = random.Random(seed)
    happenings = arrivals(plan)
    happenings += draw.sample(happenings, k=len(happenings) // 5)
    draw.shuffle(happenings)
    assert concluded(tmp_path_factory.mktemp("shuffled") / "d", plan, happenings) == in_order


def test_concluding_on_the_way_changes_nothing_in_the_end(plan: Plan, tmp_path: Path) -> None:
    happenings = arrivals(plan)
    shuffled = random.Random(7).sample(happenings, k=len(happenings))
    on_the_way = frozenset(range(0, len(happenings), 40))
    straight = concluded(tmp_path / "a", plan, happenings, ask=False)
    assert concluded(tmp_path / "b", plan, shuffled, on_the_way, ask=False) == straight
