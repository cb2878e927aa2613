"""Verdicts on goods by the temperatures of every place they were in: budgets, pre-cooling, handover (§6).

Follows telemetry and containment: run it after them on the same batch.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection

from coldchain.db.exposure_touches import Touched, take_touched, widen
from coldchain.domain.exposure import LOADS, PRECOOLED_US, Movement, common, length
from coldchain.domain.tracing import FOREVER_US
from coldchain.projections.consignment_rows import BUDGET, Row, affected, breach, channel_of, limits_of, replace_rows
from coldchain.projections.counted import judge_counted
from coldchain.projections.exposures import Exposures, movements
from coldchain.projections.kinetics import MKT, Kinetics
from coldchain.projections.loadings import VEHICLE, entered, judge_loadings
from coldchain.projections.received import judge_received, measured_units, record_measurements
from coldchain.projections.spending import Due, Outcome, Spending
from coldchain.services.ports import Projection
from coldchain.services.recorded import Recorded

PLACES = 50
"""Places where it was spent that a verdict names, the newest."""


class Consignments(Projection):
    """Fills `verdict` (source `consignment`)."""

    name = "consignment"
    tables: Sequence[str] = ("exposure_touched", "kinetic_window", "handover_measurement", "verdict")
    takes_telemetry = False

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self._spending = Spending()
        self._kinetics = Kinetics()
        self._exposures: Exposures | None = None

    def apply(self, connection: Connection, batch: Sequence[Recorded], ledger_time_us: int) -> None:
        ruled = any(_rules(item) for item in batch)
        if ruled:
            self.reset()
        touched = take_touched(connection)
        measured = record_measurements(connection, batch) if any(item.events for item in batch) else set()
        if not any(touched) and not measured and not ruled:
            return
        anew = ruled or any(to_us >= FOREVER_US for _, to_us in touched.told.values())
        if anew:
            self._exposures = None  # devices were mounted, or rules recorded
            self._kinetics = Kinetics()
        exposures = self._exposures = Exposures(connection, self._exposures)
        due = self._judge_budgets(connection, exposures, touched)
        self._judge_counted(connection, exposures, touched)
        self._judge_kinetics(connection, exposures, touched, due)
        spans = _loading_spans(connection, touched, movements(connection, due.restated))
        if spans:
            judge_loadings(connection, exposures, spans)
        among = due.units | due.restated | touched.moved.keys()
        measured |= measured_units(connection, None if anew else among)
        if measured:
            judge_received(connection, exposures, measured)

    def _judge_budgets(self, connection: Connection, exposures: Exposures, touched: Touched) -> Due:
        due = self._spending.due(connection, exposures, touched.told, touched.moved)
        found = self._spending.reckon(connection, exposures, due)
        rows = [_budget_row(connection, one) for one in _first_exceeded(found)]
        units = due.units | {name for name in touched.moved if name.startswith(LOADS)}
        replace_rows(connection, units, lambda row: row["rule"].endswith(BUDGET), rows)
        return due

    def _judge_counted(self, connection: Connection, exposures: Exposures, touched: Touched) -> None:
        named = touched.moved.keys() | touched.counted.keys()
        goods, rows = judge_counted(connection, exposures, self._spending, touched.told, named)
        replace_rows(connection, goods, lambda row: row["rule"].endswith(BUDGET), rows)

    def _judge_kinetics(self, connection: Connection, exposures: Exposures, touched: Touched, due: Due) -> None:
        around = self._spending.around(due.units)
        looked_at, rows = self._kinetics.judge(connection, exposures, touched.told, around)
        units = looked_at | due.units | touched.moved.keys()
        replace_rows(connection, units, lambda row: row["rule"].endswith(MKT), rows)


def _rules(item: Recorded) -> bool:
    """Whether goods may be judged by other rules since, at some time and place."""
    is_site = item.entry.kind == "identity" and isinstance(item.body, Mapping) and item.body.get("op") == "site"
    return item.entry.kind == "rules" or is_site


def _loading_spans(
    connection: Connection, touched: Touched, restated: Iterable[Movement]
) -> dict[str, tuple[int, int]]:
    """By vehicle: the times at which a loading may be judged otherwise than before. restated: where goods were of which
    something else is known."""
    found: dict[str, tuple[int, int]] = {}
    for place, (from_us, to_us) in touched.told.items():
        span = from_us - PRECOOLED_US, to_us + PRECOOLED_US
        if place.startswith(VEHICLE) and entered(connection, place, span):
            widen(found, place, *span)
    for place, span in touched.moved.items():
        if place.startswith(VEHICLE):
            widen(found, place, *span)
    for _, place, from_us, _ in restated:
        if place.startswith(VEHICLE):
            widen(found, place, from_us, from_us)
    return found


def _first_exceeded(found: Iterable[Outcome]) -> list[Outcome]:
    """Of every budget of every unit what was exceeded first, by whichever of the goods in it."""
    first: dict[tuple[Any, ...], Outcome] = {}
    for one in sorted(found, key=lambda one: one.spent.exceeded_us or 0):
        budget = one.spent.budget
        if one.spent.exceeded_us is not None:
            first.setdefault((one.unit, one.pack.name, channel_of(budget.above_mc, budget.max_s, budget.single)), one)
    return list(first.values())


def _budget_row(connection: Connection, one: Outcome) -> Row:
    """A breach from the moment the budget is exceeded, for as long as the goods are anywhere."""
    budget, from_us = one.spent.budget, one.spent.exceeded_us
    assert from_us is not None
    told = {**limits_of(budget), "spent": _spent_by(one, from_us), **affected(connection, one.unit, from_us)}
    channel = channel_of(budget.above_mc, budget.max_s, budget.single)
    return breach(
        connection, one.pack, BUDGET, one.unit, channel, from_us, told,
        warm=one.warm, stays=one.stays, watches=one.watches,
    )  # fmt: skip


def _spent_by(one: Outcome, until_us: int) -> list[dict[str, Any]]:
    """Where it was spent, up to the moment it was exceeded; of a single stretch, that stretch."""
    spans = [(from_us, min(to_us, until_us)) for from_us, to_us in one.warm if from_us < until_us]
    counted = spans[-1:] if one.spent.budget.single else spans
    found = []
    for stay in one.stays:
        if spent_us := length(common([stay[1:]], counted)):
            found.append({"place": stay.place, "s": spent_us / 1_000_000})
    return found[-PLACES:]
