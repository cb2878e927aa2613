"""A clock that is behind, as far as the ledger can tell it from messages that waited (docs/temperature.md 4.5).

A buffer that drains comes to its end, and what is sent every quarter of an hour waits for one sending at most: a device
of which nothing came within the hour for a whole day, and all day by the same time late, is neither.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from coldchain.domain.rulepacks import SECOND_US

DAY_US = 86_400 * SECOND_US
QUARTER_US = 900 * SECOND_US
QUARTERS = 72
"""So many quarter hours of a day that tell the same are a whole day: three of four, for roads have tunnels."""
PROMPT_US = 4 * QUARTER_US
"""What came within that was not held back; nor can anything be said of a clock that is behind by less."""
STEADY_US = 60 * SECOND_US


class Day(NamedTuple):
    """What the messages recorded in one day (UTC) of the ledger come to."""

    number: int
    """Days since 1970."""
    behind_us: int | None
    """None where it is not told of."""
    is_prompt: bool
    """Whether anything came within `PROMPT_US`."""


class Behind(NamedTuple):
    """Days of a clock that is behind, or of messages that are all held back, in ledger time."""

    from_us: int
    to_us: int | None
    """None until something comes promptly."""
    least_us: int
    """Nothing came sooner than so much after its newest sample."""
    days: int


def behind_us(least: Mapping[int, int]) -> int | None:
    """By how much everything of a day was late, None where it was not, or not steadily. least: by quarter hour of the
    day in which anything was recorded, how late the soonest of it was."""
    soonest = min(least.values(), default=0)
    if soonest < PROMPT_US or sum(late <= soonest + STEADY_US for late in least.values()) < QUARTERS:
        return None
    return soonest


def stretches(days: Iterable[Day]) -> list[Behind]:
    """Days told of that have no prompt message between them are one. days: of one device, by number."""
    found: list[Behind] = []
    for day in days:
        from_us, to_us = day.number * DAY_US, (day.number + 1) * DAY_US
        if day.behind_us is not None:
            if found and found[-1].to_us is None:
                found[-1] = Behind(found[-1].from_us, None, min(found[-1].least_us, day.behind_us), found[-1].days + 1)
            else:
                found.append(Behind(from_us, None, day.behind_us, 1))
            last_us = to_us
        elif day.is_prompt and found and found[-1].to_us is None:
            found[-1] = found[-1]._replace(to_us=last_us)
    return found
