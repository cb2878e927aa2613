"""Devices mounted by association events: the same places as `mount` orders give, whatever came first."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from coldchain.bootstrap.core import Core, open_core
from coldchain.db.queries_api import device_row, mountings
from coldchain.db.queries_events import verdicts
from coldchain.db.queries_units import UnitQueries
from coldchain.db.tables.events import door_mount
from coldchain.db.tables.parties import unentitled
from coldchain.domain.parties import read_registration
from coldchain.projections.follow import digests
from coldchain.services.parties import registered
from coldchain.services.principals import Principal
from coldchain.settings import load_settings
from opening import new_core
from web.story import CONTEXT, HOUR, MINUTE, PALLET, START, Clock, Sender, epcis, temperatures

NOW = START + 20 * HOUR
Fact = Callable[[Core], object]


@pytest.fixture(params=["sqlite", "postgresql"])
def core(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Core]:
    url = request.getfixturevalue("migrated_postgres_url") if request.param == "postgresql" else None
    with new_core(load_settings(dir=tmp_path / "d", database=url), clock=Clock(NOW)) as core:
        yield core


def associates(
    at_us: int, action: str, place: str, *devices: str, by: str = "polar", error: bool = False, **more: Any
) -> Fact:
    time = datetime.fromtimestamp(at_us / 1e6, UTC).isoformat()
    event = {
        "type": "AssociationEvent",
        "eventID": f"urn:uuid:{by}-{at_us}-{action}-{place}",
        "eventTime": time,
        "eventTimeZoneOffset": "+00:00",
        "action": action,
        "parentID": f"urn:coldchain:{place}",
        **({"childEPCs": [f"urn:coldchain:dev:{device}" for device in devices]} if devices else {}),
        **({"errorDeclaration": {"declarationTime": time, "reason": "did_not_occur"}} if error else {}),
        **more,
    }
    head = {"@context": CONTEXT, "type": "EPCISDocument", "schemaVersion": "2.0", "creationDate": time}
    return lambda core: core.capture(by, json.dumps({**head, "epcisBody": {"eventList": [event]}}).encode())


def orders(place: str, at_us: int, n: int = 1) -> Fact:
    body = {"v": 1, "op": "mount", "id": "d1", "n": n, "place": place, "from_us": at_us}
    return lambda core: core.log.append([registered("operator", read_registration(body))])


def record(core: Core, *facts: Fact) -> None:
    for fact in facts:
        fact(core)
    core.settle()


def places(core: Core) -> list[tuple[str, int]]:
    """Where the device hung, once it left where its enrolment says; doors and readings agree."""
    with core.engine.connect() as connection:
        rows = mountings(connection, device_row(connection, "d1").device_no)
        doors = connection.execute(
            select(door_mount).where(door_mount.c.device == "d1").order_by(door_mount.c.since_us)
        )
        found = [(row.place, row.at_us) for row in rows][1:]
        assert [(row.place, row.since_us) for row in doors][1:] == found
    return found


def rules_broken(core: Core) -> list[str]:
    with core.engine.connect() as connection:
        return sorted({row["rule"] for row in verdicts(connection, ["dev:d1"], "temperature")})


def assert_rebuilt_the_same(core: Core) -> None:
    rebuilt = core.follower.rebuild()
    assert {name for name, digest in rebuilt.items() if digest.before != digest.after} == set()


def test_an_association_mounts_and_its_end_takes_down(core: Core) -> None:
    device = Sender(core, "d1", "room:w1/a")
    for hour in range(6):
        core.admission.admit([device.message(temperatures(START + hour * HOUR, 60))])
    record(core, associates(START + 2 * HOUR, "ADD", "veh:T1/front", "d1"))
    record(core, associates(START + 4 * HOUR, "DELETE", "veh:T1/front", "d1"))
    assert places(core) == [("veh:T1/front", START + 2 * HOUR), ("", START + 4 * HOUR)]
    with core.engine.connect() as connection:
        source = UnitQueries(connection)
        assert source.temperatures("veh:T1/front", START + 2 * HOUR, START + 4 * HOUR) != []
        assert source.temperatures("veh:T1/front", START + 4 * HOUR, START + 6 * HOUR) == []
    assert_rebuilt_the_same(core)


def test_a_late_association_has_earlier_readings_judged_by_where_they_were_taken(core: Core) -> None:
    device = Sender(core, "d1", "room:w1/a")
    for hour in range(6):
        core.admission.admit([device.message(temperatures(START + hour * HOUR, 60))])
    core.settle()
    assert rules_broken(core) == ["CN-frozen gap"], "forty minutes are no breach in a store"
    record(core, associates(START + 2 * HOUR, "ADD", "veh:T1", "d1"))
    assert rules_broken(core) == ["CN-frozen gap", "CN-frozen transport limit"]
    record(core, associates(START + 2 * HOUR + 30 * MINUTE, "DELETE", "veh:T1", "d1"))
    assert rules_broken(core) == [], "it hung nowhere by then"
    assert_rebuilt_the_same(core)


def test_taking_everything_down_takes_down_each_device_and_unloading_takes_down_none(core: Core) -> None:
    Sender(core, "d1", "veh:T1")
    unloaded = json.loads(epcis(START + HOUR, "DELETE", "veh:T1", [PALLET]))
    del unloaded["epcisBody"]["eventList"][0]["childEPCs"]
    core.capture("polar", json.dumps(unloaded).encode())
    core.settle()
    assert places(core) == []
    record(core, associates(START + 2 * HOUR, "DELETE", "veh:T1"))
    assert places(core) == [("", START + 2 * HOUR)]


def test_what_is_taken_down_elsewhere_than_where_it_hangs_stays(core: Core) -> None:
    Sender(core, "d1", "veh:T1")
    record(core, associates(START, "DELETE", "veh:T2", "d1"), associates(START + HOUR, "OBSERVE", "veh:T2", "d1"))
    record(core, associates(START, "ADD", PALLET, "d1"))
    assert places(core) == []


def test_an_order_of_the_same_instant_has_the_last_word(core: Core) -> None:
    Sender(core, "d1", "veh:T1")
    record(core, associates(START, "ADD", "veh:T2", "d1"), orders("room:w1/a", START))
    record(core, associates(START + HOUR, "ADD", "veh:T2", "d1"), orders("veh:T1", START + HOUR, n=2))
    assert places(core) == [("room:w1/a", START), ("veh:T1", START + HOUR)]


def test_an_error_declaration_withdraws_a_mounting(core: Core) -> None:
    Sender(core, "d1", "room:w1/a")
    record(core, associates(START, "ADD", "veh:T1", "d1"), associates(START, "ADD", "veh:T1", "d1", by="thief"))
    assert places(core) == [("veh:T1", START)]
    record(core, associates(START, "ADD", "veh:T1", "d1", by="thief", error=True))
    assert places(core) == [("veh:T1", START)], "nobody withdraws what another stated"
    record(core, associates(START, "ADD", "veh:T1", "d1", error=True))
    assert places(core) == []
    assert_rebuilt_the_same(core)


def barred(core: Core) -> dict[str, tuple[str, str]]:
    with core.engine.connect() as connection:
        return {row.key: (row.name, row.owner) for row in connection.execute(select(unentitled))}


def confirms(core: Core, by: str, role: str = "warehouse") -> None:
    (key,) = barred(core)
    core.rule_on_event(Principal(by, role, frozenset(), by), {"event": key, "decision": "confirmed"})
    core.settle()


def test_somebody_elses_device_is_not_mounted_until_its_owner_says_so(core: Core) -> None:
    Sender(core, "d1", "veh:T1")
    record(core, associates(START, "DELETE", "veh:T1", "d1", by="thief"))
    assert (list(barred(core).values()), places(core)) == ([("dev:d1", "polar")], [])
    confirms(core, "polar")
    assert (barred(core), places(core)) == ({}, [("", START)])
    assert_rebuilt_the_same(core)


def test_nothing_is_mounted_in_somebody_elses_vehicle_until_its_owner_says_so(core: Core) -> None:
    for org, role in (("polar", "warehouse"), ("haul", "carrier")):
        core.register("org", {"id": org, "roles": [role], "from_us": START})
    core.register("site", {"id": "w1", "org": "polar", "uses": [], "from_us": START})
    core.register("vehicle", {"id": "T1", "org": "haul", "kind": "rigid", "from_us": START})
    Sender(core, "d1", "room:w1/a")
    at_home = {"readPoint": {"id": "urn:coldchain:loc:w1/dock"}}
    record(core, associates(START + HOUR, "ADD", "veh:T1", "d1", **at_home))
    assert (list(barred(core).values()), places(core)) == ([("veh:T1", "haul")], [])
    confirms(core, "haul", "carrier")
    assert places(core) == [("veh:T1", START + HOUR)]


def test_an_association_recorded_before_the_enrolment_is_judged_by_whose_the_device_is(core: Core) -> None:
    record(core, associates(START, "ADD", "veh:T1", "d1", by="thief"), associates(START, "ADD", "veh:T2", "d1"))
    assert barred(core) == {}
    Sender(core, "d1", "room:w1/a")
    core.settle()
    assert (list(barred(core).values()), places(core)) == ([("dev:d1", "polar")], [("veh:T2", START)])
    assert_rebuilt_the_same(core)


def test_any_order_of_telemetry_orders_and_associations_gives_the_same(tmp_path: Path) -> None:
    facts: list[Fact] = [
        associates(START + HOUR, "ADD", "veh:T1", "d1"),
        associates(START + 3 * HOUR, "DELETE", "veh:T1", "d1"),
        associates(START + 3 * HOUR, "ADD", "veh:T2", "d1"),
        associates(START + 4 * HOUR, "DELETE", "veh:T2"),
        associates(START + 4 * HOUR + MINUTE, "ADD", "veh:T1", "d1"),
        associates(START + 2 * HOUR, "ADD", "veh:T3", "d1"),
        associates(START + 2 * HOUR, "ADD", "veh:T3", "d1", error=True),
        associates(START + 2 * HOUR, "ADD", "veh:T4", "d1", by="thief"),
        orders("room:w1/b", START + 5 * HOUR),
        orders("veh:T1", START + 5 * HOUR + MINUTE, n=2),
        lambda core: core.capture("polar", epcis(START, "ADD", "veh:T1", [PALLET], bizStep="loading")),
    ]

    def concluded(directory: Path, order: Sequence[int], step: int) -> tuple[object, ...]:
        with new_core(load_settings(dir=directory, ask_parties=False), clock=Clock(NOW)) as core:
            device = Sender(core, "d1", "room:w1/a")
            messages = [device.message(temperatures(START + hour * HOUR, 60)) for hour in range(6)]
            doors = [{"n": "door/rear", "t": (START + t * MINUTE) / 1e6, "vb": t == 80} for t in (70, 80, 90)]
            messages.append(device.message(doors))
            steps = [*facts, *(lambda core, it=it: core.admission.admit([it]) for it in messages)]
            for place, number in enumerate(order):
                steps[number](core)
                if place % step == 0:
                    core.settle()
            core.settle()
            assert_rebuilt_the_same(core)
            tables = [table for table in core.follower.tables() if table.name != "finding"]
            return places(core), digests(core.engine, tables, facts_only=True)

    count = len(facts) + 7
    straight = concluded(tmp_path / "straight", range(count), 100)
    assert straight[0] == [
        ("veh:T1", START + HOUR),
        ("veh:T2", START + 3 * HOUR),
        ("", START + 4 * HOUR),
        ("veh:T1", START + 4 * HOUR + MINUTE),
        ("room:w1/b", START + 5 * HOUR),
        ("veh:T1", START + 5 * HOUR + MINUTE),
    ]
    for seed in range(4):
        draw = random.Random(seed)
        shuffled = draw.sample(range(count), count) + draw.sample(range(count), 4)
        assert concluded(tmp_path / str(seed), shuffled, draw.choice([1, 3, 100])) == straight


def test_another_process_goes_on_where_the_last_one_was(tmp_path: Path) -> None:
    settings = load_settings(dir=tmp_path / "d")
    with new_core(settings, clock=Clock(NOW)) as core:
        Sender(core, "d1", "room:w1/a")
        record(core, associates(START, "ADD", "veh:T1", "d1"))
    with open_core(settings, clock=Clock(NOW)) as core:
        record(core, associates(START, "ADD", "veh:T1", "d1", error=True))
        assert places(core) == []
        assert_rebuilt_the_same(core)
