"""Rows of the `verdict` table about goods; only rows that differ are written."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from sqlalchemy import Connection

from coldchain.db import queries_events as q
from coldchain.db.bulk import append_rows, remove_rows
from coldchain.db.lanes import mark_rows
from coldchain.db.tables.verdicts import verdict
from coldchain.domain.exposure import Span, Stay, Watch
from coldchain.projections.series import PROBES, readings

SOURCE = "consignment"
BUDGET = " budget"
AFFECTED = 200
"""Units inside that a verdict names; `affected_total` says of how many."""
BASIS = 20
"""Stretches whose first readings a verdict rests on by name."""
Row = dict[str, Any]


def replace_rows(
    connection: Connection, subjects: Iterable[str], mine: Callable[[Row], bool], after: Iterable[Row]
) -> None:
    """The subjects' rows for which `mine` holds are those given, and no others."""
    before = {_key(row): row for row in q.verdicts(connection, subjects, SOURCE) if mine(row)}
    wanted = {_key(row): row for row in after}
    gone = [row for key, row in before.items() if wanted.get(key) != row]
    fresh = [row for key, row in wanted.items() if before.get(key) != row]
    remove_rows(connection, verdict, [_key(row) for row in gone])
    append_rows(connection, verdict, [tuple(row[column.name] for column in verdict.columns) for row in fresh])
    mark_rows(connection, gone + fresh)


def basis(
    connection: Connection, warm: Iterable[Span], stays: Iterable[Stay], watches: Iterable[Watch], until_us: int
) -> list[int]:
    """The entries with the readings that begin the newest warm stretches up to the moment."""
    stays, watches = list(stays), list(watches)
    begun = [span[0] for span in warm if span[0] <= until_us][-BASIS:]
    entries = set()
    for t_us in begun:
        here = next((stay for stay in stays if stay.from_us <= t_us < stay.to_us), Stay("", 0, 0))
        for watch in watches:
            if watch.place == here.place and watch.from_us <= t_us < watch.to_us:
                found = readings(connection, watch.device, t_us, t_us + 1, PROBES)
                entries |= {reading.entry for reading in found if reading.quality in ("", "conflict")}
    return sorted(entries)


def channel_of(above_mc: int, max_s: int, single: bool) -> str:
    return f"{above_mc / 1000:g} °C {max_s // 60} min{' at once' if single else ''}"


def _key(row: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(row[column.name] for column in verdict.primary_key.columns)
