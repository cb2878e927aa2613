"""Readiness and metrics."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fastapi import APIRouter, Depends
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.responses import Response
from starlette.types import Scope

from coldchain.api.access import Guard
from coldchain.api.problems import NotReady
from coldchain.api.schemas import Health
from coldchain.db.queries_api import ledger_state
from coldchain.services.app_ports import AppPorts

MAX_LAG = 20_000
"""Entries the projections may be behind before the server says it is not ready: some two seconds of ingest."""
TEXT_FORMAT = "text/plain; version=0.0.4; charset=utf-8"
_TEXT: dict[int | str, dict[str, Any]] = {200: {"content": {"text/plain": {"schema": {"type": "string"}}}}}


class Requests:
    """HTTP requests of one app, by the route that answered."""

    def __init__(self, registry: CollectorRegistry) -> None:
        labels = ["method", "route", "status"]
        self._count = Counter("coldchain_http_requests", "Requests answered.", labels, registry=registry)
        self._seconds = Histogram("coldchain_http_request_seconds", "Time to answer.", ["route"], registry=registry)

    def __call__(self, scope: Scope, status: int, seconds: float) -> None:
        """Paths that no route knows share one label, so that a scanner cannot make new ones."""
        route = getattr(scope.get("route"), "path", "none")
        method = scope["method"] if route != "none" else "any"
        self._count.labels(method, route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)


class PortMetrics(Collector):
    """Counters of admission and subscriber, and the state of the ledger, read when they are asked for."""

    def __init__(self, ports: AppPorts) -> None:
        self._ports = ports

    def collect(self) -> Iterator[Metric]:
        state = ledger_state(self._ports.engine, self._ports.store, self._ports.log)
        yield GaugeMetricFamily("coldchain_ledger_entries", "Entries in the ledger.", value=state.size)
        yield GaugeMetricFamily("coldchain_projection_lag_entries", "Entries not folded yet.", value=state.lag)
        families: dict[str, CounterMetricFamily | GaugeMetricFamily] = {}
        for key, value in sorted(self._ports.metrics().items()):
            name, _, kind = key.partition("/")
            families.setdefault(name, _family(name)).add_metric([kind], value)
        yield from families.values()


def _family(name: str) -> CounterMetricFamily | GaugeMetricFamily:
    if name.endswith("_total"):
        return CounterMetricFamily(f"coldchain_{name}", "Counted since the server started.", labels=["kind"])
    return GaugeMetricFamily(f"coldchain_{name}", "As it is now.", labels=["kind"])


def router(ports: AppPorts, registry: CollectorRegistry, operator: Guard) -> APIRouter:
    """`/healthz`, public, and `/metrics`, for the operator."""
    routes = APIRouter(tags=["system"])

    @routes.get("/healthz")
    def healthz() -> Health:
        """200 when database and ledger can be read, the projections keep up and no part reports a fault; else 503."""
        state = ledger_state(ports.engine, ports.store, ports.log)
        faults = dict(ports.faults())
        if state.lag > MAX_LAG:
            faults["projections"] = f"{state.lag} entries behind the ledger"
        if faults:
            raise NotReady("; ".join(f"{part}: {fault}" for part, fault in sorted(faults.items())))
        return Health(ledger_size=state.size, folded=state.folded, lag=state.lag)

    @routes.get("/metrics", response_class=Response, dependencies=[Depends(operator)], responses=_TEXT)
    def metrics() -> Response:
        """Counters in the Prometheus text format."""
        return Response(generate_latest(registry), media_type=TEXT_FORMAT)

    return routes
