"""Goods are judged by the profile they fall under, whatever the devices of the truck are enrolled for."""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from coldchain.bootstrap.core import Core
from coldchain.bootstrap.dryrun import dry_run
from coldchain.bootstrap.imports import Imports
from coldchain.db.tables.containment import goods_fact
from coldchain.db.tables.events import finding
from coldchain.db.tables.exposure import warm_hour
from coldchain.db.tables.verdicts import verdict
from coldchain.projections.follow import digests
from coldchain.services.chores import rule_entries
from coldchain.settings import load_settings
from integration.consignment import Sender, clock, moved, put, record_pack
from opening import new_core
from web.story import HOUR, MINUTE, OTHER, PALLET, START, Clock, cases, epcis

FROZEN, CHILLED = "0202300090", "0201300090"
BEEF, STEAK, SHANK = "lot:16901234500018/L1", "lot:16901234500018/L2", "lot:1974/Frozen shank/2026-01-05"
OWN: dict[str, Any] = {
    "kind": "profile", "name": "own-goods", "version": 1, "from_us": 0, "clause": "as tested", "verified": False,
    "product": {"hs": ["02023000"], "words": ["own beef"]}, "packs": [{"pack": "QF-test"}],
}  # fmt: skip


@pytest.fixture(params=["sqlite", "postgresql"])
def core(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Core]:
    url = request.getfixturevalue("migrated_postgres_url") if request.param == "postgresql" else None
    with opened(tmp_path / "d", url) as core:
        yield core


def opened(directory: Path, url: str | None = None) -> Any:
    return new_core(load_settings(dir=directory, database=url), clock=Clock(START + 12 * HOUR))


def record_own(core: Core, **changed: Any) -> None:
    core.log.append(rule_entries(core.log.origin, [{**OWN, **changed}]))


def named(lot: str) -> str:
    return f"urn:coldchain:{lot.replace(' ', '%20')}"


def packed(*lots: str, minute: int = 0, pallet: str = PALLET) -> bytes:
    """A pallet of ten cases of each lot, without serial numbers."""
    held = [{"epcClass": named(lot), "quantity": 10} for lot in lots]
    return epcis(START + minute * MINUTE, "ADD", pallet, [], bizStep="packing", childQuantityList=held)


def declared(lot: str, by: str = "polar", minute: int = -60, n: int = 1, **said: str) -> bytes:
    paper = {"type": "urn:coldchain:btt:declaration", "bizTransaction": f"urn:coldchain:decl:22482026101234567{n}"}
    event = {
        "type": "TransactionEvent", "action": "ADD", "bizStep": "arriving", "eventTime": clock(minute),
        "eventTimeZoneOffset": "+00:00", "bizTransactionList": [paper], "eventID": f"urn:x:decl:{by}:{n}",
        "quantityList": [{"epcClass": named(lot), "quantity": 10}],
        "coldchain:goods": [{"item": named(lot), **said}],
    }  # fmt: skip
    return document(event)


def commissioned(unit: str, **ilmd: str) -> bytes:
    return document(
        {
            "type": "ObjectEvent", "action": "ADD", "bizStep": "commissioning", "eventTime": clock(-120),
            "eventTimeZoneOffset": "+00:00", "epcList": [f"urn:coldchain:{unit}"], "ilmd": ilmd,
        }
    )  # fmt: skip


def document(event: dict[str, Any]) -> bytes:
    context = [
        "https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld",
        {"coldchain": "urn:coldchain:vocabulary:"},
    ]
    whole = {
        "@context": context, "type": "EPCISDocument", "schemaVersion": "2.0", "creationDate": clock(0),
        "epcisBody": {"eventList": [event]},
    }  # fmt: skip
    return json.dumps(whole).encode()


def told(core: Core, unit: str = PALLET) -> list[tuple[str, str, str]]:
    """(pack, profile, by) of each exposure."""
    core.follower.catch_up()
    found = core.inspect(unit)
    assert found is not None
    return [(one["pack"], one["profile"]["name"], one["profile"]["by"]) for one in found["exposure"]]


def why(core: Core, unit: str = PALLET) -> list[str | None]:
    found = core.inspect(unit)
    assert found is not None
    return [one["profile"]["why"] for one in found["exposure"]]


