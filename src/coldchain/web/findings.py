"""Findings: the list, and the life of one."""

from __future__ import annotations

import json
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Request
from sqlalchemy import Row
from starlette.responses import HTMLResponse

from coldchain.db import queries_api as q
from coldchain.db.queries_units import UnitQueries
from coldchain.domain.findings import WITHDRAWN
from coldchain.web.reasons import Conclusion, reasons, title
from coldchain.web.site import Site
from coldchain_ledger.entry import parse_entry

PAGE = 50
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
        findings = [(row, conclusion(row)) for row in rows]
        return site.page(
            request, "findings.html", findings=findings, next=following, show=show, filters=FILTERS, title_of=title
        )

    @routes.get("/findings/{finding}")
    def show_finding(request: Request, finding: FindingId) -> HTMLResponse:
        with site.ports.engine.connect() as connection:
            life = q.finding_life(connection, finding)
            due_us = _due(UnitQueries(connection), life[-1])
        # Withdrawing says nothing new: what was found stands in the entry before.
        told = next((row for row in reversed(life) if row.state != WITHDRAWN), life[-1])
        it = conclusion(told, due_us)._replace(state=life[-1].state)
        return site.page(
            request,
            "finding.html",
            it=it,
            life=life,
            entries=_entries(site, life[-1].entry),
            title_of=title,
            reasons_of=reasons,
            check=site.check(request, finding),
        )

    return routes


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
    )


def _due(source: UnitQueries, row: Row[Any]) -> int | None:
    """When the answer is due, while the clock runs."""
    same = (v for v in source.verdicts_on([row.subject]) if (v["rule"], v["from_us"]) == (row.rule, row.from_us))
    return next((v["due_us"] for v in same), None)


def _entries(site: Site, index: int) -> list[int]:
    """The evidence the newest entry of the finding names."""
    with site.ports.store.snapshot() as snapshot:
        named: list[int] = json.loads(parse_entry(snapshot.entry(index)).payload)["entries"]
    return named
