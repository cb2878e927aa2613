"""What the web server may reach, taken from a running core."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from io import BytesIO
from typing import Any

from sqlalchemy import Connection

from coldchain.api.problems import NotReady
from coldchain.bootstrap.believed import MOST_IN_A_REQUEST, Busy
from coldchain.bootstrap.core import Core
from coldchain.bootstrap.imports import HttpImports
from coldchain.bootstrap.links import Links
from coldchain.bootstrap.reports import HttpReports
from coldchain.bootstrap.telemetry import HttpTelemetry
from coldchain.bootstrap.webhooks import Webhooks
from coldchain.mqtt.subscriber import Subscriber
from coldchain.services.access import Access
from coldchain.services.app_ports import AppPorts
from coldchain.services.epcis_ports import EpcisPorts
from coldchain.services.findings import Acknowledged
from coldchain.services.ports import Clock
from coldchain.services.principals import Principal
from coldchain_ledger.log import Outcome

GAUGES = ("queue_bytes", "queue_messages")
"""Of the subscriber's figures those that are as they are now; the others count."""


def app_ports(
    core: Core,
    subscriber: Callable[[], Subscriber | None],
    following_fault: Callable[[], str],
    clock: Clock | None = None,
    wake: Callable[[], None] = lambda: None,
) -> AppPorts:
    """`subscriber` gives the one that runs now, or None: the pages of a finished demo have none. `clock`: for links and
    sessions, where the ledger's own clock is a simulated one. `wake`: whoever works in the background."""

    def metrics() -> Mapping[str, float]:
        counts: dict[str, float] = {f"messages_total/{kind}": count for kind, count in core.admission.counts.items()}
        running = subscriber()
        if running is not None:
            stats = asdict(running.stats)
            counts |= {f"mqtt_{name}": float(stats.pop(name)) for name in GAUGES}
            counts |= {f"mqtt_{name}_total": float(value) for name, value in stats.items()}
        return counts

    def faults() -> Mapping[str, str]:
        running = subscriber()
        found = {
            "mqtt": running.fault if running is not None else "",
            "projections": following_fault(),
        }
        return {part: fault for part, fault in found.items() if fault}

    def dossier(principal: Principal, about: str) -> bytes | None:
        out = BytesIO()
        org = None if principal.sees_all else principal.org
        return out.getvalue() if core.write_evidence(about, out, org) else None

    def inspect(about: str, at_us: int | None, as_of: int | None) -> Mapping[str, Any] | None:
        try:
            return core.inspect(about, at_us, as_of, MOST_IN_A_REQUEST)
        except Busy as error:
            raise NotReady(str(error)) from error

    @contextmanager
    def projected(as_of: int | None) -> Iterator[Connection]:
        try:
            with core.projected(as_of, MOST_IN_A_REQUEST) as connection:
                yield connection
        except Busy as error:
            raise NotReady(str(error)) from error

    def file_paper(principal: Principal, body: Mapping[str, Any]) -> Outcome:
        if body.get("order") == "event-decision":
            return core.rule_on_event(principal, body)
        return core.record_document(principal.org, {**body, "by": principal.org, "role": principal.role})

    def acknowledge(principal: Principal, said: Acknowledged) -> Outcome:
        outcome = core.acknowledge(principal, said)
        wake()
        return outcome

    sheets, reports = HttpImports(core), HttpReports(core)
    access = Access(core.operator_token, clock or core.clock, core.tokens, core.log.origin)
    return AppPorts(
        engine=core.engine,
        store=core.store,
        origin=core.log.origin,
        vkey=core.log.vkey,
        access=access,
        metrics=metrics,
        faults=faults,
        receipt=core.log.receipt,
        dossier=dossier,
        inspect=inspect,
        projected=projected,
        trace=core.trace,
        report=reports.report,
        issue_report=reports.issue,
        file_paper=file_paper,
        links=Links(core, access, clock),
        seal=lambda kind, value: core.sealed.seal(kind, value, core.clock()),
        acknowledge=acknowledge,
        unseal=core.sealed.open,
        import_sheet=sheets.take,
        import_map=sheets.map_of,
        take_telemetry=HttpTelemetry(core, wake).take,
        epcis=EpcisPorts(core.epcis, wake, clock or core.clock, Webhooks(private=core.settings.webhooks_private).check),
    )
