"""Events by SimpleEventQuery, all of them or those of one resource (EPCIS 2.0 §8.2.7, §12.6.1)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Request
from sqlalchemy import Connection
from starlette.requests import HTTPConnection
from starlette.responses import Response

from coldchain.api.access import anybody
from coldchain.api.epcis_headers import answer, extensions, negotiated, next_link, wants_links
from coldchain.api.epcis_paging import MAX_PER_PAGE, PAGING, paging
from coldchain.db.queries_api import BadQuery, NotKnown
from coldchain.db.queries_epcis import Page, query_page
from coldchain.projections.epcis_answers import answer_document
from coldchain.services.app_ports import AppPorts
from coldchain.services.epcis_conditions import Query, Texts
from coldchain.services.epcis_fields import indexed
from coldchain.services.epcis_query import QueryError, parse_query, seen_by
from coldchain.services.epcis_results import linked
from coldchain.services.principals import Principal

SIMPLE = "SimpleEventQuery"


def add_routes(routes: APIRouter, ports: AppPorts) -> None:
    read = anybody(ports.access, "read")
    negotiation = [Depends(negotiated)]

    @routes.get("/events", dependencies=negotiation)
    def list_events(request: Request, principal: Principal = Depends(read)) -> Response:
        """Events that meet the parameters, in the order of recording unless `orderBy` says another."""
        return events_page(ports, request, principal, SIMPLE, asked(request), extensions(request))

    @routes.get("/events/{event_id:path}", dependencies=negotiation)
    def get_event(request: Request, event_id: Annotated[str, Path()], principal: Principal = Depends(read)) -> Response:
        """Everything recorded under one event id: the event, and what withdraws it."""
        query = seen_by(Query((Texts(("eventID",), (indexed(event_id),)),)), principal)
        with ports.engine.connect() as connection:
            page = query_page(connection, query, MAX_PER_PAGE)
        if not page.events:
            raise NotKnown(f"no event {event_id!r}")
        return answer(document(ports, request, page, SIMPLE))


def asked(request: HTTPConnection, *besides: str) -> dict[str, list[str]]:
    """The query's parameters in an address, each with all its values, without those of paging."""
    found: dict[str, list[str]] = {}
    for name, value in request.query_params.multi_items():
        if name not in PAGING and name not in besides:
            found.setdefault(name, []).append(value)
    return found


def events_page(
    ports: AppPorts,
    request: Request,
    principal: Principal,
    name: str,
    parameters: Mapping[str, Any],
    prefixes: Mapping[str, str],
) -> Response:
    """One page of the events that meet the parameters. Raises QueryError and what `query_page` does."""
    per_page, token = paging(request)
    query = seen_by(parse_query(parameters, prefixes), principal)
    with ports.engine.connect() as connection:
        page = _page(connection, query, per_page, token)
    return answer(document(ports, request, page, name), headers=next_link(request, page.token))


def _page(connection: Connection, query: Query, per_page: int, token: str | None) -> Page:
    try:
        return query_page(connection, query, per_page, token)
    except BadQuery as error:
        raise QueryError("parameter nextPageToken: not one that this query gave") from error


def document(ports: AppPorts, request: Request, page: Page, name: str) -> dict[str, Any]:
    """The answer, read from the ledger; identifiers as they were written unless the request wants links."""
    found = answer_document(ports.engine, ports.store, page.events, name, ports.epcis.clock())
    return linked(found) if wants_links(request) else found