def concluded(core: Core) -> list[tuple[str, str, int]]:
    """(rule, subject, minute) of the verdicts on goods."""
    core.follower.catch_up()
    with core.engine.connect() as connection:
        rows = connection.execute(select(verdict).where(verdict.c.source == "consignment"))
        return sorted((row.rule, row.subject, (row.from_us - START) // MINUTE) for row in rows)


def drive(core: Core, profile: str | None = "chilled-food") -> Sender:
    """Two hours in truck A at -20 °C, of which one at -10 °C."""
    truck = Sender(core, "a", "veh:A", profile=profile)
    put(core, 5, "veh:A", [PALLET])
    core.admission.admit(truck.steadily(0, 120, -20, {(30, 90): -10}))
    return truck


def test_frozen_beef_in_a_truck_enrolled_for_chilled_goods_is_judged_as_frozen(core: Core) -> None:
    core.capture("polar", packed(BEEF))
    core.capture("polar", declared(BEEF, hs=FROZEN))
    drive(core)
    assert told(core) == [("CN-frozen", "frozen-food", f"hs {FROZEN}")]
    assert told(core, BEEF) == [("CN-frozen", "frozen-food", f"hs {FROZEN}")]
    assert why(core) == [None]


def test_goods_of_which_nobody_said_anything_are_judged_as_the_device_says(core: Core) -> None:
    core.capture("polar", packed(BEEF))
    drive(core)
    assert told(core) == [("CN-chilled", "chilled-food", "device")]
    assert why(core) == ["nobody stated what goods these are"]


def test_the_printed_name_of_a_lot_tells_until_somebody_declares_it(core: Core) -> None:
    core.capture("polar", packed(SHANK))
    drive(core)
    assert told(core) == [("CN-frozen", "frozen-food", "product name")]
    core.capture("polar", declared(SHANK, product="Chilled shank"))
    assert told(core) == [("CN-chilled", "chilled-food", "product name")]


def test_codes_that_contradict_each_other_leave_goods_without_a_profile(core: Core) -> None:
    core.capture("polar", packed(SHANK))
    core.capture("polar", declared(SHANK, hs=FROZEN))
    core.capture("broker", declared(SHANK, "broker", n=2, hs=CHILLED))
    drive(core)
    assert told(core) == [("CN-chilled", "chilled-food", "device")]
    assert why(core) == [f"customs codes contradict each other: {CHILLED}, {FROZEN}"]
    core.capture("broker", declared(SHANK, "broker", minute=10, n=3, hs=FROZEN))
    assert told(core) == [("CN-frozen", "frozen-food", f"hs {FROZEN}")]


def test_cases_are_of_the_kind_their_commissioning_states(core: Core) -> None:
    (first,) = cases(1)
    core.capture("polar", commissioned(first, **{"coldchain:hs": FROZEN, "cbvmda:descriptionShort": "Beef"}))
    put(core, 0, PALLET, [first], step="packing")
    drive(core)
    assert told(core, first) == told(core) == [("CN-frozen", "frozen-food", f"hs {FROZEN}")]


def test_cases_are_of_the_kind_of_their_lot(core: Core) -> None:
    (first,) = cases(1)
    core.capture("polar", declared("lot:16901234500018/L9", hs=FROZEN))
    put(core, 0, PALLET, [first], step="packing")
    drive(core)
    assert told(core) == [("CN-chilled", "chilled-food", "device")]
    core.capture("polar", commissioned(first, **{"cbvmda:lotNumber": "L9"}))
    assert told(core) == [("CN-frozen", "frozen-food", f"hs {FROZEN}")]


def test_a_declaration_that_comes_late_judges_what_was_before(core: Core) -> None:
    record_pack(core)
    record_own(core)
    core.capture("polar", packed(BEEF))
    drive(core)
    assert concluded(core) == []
    core.capture("polar", declared(BEEF, hs=FROZEN))
    over = [("QF-test budget", PALLET, 60), ("QF-test pre-cooling", "veh:A", 5)]
    assert [one for one in concluded(core) if "gap" not in one[0]] == over[:1]
    core.capture("broker", declared(BEEF, "broker", n=2, hs=CHILLED))
    assert concluded(core) == []


def test_what_is_stated_of_a_gtin_late_holds_for_its_lots_and_cases(core: Core) -> None:
    record_pack(core)
    record_own(core)
    (first,) = cases(1)
    core.capture("polar", packed(BEEF))
    core.capture("polar", moved(1, OTHER, [first], step="packing"))
    put(core, 5, "veh:A", [OTHER])
    drive(core)
    core.capture("polar", declared("code:gtin/16901234500018", hs=FROZEN))
    assert [one for one in concluded(core) if "budget" in one[0]] == [
        ("QF-test budget", PALLET, 60), ("QF-test budget", OTHER, 60)
    ]  # fmt: skip


def test_findings_follow_what_is_declared_and_which_rules_are_recorded(core: Core) -> None:
    record_pack(core)
    core.capture("polar", packed(BEEF))
    core.capture("polar", declared(BEEF, hs=FROZEN))
    drive(core)

    def published() -> list[tuple[str, str]]:
        core.settle(everything=True)
        with core.engine.connect() as connection:
            query = select(finding.c.subject, finding.c.state).where(finding.c.current)
            return [tuple(row) for row in connection.execute(query.where(finding.c.rule == "QF-test budget"))]

    assert published() == []
    tried = dry_run(core, OWN)
    assert [one.kind for one in tried.changes if one.lane.rule == "QF-test budget"] == ["new"]
    record_own(core)
    assert published() == [(PALLET, "open")]
    core.capture("polar", declared(BEEF, minute=0, n=2, hs=CHILLED))
    assert published() == [(PALLET, "withdrawn")]


def test_a_sheet_with_customs_codes_says_what_the_goods_are(core: Core) -> None:
    heading = "报关单号,时间,商品编号,品名,商品条码,批号,箱数"
    row = f"224820261012345678,2026-03-02 07:00,{FROZEN},牛腱,16901234500018,L1,10"
    data = "\n".join((heading, row)).encode()
    imports = Imports(core)
    imports.record(data, imports.read("polar", data, imports.mapping("polar", "declaration"))[0])
    core.capture("polar", packed(BEEF))
    drive(core)
    assert told(core) == [("CN-frozen", "frozen-food", f"hs {FROZEN}")]


def test_a_lot_on_a_pallet_in_a_container_is_judged_with_both(core: Core) -> None:
    record_pack(core)
    record_own(core)
    core.capture("polar", packed(BEEF))
    put(core, 1, "cont:CSQU3054383", [PALLET])
    truck = Sender(core, "a", "veh:A", profile="chilled-food")
    put(core, 5, "veh:A", ["cont:CSQU3054383"])
    core.admission.admit(truck.steadily(0, 120, -20, {(30, 90): -10}))
    core.capture("polar", declared(BEEF, hs=FROZEN))
    assert ("QF-test budget", "cont:CSQU3054383", 60) in concluded(core)


def test_a_mixed_pallet_is_judged_under_each_profile_present(core: Core) -> None:
    record_pack(core)
    record_own(core)
    core.capture("polar", packed(BEEF, STEAK))
    core.capture("polar", declared(BEEF, hs=FROZEN))
    core.capture("polar", declared(STEAK, n=2, hs=CHILLED))
    drive(core, profile="CN-frozen")
    assert sorted(told(core)) == [
        ("CN-chilled", "chilled-food", f"hs {CHILLED}"),
        ("QF-test", "own-goods", f"hs {FROZEN}"),
    ]
    assert ("QF-test budget", PALLET, 60) in concluded(core)


def test_goods_that_left_the_pallet_are_judged_with_it_no_longer(core: Core) -> None:
    record_pack(core)
    record_own(core)
    core.capture("polar", packed(BEEF, STEAK))
    core.capture("polar", declared(BEEF, hs=FROZEN))
    core.capture("polar", declared(STEAK, n=2, hs=CHILLED))
    drive(core)
    held = [{"epcClass": named(BEEF), "quantity": 10}]
    core.capture("polar", epcis(START + 50 * MINUTE, "DELETE", PALLET, [], bizStep="picking", childQuantityList=held))
    assert [one for one in concluded(core) if one[0] == "QF-test budget"] == []


def test_a_profile_that_changes_with_the_date_judges_each_day_by_its_own(core: Core) -> None:
    record_pack(core)
    record_own(core, from_us=START + 45 * MINUTE)
    core.capture("polar", packed(BEEF))
    core.capture("polar", declared(BEEF, hs=FROZEN))
    drive(core)
    assert sorted(told(core)) == [
        ("CN-frozen", "frozen-food", f"hs {FROZEN}"),
        ("QF-test", "own-goods", f"hs {FROZEN}"),
    ]
    assert [one for one in concluded(core) if one[0] == "QF-test budget"] == [("QF-test budget", PALLET, 75)]
    record_own(core, version=2, product={"hs": ["99"]}, from_us=START + 60 * MINUTE)
    assert [one for one in concluded(core) if one[0] == "QF-test budget"] == []


def test_a_device_that_judges_nothing_of_its_own_judges_goods_with_a_profile(core: Core) -> None:
    record_pack(core)
    record_own(core)
    core.capture("polar", packed(BEEF))
    core.capture("polar", declared(BEEF, hs=FROZEN))
    drive(core, profile="")
    assert ("QF-test budget", PALLET, 60) in concluded(core)


def test_the_country_of_a_site_chooses_the_pack_of_goods_there(core: Core) -> None:
    record_pack(core)
    record_own(core, packs=[{"pack": "QF-test", "places": ["DE"]}, {"pack": "CN-frozen"}])
    core.register("org", {"id": "polar", "roles": ["warehouse"]})
    core.capture("polar", packed(BEEF))
    core.capture("polar", declared(BEEF, hs=FROZEN))
    room = Sender(core, "r", "room:w1/a", profile="CN-chilled")
    put(core, 5, "room:w1/a", [PALLET], step="storing")
    core.admission.admit(room.steadily(0, 120, -20, {(30, 90): -10}))
    assert concluded(core) == []
    core.register("site", {"id": "w1", "org": "polar", "uses": [], "country": "DE", "from_us": 0})
    assert concluded(core) == [("QF-test budget", PALLET, 60)]


def test_a_body_is_to_be_as_cold_as_the_goods_ask(core: Core) -> None:
    record_pack(core)
    record_own(core)
    truck = Sender(core, "a", "veh:A", profile="CN-chilled")
    core.capture("polar", packed(BEEF))
    core.admission.admit(truck.steadily(0, 120, 4))
    put(core, 60, "veh:A", [PALLET])
    assert concluded(core) == []
    core.capture("polar", declared(BEEF, hs=FROZEN))
    assert ("QF-test pre-cooling", "veh:A", 60) in concluded(core)


# Any order


def facts(core: Core) -> list[Callable[[], Any]]:
    truck = Sender(core, "a", "veh:A", profile="chilled-food")
    messages = truck.steadily(0, 120, -20, {(30, 90): -10})
    (case,) = cases(7)
    return [
        lambda: record_pack(core),
        lambda: record_own(core),
        lambda: core.capture("polar", packed(BEEF, STEAK)),
        lambda: core.capture("polar", moved(1, PALLET, [case], step="packing")),
        lambda: core.capture("polar", moved(5, "veh:A", [PALLET])),
        lambda: core.capture("polar", declared(BEEF, hs=CHILLED, n=4)),
        lambda: core.capture("polar", declared(BEEF, minute=0, hs=FROZEN)),
        lambda: core.capture("polar", declared(STEAK, n=2, hs=CHILLED)),
        lambda: core.capture("polar", commissioned(case, **{"coldchain:product": "Own beef"})),
        lambda: core.capture("polar", moved(40, PALLET, [case], "DELETE", "picking")),
        *[lambda message=message: core.admission.admit([message]) for message in messages],
    ]


def test_in_any_order_the_same_is_concluded_and_a_rebuild_finds_it_again(tmp_path: Path) -> None:
    found = []
    for seed in range(4):
        with opened(tmp_path / str(seed)) as core:
            steps = facts(core)
            random.Random(seed).shuffle(steps)
            for step, often in zip(steps, itertools.cycle((True, False, False)), strict=False):
                step()
                if often:
                    core.follower.catch_up()
            facts_of = digests(core.engine, [goods_fact, warm_hour, verdict], facts_only=True)
            found.append((concluded(core), told(core), facts_of))
            core.settle(everything=True)
            assert all(same.before == same.after for same in core.follower.rebuild().values())
    assert found[1:] == found[:-1]
    assert ("QF-test budget", PALLET, 60) in found[0][0]
