"""`/v1`: what projections derived from the ledger, for programs with a token."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query
from sqlalchemy import Connection, Row
from starlette.responses import Response

from coldchain.api import answers
from coldchain.api import schemas as s
from coldchain.api.access import anybody, operator_only, overseers
from coldchain.api.queries import (
    About,
    Name,
    Paging,
    RejectQuery,
    SeriesQuery,
    SignInOrder,
    Spelling,
    UnitQuery,
    microseconds,
)
from coldchain.api.series import readings_page, stretches_page
from coldchain.db import queries_api as q
from coldchain.db.queries_api import NotKnown
from coldchain.db.queries_fittings import fittings_of
from coldchain.db.queries_parties import concern_of, directory, sees
from coldchain.decoders.scans import subject_of
from coldchain.domain.rollups import DAY_HOURS
from coldchain.projections.rollups import DAY_US, resolution
from coldchain.projections.series import PROBES
from coldchain.services.access import CODE_LIFE_S
from coldchain.services.app_ports import AppPorts
from coldchain.services.findings import checked_name
from coldchain.services.principals import Principal
from coldchain.services.trace import names_in, restricted


def routers(ports: AppPorts) -> list[APIRouter]:
    """What is concluded: each party's own, everybody's for whoever may see that; and what only the operator is told."""
    own = APIRouter(prefix="/v1")
    _add_units(own, ports)
    _add_devices(own, ports)
    _add_traces(own, ports)
    _add_dossiers(own, ports)
    everybodys = APIRouter(prefix="/v1", dependencies=[Depends(overseers(ports.access))])
    _add_links(everybodys, ports)
    operation = APIRouter(prefix="/v1", dependencies=[Depends(operator_only(ports.access))])
    _add_operation(operation, ports)
    return [own, everybodys, operation]


def _add_devices(routes: APIRouter, ports: AppPorts) -> None:
    read = anybody(ports.access, "read")

    @routes.get("/devices", tags=["devices"])
    def list_devices(query: Annotated[Paging, Query()], principal: Principal = Depends(read)) -> s.Page[s.Device]:
        """Enrolled devices by name, each with its newest message; a party's token is told of the party's own."""
        org = None if principal.sees_all else principal.org
        with ports.engine.connect() as connection:
            rows, following = q.devices(connection, query.cursor, query.limit, org)
            probes = q.probes(connection, (row.device_no for row in rows))
        return s.Page(items=[answers.device(row, probes.get(row.device_no, ())) for row in rows], next=following)

    @routes.get("/devices/{device}", tags=["devices"])
    def get_device(device: Annotated[Name, Path()], principal: Principal = Depends(read)) -> s.DeviceDetail:
        """One device with its keys, where it was mounted, and what was stated of its sensors."""
        with ports.engine.connect() as connection:
            row = _device(connection, principal, device)
            return answers.device_detail(
                row,
                q.probes(connection, [row.device_no]).get(row.device_no, ()),
                q.device_keys(connection, device),
                q.mountings(connection, row.device_no),
                fittings_of(connection, [row.device_no]).get(row.device_no, ()),
                q.count_open_findings(connection, f"dev:{device}"),
            )

    @routes.get("/devices/{device}/series", tags=["devices"])
    def list_readings(
        device: Annotated[Name, Path()], query: Annotated[SeriesQuery, Query()], principal: Principal = Depends(read)
    ) -> s.Page[s.Reading] | s.Page[s.Stretch]:
        """Temperatures of a device by time, those that are no evidence included and marked; or what counts of them, or
        of any channel, summed up by hour or day. Hours and days without readings are not listed."""
        now_us = q.ledger_state(ports.engine, ports.store, ports.log).at_us
        with ports.engine.connect() as connection:
            row = _device(connection, principal, device)
            span = _span(query, row.last_us)
            hours = RESOLUTIONS.get(query.resolution, resolution(span[1] - span[0]))
            span = _following(query, span)
            if not hours:
                return _readings(connection, row, query, span)
            channel = query.channel or (PROBES + query.probe if query.probe is not None else None)
            found, following = stretches_page(connection, row.device_no, hours, channel, span, query.limit, now_us)
        return s.Page(items=[answers.stretch(one) for one in found], next=_next(following))


def _device(connection: Connection, principal: Principal, name: str) -> Row[Any]:
    """Raises NotKnown, for somebody else's device as for none."""
    row = q.device_row(connection, name)
    if not principal.sees_all and row.org != principal.org:
        raise NotKnown(f"no device {name!r}")
    return row


RESOLUTIONS = {"raw": 0, "hour": 1, "day": DAY_HOURS}


def _readings(connection: Connection, row: Row[Any], query: SeriesQuery, span: tuple[int, int]) -> s.Page[s.Reading]:
    if query.channel is not None:
        raise q.BadQuery("query channel: summed up by hour and day only, expected resolution=hour or day with it")
    found, following = readings_page(connection, row.device_no, row.device, query.probe, span, query.limit)
    items = [answers.reading(one, one.name.removeprefix(PROBES)) for one in found]
    return s.Page(items=items, next=_next(following))


def _next(following: int | None) -> str | None:
    return None if following is None else q.encode_cursor(following)


