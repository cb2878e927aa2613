"""How times, temperatures and addresses are written on pages."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from urllib.parse import quote

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LAST_US = 253_402_300_799_999_999
"""The end of the year 9999."""


def micros(text: str) -> int:
    """Microseconds since the epoch of an RFC 3339 time."""
    return (datetime.fromisoformat(text) - _EPOCH) // timedelta(microseconds=1)


def iso(time: int | str) -> str:
    """RFC 3339 to the second, of microseconds or of a longer RFC 3339 time.

    A device may claim any time: what no calendar holds is shown as the number it is.
    """
    us = micros(time) if isinstance(time, str) else time
    if not 0 <= us <= LAST_US:
        return f"{us} µs"
    return datetime.fromtimestamp(us // 1_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def utc(time: int | str) -> str:
    """2026-11-23 05:04:12; the pages say once that times are UTC."""
    return iso(time).replace("T", " ").removesuffix("Z")


def celsius(milli: int | None) -> str:
    """One decimal and a true minus sign; a dash where nothing was measured."""
    return "–" if milli is None else f"{milli / 1000:.1f} °C".replace("-", "−")


def duration(us: int) -> list[tuple[int, str]]:
    """Days, hours and minutes, each a number and its unit `d`, `h` or `min`; `s` below one minute."""
    seconds = us // 1_000_000
    if seconds < 60:
        return [(seconds, "s")]
    parts = [(seconds // 86_400, "d"), (seconds // 3_600 % 24, "h"), (seconds // 60 % 60, "min")]
    return [(value, unit) for value, unit in parts if value]


def quoted(name: str) -> str:
    """One part of an address."""
    return quote(name, safe="")


def page_of(subject: str) -> str:
    """Where the pages tell about a subject name."""
    kind, _, rest = subject.partition(":")
    return f"/devices/{quoted(rest)}" if kind == "dev" else f"/units/{quote(subject, safe=':/')}"
