"""A sheet under a map -> typed records, and what is wrong with each cell that gives none."""

from __future__ import annotations

from collections.abc import Mapping as MappingOf
from dataclasses import dataclass
from typing import Any, NamedTuple

from coldchain.domain.identifiers import IdentifierError, plant_lot, subject_name
from coldchain.domain.imports.cells import CellError, text
from coldchain.domain.imports.mapping import EVIDENCE, Layout, Mapping, layout
from coldchain.domain.imports.table import Cell, Row, Table, cell_name


class Fault(NamedTuple):
    """What keeps one row from being recorded."""

    cell: str
    """`C7`; the row's first cell where a whole field is missing."""
    row: int
    field: str
    value: str
    reason: str


class Record(NamedTuple):
    """One good row: only the fields it states."""

    row: int
    values: MappingOf[str, Any]

    def get(self, name: str, default: Any = None) -> Any:
        return self.values.get(name, default)


@dataclass(frozen=True, slots=True)
class Reading:
    """What a sheet says. Rows that are wholly empty are skipped."""

    layout: Layout
    records: tuple[Record, ...]
    faults: tuple[Fault, ...]
    held: tuple[Record, ...]
    """Good lines of a paper that has a line at fault: recorded without it, its totals would be false."""
    rows: int
    """Data rows that are not empty: records, held ones and rows at fault."""


def read_sheet(mapping: Mapping, table: Table) -> Reading:
    """Every row, each on its own. Raises MappingError where the sheet does not fit the map at all."""
    found = layout(mapping, table)
    records: list[Record] = []
    faults: list[Fault] = []
    spoilt: set[tuple[Any, ...]] = set()
    rows = 0
    for row in table.rows:
        if row.number <= found.heading_row or row.empty:
            continue
        rows += 1
        values, wrong = _row(mapping, found, row)
        faults += wrong
        if not wrong:
            records.append(Record(row.number, values))
        elif mapping.kind.totals and not {fault.field for fault in wrong} & set(mapping.kind.paper):
            spoilt.add(_paper(mapping, values))
    held = [record for record in records if _paper(mapping, record.values) in spoilt]
    good = [record for record in records if _paper(mapping, record.values) not in spoilt]
    return Reading(found, tuple(good), tuple(faults), tuple(held), rows)


def _paper(mapping: Mapping, values: MappingOf[str, Any]) -> tuple[Any, ...]:
    return tuple(values.get(name) for name in mapping.kind.paper)


def _row(mapping: Mapping, found: Layout, row: Row) -> tuple[dict[str, Any], list[Fault]]:
    values: dict[str, Any] = {}
    faults: list[Fault] = []
    for one in mapping.kind.fields:
        place = found.places.get(one.name)
        cell = _stated(row, place)
        stated = mapping.constants.get(one.name) if cell is None else cell
        where = cell_name(row.number, place if place is not None else 0)
        if stated is None:
            if one.required:
                faults.append(Fault(where, row.number, one.name, "", "expected a value"))
            continue
        try:
            values[one.name] = one.read(stated, mapping.locale)
        except CellError as error:
            faults.append(Fault(where, row.number, one.name, _shown(stated), str(error)))
    values |= _evidence(mapping, found, row, faults)
    faults += _lacking(mapping, row, values, {fault.field for fault in faults})
    return values, faults


def _stated(row: Row, place: int | None) -> Cell:
    if place is None or place >= len(row.cells):
        return None
    cell = row.cells[place]
    return None if isinstance(cell, str) and not cell.strip() else cell


def _evidence(mapping: Mapping, found: Layout, row: Row, faults: list[Fault]) -> dict[str, Any]:
    """Columns `evidence.<field>` of a claim."""
    evidence: dict[str, str] = {}
    for name, place in found.places.items():
        if name.startswith(EVIDENCE) and (cell := _stated(row, place)) is not None:
            try:
                evidence[name.removeprefix(EVIDENCE)] = text(cell, mapping.locale)
            except CellError as error:
                faults.append(Fault(cell_name(row.number, place), row.number, name, _shown(cell), str(error)))
    return {"evidence": evidence} if evidence else {}


def _lacking(mapping: Mapping, row: Row, values: dict[str, Any], wrong: set[str]) -> list[Fault]:
    """What a row needs of several fields together, and the name of its goods added where it has that; nothing more is
    said of fields already at fault."""
    where = cell_name(row.number, 0)
    faults = [
        Fault(where, row.number, "|".join(group), "", f"expected at least one of {', '.join(group)}")
        for group in mapping.kind.any_of
        if not any(name in values for name in group) and wrong.isdisjoint(group)
    ]
    amount = {"cases", "kg"} & set(values)
    if amount and mapping.kind.field("lot") is not None and wrong.isdisjoint({"gtin", "lot", "plant", "product"}):
        faults += _name_goods(where, row, values)
    return faults


def _name_goods(where: str, row: Row, values: dict[str, Any]) -> list[Fault]:
    """Adds the lot the row is about as `goods`: counted goods need a name (domain §2)."""
    if unnamed := _unnamed(where, row, values):
        return unnamed
    label = values.get("lot") or values["produced"]
    try:
        if "gtin" in values:
            values["goods"] = subject_name(f"lot:{values['gtin']}/{label}")
        else:
            values["goods"] = plant_lot(values["plant"], values["product"], label)
    except IdentifierError as error:
        return [Fault(where, row.number, "lot|produced", str(label), str(error))]
    return []


def _unnamed(where: str, row: Row, values: MappingOf[str, Any]) -> list[Fault]:
    if "lot" not in values and "produced" not in values:
        return [Fault(where, row.number, "lot|produced", "", "expected a lot or a production date as printed")]
    if "gtin" not in values and not {"plant", "product"} <= set(values):
        return [Fault(where, row.number, "gtin|plant+product", "", "expected a GTIN, or plant no. and product")]
    return []


def _shown(cell: Cell) -> str:
    return str(cell)[:80]
