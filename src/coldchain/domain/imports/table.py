"""A sheet as it came: rows of cells with their addresses."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import NamedTuple

Cell = str | Decimal | bool | datetime | date | None
"""Numbers are exact, finite decimals; None is an empty cell."""


class Row(NamedTuple):
    """number: as the spreadsheet counts, from 1."""

    number: int
    cells: tuple[Cell, ...]

    @property
    def empty(self) -> bool:
        return all(cell is None or cell == "" for cell in self.cells)


class Table(NamedTuple):
    """One sheet. rows: every row of it, headings included."""

    sheet: str
    rows: tuple[Row, ...]


def column_name(place: int) -> str:
    """The letters of a column counted from 0: A, B … Z, AA …"""
    name, rest = "", place + 1
    while rest:
        rest, letter = divmod(rest - 1, 26)
        name = chr(65 + letter) + name
    return name


def cell_name(row: int, place: int) -> str:
    """The address a person looks for: `C7`."""
    return f"{column_name(place)}{row}"
