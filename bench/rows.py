"""What is reported: one line for each measured thing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One measured thing. `target` says what is to be reached; `met` whether it was, None where nothing is asked."""

    name: str
    value: float
    unit: str
    reference: str = ""
    """What `ratio` is to, measured in the same run."""
    reference_value: float | None = None
    ratio: float | None = None
    target: str = ""
    met: bool | None = None
    note: str = ""


def table(rows: Sequence[Row]) -> str:
    """Aligned columns, the note of a row below it; a mark before the target says whether it was met."""
    heads = ("", "value", "unit", "ratio", "to", "target")
    lines = [heads] + [
        (
            row.name,
            f"{row.value:,.0f}" if row.value >= 100 else f"{row.value:,.2f}",
            row.unit,
            "" if row.ratio is None else f"{row.ratio:.2f}",
            row.reference + (f" {row.reference_value:,.0f}" if row.reference_value is not None else ""),
            row.target if row.met is None else f"{'✓' if row.met else '✗'} {row.target}",
        )
        for row in rows
    ]
    widths = [max(len(line[column]) for line in lines) for column in range(len(heads))]
    printed = []
    for line, note in zip(lines, ["", *(row.note for row in rows)], strict=True):
        cells = (
            cell.rjust(width) if column in (1, 3) else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        printed += ["  ".join(cells).rstrip(), *([f"    {note}"] if note else [])]
    return "\n".join(printed)
