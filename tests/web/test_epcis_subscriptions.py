"""Named queries over HTTP, and who is told of what they find."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi.routing import APIRoute
from prometheus_client import CollectorRegistry

from coldchain import api
from coldchain.bootstrap.epcis import delivery
from coldchain.bootstrap.ports import app_ports
from coldchain.services.access import Access
from coldchain.services.epcis_subscriptions import AT_ONCE
from integration.receivers import WebhookReceiver, serving
from web.epcis_scene import BASE, Repository, document, event, ids_of

HOUR_US = 3_600_000_000


class Receiver:
    """A subscriber's own server: keeps what it is told, and answers as it is told to."""

    def __init__(self) -> None:
        self.told: list[tuple[dict[str, str], bytes]] = []
        self.status = 200
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                receiver.told.append(({name.lower(): value for name, value in self.headers.items()}, body))
                self.send_response(receiver.status)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                return

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_port}/told?by=us"

    def ids(self) -> list[list[str]]:
        """Event ids of each message."""
        found = []
        for _, body in self.told:
            events = json.loads(body)["epcisBody"]["queryResults"]["resultsBody"]["eventList"]
            found.append([one["eventID"].removeprefix("urn:uuid:") for one in events])
        return found


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    one = Receiver()
    thread = threading.Thread(target=one.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield one
    one.server.shutdown()
    thread.join()
    one.server.server_close()


class Teller:
    """Delivery with a clock of the test's own."""

    def __init__(self, repository: Repository) -> None:
        self.now_us = repository.core.clock()
        core = repository.core
        access = Access(core.operator_token, lambda: self.now_us, core.tokens, core.log.origin)
        self._delivery = delivery(core.engine, core.store, lambda: self.now_us, access.standing, private=True)

    def step(self) -> bool:
        return self._delivery.step()

    def tell(self, later_us: int = 1_000_000) -> None:
        self.now_us += later_us
        while self.step() or self._delivery.finish():
            continue


def make_query(repository: Repository, name: str = "loads", **query: Any) -> httpx.Response:
    return repository.http.post(f"{BASE}/queries", json={"name": name, "query": query or {"EQ_bizStep": ["loading"]}})


def subscribe(repository: Repository, dest: str, **more: Any) -> httpx.Response:
    said = {"dest": dest, **({} if "schedule" in more else {"stream": True}), **more}
    return repository.http.post(f"{BASE}/queries/loads/subscriptions", json=said)


def load(number: int) -> dict[str, Any]:
    return event(number, bizStep="loading")


# Named queries


def test_a_query_is_kept_under_its_name_and_shows_what_it_finds(repository: Repository) -> None:
    made = make_query(repository)
    assert made.status_code == 201
    assert made.headers["location"] == f"{BASE}/queries/loads"
    assert repository.http.get(made.headers["location"]).json() == {
        "name": "loads",
        "query": {"EQ_bizStep": ["loading"]},
    }
    repository.capture(document(load(1), event(2), load(3)))
    pages = list(repository.pages("/queries/loads/events", perPage=1))
    assert [ids_of(page) for page in pages] == [["1"], ["3"]]
    assert pages[0].json()["epcisBody"]["queryResults"]["queryName"] == "loads"


def test_names_are_given_once_and_can_be_freed(repository: Repository) -> None:
    make_query(repository)
    again = make_query(repository)
    assert (again.status_code, again.json()["type"]) == (409, "/problems/exists")
    assert repository.http.delete(f"{BASE}/queries/loads").status_code == 204
    assert repository.get("/queries/loads").status_code == 404
    assert repository.http.delete(f"{BASE}/queries/loads").status_code == 404
    assert make_query(repository).status_code == 201


def test_queries_are_listed_by_name(repository: Repository) -> None:
    for name in ("c", "a", "b"):
        make_query(repository, name)
    assert [one["name"] for page in repository.pages("/queries", perPage=2) for one in page.json()] == ["a", "b", "c"]


def test_prefixes_bound_when_a_query_is_made_stay_bound(repository: Repository) -> None:
    headers = {"GS1-Extensions": "mine=http://ns.example.com/"}
    body = {"name": "red", "query": {"EQ_mine:colour": "red"}}
    assert repository.http.post(f"{BASE}/queries", json=body, headers=headers).status_code == 201
    repository.capture(document(event(1, **{"ex:colour": "red"}), event(2)))
    assert ids_of(repository.get("/queries/red/events")) == ["1"]


@pytest.mark.parametrize(
    "body",
    [
        {"name": "x"},
        {"name": "x y", "query": {}},
        {"name": "", "query": {}},
        {"name": 5, "query": {}},
        {"name": "x", "query": []},
        {"name": "x", "query": {"EQ_colour": ["red"]}},
        {"name": "x", "query": {"EQ_bizStep": {"a": 1}}},
        {"name": "x", "query": {}, "more": 1},
        [],
        "x",
    ],
)
def test_what_is_no_query_is_refused(repository: Repository, body: object) -> None:
    answer = repository.http.post(f"{BASE}/queries", json=body)
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"


# Telling by webhook


def test_a_subscriber_is_told_of_what_matches_and_can_check_who_tells(
    repository: Repository, receiver: Receiver
) -> None:
    make_query(repository)
    repository.capture(document(load(1)))
    made = subscribe(repository, receiver.address, signatureToken="13df38d8")
    assert made.status_code == 201
    assert "13df38d8" not in made.text
    repository.capture(document(load(2), event(3)))
    teller = Teller(repository)
    teller.tell()
    teller.tell()
    assert receiver.ids() == [["2"]], "from now on, each once"
    (headers, body), *_ = receiver.told
    seconds, _, found = headers["gs1-signature"].partition(",")
    t_s = int(seconds.removeprefix("t="))
    expected = hmac.new(b"13df38d8", f"{t_s}.".encode() + body, hashlib.sha256).hexdigest()
    assert found == f"v1={expected}"
    results = json.loads(body)["epcisBody"]["queryResults"]
    assert (results["queryName"], results["subscriptionID"]) == ("loads", made.json()["subscriptionID"])
    shown = repository.http.get(made.headers["location"]).json()
    assert (shown["dest"], shown["stream"], shown["fault"]) == (receiver.address, True, "")
    assert "lastNotifiedAt" in shown
    assert "secret" not in shown


def test_what_was_not_taken_is_told_again_later_and_nothing_is_skipped(
    repository: Repository, receiver: Receiver
) -> None:
    make_query(repository)
    made = subscribe(repository, receiver.address)
    repository.capture(document(load(1)))
    receiver.status = 503
    teller = Teller(repository)
    teller.tell()
    teller.tell(0)
    assert receiver.ids() == [["1"]], "not at once again"
    assert "503" in repository.http.get(made.headers["location"]).json()["fault"]
    teller.tell(1_000_000)
    teller.tell(1_000_000)
    assert receiver.ids() == [["1"], ["1"]], "a second later, then after two"
    repository.capture(document(load(2)))
    receiver.status = 204
    Teller(repository).tell(HOUR_US)  # another process, after a restart
    assert receiver.ids() == [["1"], ["1"], ["1", "2"]]
    assert repository.http.get(made.headers["location"]).json()["fault"] == ""


def test_many_events_are_told_in_order_in_several_messages(repository: Repository, receiver: Receiver) -> None:
    make_query(repository)
    subscribe(repository, receiver.address)
    repository.capture(document(*(load(number) for number in range(AT_ONCE + 5))))
    Teller(repository).tell()
    assert [len(ids) for ids in receiver.ids()] == [AT_ONCE, 5]
    assert [int(one) for ids in receiver.ids() for one in ids] == list(range(AT_ONCE + 5))


def test_a_subscriber_may_begin_in_the_past(repository: Repository, receiver: Receiver) -> None:
    make_query(repository)
    repository.capture(document(load(1)))
    subscribe(repository, receiver.address, initialRecordTime="2020-01-01T00:00:00Z")
    Teller(repository).tell()
    assert receiver.ids() == [["1"]]


def test_a_schedule_tells_at_its_time_even_of_nothing_if_asked(repository: Repository, receiver: Receiver) -> None:
    make_query(repository)
    subscribe(repository, receiver.address, schedule={"minute": "0"}, reportIfEmpty=True)
    subscribe(repository, receiver.address, schedule={"minute": "0"})
    repository.capture(document(load(1)))
    teller = Teller(repository)
    teller.tell()
    assert receiver.ids() in ([], [["1"], ["1"]]), "not before its time, unless that is now"
    teller.tell(HOUR_US)
    assert sorted(receiver.ids()) == [["1"], ["1"]]
    teller.tell(HOUR_US)
    assert sorted(receiver.ids()) == [[], ["1"], ["1"]]


def test_a_receiver_that_fails_keeps_nobody_else_waiting(repository: Repository, receiver: Receiver) -> None:
    make_query(repository)
    subscribe(repository, "http://127.0.0.1:1/")
    subscribe(repository, receiver.address)
    repository.capture(document(load(1)))
    Teller(repository).tell()
    assert receiver.ids() == [["1"]]


def test_a_receiver_that_hangs_keeps_no_other_subscription_waiting(repository: Repository, receiver: Receiver) -> None:
    make_query(repository)
    slow = WebhookReceiver()
    slow.answering.clear()
    with serving(slow.server):
        hanging = [subscribe(repository, slow.address).headers["location"] for _ in range(20)]
        for _ in range(3):
            subscribe(repository, receiver.address)
        repository.capture(document(load(1)))
        teller = Teller(repository)
        teller.now_us += 1_000_000
        while len(receiver.told) < 3:
            teller.step()
        repository.capture(document(load(2)))
        while len(receiver.told) < 6:
            teller.step()
        assert receiver.ids() == [["1"]] * 3 + [["2"]] * 3
        assert 0 < len(slow.told) < len(hanging), "it is told a few things at a time, and says nothing"
        slow.answering.set()
        teller.tell(0)
    told = [json.loads(body)["epcisBody"]["queryResults"] for _, body in slow.told]
    whom = {(one["subscriptionID"], event["eventID"]) for one in told for event in one["resultsBody"]["eventList"]}
    assert len(whom) == 2 * len(hanging)


def test_who_unsubscribes_or_loses_the_query_is_told_no_more(repository: Repository, receiver: Receiver) -> None:
    make_query(repository)
    first = subscribe(repository, receiver.address)
    second = subscribe(repository, receiver.address)
    listed = repository.get("/queries/loads/subscriptions").json()
    assert {one["subscriptionID"] for one in listed} == {one.json()["subscriptionID"] for one in (first, second)}
    assert repository.http.delete(first.headers["location"]).status_code == 204
    assert repository.http.delete(first.headers["location"]).status_code == 404
    assert repository.http.delete(f"{BASE}/queries/loads").status_code == 204
    repository.capture(document(load(1)))
    Teller(repository).tell()
    assert receiver.ids() == []


@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        {"dest": "http://127.0.0.1:1/"},
        {"dest": "http://127.0.0.1:1/", "stream": False},
        {"dest": "http://127.0.0.1:1/", "stream": True, "schedule": {"hour": "1"}},
        {"dest": "http://127.0.0.1:1/", "stream": "yes"},
        {"dest": "http://127.0.0.1:1/", "schedule": {"hour": "25"}},
        {"dest": "http://127.0.0.1:1/", "schedule": "hourly"},
        {"dest": "http://127.0.0.1:1/", "stream": True, "initialRecordTime": "yesterday"},
        {"dest": "http://127.0.0.1:1/", "stream": True, "colour": "red"},
        {"dest": "ftp://127.0.0.1/", "stream": True},
        {"dest": "http://169.254.169.254/", "stream": True},
        {"dest": 5, "stream": True},
        {"stream": True},
    ],
)
def test_what_nobody_can_be_told_by_is_refused(repository: Repository, body: object) -> None:
    make_query(repository)
    answer = repository.http.post(f"{BASE}/queries/loads/subscriptions", json=body)
    assert (answer.status_code, answer.json()["type"]) == (400, "/problems/subscription"), answer.text
    assert repository.get("/queries/loads/subscriptions").json() == []


