"""DCSA Track and Trace 3.0 events of containers: reefer measurements and IoT events, one or a list of them.

An event is `metadata` and `payload`; earlier drafts have everything side by side, which is read as well. The drafts
name their measurements differently, so these are raw names, by path (`measurements.returnAirTemperature`), for a
mapping to give a meaning; only the unit that stands beside a temperature is taken from the event.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from coldchain.decoders.errors import DecodeError
from coldchain.decoders.vendor_json import flat, identifier, moment_us, optional_identifier, raw_value, read_json
from coldchain.domain.units import decimal
from coldchain.domain.uplinks import Raw, Report, Uplink

_TIMES = ("eventDateTime", "eventOccurrenceDateTime", "measurementDateTime")
_ABOUT = frozenset({*_TIMES, "eventID", "eventCreatedDateTime", "equipmentReference", "metadata"})
_UNITS = {"CEL": "Cel", "FAH": "degF"}
_POSITION = {"latitude": "lat", "longitude": "lon"}


def read(payload: bytes) -> Uplink:
    """The events, each about the container it names. A retraction says nothing of its own. Raises DecodeError."""
    body = read_json(payload)
    events = body if isinstance(body, list) else [body]
    if not events or not all(isinstance(event, dict) for event in events):
        raise DecodeError("expected a DCSA event, or a list of them")
    reports = tuple(report for event in events for report in _reports(event))
    alone = optional_identifier(_part(events[0], "metadata"), "eventID") if len(events) == 1 else ""
    return Uplink(alone, reports, () if reports else ("retraction",))


def _reports(event: Mapping[str, Any]) -> Iterator[Report]:
    """None for a retraction."""
    if _part(event, "metadata").get("retractedEventID"):
        return
    said = _part(event, "payload")
    container = identifier(said, "equipmentReference")
    t_us = next((t_us for name in _TIMES if (t_us := moment_us(said.get(name)))), 0)
    yield Report(container, t_us, tuple(_readings({key: one for key, one in said.items() if key not in _ABOUT})))


def _part(event: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    part = event.get(name, event)
    if not isinstance(part, dict):
        raise DecodeError(f"{name}: expected an object, found {part!r:.100}")
    return part


def _readings(said: Mapping[str, Any]) -> Iterator[Raw]:
    geo = said.get("geoLocation")
    for name, value in geo.items() if isinstance(geo, dict) else ():
        if name in _POSITION:
            degrees = decimal(value) if isinstance(value, str) else raw_value(value)  # the drafts write them as text
            yield Raw(_POSITION[name], degrees, canonical=True)
    units = {raw.name: raw.value for raw in flat(said) if raw.name.endswith("Unit")}
    for raw in flat(said):
        path, _, last = raw.name.rpartition(".")
        unit = units.get(f"{path}.temperatureUnit" if path else "temperatureUnit")
        yield raw._replace(unit=_UNITS.get(unit, "?")) if isinstance(unit, str) and "emperature" in last else raw
