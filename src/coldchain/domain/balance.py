"""Does a lot add up? What came into being or into sight, what left, what is held, and what nobody accounts for.

Every figure is what somebody stated: goods enter by a container's packing list, by commissioning, by a transformation
or by an opening count; they leave by sale, sampling, destruction, use in processing or removal from the system. Moving
them between units is neither.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from coldchain.domain.events import Event, Quantity, in_force
from coldchain.domain.quantities import Amount

CONTAINER = "cont:"
LEAVING = ("retail_selling", "dispensing", "sampling", "destroying", "decommissioning", "consigning")
"""CBV 2.0 §7.1 steps after which the goods are no longer there."""


class Balance(NamedTuple):
    """One goods in one measure; thousandths."""

    item: str
    measure: str
    """UN/ECE code such as `KGM`; "" for cases."""
    entered_milli: int
    left: tuple[tuple[str, int], ...]
    """(business step, amount), sorted."""
    held_least_milli: int
    held_most_milli: int | None
    """None: nobody can tell."""

    @property
    def missing_milli(self) -> tuple[int | None, int]:
        """Least and most that nobody accounts for; negative: more is there than ever entered."""
        known = self.entered_milli - sum(amount for _, amount in self.left)
        least = None if self.held_most_milli is None else known - self.held_most_milli
        return least, known - self.held_least_milli


def balances(item: str, events: Iterable[Event], held: Iterable[Amount]) -> tuple[Balance, ...]:
    """By measure, sorted. events: all that name the goods, in any order; held: the amounts of it that hold now.

    Empty where nobody stated that any entered: goods that are only seen passing cannot add up.
    """
    standing, disputed = in_force(events)
    entered: dict[str, int] = {}
    left: dict[str, dict[str, int]] = {}
    for event in standing:
        if event.key in disputed:
            continue
        for quantity in event.quantities:
            if quantity.item != item or quantity.amount_milli <= 0:
                continue
            if _enters(event, quantity):
                entered[quantity.unit] = entered.get(quantity.unit, 0) + quantity.amount_milli
            elif (step := _leaves(event, quantity)) is not None:
                own = left.setdefault(quantity.unit, {})
                own[step] = own.get(step, 0) + quantity.amount_milli
    amounts = list(held)
    return tuple(
        Balance(item, measure, total, tuple(sorted(left.get(measure, {}).items())), *_held(amounts, measure))
        for measure, total in sorted(entered.items())
    )


def _enters(event: Event, quantity: Quantity) -> bool:
    if event.kind == "TransformationEvent":
        return quantity.role == "output"
    if event.kind == "AggregationEvent":
        return event.action == "ADD" and (event.parent.startswith(CONTAINER) or event.biz_step == "stock_taking")
    return event.kind == "ObjectEvent" and event.action == "ADD"


def _leaves(event: Event, quantity: Quantity) -> str | None:
    if event.kind == "TransformationEvent" and quantity.role == "input":
        return "transformation"
    if event.kind != "ObjectEvent":
        return None
    if event.biz_step in LEAVING:
        return event.biz_step
    return "removed" if event.action == "DELETE" else None


def _held(amounts: Iterable[Amount], measure: str) -> tuple[int, int | None]:
    least, most = 0, 0
    unknown = False
    for amount in amounts:
        if amount.measure == measure:
            least += amount.least_milli
            unknown = unknown or amount.most_milli is None
            most += amount.most_milli or 0
    return least, None if unknown else most
