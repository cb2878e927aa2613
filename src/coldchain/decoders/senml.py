"""SenML JSON (RFC 8428) of a signed message to telemetry; whatever it holds becomes a value or a word, never an error.

Two readers of the same grammar. The typed one reads what nearly every message is, in binary floats, and gives up at
anything unusual: NaN, a null, an extension that must be understood, a value within 1 % of a rounding tie. The exact one
then reads the message again, in decimals.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Context, Decimal
from functools import lru_cache
from typing import Any

import msgspec
from msgspec import UNSET

from coldchain.decoders.nesting import MAX_DEPTH, too_deep
from coldchain.decoders.senml_records import SENML_VERSION, Record, records
from coldchain.domain.telemetry import Run, Sample, Telemetry, Value, runs_of
from coldchain.domain.units import (
    CELSIUS,
    E7,
    MAX_EXPONENT,
    PLAUSIBLE_MC,
    UNREADABLE,
    Kind,
    Meaning,
    decimal,
    fault,
    meaning,
    measured,
)

RELATIVE_BELOW_US = 2**28 * 1_000_000
"""RFC 8428 §4.5.3: smaller times are relative to now, and a signed pack has no now."""
YEAR_10000_US = 253_402_300_800 * 1_000_000
_HUGE = 10.0**MAX_EXPONENT
_TEMPERATURE = Kind.TEMPERATURE
_COLDEST_MC, _WARMEST_MC = PLAUSIBLE_MC


class _Unusual(Exception):
    """Something only the exact reader may judge."""


_SUM = Context(prec=1_000, traps=[])
"""Adds any two literals between 10^-300 and 10^300 without losing a digit. Not all there are: the sum of 1 and 1e-90000
has 90,000 digits, and 1,200 of them in one message took four minutes to read. Overflow becomes an infinity."""


def decode_senml(body: bytes, device: str, boot: int, seq: int) -> Telemetry:
    """What the message says. Raises nothing; message qualities are `invalid-senml` and `empty`."""
    quality: tuple[str, ...] = ()
    try:
        runs = _typed(body, device)
    except (_Unusual, msgspec.MsgspecError, UnicodeDecodeError, OverflowError, RecursionError):
        try:
            runs = runs_of(_exact(body, device))
        except (ValueError, RecursionError):  # ValueError: neither JSON nor UTF-8 nor a SenML pack
            runs, quality = (), ("invalid-senml",)
    return Telemetry(device, boot, seq, runs, quality if quality or runs else ("empty",))


def _typed(body: bytes, device: str) -> tuple[Run, ...]:
    """Raises _Unusual, OverflowError or what msgspec raises. Flat, because it runs for every reading there is."""
    base_name, base_unit, base_us = "", "", 0
    runs: dict[tuple[str, type], Run] = {}
    run: Run | None = None
    label = None
    times: dict[float, int] = {}
    """By time within the message: probes are mostly read together."""
    for record in records(body):
        if record.bt is not UNSET or record.bn is not UNSET or record.bu is not UNSET:
            base_us = base_us if record.bt is UNSET else round(record.bt * 1e6)
            base_name = base_name if record.bn is UNSET else record.bn
            base_unit = base_unit if record.bu is UNSET else record.bu
            label = None
            times.clear()
        if record.n != label:
            label = record.n
            name, kind = _meaning(base_name, label, device)
            run = None
        value: Value | None
        v = record.v
        if v is UNSET or record.vb is not UNSET or record.vs is not UNSET:
            value = _without_number(record, kind)
            if value is None:
                continue
        elif kind is _TEMPERATURE and (record.u or base_unit) in CELSIUS:
            scaled = v * 1e3
            value = round(scaled)
            if not (-0.49 < scaled - value < 0.49 and _COLDEST_MC <= value <= _WARMEST_MC):
                raise _Unusual
        else:
            value = _numeric(name, kind, v)
        if run is None or value.__class__ is not run.values[0].__class__:
            run = runs.get((name, value.__class__))
            if run is None:
                run = runs[name, value.__class__] = Run(name, "", [], [])
        t_us = times.get(record.t)
        if t_us is None:
            t_us = times[record.t] = base_us + round(record.t * 1e6)
            if not RELATIVE_BELOW_US <= t_us < YEAR_10000_US:
                raise _Unusual
        run.times.append(t_us)
        run.values.append(value)
    return tuple(runs.values())


def _numeric(name: str, kind: Kind, v: float) -> Value:
    value: Value = v
    if kind is Kind.POSITION:
        scaled = v * E7
        value = round(scaled)
        if not -0.49 < scaled - value < 0.49:
            raise _Unusual
    elif kind not in (Kind.NUMBER, Kind.HUMIDITY, Kind.ANY) or not -_HUGE < v < _HUGE:
        raise _Unusual
    if name == UNREADABLE.name or fault(name, kind, value):
        raise _Unusual
    return value


def _without_number(record: Record, kind: Kind) -> Value | None:
    """A flag or text in the one form that needs no second look; None for a record of base fields alone."""
    flag, text = record.vb, record.vs
    if record.v is UNSET:
        if not record.n and flag is text is UNSET and not record.bt is record.bn is record.bu is UNSET:
            return None
        if kind is Kind.FLAG and flag is not UNSET and text is UNSET:
            return flag
        if kind is Kind.TEXT and text is not UNSET and flag is UNSET:
            return text
    raise _Unusual


@lru_cache(maxsize=65_536)
def _meaning(base_name: str, name: str, device: str) -> Meaning:
    return meaning(_local(base_name + name, device))


def _local(name: str, device: str) -> str:
    """The name within the device: RFC 8428 names are global and often start with the device's own."""
    if name.startswith("urn:dev:"):
        return name.rpartition(":")[2]
    if name.startswith(device) and name[len(device) : len(device) + 1] in ("/", ":"):
        return name[len(device) + 1 :]
    return name


