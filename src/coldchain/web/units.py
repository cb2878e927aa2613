"""Pallets and other units: the list, and everything known about one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, NamedTuple

from fastapi import APIRouter, Depends, Request
from sqlalchemy import Connection
from starlette.responses import HTMLResponse, Response

from coldchain.db import queries_api as q
from coldchain.db.queries_units import UnitQueries
from coldchain.decoders.scans import named, subject_of
from coldchain.domain.tracing import FOREVER_US
from coldchain.projections.regimes import rules_in_force
from coldchain.projections.rollups import resolution, stretches
from coldchain.projections.series import PROBES, readings
from coldchain.services.access import Visitor
from coldchain.web.chart import HOUR_US, WINDOW_US, Chart, Point, Until, point_of
from coldchain.web.formats import micros
from coldchain.web.past import Past, past
from coldchain.web.reasons import Conclusion, reasons, title
from coldchain.web.site import Site, dossier_name
from coldchain.web.status import worst
from coldchain.web.summaries import summaries
from coldchain.web.timeline import Span, boxes, extent

PAGE = 50
Document = Mapping[str, Any]


def router(site: Site) -> APIRouter:
    routes = APIRouter(include_in_schema=False, dependencies=[Depends(site.visitor)])

    @routes.get("/units")
    def list_units(request: Request, cursor: str | None = None) -> HTMLResponse:
        with site.ports.engine.connect() as connection:
            names, following = q.units_seen(connection, cursor, PAGE)
            units = summaries(connection, names)
        return site.page(request, "units.html", units=units, next=following)

    @routes.get("/units/{unit:path}")
    def show_unit(
        request: Request, unit: str, asked: Annotated[Past, Depends(past)], until: Until = None
    ) -> HTMLResponse:
        """until: end of the time the chart shows, microseconds; the newest by default."""
        document = site.ports.inspect(named(unit), asked.at_us, asked.as_of)
        if document is None:
            earlier_on = f" within its first {asked.as_of} entries" if asked.as_of is not None else ""
            raise q.NotKnown(f"{unit!r} is named by no entry of this ledger{earlier_on}")
        known_us = micros(document["ledger"]["time"])
        now_us = min(known_us, asked.end_us)
        with site.ports.projected(asked.as_of) as connection:
            chart, earlier = _chart(connection, document, until, now_us)
            air = _air_conclusions(connection, document)
        return site.page(
            request,
            "unit.html",
            **_of_the_past(document, asked, known_us) if asked.query else {},
            past=asked,
            now=_where(document, asked.end_us),
            unit=document,
            calibrations=sorted(
                {
                    (row["device"], row["calibration"], row["certificate"], row["certified_to"] or "")
                    for row in document["temperature"]
                }
            ),
            worst_air=worst(row["state"] for row in document["temperature"]),
            verdicts=[_conclusion(row, document) for row in document["verdicts"]],
            air_verdicts=air,
            strips=_strips(document, now_us, asked.end_us),
            chart=chart,
            earlier=earlier,
            title_of=title,
            reasons_of=reasons,
            check=site.check(request, document["id"]),
        )

    @routes.get("/evidence")
    def evidence(id: str, visitor: Visitor = Depends(site.visitor)) -> Response:  # noqa: A002 (the name in the address)
        """The dossier as a file, for somebody who is signed in."""
        dossier = site.ports.dossier(visitor.principal, subject_of(id))
        if dossier is None:
            raise q.NotKnown(f"{id!r} is named by no entry of this ledger")
        return Response(
            dossier,
            media_type="application/jsonl",
            headers={"content-disposition": f'attachment; filename="{dossier_name(id)}"'},
        )

    return routes


class _Ledger(NamedTuple):
    """What a page of the past was made from."""

    size: int
    at_us: int


def _of_the_past(document: Document, asked: Past, known_us: int) -> dict[str, Any]:
    """For the frame of the page: the ledger it was made from, and nothing of what is open today."""
    return {
        "as_of": _Ledger(document["ledger"]["size"], known_us),
        "open_findings": 0,
        "kept": asked.query,
        "not_reached": asked.at_us is not None and asked.at_us > known_us,
    }


def _where(document: Document, t_us: int) -> list[str]:
    """What it was in at that moment; of FOREVER, what it is in by all that is known. A lot is no place."""
    return [
        stay["parent"]
        for stay in document["inside"]
        if not stay["parent"].startswith("lot:")
        and micros(stay["from"]) <= t_us
        and (stay["to"] is None or t_us < micros(stay["to"]))
    ]


def _conclusion(row: Document, document: Document) -> Conclusion:
    from_us = micros(row["from"])
    return Conclusion(
        row["rule"],
        row["subject"],
        row["channel"],
        from_us,
        _micros_or_none(row["to"]),
        row["verdict"],
        row["state"],
        row["detail"],
        _micros_or_none(row["due"]),
        row["entries"],
        _published_as(row, document["findings"]),
    )


def _air_conclusions(connection: Connection, document: Document) -> list[list[Conclusion]]:
    """What was concluded about the air while the unit was in it; several probes saying the same are one."""
    began: dict[tuple[str, str], list[int]] = {}
    for told in document["temperature"]:
        began.setdefault((f"dev:{told['device']}", told["channel"]), []).append(micros(told["from"]))
    names = {"rule", "subject", "channel", "from_us", "to_us", "verdict", "state", "detail", "due_us", "entries"}
    found: dict[tuple[str, str], list[Conclusion]] = {}
    for row in UnitQueries(connection).verdicts_on({subject for subject, _ in began}):
        # What was so when the unit came began before it: its stretch starts inside the verdict's.
        starts = began.get((row["subject"], row["channel"]), ())
        during = any(row["from_us"] <= t_us and (row["to_us"] is None or t_us < row["to_us"]) for t_us in starts)
        if row["source"] == "temperature" and during:
            one = Conclusion(**{name: row[name] for name in names})
            found.setdefault((one.rule, one.subject), []).append(one)
    return list(found.values())


def _published_as(row: Document, findings: Sequence[Document]) -> str:
    same = ("rule", "subject", "channel", "from")
    return next((f["finding"] for f in findings if f["current"] and all(f[name] == row[name] for name in same)), "")


def _micros_or_none(text: str | None) -> int | None:
    return None if text is None else micros(text)


def _strips(document: Document, now_us: int, end_us: int) -> dict[str, Any] | None:
    """Continuity and the air around it, on one axis of time, which ends at `end_us` at the latest."""
    continuity = [Span(micros(s["from"]), min(micros(s["to"]), end_us), s["verdict"]) for s in document["segments"]]
    order = {"unknown": 1, "breach": 2}
    air = [
        Span(max(from_us, begun), _earlier(end_us if end_us < FOREVER_US else None, to_us, ended), row["state"])
        for row in sorted(document["temperature"], key=lambda row: order.get(row["state"], 0))
        for begun, ended in _stays(document, row["place"])
        for from_us, to_us in [(micros(row["from"]), _micros_or_none(row["to"]))]
        if (ended is None or from_us < ended) and (to_us is None or begun < to_us) and begun <= end_us
    ]
    if not continuity and not air:
        return None
    from_us, to_us = extent([*continuity, *air], now_us)
    return {
        "from_us": from_us,
        "to_us": to_us,
        "continuity": boxes(continuity, from_us, to_us),
        "air": boxes(air, from_us, to_us),
    }


def _points(connection: Connection, device: str, from_us: int, to_us: int, chart: Chart) -> Iterator[Point]:
    """What counts of a device's readings: one by one, or the whole hours that lie within the time and the rest of it
    one by one."""
    begin_us, end_us = -(-from_us // HOUR_US) * HOUR_US, to_us // HOUR_US * HOUR_US
    if not chart.bucket_us or begin_us >= end_us:
        begin_us = end_us = to_us
    else:
        no = q.device_row(connection, device).device_no
        for stretch in stretches(connection, no, 1, (begin_us, end_us), end_us, PROBES):
            yield Point(stretch.from_us, stretch.bucket.low, stretch.bucket.high, stretch.bucket.readings)
    for part in ((from_us, begin_us), (end_us, to_us)):
        found = (point_of(reading) for reading in readings(connection, device, *part, PROBES))
        yield from (point for point in found if point.high_mc is not None)


def _newest(connection: Connection, rides: Sequence[tuple[str, int, int, q.Posting]]) -> int:
    """After the last reading that there can be of a ride, so that a chart of what fell silent is not of the silence."""
    heard = {posting.device: q.device_row(connection, posting.device).last_us or 0 for *_, posting in rides}
    return max(min(ended, heard[posting.device] + 1) for _, _, ended, posting in rides)


def _stays(document: Document, place: str) -> list[tuple[int, int | None]]:
    if place == document["id"]:
        return [(0, None)]
    return [(micros(s["from"]), _micros_or_none(s["to"])) for s in document["inside"] if s["parent"] == place]


def _earlier(*ends: int | None) -> int | None:
    return min((end for end in ends if end is not None), default=None)


def _chart(connection: Connection, document: Document, until_us: int | None, now_us: int) -> tuple[Chart, int | None]:
    """The air around the unit during the days before `until_us`, or before the newest reading, and where the chart of
    the days before those ends."""
    places = {row["place"] for row in document["temperature"]}
    rides = [
        (place, max(posting.from_us, begun), _earlier(posting.to_us, ended) or now_us + 1, posting)
        for place in sorted(places)
        for posting in q.devices_at(connection, place)
        for begun, ended in _stays(document, place)
    ]
    rides = [ride for ride in rides if ride[1] < ride[2]]
    if not rides:
        return Chart(now_us, now_us + 1), None
    begun = min(begun for _, begun, _, _ in rides)
    to_us = max(begun + 1, min(until_us or now_us, now_us, _newest(connection, rides)))
    chart = Chart(max(begun, to_us - WINDOW_US), to_us)
    chart.bucket_us = resolution(to_us - chart.from_us) * HOUR_US
    for place, ride_from, ride_to, posting in rides:
        from_us, end_us = max(ride_from, chart.from_us), min(ride_to, chart.to_us)
        if from_us < end_us:
            chart.add(place, _points(connection, posting.device, from_us, end_us, chart))
    stays = [(place, posting.profile, from_us, end_us) for place, from_us, end_us, posting in rides]
    chart.apply(rules_in_force(connection, stays))
    for row in document["temperature"]:
        for from_us, ended in _stays(document, row["place"]):
            end = _earlier(_micros_or_none(row["to"]), ended)
            chart.shade(row["state"], max(micros(row["from"]), from_us), end)
    return chart, chart.from_us if begun < chart.from_us else None
