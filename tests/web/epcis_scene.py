"""A repository of one's own behind a real server: documents to send, and a step from sent to derived."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx

from coldchain.bootstrap.core import Core

BASE = "/epcis/v2"
CONTEXT = ["https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld", {"ex": "http://ns.example.com/"}]


def event(number: int, **more: Any) -> dict[str, Any]:
    """An event of one case, with the id urn:uuid:<number>; a field that is None is left out."""
    said = {
        "type": "ObjectEvent",
        "eventID": f"urn:uuid:{number}",
        "eventTime": f"2026-03-02T{number % 24:02}:{number // 24 % 60:02}:00Z",
        "eventTimeZoneOffset": "+00:00",
        "action": "OBSERVE",
        "bizStep": "shipping",
        "epcList": [f"urn:epc:id:sgtin:4012345.044444.{number}"],
    }
    return {name: value for name, value in (said | more).items() if value is not None}


def document(*events: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "@context": CONTEXT,
        "type": "EPCISDocument",
        "schemaVersion": "2.0",
        "creationDate": "2026-03-02T08:00:00Z",
        **more,
        "epcisBody": {"eventList": list(events)},
    }


def events_of(answer: httpx.Response) -> list[dict[str, Any]]:
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert body["type"] == "EPCISQueryDocument"
    found: list[dict[str, Any]] = body["epcisBody"]["queryResults"]["resultsBody"]["eventList"]
    return found


def ids_of(answer: httpx.Response) -> list[str]:
    return [one["eventID"].removeprefix("urn:uuid:") for one in events_of(answer)]


@dataclass
class Repository:
    """A program that talks to a repository, and the repository's own hands."""

    core: Core
    http: httpx.Client

    def settle(self) -> None:
        """What was sent is recorded and can be found."""
        while self.core.epcis.step():
            continue
        self.core.follower.catch_up()

    def send(self, body: Any, behaviour: str | None = None, **headers: str) -> httpx.Response:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        if behaviour is not None:
            headers["GS1-Capture-Error-Behaviour"] = behaviour
        headers.setdefault("content-type", "application/ld+json")
        return self.http.post(f"{BASE}/capture", content=data, headers=headers)

    def capture(self, body: Any, behaviour: str | None = None) -> dict[str, Any]:
        """The finished job of a document."""
        sent = self.send(body, behaviour)
        assert sent.status_code == 202, sent.text
        self.settle()
        job: dict[str, Any] = self.get(sent.headers["location"].removeprefix(BASE)).json()
        assert job["running"] is False
        return job

    def get(self, path: str, **parameters: Any) -> httpx.Response:
        return self.http.get(BASE + path, params=parameters or None)

    def pages(self, path: str, **parameters: Any) -> Iterator[httpx.Response]:
        """Every page, by following the links."""
        answer = self.get(path, **parameters)
        while True:
            yield answer
            link = answer.headers.get("link")
            if link is None:
                return
            address, _, relation = link.partition("; ")
            assert relation == 'rel="next"'
            answer = self.http.get(address.strip("<>"))

    def size(self) -> int:
        return self.core.log.edge().size
