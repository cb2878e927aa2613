"""Rows of the `verdict` table as continuity keeps them; only rows that differ are written."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Table, and_, delete, insert, select

from coldchain.db import queries_events as q
from coldchain.db.lanes import mark_rows
from coldchain.db.tables.events import continuity_deadline, unit_segment
from coldchain.db.tables.verdicts import verdict
from coldchain.domain.findings import Judgement
from coldchain.domain.segments import Segment
from coldchain.projections.events import weakest
from coldchain.services.chores import canonical

SOURCE = "continuity"
Row = dict[str, Any]
"""A verdict, and beside its columns `due_us`."""
Key = tuple[Any, ...]


def verdict_row(one: Judgement, grades: Iterable[str], entries: Iterable[int]) -> Row:
    """grades, entries: of the evidence beside claims, rulings and the question."""
    it = one.opportunity
    return {
        "source": SOURCE,
        "rule": one.rule,
        "subject": it.subject,
        "channel": it.channel,
        "from_us": it.from_us,
        "to_us": it.to_us,
        "verdict": one.verdict,
        "state": one.state,
        "detail": canonical(one.detail()).decode(),
        "weakest_grade": weakest([*grades, *one.grades]),
        "basis_index": json.dumps(sorted({*entries, *one.entries})),
        "due_us": one.due_us,
    }


def replace_verdicts(
    connection: Connection, subjects: Iterable[str], after: Sequence[Row], mine: Callable[[Row], bool]
) -> list[Row]:
    """Bring the subjects' rows for which `mine` holds, and their deadlines, to those given; the rows that differ, old
    and new."""
    before = {_key(row): row for row in q.verdicts(connection, subjects, SOURCE) if mine(row)}
    wanted = {_key(row): row for row in after}
    gone = [row for key, row in before.items() if key not in wanted or _columns(wanted[key]) != row]
    fresh = [row for key, row in wanted.items() if before.get(key) != _columns(row)]
    for row in gone:
        connection.execute(delete(verdict).where(and_(*(c == row[c.name] for c in verdict.primary_key.columns))))
    if fresh:
        connection.execute(insert(verdict), [_columns(row) for row in fresh])
    mark_rows(connection, gone + fresh)
    _replace_deadlines(connection, [*before.values()], after)
    return gone + fresh


def _key(row: Mapping[str, Any]) -> Key:
    return tuple(row[column.name] for column in verdict.primary_key.columns)


def _columns(row: Row) -> Row:
    return {name: value for name, value in row.items() if name != "due_us"}


def _replace_deadlines(connection: Connection, before: Iterable[Row], after: Iterable[Row]) -> None:
    c = continuity_deadline.c
    names = ("subject", "rule", "channel", "from_us")
    keys = {tuple(row[name] for name in names) for row in before}
    for key in sorted(keys):
        connection.execute(
            delete(continuity_deadline).where(and_(*(c[n] == v for n, v in zip(names, key, strict=True))))
        )
    rows = [{name: row[name] for name in (*names, "due_us")} for row in after if row["due_us"] is not None]
    if rows:
        connection.execute(insert(continuity_deadline), rows)


def replace_segments(connection: Connection, found: Mapping[str, Sequence[Segment]]) -> None:
    """Bring the segments of these units to those given."""
    c = unit_segment.c
    known: dict[str, list[Row]] = {}
    for part in q.chunks(found):
        for row in connection.execute(select(unit_segment).where(c.unit.in_(part)).order_by(c.from_us)):
            known.setdefault(row.unit, []).append(dict(row._mapping))
    wanted = {unit: [_segment_row(segment) for segment in its] for unit, its in found.items()}
    changed = [unit for unit, rows in wanted.items() if rows != known.get(unit, [])]
    _clear(connection, unit_segment, "unit", changed)
    rows = [row for unit in changed for row in wanted[unit]]
    if rows:
        connection.execute(insert(unit_segment), rows)


def _segment_row(segment: Segment) -> Row:
    return {**segment._asdict(), "because": json.dumps(segment.because)}


def _clear(connection: Connection, table: Table, column: str, values: Iterable[str]) -> None:
    for part in q.chunks(values):
        connection.execute(delete(table).where(table.c[column].in_(part)))
