"""Devices: the list, and one with its readings."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Request
from sqlalchemy import Connection, Row
from starlette.responses import HTMLResponse

from coldchain.db import queries_api as q
from coldchain.db.queries_fittings import fittings_of
from coldchain.domain.fittings import calibration_at, fitting_at
from coldchain.projections.regimes import rules_in_force
from coldchain.projections.rollups import resolution, stretches
from coldchain.projections.series import PROBES, readings
from coldchain.web.chart import DAY_US, HOUR_US, Chart, Until, point_of
from coldchain.web.findings import conclusion
from coldchain.web.reasons import title
from coldchain.web.site import Site

PAGE = 50
DeviceId = Annotated[str, Path(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
Shown = Literal["day", "week", "month", "year"]
SHOWN_US: dict[Shown, int] = {"day": DAY_US, "week": 7 * DAY_US, "month": 31 * DAY_US, "year": 366 * DAY_US}


def router(site: Site) -> APIRouter:
    routes = APIRouter(include_in_schema=False, dependencies=[Depends(site.visitor)])

    @routes.get("/devices")
    def list_devices(request: Request, cursor: str | None = None) -> HTMLResponse:
        with site.ports.engine.connect() as connection:
            devices, following = q.devices(connection, cursor, PAGE)
            probes = q.probes(connection, (row.device_no for row in devices))
        return site.page(request, "devices.html", devices=devices, probes=probes, next=following)

    @routes.get("/devices/{device}")
    def show_device(request: Request, device: DeviceId, until: Until = None, span: Shown = "day") -> HTMLResponse:
        """until: end of the time the chart shows, microseconds; the newest reading by default."""
        now_us = q.ledger_state(site.ports.engine, site.ports.store, site.ports.log).at_us
        with site.ports.engine.connect() as connection:
            row = q.device_row(connection, device)
            to_us = until or (row.last_us or 0) + 1
            chart = _chart(connection, row, (max(0, to_us - SHOWN_US[span]), to_us), now_us)
            for segment in q.conspicuous_segments(connection, row.device_no, chart.from_us, to_us):
                chart.shade(segment.state, segment.from_us, segment.to_us)
            fitted = fittings_of(connection, [row.device_no]).get(row.device_no, ())
            findings, _ = q.findings(connection, q.FindingFilter(subject=f"dev:{device}"), None, PAGE)
            return site.page(
                request,
                "device.html",
                device=row,
                keys=q.device_keys(connection, device),
                mountings=q.mountings(connection, row.device_no),
                probes=q.probes(connection, [row.device_no]).get(row.device_no, ()),
                findings=[(one, conclusion(one)) for one in findings],
                fitting=fitting_at(fitted, row.last_us or 0),
                calibration=calibration_at(fitted, row.last_us or 0),
                chart=chart,
                earlier=chart.from_us if chart.from_us > 0 else None,
                span=span,
                spans=tuple(SHOWN_US),
                until=until,
                title_of=title,
                check=site.check(request, f"dev:{device}"),
            )

    return routes


def _chart(connection: Connection, row: Row[Any], span: tuple[int, int], now_us: int) -> Chart:
    """The device's probes: reading by reading, or by hour or day where the time is long."""
    chart = Chart(*span)
    chart.apply(rules_in_force(connection, [(row.place, row.profile, *span)]))
    hours = resolution(span[1] - span[0])
    if not hours:
        for reading in readings(connection, row.device, *span, PROBES):
            chart.add(reading.name.removeprefix(PROBES), [point_of(reading)])
        return chart
    chart.bucket_us = hours * HOUR_US
    for stretch in stretches(connection, row.device_no, hours, span, now_us, PROBES):
        chart.add_stretches(stretch.channel.removeprefix(PROBES), [stretch])
    return chart
