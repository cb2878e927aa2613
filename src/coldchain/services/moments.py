"""Times for people and programs outside: UTC, RFC 3339 (design §3)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def rfc3339(t_us: int) -> str:
    """Microseconds since the epoch as text; fractions only where there are any."""
    return (_EPOCH + timedelta(microseconds=t_us)).isoformat().replace("+00:00", "Z")


def rfc3339_or_none(t_us: int | None) -> str | None:
    return None if t_us is None else rfc3339(t_us)
