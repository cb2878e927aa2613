"""Budgets of counted goods that lie in a vehicle or room without a load around them (docs/temperature.md 6.2).

Which of them came and went nobody knows: judged is what some of them surely spent, in one place.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import NamedTuple

from sqlalchemy import Connection

from coldchain.db.bulk import fetch
from coldchain.db.queries_containment import amounts, steps_of_lines
from coldchain.db.tables.containment import quantity_span
from coldchain.domain.commodities import Judged
from coldchain.domain.exposure import LOADS, Interval, Span, innermost, spend, watched, within
from coldchain.domain.lasting import Lasting, lasting
from coldchain.domain.tracing import FOREVER_US
from coldchain.projections.consignment_rows import BUDGET, Row, breach, channel_of, limits_of
from coldchain.projections.exposures import Exposures
from coldchain.projections.spending import GOODS, Outcome, Spending, first_pack


class _Portion(NamedTuple):
    """Of some goods in a place some lay there all the while."""

    place: str
    item: str
    measure: str
    while_: Lasting


def judge_counted(
    connection: Connection, exposures: Exposures, spending: Spending, told: Mapping[str, Span], named: Iterable[str]
) -> tuple[set[str], list[Row]]:
    """The goods looked at, and what is to be said of them. told: places whose temperatures may be others then. named:
    what may be goods of which something else is known."""
    items = {name for name in named if name.startswith(GOODS)}
    for place, span in told.items():
        if spending.is_warm(place) or span[1] >= FOREVER_US:
            items |= _lying(connection, place, span, exposures.longest_gap_us)
    portions = list(_portions(connection, spending, items))
    judged = exposures.judged({one.item for one in portions}) if portions else {}
    first: dict[tuple[str, ...], tuple[_Portion, Outcome]] = {}
    for portion in portions:
        for one in _outcomes(connection, exposures, spending, portion, judged[portion.item]):
            key = one.unit, one.pack.name, _channel(portion, one)
            if key not in first or _exceeded_us(one) < _exceeded_us(first[key][1]):
                first[key] = portion, one
    return items, [_row(connection, portion, one) for portion, one in first.values()]


def _lying(connection: Connection, place: str, span: Span, gap_us: int) -> set[str]:
    query = "SELECT DISTINCT item FROM quantity_span WHERE parent = ? AND from_us < ? AND (to_us IS NULL OR to_us > ?)"
    return {item for (item,) in fetch(connection, query, place, span[1] + gap_us, span[0] - gap_us)}


def _portions(connection: Connection, spending: Spending, items: set[str]) -> Iterator[_Portion]:
    """Of these goods, in every place that was warm at some time. What lies in a load is told of with that."""
    found = amounts(connection, quantity_span.c.item, items) if items else []
    lying = (one for one in found if not one.parent.startswith(LOADS) and spending.is_warm(one.parent))
    for place, held in groupby(sorted(lying), key=lambda one: one.parent):
        here = list(held)
        steps = steps_of_lines(connection, place, {one.item for one in here})
        for (item, measure), line in groupby(here, key=lambda one: (one.item, one.measure)):
            own = [step for step in steps if not step.item or (step.item, step.measure) == (item, measure)]
            for while_ in lasting(list(line), own):
                yield _Portion(place, item, measure, while_)


def _outcomes(
    connection: Connection, exposures: Exposures, spending: Spending, portion: _Portion, judged: Sequence[Judged]
) -> Iterator[Outcome]:
    """The budgets that were exceeded."""
    lay = Interval(portion.place, portion.while_.from_us, portion.while_.to_us, 1)
    for each in judged:
        watches = {portion.place: spending.watches(exposures, portion.place, each.turns)}
        for name in sorted({watch.pack for watch in watches[portion.place]}):
            stays = innermost(within([lay], each.spans), watched(watches, name))
            pack = first_pack(exposures, watches, name, stays)
            for budget in pack.budgets if pack else ():
                assert pack is not None
                warm = spending.warm(connection, exposures, stays, each.turns, name, budget)
                here = [watch for watch in watches[portion.place] if watch.pack == name]
                one = Outcome(portion.item, pack, spend(budget, warm, ()), warm, stays, here)
                if one.spent.exceeded_us is not None:
                    yield one


def _exceeded_us(one: Outcome) -> int:
    assert one.spent.exceeded_us is not None
    return one.spent.exceeded_us


def _channel(portion: _Portion, one: Outcome) -> str:
    budget = one.spent.budget
    return f"{channel_of(budget.above_mc, budget.max_s, budget.single)} in {portion.place}"


def _row(connection: Connection, portion: _Portion, one: Outcome) -> Row:
    """A breach of some of the goods from the moment the budget is exceeded, wherever they went."""
    budget = one.spent.budget
    told = {
        **limits_of(budget),
        "spent": [{"place": portion.place, "s": budget.max_s}],
        "goods": {"holder": portion.place, "measure": portion.measure, "least_milli": portion.while_.least_milli},
        "since_us": portion.while_.from_us,
        "affected": [portion.item],
        "affected_total": 1,
    }
    where = _channel(portion, one)
    return breach(
        connection, one.pack, BUDGET, portion.item, where, _exceeded_us(one), told,
        warm=one.warm, stays=one.stays, watches=one.watches,
    )  # fmt: skip
