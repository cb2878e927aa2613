"""When a query is due: cron-like schedules of EPCIS 2.0 §8.2.5.3, in UTC."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

SECOND_US = 1_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIELDS = {
    "second": (0, 59),
    "minute": (0, 59),
    "hour": (0, 23),
    "dayOfMonth": (1, 31),
    "month": (1, 12),
    "dayOfWeek": (1, 7),
}
"""Coarser ones last; Monday is 1."""
_CLOCK = ("second", "minute", "hour")
_ELEMENT = re.compile(
    r"(?:(?P<any>\*)|(?P<one>\d{1,2})|\[(?P<low>\d{1,2})-(?P<high>\d{1,2})\])(?:/(?P<step>\d{1,2}))?", re.ASCII
)
_DAYS = 8 * 366
"""29 February comes again within so many."""


class ScheduleError(ValueError):
    """No schedule; the text names the field."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """The values each field may have. What is finer than the finest given is 0: `hour: 1, minute: 5` is 01:05:00."""

    allowed: Mapping[str, frozenset[int]]

    def next_us(self, after_us: int) -> int:
        """The first matching time after `after_us`, microseconds. Raises ScheduleError where there is none."""
        start = _EPOCH + timedelta(seconds=after_us // SECOND_US + 1)
        midnight = start.replace(hour=0, minute=0, second=0)
        for days in range(_DAYS):
            day = midnight + timedelta(days=days)
            if self._is_day(day):
                for moment in self._times(day):
                    if moment >= start:
                        return (moment - _EPOCH) // timedelta(microseconds=1)
        raise ScheduleError("schedule: no day of any year matches dayOfMonth, month and dayOfWeek")

    def _is_day(self, day: datetime) -> bool:
        has = {"dayOfMonth": day.day, "month": day.month, "dayOfWeek": day.isoweekday()}
        return all(value in self.allowed[name] for name, value in has.items())

    def _times(self, day: datetime) -> Iterator[datetime]:
        for hour in sorted(self.allowed["hour"]):
            for minute in sorted(self.allowed["minute"]):
                for second in sorted(self.allowed["second"]):
                    yield day.replace(hour=hour, minute=minute, second=second)


def parse_schedule(stated: Mapping[str, Any]) -> Schedule:
    """Fields as `5`, `1,2`, `[5-10]`, `0/30` or `*`. Raises ScheduleError."""
    for name in stated:
        if name not in _FIELDS:
            raise ScheduleError(f"schedule {name}: expected {', '.join(_FIELDS)}")
    if not stated:
        raise ScheduleError(f"schedule: expected one of {', '.join(_FIELDS)}")
    finest = min(list(_FIELDS).index(name) for name in stated)
    allowed = {}
    for place, (name, (low, high)) in enumerate(_FIELDS.items()):
        if name in stated:
            allowed[name] = _values(name, str(stated[name]), low, high)
        elif place < finest and name in _CLOCK:
            allowed[name] = frozenset({0})
        else:
            allowed[name] = frozenset(range(low, high + 1))
    schedule = Schedule(allowed)
    schedule.next_us(0)
    return schedule


def _values(name: str, text: str, low: int, high: int) -> frozenset[int]:
    found: set[int] = set()
    for element in text.split(","):
        match = _ELEMENT.fullmatch(element.strip())
        if match is None:
            raise ScheduleError(f"schedule {name}: expected numbers such as 5, 1,2, [5-10] or 0/30, found {text!r}")
        first = int(match["one"] or match["low"] or low)
        last = int(match["high"]) if match["high"] else first if match["one"] and not match["step"] else high
        step = int(match["step"] or 1)
        if not low <= first <= last <= high or step == 0:
            raise ScheduleError(f"schedule {name}: expected {low} to {high}, found {text!r}")
        found.update(range(first, last + 1, step))
    return frozenset(found)
