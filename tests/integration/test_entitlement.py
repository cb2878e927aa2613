"""Whose word counts: events of unentitled parties are recorded, move nothing, and count once confirmed."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from coldchain.bootstrap.core import Core
from coldchain.db.queries_api import NotKnown
from coldchain.db.queries_events import intervals, verdicts
from coldchain.db.queries_parties import handovers_of, sees
from coldchain.db.tables.events import containment, finding
from coldchain.db.tables.parties import unentitled
from coldchain.domain.entitlement import decision_key
from coldchain.domain.parties import read_registration
from coldchain.projections.follow import digests
from coldchain.services.chores import canonical
from coldchain.services.identity import CommandRefused, Enrolment, enrol
from coldchain.services.parties import registered
from coldchain.services.principals import Principal
from coldchain.settings import load_settings
from coldchain_ledger.log import Draft
from opening import new_core

HOUR = 3_600_000_000
START = 1_772_438_400_000_000
PALLET, OTHER = "sscc:169012345000000025", "sscc:169012345000000032"
CASES = tuple(f"case:16901234500018/{n:03d}" for n in range(1, 5))
Fact = Callable[[Core], object]


class Clock:
    def __init__(self) -> None:
        self.now_us = START + 100 * HOUR

    def __call__(self) -> int:
        return self.now_us


@pytest.fixture(params=["sqlite", "postgresql"])
def core(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Core]:
    url = request.getfixturevalue("migrated_postgres_url") if request.param == "postgresql" else None
    with new_core(load_settings(dir=tmp_path / "d", database=url), clock=Clock()) as core:
        yield core


def registers(op: str, name: str, n: int = 1, from_h: float = 0, **stated: Any) -> Fact:
    body = {"v": 1, "op": op, "id": name, "n": n, "from_us": START + round(from_h * HOUR), **stated}
    return lambda core: core.log.append([registered("operator", read_registration(body))])


def org(name: str, role: str, **stated: Any) -> Fact:
    return registers("org", name, roles=[role], **stated)


def named(name: str) -> str:
    return f"urn:coldchain:{name}"


def happens(
    by: str,
    at_h: float,
    action: str,
    units: Sequence[str],
    *,
    parent: str = "",
    at: str = "",
    event: str = "",
    **more: Any,
) -> Fact:
    """An event as a party's system sends it; without a parent an ObjectEvent."""
    body: dict[str, Any] = {
        "type": "AggregationEvent" if parent else "ObjectEvent",
        "eventID": f"urn:uuid:{event or f'{by}-{at_h}-{action}-{len(units)}-{parent}'}",
        "eventTime": datetime.fromtimestamp(START / 1e6 + at_h * 3600, UTC).isoformat(),
        "eventTimeZoneOffset": "+00:00",
        "action": action,
        "childEPCs" if parent else "epcList": [named(unit) for unit in units],
        **({"parentID": named(parent)} if parent else {}),
        **({"readPoint": {"id": named(at)}} if at else {}),
        **more,
    }
    document = {
        "@context": [
            "https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld",
            {"coldchain": "urn:coldchain:vocabulary:"},
        ],
        "type": "EPCISDocument",
        "schemaVersion": "2.0",
        "creationDate": "2026-03-02T00:00:00Z",
        "epcisBody": {"eventList": [body]},
    }
    return lambda core: core.capture(by, json.dumps(document).encode())


def party(kind: str, org_name: str) -> dict[str, Any]:
    return {f"{kind}List": [{"type": "possessing_party", kind: named(f"code:org/{org_name}")}]}


def ships(by: str, at_h: float, units: Sequence[str], to: str, **more: Any) -> Fact:
    return happens(by, at_h, "OBSERVE", units, bizStep="shipping", **party("destination", to), **more)


def receives(by: str, at_h: float, units: Sequence[str], source: str, **more: Any) -> Fact:
    return happens(by, at_h, "OBSERVE", units, bizStep="receiving", **party("source", source), **more)


def record(core: Core, *facts: Fact) -> None:
    for fact in facts:
        fact(core)
    core.follower.catch_up()


