"""Readings of a device, and hours and days of them, page by page in time order."""

from __future__ import annotations

from typing import TypeVar

from sqlalchemy import Connection

from coldchain.domain.rollups import HOUR_US
from coldchain.projections.rollups import Stretch, stretches
from coldchain.projections.series import CELL_US, PROBES, Reading, next_cell, readings

MAX_CELLS = 200
"""Cells of six hours read for one page at most: a probe silent for years costs many pages, not one long one."""

LEAST_BUCKETS = 200
"""Hours or days looked at for one page at least: short pages of a silent time are few."""


def readings_page(
    connection: Connection, device_no: int, device: str, probe: str | None, span: tuple[int, int], limit: int
) -> tuple[list[Reading], int | None]:
    """At most `limit` temperatures of [from, to) by time, and the time the next page starts at, None where nothing is
    left. Readings of one instant stay on one page, however many."""
    at_us, to_us = span
    found: list[Reading] = []
    for _ in range(MAX_CELLS):
        cell = next_cell(connection, device_no, at_us // CELL_US)
        if cell is None or len(found) > limit or max(at_us, cell * CELL_US) >= to_us:
            break
        from_us, at_us = max(at_us, cell * CELL_US), min(to_us, (cell + 1) * CELL_US)
        found += _of_probe(readings(connection, device, from_us, at_us, PROBES + (probe or "")), probe)
    else:
        if len(found) <= limit:
            return _by_time(found), at_us if at_us < to_us else None
    return _cut(_by_time(found), limit)


def _of_probe(found: list[Reading], probe: str | None) -> list[Reading]:
    return found if probe is None else [reading for reading in found if reading.name == PROBES + probe]


def _by_time(found: list[Reading]) -> list[Reading]:
    return sorted(found, key=lambda reading: (reading.t_us, reading.name, reading.entry))


def stretches_page(
    connection: Connection,
    device_no: int,
    hours: int,
    channel: str | None,
    span: tuple[int, int],
    limit: int,
    now_us: int,
) -> tuple[list[Stretch], int | None]:
    """At most `limit` hours or days that [from, to) reaches into, and the time the next page starts at. Those of one
    time stay on one page. channel: one by name; None: every temperature."""
    width = hours * HOUR_US
    last_us = (span[0] // width + max(limit, LEAST_BUCKETS)) * width
    prefix = PROBES if channel is None else channel
    found = stretches(connection, device_no, hours, (span[0], min(span[1], last_us)), now_us, prefix, channel)
    kept, following = _cut(found, limit)
    if following is None:
        return kept, last_us if last_us < span[1] else None
    return kept, -(-following // width) * width


_Item = TypeVar("_Item", Reading, Stretch)


def _time(item: Reading | Stretch) -> int:
    return item.from_us if isinstance(item, Stretch) else item.t_us


def _cut(found: list[_Item], limit: int) -> tuple[list[_Item], int | None]:
    if len(found) <= limit:
        return found, None
    following = _time(found[limit])
    if following == _time(found[0]):
        following += 1
    kept = [one for one in found if _time(one) < following]
    return kept, following
