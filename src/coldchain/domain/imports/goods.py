"""How much of which goods several rows hold together."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any, NamedTuple

from coldchain.domain.commodities import printed_product
from coldchain.domain.identifiers import uri
from coldchain.domain.imports.reading import Record

KILOGRAM = "KGM"


class Amount(NamedTuple):
    """None: not stated, which is not 0."""

    cases: int | None = None
    kg: Decimal | None = None

    def plus(self, other: Amount) -> Amount:
        return Amount(_sum(self.cases, other.cases), _sum(self.kg, other.kg))


def amounts(records: Iterable[Record]) -> dict[str, Amount]:
    """By lot, sorted; rows that only name a pallet are none."""
    found: dict[str, Amount] = {}
    for record in records:
        lot, amount = record.get("goods", ""), Amount(record.get("cases"), record.get("kg"))
        if lot and amount != Amount():
            found[lot] = found[lot].plus(amount) if lot in found else amount
    return dict(sorted(found.items()))


def quantities(found: dict[str, Amount]) -> list[dict[str, Any]]:
    """EPCIS QuantityElements: cases without a unit, kilograms beside them."""
    elements: list[dict[str, Any]] = []
    for lot, amount in found.items():
        if amount.cases is not None:
            elements.append({"epcClass": uri(lot), "quantity": amount.cases})
        if amount.kg is not None:
            elements.append({"epcClass": uri(lot), "quantity": _json_number(amount.kg), "uom": KILOGRAM})
    return elements


def kinds(records: Iterable[Record]) -> list[dict[str, str]]:
    """What kind the goods of these rows are, as far as the names of the lots do not tell: `coldchain:goods`."""
    found = {
        (lot, record.get("hs", ""), "" if printed_product(lot) else record.get("product", ""))
        for record in records
        if (lot := record.get("goods"))
    }
    return [
        {"item": uri(lot), **({"hs": hs} if hs else {}), **({"product": product} if product else {})}
        for lot, hs, product in sorted(found)
        if hs or product
    ]


def cases(found: dict[str, Amount]) -> int | None:
    """In all; None where a lot's cases were not counted."""
    counted = [amount.cases for amount in found.values()]
    return None if not counted or None in counted else sum(one for one in counted if one is not None)


def _sum(one: Any, other: Any) -> Any:
    return other if one is None else one if other is None else one + other


def _json_number(value: Decimal) -> int | float:
    return int(value) if value == value.to_integral_value() else float(value)
