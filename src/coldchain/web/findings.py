"""Findings: the list, the life of one, and acknowledging it."""

from __future__ import annotations

import json
from typing import Annotated, Any
from urllib.parse import parse_qsl

from fastapi import APIRouter, Depends, Path, Request
from sqlalchemy import Row
from starlette.responses import HTMLResponse, RedirectResponse, Response

from coldchain.db import queries_api as q
from coldchain.db.queries_findings import life_of, named_in, standings
from coldchain.db.queries_units import UnitQueries
from coldchain.domain.findings import WITHDRAWN
from coldchain.services.access import Visitor
from coldchain.services.findings import Acknowledged
from coldchain.services.identity import CommandRefused
from coldchain.web.reasons import Conclusion, reasons, title
from coldchain.web.site import Site

PAGE = 50
MAX_FIELDS = 20
FindingId = Annotated[str, Path(pattern=r"^[0-9a-f]{32}$")]
FILTERS = {"open": True, "settled": False, "all": None}


def router(site: Site) -> APIRouter:
    routes = APIRouter(include_in_schema=False, dependencies=[Depends(site.visitor)])

    @routes.get("/findings")
    def list_findings(request: Request, show: str = "open", cursor: str | None = None) -> HTMLResponse:
        if show not in FILTERS:
            raise q.BadQuery(f"query show: expected one of {', '.join(FILTERS)}")
        with site.ports.engine.connect() as connection:
            rows, following = q.findings(connection, q.FindingFilter(is_open=FILTERS[show]), cursor, PAGE)
            acknowledged = standings(connection, (row.finding for row in rows))
        context = {
            "findings": [(row, conclusion(row)) for row in rows],
            "acknowledged": acknowledged,
            "next": following,
            "show": show,
            "filters": FILTERS,
            "title_of": title,
        }
        return site.page(request, "findings.html", **context)

    @routes.get("/findings/{finding}")
    def show_finding(request: Request, finding: FindingId) -> HTMLResponse:
        return _page(site, request, finding)

    @routes.post("/findings/{finding}/acknowledgement")
    def acknowledge(
        request: Request, finding: FindingId, body: bytes = Depends(_body), visitor: Visitor = Depends(site.visitor)
    ) -> Response:
        """In the name and role of whoever is signed in, and of the person the link was made for, whatever the form
        says. The session's cookie comes from our own pages alone (SameSite=Strict), so nobody else's form can do
        this."""
        said = _said(finding, body)
        if visitor.person:
            said = said._replace(name=visitor.person)
        try:
            site.ports.acknowledge(visitor.principal, said)
        except CommandRefused as error:
            return _page(site, request, finding, fault=str(error), comment=said.comment)
        return RedirectResponse(f"/findings/{finding}?noted", 303)

    return routes


async def _body(request: Request) -> bytes:
    """As it came; the edge limits its size."""
    return await request.body()


def _said(finding: str, body: bytes) -> Acknowledged:
    """Raises BadQuery for what no form of ours sends."""
    try:
        fields = dict(parse_qsl(body.decode(), max_num_fields=MAX_FIELDS))
        seen = int(fields["seen"])
    except (ValueError, KeyError) as error:
        raise q.BadQuery("expected the form of a finding's page: comment, name, seen") from error
    return Acknowledged(finding, fields.get("comment", ""), fields.get("name", ""), seen)


def _page(site: Site, request: Request, finding: str, fault: str = "", comment: str = "") -> HTMLResponse:
    with site.ports.engine.connect() as connection:
        life = life_of(connection, finding)
        due_us = _due(UnitQueries(connection), life.newest)
    # Withdrawing says nothing new: what was found stands in the entry before.
    told = next((row for row in reversed(life.published) if row.state != WITHDRAWN), life.newest)
    named = named_in(site.ports.store, life.newest.entry)
    newest = conclusion(life.newest)
    context: dict[str, Any] = {
        "it": conclusion(told, due_us)._replace(state=newest.state, withdrawn_us=newest.withdrawn_us),
        "severity": told.severity,
        "life": life,
        "names": {row.n: site.ports.unseal(row.name_sealed) for row in life.acks if row.name_sealed},
        "entries": named.entries,
        "affected": named.affected,
        "title_of": title,
        "reasons_of": reasons,
        "check": site.check(request, finding),
        "can_be_acknowledged": life.newest.state != WITHDRAWN,
        "may_acknowledge": "claim" in request.state.visitor.principal.scopes,
        "noted": "noted" in request.query_params,
        "fault": fault,
        "comment": comment,
    }
    return site.page(request, "finding.html", 422 if fault else 200, **context)


def conclusion(row: Row[Any], due_us: int | None = None) -> Conclusion:
    """A published finding as the pages tell it."""
    return Conclusion(
        row.rule,
        row.subject,
        row.channel,
        row.from_us,
        row.to_us,
        row.verdict,
        row.state,
        json.loads(row.detail),
        due_us,
        finding=row.finding,
        withdrawn_us=row.at_us if row.state == WITHDRAWN else None,
    )


def _due(source: UnitQueries, row: Row[Any]) -> int | None:
    """When the answer is due, while the clock runs."""
    same = (v for v in source.verdicts_on([row.subject]) if (v["rule"], v["from_us"]) == (row.rule, row.from_us))
    return next((v["due_us"] for v in same), None)
