"""Empty sheets with the headings an import knows, in English or Chinese."""

from __future__ import annotations

import csv
import io
from typing import Literal

from coldchain.domain.imports.kinds import Kind

Language = Literal["en", "zh"]
_WIDTH = 18
_WORDS = {
    "en": ("How to fill it in", "Column", "Field", "Needed", "yes", "at least one of"),
    "zh": ("填写说明", "列名", "字段", "必填", "是", "至少填一项"),
}


def headings(kind: Kind, language: Language) -> list[str]:
    """Of every field, in order."""
    return [field.headings[0 if language == "en" else 1] for field in kind.fields]


def csv_template(kind: Kind, language: Language) -> bytes:
    """One line of headings; UTF-8 with a byte order mark, which spreadsheet programs need for Chinese."""
    out = io.StringIO(newline="")
    csv.writer(out).writerow(headings(kind, language))
    return out.getvalue().encode("utf-8-sig")


def xlsx_template(kind: Kind, language: Language) -> bytes:
    """A sheet of headings, the needed ones bold, and a second one that says what belongs where."""
    from openpyxl import Workbook
    from openpyxl.styles import Font
    from openpyxl.utils import get_column_letter

    book = Workbook()
    sheet = book.worksheets[0]
    sheet.title = kind.title_en if language == "en" else kind.title_zh
    sheet.append(headings(kind, language))
    for place, field in enumerate(kind.fields, 1):
        sheet.cell(1, place).font = Font(bold=field.required)
        sheet.column_dimensions[get_column_letter(place)].width = _WIDTH
    sheet.freeze_panes = "A2"
    title, *words, needed, either = _WORDS[language]
    notes = book.create_sheet(title)
    notes.append(words)
    for field, heading in zip(kind.fields, headings(kind, language), strict=True):
        notes.append([heading, field.name, needed if field.required else ""])
    for group in kind.any_of:
        notes.append([f"{either}: {', '.join(group)}"])
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()
