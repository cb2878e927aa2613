"""`/epcis/v2`: the EPCIS 2.0 REST binding. One file for each group of resources; this one joins them."""

from __future__ import annotations

import re
from typing import Any

from fastapi import APIRouter, Depends

from coldchain.api import epcis_capture, epcis_events, epcis_queries, epcis_resources
from coldchain.api.access import anybody
from coldchain.api.epcis_headers import LIMITS, discovery, negotiated
from coldchain.services.app_ports import AppPorts

PREFIX = "/epcis/v2"
_CAPTURE = {**LIMITS, "gs1-capture-error-behaviour": "rollback, proceed"}


def router(ports: AppPorts) -> APIRouter:
    """Every route under /epcis/v2. Reading needs a token with `read`, recording one with `capture`."""
    read = [Depends(anybody(ports.access, "read")), Depends(negotiated)]
    routes = APIRouter(prefix=PREFIX, tags=["epcis"])
    epcis_capture.add_routes(routes, ports)
    epcis_events.add_routes(routes, ports)
    epcis_resources.add_routes(routes, ports)
    epcis_queries.add_routes(routes, ports)
    methods: dict[str, set[str]] = {}
    for route in list(routes.routes):
        methods.setdefault(getattr(route, "path", "").removeprefix(PREFIX), set()).update(getattr(route, "methods", ()))
    for path, known in methods.items():
        limits = _CAPTURE if path == "/capture" else {}
        routes.add_api_route(
            path,
            discovery(sorted(known), limits),
            methods=["OPTIONS"],
            status_code=204,
            dependencies=read,
            openapi_extra={"parameters": [_in_path(name) for name in re.findall(r"\{(\w+)", path)]},
        )
    return routes


def _in_path(name: str) -> dict[str, Any]:
    """The endpoint reads nothing of its path: every resource answers alike, whatever it is called."""
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
