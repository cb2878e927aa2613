"""Verdicts on goods by the temperatures of every place they were in: the same for any order, batches and rebuilds."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from coldchain.bootstrap.core import Core, open_core
from coldchain.db.tables.events import containment, finding
from coldchain.db.tables.verdicts import verdict
from coldchain.projections.exposures import Exposures
from coldchain.projections.follow import digests
from coldchain.projections.spending import Spending
from coldchain.services.messages import Inbound
from coldchain.settings import load_settings
from integration.consignment import Sender, clock, moved, put, record_pack
from opening import new_core
from web.story import HOUR, MINUTE, OTHER, PALLET, START, Clock, cases

Happening = Callable[[Core], None]


@pytest.fixture(params=["sqlite", "postgresql"])
def core(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Core]:
    url = request.getfixturevalue("migrated_postgres_url") if request.param == "postgresql" else None
    with opened(tmp_path / "d", url) as core:
        yield core


def opened(directory: Path, url: str | None = None) -> Any:
    return new_core(load_settings(dir=directory, database=url), clock=Clock(START + 12 * HOUR))


def rows(core: Core, ending: str) -> list[tuple[Any, ...]]:
    """(subject, verdict, minute from, minute to or None) of the current verdicts of a sort of rule."""
    core.follower.catch_up()
    c = verdict.c
    with core.engine.connect() as connection:
        found = connection.execute(select(verdict).where(c.source == "consignment", c.rule.endswith(ending)))
        return sorted(
            (row.subject, row.verdict, (row.from_us - START) // MINUTE, row.to_us and (row.to_us - START) // MINUTE)
            for row in found
        )


def detail(core: Core, subject: str) -> dict[str, Any]:
    with core.engine.connect() as connection:
        query = select(verdict.c.detail).where(verdict.c.source == "consignment", verdict.c.subject == subject)
        found: dict[str, Any] = json.loads(connection.execute(query).scalar_one())
        return found


def budget(core: Core) -> list[tuple[Any, ...]]:
    return [(subject, from_) for subject, _, from_, _ in rows(core, " budget")]


def tell(core: Core, happenings: Sequence[Inbound | bytes]) -> None:
    for one in happenings:
        if isinstance(one, bytes):
            core.capture("polar", one)
        else:
            (reply,) = core.admission.admit([one])
            assert reply is not None
            assert reply.kind == "ack"


def journey(core: Core) -> list[Inbound | bytes]:
    """15 minutes warm in truck A, 10 in room B, then an excursion that begins in truck C and goes on in truck D. A case
    goes over to another pallet in the room and stays; that pallet is carried by C alone. A spike in A is none of it."""
    places = {"a": "veh:A", "b": "room:s/b", "c": "veh:C", "d": "veh:D"}
    a, b, c, d = (Sender(core, name, place) for name, place in places.items())
    return [
        moved(0, PALLET, cases(1, 2, 3), step="packing"),
        moved(5, "veh:A", [PALLET]),
        moved(120, "room:s/b", [PALLET], step="storing"),
        moved(130, OTHER, cases(3, 4), step="packing"),
        moved(131, "room:s/b", [OTHER], step="storing"),
        moved(240, "veh:C", [PALLET, OTHER]),
        moved(305, "veh:D", [PALLET]),
        *a.steadily(0, 120, -20, {(30, 45): -14}),
        *a.steadily(0, 120, -20, {(60, 65): 10}, probe="spiky"),
        *b.steadily(120, 240, -21, {(200, 210): -12}),
        *c.steadily(240, 400, -20, {(300, 335): -10}),
        *d.steadily(240, 400, -20, {(290, 320): -9}),
    ]


CONCLUDED = [(cases(3)[0], 305), (OTHER, 320), (PALLET, 305)]
"""By hand: the pallet spent 15 + 10 by 300, so it has 5 left: over at 305, as it leaves C. Case 3 spent the same up to
then (15 in A, 10 in B, on either pallet) and stays in C. The other pallet spent 10 in B, so 20 minutes into C it is
over."""


def test_budgets_are_exceeded_where_goods_were_when_it_was(core: Core) -> None:
    record_pack(core)
    tell(core, journey(core))
    assert budget(core) == sorted(CONCLUDED)
    told = detail(core, PALLET)
    assert told["spent"] == [
        {"place": "veh:A", "s": 900.0},
        {"place": "room:s/b", "s": 600.0},
        {"place": "veh:C", "s": 300.0},
    ]
    assert (told["pack"], told["version"], told["above_mc"], told["max_s"]) == ("QF-test", 1, -15_000, 1800)
    assert told["severity"] == "alarm"
    assert told["affected"] == [PALLET, *cases(1, 2)]
    document = core.inspect(PALLET)
    assert document is not None
    (one,) = document["exposure"]
    assert one["budgets"][0]["exceeded"] == clock(305)


def test_a_finding_is_published_as_it_happens(core: Core) -> None:
    record_pack(core)
    tell(core, journey(core))
    core.settle()
    with core.engine.connect() as connection:
        query = select(finding.c.subject).where(finding.c.current, finding.c.rule == "QF-test budget")
        assert sorted(connection.scalars(query)) == sorted(name for name, _ in CONCLUDED)


def test_readings_that_come_late_and_cold_take_a_verdict_back(core: Core) -> None:
    """An hour of warm readings ten minutes apart; then cold ones between them, so that half of it was warm. Then warm
    ones again: [1, 5), and from 7 on 8 minutes of every ten: 4 + 8 + 8 + 8 by minute 35, and 2 from 37 on."""
    record_pack(core)
    truck = Sender(core, "a", "veh:A")
    put(core, 0, PALLET, cases(1), step="packing")
    put(core, 1, "veh:A", [PALLET])
    tell(core, [truck.says([(minute, -10) for minute in range(0, 60, 10)]), truck.says([(60, -20)])])
    assert budget(core) == [(PALLET, 31)]
    tell(core, [truck.says([(minute, -20) for minute in range(5, 60, 10)])])
    assert budget(core) == []
    tell(core, [truck.says([(minute, -10) for minute in range(7, 60, 10)])])
    assert budget(core) == [(PALLET, 39)]


def test_a_pallet_that_was_never_in_the_truck_after_all_spent_nothing(core: Core) -> None:
    record_pack(core)
    truck = Sender(core, "a", "veh:A")
    put(core, 0, PALLET, cases(1), step="packing")
    put(core, 1, "veh:A", [PALLET])
    tell(core, truck.steadily(0, 120, -20, {(30, 90): -10}))
    assert budget(core) == [(PALLET, 60)]
    put(core, 40, "veh:A", [PALLET], action="DELETE", step="unloading")
    assert budget(core) == []


def test_a_device_that_hung_elsewhere_takes_its_verdicts_along(core: Core) -> None:
    record_pack(core)
    device = Sender(core, "a", "veh:A")
    for place, pallet, case in (("veh:A", PALLET, 1), ("veh:B", OTHER, 2)):
        put(core, 0, pallet, cases(case), step="packing")
        put(core, 1, place, [pallet])
    tell(core, device.steadily(0, 120, -20, {(30, 90): -10}))
    assert budget(core) == [(PALLET, 60)]
    core.register("mount", {"id": "a", "place": "veh:B", "from_us": START - HOUR})
    assert budget(core) == [(OTHER, 60)]


def test_a_pack_with_a_budget_recorded_later_judges_what_was_before(core: Core) -> None:
    record_pack(core, budgets=[])
    truck = Sender(core, "a", "veh:A")
    put(core, 0, PALLET, cases(1), step="packing")
    put(core, 1, "veh:A", [PALLET])
    tell(core, truck.steadily(0, 120, -20, {(30, 90): -10}))
    assert budget(core) == []
    record_pack(core, version=2)
    assert budget(core) == [(PALLET, 60)]


def test_a_product_probe_that_is_recorded_late_takes_the_verdict_back(core: Core) -> None:
    record_pack(core)
    truck, core_probe = Sender(core, "a", "veh:A"), Sender(core, "p", "veh:A", probes={"core": "product"})
    put(core, 0, PALLET, cases(1), step="packing")
    put(core, 1, "veh:A", [PALLET])
    tell(core, truck.steadily(0, 120, -20, {(30, 90): -10}))
    assert budget(core) == [(PALLET, 60)]
    tell(core, core_probe.steadily(0, 120, -19, probe="core"))
    assert budget(core) == []
    core.register("fitting", {"id": "p", "probes": {"core": "air"}, "from_us": START})
    assert budget(core) == [(PALLET, 60)]


def test_a_spike_spends_nothing_and_a_stuck_sensor_is_believed_no_more(core: Core) -> None:
    """Readings of -9 °C for 80 minutes: 32 of them alike. That the sensor is stuck shows when a sibling moves, and only
    then is its time unknown."""
    record_pack(core, quality={"stuck_samples": 10, "stuck_move_mc": 2_000})
    truck = Sender(core, "a", "veh:A")
    put(core, 0, PALLET, cases(1), step="packing")
    put(core, 1, "veh:A", [PALLET])
    spiky = [(minute, 5 if minute % 4 == 2 else -20) for minute in range(0, 200, 2)]
    tell(core, [truck.says(spiky[place : place + 10], "spiky") for place in range(0, 100, 10)])
    assert budget(core) == []
    tell(core, truck.steadily(100, 180, -9, probe="stuck"))
    assert budget(core) == [(PALLET, 130)]
    tell(core, [truck.says([(minute, -20 + minute % 50 / 10) for minute in range(100, 185, 5)], "sibling")])
    assert budget(core) == []


# Any order


def reckoned_anew(core: Core) -> list[tuple[Any, ...]]:
    """The budget verdicts as somebody finds them who remembers nothing."""
    with core.engine.connect() as connection:
        units = {unit for (unit,) in connection.execute(select(containment.c.child))}
        spending = Spending()
        exposures = Exposures(connection)
        found = spending.reckon(connection, exposures, spending.due(connection, exposures, {}, units))
    outcomes = ((one.unit, one.spent.exceeded_us) for one in found)
    return sorted((unit, (t_us - START) // MINUTE) for unit, t_us in outcomes if t_us is not None)


@pytest.mark.parametrize("seed", range(3))
def test_after_every_message_the_verdicts_are_exact(tmp_path: Path, seed: int) -> None:
    """Though a place is looked at only when something in it may be over."""
    draw = random.Random(seed)
    with opened(tmp_path / "d") as core:
        record_pack(core)
        happenings = journey(core)
        for _ in range(len(happenings) // 3 if seed else 0):  # nearly in order
            place = draw.randrange(len(happenings) - 1)
            happenings.insert(place, happenings.pop(draw.randrange(place, min(place + 8, len(happenings)))))
        for one in happenings:
            tell(core, [one])
            assert budget(core) == reckoned_anew(core)
        assert budget(core) == sorted(CONCLUDED)


def tell_in_some_order(core: Core, happenings: Sequence[Inbound | bytes], seed: int | None) -> None:
    """As they are and at once; with a seed in some order, some of them twice, in batches and with restarts between."""
    if seed is None:
        tell(core, happenings)
        return
    draw = random.Random(seed)
    happenings = [*happenings, *draw.sample(happenings, k=len(happenings) // 5)]
    draw.shuffle(happenings)
    for one in happenings:
        tell(core, [one])
        if draw.random() < 0.5:
            core.follower.catch_up()
        if draw.random() < 0.1:
            core.follower._forget()  # what a restart leaves: the tables and nothing else


def settled(core: Core) -> dict[str, str]:
    """Digests of the fact columns once everything is folded, which a rebuild does not change."""
    core.follower.catch_up()
    names = ("verdict", "warm_hour", "exposure_touched")
    tables = [table for table in core.follower.tables() if table.name in names]
    facts = digests(core.engine, tables, facts_only=True)
    rebuilt = core.follower.rebuild()
    assert {name for name, digest in rebuilt.items() if digest.before != digest.after} == set()
    return facts


def concluded(directory: Path, seed: int | None) -> tuple[dict[str, str], list[tuple[Any, ...]]]:
    with opened(directory) as core:
        record_pack(core)
        tell_in_some_order(core, journey(core), seed)
        return settled(core), budget(core)


@pytest.fixture(scope="module")
def in_order(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, str], list[tuple[Any, ...]]]:
    return concluded(tmp_path_factory.mktemp("order") / "d", None)


@settings(max_examples=4, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32))
def test_any_order_repetition_batches_and_restarts_conclude_the_same(
    in_order: tuple[dict[str, str], list[tuple[Any, ...]]], tmp_path_factory: pytest.TempPathFactory, seed: int
) -> None:
    assert in_order[1] == sorted(CONCLUDED)
    assert concluded(tmp_path_factory.mktemp("shuffled") / "d", seed) == in_order


def test_a_process_that_only_mounts_a_device_judges_goods_as_the_running_server_does(core: Core) -> None:
    record_pack(core)
    device = Sender(core, "a", "veh:A")
    for place, pallet, case in (("veh:A", PALLET, 1), ("veh:B", OTHER, 2)):
        put(core, 0, pallet, cases(case), step="packing")
        put(core, 1, place, [pallet])
    tell(core, device.steadily(0, 120, -20, {(30, 90): -10}))
    assert budget(core) == [(PALLET, 60)]
    with open_core(core.settings, clock=Clock(START + 12 * HOUR)) as other:
        other.register("mount", {"id": "a", "place": "veh:B", "from_us": START - HOUR})
        other.follower.catch_up()
        assert budget(other) == [(OTHER, 60)]
        assert all(same.before == same.after for same in other.follower.rebuild().values())
