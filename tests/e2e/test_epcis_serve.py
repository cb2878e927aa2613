"""Capture, query and subscription through the server as its operator runs it, and after it was killed."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.sync.client import connect

from e2e.serving import Server

CONTEXT = "https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld"
BASE = "/epcis/v2"


def document(number: int) -> dict[str, Any]:
    event = {
        "type": "ObjectEvent",
        "eventID": f"urn:uuid:{number}",
        "eventTime": "2026-03-02T08:00:00Z",
        "eventTimeZoneOffset": "+00:00",
        "action": "OBSERVE",
        "bizStep": "loading",
        "epcList": [f"urn:epc:id:sgtin:4012345.044444.{number}"],
    }
    head = {
        "@context": CONTEXT,
        "type": "EPCISDocument",
        "schemaVersion": "2.0",
        "creationDate": "2026-03-02T08:00:00Z",
    }
    return {**head, "epcisBody": {"eventList": [event]}}


@pytest.fixture
def told() -> Iterator[tuple[str, list[str]]]:
    """A subscriber's address, and the event ids it was told."""
    ids: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            ids.extend(one["eventID"] for one in body["epcisBody"]["queryResults"]["resultsBody"]["eventList"])
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            return

    with HTTPServer(("127.0.0.1", 0), Handler) as receiver:
        thread = threading.Thread(target=receiver.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield f"http://127.0.0.1:{receiver.server_port}/", ids
        receiver.shutdown()
        thread.join()


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_jobs_and_subscriptions_outlive_the_server(
    tmp_path: Path, free_port: Callable[[], int], told: tuple[str, list[str]]
) -> None:
    address, ids = told
    env = {"COLDCHAIN_WEBHOOKS_PRIVATE": "true"}
    server = Server(tmp_path / "data", free_port(), free_port(), env=env)
    try:
        server.start()
        token = (server.directory / "secrets" / "operator.token").read_text().strip()
        with httpx.Client(base_url=server.http + BASE, headers={"authorization": f"Bearer {token}"}) as http:
            assert http.post("/queries", json={"name": "all", "query": {}}).status_code == 201
            assert http.post("/queries/all/subscriptions", json={"dest": address, "stream": True}).status_code == 201
            with connect(
                f"{server.http.replace('http', 'ws', 1)}{BASE}/queries/all/events?stream=true",
                additional_headers={"authorization": f"Bearer {token}"},
            ) as socket:
                http.post("/capture", json=document(1))
                assert "urn:uuid:1" in str(socket.recv(timeout=20))
            until(lambda: ids == ["urn:uuid:1"])
            job = http.post("/capture", json=document(2)).headers["location"]
        server.kill()
        server.start()
        with httpx.Client(base_url=server.http, headers={"authorization": f"Bearer {token}"}) as http:
            until(lambda: not http.get(job).json()["running"])
            assert http.get(job).json()["success"]
            until(lambda: set(ids) == {"urn:uuid:1", "urn:uuid:2"})
            found = http.get(f"{BASE}/events").json()["epcisBody"]["queryResults"]["resultsBody"]["eventList"]
            assert [one["eventID"] for one in found] == ["urn:uuid:1", "urn:uuid:2"]
            assert http.get("/healthz").status_code == 200
        assert server.terminate() < 15
    finally:
        server.close()
