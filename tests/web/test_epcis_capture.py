"""Capture over HTTP: jobs that survive, errors that say where, nothing twice and nothing lost."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import httpx
import pytest

from coldchain.bootstrap.core import open_core
from coldchain.bootstrap.worker import Worker
from coldchain.db.epcis_jobs import SqlJobs
from coldchain.services.epcis_capture import Behaviour, Judgement
from coldchain.settings import load_settings
from coldchain_ledger.entry import MAX_PAYLOAD, parse_entry
from opening import new_core
from web.epcis_scene import BASE, Repository, document, event, events_of, ids_of


def test_a_document_is_taken_in_at_once_and_recorded_by_a_job(repository: Repository) -> None:
    sent = repository.send(document(event(1), event(2)))
    assert sent.status_code == 202
    assert sent.headers["gs1-epcis-version"] == "2.0.0"
    path = sent.headers["location"].removeprefix(BASE)
    waiting = repository.get(path).json()
    assert (waiting["running"], waiting["success"], waiting["captureErrorBehaviour"]) == (True, True, "rollback")
    repository.settle()
    done = repository.get(path).json()
    assert (done["running"], done["success"], done["errors"]) == (False, True, [])
    assert done["createdAt"] <= done["finishedAt"]
    assert ids_of(repository.get("/events")) == ["1", "2"]
    with repository.core.store.snapshot() as snapshot:
        entry = parse_entry(snapshot.entry(*done["entries"]))
    assert (entry.kind, entry.by, entry.grade) == ("event", repository.core.log.origin, "declared")
    assert "case:04012345444445/1" in entry.subjects


def test_the_same_document_again_has_the_same_outcome_and_adds_nothing(repository: Repository) -> None:
    body = json.dumps(document(event(1))).encode()
    first = repository.capture(body)
    size = repository.size()
    again = repository.capture(body)
    assert (again["success"], again["entries"]) == (first["success"], first["entries"])
    assert again["captureID"] != first["captureID"]
    assert repository.size() == size


BAD = event(2, eventTime="yesterday", bizStep="blessing")


def test_with_rollback_one_bad_event_keeps_the_others_out(repository: Repository) -> None:
    size = repository.size()
    job = repository.capture(document(event(1), BAD, event(3, action=None)))
    assert (job["success"], job["entries"]) == (False, [])
    assert [error["pointer"] for error in job["errors"]] == [
        "/epcisBody/eventList/1/eventTime",
        "/epcisBody/eventList/1/bizStep",
        "/epcisBody/eventList/2/action",
    ]
    assert all({"type", "title", "status", "detail"} <= error.keys() for error in job["errors"])
    assert repository.size() == size
    assert ids_of(repository.get("/events")) == []


def test_with_proceed_the_good_events_are_recorded_and_the_whole_is_kept(repository: Repository) -> None:
    body = json.dumps(document(event(1), BAD, event(3))).encode()
    job = repository.capture(body, "proceed")
    assert (job["success"], job["captureErrorBehaviour"]) == (False, "proceed")
    assert {error["pointer"].rpartition("/")[0] for error in job["errors"]} == {"/epcisBody/eventList/1"}
    assert ids_of(repository.get("/events")) == ["1", "3"]
    with repository.core.store.snapshot() as snapshot:
        recorded = json.loads(parse_entry(snapshot.entry(*job["entries"])).payload)
    assert recorded["type"] == "EPCISDocument"
    assert recorded["@context"] == document()["@context"]
    assert recorded["epcisBody"]["eventList"] == [event(1), event(3)]
    (kept,) = repository.http.get("/v1/rejects").json()["items"]
    assert (kept["reason"], kept["bytes"], kept["topic"]) == ("invalid-epcis", len(body), "epcis/v2/capture")
    assert "/epcisBody/eventList/1/eventTime" in kept["detail"]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        (b"not json", ""),
        (b"[]", ""),
        (b"{}", "/type"),
        (json.dumps(event(1)).encode(), "/type"),
        (b'{"type": "EPCISDocument"}', "/epcisBody"),
        (b'{"type": "EPCISDocument", "epcisBody": {"eventList": {}}}', "/epcisBody/eventList"),
        (b'{"type": "EPCISQueryDocument", "epcisBody": {"queryResults": 1}}', "/epcisBody/queryResults"),
        (b"[" * 10_000, ""),
        (b'{"type":"EPCISDocument","x":"\xff"}', "/epcisBody"),
    ],
)
def test_what_is_no_document_is_refused_at_once_and_kept(repository: Repository, body: bytes, pointer: str) -> None:
    answer = repository.send(body)
    assert answer.status_code == 400
    assert answer.json()["type"] == "/problems/invalid-document"
    assert answer.json()["exception"] == "epcisException:ValidationException"
    assert answer.json()["errors"][0]["where"] == pointer
    (kept,) = repository.http.get("/v1/rejects").json()["items"]
    assert kept["bytes"] == len(body)


def test_a_fault_of_the_whole_document_is_told_by_its_job(repository: Repository) -> None:
    job = repository.capture(document(event(1), creationDate="now"), "proceed")
    assert (job["success"], job["entries"], job["errors"][0]["pointer"]) == (False, [], "/creationDate")


def test_a_document_larger_than_an_entry_becomes_several(repository: Repository) -> None:
    events = [event(number, **{"ex:note": "x" * 900}) for number in range(200)]
    body = json.dumps(document(*events)).encode()
    job = repository.capture(body)
    assert job["success"], job["errors"]
    assert len(job["entries"]) > 3
    seen = []
    with repository.core.store.snapshot() as snapshot:
        for index in job["entries"]:
            payload = parse_entry(snapshot.entry(index)).payload
            assert len(payload) <= MAX_PAYLOAD
            part = json.loads(payload)
            assert part["@context"] == document()["@context"]
            seen += part["epcisBody"]["eventList"]
    assert seen == events
    size = repository.size()
    assert repository.capture(body)["entries"] == job["entries"]
    assert repository.size() == size


def test_an_event_larger_than_an_entry_is_refused_with_its_place(repository: Repository) -> None:
    body = document(event(1), event(2, **{"ex:note": "x" * MAX_PAYLOAD}))
    job = repository.capture(body, "proceed")
    assert [error["pointer"] for error in job["errors"]] == ["/epcisBody/eventList/1"]
    assert "expected an event of at most" in job["errors"][0]["detail"]
    assert ids_of(repository.get("/events")) == ["1"]
    assert repository.capture(body)["entries"] == []


def test_a_query_document_is_captured_too(repository: Repository) -> None:
    results = {"queryName": "q", "resultsBody": {"eventList": [event(1), BAD]}}
    body = {**document(), "type": "EPCISQueryDocument", "epcisBody": {"queryResults": results}}
    job = repository.capture(body, "proceed")
    assert job["errors"][0]["pointer"].startswith("/epcisBody/queryResults/resultsBody/eventList/1/")
    assert ids_of(repository.get("/events")) == ["1"]


def test_jobs_survive_a_restart(tmp_path: Path) -> None:
    settings = load_settings(dir=tmp_path / "data")
    with new_core(settings) as core:
        no = core.epcis.submit("acme", "rollback", json.dumps(document(event(1))).encode())
    with open_core(settings) as core:
        size = core.log.edge().size
        assert core.epcis.step()
        assert not core.epcis.step()
        assert core.log.edge().size == size + 1
    assert no > 0


def test_a_crash_before_the_outcome_is_noted_records_nothing_twice(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = repository.send(document(event(1)))

    def crash(done: object) -> None:
        raise OSError("the lights went out")

    with monkeypatch.context() as patched:
        patched.setattr("coldchain.db.epcis_jobs.SqlJobs.finish", lambda self, done: crash(done))
        with pytest.raises(OSError, match="lights"):
            repository.core.epcis.step()
    size = repository.size()
    repository.settle()
    assert repository.size() == size
    job = repository.get(sent.headers["location"].removeprefix(BASE)).json()
    assert (job["success"], len(job["entries"])) == (True, 1)


def test_a_document_that_breaks_the_reader_stands_in_nobodys_way(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    judge = repository.core.epcis._judge

    def breaking(org: str, data: bytes, behaviour: Behaviour) -> Judgement:
        if b"urn:uuid:1" in data:
            raise RecursionError("too clever")
        return judge(org, data, behaviour)

    monkeypatch.setattr(repository.core.epcis, "_judge", breaking)
    sent = [repository.send(document(event(number))) for number in (1, 2)]
    repository.settle()
    broken, whole = (repository.get(one.headers["location"].removeprefix(BASE)).json() for one in sent)
    assert "too clever" in broken["errors"][0]["detail"]
    assert (broken["running"], whole["success"]) == (False, True)
    assert len(repository.http.get("/v1/rejects").json()["items"]) == 1


def test_documents_too_large_together_are_recorded_apart(repository: Repository) -> None:
    jobs = SqlJobs(repository.core.engine)
    for size in (5, 4, 3, 9, 1):
        jobs.add("acme", "rollback", b"x" * size, 0)
    assert [len(job.data) for job in jobs.waiting(5, 10)] == [5, 4]
    assert [len(job.data) for job in jobs.waiting(5, 3)] == [5]
    assert [len(job.data) for job in jobs.waiting(2, 100)] == [5, 4]


def test_the_worker_records_what_is_sent_without_being_asked(repository: Repository) -> None:
    done = threading.Event()

    def step() -> bool:
        worked = repository.core.epcis.step()
        if worked:
            done.set()
        return worked

    worker = Worker("test", step, 0.01)
    with worker.started():
        repository.send(document(event(1)))
        assert done.wait(10)
    assert repository.size() > 0


def test_jobs_are_listed_newest_first_in_pages(repository: Repository) -> None:
    for number in range(5):
        repository.send(document(event(number)))
    listed = [[job["captureID"] for job in page.json()] for page in repository.pages("/capture", perPage=2)]
    assert [len(page) for page in listed] == [2, 2, 1]
    assert [int(one) for page in listed for one in page] == sorted(int(one) for page in listed for one in page)[::-1]


@pytest.mark.parametrize("job", ["0", "999999", "x", "1e3", "-1", "9" * 30])
def test_there_is_no_other_job(repository: Repository, job: str) -> None:
    answer = repository.get(f"/capture/{job}")
    assert (answer.status_code, answer.json()["type"]) == (404, "/problems/not-found")


def test_a_body_that_is_too_large_or_of_another_type_is_refused(repository: Repository) -> None:
    limit = int(repository.http.options(f"{BASE}/capture").headers["gs1-epcis-capture-file-size-limit"])
    assert repository.send(b" " * (limit + 1)).status_code == 413
    many = int(repository.http.options(f"{BASE}/capture").headers["gs1-epcis-capture-limit"])
    answer = repository.send(document(*[{}] * (many + 1)))
    assert (answer.status_code, answer.json()["type"]) == (413, "/problems/too-many-events")
    assert answer.headers["gs1-epcis-capture-limit"] == str(many)
    assert repository.send(b"<epcis/>", **{"content-type": "application/xml"}).status_code == 415
    assert repository.send(document(event(1)), "maybe").status_code == 400


# One event at once


def post(repository: Repository, said: object) -> httpx.Response:
    return repository.http.post(f"{BASE}/events", json=said)


ALONE = {"@context": document()["@context"], **event(1)}


def test_one_event_is_recorded_at_once_and_found_where_the_answer_says(repository: Repository) -> None:
    answer = post(repository, ALONE)
    assert answer.status_code == 201, answer.text
    repository.settle()
    (found,) = events_of(repository.http.get(answer.headers["location"]))
    assert {name: found[name] for name in event(1)} == event(1)


def test_the_same_event_again_is_answered_the_same(repository: Repository) -> None:
    first = post(repository, ALONE)
    size = repository.size()
    again = post(repository, ALONE)
    assert (again.status_code, again.headers["location"], again.json()) == (
        201,
        first.headers["location"],
        first.json(),
    )
    assert repository.size() == size


def test_an_event_without_id_gets_the_hash_of_what_it_says(repository: Repository) -> None:
    answer = post(repository, {name: value for name, value in ALONE.items() if name != "eventID"})
    repository.settle()
    (found,) = events_of(repository.http.get(answer.headers["location"]))
    assert found["eventID"].startswith("ni:///sha-256;")
    assert found["eventID"].endswith("?ver=CBV2.0")


@pytest.mark.parametrize(
    ("said", "pointer"),
    [({**ALONE, "eventTime": "now"}, "/eventTime"), (document(event(1)), "/type"), ([], "/type"), ({}, "/type")],
)
def test_a_bad_event_is_refused_with_its_fault_and_kept(repository: Repository, said: object, pointer: str) -> None:
    answer = post(repository, said)
    assert (answer.status_code, answer.json()["errors"][0]["where"]) == (400, pointer)
    assert len(repository.http.get("/v1/rejects").json()["items"]) == 1


def test_another_content_under_a_known_id_is_recorded_too(repository: Repository) -> None:
    """Record facts: the contradiction is a finding, not an error (409 is for names that are given, not for events)."""
    post(repository, ALONE)
    assert post(repository, {**ALONE, "bizStep": "receiving"}).status_code == 201
    repository.settle()
    assert ids_of(repository.get("/events/urn:uuid:1")) == ["1", "1"]