def _span(query: SeriesQuery, newest_us: int | None) -> tuple[int, int]:
    """The time asked for."""
    to_us = (newest_us or 0) + 1 if query.to is None else microseconds(query.to)
    from_us = to_us - DAY_US if query.from_ is None else microseconds(query.from_)
    return max(0, from_us), to_us


def _following(query: SeriesQuery, span: tuple[int, int]) -> tuple[int, int]:
    """What the pages before have not covered of it."""
    return (span[0] if query.cursor is None else max(span[0], q.decode_cursor(query.cursor, int)[0])), span[1]


def _add_units(routes: APIRouter, ports: AppPorts) -> None:
    read = anybody(ports.access, "read")

    @routes.get("/units/{unit:path}", tags=["units"])
    def get_unit(
        unit: Annotated[Spelling, Path()], query: Annotated[UnitQuery, Query()], principal: Principal = Depends(read)
    ) -> s.Unit:
        """Everything known about one unit, in any spelling of its identifier, at any moment and ledger size. A party's
        token is told of units that others handed to the party, took from it or had it carry, up to when these ceased to
        be its concern: `at` says until when."""
        name = subject_of(unit)
        at_us = _no_later(ports, principal, name, None if query.at is None else microseconds(query.at))
        found = ports.inspect(name, at_us, query.as_of) if _may_see(ports, principal, name) else None
        if found is None:
            raise NotKnown(f"{unit!r} is named by no entry of this ledger")
        return s.Unit.model_validate(found)


def _may_see(ports: AppPorts, principal: Principal, name: str) -> bool:
    if principal.sees_all:
        return True
    with ports.engine.connect() as connection:
        return name in sees(connection, principal.org, [name])


def _no_later(ports: AppPorts, principal: Principal, name: str, at_us: int | None) -> int | None:
    """The moment asked for, for a party none after a unit was its concern."""
    if principal.sees_all:
        return at_us
    with ports.engine.connect() as connection:
        until_us = concern_of(connection, principal.org, [name]).get(name)
    return min((t_us for t_us in (at_us, until_us) if t_us is not None), default=None)


def _add_traces(routes: APIRouter, ports: AppPorts) -> None:
    read = anybody(ports.access, "read")

    @routes.get("/trace", tags=["units"])
    def get_trace(query: Annotated[About, Query()], principal: Principal = Depends(read)) -> s.Trace:
        """Back to where a unit came from, forward to where it went, and what it met, graded G1 to G4. A party's token
        is told of units that it may ask for, and of these in its own places; `hidden` counts what else there is."""
        name = subject_of(query.id)
        found = ports.trace(name) if _may_see(ports, principal, name) else None
        if found is None:
            raise NotKnown(f"{query.id!r} is named by no entry of this ledger")
        if not principal.sees_all:
            with ports.engine.connect() as connection:
                seen = sees(connection, principal.org, names_in(found))
                known = directory(connection)
            found = restricted(found, seen, lambda place, t_us: known.owner(place, t_us) == principal.org)
        return s.Trace.model_validate(found)


def _add_dossiers(routes: APIRouter, ports: AppPorts) -> None:
    read = anybody(ports.access, "read")

    @routes.get("/evidence", tags=["units"], response_class=Response, responses=_DOSSIER)
    def get_evidence(query: Annotated[About, Query()], principal: Principal = Depends(read)) -> Response:
        """A dossier that anyone can verify offline: every entry about a subject or finding, and one proof. A party's
        token gets those of its units, findings and devices that it may see: its own, and others' about its units alone
        while these were its concern."""
        dossier = ports.dossier(principal, subject_of(query.id))
        if dossier is None:
            raise NotKnown(f"{query.id!r} is named by no entry of this ledger")
        return Response(
            dossier,
            media_type="application/jsonl",
            headers={"content-disposition": f'attachment; filename="{_file_name(query.id)}"'},
        )


_DOSSIER: dict[int | str, dict[str, Any]] = {200: {"content": {"application/jsonl": {"schema": {"type": "string"}}}}}


def _file_name(about: str) -> str:
    return "".join(c if c.isascii() and c.isalnum() else "-" for c in about)[:100] + ".jsonl"


def _add_links(routes: APIRouter, ports: AppPorts) -> None:
    overseer = overseers(ports.access)

    @routes.post("/sign-in-links", tags=["operation"], status_code=201)
    def make_sign_in_link(order: SignInOrder | None = None, principal: Principal = Depends(overseer)) -> s.SignInLink:
        """A link to the pages for one person, to be used once and soon. Whoever signs in with it reads and records as
        the token's organisation in its role, for as long as the token is in force."""
        code = ports.access.issue_code(principal, checked_name(order.name if order else ""))
        return s.SignInLink(path=f"/login?code={code}", expires_in_s=CODE_LIFE_S)


def _add_operation(routes: APIRouter, ports: AppPorts) -> None:
    @routes.get("/rejects", tags=["operation"])
    def list_rejects(query: Annotated[RejectQuery, Query()]) -> s.Page[s.Reject]:
        """Messages refused at the door, the newest first."""
        with ports.engine.connect() as connection:
            rows, following = q.rejects(connection, query.device, query.cursor, query.limit)
        return s.Page(items=[answers.reject(row) for row in rows], next=following)
