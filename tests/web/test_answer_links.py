"""One-time links: somebody without a token answers one question, once, and whoever asked records it."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from coldchain.bootstrap.core import Core
from coldchain.bootstrap.links import Links
from coldchain.db.queries_api import NotKnown
from coldchain.db.queries_parties import handovers_of
from coldchain.db.tables.access import answer_link
from coldchain.services.access import MAX_FAILURES
from coldchain.services.identity import CommandRefused
from coldchain.services.links import Answer, AnswerError, read_answer
from coldchain.services.principals import Principal, issue_token
from coldchain.settings import load_settings
from coldchain.web.i18n import LANGUAGES
from coldchain_ledger.entry import Entry, parse_entry
from opening import new_core
from web.serving import Served
from web.story import Clock

START = 1_772_438_400_000_000
HOUR = 3_600_000_000
UNITS = [f"sscc:{number}" for number in ("169012345000000025", "169012345000000032")]
POLAR = Principal("polar", "warehouse", frozenset(["read", "claim"]), "polar")


def shipment(unit_names: list[str], event: str, at: str = "loc:road") -> bytes:
    body = {
        "type": "ObjectEvent",
        "eventID": f"urn:uuid:{event}",
        "eventTime": "2026-03-02T08:00:00Z",
        "eventTimeZoneOffset": "+00:00",
        "action": "OBSERVE",
        "bizStep": "shipping",
        "epcList": [f"urn:coldchain:{unit}" for unit in unit_names],
        "readPoint": {"id": f"urn:coldchain:{at}"},
        "destinationList": [{"type": "possessing_party", "destination": "urn:coldchain:code:org/corner-shop"}],
        "coldchain:vehicle": "veh:T1",
    }
    context = [
        "https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld",
        {"coldchain": "urn:coldchain:vocabulary:"},
    ]
    head = {
        "@context": context,
        "type": "EPCISDocument",
        "schemaVersion": "2.0",
        "creationDate": "2026-03-02T08:00:00Z",
    }
    return json.dumps({**head, "epcisBody": {"eventList": [body]}}).encode()


@pytest.fixture
def clock() -> Clock:
    return Clock(START + HOUR)


@pytest.fixture
def core(tmp_path: Path, clock: Clock) -> Iterator[Core]:
    with new_core(load_settings(dir=tmp_path / "d"), clock=clock) as core:
        for name in ("polar", "haul"):
            core.register("org", {"id": name, "name": "", "roles": ["warehouse"], "names": []})
        core.register("site", {"id": "w1", "org": "haul", "from_us": 0})
        core.capture("polar", shipment(UNITS, "s1"))
        core.capture("polar", shipment(UNITS[:1], "stolen", at="loc:w1/dock"))
        core.settle()
        yield core


@pytest.fixture
def client(core: Core, served: Served) -> Iterator[httpx.Client]:
    served.stand_on(core)
    with served.client() as client:
        yield client


def handover(core: Core) -> dict[str, Any]:
    with core.engine.connect() as connection:
        (found,) = handovers_of(connection, UNITS[1])
    return found


@pytest.fixture
def link(core: Core) -> Callable[..., str]:
    """The path of a new link about the shipment."""
    return lambda hours=24: Links(core).issue(POLAR, handover(core)["handover"], hours)[0]


def entry(core: Core, index: int) -> tuple[Entry, Any]:
    with core.store.snapshot() as snapshot:
        found = parse_entry(snapshot.entry(index))
    return found, json.loads(found.payload)


def test_a_driver_is_asked_in_his_language_and_not_told_what_to_answer(
    client: httpx.Client, link: Callable[..., str]
) -> None:
    path = link()
    for language in LANGUAGES:
        page = client.get(path, params={"lang": language}, headers={"accept": "text/html"})
        assert (page.status_code, page.headers["cache-control"]) == (200, "no-store")
        assert UNITS[0] in page.text
        assert page.headers["referrer-policy"] == "no-referrer", "the address is the credential"
    question = client.get(path).json()
    assert (question["org"], question["question"]["taker"]) == ("polar", "corner-shop")
    assert client.get(path).status_code == 200, "looking spends nothing"


def test_the_answer_is_the_receiving_half_in_the_name_of_whoever_asked(
    core: Core, client: httpx.Client, link: Callable[..., str]
) -> None:
    path, form = link(), {"received": "2", "seal": "hy 2203381", "remark": "call 138…", "name": "老王"}
    done = client.post(path, data=form, headers={"accept": "text/html"})
    assert done.status_code == 201
    index = client.get("/healthz").json()["ledger_size"] - 1
    found, body = entry(core, index)
    assert (found.kind, found.by, found.grade) == ("event", "polar", "transcribed")
    (event,) = body["epcisBody"]["eventList"]
    assert event["coldchain:count"] == 2
    assert event["coldchain:seals"] == [{"seal": "HY2203381", "act": "checked", "unit": "veh:T1"}]
    assert "老王".encode() not in found.payload
    assert "call 138" not in found.payload.decode()
    assert core.sealed.open(event["coldchain:driver"]) == "老王"
    assert core.sealed.open(event["coldchain:remark"]) == "call 138…"
    core.settle()
    answered = handover(core)
    assert (answered["state"], answered["received"][0]["count"], answered["unentitled"]) == ("agreed", 2, [])
    assert answered["received"][0]["own"] is False, "the shop did not say so itself"


def test_an_erased_name_is_gone_and_the_entry_stays(core: Core, link: Callable[..., str]) -> None:
    links = Links(core)
    outcome = links.answer(link().rpartition("/")[2], "", Answer(2, "", "", "Lao Wang"))
    digest = entry(core, outcome.index)[1]["epcisBody"]["eventList"][0]["coldchain:driver"]
    assert core.sealed.erase(digest)
    assert core.sealed.open(digest) is None
    assert not core.sealed.erase(digest)
    assert entry(core, outcome.index)[1]["epcisBody"]["eventList"][0]["coldchain:driver"] == digest


def test_a_count_that_differs_shows_as_a_difference(core: Core, client: httpx.Client, link: Callable[..., str]) -> None:
    assert client.post(link(), json={"received": 1}).status_code == 201
    core.settle()
    assert handover(core)["state"] == "differs"
    assert handover(core)["difference"]["counts"] == [2, 1]


def test_a_link_takes_one_answer(client: httpx.Client, link: Callable[..., str]) -> None:
    path = link()
    assert client.post(path, json={"received": 2}).status_code == 201
    again = client.post(path, json={"received": 1})
    assert (again.status_code, again.json()["type"]) == (404, "/problems/not-found")
    assert client.get(path).status_code == 404


def test_of_many_answers_at_once_one_is_recorded(core: Core, link: Callable[..., str]) -> None:
    secret, taken = link().rpartition("/")[2], []
    links, start, size = Links(core), threading.Barrier(6), core.log.edge().size

    def answer(count: int) -> None:
        start.wait()
        try:
            taken.append(links.answer(secret, "", Answer(count, "", "", "")).index)
        except NotKnown:
            return

    threads = [threading.Thread(target=answer, args=[count]) for count in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert taken == [size]
    assert core.log.edge().size == size + 1


def test_a_link_ends_with_its_time(client: httpx.Client, link: Callable[..., str], clock: Clock) -> None:
    path = link(hours=2)
    clock.now_us += 2 * HOUR
    assert client.get(path).status_code == 404


def test_guessing_links_is_slowed_down(client: httpx.Client, link: Callable[..., str]) -> None:
    path = link()
    for n in range(MAX_FAILURES):
        assert client.get(f"/answer/guess-{n}").status_code == 404
    slowed = client.get(path)
    assert (slowed.status_code, int(slowed.headers["retry-after"]) > 0) == (429, True)


def test_the_database_holds_no_secret(core: Core, link: Callable[..., str]) -> None:
    secret = link().rpartition("/")[2].encode()
    for file in core.settings.dir.glob("coldchain.db*"):
        assert secret not in file.read_bytes()
    with core.engine.connect() as connection:
        assert connection.execute(answer_link.select()).one().used_us is None


@pytest.mark.parametrize(
    ("stated", "field"),
    [
        ({}, "received"),
        ({"received": "twenty"}, "received"),
        ({"received": -1}, "received"),
        ({"received": True}, "received"),
        ({"received": "99999999"}, "received"),
        ({"seal": "?!"}, "seal"),
        ({"remark": "x" * 501}, "remark"),
        ({"received": 1, "name": ["x"]}, "name"),
    ],
)
def test_a_malformed_answer_says_which_field_and_spends_nothing(
    client: httpx.Client, link: Callable[..., str], stated: dict[str, Any], field: str
) -> None:
    with pytest.raises(AnswerError) as refused:
        read_answer(stated)
    assert refused.value.field == field
    path = link()
    response = client.post(path, json=stated)
    assert (response.status_code, response.json()["fault"]) == (422, field)
    page = client.post(path, data={"received": "many"}, headers={"accept": "text/html"})
    assert (page.status_code, 'role="alert"' in page.text) == (422, True)
    for odd in (b"\xff", b"[1]", b"{" * 50_000):
        assert client.post(path, content=odd, headers={"content-type": "application/json"}).status_code == 422
    assert client.post(path, json={"received": 2}).status_code == 201


def test_only_the_sides_of_a_handover_ask_about_it(core: Core) -> None:
    name, links = handover(core)["handover"], Links(core)
    with pytest.raises(CommandRefused, match="between polar and corner-shop"):
        links.issue(Principal("haul", "carrier", frozenset(), ""), name, 1)
    with pytest.raises(NotKnown):
        links.issue(POLAR, "f" * 32, 1)
    with pytest.raises(CommandRefused, match="hours"):
        links.issue(POLAR, name, 10_000)


def test_over_http_a_token_makes_links_in_its_own_name(core: Core, client: httpx.Client) -> None:
    token, kept = issue_token(core.registry.directory, "polar", "warehouse", (), "", None, START)
    core.tokens.keep(kept)
    order = {"about": handover(core)["handover"], "hours": 5, "org": "haul"}
    made = client.post("/v1/answer-links", json=order, headers={"authorization": f"Bearer {token}"})
    assert (made.status_code, made.json()["expires_at"]) == (201, "2026-03-02T14:00:00Z")
    assert client.get(made.json()["path"]).json()["org"] == "polar"
    operator = {"authorization": f"Bearer {core.operator_token}"}
    assert client.post("/v1/answer-links", json=order, headers=operator).status_code == 409
    made = client.post("/v1/answer-links", json={**order, "org": "polar"}, headers=operator)
    assert client.get(made.json()["path"]).json()["org"] == "polar"


def test_what_somebody_knows_of_a_finding_becomes_a_document(core: Core, client: httpx.Client) -> None:
    operator = {"authorization": f"Bearer {core.operator_token}"}
    (finding,) = client.get("/v1/findings?rule=unentitled", headers=operator).json()["items"]
    path, _ = Links(core).issue(Principal("haul", "carrier", frozenset(), ""), finding["id"], 1)
    assert "received" not in client.get(path, headers={"accept": "text/html"}).text.partition("<form")[2]
    done = client.post(path, json={"remark": "it was me", "name": "Li"})
    found, body = entry(core, done.json()["entry"])
    assert (found.kind, found.by, found.grade, found.subjects) == ("document", "haul", "transcribed", ("loc:w1/dock",))
    assert (body["doc"], body["finding"]) == ("answer", finding["id"])
    assert core.sealed.open(body["remark_sealed"]) == "it was me"
    core.settle()
