"""Readings of a device, page by page in time order."""

from __future__ import annotations

from sqlalchemy import Connection

from coldchain.projections.series import CELL_US, PROBES, Reading, next_cell, readings

MAX_CELLS = 200
"""Cells of six hours read for one page at most: a probe silent for years costs many pages, not one long one."""


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


def _cut(found: list[Reading], limit: int) -> tuple[list[Reading], int | None]:
    if len(found) <= limit:
        return found, None
    following = found[limit].t_us
    if following == found[0].t_us:
        following += 1
    kept = [reading for reading in found if reading.t_us < following]
    return kept, following
