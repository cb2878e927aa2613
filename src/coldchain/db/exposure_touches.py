"""Handing over from the projections that read telemetry and containment to the one that judges goods by both."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from sqlalchemy import Connection, delete

from coldchain.db.bulk import fetch, put_rows
from coldchain.db.tables.exposure import exposure_touched, kinetic_window

TOLD = "told"
MOVED = "moved"
COUNTED = "counted"
Spans = Mapping[str, tuple[int, int]]
_WIDER = (
    "ON CONFLICT (subject, how) DO UPDATE SET"
    " from_us = CASE WHEN excluded.from_us < exposure_touched.from_us"
    " THEN excluded.from_us ELSE exposure_touched.from_us END,"
    " to_us = CASE WHEN excluded.to_us > exposure_touched.to_us THEN excluded.to_us ELSE exposure_touched.to_us END"
)


class Touched(NamedTuple):
    """By subject: from when to when something may be otherwise than it was judged."""

    told: dict[str, tuple[int, int]]
    moved: dict[str, tuple[int, int]]
    counted: dict[str, tuple[int, int]]


def touch(connection: Connection, how: str, spans: Spans) -> None:
    """Belongs into the transaction that changes them: a crash then loses neither or both."""
    put_rows(connection, exposure_touched, [(name, how, *span) for name, span in spans.items()], _WIDER)


def take_touched(connection: Connection) -> Touched:
    """All that waits; nothing does afterwards."""
    found = Touched({}, {}, {})
    by_how = {TOLD: found.told, MOVED: found.moved, COUNTED: found.counted}
    for subject, how, from_us, to_us in fetch(connection, "SELECT subject, how, from_us, to_us FROM exposure_touched"):
        by_how[how][subject] = from_us, to_us
    if any(found):
        connection.execute(delete(exposure_touched))
    return found


def kinetic_windows(connection: Connection) -> dict[str, tuple[int, int]]:
    """By place: when whatever is told of it counts for a mean kinetic temperature that may exceed its limit."""
    rows = fetch(connection, "SELECT place, from_us, to_us FROM kinetic_window")
    return {place: (from_us, to_us) for place, from_us, to_us in rows}


def put_kinetic_windows(connection: Connection, spans: Spans) -> None:
    put_rows(connection, kinetic_window, [(place, *span) for place, span in spans.items()])


def widen(spans: dict[str, tuple[int, int]], name: str, from_us: int, to_us: int) -> None:
    """The span of a name covers this one too."""
    known = spans.get(name, (from_us, to_us))
    spans[name] = min(known[0], from_us), max(known[1], to_us)
