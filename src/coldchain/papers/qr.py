"""QR codes as drawings."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from reportlab.graphics.shapes import Drawing


def qr_drawing(text: str, side: float) -> Drawing:
    """A square of that many points with the code in it, without a quiet zone."""
    import segno
    from reportlab.graphics.shapes import Drawing, Rect

    rows = [list(row) for row in segno.make(text, error="m", micro=False).matrix]
    module = side / len(rows)
    drawing = Drawing(side, side)
    for y, row in enumerate(rows):
        for x, dark in enumerate(row):
            if dark:
                square = Rect(x * module, side - (y + 1) * module, module, module)
                square.strokeColor = None
                drawing.add(square)
    return drawing