def _exact(body: bytes, device: str) -> list[Sample]:
    """Raises ValueError where the body is no SenML pack as a whole."""
    if too_deep(body):
        raise ValueError(f"nested beyond {MAX_DEPTH}")
    pack = json.loads(body.decode(), parse_float=decimal, parse_int=decimal, parse_constant=lambda _: Decimal("NaN"))
    if not isinstance(pack, list) or not all(isinstance(record, dict) for record in pack):
        raise ValueError("expected a JSON array of objects")
    base: dict[str, Any] = {"bn": "", "bu": "", "bt": Decimal(0), "bv": Decimal(0), "bver": Decimal(SENML_VERSION)}
    samples = []
    for record in pack:
        _take_base(base, record)
        if record.get("n") or record.keys() & {"v", "vb", "vs", "vd", "s"} or not record.keys() & {"bn", "bt", "bu"}:
            samples.append(_record_sample(record, base, device))
    return samples


def _take_base(base: dict[str, Any], record: Mapping[str, Any]) -> None:
    for field in base.keys() & record.keys():
        if type(record[field]) is not type(base[field]):
            raise ValueError(f"{field}: expected {type(base[field]).__name__}, found {record[field]!r}")
        base[field] = record[field]
    if base["bver"] != SENML_VERSION or any(field.endswith("_") for field in record):
        raise ValueError("a SenML version or an extension this reader does not understand")


def _record_sample(record: Mapping[str, Any], base: Mapping[str, Any], device: str) -> Sample:
    name, unit = record.get("n", ""), record.get("u", base["bu"])
    stated = [record[field] for field in ("v", "vb", "vs", "vd") if field in record]
    value = stated[0] if len(stated) == 1 and "vd" not in record and _typed_as_named(record) else None
    if not isinstance(name, str) or not isinstance(unit, str):
        return measured("", 0, None)
    if isinstance(value, Decimal) and base["bv"]:
        value = added(value, base["bv"])
    t_us = _absolute_us(base["bt"], record.get("t", Decimal(0)))
    sample = measured(_local(base["bn"] + name, device), t_us, value, unit or base["bu"])
    if t_us:
        return sample
    return sample._replace(quality=sample.quality or "bad-time")


def added(value: Decimal, base: Decimal) -> Decimal:
    """A value and its base value (RFC 8428 §4.1), without losing a digit and in bounded time."""
    return _SUM.add(value, base)


def _typed_as_named(record: Mapping[str, Any]) -> bool:
    return (
        isinstance(record.get("v", Decimal(0)), Decimal)
        and isinstance(record.get("vb", False), bool)
        and isinstance(record.get("vs", ""), str)
    )


def _absolute_us(base: Decimal, after: Any) -> int:
    """0 for what is no absolute time."""
    if not isinstance(after, Decimal):
        return 0
    try:
        t_us = round(float(base) * 1e6) + round(float(after) * 1e6)
    except (OverflowError, ValueError):  # infinities, and NaN
        return 0
    return t_us if RELATIVE_BELOW_US <= t_us < YEAR_10000_US else 0
