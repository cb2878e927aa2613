"""Capture: documents as jobs, single events at once (EPCIS 2.0 §12.6.2)."""

from __future__ import annotations

import json
import re
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Depends, Path, Request
from sqlalchemy import Row
from starlette.responses import Response

from coldchain.api.access import anybody
from coldchain.api.epcis_errors import CaptureTooLarge
from coldchain.api.epcis_headers import LIMITS, answer, check_json, negotiated, next_link, takes
from coldchain.api.epcis_paging import only_paging
from coldchain.api.problems import NotReady
from coldchain.db import epcis_jobs
from coldchain.db.queries_api import NotKnown
from coldchain.decoders.epcis import decode_epcis
from coldchain.decoders.epcis_split import is_event, take_apart
from coldchain.decoders.errors import DocumentError
from coldchain.services.app_ports import AppPorts
from coldchain.services.epcis_capture import (
    BEHAVIOURS,
    MAX_EVENTS,
    Behaviour,
    Fault,
    InvalidDocument,
    TooManyJobs,
)
from coldchain.services.epcis_query import QueryError
from coldchain.services.moments import rfc3339
from coldchain.services.principals import Principal

HEADER = "GS1-Capture-Error-Behaviour"
_DOCUMENT = "EPCISDocument or EPCISQueryDocument, JSON-LD (EPCIS 2.0 §10)"
_EVENT = "One event of EPCIS 2.0 with its @context"


async def raw_body(request: Request) -> bytes:
    """The request's bytes, which the edge limits; read only after the token was looked at."""
    return await request.body()


def add_routes(routes: APIRouter, ports: AppPorts) -> None:
    capture = anybody(ports.access, "capture")
    read = anybody(ports.access, "read")

    @routes.post("/capture", status_code=202, dependencies=[Depends(negotiated)], openapi_extra=takes(_DOCUMENT))
    def start_capture(
        request: Request, principal: Principal = Depends(capture), data: bytes = Depends(raw_body)
    ) -> Response:
        """A document becomes a job, durable when this answers; `Location` says where to ask for its outcome."""
        check_json(request)
        behaviour = _behaviour(request)
        _check_document(ports, principal.org, data)
        try:
            no = ports.epcis.capture.submit(principal.org, behaviour, data)
        except TooManyJobs as error:
            raise NotReady(str(error)) from error
        ports.epcis.wake()
        return answer({}, 202, {"location": f"{routes.prefix}/capture/{no}"})

    @routes.get("/capture", dependencies=[Depends(negotiated)])
    def list_jobs(request: Request, principal: Principal = Depends(read)) -> Response:
        """Capture jobs of the asking organisation, of all to those who see everything; the newest first."""
        per_page, token = only_paging(request)
        with ports.engine.connect() as connection:
            rows, following = epcis_jobs.jobs(connection, _whose(principal), token, per_page)
        return answer([_job(row) for row in rows], headers=next_link(request, following))

    @routes.get("/capture/{capture_id}", dependencies=[Depends(negotiated)])
    def get_job(capture_id: Annotated[str, Path()], principal: Principal = Depends(read)) -> Response:
        """Whether a job is done, and what was wrong with its document."""
        if not re.fullmatch(r"[0-9]{1,18}", capture_id, re.ASCII):
            raise NotKnown(f"no capture job {capture_id!r}")
        with ports.engine.connect() as connection:
            return answer(_job(epcis_jobs.job(connection, int(capture_id), _whose(principal))))

    @routes.post("/events", status_code=201, dependencies=[Depends(negotiated)], openapi_extra=takes(_EVENT))
    def record_event(
        request: Request, principal: Principal = Depends(capture), data: bytes = Depends(raw_body)
    ) -> Response:
        """One event, in the ledger when this answers. The same event again changes nothing and answers the same."""
        check_json(request)
        if not is_event(data):
            fault = Fault("/type", "expected one EPCIS event; documents go to /capture")
            ports.epcis.capture.refuse(principal.org, data, [fault])
            raise InvalidDocument([fault])
        (index,) = ports.epcis.capture.record(principal.org, data)
        ports.epcis.wake()
        (event,) = decode_epcis(data, principal.org)
        stated = json.loads(data).get("eventID", event.event_id)
        return answer({"entry": index}, 201, {"location": f"{routes.prefix}/events/{quote(stated, safe='')}"})


def _whose(principal: Principal) -> str | None:
    return None if principal.sees_all else principal.org


def _behaviour(request: Request) -> Behaviour:
    stated = request.headers.get(HEADER, BEHAVIOURS[0])
    if stated not in BEHAVIOURS:
        raise QueryError(f"header {HEADER}: expected {' or '.join(BEHAVIOURS)}, found {stated!r}")
    return stated


def _check_document(ports: AppPorts, org: str, data: bytes) -> None:
    """What can be said at once; the events themselves are looked at by the job. Raises InvalidDocument."""
    try:
        parts = take_apart(data)
    except DocumentError as error:
        fault = Fault(error.pointer, error.problem)
        ports.epcis.capture.refuse(org, data, [fault])
        raise InvalidDocument([fault]) from error
    if len(parts.events) > MAX_EVENTS:
        raise CaptureTooLarge(f"{len(parts.events)} events, at most {MAX_EVENTS} may come in one document", LIMITS)


def _job(row: Row[Any]) -> dict[str, Any]:
    faults = json.loads(row.faults)
    found: dict[str, Any] = {
        "captureID": str(row.no),
        "createdAt": rfc3339(row.created_us),
        "running": row.finished_us is None,
        "success": not faults,
        "captureErrorBehaviour": row.behaviour,
        "errors": [_error(*fault) for fault in faults],
        "entries": json.loads(row.entries),
    }
    if row.finished_us is not None:
        found["finishedAt"] = rfc3339(row.finished_us)
    return found


def _error(pointer: str, problem: str) -> dict[str, Any]:
    return {
        "type": "/problems/invalid-document",
        "title": "Not what EPCIS 2.0 says",
        "status": 400,
        "detail": f"{pointer or '/'}: {problem}",
        "pointer": pointer,
    }
