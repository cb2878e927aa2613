"""Asking for events over HTTP: what is found, how it is told, and page by page while others write."""

from __future__ import annotations

import json
import threading
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from coldchain.bootstrap.core import Core
from coldchain.services.identity import Enrolment, enrol
from coldchain.services.messages import Inbound
from coldchain.services.principals import issue_token
from coldchain.settings import load_settings
from coldchain_devices.signer import Chain, DeviceKey, seal
from opening import new_core
from web.epcis_scene import BASE, CONTEXT, Repository, document, event, events_of, ids_of
from web.serving import Served

PLACE = {"id": "urn:epc:id:sgln:6901234.50001.0"}
CASE = "urn:epc:id:sgtin:4012345.044444.3"
SCENE = document(
    event(1, readPoint=PLACE, bizLocation=PLACE, disposition="in_transit"),
    event(2, bizStep="http://steps.example.com/blessing", readPoint=PLACE),
    event(3, type="AggregationEvent", parentID="urn:epc:id:sscc:6901234.1500000002", epcList=None, childEPCs=[CASE]),
)


@pytest.fixture(scope="module")
def scene_core(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Core]:
    with new_core(load_settings(dir=tmp_path_factory.mktemp("scene") / "data")) as core:
        core.epcis.submit("acme", "rollback", json.dumps(SCENE).encode())
        assert core.epcis.step()
        core.follower.catch_up()
        yield core


@pytest.fixture
def scene(scene_core: Core, served: Served) -> Iterator[Repository]:
    """Three events, for those who only ask."""
    served.stand_on(scene_core)
    headers = {"authorization": f"Bearer {scene_core.operator_token}"}
    with served.client(headers=headers) as http:
        yield Repository(scene_core, http)


def refused(answer: httpx.Response, status: int, slug: str) -> str:
    """What the problem says."""
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json"), answer.text
    body: dict[str, Any] = answer.json()
    assert (body["type"], body["status"]) == (f"/problems/{slug}", status)
    assert body["exception"].startswith("epcisException:")
    return str(body["detail"])


# What an answer looks like


def test_every_event_of_the_examples_comes_back_as_it_was_sent(repository: Repository, shared_vectors: Path) -> None:
    sent = []
    for path in sorted((shared_vectors / "vectors/epcis/examples").rglob("*.jsonld")):
        said = json.loads(path.read_bytes())
        body = said["epcisBody"]
        sent += body["eventList"] if "eventList" in body else body["queryResults"]["resultsBody"]["eventList"]
        assert repository.send(path.read_bytes()).status_code == 202
    repository.settle()
    found = [one for page in repository.pages("/events", perPage=25) for one in events_of(page)]
    plain = {json.dumps(without(one, "recordTime", "eventID"), sort_keys=True) for one in sent}
    assert {json.dumps(without(one, "recordTime", "eventID", "@context"), sort_keys=True) for one in found} >= {
        text for text in plain if "correctiveEventIDs" not in text
    }
    assert all(one["recordTime"] and one["eventID"] for one in found)


def without(said: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in said.items() if name not in names}


def test_an_answer_names_the_query_and_binds_the_prefixes_of_its_events(repository: Repository) -> None:
    repository.capture(document(event(1, **{"ex:colour": "red"})))
    other = [CONTEXT[0], {"ex": "http://other.example.com/", "two": "http://two.example.com/"}]
    repository.capture(document(event(2, **{"ex:colour": "blue"}), **{"@context": other}))
    answer = repository.get("/events").json()
    assert answer["@context"] == CONTEXT
    assert answer["epcisBody"]["queryResults"]["queryName"] == "SimpleEventQuery"
    first, second = answer["epcisBody"]["queryResults"]["resultsBody"]["eventList"]
    assert "@context" not in first
    assert second["@context"] == [other[1]]


