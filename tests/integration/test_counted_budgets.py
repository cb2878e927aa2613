"""Budgets of counted goods that lie loose in a truck or room: some of them surely spent it, whichever came and went."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from coldchain.bootstrap.core import Core
from coldchain.db.tables.events import finding
from coldchain.services.messages import Inbound
from integration.consignment import Sender, record_pack
from integration.test_consignment import opened, rows, settled, tell, tell_in_some_order
from web.story import MINUTE, PALLET, START, epcis

LOT, OTHER_LOT = "lot:16901234500018/L1", "lot:16901234500018/L2"


@pytest.fixture(params=["sqlite", "postgresql"])
def core(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Core]:
    url = request.getfixturevalue("migrated_postgres_url") if request.param == "postgresql" else None
    with opened(tmp_path / "d", url) as core:
        record_pack(core)
        yield core


def counted(minute: int, parent: str, cases: int, lot: str = LOT, step: str = "loading") -> bytes:
    """So many cases in, or fewer than none out."""
    action = "OBSERVE" if step == "stock_taking" else "ADD" if cases > 0 else "DELETE"
    held = [{"epcClass": f"urn:coldchain:{lot}", "quantity": abs(cases)}]
    return epcis(START + minute * MINUTE, action, parent, [], bizStep=step, childQuantityList=held)


def over(core: Core) -> list[tuple[Any, ...]]:
    return [(subject, from_) for subject, _, from_, _ in rows(core, " budget")]


def journey(core: Core) -> list[Inbound | bytes]:
    """Truck A is warm from minute 30 to 90, room B from 100 to 200. Of lot 1 ten cases lie in A all the while; those of
    lot 2 leave A after 20 warm minutes for room B, where five of them stay and five go at 120."""
    a, b = Sender(core, "a", "veh:A"), Sender(core, "b", "room:s/b")
    return [
        counted(0, "room:s/b", 1, OTHER_LOT, step="stock_taking"),
        counted(5, "veh:A", 10),
        counted(5, "veh:A", 10, OTHER_LOT),
        counted(50, "veh:A", -10, OTHER_LOT),
        counted(60, "room:s/b", 10, OTHER_LOT, step="storing"),
        counted(70, "veh:A", -3),
        counted(120, "room:s/b", -5, OTHER_LOT),
        *a.steadily(0, 240, -20, {(30, 90): -10}),
        *b.steadily(0, 240, -20, {(100, 200): -12}),
    ]


CONCLUDED = [(LOT, 60), (OTHER_LOT, 130)]
"""By hand: lot 1 is over half an hour into A. Of lot 2 eleven lay in the room from 60 on and five left: over at 130."""


def test_goods_without_numbers_have_a_budget_where_they_lie_loose(core: Core) -> None:
    tell(core, journey(core))
    assert over(core) == CONCLUDED
    core.settle()
    with core.engine.connect() as connection:
        query = select(finding).where(finding.c.current, finding.c.rule == "QF-test budget")
        found = connection.execute(query.order_by(finding.c.subject)).all()
    assert [(row.subject, row.channel, row.severity) for row in found] == [
        (LOT, "-15 °C 30 min in veh:A", "alarm"), (OTHER_LOT, "-15 °C 30 min in room:s/b", "alarm"),
    ]  # fmt: skip
    told = json.loads(found[0].detail)
    assert told["goods"] == {"holder": "veh:A", "measure": "", "least_milli": 10_000}
    assert (told["affected"], told["since_us"]) == ([LOT], START + 5 * MINUTE)


def test_an_unloading_that_is_told_late_takes_it_back(core: Core) -> None:
    tell(core, journey(core))
    assert over(core) == CONCLUDED
    tell(core, [counted(45, "veh:A", -9)])
    assert over(core) == [(LOT, 60), (OTHER_LOT, 130)], "one of them stayed until the three left"
    tell(core, [counted(46, "veh:A", -1)])
    assert over(core) == [(OTHER_LOT, 130)]


def test_goods_counted_on_a_pallet_have_the_pallets_budget_and_no_other(core: Core) -> None:
    tell(core, [counted(0, PALLET, 10, step="packing")])
    core.capture("polar", epcis(START + 5 * MINUTE, "ADD", "veh:A", [PALLET], bizStep="loading"))
    tell(core, Sender(core, "a", "veh:A").steadily(0, 120, -20, {(30, 90): -10}))
    assert over(core) == [(PALLET, 60)]


def test_a_rule_recorded_later_judges_what_was_before(core: Core) -> None:
    tell(core, journey(core))
    assert over(core) == CONCLUDED
    record_pack(core, version=2, budgets=[{"above_mc": -15_000, "max_s": 3000, "clause": "fifty minutes"}], from_us=1)
    assert over(core) == [(LOT, 80), (OTHER_LOT, 150)]


def concluded(directory: Path, seed: int | None) -> tuple[dict[str, str], list[tuple[Any, ...]]]:
    with opened(directory) as core:
        record_pack(core)
        tell_in_some_order(core, journey(core), seed)
        return settled(core), over(core)


def test_any_order_repetition_batches_and_restarts_conclude_the_same(tmp_path: Path) -> None:
    in_order = concluded(tmp_path / "order", None)
    assert in_order[1] == CONCLUDED
    for seed in range(4):
        assert concluded(tmp_path / f"shuffled-{seed}", seed) == in_order
