"""A product temperature measured when goods are received, over HTTP, against what their pack allows (§6.5)."""

from __future__ import annotations

import json
from typing import Any

import pytest
from sqlalchemy import select

from coldchain.db.tables.verdicts import verdict
from coldchain.decoders.epcis_sensor import milli_celsius
from integration.consignment import Sender, clock, record_pack
from web.epcis_scene import Repository, document, event

PALLET = "sscc:169012345000000025"
CASE = "case:16901234500018/001"


def said(minute: int, number: int = 1, **more: Any) -> dict[str, Any]:
    return event(number, **{"eventTime": clock(minute), **more})


def aggregated(minute: int, action: str, parent: str, child: str, number: int, step: str = "loading") -> dict[str, Any]:
    names = {"parentID": f"urn:coldchain:{parent}", "childEPCs": [f"urn:coldchain:{child}"], "epcList": None}
    return said(minute, number, type="AggregationEvent", action=action, bizStep=step, **names)


def received(minute: int, *reports: dict[str, Any], number: int = 9, step: str = "receiving") -> dict[str, Any]:
    elements = [{"sensorMetadata": {"deviceID": "urn:ex:thermometer"}, "sensorReport": list(reports)}]
    return said(minute, number, epcList=[f"urn:coldchain:{PALLET}"], bizStep=step, sensorElementList=elements)


def report(value: float, unit: str = "CEL", field: str = "value") -> dict[str, Any]:
    return {"type": "Temperature", "uom": unit, field: value}


def travel(repository: Repository) -> None:
    """In truck A from 5 to 120; its pack asks for -15 °C at a handover."""
    record_pack(repository.core)
    Sender(repository.core, "a", "veh:A")
    events = [
        aggregated(0, "ADD", PALLET, CASE, 2, "packing"),
        aggregated(5, "ADD", "veh:A", PALLET, 3),
        aggregated(120, "DELETE", "veh:A", PALLET, 4, "unloading"),
    ]
    assert repository.capture(document(*events))["success"]


def findings(repository: Repository) -> list[tuple[str, str, dict[str, Any]]]:
    c = verdict.c
    with repository.core.engine.connect() as connection:
        rows = connection.execute(select(verdict).where(c.rule == "QF-test handover temperature")).all()
    return [(row.subject, row.verdict, json.loads(row.detail)) for row in rows]


def test_a_warm_product_is_a_finding_with_what_was_measured_and_by_whom(repository: Repository) -> None:
    travel(repository)
    job = repository.capture(document(received(120, report(-16.5), report(-14.9, field="maxValue"))))
    assert job["success"]
    ((subject, said_of_it, detail),) = findings(repository)
    assert (subject, said_of_it) == (PALLET, "breach")
    assert (detail["handover_mc"], detail["max_mc"], detail["severity"]) == (-15_000, -14_900, "alarm")
    assert [one["mc"] for one in detail["measured"]] == [-16_500, -14_900]
    assert {one["device"] for one in detail["measured"]} == {"urn:ex:thermometer"}
    assert detail["by"] == repository.core.log.origin
    assert detail["affected"] == [PALLET, CASE]


@pytest.mark.parametrize(
    "reports",
    [
        [report(-15)],
        [report(258.1, "KEL")],
        [report(4.9, "FAH")],
        [report(-127)],
        [{"type": "RelativeHumidity", "uom": "P1", "value": 80}],
    ],
)
def test_what_is_cold_enough_no_temperature_or_a_broken_thermometer_is_none(
    repository: Repository, reports: list[dict[str, Any]]
) -> None:
    travel(repository)
    assert repository.capture(document(received(120, *reports)))["success"]
    assert findings(repository) == []


def test_only_where_goods_are_received(repository: Repository) -> None:
    travel(repository)
    repository.capture(document(received(120, report(-10), step="shipping")))
    assert findings(repository) == []


def test_it_does_not_matter_what_was_recorded_first(repository: Repository) -> None:
    """The measurement, then where the goods were; then a device whose pack allows more; then the event is withdrawn."""
    measured = received(120, report(5.1, "FAH"))
    repository.capture(document(measured))
    assert findings(repository) == [], "nobody knows by what they are judged"
    travel(repository)
    ((_, _, detail),) = findings(repository)
    assert detail["max_mc"] == -14_944
    record_pack(repository.core, version=2, stages={"transport": {
        "clause": "c", "limit_mc": -18_000, "hysteresis_mc": 0, "consecutive_s": 60, "max_gap_s": 600,
        "handover_mc": -12_000,
    }})  # fmt: skip
    repository.settle()
    assert findings(repository) == []
    record_pack(repository.core, version=3)
    repository.settle()
    assert len(findings(repository)) == 1
    withdrawn = {"declarationTime": clock(130), "reason": "incorrect_data"}
    repository.capture(document({**measured, "errorDeclaration": withdrawn}))
    assert findings(repository) == []
    rebuilt = repository.core.follower.rebuild()
    assert {name for name, digest in rebuilt.items() if digest.before != digest.after} == set()


def test_temperatures_of_every_unit_become_the_same_thousandths() -> None:
    same = {
        milli_celsius(value, unit) for value, unit in ((-40, "CEL"), (-40, "FAH"), (233.15, "KEL"), (419.67, "A48"))
    }
    assert same == {-40_000}
    assert milli_celsius(-17.95, "CEL") == -17_950
    assert milli_celsius(0, "FAH") == -17_778
