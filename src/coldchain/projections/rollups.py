"""Hours and days of a device's channels: what was summed up, and what is too new for that summed up at once."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain
from typing import NamedTuple

from sqlalchemy import Connection

from coldchain.db.bulk import fetch
from coldchain.db.series_rows import messages, next_cell
from coldchain.domain.rollups import DAY_HOURS, HOUR_US, Bucket, Buckets, by_day, gap_share
from coldchain.projections.history import CELL_HOURS, CELLS_A_DAY, Worth, stored_days, stored_hours

DAY_US = DAY_HOURS * HOUR_US
RAW_US = 2 * DAY_US
"""Up to here every reading is shown, beyond it hours, and beyond `HOURLY_US` days."""
HOURLY_US = 62 * DAY_US


def resolution(length_us: int) -> int:
    """How much time of so long a span is best shown as one: 0 for none, else hours."""
    return 0 if length_us <= RAW_US else 1 if length_us <= HOURLY_US else DAY_HOURS


class Stretch(NamedTuple):
    """One channel during one hour or day, in which it was read."""

    channel: str
    from_us: int
    to_us: int
    bucket: Bucket
    gap_share: float
    """Of the time that has passed by the ledger's clock: the share without data."""
    silent_before: bool
    """Whether nothing is known of the time since the stretch before it, or there is none."""


def stretches(
    connection: Connection,
    device_no: int,
    hours: int,
    span: tuple[int, int],
    now_us: int,
    prefix: str = "",
    channel: str | None = None,
) -> list[Stretch]:
    """Whole hours (1) or days (24) that [from, to) reaches into and in which anything was read, by time and channel.

    prefix: how the channels' names start; channel: one by name. now_us: newest time the ledger knows.
    """
    width = hours * HOUR_US
    first, until = span[0] // width, -(-span[1] // width)
    around = DAY_HOURS // hours  # a rule that allows a day's silence is none
    read = _hours if hours == 1 else _days
    found = []
    for name, buckets in read(connection, device_no, first - around, until + around, prefix, channel).items():
        listed: list[tuple[int, Bucket]] = list(buckets.items())
        for place, (at, bucket) in enumerate(listed):
            if first <= at < until:
                before = listed[place - 1][1] if place else None
                after = listed[place + 1][1] if place + 1 < len(listed) else None
                span_us = at * width, (at + 1) * width
                share = gap_share(before, bucket, after, span_us, now_us)
                silent = before is None or bucket.first_us - before.last_us > before.silence_us
                found.append(Stretch(name, *span_us, bucket, share, silent))
    return sorted(found, key=lambda stretch: (stretch.from_us, stretch.channel))


def _hours(connection: Connection, device_no: int, first: int, until: int, prefix: str, channel: str | None) -> Buckets:
    first_cell, last_cell = first // CELL_HOURS, (until - 1) // CELL_HOURS
    stale = _stale(connection, device_no, first_cell, last_cell + 1)
    found: Buckets = {}
    for name, buckets in stored_hours(connection, device_no, (first_cell, last_cell), channel).items():
        kept = {at: one for at, one in buckets.items() if at // CELL_HOURS not in stale and first <= at < until}
        found[name] = kept
    worth = Worth(connection) if stale else None
    for cell in sorted(stale):
        assert worth is not None
        for name, buckets in worth.hours(device_no, messages(connection, device_no, (cell, cell))).items():
            found.setdefault(name, {}).update({at: bucket for at, bucket in buckets.items() if first <= at < until})
    return {
        name: dict(sorted(buckets.items()))
        for name, buckets in found.items()
        if name.startswith(prefix) and channel in (None, name)
    }


def _days(connection: Connection, device_no: int, first: int, until: int, prefix: str, channel: str | None) -> Buckets:
    stale = {cell // CELLS_A_DAY for cell in _stale(connection, device_no, first * CELLS_A_DAY, until * CELLS_A_DAY)}
    found: Buckets = {}
    for name, buckets in stored_days(connection, device_no, (first, until), channel).items():
        if name.startswith(prefix):
            found[name] = {day: bucket for day, bucket in buckets.items() if day not in stale}
    for begin, end in _runs(sorted(stale)):
        hours = _hours(connection, device_no, begin * DAY_HOURS, end * DAY_HOURS, prefix, channel)
        for name, buckets in hours.items():
            found.setdefault(name, {}).update(by_day(buckets))
    return {name: dict(sorted(buckets.items())) for name, buckets in found.items()}


def _stale(connection: Connection, device_no: int, first: int, until: int) -> set[int]:
    """Cells from one to before another that changed since they were summed up, if they ever were."""
    query = "SELECT cell FROM series_due WHERE device_no = ? AND cell >= ? AND cell < ?"
    found = set(chain.from_iterable(fetch(connection, query, device_no, first, until)))
    for (cell,) in fetch(connection, "SELECT cell FROM rollup_due WHERE device_no = ?", device_no):
        following = next_cell(connection, device_no, max(first, cell))
        while following is not None and following < until:
            found.add(following)
            following = next_cell(connection, device_no, following + 1)
    return found


def _runs(days: Iterable[int]) -> list[tuple[int, int]]:
    """[first, after the last) of days in a row."""
    found: list[tuple[int, int]] = []
    for day in days:
        if found and found[-1][1] == day:
            found[-1] = found[-1][0], day + 1
        else:
            found.append((day, day + 1))
    return found
