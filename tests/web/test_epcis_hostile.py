"""Whatever is asked of the EPCIS interface, it answers, and every error is a problem document."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from coldchain.services.epcis_query import PARAMETERS
from coldchain.settings import load_settings
from exploring import examples
from opening import new_core
from web.epcis_scene import BASE, Repository, document, event
from web.serving import Served

CALM = settings(max_examples=examples(150), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory, served: Served) -> Iterator[Repository]:
    directory: Path = tmp_path_factory.mktemp("epcis") / "data"
    with new_core(load_settings(dir=directory)) as core:
        served.stand_on(core)
        headers = {"authorization": f"Bearer {core.operator_token}"}
        with served.client(headers=headers) as http:
            one = Repository(core, http)
            one.capture(document(event(1, **{"ex:n": 5}), event(2)))
            yield one


def check(answer: httpx.Response) -> None:
    assert answer.status_code < 500, answer.text
    if answer.status_code >= 400:
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["status"] == answer.status_code


text = st.text(st.characters(codec="utf-8"), max_size=30)
name = st.one_of(
    st.sampled_from(sorted(PARAMETERS)),
    st.sampled_from(["perPage", "nextPageToken", "orderBy", "orderDirection", "eventCountLimit", "maxEventCount"]),
    st.tuples(
        st.sampled_from(["EQ", "GT", "GE", "LT", "LE", "EXISTS", "HASATTR", "EQATTR", "MATCH", "WD"]),
        st.sampled_from(["", "INNER_", "ILMD_", "INNER_ILMD_", "SENSORREPORT_", "value_", "source_", "readPoint_"]),
        st.sampled_from(["http://ns.example.com/n", "CEL", "type", "x", "urn:a#b", "cbvmda:lotNumber"]),
    ).map(lambda parts: f"{parts[0]}_{parts[1]}{parts[2]}"),
    text,
)
value = st.one_of(
    st.sampled_from(["true", "5", "-1e9", "1" * 40, "2026-03-02T08:00:00Z", "9999-12-31T23:59:59-23:59", "|", "*"]),
    st.sampled_from(
        ["urn:epc:idpat:sgtin:4012345.*.*", "urn:epc:id:sscc:6901234.1500000002", "https://id.gs1.org/01/"]
    ),
    st.sampled_from(["shipping", "ADD", "ObjectEvent", "eventTime", "http://ns.example.com/n", "WzEsMl0", "e30"]),
    text,
)


@CALM
@given(st.dictionaries(name, value, max_size=4))
def test_any_query_is_answered(asked: Repository, parameters: dict[str, str]) -> None:
    check(asked.http.get(f"{BASE}/events", params=parameters))


@CALM
@given(
    st.sampled_from(
        ["events", "epcs", "bizSteps", "bizLocations", "readPoints", "dispositions", "eventTypes", "capture"]
    ),
    text,
    st.sampled_from(["", "/events"]),
)
def test_any_resource_is_answered(asked: Repository, resource: str, about: str, below: str) -> None:
    check(asked.get(f"/{resource}/{quote(about, safe='')}{below}"))


json_value = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=8,
)
FIELDS = [
    "type",
    "eventTime",
    "action",
    "epcList",
    "readPoint",
    "ilmd",
    "sensorElementList",
    "errorDeclaration",
    "ex:x",
]


@CALM
@given(st.dictionaries(st.sampled_from(FIELDS), json_value, max_size=3))
def test_any_event_is_taken_or_refused(asked: Repository, changes: dict[str, object]) -> None:
    body = json.dumps(document({**event(3), **changes}))
    answer = asked.send(body.encode(), "proceed")
    if answer.status_code == 503:  # so many were sent that no more may wait
        asked.settle()
        answer = asked.send(body.encode(), "proceed")
    check(answer)
    check(asked.http.post(f"{BASE}/events", json={"@context": document()["@context"], **event(4), **changes}))


@CALM
@given(st.binary(max_size=60))
def test_any_bytes_are_refused(asked: Repository, body: bytes) -> None:
    answer = asked.send(body)
    check(answer)
    assert answer.status_code == 400


def test_what_was_taken_can_be_recorded_and_asked_for(asked: Repository) -> None:
    """Last, so that it sees what the others sent."""
    asked.settle()
    for page in asked.pages("/events", perPage=100):
        check(page)
    for resource in ("epcs", "readPoints", "bizLocations", "bizSteps", "dispositions"):
        for page in asked.pages(f"/{resource}", perPage=100):
            check(page)