def test_extension_fields_are_asked_by_prefix_or_by_iri(repository: Repository) -> None:
    repository.capture(document(event(1, **{"ex:colour": "red"}), event(2, **{"ex:colour": "blue"})))
    assert ids_of(repository.get("/events", **{"EQ_http://ns.example.com/colour": "red"})) == ["1"]
    bound = {"GS1-Extensions": "a=http://a.example/, mine=http://ns.example.com/"}
    assert ids_of(repository.http.get(f"{BASE}/events?EQ_mine:colour=blue", headers=bound)) == ["2"]
    assert "prefix 'ex' is not bound" in refused(repository.get("/events?EQ_ex:colour=red"), 400, "query-parameter")


def test_a_signed_event_of_a_portal_is_found_as_any_other(repository: Repository) -> None:
    """Portals send the same events over MQTT: one way in, one way to ask."""
    core, key = repository.core, DeviceKey.generate()
    order = Enrolment("acme", "site", "p1", "EdDSA", b64encode(key.public_spki()).decode(), role="portal")
    core.log.append([enrol(core.registry, "operator", order)[1]])
    core.refresh_registry()
    signed, _ = seal(key, "p1#1", Chain(1, 0, b""), json.dumps(document(event(7))).encode(), "epcis+json")
    (reply,) = core.admission.admit([Inbound("cc/v1/acme/site/p1/evt", signed.jws)])
    assert reply is not None
    assert reply.kind == "ack"
    repository.settle()
    assert ids_of(repository.get("/events")) == ["7"]


def test_identifiers_are_as_written_or_all_digital_links(scene: Repository) -> None:
    _, _, plain = events_of(scene.get("/events"))
    assert plain["parentID"] == "urn:epc:id:sscc:6901234.1500000002"
    asks = {"GS1-EPC-Format": "Always_GS1_Digital_Link"}
    first, _, third = events_of(scene.http.get(f"{BASE}/events", headers=asks))
    assert third["parentID"] == "https://id.gs1.org/00/169012345000000025"
    assert third["childEPCs"] == ["https://id.gs1.org/01/04012345444445/21/3"]
    assert first["readPoint"] == first["bizLocation"] == {"id": "https://id.gs1.org/414/6901234500011"}
    assert {name: first[name] for name in ("eventID", "bizStep")} == {"eventID": "urn:uuid:1", "bizStep": "shipping"}
    (alone,) = events_of(scene.http.get(f"{BASE}/events/urn:uuid:1", headers=asks))
    assert alone["epcList"] == ["https://id.gs1.org/01/04012345444445/21/1"]


# Error declarations


def declares(*corrective: str) -> dict[str, Any]:
    return {
        "declarationTime": "2026-03-03T00:00:00Z",
        "reason": "incorrect_data",
        "correctiveEventIDs": list(corrective),
    }


def test_what_withdraws_an_event_has_its_id_and_is_shown_beside_it(repository: Repository) -> None:
    repository.capture(document(event(1)))
    repository.capture(document(event(1, errorDeclaration=declares("urn:uuid:2"))))
    plain, withdrawn = events_of(repository.get("/events/urn:uuid:1"))
    assert "errorDeclaration" not in plain
    assert withdrawn["errorDeclaration"]["reason"] == "incorrect_data"
    assert ids_of(repository.get("/events", EXISTS_errorDeclaration="true")) == ["1"]


@pytest.mark.parametrize("when", ["before", "after", "never"])
def test_a_corrective_event_may_come_before_after_or_never(repository: Repository, when: str) -> None:
    if when == "before":
        repository.capture(document(event(2)))
    repository.capture(document(event(1, errorDeclaration=declares("urn:uuid:2"))))
    missing = events_of(repository.get("/events/urn:uuid:1"))[0]["errorDeclaration"].get(MISSING)
    assert missing == (None if when == "before" else ["urn:uuid:2"])
    if when == "after":
        repository.capture(document(event(2)))
    (found,) = events_of(repository.get("/events", EQ_correctiveEventID="urn:uuid:2"))
    assert found["errorDeclaration"].get(MISSING) == (["urn:uuid:2"] if when == "never" else None)


MISSING = "coldchain:missingCorrectiveEventIDs"


# Pages


