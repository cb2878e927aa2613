"""Rows of the `verdict` table about goods; only rows that differ are written."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection

from coldchain.db import queries_events as q
from coldchain.db.bulk import append_rows, remove_rows
from coldchain.db.lanes import mark_rows
from coldchain.db.queries_containment import contents_at
from coldchain.db.tables.verdicts import verdict
from coldchain.domain.exposure import Span, Stay, Watch
from coldchain.domain.rulepacks import Budget, RulePack
from coldchain.projections.events import weakest
from coldchain.projections.series import PROBES, readings
from coldchain.services.chores import canonical

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


def breach(
    connection: Connection,
    pack: RulePack,
    ending: str,
    subject: str,
    channel: str,
    from_us: int,
    told: Mapping[str, Any],
    *,
    warm: Iterable[Span],
    stays: Iterable[Stay],
    watches: Sequence[Watch],
) -> Row:
    """A breach of the pack from that moment, for as long as the goods are anywhere. told: what its detail says beside
    the pack; warm, stays, watches: what it rests on."""
    said = {"pack": pack.name, "version": pack.version, "verified": pack.verified, "severity": "alarm", **told}
    return {
        "source": SOURCE,
        "rule": pack.name + ending,
        "subject": subject,
        "channel": channel,
        "from_us": from_us,
        "to_us": None,
        "verdict": "breach",
        "state": "open",
        "detail": canonical(said).decode(),
        "weakest_grade": weakest([watch.grade for watch in watches]),
        "basis_index": json.dumps(basis(connection, warm, stays, watches, from_us)),
    }


def affected(connection: Connection, unit: str, t_us: int) -> dict[str, Any]:
    """The unit and what is inside it at that moment, as a breach tells of them."""
    inside = sorted({interval.child for interval in contents_at(connection, unit, t_us)})
    return {"affected": [unit, *inside[: AFFECTED - 1]], "affected_total": 1 + len(inside)}


def limits_of(budget: Budget) -> dict[str, Any]:
    """A budget as a breach of it states it."""
    return {
        "clause": budget.clause,
        "above_mc": budget.above_mc,
        "max_s": budget.max_s,
        "single": budget.single,
    }


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