def barred(core: Core) -> dict[str, Any]:
    """By event key: why it does not count."""
    with core.engine.connect() as connection:
        return {row.key: (row.rule, row.name, row.owner) for row in connection.execute(select(unentitled))}


def inside(core: Core, unit: str) -> list[str]:
    with core.engine.connect() as connection:
        return [i.parent for i in sorted(intervals(connection, containment.c.child, [unit]), key=lambda i: i.from_us)]


def rules(core: Core, event: str, by: str, role: str, decision: str = "confirmed") -> None:
    core.rule_on_event(Principal(by, role, frozenset(), by), {"event": event, "decision": decision})
    core.follower.catch_up()


PARTIES = (org("polar", "warehouse"), org("haul", "carrier"), org("thief", "carrier"), org("port-customs", "customs"))
STORE = registers("site", "w1", org="polar", uses=["cold-store"])
PACKED = happens("polar", 1, "ADD", CASES, parent=PALLET, at="loc:w1/pack")
STOLEN = happens("thief", 2, "DELETE", CASES[:1], parent=PALLET, at="loc:w1/dock")


def test_at_a_registered_site_only_its_organisation_moves_anything(core: Core) -> None:
    record(core, *PARTIES, STORE, PACKED, STOLEN)
    assert inside(core, CASES[0]) == [PALLET]
    ((key, why),) = barred(core).items()
    assert why == ("place", "loc:w1/dock", "polar")
    with core.engine.connect() as connection:
        (row,) = verdicts(connection, ["loc:w1/dock"], "parties")
    assert (row["rule"], row["state"], row["channel"]) == ("unentitled event", "open", key)
    assert json.loads(row["detail"])["by"] == "thief"


def test_an_inspection_shows_what_was_stated_and_does_not_believe_it(core: Core) -> None:
    record(core, *PARTIES, STORE, PACKED, STOLEN)
    found = core.inspect(CASES[0])
    assert found is not None
    assert [(event["by"], event["unentitled"]) for event in found["history"]] == [("thief", True), ("polar", False)]
    assert found["position"]["seen"]["by"] == "polar"


def test_places_nobody_registered_bar_nobody(core: Core) -> None:
    record(core, PACKED, STOLEN)
    assert barred(core) == {}


def test_a_site_registered_later_bars_what_happened_after_it_and_nothing_before(core: Core) -> None:
    record(core, PACKED, STOLEN, happens("thief", 5, "DELETE", CASES[1:2], parent=PALLET, at="room:w1/a"))
    record(core, *PARTIES, registers("site", "w1", org="polar", from_h=3))
    assert [why[1] for why in barred(core).values()] == ["room:w1/a"]
    with core.engine.connect() as connection:
        (first,) = intervals(connection, containment.c.child, [CASES[0]])
        (second,) = intervals(connection, containment.c.child, [CASES[1]])
    assert first.to_us is not None
    assert second.to_us is None, "what had moved it moves it no more"


@pytest.mark.parametrize("decider", [("polar", "warehouse"), ("port-customs", "customs")])
def test_once_the_owner_or_an_authority_confirms_it_counts_at_its_own_time(
    core: Core, decider: tuple[str, str]
) -> None:
    record(core, *PARTIES, STORE, PACKED, STOLEN)
    (key,) = barred(core)
    rules(core, key, *decider)
    assert barred(core) == {}
    with core.engine.connect() as connection:
        (stay,) = intervals(connection, containment.c.child, [CASES[0]])
        assert stay.to_us == START + 2 * HOUR
        assert verdicts(connection, ["loc:w1/dock"], "parties") == []


def test_neither_the_sender_nor_a_third_party_rules_on_it(core: Core) -> None:
    record(core, *PARTIES, STORE, PACKED, STOLEN)
    (key,) = barred(core)
    for by, role in (("thief", "carrier"), ("haul", "carrier"), ("thief", "customs")):
        with pytest.raises(CommandRefused, match="has no say"):
            rules(core, key, by, role)
    core.log.append([ruling(key, "haul", "carrier")])
    core.follower.catch_up()
    assert key in barred(core), "recorded all the same, and without effect"
    with pytest.raises(NotKnown):
        rules(core, "0" * 32, "polar", "warehouse")