def test_pages_add_up_while_others_write(repository: Repository) -> None:
    first = [event(number) for number in range(60)]
    repository.capture(document(*first))
    stop = threading.Event()
    written = []

    def write() -> None:
        for number in range(1_000, 1_400):
            repository.core.epcis.record("acme", json.dumps({"@context": CONTEXT, **event(number)}).encode())
            repository.core.follower.catch_up()
            written.append(number)
            if stop.is_set():
                return

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for order in ({}, {"orderBy": "eventTime"}, {"orderBy": "recordTime", "orderDirection": "DESC"}):
            while not written:
                stop.wait(0.01)
            seen = [one for page in repository.pages("/events", perPage=7, **order) for one in ids_of(page)]
            assert len(seen) == len(set(seen)), "nothing twice"
            assert {str(number) for number in range(60)} <= set(seen), "nothing left out"
    finally:
        stop.set()
        writer.join()
    assert written


def test_a_page_has_at_most_what_the_server_allows(repository: Repository) -> None:
    repository.capture(document(*(event(number) for number in range(120))))
    assert len(ids_of(repository.get("/events", perPage=5_000))) == 100
    assert len(ids_of(repository.get("/events"))) == 30
    limited = repository.pages("/events", orderBy="eventTime", eventCountLimit=45)
    assert [len(ids_of(page)) for page in limited] == [30, 15]


def test_more_than_the_query_takes_is_no_answer(repository: Repository) -> None:
    repository.capture(document(event(1), event(2)))
    assert "maxEventCount=1" in refused(repository.get("/events", maxEventCount=1), 413, "query-too-large")
    assert len(ids_of(repository.get("/events", maxEventCount=2))) == 2


# What is refused


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("EQ_colour=red", "unknown parameter EQ_colour"),
        ("eventtype=ObjectEvent", "unknown parameter eventtype"),
        ("perPage=0", "parameter perPage"),
        ("perPage=many", "parameter perPage"),
        ("nextPageToken=x", "parameter nextPageToken"),
        ("nextPageToken=WzEsMiwiYSJd", "parameter nextPageToken"),
        ("GE_eventTime=now", "parameter GE_eventTime"),
        ("MATCH_epc=urn:epc:id:sscc:1", "parameter MATCH_epc"),
        ("eventCountLimit=3", "parameter eventCountLimit"),
    ],
)
def test_a_parameter_at_fault_is_named(scene: Repository, query: str, says: str) -> None:
    assert says in refused(scene.get(f"/events?{query}"), 400, "query-parameter")


def test_a_query_too_long_for_an_address_and_one_too_complex(scene: Repository) -> None:
    refused(scene.get(f"/events?EQ_bizStep={'x' * 17_000}"), 414, "url-too-long")
    refused(scene.get(f"/events?EQ_bizStep={'|'.join('abc' for _ in range(600))}"), 413, "query-too-complex")


@pytest.mark.parametrize(
    "headers",
    [
        {"GS1-EPCIS-Version": "1.2"},
        {"GS1-EPCIS-Min": "2.1"},
        {"GS1-EPCIS-Max": "1.2"},
        {"GS1-CBV-Version": "1.2.0"},
        {"GS1-CBV-Max": "1"},
        {"GS1-EPCIS-Version": "two"},
        {"GS1-EPC-Format": "Always_EPC_URN"},
        {"Accept": "application/xml"},
    ],
)
def test_what_is_not_spoken_is_said(scene: Repository, headers: dict[str, str]) -> None:
    (name,) = headers
    for path in ("/events", "/", "/capture", "/bizSteps/shipping/events"):
        detail = refused(scene.http.get(BASE + path, headers=headers), 406, "not-acceptable")
        assert f"header {name}" in detail


