"""From what a sensor wrote to the units every rule uses, once, exactly, with a word where it cannot be used.

Temperatures are decimal numbers on the wire and stay decimal until they are integer milli-°C: -18.0005 is a tie and
-18.0006 is none, whatever binary fractions make of them. Ties go to the even neighbour.
"""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation
from enum import Enum
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple

from coldchain.domain.telemetry import Sample, Value

MILLI = 1_000
E7 = 10_000_000
PLAUSIBLE_MC = (-100_000, 84_999)
"""A frozen, chilled or ambient chain lives inside. Outside are what broken sensors say: DS18B20 -127 and 85.0, 200.3,
327.67, and the wrapped unsigned values 6553.x and 4294967294 (telemetry §4)."""
PLAUSIBLE_RH = (0.0, 105.0)
"""Condensing sensors read a little over 100 %."""
PLAUSIBLE_E7 = {"lat": 90 * E7, "lon": 180 * E7}
NAME_LENGTH = 64
CELSIUS = ("Cel", "", "°C")
MAX_EXPONENT = 300
"""Numbers of 10^300 and beyond are `not-finite`: they overflow somewhere."""
MAX_INTEGER = 2**53
"""Larger values are no measurement, and not every reader keeps them."""


class Kind(Enum):
    """What a name of telemetry §2 measures."""

    TEMPERATURE = "temperature"
    POSITION = "position"
    HUMIDITY = "humidity"
    NUMBER = "number"
    FLAG = "flag"
    TEXT = "text"
    ANY = "any"


class Meaning(NamedTuple):
    """A canonical sample name and what its values are."""

    name: str
    kind: Kind


_NAME = re.compile(rf"[A-Za-z0-9][A-Za-z0-9:./_-]{{0,{NAME_LENGTH - 1}}}")
_WHOLE = {
    "setpoint": Kind.TEMPERATURE,
    "lat": Kind.POSITION,
    "lon": Kind.POSITION,
    "speed": Kind.NUMBER,
    "light": Kind.NUMBER,
    "shock": Kind.NUMBER,
    "battery": Kind.NUMBER,
    "weight": Kind.NUMBER,
    "defrost": Kind.FLAG,
    "compressor": Kind.FLAG,
}
_FAMILY = {
    "temp": Kind.TEMPERATURE,
    "rh": Kind.HUMIDITY,
    "door": Kind.FLAG,
    "seal": Kind.TEXT,
    "rfid": Kind.TEXT,
}
_STATED_AS: dict[Kind, tuple[type, ...]] = {Kind.FLAG: (bool,), Kind.TEXT: (str,), Kind.ANY: (bool, str)}
UNREADABLE = Meaning("x/unreadable", Kind.ANY)
_TEMPERATURES = ("Cel", "°C", "K", "degF", "°F")
_UNITS = {"lat": ("lat",), "lon": ("lon",), "speed": ("m/s",), "weight": ("kg",)}


@lru_cache(maxsize=65_536)
def meaning(name: str) -> Meaning:
    """A vendor's own name becomes `x/<name>`; one outside RFC 8428 §4.5.1 becomes `x/unreadable`."""
    if not _NAME.fullmatch(name):
        return UNREADABLE
    if name in _WHOLE:
        return Meaning(name, _WHOLE[name])
    family, _, member = name.partition("/")
    if member and family in _FAMILY:
        return Meaning(name, _FAMILY[family])
    return Meaning(name if name.startswith("x/") else f"x/{name}"[:NAME_LENGTH], Kind.ANY)


def measured(name: str, t_us: int, value: Decimal | bool | str | None, unit: str = "") -> Sample:
    """A sample of any value a wire format can carry; None is a missing one. Raises nothing: see `Sample.quality`."""
    canonical, kind = meaning(name)
    converted, quality = _convert(canonical, kind, value, unit)
    if canonical == UNREADABLE.name:
        converted, quality = None, "bad-type"
    return Sample(canonical, t_us, converted, quality)


def units_of(name: str) -> tuple[str, ...] | None:
    """The units in which a canonical name can be stated (telemetry §2), none for what is no number; None: any, for what
    is kept as it is stated. Only temperatures are converted: the others have the unit they are kept in."""
    kind = meaning(name).kind
    if kind is Kind.TEMPERATURE:
        return _TEMPERATURES
    if kind is Kind.HUMIDITY:
        return ("%RH", "%")
    return () if kind in (Kind.FLAG, Kind.TEXT) else _UNITS.get(name)


def fault(name: str, kind: Kind, value: Value) -> bool:
    """Whether a sensor that says this is broken rather than warm, cold or elsewhere (telemetry §4)."""
    if kind is Kind.TEMPERATURE:
        return not PLAUSIBLE_MC[0] <= value <= PLAUSIBLE_MC[1]  # type: ignore[operator]
    if kind is Kind.HUMIDITY:
        return not PLAUSIBLE_RH[0] <= value <= PLAUSIBLE_RH[1]  # type: ignore[operator]
    if kind is Kind.POSITION:
        return abs(value) > PLAUSIBLE_E7[name]  # type: ignore[arg-type]
    return False


def _convert(name: str, kind: Kind, value: Decimal | bool | str | None, unit: str) -> tuple[Value | None, str]:
    if isinstance(value, Decimal):
        return _number(name, kind, value, unit)
    if not isinstance(value, _STATED_AS.get(kind, ())) or (isinstance(value, str) and not _encodable(value)):
        return None, "bad-type"
    return value, ""


def _number(name: str, kind: Kind, value: Decimal, unit: str) -> tuple[Value | None, str]:
    if kind in (Kind.FLAG, Kind.TEXT):
        return None, "bad-type"
    if not value.is_finite() or (value and value.adjusted() >= MAX_EXPONENT):
        return None, "not-finite"
    converted: Value
    if kind is Kind.TEMPERATURE:
        milli = _milli_celsius(_fraction(value), unit)
        if milli is None:
            return None, "bad-type"
        converted = milli
    elif kind is Kind.POSITION:
        converted = round(_fraction(value) * E7)
    else:
        converted = float(value)
    if not fault(name, kind, converted):
        return converted, ""
    return (converted if abs(converted) < MAX_INTEGER else None), "fault"


def _milli_celsius(value: Fraction, unit: str) -> int | None:
    """None for a unit that is no temperature. No unit at all means Celsius, as telemetry §2 has it."""
    if unit in CELSIUS:
        return round(value * MILLI)
    if unit == "K":
        return round(value * MILLI) - 273_150
    if unit in ("degF", "°F"):
        return round((value - 32) * MILLI * 5 / 9)
    return None


def _fraction(value: Decimal) -> Fraction:
    """Exact; a literal like 1e-999999999 is zero instead of a denominator that fills the memory."""
    return Fraction(value) if value and value.adjusted() > -MAX_EXPONENT else Fraction(0)


def decimal(text: str) -> Decimal:
    """The number a JSON literal states, `NaN` for one no decimal can hold."""
    try:
        return Decimal(text)
    except InvalidOperation:
        return Decimal("NaN")


def _encodable(text: str) -> bool:
    """JSON can spell lone surrogates; UTF-8 and both databases cannot."""
    return not any("\ud800" <= character <= "\udfff" for character in text)
