"""A body is to be cold before goods are loaded into it; what nobody measured is told as unknown (§6.4)."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from coldchain.bootstrap.core import Core
from coldchain.db.tables.verdicts import verdict
from coldchain.projections.follow import digests
from coldchain.settings import load_settings
from integration.consignment import Sender, moved, put, record_pack
from opening import new_core
from web.story import HOUR, MINUTE, OTHER, PALLET, START, Clock, cases


@pytest.fixture
def core(tmp_path: Path) -> Iterator[Core]:
    with new_core(load_settings(dir=tmp_path / "d"), clock=Clock(START + 8 * HOUR)) as core:
        record_pack(core)
        yield core


def told(core: Core) -> list[tuple[Any, ...]]:
    """(rule without its pack, subject, verdict, minute)."""
    core.follower.catch_up()
    query = select(verdict).where(verdict.c.source == "consignment").order_by(verdict.c.from_us)
    with core.engine.connect() as connection:
        found = connection.execute(query.where(verdict.c.rule.contains("pre-cooling"))).all()
    return [
        (row.rule.removeprefix("QF-test "), row.subject, row.verdict, (row.from_us - START) // MINUTE) for row in found
    ]


WARM = [("pre-cooling", "veh:A", "breach", 60)]
NOTHING_KNOWN = [("pre-cooling gap", "veh:A", "unknown", 60)]


def load(core: Core, minute: int = 60, units: list[str] | None = None) -> None:
    put(core, minute, "veh:A", units or [PALLET])


def test_a_warm_body_is_a_finding_and_a_cold_one_is_not(core: Core) -> None:
    truck = Sender(core, "a", "veh:A")
    core.admission.admit(truck.steadily(0, 80, -18, {(50, 60): -25}))
    load(core)
    assert told(core) == []
    core.admission.admit([truck.says([(60, -17.999)])])
    assert told(core) == WARM


def test_the_newest_reading_of_each_probe_counts(core: Core) -> None:
    truck = Sender(core, "a", "veh:A")
    load(core)
    core.admission.admit([truck.says([(31, 5), (59, -19), (65, 3)], "front")])
    assert told(core) == []
    core.admission.admit([truck.says([(30, 5), (40, -5)], "rear")])
    assert told(core) == WARM, "the other probe last said so twenty minutes before"


def test_nothing_known_of_the_half_hour_before_is_told_as_unknown(core: Core) -> None:
    truck = Sender(core, "a", "veh:A")
    core.admission.admit([truck.says([(0, -20), (29, -20)]), truck.says([(61, -20)])])
    load(core)
    assert told(core) == NOTHING_KNOWN
    core.admission.admit([truck.says([(58, -20)])])
    assert told(core) == []


def test_a_reading_may_be_on_its_way_until_the_device_has_spoken_again(core: Core) -> None:
    truck = Sender(core, "a", "veh:A")
    core.admission.admit([truck.says([(40, 4)])])
    load(core)
    assert told(core) == NOTHING_KNOWN, "it may have been cooled since"
    core.admission.admit([truck.says([(62, -19)])])
    assert told(core) == WARM


def test_only_the_first_goods_come_into_an_empty_body(core: Core) -> None:
    truck = Sender(core, "a", "veh:A")
    core.admission.admit(truck.steadily(0, 55, -20) + truck.steadily(60, 120, -2))
    load(core, 58)
    load(core, 70, [OTHER])
    assert told(core) == [], "the doors have stood open since the first pallet"
    put(core, 57, "veh:A", [PALLET], action="DELETE", step="unloading")
    put(core, 59, "veh:A", [PALLET], action="DELETE", step="unloading")
    assert told(core) == [("pre-cooling", "veh:A", "breach", 70)]


def test_a_probe_in_the_product_is_not_asked(core: Core) -> None:
    truck = Sender(core, "a", "veh:A", probes={"core": "product"})
    core.admission.admit([truck.says([(50, -20), (61, -20)]), truck.says([(50, -5), (61, -5)], "core")])
    load(core)
    assert told(core) == []


def test_rooms_and_trucks_whose_pack_says_nothing_of_it_are_not_asked(core: Core) -> None:
    record_pack(core, name="other", stages={"transport": {
        "clause": "c", "limit_mc": -18_000, "hysteresis_mc": 0, "consecutive_s": 60, "max_gap_s": 600,
    }})  # fmt: skip
    Sender(core, "a", "veh:A", profile="other")
    Sender(core, "b", "room:s/b")
    load(core)
    put(core, 90, "room:s/b", [PALLET], step="storing")
    assert told(core) == []


@pytest.mark.parametrize("seed", range(3))
def test_any_order_and_a_rebuild_conclude_the_same(tmp_path: Path, seed: int) -> None:
    facts = []
    for shuffled in (False, True):
        with new_core(load_settings(dir=tmp_path / str(shuffled)), clock=Clock(START + 9 * HOUR)) as core:
            record_pack(core)
            truck = Sender(core, "a", "veh:A")
            happenings: list[Any] = [
                moved(0, PALLET, cases(1), step="packing"),
                moved(60, "veh:A", [PALLET]),
                moved(100, "veh:A", [PALLET], action="DELETE", step="unloading"),
                moved(200, "veh:A", [OTHER]),
                *truck.steadily(0, 150, -20, {(40, 65): -5}),
                *truck.steadily(155, 195, -10),
                *truck.steadily(240, 300, -20),
            ]
            draw = random.Random(seed)
            if shuffled:
                draw.shuffle(happenings)
            for one in happenings:
                core.capture("polar", one) if isinstance(one, bytes) else core.admission.admit([one])
                if draw.random() < 0.5:
                    core.follower.catch_up()
            assert told(core) == [*WARM, ("pre-cooling gap", "veh:A", "unknown", 200)]
            tables = [table for table in core.follower.tables() if table.name == "verdict"]
            facts.append(digests(core.engine, tables, facts_only=True))
            rebuilt = core.follower.rebuild()
            assert {name for name, digest in rebuilt.items() if digest.before != digest.after} == set()
    assert facts[0] == facts[1]
