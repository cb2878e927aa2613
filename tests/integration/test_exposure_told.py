"""`inspect` tells what a unit was exposed to in every place it was in, and what is left of its budgets."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from coldchain.bootstrap.core import Core
from coldchain.settings import load_settings
from integration.consignment import Sender, clock, put, record_pack
from opening import new_core
from web.story import CONTEXT, HOUR, MINUTE, OTHER, PALLET, START, Clock, cases, epcis


@pytest.fixture(params=["sqlite", "postgresql"])
def core(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Core]:
    url = request.getfixturevalue("migrated_postgres_url") if request.param == "postgresql" else None
    with new_core(load_settings(dir=tmp_path / "d", database=url), clock=Clock(START + 8 * HOUR)) as core:
        yield core


def travel(core: Core) -> None:
    """Two hours in truck A (12 minutes warm), two in room B (10 warm), two in truck C (15 warm), and a case of the
    pallet goes over to another pallet in the room."""
    record_pack(core)
    a, b, c = (Sender(core, name, place) for name, place in (("a", "veh:A"), ("b", "room:s/b"), ("c", "veh:C")))
    put(core, 0, PALLET, cases(1, 2), step="packing")
    put(core, 5, "veh:A", [PALLET])
    put(core, 120, "room:s/b", [PALLET], step="storing")
    put(core, 130, OTHER, cases(2), step="packing")
    put(core, 131, "room:s/b", [OTHER], step="storing")
    put(core, 240, "veh:C", [PALLET])
    for messages in (
        a.steadily(0, 120, -20, {(30, 45): -14}),
        b.steadily(120, 240, -21, {(200, 210): -12}),
        c.steadily(240, 360, -20, {(300, 315): -10}),
    ):
        core.admission.admit(messages)
    core.settle()


def exposure(core: Core, unit: str, **query: Any) -> dict[str, Any]:
    document = core.inspect(unit, **query)
    assert document is not None
    (one,) = document["exposure"]
    found: dict[str, Any] = one
    return found


def test_a_budget_is_spent_in_every_place(core: Core) -> None:
    travel(core)
    told = exposure(core, PALLET)
    (budget,) = told["budgets"]
    assert (budget["spent_s"], budget["remaining_s"], budget["verdict"]) == (40 * 60, 0, "exceeded")
    assert budget["exceeded"] == clock(305)
    assert (told["verdict"], told["pack"], told["version"], told["decided_on"]) == ("exceeded", "QF-test", 1, ["air"])
    assert (told["min_mc"], told["max_mc"]) == (-21_000, -10_000)
    assert [(stay["place"], stay["from"], stay["to"]) for stay in told["stays"]] == [
        ("veh:A", clock(5), clock(120)), ("room:s/b", clock(120), clock(240)), ("veh:C", clock(240), clock(480)),
    ]  # fmt: skip
    above = [{one["above_mc"]: one["time_s"] / 60 for one in stay["above"]}[-15_000] for stay in told["stays"]]
    assert above == [15, 10, 15]
    assert told["mkt"] is None, "MKT is of chilled drugs only"


def test_what_is_unknown_could_have_exceeded_it(core: Core) -> None:
    """Before it left the room 25 minutes were spent, and nothing is known of the last two hours here."""
    travel(core)
    told = exposure(core, cases(2)[0])
    (budget,) = told["budgets"]
    assert (budget["spent_s"], budget["verdict"]) == (25 * 60, "unknown")
    assert budget["unknown_s"] >= 4 * 3600
    known = exposure(core, cases(2)[0], at_us=START + 235 * MINUTE)
    assert (known["budgets"][0]["verdict"], known["budgets"][0]["unknown_s"]) == ("unknown", 6 * 60)


def test_a_case_has_the_budget_of_the_way_it_went(core: Core) -> None:
    travel(core)
    stayed, moved = exposure(core, cases(1)[0]), exposure(core, cases(2)[0])
    assert stayed["budgets"][0]["exceeded"] == clock(305)
    assert [stay["place"] for stay in moved["stays"]] == ["veh:A", "room:s/b", "room:s/b"]


def test_at_an_earlier_moment_nothing_had_happened_yet(core: Core) -> None:
    travel(core)
    told = exposure(core, PALLET, at_us=START + 100 * MINUTE)
    assert told["budgets"][0]["spent_s"] == 15 * 60
    assert told["to"] == clock(100)


def test_as_of_an_earlier_size_only_what_was_recorded_is_told(core: Core) -> None:
    travel(core)
    document = core.inspect(PALLET)
    assert document is not None
    assert exposure(core, PALLET, as_of=document["ledger"]["size"]) == exposure(core, PALLET)
    early = core.inspect(PALLET, as_of=20)
    assert early is not None
    assert early["exposure"][0]["budgets"][0]["spent_s"] < 40 * 60


def test_a_pallet_nobody_measured_has_no_exposure(core: Core) -> None:
    put(core, 0, PALLET, cases(1), step="packing")
    put(core, 5, "veh:A", [PALLET])
    core.settle()
    document = core.inspect(PALLET)
    assert document is not None
    assert document["exposure"] == []


def test_a_probe_in_the_product_decides_while_it_is_known(core: Core) -> None:
    """The air is warm for an hour, the product for its last quarter, and its probe is silent after that."""
    record_pack(core)
    truck = Sender(core, "a", "veh:A")
    core_probe = Sender(core, "p", "veh:A", probes={"core": "product"})
    put(core, 0, PALLET, cases(1), step="packing")
    put(core, 5, "veh:A", [PALLET])
    core.admission.admit(truck.steadily(0, 120, -20, {(30, 95): -5}))
    core.admission.admit(core_probe.steadily(0, 90, -19, {(75, 95): -14}, probe="core"))
    core.settle()
    told = exposure(core, PALLET)
    assert told["budgets"][0]["spent_s"] == (90 - 75 + 5) * 60
    assert told["stays"][0]["decided_on"] == ["air", "product"]
    core.admission.admit([core_probe.says([(95, -17), (100, -18)], "core")])
    core.settle()
    assert exposure(core, PALLET)["budgets"][0]["spent_s"] == 20 * 60
    assert exposure(core, PALLET)["max_mc"] == -14_000


def test_counted_goods_of_a_lot_are_told_by_the_way_they_went(core: Core) -> None:
    record_pack(core)
    truck = Sender(core, "a", "veh:A")
    lot = {"epcClass": "urn:coldchain:lot:16901234500018/L1", "quantity": 12.0}
    core.capture("polar", epcis(START, "ADD", PALLET, [], bizStep="packing", childQuantityList=[lot]))
    put(core, 5, "veh:A", [PALLET])
    core.admission.admit(truck.steadily(0, 120, -20, {(30, 45): -14}))
    core.settle()
    told = exposure(core, "lot:16901234500018/L1")
    assert told["goods"] == {"cases": None, "holder": PALLET, "amounts": [{"measure": "", "least": 12.0, "most": 12.0}]}
    assert told["budgets"][0]["spent_s"] == 15 * 60


def test_named_cases_of_a_lot_are_told_by_the_way_they_went(core: Core) -> None:
    """Cases 1 and 2 travel in the truck on two pallets that go the same way, case 3 stays in the room."""
    record_pack(core)
    truck, room = Sender(core, "a", "veh:A"), Sender(core, "b", "room:s/b")
    for number, pallet in ((1, PALLET), (3, OTHER)):
        some = cases(number, number + 1) if pallet == PALLET else cases(number)
        core.capture("polar", made(some, "L7"))
        put(core, 0, pallet, some, step="packing")
    put(core, 5, "veh:A", [PALLET])
    put(core, 5, "room:s/b", [OTHER], step="storing")
    core.admission.admit(truck.steadily(0, 120, -20, {(30, 45): -14}) + room.steadily(0, 120, -21))
    core.settle()
    document = core.inspect("lot:16901234500018/L7")
    assert document is not None
    told = [
        (one["goods"]["cases"], one["stays"][0]["place"], one["budgets"][0]["spent_s"]) for one in document["exposure"]
    ]
    assert told == [(2, "veh:A", 15 * 60), (1, "room:s/b", 0)]


def made(units: list[str], lot: str) -> bytes:
    """The units come into being as cases of a lot."""
    event = {
        "type": "ObjectEvent",
        "action": "ADD",
        "bizStep": "commissioning",
        "eventTime": clock(0),
        "eventTimeZoneOffset": "+00:00",
        "epcList": [f"urn:coldchain:{unit}" for unit in units],
        "ilmd": {"cbvmda:lotNumber": lot},
    }
    head = {"@context": CONTEXT, "type": "EPCISDocument", "schemaVersion": "2.0", "creationDate": clock(0)}
    return json.dumps({**head, "epcisBody": {"eventList": [event]}}).encode()
