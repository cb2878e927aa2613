"""Verdicts on goods by the temperatures of every place they were in: budgets, pre-cooling, handover (§6).

Follows telemetry and containment: run it after them on the same batch.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection

from coldchain.db import queries_events as q
from coldchain.db.bulk import append_rows, remove_rows
from coldchain.db.exposure_touches import Touched, take_touched
from coldchain.db.lanes import mark_rows
from coldchain.db.queries_containment import contents_at
from coldchain.db.tables.verdicts import verdict
from coldchain.domain.exposure import Stay, common, length
from coldchain.domain.tracing import FOREVER_US
from coldchain.projections.events import weakest
from coldchain.projections.exposures import Exposures
from coldchain.projections.series import PROBES, readings
from coldchain.projections.spending import Outcome, Spending
from coldchain.services.chores import canonical
from coldchain.services.ports import Projection, Recorded

SOURCE = "consignment"
BUDGET = " budget"
AFFECTED = 200
"""Units inside that a verdict names; `affected_total` says of how many."""
BASIS = 20
"""Stretches whose first readings a verdict rests on by name."""
Row = dict[str, Any]


class Consignments(Projection):
    """Fills `verdict` (source `consignment`)."""

    name = "consignment"
    tables: Sequence[str] = ("exposure_touched", "verdict")

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self._spending = Spending()
        self._exposures: Exposures | None = None

    def apply(self, connection: Connection, batch: Sequence[Recorded], ledger_time_us: int) -> None:
        touched = take_touched(connection)
        if not touched.told and not touched.moved:
            return
        if any(to_us >= FOREVER_US for _, to_us in touched.told.values()):
            self._exposures = None  # devices were mounted, or rules recorded
        exposures = self._exposures = Exposures(connection, self._exposures)
        self._judge_budgets(connection, exposures, touched)

    def _judge_budgets(self, connection: Connection, exposures: Exposures, touched: Touched) -> None:
        due = self._spending.due(connection, touched.told, touched.moved)
        found = self._spending.reckon(connection, exposures, due)
        rows = [_budget_row(connection, one) for one in found if one.spent.exceeded_us is not None]
        replace_rows(connection, due.units | touched.moved.keys(), BUDGET, rows)


def replace_rows(connection: Connection, subjects: Iterable[str], rule: str, after: Iterable[Row]) -> None:
    """The subjects' rows of this sort of rule are those given, and no others."""
    before = {_key(row): row for row in q.verdicts(connection, subjects, SOURCE) if row["rule"].endswith(rule)}
    wanted = {_key(row): row for row in after}
    gone = [row for key, row in before.items() if wanted.get(key) != row]
    fresh = [row for key, row in wanted.items() if before.get(key) != row]
    remove_rows(connection, verdict, [_key(row) for row in gone])
    append_rows(connection, verdict, [tuple(row[column.name] for column in verdict.columns) for row in fresh])
    mark_rows(connection, gone + fresh)


def _key(row: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(row[column.name] for column in verdict.primary_key.columns)


def _budget_row(connection: Connection, one: Outcome) -> Row:
    """A breach from the moment the budget is exceeded, for as long as the goods are anywhere."""
    budget, from_us = one.spent.budget, one.spent.exceeded_us
    assert from_us is not None
    inside = sorted({interval.child for interval in contents_at(connection, one.unit, from_us)})
    detail = {
        "pack": one.pack.name,
        "version": one.pack.version,
        "clause": budget.clause,
        "verified": one.pack.verified,
        "above_mc": budget.above_mc,
        "max_s": budget.max_s,
        "single": budget.single,
        "spent": _spent_by(one, from_us),
        "affected": [one.unit, *inside[: AFFECTED - 1]],
        "affected_total": 1 + len(inside),
        "severity": "alarm",
    }
    return {
        "source": SOURCE,
        "rule": one.pack.name + BUDGET,
        "subject": one.unit,
        "channel": channel_of(budget.above_mc, budget.max_s, budget.single),
        "from_us": from_us,
        "to_us": None,
        "verdict": "breach",
        "state": "open",
        "detail": canonical(detail).decode(),
        "weakest_grade": weakest([watch.grade for watch in one.watches]),
        "basis_index": json.dumps(_basis(connection, one, from_us)),
    }


def channel_of(above_mc: int, max_s: int, single: bool) -> str:
    return f"{above_mc / 1000:g} °C {max_s // 60} min{' at once' if single else ''}"


def _spent_by(one: Outcome, until_us: int) -> list[dict[str, Any]]:
    """Where it was spent, up to the moment it was exceeded; of a single stretch, that stretch."""
    spans = [(from_us, min(to_us, until_us)) for from_us, to_us in one.warm if from_us < until_us]
    counted = spans[-1:] if one.spent.budget.single else spans
    found = []
    for stay in one.stays:
        if spent_us := length(common([stay[1:]], counted)):
            found.append({"place": stay.place, "s": spent_us / 1_000_000})
    return found


def _basis(connection: Connection, one: Outcome, until_us: int) -> list[int]:
    """The entries with the readings that begin the newest stretches up to the moment."""
    begun = [span[0] for span in one.warm if span[0] <= until_us][-BASIS:]
    entries = set()
    for t_us in begun:
        here = next((stay for stay in one.stays if stay.from_us <= t_us < stay.to_us), Stay("", 0, 0))
        for watch in one.watches:
            if watch.place == here.place and watch.from_us <= t_us < watch.to_us:
                found = readings(connection, watch.device, t_us, t_us + 1, PROBES)
                entries |= {reading.entry for reading in found if reading.quality in ("", "conflict")}
    return sorted(entries)
