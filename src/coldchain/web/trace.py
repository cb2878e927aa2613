"""The trace of a unit: where it came from, where it went, and what it met (domain §5)."""

from __future__ import annotations

from fastapi import APIRouter, Depends, Request
from starlette.responses import HTMLResponse

from coldchain.db.queries_api import NotKnown
from coldchain.decoders.scans import named
from coldchain.web.site import Site

SHOWN = 200
"""Hops, and contacts of each grade, on the page; `GET /v1/trace` has all of them."""


def router(site: Site) -> APIRouter:
    routes = APIRouter(include_in_schema=False, dependencies=[Depends(site.visitor)])

    @routes.get("/trace/{unit:path}")
    def show_trace(request: Request, unit: str) -> HTMLResponse:
        """In any spelling of its identifier."""
        document = site.ports.trace(named(unit))
        if document is None:
            raise NotKnown(f"{unit!r} is named by no entry of this ledger")
        grades: dict[str, list[object]] = {}
        for contact in document["contacts"]:
            grades.setdefault(contact["grade"], []).append(contact)
        return site.page(
            request,
            "trace.html",
            trace=document,
            ways={way: document[way] for way in ("backward", "forward")},
            grades=sorted(grades.items()),
            shown=SHOWN,
            check=site.check(request, document["id"]),
        )

    return routes
