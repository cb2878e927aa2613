"""`/v1/reports`: temperatures over a period, as JSON, or as a file whose issue is recorded."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Body, Depends, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from coldchain.api.access import anybody
from coldchain.api.queries import Moment, Name, Question, microseconds
from coldchain.db.queries_api import NotKnown
from coldchain.services.app_ports import AppPorts
from coldchain.services.principals import Principal

_TYPES = {
    "pdf": "application/pdf",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "csv": "text/csv",
}
_FILES: dict[int | str, dict[str, Any]] = {
    200: {"content": {media_type: {"schema": {"type": "string", "format": "binary"}} for media_type in _TYPES.values()}}
}
Level = Annotated[float, Field(ge=-273.15, le=1_000)]


class ReportQuery(Question):
    """What a report is about, and over which period."""

    about: Annotated[Name, Field(description="unit, veh:…, room:… or dev:…")]
    from_: Annotated[Moment | None, Field(alias="from")] = None
    to: Moment | None = None
    as_of: Annotated[
        int | None,
        Field(ge=1, le=2**53, description="as believed when the ledger had so many entries; folding many is refused"),
    ] = None
    above: Annotated[tuple[Level, ...], Field(max_length=20, description="°C to tell the time above of")] = ()


class ReportOrder(BaseModel):
    """A report to be issued as a file."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    about: Name
    from_: Annotated[Moment | None, Field(alias="from")] = None
    to: Moment | None = None
    as_of: Annotated[int | None, Field(ge=1, le=2**53)] = None
    above: Annotated[tuple[Level, ...], Field(max_length=20)] = ()
    format: Literal["pdf", "xlsx", "csv"] = "pdf"
    lang: Literal["en", "zh"] = "en"


def router(ports: AppPorts) -> APIRouter:
    """About everything for whoever may see that; for a party about its own devices, vehicles and rooms, and about units
    it may ask for, as far as these were in its places: by its own devices alone."""
    routes = APIRouter(prefix="/v1/reports", tags=["reports"])
    caller = anybody(ports.access, "read")

    @routes.get("")
    def get_report(query: Annotated[ReportQuery, Query()], principal: Principal = Depends(caller)) -> dict[str, Any]:
        """The figures; nothing is recorded. A party's token is told of its own places and devices; `stays_hidden`
        counts the rest."""
        return _made(ports, principal, query)

    @routes.post("", response_class=Response, responses=_FILES)
    def issue_report(order: Annotated[ReportOrder, Body()], principal: Principal = Depends(caller)) -> Response:
        """A file, whose figures' SHA-256 is recorded; `Coldchain-Entry` names the entry."""
        data, entry = ports.issue_report(principal, _made(ports, principal, order), order.format, order.lang)
        name = f"report-{entry}.{order.format}"
        headers = {"Coldchain-Entry": str(entry), "Content-Disposition": f'attachment; filename="{name}"'}
        return Response(data, media_type=_TYPES[order.format], headers=headers)

    return routes


def _made(ports: AppPorts, principal: Principal, asked: ReportQuery | ReportOrder) -> dict[str, Any]:
    period = tuple(None if moment is None else microseconds(moment) for moment in (asked.from_, asked.to))
    levels = [round(level * 1000) for level in asked.above]
    document = ports.report(principal, asked.about, (period[0], period[1]), levels, asked.as_of)
    if document is None:
        raise NotKnown(f"no report about {asked.about!r}: no entry names it, or nothing was measured where it was")
    return document
