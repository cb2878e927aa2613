"""Mean kinetic temperatures of goods as findings: the same for any order, batches, restarts and rebuilds."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from coldchain.bootstrap.core import Core
from coldchain.db.tables.events import finding
from coldchain.domain.findings import WITHDRAWN
from coldchain.services.messages import Inbound
from integration.consignment import Sender, clock, moved, put, record_pack
from integration.test_consignment import detail, opened, rows, settled, tell, tell_in_some_order
from web.story import OTHER, PALLET, START, cases

DRUGS: dict[str, Any] = {
    "name": "drugs",
    "stages": {
        "transport": {
            "clause": "2 to 15 °C", "limit_mc": 15_000, "low_mc": 2_000, "hysteresis_mc": 500, "consecutive_s": 900,
            "max_gap_s": 600,
        },
    },
    "budgets": [],
    "mkt": {"max_mc": 8_000, "window_s": 14_400, "clause": "at most 8 °C over 4 h"},
}  # fmt: skip


@pytest.fixture(params=["sqlite", "postgresql"])
def core(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Core]:
    url = request.getfixturevalue("migrated_postgres_url") if request.param == "postgresql" else None
    with opened(tmp_path / "d", url) as core:
        record_pack(core, **DRUGS)
        yield core


def over(core: Core) -> list[tuple[Any, ...]]:
    return [(subject, from_) for subject, _, from_, _ in rows(core, " MKT")]


def truck(core: Core, name: str = "a") -> Sender:
    return Sender(core, name, f"veh:{name.upper()}", "drugs")


def journey(core: Core) -> list[Inbound | bytes]:
    """An hour at 15 °C in truck A; at 5 °C in truck B, for two of the four hours and on. A case goes over to another
    pallet, which stays in A."""
    a, b = truck(core), truck(core, "b")
    return [
        moved(0, PALLET, cases(1, 2), step="packing"),
        moved(0, "veh:A", [PALLET]),
        moved(0, OTHER, cases(3, 4), step="packing"),
        moved(0, "veh:A", [OTHER]),
        moved(60, PALLET, cases(2), action="DELETE", step="unpacking"),
        moved(60, OTHER, cases(2), step="packing"),
        moved(60, "veh:B", [PALLET]),
        *a.steadily(0, 55, 15),
        *a.steadily(60, 230, 3),
        *b.steadily(0, 300, 5),
    ]


CONCLUDED = [(PALLET, 203)]
"""By hand: 60 minutes at 15 °C are 142.37 at 8 °C, and each at 5 °C is 0.68139: 60 + 97.63 / 0.68139 = 203.3. At 3 °C
it is 0.5249: with 170 minutes of that the other pallet and case 2 come to 232 of 240."""


def test_cold_time_after_a_warm_hour_brings_a_mean_over_its_limit(core: Core) -> None:
    tell(core, journey(core))
    assert over(core) == CONCLUDED
    told = detail(core, PALLET)
    assert (told["pack"], told["max_mc"], told["window_s"], told["window_us"]) == ("drugs", 8_000, 14_400, START)
    assert (told["known_s"], told["severity"], told["places"]) == (14_400, "alarm", ["veh:A"])
    assert told["affected"] == [PALLET, *cases(1)]
    document = core.inspect(PALLET)
    assert document is not None
    (one,) = document["exposure"]
    assert (one["verdict"], one["mkt"]["verdict"], one["mkt"]["mkt_mc"]) == ("exceeded", "exceeded", told["mkt_mc"])
    assert one["mkt"]["exceeded"].startswith(clock(203)[:16])


def test_it_is_published_as_it_happens_and_withdrawn_once_what_came_late_has_settled(core: Core) -> None:
    """Readings ten minutes apart, then cold ones between them, five minutes later each: half of it was warm."""
    sender = truck(core)
    put(core, 0, PALLET, cases(1), step="packing")
    put(core, 0, "veh:A", [PALLET])
    tell(core, [sender.says([(minute, 15) for minute in range(0, 130, 10)])])
    core.settle()
    assert over(core) == [(PALLET, 101)]
    assert published(core) == [("drugs MKT", "open", "raised")]
    tell(core, [sender.says([(minute, 3) for minute in range(5, 130, 10)])])
    core.settle()
    assert over(core) == []
    core.settle(everything=True)
    assert published(core) == [("drugs MKT", WITHDRAWN, "withdrawn")]


def published(core: Core) -> list[tuple[Any, ...]]:
    with core.engine.connect() as connection:
        query = select(finding).where(finding.c.current, finding.c.subject == PALLET)
        return [(row.rule, row.state, row.event) for row in connection.execute(query)]


def test_goods_that_were_never_in_the_warm_truck_after_all_are_as_they_were(core: Core) -> None:
    put(core, 0, PALLET, cases(1), step="packing")
    put(core, 0, "veh:A", [PALLET])
    tell(core, truck(core).steadily(0, 200, 15))
    assert over(core) == [(PALLET, 101)]
    put(core, 60, "veh:A", [PALLET], action="DELETE", step="unloading")
    assert over(core) == []


def test_a_pack_that_gets_a_limit_judges_from_its_first_version_on(core: Core) -> None:
    record_pack(core, **{**DRUGS, "name": "plain", "mkt": {**DRUGS["mkt"], "max_mc": 20_000}})
    sender = Sender(core, "p", "veh:P", "plain")
    put(core, 0, PALLET, cases(1), step="packing")
    put(core, 0, "veh:P", [PALLET])
    tell(core, sender.steadily(0, 200, 15))
    assert over(core) == []
    record_pack(core, **{**DRUGS, "name": "plain", "version": 2})
    assert over(core) == [(PALLET, 101)]


def concluded(directory: Path, seed: int | None) -> tuple[dict[str, str], list[tuple[Any, ...]]]:
    with opened(directory) as core:
        record_pack(core, **DRUGS)
        tell_in_some_order(core, journey(core), seed)
        return settled(core), over(core)


def test_any_order_repetition_batches_and_restarts_conclude_the_same(tmp_path: Path) -> None:
    in_order = concluded(tmp_path / "order", None)
    assert in_order[1] == CONCLUDED
    for seed in range(4):
        assert concluded(tmp_path / f"shuffled-{seed}", seed) == in_order


def test_after_every_message_it_is_exact(tmp_path: Path) -> None:
    """A rebuild finds the same rows after each."""
    draw = random.Random(7)
    with opened(tmp_path / "d") as core:
        record_pack(core, **DRUGS)
        happenings = journey(core)
        draw.shuffle(happenings)
        for one in happenings:
            tell(core, [one])
            before = over(core)
            core.follower.rebuild()
            assert over(core) == before
