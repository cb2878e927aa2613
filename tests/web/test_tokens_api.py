"""Tokens of organisations over HTTP: what each may read and file, and in whose name."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from coldchain.bootstrap.core import Core
from coldchain.services.identity import CommandRefused, Enrolment, enrol
from coldchain.services.principals import issue_token
from coldchain.settings import load_settings
from coldchain_devices.signer import DeviceKey
from coldchain_ledger.entry import Entry, parse_entry
from opening import new_core
from web.serving import Served
from web.story import Clock, epcis

START = 1_772_438_400_000_000
DAY = 86_400_000_000
ORGS = {"polar": "warehouse", "haul": "carrier", "port-customs": "customs", "checker": "auditor"}
CLAIM = {
    "id": "E1-1",
    "code": "E1",
    "units": ["sscc:169012345000000025"],
    "from_us": START,
    "to_us": START + 1,
    "evidence": {"date": "2026-03-02"},
}

HANDED, KEPT = "sscc:169012345000000025", "sscc:169012345000000032"


def handover(step: str, side: str, party: str, unit: str, at: str = "loc:road") -> bytes:
    event = {
        "type": "ObjectEvent",
        "eventID": f"urn:uuid:{step}-{unit}-{at}",
        "eventTime": "2026-03-02T08:00:00Z",
        "eventTimeZoneOffset": "+00:00",
        "action": "OBSERVE",
        "bizStep": step,
        "epcList": [f"urn:coldchain:{unit}"],
        "readPoint": {"id": f"urn:coldchain:{at}"},
        f"{side}List": [{"type": "possessing_party", side: f"urn:coldchain:code:org/{party}"}],
    }
    return json.dumps(
        {
            "@context": ["https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld"],
            "type": "EPCISDocument",
            "schemaVersion": "2.0",
            "creationDate": "2026-03-02T08:00:00Z",
            "epcisBody": {"eventList": [event]},
        }
    ).encode()


@pytest.fixture(scope="module")
def clock() -> Clock:
    return Clock(START)


@pytest.fixture(scope="module")
def core(tmp_path_factory: pytest.TempPathFactory, clock: Clock) -> Iterator[Core]:
    directory: Path = tmp_path_factory.mktemp("tokens") / "data"
    with new_core(load_settings(dir=directory), clock=clock) as core:
        for name, role in ORGS.items():
            core.register("org", {"id": name, "name": "", "roles": [role], "names": []})
        core.register("site", {"id": "w1", "org": "polar", "uses": ["cold-store"]})
        core.register("site", {"id": "w1", "org": "polar", "uses": ["cold-store", "devanning"]})
        core.capture("polar", handover("shipping", "destination", "haul", HANDED))
        core.capture("haul", handover("receiving", "source", "polar", HANDED))
        core.capture("thief", handover("storing", "source", "thief", HANDED, at="loc:w1/dock"))
        core.capture("thief", handover("shipping", "destination", "thief", KEPT))
        core.settle()
        yield core


Ask = Callable[..., httpx.Response]


@pytest.fixture
def make(core: Core) -> Callable[..., tuple[str, str]]:
    """(token, id) of a new token."""

    def make_token(org: str, *scopes: str, days: int | None = None) -> tuple[str, str]:
        token, kept = issue_token(core.registry.directory, org, ORGS[org], scopes, "", days, core.clock())
        core.tokens.keep(kept)
        return token, kept.id

    return make_token


@pytest.fixture
def ask(core: Core, served: Served, make: Callable[..., tuple[str, str]]) -> Iterator[Ask]:
    """`ask(org or token, path, paper)`: a GET, or a POST of the paper."""
    served.stand_on(core)
    with served.client() as client:

        def request(who: str, path: str, paper: Any = None) -> httpx.Response:
            token = make(who)[0] if who in ORGS else who
            return client.request(
                "GET" if paper is None else "POST", path, json=paper, headers={"authorization": f"Bearer {token}"}
            )

        yield request


def entry(core: Core, response: httpx.Response) -> tuple[Entry, Any]:
    assert response.status_code == 201, response.text
    with core.store.snapshot() as snapshot:
        found = parse_entry(snapshot.entry(response.json()["index"]))
    return found, json.loads(found.payload)


@pytest.mark.parametrize(
    ("who", "path", "status"),
    [
        ("port-customs", "/v1/devices", 200),
        ("port-customs", "/v1/findings", 200),
        ("checker", "/v1/findings", 200),
        ("polar", "/v1/devices", 200),
        ("haul", "/v1/trace?id=veh:T1", 404),
        ("haul", "/v1/evidence?id=veh:T1", 404),
        ("haul", "/v1/reports?about=veh:T1", 404),
        ("port-customs", "/v1/rejects", 403),
        ("port-customs", "/metrics", 403),
        ("polar", "/v1/parties/orgs", 200),
    ],
)
def test_each_reads_what_its_role_reaches(ask: Ask, who: str, path: str, status: int) -> None:
    response = ask(who, path)
    assert response.status_code == status, response.text
    if status == 403:
        assert response.json()["type"] == "/problems/forbidden"
        assert who in response.json()["detail"], "the answer says who asks as what"


def test_a_party_reads_about_units_that_others_handed_to_it_or_took_from_it(ask: Ask) -> None:
    assert ask("haul", f"/v1/units/{HANDED}").json()["id"] == HANDED
    assert ask("polar", f"/v1/units/{HANDED}").status_code == 200
    hidden = ask("haul", f"/v1/units/{KEPT}")
    unknown = ask("haul", "/v1/units/sscc:169012345000000049")
    assert hidden.status_code == unknown.status_code == 404, "what is there looks like what is not"
    assert ask("port-customs", f"/v1/units/{KEPT}").status_code == 200


def test_a_party_reads_of_findings_those_about_its_units_and_its_places(ask: Ask) -> None:
    (unentitled,) = ask("polar", "/v1/findings?rule=unentitled").json()["items"]
    assert (unentitled["rule"], unentitled["subject"]) == ("unentitled event", "loc:w1/dock")
    assert ask("polar", f"/v1/findings/{unentitled['id']}").json()["detail"]["by"] == "thief"
    assert ask("haul", "/v1/findings?rule=unentitled").json()["items"] == []
    others = {finding["subject"] for finding in ask("haul", "/v1/findings").json()["items"]}
    assert others <= {HANDED}
    assert ask("haul", f"/v1/findings/{unentitled['id']}").status_code == 404
    dossier = ask("polar", f"/v1/evidence?id={unentitled['id']}").text
    assert any(json.loads(line).get("index") == unentitled["index"] for line in dossier.splitlines())
    assert ask("haul", f"/v1/evidence?id={unentitled['id']}").status_code == 404
    event = {"order": "event-decision", "event": unentitled["channel"], "decision": "confirmed"}
    refused = ask("haul", "/v1/decisions", event)
    assert (refused.status_code, "has no say" in refused.json()["detail"]) == (409, True)


def test_the_owner_confirms_what_another_stated_of_its_site(core: Core, ask: Ask) -> None:
    (unentitled,) = ask("polar", "/v1/findings?rule=unentitled").json()["items"]
    event = {"order": "event-decision", "event": unentitled["channel"], "decision": "confirmed", "role": "customs"}
    ruled, body = entry(core, ask("polar", "/v1/decisions", event))
    assert (ruled.key, body["role"]) == (f"order/event-decision/{unentitled['channel']}/1", "warehouse")
    core.settle()
    assert ask("polar", "/v1/decisions", event).status_code == 404, "it counts, and there is nothing to rule on"


def test_a_token_reaches_no_further_than_its_scopes(ask: Ask, make: Callable[..., tuple[str, str]]) -> None:
    reader, _ = make("polar", "read")
    assert ask(reader, "/v1/parties/sites").status_code == 200
    refused = ask(reader, "/v1/claims", CLAIM)
    assert (refused.status_code, "'claim'" in refused.json()["detail"]) == (403, True)
    assert ask(make("polar", "claim")[0], "/v1/parties/sites").status_code == 403
    assert ask("checker", "/v1/claims", CLAIM).status_code == 403, "an auditor only reads"


def test_a_revoked_or_expired_token_opens_nothing_and_neither_does_half_of_one(
    core: Core, ask: Ask, make: Callable[..., tuple[str, str]], clock: Clock
) -> None:
    revoked, token_id = make("polar")
    week, _ = make("polar", days=7)
    assert ask(week, "/v1/parties/orgs").status_code == ask(revoked, "/v1/parties/orgs").status_code == 200
    assert core.tokens.revoke(token_id, core.clock())
    assert not core.tokens.revoke(token_id, core.clock()), "once is enough"
    before, clock.now_us = clock.now_us, clock.now_us + 7 * DAY
    good, _ = make("polar")
    for wrong in (revoked, week, good[:-1], good.partition(".")[0], f"{token_id}.", "x"):
        assert ask(wrong, "/v1/parties/orgs").status_code == 401, wrong
    assert ask(good, "/v1/parties/orgs").status_code == 200
    clock.now_us = before


def test_a_token_is_kept_as_a_hash_alone(core: Core, make: Callable[..., tuple[str, str]]) -> None:
    token, token_id = make("polar")
    kept = core.tokens.find(token_id)
    assert kept is not None
    secret = token.partition(".")[2].encode()
    assert secret not in kept.digest
    assert secret not in (core.settings.dir / "coldchain.db").read_bytes()
    assert secret not in (core.settings.dir / "coldchain.db-wal").read_bytes()


@pytest.mark.parametrize(
    ("org", "role", "scopes", "said"),
    [
        ("nobody", "carrier", (), "not registered"),
        ("polar", "customs", (), "registered as warehouse, not as customs"),
        ("polar", "operator", (), "expected one of carrier"),
        ("polar", "warehouse", ("write",), "'write'"),
    ],
)
def test_a_token_is_made_for_a_registered_organisation_in_its_own_role(
    core: Core, org: str, role: str, scopes: tuple[str, ...], said: str
) -> None:
    with pytest.raises(CommandRefused, match=said):
        issue_token(core.registry.directory, org, role, scopes, "", None, START)


def test_who_claims_and_who_rules_is_the_tokens_and_never_the_bodys(core: Core, ask: Ask) -> None:
    claimed, body = entry(core, ask("haul", "/v1/claims", {**CLAIM, "by": "port-customs", "order": "claim-decision"}))
    assert (claimed.kind, claimed.by, body["by"]) == ("document", "haul", "haul")
    ruling = {"order": "claim-decision", "claim": "E1-1", "decision": "confirmed", "by": "x", "role": "customs"}
    ruled, body = entry(core, ask("polar", "/v1/decisions", ruling))
    assert (ruled.by, body["by"], body["role"]) == ("polar", "polar", "warehouse"), "no customs officer by saying so"
    ruled, body = entry(core, ask("port-customs", "/v1/decisions", {**ruling, "n": 2, "role": ""}))
    assert (ruled.by, body["role"]) == ("port-customs", "customs")


def test_a_paper_that_says_nothing_is_refused_with_its_reason(ask: Ask) -> None:
    refused = ask("haul", "/v1/claims", {"code": "E1"})
    assert (refused.status_code, refused.json()["type"]) == (409, "/problems/refused")
    assert "from_us" in refused.json()["detail"]


def test_a_name_is_sealed_for_who_captures_and_nobody_else(core: Core, ask: Ask) -> None:
    sealed = ask("haul", "/v1/sealed", {"kind": "person", "value": "老王"})
    assert (sealed.status_code, core.sealed.open(sealed.json()["digest"])) == (201, "老王")
    assert ask("checker", "/v1/sealed", {"kind": "person", "value": "x"}).status_code == 403
    assert ask("haul", "/v1/sealed", {"kind": "secret", "value": "x"}).status_code == 422


def test_parties_are_listed_page_by_page_with_every_version_of_one(ask: Ask) -> None:
    first = ask("haul", "/v1/parties/orgs?limit=3").json()
    rest = ask("haul", f"/v1/parties/orgs?limit=3&cursor={first['next']}").json()
    assert [item["id"] for item in (*first["items"], *rest["items"])] == sorted(ORGS)
    assert rest["next"] is None
    site = ask("haul", "/v1/parties/sites/w1").json()
    assert [version["stated"]["uses"] for version in site["versions"]] == [["cold-store"], ["cold-store", "devanning"]]
    assert (site["n"], site["valid_from"]) == (2, "2026-03-02T08:00:00Z")
    assert ask("haul", "/v1/parties/sites/w2").status_code == 404


def test_a_party_is_told_of_its_own_devices_and_of_no_others(core: Core, ask: Ask) -> None:
    for device, org in (("own-1", "haul"), ("else-1", "polar")):
        spki = b64encode(DeviceKey.derive(device.encode()).public_spki()).decode()
        core.refresh_registry()
        _, draft = enrol(core.registry, core.log.origin, Enrolment(org, "s1", device, "EdDSA", spki, place="veh:T1"))
        core.log.append([draft])
    core.settle()
    assert [one["device"] for one in ask("haul", "/v1/devices").json()["items"]] == ["own-1"]
    assert [one["device"] for one in ask("port-customs", "/v1/devices").json()["items"]] == ["else-1", "own-1"]
    for path in ("/v1/devices/{}", "/v1/devices/{}/series"):
        assert ask("haul", path.format("own-1")).status_code == 200
        hidden, none = (ask("haul", path.format(name)) for name in ("else-1", "no-such"))
        assert (hidden.status_code, none.status_code) == (404, 404)
        assert hidden.json()["detail"].replace("else-1", "no-such") == none.json()["detail"]


def test_a_trace_tells_a_party_of_its_own_vehicle_and_hides_those_of_others(core: Core, ask: Ask) -> None:
    for vehicle, org in (("OWN", "haul"), ("ELSE", "polar")):
        core.register("vehicle", {"id": vehicle, "org": org, "kind": "rigid", "from_us": START - DAY})
    hour = 3_600_000_000
    for begun, vehicle, by in ((2, "OWN", "haul"), (4, "ELSE", "port-customs")):
        core.capture(by, epcis(START + begun * hour, "ADD", f"veh:{vehicle}", [HANDED, KEPT]))
        core.capture(by, epcis(START + (begun + 1) * hour, "DELETE", f"veh:{vehicle}", [HANDED, KEPT]))
    core.settle()
    everything = ask("port-customs", f"/v1/trace?id={HANDED}").json()
    told = ask("haul", f"/v1/trace?id={HANDED}").json()
    assert {hop["unit"] for hop in everything["forward"]} >= {"veh:OWN", "veh:ELSE"}
    assert KEPT in {met["unit"] for met in everything["contacts"]}
    assert everything["hidden"] == 0
    assert {hop["unit"] for hop in told["forward"]} - {HANDED} == {"veh:OWN"}
    assert told["contacts"] == []
    assert told["hidden"] > 0
    assert "ELSE" not in json.dumps(told)
    assert ask("haul", f"/v1/trace?id={KEPT}").status_code == 404
