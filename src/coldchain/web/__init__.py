"""Pages for people."""

from __future__ import annotations

from collections.abc import Mapping

from fastapi import APIRouter

from coldchain.services.app_ports import AppPorts
from coldchain.web import answer, board, devices, findings, reports, trace, units
from coldchain.web import site as frame
from coldchain.web.site import Site


def site(ports: AppPorts, problems: Mapping[str, int]) -> Site:
    """The frame of the pages; it also tells a person about errors. problems: status by slug."""
    return Site(ports, problems)


def routes(site: Site) -> list[APIRouter]:
    """Every route that answers people."""
    return [
        frame.router(site),
        answer.router(site),
        board.router(site),
        findings.router(site),
        units.router(site),
        trace.router(site),
        devices.router(site),
        reports.router(site),
    ]