def test_an_authority_has_the_last_word(core: Core) -> None:
    record(core, *PARTIES, STORE, PACKED, STOLEN)
    (key,) = barred(core)
    rules(core, key, "port-customs", "customs", "refused")
    with core.engine.connect() as connection:
        (row,) = verdicts(connection, ["loc:w1/dock"], "parties")
    assert row["state"] == "closed"
    rules(core, key, "polar", "warehouse")
    assert key in barred(core)


def test_agents_authorities_and_whoever_has_a_right_to_one_of_the_places_may_state_it(core: Core) -> None:
    truck = registers("vehicle", "T1", org="haul", kind="rigid")
    agent = registers("agent", "polar/temp", org="polar", agent="temp")
    record(core, *PARTIES, STORE, truck, agent)
    record(
        core,
        happens("temp", 1, "ADD", CASES, parent=PALLET, at="loc:w1/pack"),
        happens("haul", 2, "ADD", [PALLET], parent="veh:T1", at="loc:w1/dock"),
        happens("port-customs", 3, "DELETE", CASES[:1], parent=PALLET, at="loc:w1/dock"),
    )
    assert barred(core) == {}
    record(core, happens("polar", 4, "ADD", [OTHER], parent="veh:T1"))
    assert [why[1:] for why in barred(core).values()] == [("veh:T1", "haul")]


HANDED_OVER = (ships("polar", 3, [PALLET], "haul", at="loc:p/dock"), receives("haul", 4, [PALLET], "polar"))


def test_a_unit_handed_over_is_moved_by_its_holder_and_whom_the_holder_names(core: Core) -> None:
    record(core, *PARTIES, PACKED, *HANDED_OVER)
    record(
        core,
        happens("polar", 9, "DELETE", CASES[:1], parent=PALLET),
        happens("haul", 10, "DELETE", CASES[1:2], parent=PALLET),
    )
    assert list(barred(core).values()) == [("unit", PALLET, "haul")]
    record(core, ships("haul", 12, [PALLET], "shop", **{"coldchain:actualCarrier": "little"}))
    record(
        core,
        happens("little", 13, "ADD", [PALLET], parent="veh:L"),
        happens("shop", 14, "DELETE", [PALLET], parent="veh:L"),
        happens("thief", 14, "ADD", [PALLET], parent="veh:X"),
    )
    assert sorted(barred(core).values()) == [("unit", PALLET, "haul")] * 2
    assert inside(core, PALLET) == ["veh:L"]


def test_a_stranger_may_read_it_at_his_own_registered_place_and_nowhere_else(core: Core) -> None:
    record(core, *PARTIES, registers("site", "gate", org="thief"), PACKED, *HANDED_OVER)
    record(core, happens("thief", 9, "OBSERVE", CASES[:2], parent=PALLET, at="loc:gate/1"))
    assert barred(core) == {}
    record(core, happens("thief", 9.5, "OBSERVE", CASES[:2], parent=PALLET, at="loc:anywhere"))
    assert [why[0] for why in barred(core).values()] == ["unit"]


def test_whoever_does_not_hold_a_unit_cannot_hand_it_over(core: Core) -> None:
    record(core, *PARTIES, PACKED, *HANDED_OVER)
    record(core, ships("thief", 9, [PALLET], "fence"), happens("fence", 10, "DELETE", CASES, parent=PALLET))
    assert sorted(barred(core).values()) == [("unit", PALLET, "haul")] * 2
    record(core, receives("fence", 9.5, [PALLET], "thief"))
    assert len(barred(core)) == 3
    with core.engine.connect() as connection:
        assert [one["unentitled"] != [] for one in handovers_of(connection, PALLET)] == [False, True]


