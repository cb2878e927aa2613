"""Strips of time: what a unit's verdicts were, drawn to scale on the server."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from coldchain.web.status import look_of

WIDTH = 1_000
LEAST = 3
"""Units of the drawing: an instant still shows."""


class Span(NamedTuple):
    """One state from one time to another; to_us None: as far as the strip goes."""

    from_us: int
    to_us: int | None
    word: str


class Box(NamedTuple):
    x: float
    width: float
    tone: str
    span: Span


def boxes(spans: Iterable[Span], from_us: int, to_us: int) -> list[Box]:
    """The spans inside [from_us, to_us), in the order given, so that later ones lie on top."""
    length = max(1, to_us - from_us)
    found = []
    for span in spans:
        begun = max(span.from_us, from_us)
        ended = to_us if span.to_us is None else min(span.to_us, to_us)
        if begun < ended or (begun == ended and from_us <= begun):
            x = (begun - from_us) * WIDTH / length
            width = max(LEAST, (ended - begun) * WIDTH / length)
            found.append(Box(round(min(x, WIDTH - width), 1), round(width, 1), look_of(span.word).tone, span))
    return found


def extent(spans: Sequence[Span], end_us: int) -> tuple[int, int]:
    """From the first beginning to the last end."""
    begun = min(span.from_us for span in spans)
    return begun, max(begun + 1, *(end_us if span.to_us is None else span.to_us for span in spans))