def test_there_is_nothing_to_subscribe_to_without_a_query(repository: Repository) -> None:
    for method, path in (("POST", ""), ("GET", ""), ("GET", "/x"), ("DELETE", "/x")):
        body = {"json": {"dest": "http://127.0.0.1:1/", "stream": True}} if method == "POST" else {}
        answer = repository.http.request(method, f"{BASE}/queries/loads/subscriptions{path}", **body)
        assert answer.status_code == 404


# Telling by stream


def messages(answer: httpx.Response) -> Iterator[tuple[int, list[str]]]:
    """(id, event ids) of each server-sent event."""
    last = 0
    for line in answer.iter_lines():
        if line.startswith("id: "):
            last = int(line[4:])
        elif line.startswith("data: "):
            events = json.loads(line[6:])["epcisBody"]["queryResults"]["resultsBody"]["eventList"]
            yield last, [one["eventID"].removeprefix("urn:uuid:") for one in events]


def test_a_stream_tells_what_comes_and_resumes_where_it_was(repository: Repository) -> None:
    make_query(repository)
    repository.capture(document(load(1)))
    address = f"{BASE}/queries/loads/events"
    begin = {"stream": "true", "initialRecordTime": "2020-01-01T00:00:00Z"}
    with repository.http.stream("GET", address, params=begin) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        told = messages(answer)
        last, ids = next(told)
        assert ids == ["1"]
        repository.capture(document(event(2), load(3)))
        assert next(told)[1] == ["3"]
    resumed = {"last-event-id": str(last)}
    with repository.http.stream("GET", address, params={"stream": "true"}, headers=resumed) as answer:
        assert next(messages(answer))[1] == ["3"]


