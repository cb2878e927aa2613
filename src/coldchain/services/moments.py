"""Times for people and programs outside: UTC, RFC 3339 (design §3)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from coldchain.services.identity import CommandRefused

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def rfc3339(t_us: int) -> str:
    """Microseconds since the epoch as text; fractions only where there are any."""
    return (_EPOCH + timedelta(microseconds=t_us)).isoformat().replace("+00:00", "Z")


def datetime_of(t_us: int) -> datetime:
    """Aware, UTC."""
    return _EPOCH + timedelta(microseconds=t_us)


def rfc3339_or_none(t_us: int | None) -> str | None:
    return None if t_us is None else rfc3339(t_us)


def moment_us(text: str) -> int:
    """Microseconds since the epoch of an ISO date (midnight UTC) or an RFC 3339 time. Raises CommandRefused."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or (moment.tzinfo is None and len(text) != len("2026-03-02")):
        raise CommandRefused(f"time {text!r}: expected 2026-03-02 or 2026-03-02T08:00:00+08:00")
    return (moment.replace(tzinfo=moment.tzinfo or UTC) - _EPOCH) // timedelta(microseconds=1)
