"""`/v1/imports`: sheets over HTTP, in the name of whoever sends them; their maps and templates."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Body, Depends, Path, Query
from pydantic import BaseModel
from starlette.responses import Response

from coldchain.api.access import anybody
from coldchain.domain.imports.kinds import KINDS
from coldchain.papers.templates import csv_template, xlsx_template
from coldchain.services.app_ports import AppPorts
from coldchain.services.principals import Principal

KindName = Literal[
    "declaration",
    "packing-list",
    "tally",
    "receipt",
    "dispatch",
    "sale",
    "stock-count",
    "opening-stock",
    "temperatures",
    "exception-claims",
]
_SHEET = Body(media_type="application/octet-stream", description="The file: XLSX or CSV, at most 5 MB.")
_TYPES = {"xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "csv": "text/csv"}
_FILES: dict[int | str, dict[str, Any]] = {
    200: {"content": {media_type: {"schema": {"type": "string", "format": "binary"}} for media_type in _TYPES.values()}}
}


class Wanted(BaseModel):
    """How a file is to be taken."""

    kind: KindName
    preview: bool = False
    rows: Literal["all", "good"] = "all"
    transcribed: bool = False


class Fault(BaseModel):
    cell: str
    row: int
    field: str
    value: str
    reason: str


class Contradiction(BaseModel):
    rows: list[int]
    what: str


class Import(BaseModel):
    """What a file says, and what was recorded of it: nothing where rows are at fault and all were wanted."""

    kind: str
    sheet: str
    sha256: str
    heading_row: int
    columns: dict[str, str]
    ignored: list[str]
    rows: int
    good: int
    held: list[int]
    faults: list[Fault]
    contradictions: list[Contradiction]
    facts: int
    recorded: int
    known: int
    entries: list[int]


class KeptMap(BaseModel):
    n: int
    """Its version; 0: none was kept, the headings of the templates alone are known."""
    map: dict[str, Any]


def router(ports: AppPorts) -> APIRouter:
    """Every route by which sheets come in."""
    routes = APIRouter(prefix="/v1", tags=["imports"])
    captures = anybody(ports.access, "capture")

    @routes.post("/imports")
    def import_sheet(
        query: Annotated[Wanted, Query()], sheet: Annotated[bytes, _SHEET], principal: Principal = Depends(captures)
    ) -> Import:
        """Preview or record a sheet. The same file again records nothing and answers with the entries it has."""
        grade = "transcribed" if query.transcribed else "declared"
        return Import(**ports.import_sheet(principal, sheet, query.kind, grade, query.rows, query.preview))

    @routes.get("/import-maps/{kind}")
    def get_map(kind: Annotated[KindName, Path()], principal: Principal = Depends(captures)) -> KeptMap:
        """How the sender's sheets of this kind are read."""
        n, stated = ports.import_map(principal, kind, None)
        return KeptMap(n=n, map=dict(stated))

    @routes.put("/import-maps/{kind}")
    def put_map(
        kind: Annotated[KindName, Path()],
        chart: Annotated[dict[str, Any], Body(description="Columns, constants, zone, … (docs/imports.md).")],
        principal: Principal = Depends(captures),
    ) -> KeptMap:
        """From now on the sender's sheets of this kind are read so."""
        n, stated = ports.import_map(principal, kind, {**chart, "kind": kind})
        return KeptMap(n=n, map=dict(stated))

    @routes.get(
        "/import-templates/{kind}.{form}",
        response_class=Response,
        responses=_FILES,
        dependencies=[Depends(captures)],
    )
    def get_template(
        kind: Annotated[KindName, Path()],
        form: Annotated[Literal["xlsx", "csv"], Path()],
        lang: Literal["en", "zh"] = "en",
    ) -> Response:
        """An empty sheet to fill in."""
        written = (xlsx_template if form == "xlsx" else csv_template)(KINDS[kind], lang)
        name = f'attachment; filename="{kind}-{lang}.{form}"'
        return Response(written, media_type=_TYPES[form], headers={"content-disposition": name})

    return routes
