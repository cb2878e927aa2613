"""EPCIS documents of 100 events over HTTP, recorded durably, through the real server with every projection on.

Four senders keep a connection each and post one document after the other, new ones while the last jobs run. The clock
stops when the last job says that it is done, and again when every event can be asked for. Each document must then be
an entry of its own, and each event be found once.
"""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from bench.ingest import at_tip, serving
from bench.machine import cpu_seconds
from bench.processes import ask, children_of, free_port
from coldchain.bootstrap.core import open_core
from coldchain.settings import Settings

EVENTS = 100
"""Of a document."""
SENDERS = 4
PATIENCE_S = 120.0
CONTEXT = "https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld"


@dataclass(frozen=True)
class Result:
    """events: how many were sent; recorded_s, found_s: until all were durable, until all could be asked for."""

    events: int
    recorded_s: float
    found_s: float
    cpu_s: float
    """Processor time of the server up to the second of them."""
    document_bytes: int


def run(directory: Path, documents: int) -> Result:
    """Raises RuntimeError unless every event is recorded, and found, once."""
    data = directory / "data"
    with open_core(Settings(dir=data), create=True) as core:
        token, entries = core.operator_token, core.log.edge().size
    bodies = [_document(number) for number in range(documents)]
    with ExitStack() as stack:
        server = stack.enter_context(serving(data, f"127.0.0.1:{free_port()}", {}))
        http = ask(server)["http"]
        pids = [server.pid, *children_of(server.pid)]
        senders = [_Sender(http, token) for _ in range(SENDERS)]
        cpu, began = cpu_seconds(pids), time.monotonic()
        with ThreadPoolExecutor(SENDERS) as pool:
            sent = list(pool.map(lambda n: [senders[n].post(body) for body in bodies[n::SENDERS]], range(SENDERS)))
            list(pool.map(lambda n: senders[n].await_done(sent[n][-1]), range(SENDERS)))
        recorded_s = time.monotonic() - began
        found_s = at_tip(http, entries + documents, PATIENCE_S) - began
        spent = cpu_seconds(pids) - cpu
        checker = _Sender(http, token)  # the others are closed: they said nothing for 5 s
        _check_jobs(checker, [job for jobs in sent for job in jobs])
        _check_events(checker, documents)
    return Result(documents * EVENTS, recorded_s, found_s, spent, len(bodies[0]))


class _Sender:
    """One connection that stays open."""

    def __init__(self, http: str, token: str) -> None:
        address = urlsplit(http)
        self._connection = HTTPConnection(address.hostname or "", address.port, timeout=PATIENCE_S)
        self._headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}

    def ask(self, method: str, path: str, body: bytes | None = None) -> tuple[int, dict[str, str], Any]:
        self._connection.request(method, path, body, self._headers)
        answer = self._connection.getresponse()
        said = answer.read()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, json.loads(said)

    def post(self, body: bytes) -> str:
        """Where its job is; a server that has enough waiting is asked again."""
        while True:
            status, headers, said = self.ask("POST", "/epcis/v2/capture", body)
            if status == 202:
                return headers["location"]
            if status != 503:
                raise RuntimeError(f"a document was answered {status}: {said}")
            time.sleep(0.05)

    def await_done(self, job: str) -> None:
        """Jobs are done in order, so that only the last one is asked for again and again."""
        deadline = time.monotonic() + PATIENCE_S
        while self.ask("GET", job)[2]["running"]:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{job} is not done after {PATIENCE_S:.0f} s")
            time.sleep(0.05)


def _document(number: int) -> bytes:
    """A hundred cases scanned out of a cold store, one event each."""
    events = [_event(number * EVENTS + place) for place in range(EVENTS)]
    head = {
        "@context": CONTEXT,
        "type": "EPCISDocument",
        "schemaVersion": "2.0",
        "creationDate": "2026-03-02T08:00:00Z",
    }
    return json.dumps({**head, "epcisBody": {"eventList": events}}, separators=(",", ":")).encode()


def _event(number: int) -> dict[str, Any]:
    return {
        "type": "ObjectEvent",
        "eventID": f"urn:uuid:00000000-0000-4000-8000-{number:012}",
        "eventTime": f"2026-03-{number // 86_400 % 28 + 1:02}T{number // 3_600 % 24:02}:{number // 60 % 60:02}:00Z",
        "eventTimeZoneOffset": "+08:00",
        "action": "OBSERVE",
        "bizStep": "shipping",
        "disposition": "in_transit",
        "epcList": [f"urn:epc:id:sgtin:6901234.050001.{number}"],
        "readPoint": {"id": "urn:epc:id:sgln:6901234.50001.dock1"},
        "bizLocation": {"id": "urn:epc:id:sgln:6901234.50001.0"},
        "bizTransactionList": [
            {"type": "desadv", "bizTransaction": f"urn:epcglobal:cbv:bt:6901234500011:{number // 50}"}
        ],
    }


def _check_jobs(sender: _Sender, jobs: list[str]) -> None:
    for job in jobs:
        said = sender.ask("GET", job)[2]
        if said["running"] or not said["success"] or len(said["entries"]) != 1:
            raise RuntimeError(f"a job ended otherwise than it should: {said}")


def _check_events(sender: _Sender, documents: int) -> None:
    """The last event is found by its id, and there are as many as were sent."""
    last = documents * EVENTS - 1
    path = f"/epcis/v2/epcs/urn:epc:id:sgtin:6901234.050001.{last}/events"
    found = sender.ask("GET", path)[2]["epcisBody"]["queryResults"]["resultsBody"]["eventList"]
    if [one["eventID"] for one in found] != [_event(last)["eventID"]]:
        raise RuntimeError(f"event {last} was asked for, and {found} found")
    for most, status in ((documents * EVENTS, 200), (documents * EVENTS - 1, 413)):
        answered, _, said = sender.ask("GET", f"/epcis/v2/events?maxEventCount={most}&perPage=1")
        if answered != status:
            raise RuntimeError(f"{documents * EVENTS} events were sent; asked for at most {most}: {said}")