def test_half_an_hour_between_two_clocks_bars_nobody(core: Core) -> None:
    record(core, *PARTIES, PACKED, *HANDED_OVER)
    record(
        core,
        happens("polar", 4.5, "ADD", [PALLET], parent="veh:T"),
        happens("shop", 11.5, "DELETE", [PALLET], parent="veh:T"),
        ships("haul", 12, [PALLET], "shop"),
    )
    assert barred(core) == {}


def test_an_event_its_sender_withdraws_is_nobodys_concern_any_more(core: Core) -> None:
    record(
        core,
        *PARTIES,
        STORE,
        PACKED,
        happens("thief", 2, "DELETE", CASES[:1], parent=PALLET, at="loc:w1/dock", event="x"),
    )
    assert len(barred(core)) == 1
    error = {"errorDeclaration": {"declarationTime": "2026-03-03T00:00:00Z", "reason": "did_not_occur"}}
    record(core, happens("thief", 2, "DELETE", CASES[:1], parent=PALLET, at="loc:w1/dock", event="x", **error))
    assert barred(core) == {}


def test_a_withdrawn_receipt_takes_the_handover_back(core: Core) -> None:
    record(core, *PARTIES, PACKED, *HANDED_OVER, happens("polar", 9, "DELETE", CASES[:1], parent=PALLET))
    assert len(barred(core)) == 1
    error = {"errorDeclaration": {"declarationTime": "2026-03-03T00:00:00Z", "reason": "did_not_occur"}}
    record(core, receives("haul", 4, [PALLET], "polar", **error))
    assert barred(core) == {}
    with core.engine.connect() as connection:
        assert [one["state"] for one in handovers_of(connection, PALLET)] == ["shipped only"]


def test_a_party_sees_what_another_one_handed_to_it_and_nothing_by_its_own_word(core: Core) -> None:
    record(core, *PARTIES, PACKED, *HANDED_OVER, happens("thief", 9, "OBSERVE", [OTHER], at="loc:x"))
    record(core, ships("thief", 9, [OTHER], "thief"), ships("thief", 9, [PALLET], "fence"))
    with core.engine.connect() as connection:
        seen = {org: sees(connection, org, [PALLET, OTHER, CASES[0]]) for org in ("polar", "haul", "thief", "fence")}
    assert seen == {"polar": {PALLET}, "haul": {PALLET}, "thief": set(), "fence": set()}


def test_parties_named_otherwise_are_known_once_registered_under_that_name(core: Core) -> None:
    gln = {"destinationList": [{"type": "possessing_party", "destination": named("loc:6901234500011")}]}
    record(
        core,
        happens("polar", 3, "OBSERVE", [PALLET], bizStep="shipping", **gln),
        receives("haul", 4, [PALLET], "polar"),
    )
    with core.engine.connect() as connection:
        assert [one["state"] for one in handovers_of(connection, PALLET)] == ["shipped only", "received only"]
    record(core, org("haul", "carrier", names=["loc:6901234500011"]))
    with core.engine.connect() as connection:
        (one,) = handovers_of(connection, PALLET)
    assert (one["state"], one["taker"]) == ("agreed", "haul")


def test_a_carrier_named_otherwise_may_carry_once_it_is_registered_under_that_name(core: Core) -> None:
    carrier = {"coldchain:actualCarrier": "urn:coldchain:loc:6901234500011"}
    record(core, *PARTIES, PACKED, *HANDED_OVER, ships("haul", 12, [PALLET], "shop", **carrier))
    record(core, happens("little", 13, "ADD", [PALLET], parent="veh:L"))
    assert len(barred(core)) == 1
    record(core, org("little", "carrier", names=["loc:6901234500011"]))
    assert barred(core) == {}
    assert inside(core, PALLET) == ["veh:L"]


def ruling(event: str, by: str, role: str, n: int = 1, decision: str = "confirmed") -> Draft:
    body = {"v": 1, "order": "event-decision", "event": event, "decision": decision, "n": n, "by": by, "role": role}
    return Draft("order", by, "application/json", decision_key(event, n), "declared", (), canonical(body))


