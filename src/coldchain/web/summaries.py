"""One line a pallet: its worst verdict, the worst of the air around it, and where it is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import Connection

from coldchain.db.queries_api import segment_verdicts
from coldchain.db.queries_units import UnitQueries
from coldchain.domain.contacts import Stay, holders
from coldchain.domain.tracing import FOREVER_US
from coldchain.web.status import weight, worst

PLACES = ("veh:", "room:")


class Summary(NamedTuple):
    unit: str
    verdict: str | None
    air: str | None
    place: str
    """The vehicle or room it is in as far as is known, empty for none."""
    since_us: int | None


def summaries(connection: Connection, units: Sequence[str]) -> list[Summary]:
    """In the order of the units; a handful of queries however many they are."""
    source = UnitQueries(connection)
    verdicts = segment_verdicts(connection, units)
    stays = holders(dict.fromkeys(units, -FOREVER_US), source)
    air = _air(source, stays)
    now = {
        stay.unit: (place, stay.from_us)
        for place, several in stays.items()
        for stay in several
        if stay.to_us >= FOREVER_US and place.startswith(PLACES)
    }
    return [
        Summary(unit, worst(verdicts.get(unit, ())), worst(air.get(unit, ())), *now.get(unit, ("", None)))
        for unit in units
    ]


def worst_first(found: Iterable[Summary]) -> list[Summary]:
    """By the worse of continuity and air, then by name."""
    return sorted(found, key=lambda one: (-max(weight(one.verdict), weight(one.air)), one.unit))


def _air(source: UnitQueries, stays: Mapping[str, Sequence[Stay]]) -> dict[str, set[str]]:
    """States of the probes of every vehicle and room while each unit was in it."""
    found: dict[str, set[str]] = {}
    for place, several in stays.items():
        if place.startswith(PLACES):
            begun, ended = min(stay.from_us for stay in several), max(stay.to_us for stay in several)
            for row in source.temperatures(place, begun, ended):
                to_us = FOREVER_US if row["to_us"] is None else row["to_us"]
                for stay in several:
                    if stay.from_us < to_us and row["from_us"] < stay.to_us:
                        found.setdefault(stay.unit, set()).add(row["state"])
    return found
