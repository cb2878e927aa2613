"""Labels for pallets without an SSCC: one A6 page each, a QR code and the same in letters (domain §2)."""

from __future__ import annotations

import io
from collections.abc import Sequence

from coldchain.domain.identifiers import uri
from coldchain.papers.qr import qr_drawing

MAX_LABELS = 1_000
_FONT = "STSong-Light"
"""One of the Chinese fonts every PDF reader brings along, so none is shipped here."""
_NOTICE = "不倒托 不倒箱   do not re-palletize, do not re-box"


def label_pdf(units: Sequence[str]) -> bytes:
    """units: subject names, `hu:acme/P-7K3M9QX2`. The QR code holds the URI that every scan and import here takes."""
    from reportlab.graphics import renderPDF
    from reportlab.lib.pagesizes import A6
    from reportlab.lib.units import mm
    from reportlab.pdfbase import pdfmetrics
    from reportlab.pdfbase.cidfonts import UnicodeCIDFont
    from reportlab.pdfgen.canvas import Canvas

    pdfmetrics.registerFont(UnicodeCIDFont(_FONT))
    out = io.BytesIO()
    page = Canvas(out, pagesize=A6, invariant=True)
    width, height = A6
    for unit in units:
        side = 76 * mm
        renderPDF.draw(qr_drawing(uri(unit), side), page, (width - side) / 2, height - 14 * mm - side)
        kind, _, name = unit.partition(":")
        page.setFont("Helvetica-Bold", _fitting(name))
        page.drawCentredString(width / 2, 36 * mm, name)
        page.setFont("Helvetica", 9)
        page.drawCentredString(width / 2, 28 * mm, f"{kind}:{name}")
        page.setFont(_FONT, 10)
        page.drawCentredString(width / 2, 16 * mm, _NOTICE)
        page.showPage()
    page.save()
    return out.getvalue()


def _fitting(name: str) -> int:
    """Points, so that the name stays on the page."""
    return max(8, min(22, 480 // max(1, len(name))))
