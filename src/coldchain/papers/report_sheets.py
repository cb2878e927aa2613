"""Reports as CSV and XLSX."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from typing import Any

from coldchain.papers.report_words import Issue, Language, Words, head, sheets

_WIDTH = 18
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_TITLE_MOST = 31
"""Characters of a sheet's name in XLSX."""


def report_csv(document: Mapping[str, Any], language: Language, issue: Issue | None) -> bytes:
    """Its tables one under the other, each under its title; UTF-8 with a byte order mark, as spreadsheet programs need
    it for Chinese."""
    words = Words(language)
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow([words("title")])
    writer.writerows(head(words, document, issue))
    for sheet in sheets(words, document):
        writer.writerows([[], [sheet.title], sheet.columns])
        writer.writerows([[_inert(cell) for cell in row] for row in sheet.rows])
    return out.getvalue().encode("utf-8-sig")


def report_xlsx(document: Mapping[str, Any], language: Language, issue: Issue | None) -> bytes:
    """A sheet of what it is about, and one for each table."""
    from openpyxl import Workbook
    from openpyxl.styles import Font
    from openpyxl.utils import get_column_letter

    words = Words(language)
    book = Workbook()
    first = book.worksheets[0]
    first.title = words("title")
    for line in head(words, document, issue):
        first.append(line)
    first.column_dimensions["A"].width, first.column_dimensions["B"].width = _WIDTH, 4 * _WIDTH
    for table in sheets(words, document):
        sheet = book.create_sheet(table.title[:_TITLE_MOST])
        sheet.append(list(table.columns))
        for row in table.rows:
            sheet.append([_inert(cell) for cell in row])
        for place in range(1, len(table.columns) + 1):
            sheet.cell(1, place).font = Font(bold=True)
            sheet.column_dimensions[get_column_letter(place)].width = _WIDTH
        sheet.freeze_panes = "A2"
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def _inert(cell: object) -> object:
    """A name that a spreadsheet program would run as a formula is text."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA) else cell
