"""The board: what needs attention, what is where, and whether the devices still speak."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Depends, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from coldchain.db import queries_api as q
from coldchain.decoders.scans import named
from coldchain.web.findings import conclusion
from coldchain.web.formats import page_of
from coldchain.web.reasons import title
from coldchain.web.site import Site
from coldchain.web.summaries import summaries, worst_first

SHOWN = 50
"""Pallets on the board; the rest are on /units."""


def router(site: Site) -> APIRouter:
    routes = APIRouter(include_in_schema=False, dependencies=[Depends(site.visitor)])

    @routes.get("/")
    def board(request: Request) -> HTMLResponse:
        """Pallets by their worst verdict, open findings, devices, and the ledger's size."""
        with site.ports.engine.connect() as connection:
            units = q.units_in_question(connection, SHOWN)
            others, _ = q.units_seen(connection, None, SHOWN)
            units += [unit for unit in others if unit not in units]
            findings, more_findings = q.findings(connection, q.FindingFilter(is_open=True), None, 10)
            devices, more_devices = q.devices(connection, None, SHOWN)
            context: dict[str, Any] = {
                "units": worst_first(summaries(connection, units[:SHOWN])),
                "more_units": len(units) > SHOWN,
                "findings": [(row, conclusion(row)) for row in findings],
                "more_findings": more_findings is not None,
                "devices": devices,
                "more_devices": more_devices is not None,
                "probes": q.probes(connection, (row.device_no for row in devices)),
                "title_of": title,
                "origin": site.ports.origin,
            }
        return site.page(request, "board.html", **context)

    @routes.get("/find")
    def find(id: str) -> Response:  # noqa: A002 (the name of the form's field)
        """To the page of a device id or of an identifier in any spelling. Raises IdentifierError."""
        with site.ports.engine.connect() as connection:
            about = f"dev:{id}" if id.isprintable() and q.is_device(connection, id) else named(id)
        return RedirectResponse(page_of(about), 303)

    return routes
