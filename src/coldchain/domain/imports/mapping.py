"""Which column of a sender's sheet is which field: written once, kept, used for every sheet after."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping as MappingOf
from dataclasses import dataclass, field
from datetime import timedelta, timezone
from typing import Any

from coldchain.domain.imports.cells import LOCALE, Locale, text
from coldchain.domain.imports.kinds import KINDS, Kind
from coldchain.domain.imports.table import Row, Table, column_name

EVIDENCE = "evidence."
"""Columns of claims: `evidence.office` is the field `office` of a claim's evidence."""
MAX_HEADING_ROW = 30
_KNOWN = {"kind", "columns", "constants", "sheet", "heading_row", "zone", "dates", "decimal_comma"}


class MappingError(ValueError):
    """A map that says nothing usable, or a sheet it does not fit; the text names the entry and what was expected."""


@dataclass(frozen=True, slots=True)
class Mapping:
    """How one sender's sheets of one kind are read."""

    kind: Kind
    columns: MappingOf[str, str] = field(default_factory=dict)
    """Heading as the sheet has it -> field. Headings it does not name are recognised by those of the kind."""
    constants: MappingOf[str, str] = field(default_factory=dict)
    """Field -> what every row says that leaves it empty."""
    sheet: str = ""
    """Empty: the first sheet."""
    heading_row: int = 0
    """0: the first row in which at least two headings are known."""
    locale: Locale = LOCALE

    def stated(self) -> dict[str, Any]:
        """As `parse_mapping` reads it: what is kept."""
        minutes = int((self.locale.zone.utcoffset(None) or timedelta()).total_seconds()) // 60
        return {
            "kind": self.kind.name,
            "columns": dict(self.columns),
            "constants": dict(self.constants),
            "sheet": self.sheet,
            "heading_row": self.heading_row,
            "zone": f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}",
            "dates": self.locale.order,
            "decimal_comma": self.locale.decimal_comma,
        }


def kind_named(name: Any) -> Kind:
    """Raises MappingError with the names there are."""
    if not isinstance(name, str) or name not in KINDS:
        raise MappingError(f"kind: expected one of {', '.join(KINDS)}, found {name!r}")
    return KINDS[name]


def parse_mapping(body: Any) -> Mapping:
    """A map from its JSON or TOML form. Raises MappingError."""
    if not isinstance(body, dict):
        raise MappingError(f"expected an object with kind and columns, found {type(body).__name__}")
    if unknown := sorted(set(body) - _KNOWN):
        raise MappingError(f"{unknown[0]}: expected one of {', '.join(sorted(_KNOWN))}")
    kind = kind_named(body.get("kind"))
    columns, constants = _texts(body, "columns"), _texts(body, "constants")
    for heading, name in columns.items():
        _check_field(kind, name, f"columns.{heading}")
    for name in constants:
        _check_field(kind, name, f"constants.{name}")
    heading_row = body.get("heading_row", 0)
    if type(heading_row) is not int or not 0 <= heading_row <= MAX_HEADING_ROW:
        raise MappingError(f"heading_row: expected 0 to {MAX_HEADING_ROW}, found {heading_row!r}")
    comma = body.get("decimal_comma", False)
    if not isinstance(comma, bool):
        raise MappingError(f"decimal_comma: expected true or false, found {comma!r}")
    order = body.get("dates", "ymd")
    if order not in ("ymd", "dmy", "mdy"):
        raise MappingError(f"dates: expected ymd, dmy or mdy, found {order!r}")
    sheet = body.get("sheet", "")
    if not isinstance(sheet, str):
        raise MappingError(f"sheet: expected the name of a sheet, found {sheet!r}")
    return Mapping(
        kind, columns, constants, sheet, heading_row, Locale(_zone(body.get("zone", "+08:00")), order, comma)
    )


@dataclass(frozen=True, slots=True)
class Layout:
    """Where a sheet has what."""

    heading_row: int
    """As the spreadsheet counts, from 1; rows after it are data."""
    places: MappingOf[str, int]
    """Field -> column, from 0."""
    ignored: tuple[str, ...]
    """Headings that mean nothing to us, `column: heading`."""


def layout(mapping: Mapping, table: Table) -> Layout:
    """Finds the headings. Raises MappingError where a required field has neither a column nor a constant."""
    known = {_folded(heading): one.name for one in mapping.kind.fields for heading in (one.name, *one.headings)}
    known |= {_folded(heading): name for heading, name in mapping.columns.items()}
    row = _heading_row(mapping, table, known)
    places: dict[str, int] = {}
    ignored = []
    for place, cell in enumerate(row.cells):
        heading = _heading(cell)
        name = known.get(_folded(heading)) or (heading if _is_evidence(mapping.kind, heading) else None)
        if name is None or name in places:
            ignored += [f"{column_name(place)}: {heading}"] if heading else []
        else:
            places[name] = place
    for one in mapping.kind.fields:
        if one.required and one.name not in places and one.name not in mapping.constants:
            raise MappingError(
                f"row {row.number} of sheet {table.sheet!r} has no column for {one.name}:"
                f" expected a heading such as {one.headings[0]} or {one.headings[1]}, or one the map names"
            )
    return Layout(row.number, places, tuple(ignored))


def _heading_row(mapping: Mapping, table: Table, known: MappingOf[str, str]) -> Row:
    """A title and an address often stand above the headings."""
    for row in table.rows[:MAX_HEADING_ROW]:
        if mapping.heading_row:
            if row.number == mapping.heading_row:
                return row
        elif len({known[name] for cell in row.cells if (name := _folded(_heading(cell))) in known}) >= 2:
            return row
    wanted = ", ".join(one.headings[0] for one in mapping.kind.fields if one.required)
    where = f"row {mapping.heading_row}" if mapping.heading_row else f"one of the first {MAX_HEADING_ROW} rows"
    raise MappingError(f"sheet {table.sheet!r}: expected headings such as {wanted} in {where}")


def _heading(cell: Any) -> str:
    return cell.strip() if isinstance(cell, str) else ""


def _folded(heading: str) -> str:
    """Headings are one whether they say `Net weight kg`, `net weight (KG) *` or write it full-width."""
    return re.sub(r"[\s()（）\[\].:：*/_-]+", "", unicodedata.normalize("NFKC", heading)).casefold()


def _is_evidence(kind: Kind, heading: str) -> bool:
    return kind.name == "exception-claims" and re.fullmatch(r"evidence\.[a-z_]{1,40}", heading) is not None


def _check_field(kind: Kind, name: str, where: str) -> None:
    if kind.field(name) is None and not _is_evidence(kind, name):
        fields = ", ".join(one.name for one in kind.fields)
        raise MappingError(f"{where}: expected a field of {kind.name} ({fields}), found {name!r}")


def _texts(body: MappingOf[str, Any], name: str) -> dict[str, str]:
    values = body.get(name, {})
    if not isinstance(values, dict) or not all(isinstance(value, str) for value in values.values()):
        raise MappingError(f"{name}: expected an object of texts, found {values!r}")
    for value in values.values():
        text(value, LOCALE)
    return values


def _zone(stated: Any) -> timezone:
    match = re.fullmatch(r"([+-])([01][0-9]):([0-5][0-9])", stated) if isinstance(stated, str) else None
    if match is None or (minutes := int(match[2]) * 60 + int(match[3])) > 14 * 60:
        raise MappingError(f"zone: expected an offset such as +08:00, found {stated!r}")
    return timezone(timedelta(minutes=-minutes if match[1] == "-" else minutes))