@pytest.mark.parametrize(
    "headers",
    [
        {"GS1-EPCIS-Version": "2.0"},
        {"GS1-EPCIS-Min": "1.2", "GS1-EPCIS-Max": "2.0"},
        {"GS1-EPCIS-Max": "3"},
        {"GS1-EPC-Format": "No_Preference"},
        {"Accept": "application/ld+json;q=0.9, text/html"},
    ],
)
def test_what_is_spoken_is_answered(scene: Repository, headers: dict[str, str]) -> None:
    answer = scene.http.get(f"{BASE}/events", headers=headers)
    assert len(events_of(answer)) == 3
    assert answer.headers["gs1-epcis-version"] == answer.headers["gs1-cbv-version"] == "2.0.0"


# Resources


def test_the_top_level_names_nine_resources(scene: Repository) -> None:
    assert sorted(scene.get("/").json()["member"]) == sorted(
        ["events", "eventTypes", "epcs", "bizSteps", "bizLocations", "readPoints", "dispositions", "capture", "queries"]
    )


def members(answer: httpx.Response) -> list[str]:
    body = answer.json()
    assert (answer.status_code, body["type"]) == (200, "Collection")
    found: list[str] = body["member"]
    return found


def test_what_there_is_is_listed_in_any_number_of_pages(scene: Repository) -> None:
    assert members(scene.get("/eventTypes")) == [
        "AggregationEvent", "AssociationEvent", "ObjectEvent", "TransactionEvent", "TransformationEvent",
    ]  # fmt: skip
    assert members(scene.get("/epcs")) == [
        "https://id.gs1.org/01/04012345444445/21/1",
        "https://id.gs1.org/01/04012345444445/21/2",
        "https://id.gs1.org/01/04012345444445/21/3",
        "https://id.gs1.org/00/169012345000000025",
    ]
    assert (
        members(scene.get("/readPoints"))
        == members(scene.get("/bizLocations"))
        == ["https://id.gs1.org/414/6901234500011"]
    )
    whole = [one for page in scene.pages("/bizSteps", perPage=100) for one in members(page)]
    in_pages = [one for page in scene.pages("/bizSteps", perPage=4) for one in members(page)]
    assert whole == in_pages
    assert {"shipping", "void_shipping", "http://steps.example.com/blessing"} <= set(whole)
    assert len(whole) == 42
    assert {"in_transit", "unknown"} <= {one for page in scene.pages("/dispositions") for one in members(page)}


@pytest.mark.parametrize(
    ("path", "ids"),
    [
        ("/eventTypes/ObjectEvent", ["1", "2"]),
        ("/bizSteps/shipping", ["1", "3"]),
        ("/bizSteps/urn:epcglobal:cbv:bizstep:shipping", ["1", "3"]),
        ("/bizSteps/http://steps.example.com/blessing", ["2"]),
        ("/dispositions/in_transit", ["1"]),
        ("/dispositions/unknown", []),
        ("/epcs/urn:epc:id:sgtin:4012345.044444.1", ["1"]),
        ("/epcs/https://id.gs1.org/00/169012345000000025", ["3"]),
        ("/bizLocations/urn:epc:id:sgln:6901234.50001.0", ["1"]),
        ("/readPoints/https://id.gs1.org/414/6901234500011", ["1", "2"]),
    ],
)
def test_each_has_its_events(scene: Repository, path: str, ids: list[str]) -> None:
    _, resource, value = path.split("/", 2)
    for spelled in (path, f"/{resource}/{quote(value, safe='')}"):
        assert members(scene.get(spelled)) == ["events"]
        assert ids_of(scene.get(f"{spelled}/events")) == ids
        assert ids_of(scene.get(f"{spelled}/events", EQ_eventID="urn:uuid:1")) == [one for one in ids if one == "1"]


@pytest.mark.parametrize(
    "path",
    ["/eventTypes/QuantityEvent", "/bizSteps/blessing", "/epcs/urn:epc:id:sgtin:4012345.044444.9", "/readPoints/loc:x",
     "/events/urn:uuid:9", "/dispositions/lost/events"],
)  # fmt: skip
def test_what_nobody_named_is_not_found(scene: Repository, path: str) -> None:
    refused(scene.get(path), 404, "not-found")


