"""Times of EPCIS documents: `xsd:dateTimeStamp`, an offset always stated (EPCIS 2.0 §7.4.1)."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache

EXPECTED_TIME = "expected a date and time with offset such as 2024-05-01T08:00:00.000+08:00"
EXPECTED_OFFSET = "expected an offset from -14:00 to +14:00 such as +08:00"

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-](0\d|1[0-3]):[0-5]\d|[+-]14:00)", re.ASCII)
OFFSET = re.compile(r"[+-](?:(?:0\d|1[0-3]):[0-5]\d|14:00)", re.ASCII)


@lru_cache(4_096)
def time_us(text: str) -> int:
    """Microseconds since 1970 UTC; further digits of a fraction are cut. Raises ValueError, its text what is wrong."""
    if not _TIME.fullmatch(text):
        raise ValueError(f"{EXPECTED_TIME}, found {text!r}")
    try:
        moment = datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError) as error:  # OverflowError: a year before 1 or after 9999 in UTC
        raise ValueError(f"{EXPECTED_TIME}, found {text!r} ({error})") from error
    return (moment - _EPOCH) // _MICROSECOND


def rfc3339_ms(us: int) -> str:
    """UTC with milliseconds and Z; the third decimal place rounded up from the fourth on (CBV 2.0 §8.9, rule 9)."""
    moment = _EPOCH + timedelta(milliseconds=(us + 500) // 1_000)
    return f"{moment.replace(tzinfo=None).isoformat(timespec='milliseconds')}Z"
