"""JSON of vendors: numbers exact, times absolute, nested objects flat; DecodeError for what is not as expected."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from coldchain.decoders.errors import DecodeError
from coldchain.decoders.nesting import MAX_DEPTH, too_deep
from coldchain.domain.units import decimal
from coldchain.domain.uplinks import Raw, RawValue

MAX_READINGS = 20_000
"""A payload of 48 KiB holds no more; JSON of that many values over HTTP is divided by its sender."""
MAX_ID = 200
FIRST_ABSOLUTE_US = 2**28 * 1_000_000
"""As RFC 8428 §4.5.3 has it: smaller times count from something else than the epoch."""
LAST_US = 253_402_300_800 * 1_000_000
_MOMENT = re.compile(r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:\.(\d{1,12}))?(?:([Zz])|([+-])(\d\d):(\d\d))")


def read_json(payload: bytes) -> Any:
    """Numbers are Decimal, `NaN` included. Raises DecodeError."""
    if too_deep(payload):
        raise DecodeError(f"JSON nested beyond {MAX_DEPTH}")
    try:
        return json.loads(
            payload.decode(), parse_float=decimal, parse_int=decimal, parse_constant=lambda _: Decimal("NaN")
        )
    except (ValueError, RecursionError) as error:
        raise DecodeError(f"expected JSON: {error}") from error


def read_object(payload: bytes) -> Mapping[str, Any]:
    """The one object that the payload is. Raises DecodeError."""
    body = read_json(payload)
    if not isinstance(body, dict):
        raise DecodeError(f"expected a JSON object, found {type(body).__name__}")
    return body


def member(body: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """A member that is an object. Raises DecodeError."""
    value = body.get(name)
    if not isinstance(value, dict):
        raise DecodeError(f"{name}: expected an object, found {value!r:.100}")
    return value


def identifier(body: Mapping[str, Any], name: str) -> str:
    """A member that names something. Raises DecodeError."""
    value = body.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= MAX_ID or not _encodable(value):
        raise DecodeError(f"{name}: expected a text of 1 to {MAX_ID} characters, found {value!r:.100}")
    return value


def optional_identifier(body: Mapping[str, Any], name: str) -> str:
    """The same, "" where it is missing. Raises DecodeError."""
    return identifier(body, name) if body.get(name) else ""


def moment_us(value: Any) -> int:
    """Microseconds of an RFC 3339 text, further digits cut; 0 for anything else."""
    match = _MOMENT.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        return 0
    *fields, fraction, zulu, sign, hours, minutes = match.groups()
    year, month, day, hour, minute, second = map(int, fields)
    try:
        whole = datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    except ValueError:
        return 0
    behind_s = 0 if zulu else (int(hours) * 3600 + int(minutes) * 60) * (1 if sign == "+" else -1)
    t_us = (int(whole.timestamp()) - behind_s) * 1_000_000 + int((fraction or "").ljust(6, "0")[:6])
    return t_us if FIRST_ABSOLUTE_US <= t_us < LAST_US else 0


def unix_us(value: Any, per_second: int = 1) -> int:
    """Microseconds of a Unix time in seconds, or in `per_second` parts of one; 0 for what is no absolute time."""
    if not isinstance(value, Decimal) or not value.is_finite() or value.adjusted() > 18:
        return 0
    t_us = round(value * 1_000_000 / per_second)
    return t_us if FIRST_ABSOLUTE_US <= t_us < LAST_US else 0


def flat(value: Any, name: str = "") -> Iterator[Raw]:
    """Every value of nested objects and lists, by its path: `probes.0.temp`. Raises DecodeError for too many."""
    waiting, found = [(name, value)], 0
    while waiting:
        path, inner = waiting.pop()
        if isinstance(inner, (dict, list)):
            items = inner.items() if isinstance(inner, dict) else enumerate(inner)
            waiting += reversed([(f"{path}.{key}" if path else str(key), one) for key, one in items])
            continue
        found += 1
        if found > MAX_READINGS:
            raise DecodeError(f"expected at most {MAX_READINGS} values")
        if path and _encodable(path):
            yield Raw(path, raw_value(inner))


def raw_value(value: Any) -> RawValue:
    """A number, flag or text; None for anything else, and for text that is none in UTF-8."""
    if isinstance(value, (bool, Decimal)):
        return value
    return value if isinstance(value, str) and _encodable(value) else None


def _encodable(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)
