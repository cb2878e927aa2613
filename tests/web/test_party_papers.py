"""Dossiers and reports for parties: of what is theirs to see, and nothing more."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select

from coldchain.bootstrap.core import Core
from coldchain.db.queries_api import FindingFilter, NotKnown, findings_after
from coldchain.db.queries_notices import look
from coldchain.db.queries_parties import visible_findings
from coldchain.db.tables.events import finding
from coldchain.domain.findings import Current
from coldchain.domain.notices import Selection
from coldchain.services.emit import finding_entries
from coldchain.services.findings import Acknowledged
from coldchain.services.notices import Channel
from coldchain.services.principals import Principal, issue_token
from coldchain.settings import load_settings
from coldchain_ledger.entry import Entry, parse_entry
from coldchain_ledger.keys import parse_vkey
from coldchain_ledger.verify import log_policy, verify_dossier
from opening import new_core
from web.serving import Served
from web.story import CONTEXT, HOUR, MINUTE, START, Clock, Sender

ORGS = {"polar": "warehouse", "haul": "carrier", "shop": "retailer", "rival": "carrier", "port-customs": "customs"}
MINE, OTHERS = "sscc:169012345000000025", "sscc:169012345000000032"
CASES = {MINE: ["case:16901234500018/001"], OTHERS: ["case:16901234500018/002"]}
TRUCK = "veh:H1"


def named(name: str) -> str:
    return f"urn:coldchain:{name}"


def event(hours: float, action: str, units: list[str], parent: str = "", **more: Any) -> bytes:
    time = datetime.fromtimestamp(START / 1e6 + hours * 3600, UTC).isoformat().replace("+00:00", "Z")
    body = {
        "type": "AggregationEvent" if parent else "ObjectEvent",
        "eventTime": time,
        "eventTimeZoneOffset": "+00:00",
        "action": action,
        "childEPCs" if parent else "epcList": [named(unit) for unit in units],
        **({"parentID": named(parent)} if parent else {}),
        **more,
    }
    head = {"@context": CONTEXT, "type": "EPCISDocument", "schemaVersion": "2.0", "creationDate": time}
    return json.dumps({**head, "epcisBody": {"eventList": [body]}}).encode()


def ships(hours: float, to: str) -> bytes:
    destination = {"type": "possessing_party", "destination": named(f"code:org/{to}")}
    return event(hours, "OBSERVE", [MINE], bizStep="shipping", destinationList=[destination])


def receives(hours: float, giver: str) -> bytes:
    source = {"type": "possessing_party", "source": named(f"code:org/{giver}")}
    return event(hours, "OBSERVE", [MINE], bizStep="receiving", sourceList=[source])


STATED = {
    "packed": ("polar", event(0, "ADD", CASES[MINE], MINE, bizStep="packing")),
    "packed the other": ("polar", event(0, "ADD", CASES[OTHERS], OTHERS, bizStep="packing")),
    "loaded both": ("haul", event(1, "ADD", [MINE, OTHERS], TRUCK, bizStep="loading")),
    "shipped": ("polar", ships(1, "haul")),
    "carried": ("haul", receives(1.1, "polar")),
    "unloaded both": ("haul", event(3, "DELETE", [MINE, OTHERS], TRUCK, bizStep="unloading")),
    "delivered": ("haul", ships(3, "shop")),
    "taken": ("shop", receives(3.1, "haul")),
    "stored": ("shop", event(4, "ADD", [MINE], "room:s2/a", bizStep="storing")),
    "looked at": ("shop", event(5, "OBSERVE", CASES[MINE], MINE, bizStep="inspecting")),
}


def pack(from_us: int, celsius: float) -> list[dict[str, object]]:
    times = range(from_us, from_us + 120 * MINUTE, 5 * MINUTE)
    return [{"n": "temp/box", "t": t_us / 1e6, "u": "Cel", "v": celsius} for t_us in times]


class Told:
    def __init__(self, core: Core) -> None:
        self.core = core
        self.at: dict[str, int] = {}
        """Ledger index of what was stated, by what it is called above."""


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    clock = Clock(START)
    directory: Path = tmp_path_factory.mktemp("party-papers") / "data"
    with new_core(load_settings(dir=directory), clock=clock) as core:
        told = Told(core)
        for name, role in ORGS.items():
            core.register("org", {"id": name, "name": "", "roles": [role], "names": []})
        core.register("site", {"id": "w1", "org": "polar", "uses": ["cold-store"], "from_us": START - HOUR})
        core.register("site", {"id": "s2", "org": "shop", "uses": ["retail"], "from_us": START - HOUR})
        core.register("vehicle", {"id": "H1", "org": "haul", "kind": "rigid", "from_us": START - HOUR})
        gateway, logger, room = (
            Sender(core, "h1-gw", TRUCK, org="haul"),
            Sender(core, "lent", TRUCK, org="rival"),
            Sender(core, "s2-ctl", "room:s2/a", org="shop"),
        )
        for name, (by, document) in STATED.items():
            told.at[name] = core.capture(by, document).index
        clock.now_us = START + 6 * HOUR
        for sender, from_us in ((gateway, START + HOUR), (logger, START + HOUR), (room, START + 4 * HOUR)):
            (reply,) = core.admission.admit([sender.message(pack(from_us, -20))])
            told.at[sender.device] = reply.index
        core.settle()
        yield told


Ask = Callable[..., httpx.Response]


@pytest.fixture
def ask(told: Told, served: Served) -> Iterator[Ask]:
    served.stand_on(told.core)
    with served.client() as client:

        def request(org: str, path: str, **query: Any) -> httpx.Response:
            token, kept = issue_token(told.core.registry.directory, org, ORGS[org], (), "", None, told.core.clock())
            told.core.tokens.keep(kept)
            return client.get(path, params=query, headers={"authorization": f"Bearer {token}"})

        yield request


def carried(told: Told, answer: httpx.Response) -> set[int]:
    """Entries of a dossier that verifies."""
    assert answer.status_code == 200, answer.text
    policy = log_policy(parse_vkey(told.core.log.vkey))
    assert verify_dossier(io.BytesIO(answer.content), policy).exit_code == 0
    return {line["index"] for line in map(json.loads, answer.text.splitlines()) if "index" in line}


def stated(told: Told, entries: set[int]) -> set[str]:
    return {name for name, index in told.at.items() if index in entries}


def read(told: Told, entries: set[int]) -> list[Entry]:
    with told.core.store.snapshot() as snapshot:
        return [parse_entry(snapshot.entry(index)) for index in sorted(entries)]


def test_whoever_holds_a_unit_gets_its_record_and_nothing_of_others_goods_or_devices(told: Told, ask: Ask) -> None:
    entries = carried(told, ask("shop", "/v1/evidence", id=MINE))
    assert stated(told, entries) == {
        "packed",
        "shipped",
        "carried",
        "delivered",
        "taken",
        "stored",
        "looked at",
        "s2-ctl",
    }
    for entry in read(told, entries):
        assert OTHERS.encode() not in entry.payload
        assert entry.by in ("shop", "polar", "haul") or entry.kind in ("rules", "identity", "finding")
    everything = stated(told, carried(told, ask("port-customs", "/v1/evidence", id=MINE)))
    assert everything == told.at.keys() - {"packed the other"}


def test_whoever_had_it_gets_its_record_up_to_where_another_took_it(told: Told, ask: Ask) -> None:
    entries = carried(told, ask("haul", "/v1/evidence", id=MINE))
    assert stated(told, entries) == {
        "packed", "shipped", "loaded both", "carried", "unloaded both", "delivered", "taken", "h1-gw",
    }  # fmt: skip
    assert stated(told, carried(told, ask("polar", "/v1/evidence", id=MINE))) == {"packed", "shipped", "carried"}


def test_the_record_of_a_unit_ends_for_a_party_where_it_was_its_concern_no_more(told: Told, ask: Ask) -> None:
    def told_of(org: str, **query: str) -> tuple[str | None, list[str]]:
        document = ask(org, f"/v1/units/{MINE}", **query).json()
        return document["at"], sorted(event["step"] for event in document["history"])

    packed_and_shipped = ["loading", "packing", "receiving", "shipping"]
    delivered = sorted([*packed_and_shipped, "receiving", "shipping", "unloading"])
    assert told_of("shop") == told_of("port-customs") == (None, sorted([*delivered, "inspecting", "storing"]))
    assert told_of("haul") == ("2026-03-02T11:06:00Z", delivered)
    assert told_of("polar") == ("2026-03-02T09:06:00Z", packed_and_shipped)
    assert told_of("haul", at="2026-03-02T08:30:00Z") == ("2026-03-02T08:30:00Z", ["packing"])
    assert told_of("haul", at="2026-03-02T13:00:00Z") == told_of("haul")


# Findings


@pytest.fixture(scope="module")
def published(told: Told) -> dict[str, str]:
    """Ids of findings about the unit, by what had happened to it when they began."""
    begun = {"packed": 0.5, "carried": 2.0, "stored": 4.0, "looked at": 5.0}
    found = [
        Current(
            "P1 test", MINE, name, START + round(hours * HOUR), None, "BROKEN_PENDING", "asked", "{}", "signed", (1,)
        )
        for name, hours in begun.items()
    ]
    told.core.log.append(finding_entries(told.core.log.origin, found, (), told.core.log.edge().size))
    told.core.follower.catch_up()
    with told.core.engine.connect() as connection:
        rows = connection.execute(select(finding.c.channel, finding.c.finding).where(finding.c.rule == "P1 test"))
        return {row.channel: row.finding for row in rows}


SEEN = {
    "polar": ["packed"],
    "haul": ["packed", "carried"],
    "shop": ["packed", "carried", "stored", "looked at"],
    "port-customs": ["packed", "carried", "stored", "looked at"],
    "rival": [],
}


@pytest.mark.parametrize("org", SEEN)
def test_a_party_sees_findings_about_a_unit_that_began_while_it_was_its_concern(
    published: dict[str, str], ask: Ask, org: str
) -> None:
    listed = ask(org, "/v1/findings", rule="P1 test").json()
    assert ({item["channel"] for item in listed["items"]}, listed["next"]) == (set(SEEN[org]), None)
    paged, cursor = [], {}
    while True:
        page = ask(org, "/v1/findings", rule="P1 test", limit=1, **cursor).json()
        paged += [item["id"] for item in page["items"]]
        if page["next"] is None:
            break
        cursor = {"cursor": page["next"]}
    assert paged == [item["id"] for item in listed["items"]]
    for name, one in published.items():
        known = name in SEEN[org]
        for path, query in ((f"/v1/findings/{one}", {}), ("/v1/evidence", {"id": one})):
            assert ask(org, path, **query).status_code == (200 if known else 404), (name, path)


def test_a_stream_and_a_channel_tell_a_party_of_findings_that_it_may_see(told: Told, published: dict[str, str]) -> None:
    chosen = FindingFilter(current=False, rule="P1 test")
    channels = [
        Channel(org, "webhook", "http://example.com/", Selection(rules=("P1 test",), org=org), 0, 0) for org in SEEN
    ]
    _, queued = look(told.core.engine, told.core.store, 0, channels, 0)
    with told.core.engine.connect() as connection:
        newest = connection.scalar(select(func.max(finding.c.entry)).where(finding.c.rule == "P1 test"))
        for org, names in SEEN.items():
            if org == "port-customs":
                continue  # a channel is told of what concerns an organisation, not of all that it may see
            streamed = findings_after(connection, replace(chosen, only=visible_findings(org)), 0, 100)
            assert {row.channel for row in streamed.rows} == set(names)
            assert (streamed.is_all, streamed.upto) == (True, newest if names else 0), "hidden ones are passed by"
            assert {one.waiting.finding for one in queued if one.channel == org} == {published[name] for name in names}


def test_a_party_acknowledges_no_finding_that_it_may_not_see(told: Told, published: dict[str, str]) -> None:
    haul = Principal("haul", "carrier", frozenset({"read", "claim"}), "haul")
    with pytest.raises(NotKnown):
        told.core.acknowledge(haul, Acknowledged(published["stored"], "seen"))
    told.core.acknowledge(haul, Acknowledged(published["carried"], "seen"))


def test_whoever_never_had_it_is_told_what_a_stranger_is(told: Told, ask: Ask) -> None:
    hidden, unknown = (ask("rival", "/v1/evidence", id=name) for name in (MINE, "sscc:169012345000000049"))
    assert (hidden.status_code, unknown.status_code) == (404, 404)
    assert hidden.json()["detail"].replace(MINE, "") == unknown.json()["detail"].replace("sscc:169012345000000049", "")
    for org, about in (("shop", OTHERS), ("haul", OTHERS), ("shop", CASES[MINE][0]), ("shop", TRUCK), ("haul", TRUCK)):
        assert ask(org, "/v1/evidence", id=about).status_code == 404, (org, about)


def test_a_party_gets_the_dossier_of_its_own_device_and_of_no_other(told: Told, ask: Ask) -> None:
    assert "h1-gw" in stated(told, carried(told, ask("haul", "/v1/evidence", id="dev:h1-gw")))
    assert ask("shop", "/v1/evidence", id="dev:h1-gw").status_code == 404


def figures(ask: Ask, org: str, about: str, **more: Any) -> dict[str, Any]:
    answer = ask(org, "/v1/reports", about=about, **more)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def devices(document: dict[str, Any]) -> set[str]:
    assert {line["device"] for line in document["chart"]} <= {
        p["device"] for s in document["stays"] for p in s["probes"]
    }
    return {probe["device"] for stay in document["stays"] for probe in stay["probes"]}


def test_a_report_about_a_unit_tells_a_party_of_its_own_places_by_its_own_devices(told: Told, ask: Ask) -> None:
    everything = figures(ask, "port-customs", MINE)
    assert devices(everything) == {"h1-gw", "lent", "s2-ctl"}
    assert (everything["stays_hidden"], bool(everything["exposure"])) == (0, True)
    for org, place, own in (("haul", TRUCK, "h1-gw"), ("shop", "room:s2/a", "s2-ctl")):
        document = figures(ask, org, MINE)
        assert [stay["place"] for stay in document["stays"]] == [place]
        assert devices(document) == {own}
        assert (document["stays_hidden"], document["exposure"]) == (1, []), "what is left out is said to be"
        assert "lent" not in json.dumps(document)
    assert ask("polar", "/v1/reports", about=MINE).status_code == 404, "it never had it in a place that was measured"


def test_a_party_gets_reports_about_its_own_devices_and_vehicles_and_about_nobody_elses(told: Told, ask: Ask) -> None:
    assert devices(figures(ask, "haul", TRUCK)) == {"h1-gw"}
    assert devices(figures(ask, "haul", "dev:h1-gw")) == {"h1-gw"}
    assert devices(figures(ask, "rival", "dev:lent")) == {"lent"}
    for org, about in (("shop", TRUCK), ("rival", TRUCK), ("haul", "dev:lent"), ("rival", MINE), ("haul", OTHERS)):
        assert ask(org, "/v1/reports", about=about).status_code == 404, (org, about)


def test_a_vehicle_sold_is_reported_to_each_owner_for_its_own_time(told: Told, ask: Ask) -> None:
    told.core.register("vehicle", {"id": "H1", "org": "rival", "kind": "rigid", "from_us": START + 2 * HOUR})
    told.core.settle()
    first = {"from": "2026-03-02T09:00:00Z", "to": "2026-03-02T09:55:00Z"}
    second = {"from": "2026-03-02T10:00:00Z", "to": "2026-03-02T11:00:00Z"}
    assert devices(figures(ask, "haul", TRUCK, **first)) == {"h1-gw"}
    assert devices(figures(ask, "rival", TRUCK, **second)) == {"lent"}
    for org, period in (("haul", second), ("rival", first), ("haul", {**first, "to": second["to"]})):
        assert ask(org, "/v1/reports", about=TRUCK, **period).status_code == 404
