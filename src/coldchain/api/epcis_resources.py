"""What there is to ask about: event types, identifiers, steps, places, and the events of each (EPCIS 2.0 §12.6.1)."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Request
from starlette.responses import Response

from coldchain.api.access import anybody
from coldchain.api.epcis_events import SIMPLE, asked, events_page
from coldchain.api.epcis_headers import answer, empty, extensions, negotiated, next_link
from coldchain.api.epcis_paging import only_paging
from coldchain.db.queries_api import BadQuery, NotKnown, decode_cursor, encode_cursor
from coldchain.db.queries_epcis import any_event, values_of
from coldchain.decoders.epcis_vocabulary import BIZ_STEP, DISPOSITION
from coldchain.domain.identifiers import uri
from coldchain.services.app_ports import AppPorts
from coldchain.services.epcis_query import KINDS, QueryError, parse_query, seen_by
from coldchain.services.epcis_results import CONTEXT
from coldchain.services.principals import Forbidden, Principal

TOP = ("events", "eventTypes", "epcs", "bizSteps", "bizLocations", "readPoints", "dispositions", "capture", "queries")


@dataclass(frozen=True, slots=True)
class Resource:
    """A kind of thing that events are about."""

    name: str
    parameter: str
    """Of the query language, which finds the events of one of them."""
    fields: tuple[str, ...]
    standard: Collection[str] = ()
    """Values that exist without any event."""
    are_ids: bool = False
    """Whether they are identifiers, which anybody may only list who may see everybody's goods."""


RESOURCES = (
    Resource("eventTypes", "eventType", ("eventType",), KINDS),
    Resource("epcs", "MATCH_anyEPC", ("epc", "parentID", "inputEPC", "outputEPC"), are_ids=True),
    Resource("bizSteps", "EQ_bizStep", ("bizStep",), BIZ_STEP.words),
    Resource("bizLocations", "EQ_bizLocation", ("bizLocation",), are_ids=True),
    Resource("readPoints", "EQ_readPoint", ("readPoint",), are_ids=True),
    Resource("dispositions", "EQ_disposition", ("disposition",), DISPOSITION.words),
)


def add_routes(routes: APIRouter, ports: AppPorts) -> None:
    negotiation = [Depends(negotiated)]
    reader = [Depends(anybody(ports.access, "read")), *negotiation]

    @routes.get("/", dependencies=reader)
    def top_level() -> Response:
        """The resources there are."""
        return answer(_collection(TOP))

    @routes.delete("/nextPageToken/{token}", dependencies=reader, status_code=204)
    def release_token(token: Annotated[str, Path(max_length=4_000)]) -> Response:
        """A token holds nothing on the server, so there is nothing to let go; it stays good."""
        return empty()

    for resource in RESOURCES:
        _add_resource(routes, ports, resource)


def _add_resource(routes: APIRouter, ports: AppPorts, resource: Resource) -> None:
    read = anybody(ports.access, "read")
    negotiation = [Depends(negotiated)]
    one = f"/{resource.name}/{{value:path}}"

    @routes.get(f"/{resource.name}", dependencies=negotiation, name=f"list_{resource.name}")
    def list_values(request: Request, principal: Principal = Depends(read)) -> Response:
        """Those the standard names and those that events have named, in byte order."""
        if resource.are_ids and not principal.sees_all:
            raise Forbidden(f"{resource.name} of everybody are listed for authorities; ask for the events of one")
        per_page, token = only_paging(request)
        members, following = _members(ports, resource, per_page, token)
        return answer(_collection(members), headers=next_link(request, following))

    @routes.get(f"{one}/events", dependencies=negotiation, name=f"events_of_{resource.name}")
    def list_events(request: Request, value: Annotated[str, Path()], principal: Principal = Depends(read)) -> Response:
        """Events of one of them, narrowed down by any parameter of SimpleEventQuery."""
        parameters: dict[str, Any] = dict(asked(request))
        if resource.parameter in parameters:
            raise QueryError(f"parameter {resource.parameter}: the address names one already")
        _check_known(ports, resource, principal, value, extensions(request))
        return events_page(
            ports, request, principal, SIMPLE, {**parameters, resource.parameter: [value]}, extensions(request)
        )

    @routes.get(one, dependencies=negotiation, name=f"get_{resource.name}")
    def get_value(request: Request, value: Annotated[str, Path()], principal: Principal = Depends(read)) -> Response:
        """What can be asked of one of them: its events."""
        _check_known(ports, resource, principal, value, extensions(request))
        return answer(_collection(["events"]))


def _check_known(
    ports: AppPorts, resource: Resource, principal: Principal, value: str, prefixes: dict[str, str]
) -> None:
    """Raises NotKnown where neither the standard nor an event names it."""
    if value in resource.standard:
        return
    if resource.name == "eventTypes":
        raise NotKnown(f"no event type {value!r}: expected one of {', '.join(KINDS)}")
    query = seen_by(parse_query({resource.parameter: [value]}, prefixes), principal)
    with ports.engine.connect() as connection:
        if not any_event(connection, query):
            raise NotKnown(f"no event names {value!r} among its {resource.name}")


def _members(ports: AppPorts, resource: Resource, per_page: int, token: str | None) -> tuple[list[str], str | None]:
    """A page of the standard's values and those that were recorded, each once."""
    try:
        after = "" if token is None else decode_cursor(token, str)[0]
    except BadQuery as error:
        raise QueryError("parameter nextPageToken: not one that this list gave") from error
    standard = [word for word in resource.standard if word > after]
    with ports.engine.connect() as connection:
        recorded = values_of(connection, resource.fields, after, per_page + 1)
    found = sorted({*standard, *recorded})
    members = [uri(name) if resource.are_ids else name for name in found[:per_page]]
    return members, encode_cursor(found[per_page - 1]) if len(found) > per_page else None


def _collection(members: Sequence[str]) -> dict[str, Any]:
    return {"@context": CONTEXT, "type": "Collection", "member": list(members)}
