"""Whom a published change is told to, when, and together with which others. Pure: time and zone are given.

Notifications are no verdicts: their time is the wall clock's.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from typing import NamedTuple

from coldchain.domain.severity import SEVERITIES, rank

CRITICAL = SEVERITIES[-1]
HOUR_US = 3_600_000_000
MOST_TOGETHER = 1_000
"""Changes in one message at most."""
FIRST_PAUSE_S = 10
LONGEST_PAUSE_S = 3_600
GIVE_UP_S = 3 * 86_400
"""A message that was tried for so long is listed as failed."""
_CLOCK = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)", re.ASCII)


class NoticeError(ValueError):
    """A selection or hours that mean nothing; the text names them."""


class Selection(NamedTuple):
    """What a channel is told of; what is empty selects everything."""

    rules: tuple[str, ...] = ()
    """How the rule's name starts, any of these."""
    severity: str = SEVERITIES[0]
    """At least."""
    events: tuple[str, ...] = ()
    subject: str = ""
    place: str = ""
    """The vehicle or room itself, or one that a device of the finding was in."""
    org: str = ""


class News(NamedTuple):
    """One published entry of a finding."""

    finding: str
    n: int
    entry: int
    rule: str
    subject: str
    severity: str
    event: str
    places: tuple[str, ...]
    orgs: frozenset[str]
    """Those of the organisations asked about that the finding concerns."""

    @property
    def group(self) -> str:
        """What is told together: whatever happened in one place, or to one subject."""
        return self.places[0] if self.places else self.subject


def selects(wanted: Selection, news: News) -> bool:
    return (
        rank(news.severity) >= rank(wanted.severity)
        and (not wanted.rules or news.rule.startswith(wanted.rules))
        and (not wanted.events or news.event in wanted.events)
        and wanted.subject in ("", news.subject)
        and (not wanted.place or wanted.place in (*news.places, news.subject))
        and (not wanted.org or wanted.org in news.orgs)
    )


class Quiet(NamedTuple):
    """Minutes of the local day, from the first to before the second; over midnight where that is the earlier one."""

    from_min: int
    to_min: int


def parse_quiet(text: str) -> Quiet | None:
    """`22:00-06:00`; None for "". Raises NoticeError."""
    if not text:
        return None
    found = _CLOCK.fullmatch(text)
    if found is None or found[1] + found[2] == found[3] + found[4]:
        raise NoticeError(f"quiet hours: expected two times of day such as 22:00-06:00, found {text!r}")
    hours = [int(part) for part in found.groups()]
    return Quiet(hours[0] * 60 + hours[1], hours[2] * 60 + hours[3])


def is_quiet(quiet: Quiet | None, zone: tzinfo, now_us: int) -> bool:
    """Whether the clock on the wall there shows a quiet minute, whatever was done to it for the summer."""
    if quiet is None:
        return False
    local = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=now_us)).astimezone(zone)
    minute = local.hour * 60 + local.minute
    if quiet.from_min < quiet.to_min:
        return quiet.from_min <= minute < quiet.to_min
    return minute >= quiet.from_min or minute < quiet.to_min


class Waiting(NamedTuple):
    """A change that a channel is to be told of and was put into no message yet."""

    finding: str
    n: int
    entry: int
    group: str
    severity: str
    since_us: int


def compose(
    waiting: Iterable[Waiting], now_us: int, *, window_us: int, per_hour: int, used: int, quiet: bool
) -> list[tuple[Waiting, ...]]:
    """The messages to be made now. What belongs together is one message, made `window_us` after the first of it came.

    quiet: what is not critical waits. used: messages made within the last hour. Where there are more messages than the
    hour has left, the last one it has is a digest of the rest. A quarter of the hour is kept for what is critical.
    """
    groups: dict[str, list[Waiting]] = {}
    for one in sorted(waiting, key=lambda one: one.entry):
        if one.severity == CRITICAL or not quiet:
            groups.setdefault(one.group, []).append(one)
    due = [group for group in groups.values() if min(one.since_us for one in group) + window_us <= now_us]
    urgent = [group for group in due if any(one.severity == CRITICAL for one in group)]
    rest = [group for group in due if group not in urgent]
    made = _within(urgent, per_hour - used)
    return made + _within(rest, per_hour - per_hour // 4 - used - len(made))


def _within(groups: Sequence[Sequence[Waiting]], slots: int) -> list[tuple[Waiting, ...]]:
    if slots <= 0 or not groups:
        return []
    if len(groups) > slots:
        digest = sorted((one for group in groups[slots - 1 :] for one in group), key=lambda one: one.entry)
        groups = [*groups[: slots - 1], digest]
    return [tuple(group[:MOST_TOGETHER]) for group in groups]


def worst(severities: Iterable[str]) -> str:
    return max(severities, key=rank)


def next_try_s(failures: int) -> int:
    """Seconds to wait after so many failures, 1 for the first."""
    return int(min(FIRST_PAUSE_S * 2 ** min(failures - 1, 20), LONGEST_PAUSE_S))


def is_given_up(failures: int) -> bool:
    """After so many, whose pauses are three days together: tries count, not days in which nobody was there to try."""
    return sum(map(next_try_s, range(1, failures + 1))) > GIVE_UP_S
