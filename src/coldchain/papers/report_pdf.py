"""Reports as PDF: tables, a chart, page numbers, the ledger's receipt and the address to check it at."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import pairwise
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape

from coldchain.papers.qr import qr_drawing
from coldchain.papers.report_words import Issue, Language, Sheet, Words, head, sheets

if TYPE_CHECKING:
    from reportlab.graphics.shapes import Drawing
    from reportlab.platypus import Flowable

_CHINESE = "STSong-Light"
"""One of the Chinese fonts every PDF reader brings along, so none is shipped here."""
_SMALL, _BODY, _HEAD = 6.5, 9, 12
_CHART = 720, 190
"""Points, width and height."""
_COLOURS = ("#1f5fa8", "#b4541a", "#2c7a4b", "#7a3b8f", "#8a6d00", "#a0243f")
MOST_ROWS = 400
"""Of a table; the spreadsheet has all of them."""


def report_pdf(document: Mapping[str, Any], language: Language, issue: Issue | None) -> bytes:
    """Landscape A4. The same document gives the same bytes."""
    from reportlab.lib.pagesizes import A4, landscape
    from reportlab.lib.styles import ParagraphStyle
    from reportlab.lib.units import mm
    from reportlab.pdfbase import pdfmetrics
    from reportlab.pdfbase.cidfonts import UnicodeCIDFont
    from reportlab.platypus import Paragraph, Preformatted, SimpleDocTemplate, Spacer

    words = Words(language)
    pdfmetrics.registerFont(UnicodeCIDFont(_CHINESE))
    body = ParagraphStyle("body", fontName=_CHINESE, fontSize=_BODY, leading=_BODY * 1.4)
    heading = ParagraphStyle(
        "head", parent=body, fontSize=_HEAD, leading=_HEAD * 1.4, spaceBefore=8, spaceAfter=4, keepWithNext=1
    )
    story: list[Flowable] = [Paragraph(words("title"), heading)]
    story += [Paragraph(f"{escape(label)}: {escape(text)}", body) for label, text in head(words, document, issue)]
    story += [Paragraph(words("chart"), heading), *_charts(document)]
    for sheet in sheets(words, document):
        story += [Paragraph(escape(sheet.title), heading), _table(words, sheet)]
        if len(sheet.rows) > MOST_ROWS:
            story.append(Paragraph(words("cut", shown=MOST_ROWS, total=len(sheet.rows)), body))
    if issue is not None:
        mono = ParagraphStyle("mono", fontName="Courier", fontSize=_SMALL, leading=_SMALL * 1.3)
        story += [
            Paragraph(words("receipt"), heading),
            Paragraph(words("proof", entry=issue.entry), body),
            Spacer(1, 6),
        ]
        story.append(Preformatted(issue.receipt, mono))
        story += [Spacer(1, 6), qr_drawing(issue.check, 28 * mm), Paragraph(escape(issue.check), body)]
    out = io.BytesIO()
    margin = 14 * mm
    pages = SimpleDocTemplate(
        out,
        pagesize=landscape(A4),
        leftMargin=margin,
        rightMargin=margin,
        topMargin=margin,
        bottomMargin=margin,
        title=f"{words('title')} {document['about']}",
        invariant=1,
    )
    pages.build(story, canvasmaker=_numbered(words))
    return out.getvalue()


def _numbered(words: Words) -> Any:
    """A canvas that writes page n of m once it knows m."""
    from reportlab.lib.units import mm
    from reportlab.pdfgen.canvas import Canvas

    class Numbered(Canvas):
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            self._drawn: list[dict[str, Any]] = []

        def showPage(self) -> None:  # noqa: N802 - reportlab's name
            self._drawn.append(dict(self.__dict__))
            self._startPage()  # type: ignore[attr-defined]

        def save(self) -> None:
            for number, page in enumerate(self._drawn, 1):
                self.__dict__.update(page)
                self.setFont(_CHINESE, 8)
                width, _ = self._pagesize  # type: ignore[attr-defined]
                self.drawRightString(width - 14 * mm, 7 * mm, _page(words, number, len(self._drawn)))
                super().showPage()
            super().save()

    return Numbered


def _page(words: Words, number: int, total: int) -> str:
    return f"第 {number} 页 / 共 {total} 页" if words.language == "zh" else f"Page {number} of {total}"


def _table(words: Words, sheet: Sheet) -> Flowable:
    from reportlab.lib import colors
    from reportlab.lib.styles import ParagraphStyle
    from reportlab.platypus import Paragraph, Table

    cell = ParagraphStyle("cell", fontName=_CHINESE, fontSize=_SMALL, leading=_SMALL * 1.25, wordWrap="CJK")
    if not sheet.rows:
        return Paragraph(words("none"), cell)
    rows = [sheet.columns, *sheet.rows[:MOST_ROWS]]
    told = [[Paragraph("" if value is None else escape(str(value)), cell) for value in row] for row in rows]
    table = Table(told, repeatRows=1, hAlign="LEFT", colWidths=_widths(rows))
    table.setStyle([("GRID", (0, 0), (-1, -1), 0.25, colors.grey), ("BACKGROUND", (0, 0), (-1, 0), colors.whitesmoke)])
    return table


def _widths(rows: Sequence[Sequence[object]]) -> list[float]:
    """Points, by what is in the columns, as wide as the page."""
    longest = [min(40, max(4, *(len(str(row[place])) for row in rows))) for place in range(len(rows[0]))]
    return [length * 760 / sum(longest) for length in longest]


def _charts(document: Mapping[str, Any]) -> list[Flowable]:
    """One for each place, with the limits that judged there."""
    limits = sorted({rule["limit_mc"] / 1000 for rule in document["rules"]})
    found: list[Flowable] = []
    for stay in document["stays"]:
        lines = [
            one
            for one in document["chart"]
            if one["place"] == stay["place"] and one["points"] and stay["from"] <= one["points"][0]["t"] <= stay["to"]
        ]
        if lines:
            found.append(_chart(stay, lines, limits))
    return found


def _chart(stay: Mapping[str, Any], lines: Sequence[Mapping[str, Any]], limits: Sequence[float]) -> Drawing:
    """Each probe's coldest and warmest in every step as a vertical stroke, joined where nothing is missing between."""
    from reportlab.graphics.shapes import Drawing, Line, String
    from reportlab.lib.colors import HexColor, grey, red

    (width, height), left, bottom = _CHART, 40, 24
    begin, end = (_seconds(stay[name]) for name in ("from", "to"))
    values: list[float] = [
        mc / 1000 for line in lines for one in line["points"] for mc in (one["min_mc"], one["max_mc"])
    ] + list(limits)
    low, high = min(values) - 1, max(values) + 1

    def x(t_s: float) -> float:
        return left + (t_s - begin) / max(1.0, end - begin) * (width - left - 10)

    def y(celsius: float) -> float:
        return bottom + (celsius - low) / (high - low) * (height - bottom - 20)

    drawing = Drawing(width, height)
    drawing.add(Line(left, bottom, left, height - 20, strokeColor=grey))
    drawing.add(Line(left, bottom, width - 10, bottom, strokeColor=grey))
    for limit in limits:
        drawing.add(Line(left, y(limit), width - 10, y(limit), strokeColor=red, strokeDashArray=[4, 3]))
    for celsius in {min(values), max(values), *limits}:
        drawing.add(String(2, y(celsius) - 3, f"{celsius:.1f}", fontSize=7))
    drawing.add(String(left, 10, stay["from"], fontSize=7))
    drawing.add(String(width - 10, 10, stay["to"], fontSize=7, textAnchor="end"))
    drawing.add(String(left, height - 10, stay["place"], fontSize=8))
    for place, line in enumerate(lines):
        colour = HexColor(_COLOURS[place % len(_COLOURS)])
        label = f"{line['device']} {line['probe']}"
        drawing.add(String(left + 120 + 150 * place, height - 10, label, fontSize=7, fillColor=colour))
        for stroke in _strokes(line["points"], (end - begin) / 100):
            drawing.add(
                Line(x(stroke[0]), y(stroke[1]), x(stroke[2]), y(stroke[3]), strokeColor=colour, strokeWidth=0.8)
            )
    return drawing


def _strokes(points: Sequence[Mapping[str, Any]], longest_s: float) -> list[tuple[float, float, float, float]]:
    """(x, y, x, y) in seconds and °C; nothing across a silence longer than that."""
    read = [(_seconds(one["t"]), one["min_mc"] / 1000, one["max_mc"] / 1000) for one in points]
    found = [(t_s, low, t_s, high) for t_s, low, high in read if low < high]
    for (before_s, _, before), (after_s, _, after) in pairwise(read):
        if after_s - before_s <= longest_s:
            found.append((before_s, before, after_s, after))
    return found


def _seconds(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp()