def test_a_resource_takes_its_own_parameter_once(scene: Repository) -> None:
    refused(scene.get("/bizSteps/shipping/events?EQ_bizStep=packing"), 400, "query-parameter")
    refused(scene.get("/bizSteps?colour=red"), 400, "query-parameter")


def test_an_event_id_may_be_any_uri(repository: Repository) -> None:
    name = "https://id.example.org/events/1?a=b#c"
    assert repository.capture(document(event(1, eventID=name)))["success"]
    assert ids_of(repository.get(f"/events/{quote(name, safe='')}")) == [name]


def test_a_page_token_can_be_released(scene: Repository) -> None:
    assert scene.http.delete(f"{BASE}/nextPageToken/abc").status_code == 204


# Who sees what


def test_an_organisation_sees_its_own_events_and_no_lists_of_others(repository: Repository, served: Served) -> None:
    core = repository.core
    core.register("org", {"id": "polar", "roles": ["carrier"], "name": "Polar"})
    core.epcis.submit("polar", "rollback", json.dumps(document(event(1))).encode())
    repository.capture(document(event(2)))
    token = new_token(repository, "polar", "carrier")
    headers = {"authorization": f"Bearer {token}"}
    assert ids_of(repository.http.get(f"{BASE}/events", headers=headers)) == ["1"]
    assert repository.http.get(f"{BASE}/events/urn:uuid:2", headers=headers).status_code == 404
    assert repository.http.get(f"{BASE}/epcs", headers=headers).status_code == 403
    jobs = repository.http.get(f"{BASE}/capture", headers=headers).json()
    assert [job["captureID"] for job in jobs] == ["1"]
    sent = repository.http.post(f"{BASE}/events", json={"@context": CONTEXT, **event(3)}, headers=headers)
    assert sent.status_code == 201
    with core.store.snapshot() as snapshot:
        assert b'"by":"polar"' in snapshot.entry(sent.json()["entry"])


def test_who_may_only_read_records_nothing(repository: Repository) -> None:
    repository.core.register("org", {"id": "checker", "roles": ["auditor"], "name": "Checker"})
    headers = {"authorization": f"Bearer {new_token(repository, 'checker', 'auditor')}"}
    size = repository.size()
    for path, body in (("/capture", document(event(1))), ("/events", {"@context": CONTEXT, **event(1)})):
        answer = repository.http.post(BASE + path, json=body, headers=headers)
        assert "scope 'capture'" in refused(answer, 403, "forbidden")
    repository.settle()
    assert repository.size() == size
    assert repository.http.get(f"{BASE}/events", headers=headers).status_code == 200


def new_token(repository: Repository, org: str, role: str) -> str:
    core = repository.core
    core.refresh_registry()
    token, kept = issue_token(core.registry.directory, org, role, (), "", None, core.clock())
    core.tokens.keep(kept)
    return token


def test_both_databases_give_the_same_answers(
    repository: Repository, migrated_postgres_url: str, tmp_path: Path, served: Served
) -> None:
    def story(one: Repository) -> list[Any]:
        one.capture(document(event(1, disposition="in_transit"), event(2, **{"ex:n": 5})))
        one.capture(document(event(3), event(4, eventTime="now")), "proceed")
        asked = ("/events?orderBy=eventTime", "/events?GT_http://ns.example.com/n=4", "/epcs", "/bizSteps?perPage=3")
        return [strip(one.get(path).json()) for path in (*asked, "/capture", "/events/urn:uuid:3")]

    def strip(said: Any) -> Any:
        if isinstance(said, dict):
            changing = ("recordTime", "creationDate", "createdAt", "finishedAt", "entries")
            return {name: strip(value) for name, value in said.items() if name not in changing}
        return [strip(one) for one in said] if isinstance(said, list) else said

    on_sqlite = story(repository)
    with new_core(load_settings(dir=tmp_path / "other", database=migrated_postgres_url)) as core:
        served.stand_on(core)
        headers = {"authorization": f"Bearer {core.operator_token}"}
        with served.client(headers=headers) as http:
            assert story(Repository(core, http)) == on_sqlite
