"""Contradictions of containment as verdicts: the record is at odds with itself, which accuses nobody (domain §3).

A unit in two parents is continuity's own question (P6) and a count that differs its P2 and P5; they read the same rows.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, and_, delete, insert

from coldchain.db import queries_containment as q
from coldchain.db.lanes import mark_rows
from coldchain.db.queries_events import events_by_key, verdicts
from coldchain.db.tables.containment import containment_conflict
from coldchain.db.tables.verdicts import verdict
from coldchain.projections.events import weakest
from coldchain.services.chores import canonical

SOURCE = "containment"
VERSION = "containment-2026.1"
OURS = ("never-put-in", "more-out-than-in")
"""Published as `containment <rule>`: suspected only, since a missing scan explains each of them."""
Row = dict[str, Any]


def judge_contradictions(connection: Connection, units: Iterable[str], parents: Iterable[str]) -> None:
    """The verdict rows of these units and parents are those of their contradictions."""
    units, parents = set(units), set(parents)
    subjects = units | parents
    if not subjects:
        return
    c = containment_conflict.c
    found = [row for row in q.conflicts(connection, c.item, units | parents) if row["rule"] == "never-put-in"]
    found += [row for row in q.conflicts(connection, c.parent, subjects) if row["rule"] == "more-out-than-in"]
    stored = events_by_key(connection, (key for row in found for key in row["why"]))
    wanted = {}
    for row in found:
        events = [stored[key] for key in row["why"]]
        one = _row(row, weakest([event.grade for event in events]), [event.entry for event in events])
        wanted[_key(one)] = one
    before = {_key(row): row for row in verdicts(connection, subjects, SOURCE)}
    gone = [row for key, row in before.items() if wanted.get(key) != row]
    for row in gone:
        same = and_(*(column == row[column.name] for column in verdict.primary_key.columns))
        connection.execute(delete(verdict).where(same))
    fresh = [row for key, row in wanted.items() if before.get(key) != row]
    if fresh:
        connection.execute(insert(verdict), fresh)
    mark_rows(connection, gone + fresh)


def _row(row: Row, grade: str, entries: Iterable[int]) -> Row:
    of_unit = row["rule"] == "never-put-in"
    amounts = ("stated_milli", "least_milli", "most_milli")
    detail = {
        "version": VERSION,
        "parent": row["parent"],
        "lacks": "the event that put it in" if of_unit else "the event that put as much in, or a count",
        **({"unit": row["item"]} if of_unit else {"item": row["item"], "measure": row["measure"]}),
        **({} if of_unit else {name: row[name] for name in amounts}),
    }
    return {
        "source": SOURCE,
        "rule": f"containment {row['rule']}",
        "subject": row["item"] if of_unit else row["parent"],
        "channel": row["parent"] if of_unit else f"{row['item']} {row['measure'][:16]}".strip(),
        "from_us": row["from_us"],
        "to_us": row["to_us"],
        "verdict": "UNOBSERVED",
        "state": "suspected",
        "detail": canonical(detail).decode(),
        "weakest_grade": grade,
        "basis_index": json.dumps(sorted(set(entries))),
    }


def _key(row: Row) -> tuple[Any, ...]:
    return tuple(row[column.name] for column in verdict.primary_key.columns)
