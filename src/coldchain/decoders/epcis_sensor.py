"""Sensor elements of an event: what a report may carry, and how type and unit go together (EPCIS 2.0 §7.3.7)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from fractions import Fraction
from typing import Any

from coldchain.decoders import epcis_checks as check
from coldchain.decoders.epcis_checks import Check, Findings, shown
from coldchain.decoders.epcis_times import time_us
from coldchain.decoders.epcis_vocabulary import ALERT, COMPONENT, MEASUREMENT, UNIT_OF, UNITS, known
from coldchain.domain.events import Measured
from coldchain.domain.units import PLAUSIBLE_MC

TWICE = "sensor-attribute-twice"
"""Stated in the metadata and in a report: the report's counts (GS1 conformance TCR-53, TCR-54)."""

_SHARED: Mapping[str, Check] = {
    "time": check.time,
    **dict.fromkeys(("deviceID", "deviceMetadata", "rawData", "dataProcessingMethod", "bizRules"), check.uri),
}
_METADATA = check.members("sensorMetadata", {**_SHARED, "startTime": check.time, "endTime": check.time})
_NUMBERS = ("value", "minValue", "maxValue", "meanValue", "sDev", "percRank", "percValue")
_REPORT = check.members(
    "a sensorReport",
    {
        "type": check.word(MEASUREMENT),
        "exception": check.word(ALERT),
        **_SHARED,
        **dict.fromkeys(("microorganism", "chemicalSubstance", "coordinateReferenceSystem", "uriValue"), check.uri),
        **dict.fromkeys(_NUMBERS, check.number),
        "component": check.word(COMPONENT),
        "stringValue": check.any_text,
        "booleanValue": check.boolean,
        "hexBinaryValue": check.hexadecimal,
        "uom": check.unit,
    },
    ("type",),
)


def _report(value: Any, pointer: str, found: Findings) -> None:
    _REPORT(value, pointer, found)
    if isinstance(value, dict) and isinstance(value.get("type"), str):
        _unit_fits(value, pointer, found)
        if ("percRank" in value) != ("percValue" in value):
            found.fault(pointer, "expected percRank and percValue together")


def _unit_fits(report: Mapping[str, Any], pointer: str, found: Findings) -> None:
    """A number of a known quantity has a unit, and it is one of that quantity."""
    quantity, unit = known(MEASUREMENT, report["type"]), report.get("uom")
    if quantity not in UNITS:
        return
    if unit is None and any(name in report for name in _NUMBERS):
        found.fault(f"{pointer}/uom", f"expected a unit beside a number of type {quantity}, found nothing")
    elif isinstance(unit, str) and UNIT_OF.get(unit, quantity) != quantity:
        found.fault(f"{pointer}/uom", f"expected a unit of {quantity}, found {shown(unit)}, one of {UNIT_OF[unit]}")


_ELEMENT = check.members(
    "a sensorElement",
    {"sensorMetadata": _METADATA, "sensorReport": check.list_of(_report, least=1)},
    ("sensorReport",),
)


def sensor_element(value: Any, pointer: str, found: Findings) -> None:
    """One sensor element; an attribute stated twice is marked where the report states it."""
    _ELEMENT(value, pointer, found)
    if not isinstance(value, dict):
        return
    metadata, reports = value.get("sensorMetadata"), value.get("sensorReport")
    if isinstance(metadata, dict) and isinstance(reports, list):
        for place, report in enumerate(reports):
            for name in _SHARED if isinstance(report, dict) else ():
                if name in report and name in metadata:
                    found.marks.append((f"{pointer}/sensorReport/{place}/{name}", TWICE))


_WARMEST_FIRST = ("maxValue", "value", "meanValue")
_MILLI_CELSIUS: Mapping[str, tuple[Fraction, int]] = {
    "CEL": (Fraction(1000), 0),
    "KEL": (Fraction(1000), -273_150),
    "A48": (Fraction(5000, 9), -273_150),
}
"""By unit that begins at absolute zero or at 0 °C: what a value is multiplied by, and what is added."""


def temperatures(item: Mapping[str, Any]) -> tuple[Measured, ...]:
    """What the sensor reports of a valid event say of temperatures that any place in a cold chain may have."""
    found = (one for element in item.get("sensorElementList", ()) for one in _measured(element))
    return tuple(sorted(found, key=lambda one: (one.mc, one.time_us or 0, one.device)))


def _measured(element: Mapping[str, Any]) -> Iterator[Measured]:
    shared = element.get("sensorMetadata", {})
    for report in element["sensorReport"]:
        value = next((report[name] for name in _WARMEST_FIRST if name in report), None)
        if value is None or known(MEASUREMENT, report["type"]) != "Temperature":
            continue
        mc = milli_celsius(value, report["uom"])
        stated = {**shared, **report}
        if PLAUSIBLE_MC[0] <= mc <= PLAUSIBLE_MC[1]:
            at_us = time_us(stated["time"]) if "time" in stated else None
            yield Measured(mc, at_us, stated.get("deviceID", ""))


def milli_celsius(value: float, unit: str) -> int:
    """Thousandths of a degree Celsius of a value in CEL, FAH, KEL or A48 (degrees Rankine); ties go to the even one."""
    exact = Fraction(Decimal(str(value)))
    if unit == "FAH":
        return round((exact - 32) * Fraction(5000, 9))
    factor, offset = _MILLI_CELSIUS[unit]
    return round(exact * factor) + offset