def story() -> list[Fact]:
    truck = registers("vehicle", "T1", org="haul", kind="rigid", from_h=1)
    return [
        *PARTIES,
        STORE,
        truck,
        registers("agent", "haul/temp", org="haul", agent="temp", from_h=8),
        org("shop", "retailer", names=["loc:6901234500011"]),
        PACKED,
        STOLEN,
        *HANDED_OVER,
        happens("haul", 2.9, "ADD", [PALLET], parent="veh:T1", at="loc:w1/dock"),
        happens("thief", 6, "DELETE", CASES[1:2], parent=PALLET, at="loc:road"),
        happens("temp", 7, "DELETE", CASES[2:3], parent=PALLET),
        happens("temp", 9, "DELETE", CASES[3:], parent=PALLET),
        happens(
            "haul",
            12,
            "OBSERVE",
            [PALLET],
            bizStep="departing",
            destinationList=[{"type": "possessing_party", "destination": named("loc:6901234500011")}],
        ),
        receives("shop", 13, [PALLET], "haul"),
        happens("haul", 20, "ADD", [PALLET], parent="veh:T1"),
        ships("thief", 14, [PALLET], "fence"),
        receives("shop", 13, [PALLET], "haul", event="sent-again-under-another-id"),
        happens("thief", 6, "DELETE", CASES[1:2], parent=PALLET, at="loc:road", event="and-so-is-this"),
    ]


def concluded(directory: Path, facts: Sequence[Fact], step: int) -> tuple[dict[str, str], set[Any], list[str]]:
    """Digests of the fact columns; current findings; keys of the barred events."""
    clock = Clock()
    with new_core(load_settings(dir=directory, ask_parties=False), clock=clock) as core:
        for place, fact in enumerate(facts):
            fact(core)
            if place % step == 0:
                core.settle()
        core.settle()
        clock.now_us += 100 * HOUR  # what is to be published is published by then
        core.log.append([Draft("time", "test", "application/json", "time/end", "derived", (), canonical({"t_us": 1}))])
        core.settle()
        tables = [table for table in core.follower.tables() if table.name != "finding"]
        facts_only = digests(core.engine, tables, facts_only=True)
        with core.engine.connect() as connection:
            c = finding.c
            query = select(c.rule, c.subject, c.channel, c.from_us, c.verdict, c.state)
            current = {tuple(row) for row in connection.execute(query.where(c.current, c.state != "withdrawn"))}
        keys = sorted(barred(core))
        rebuilt = core.follower.rebuild()
        assert {name for name, digest in rebuilt.items() if digest.before != digest.after} == set()
        return facts_only, current, keys


def test_any_order_of_registrations_events_and_rulings_concludes_the_same(tmp_path: Path) -> None:
    facts = story()
    _, _, keys = concluded(tmp_path / "first", facts, 100)
    assert len(keys) == 6
    facts += [lambda core, key=key: core.log.append([ruling(key, "port-customs", "customs")]) for key in keys[:2]]  # type: ignore[misc]
    straight = concluded(tmp_path / "straight", facts, 100)
    assert len(straight[2]) == 4
    for seed in range(6):
        draw = random.Random(seed)
        shuffled = draw.sample(facts, len(facts)) + draw.sample(facts, 5)
        assert concluded(tmp_path / str(seed), shuffled, draw.choice([1, 3, 100])) == straight


def test_other_identity_entries_leave_keys_and_devices_as_they_are(core: Core) -> None:
    spki = "MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE="
    record(core, *PARTIES, STORE, registers("room", "w1/a"), registers("mount", "d1", place="room:w1/a"))
    _, draft = enrol(core.registry, "operator", Enrolment("polar", "w1", "d1", "EdDSA", spki, place="room:w1/b"))
    core.log.append(
        [draft, Draft("identity", "x", "application/json", "identity/odd/1", "declared", (), b'{"op":"odd"}')]
    )
    core.refresh_registry()
    core.follower.catch_up()
    assert [key.kid for key in core.registry.all()] == ["d1#1"]
    assert core.registry.directory.owner("room:w1/a", START) == "polar"