@pytest.mark.parametrize(
    "query",
    [
        "stream=false",
        "stream=maybe",
        "stream=true&hour=1",
        "hour=25",
        "EQ_bizStep=x",
        "stream=true&initialRecordTime=x",
    ],
)
def test_a_stream_of_nothing_sensible_is_refused(repository: Repository, query: str) -> None:
    make_query(repository)
    answer = repository.get(f"/queries/loads/events?{query}")
    assert (answer.status_code, answer.headers["content-type"]) == (400, "application/problem+json")


# The interface as a whole


def test_every_resource_of_the_standard_is_there(repository: Repository, shared_vectors: Path) -> None:
    standard = json.loads((shared_vectors / "vectors/epcis/openapi.json").read_text())["paths"]
    asked = {
        (method.upper(), re.sub(r"\{[^}]*\}", "{}", path))
        for path, methods in standard.items()
        for method in methods
        if method != "parameters"
    }
    ports = app_ports(repository.core, lambda: None, lambda: "")
    answered = {
        (method, re.sub(r"\{[^}]*\}", "{}", route.path.removeprefix(BASE)))
        for router in api.routes(ports, CollectorRegistry())
        for route in router.routes
        if isinstance(route, APIRoute) and route.path.startswith(BASE)
        for method in route.methods
    }
    assert asked - answered == set()
    assert answered - asked == {("OPTIONS", "/nextPageToken/{}")}, "and nothing of our own, but discovery everywhere"


def test_options_say_what_is_spoken_and_what_a_resource_takes(repository: Repository) -> None:
    capture = repository.http.options(f"{BASE}/capture")
    assert (capture.status_code, capture.headers["allow"]) == (204, "OPTIONS, GET, POST")
    for name in (
        "gs1-epcis-version",
        "gs1-epcis-min",
        "gs1-epcis-max",
        "gs1-cbv-version",
        "gs1-cbv-min",
        "gs1-cbv-max",
    ):
        assert capture.headers[name] == "2.0.0"
    assert capture.headers["gs1-vendor-version"].startswith("coldchain ")
    assert int(capture.headers["gs1-epcis-capture-limit"]) >= 500
    assert int(capture.headers["gs1-epcis-capture-file-size-limit"]) >= 2**20
    assert "rollback" in capture.headers["gs1-capture-error-behaviour"]
    assert repository.http.options(f"{BASE}/queries/loads").headers["allow"] == "OPTIONS, DELETE, GET"
    assert repository.http.options(f"{BASE}/events", headers={"GS1-EPCIS-Min": "3.0"}).status_code == 406
