"""Measures of one dimension in one unit, so that a query in kelvin finds an event in Celsius (EPCIS 2.0 §8.2.7.1)."""

from __future__ import annotations

from decimal import Context, Decimal
from typing import NamedTuple


class Unit(NamedTuple):
    """A UN/ECE Recommendation 20 code: SI value = value · factor + offset."""

    dimension: str
    factor: Decimal
    offset: Decimal = Decimal(0)


_PRECISION = Context(prec=12)
"""Digits two spellings of one measure agree in; no sensor has as many."""


def _unit(dimension: str, factor: str, offset: str = "0") -> Unit:
    return Unit(dimension, Decimal(factor), Decimal(offset))


UNITS = {
    "KEL": _unit("temperature", "1"),
    "CEL": _unit("temperature", "1", "273.15"),
    "FAH": Unit("temperature", Decimal(5) / 9, Decimal("459.67") * 5 / 9),
    "KGM": _unit("mass", "1"),
    "GRM": _unit("mass", "0.001"),
    "MGM": _unit("mass", "0.000001"),
    "TNE": _unit("mass", "1000"),
    "LBR": _unit("mass", "0.45359237"),
    "ONZ": _unit("mass", "0.028349523125"),
    "MTR": _unit("length", "1"),
    "CMT": _unit("length", "0.01"),
    "MMT": _unit("length", "0.001"),
    "KMT": _unit("length", "1000"),
    "INH": _unit("length", "0.0254"),
    "FOT": _unit("length", "0.3048"),
    "A93": _unit("absolute humidity", "0.001"),
    "P1": _unit("ratio", "0.01"),
    "C62": _unit("ratio", "1"),
    "59": _unit("ratio", "0.000001"),
    "MTS": _unit("speed", "1"),
    "KMH": Unit("speed", Decimal(1000) / 3600),
    "MSK": _unit("acceleration", "1"),
    "K40": _unit("acceleration", "9.80665"),
    "PAL": _unit("pressure", "1"),
    "A97": _unit("pressure", "100"),
    "KPA": _unit("pressure", "1000"),
    "BAR": _unit("pressure", "100000"),
    "LUX": _unit("illuminance", "1"),
    "SEC": _unit("time", "1"),
    "MIN": _unit("time", "60"),
    "HUR": _unit("time", "3600"),
    "LTR": _unit("volume", "0.001"),
    "MLT": _unit("volume", "0.000001"),
    "MTQ": _unit("volume", "1"),
    "VLT": _unit("voltage", "1"),
    "2Z": _unit("voltage", "0.001"),
}
"""K40: standard gravity. C62 is one; P1 percent, of relative humidity above all; 59 parts per million."""


def si(value: float | int, uom: str, *, difference: bool = False) -> tuple[str, float]:
    """The dimension and the value in its SI unit, to 12 digits; a unit not in the table is a dimension of its own.

    difference: a spread (`sDev`), which an offset does not shift.
    """
    unit = UNITS.get(uom)
    if unit is None:
        return uom, float(value)
    offset = Decimal(0) if difference else unit.offset
    exact = Decimal(str(value)) * unit.factor + offset
    return unit.dimension, float(_PRECISION.create_decimal(exact)) + 0.0
