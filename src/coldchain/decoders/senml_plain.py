"""Unsigned SenML JSON (RFC 8428) of a gateway: base names say which device speaks, names are of telemetry §2."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from coldchain.decoders.errors import DecodeError
from coldchain.decoders.senml import added
from coldchain.decoders.senml_records import SENML_VERSION
from coldchain.decoders.vendor_json import FIRST_ABSOLUTE_US, LAST_US, raw_value, read_json
from coldchain.domain.uplinks import Raw, Report, Uplink

_BASE: Mapping[str, Any] = {"bn": "", "bu": "", "bt": Decimal(0), "bv": Decimal(0), "bver": Decimal(SENML_VERSION)}
_VALUES = ("v", "vb", "vs", "vd")
_TYPES: Mapping[str, type] = {"v": Decimal, "vb": bool, "vs": str}
_SEPARATORS = "/:_. "


def read(payload: bytes) -> Uplink:
    """One pack. A base name, without `urn:dev:` and separators at its end, is the source, "" where there is none; a
    pack has no id of its own, and times below 2^28 are relative to a now that nobody knows later. Raises DecodeError.
    """
    pack = read_json(payload)
    if not isinstance(pack, list) or not pack or not all(isinstance(record, dict) for record in pack):
        raise DecodeError("expected a SenML pack: a JSON array of objects")
    base, said = dict(_BASE), dict[tuple[str, int], list[Raw]]()
    for record in pack:
        _take_base(base, record)
        if record.get("n") or record.keys() & set(_VALUES):
            source, name = _source(base["bn"]), _name(record)
            said.setdefault((source, _time_us(base["bt"], record)), []).append(_raw(name, base, record))
    return Uplink("", tuple(Report(source, t_us, tuple(readings)) for (source, t_us), readings in said.items()))


def _take_base(base: dict[str, Any], record: Mapping[str, Any]) -> None:
    for field in base.keys() & record.keys():
        if type(record[field]) is not type(base[field]):
            raise DecodeError(f"{field}: expected {type(base[field]).__name__}, found {record[field]!r:.100}")
        base[field] = record[field]
    if base["bver"] != SENML_VERSION or any(field.endswith("_") for field in record):
        raise DecodeError("expected SenML version 10 without extensions that must be understood")


def _source(base_name: str) -> str:
    return base_name.rstrip(_SEPARATORS).rpartition("urn:dev:")[2][:200]


def _name(record: Mapping[str, Any]) -> str:
    name = record.get("n", "value")
    if not isinstance(name, str):
        raise DecodeError(f"n: expected a text, found {name!r:.100}")
    return name


def _raw(name: str, base: Mapping[str, Any], record: Mapping[str, Any]) -> Raw:
    """More than one value, or one of another type than its field says, is none."""
    stated = [field for field in _VALUES if field in record]
    unit = record.get("u", base["bu"])
    value = record[stated[0]] if len(stated) == 1 else None
    if len(stated) != 1 or not isinstance(value, _TYPES.get(stated[0], ())):
        value = None
    elif isinstance(value, Decimal) and base["bv"]:
        value = added(value, base["bv"])
    return Raw(name, raw_value(value), unit if isinstance(unit, str) else "?", canonical=True)


def _time_us(base: Decimal, record: Mapping[str, Any]) -> int:
    after = record.get("t", Decimal(0))
    if not isinstance(after, Decimal) or not base.is_finite() or not after.is_finite():
        return 0
    if base.adjusted() > 18 or after.adjusted() > 18:
        return 0
    t_us = round(base * 1_000_000) + round(after * 1_000_000)
    return t_us if FIRST_ABSOLUTE_US <= t_us < LAST_US else 0
