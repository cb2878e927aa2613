"""FastAPI routers, schemas, problem+json."""

from __future__ import annotations

from fastapi import APIRouter
from prometheus_client import CollectorRegistry

from coldchain.api import epcis, findings, imports, ledger, parties, reports, rules, system, telemetry, v1
from coldchain.api.access import operator_only
from coldchain.services.app_ports import AppPorts


def routes(ports: AppPorts, registry: CollectorRegistry) -> list[APIRouter]:
    """Every route that answers machines: the public ledger and `/healthz`, the rest for those with a token."""
    return [
        ledger.router(ports),
        system.router(ports, registry, operator_only(ports.access)),
        *v1.routers(ports),
        findings.router(ports),
        parties.router(ports),
        imports.router(ports),
        reports.router(ports),
        telemetry.router(ports),
        rules.router(ports),
        epcis.router(ports),
    ]
