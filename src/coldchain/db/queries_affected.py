"""What was in a vehicle or a room over a stretch of time: what a finding about it concerns."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

from sqlalchemy import Connection

from coldchain.db.bulk import fetch
from coldchain.db.queries_events import chunks
from coldchain.services.emit import Affected

MOST_UNITS = 5_000
"""Units looked at for one finding: a full cold store has a hundred times as many cases, and a finding lists 256."""
PLACES = ("veh:", "room:")
_ALWAYS_US = 2**62
Stay = tuple[str, int, int]
"""(unit or place, from, to)"""


class AffectedQueries:
    """`services.emit.FindAffected` over one connection. Probes of one excursion ask the same; it is looked up once."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._known: dict[Stay, Affected] = {}

    def __call__(self, subject: str, from_us: int, to_us: int | None) -> Affected | None:
        """None as well where nobody can tell when it was: a device without a believable time."""
        if not subject.startswith((*PLACES, "dev:")) or from_us <= 0:
            return None
        key = subject, from_us, _ALWAYS_US if to_us is None else max(to_us, from_us + 1)
        places = self._places(key) if subject.startswith("dev:") else [key]
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = self._affected(places)
        return found

    def _affected(self, places: list[Stay]) -> Affected:
        units, is_all = self._inside(places)
        held = self._held([*places, *units])
        return Affected(
            places=tuple(dict.fromkeys(place for place, _, _ in places)),
            units=tuple(dict.fromkeys(unit for unit, _, _ in units)),
            units_total=len({unit for unit, _, _ in units}),
            is_all=is_all,
            quantities=held,
        )

    def _places(self, about: Stay) -> list[Stay]:
        """Where the device was mounted meanwhile; its first mounting also holds before."""
        query = (
            "SELECT m.at_us, m.place FROM device_mounting m JOIN device d ON d.device_no = m.device_no"
            " WHERE d.device = ? ORDER BY m.at_us"
        )
        rows = fetch(self._connection, query, about[0].removeprefix("dev:"))
        starts = [-_ALWAYS_US, *(at_us for at_us, _ in rows[1:])]
        spans = zip((place for _, place in rows), pairwise([*starts, _ALWAYS_US]), strict=False)
        cut = ((place, max(from_us, about[1]), min(to_us, about[2])) for place, (from_us, to_us) in spans)
        return [stay for stay in cut if stay[1] < stay[2] and stay[0].startswith(PLACES)]

    def _inside(self, places: Iterable[Stay]) -> tuple[list[Stay], bool]:
        """Every stay of a unit in one of the places, at any depth, outer before inner; and whether these are all."""
        seen: dict[Stay, None] = {}
        layer = list(places)
        while layer:
            within = [stay for stay in self._children(layer) if stay not in seen]
            room = MOST_UNITS - len(seen)
            seen |= dict.fromkeys(within[:room])
            if len(within) > room:
                return list(seen), False
            layer = within
        return list(seen), True

    def _children(self, layer: Iterable[Stay]) -> list[Stay]:
        around: dict[str, list[Stay]] = {}
        for stay in layer:
            around.setdefault(stay[0], []).append(stay)
        found: dict[Stay, None] = {}
        for part in chunks(around):
            low_us, high_us = _bounds(stay for name in part for stay in around[name])
            query = (
                "SELECT child, parent, from_us, to_us FROM containment"  # noqa: S608 (no values in it)
                f" WHERE parent IN ({', '.join('?' * len(part))}) AND from_us < ? AND (to_us IS NULL OR to_us > ?)"
                f" ORDER BY child, from_us LIMIT {MOST_UNITS + 1}"
            )
            for child, parent, from_us, to_us in fetch(self._connection, query, *part, high_us, low_us):
                for _, begun_us, ended_us in around[parent]:
                    stay = child, max(from_us, begun_us), min(_ALWAYS_US if to_us is None else to_us, ended_us)
                    if stay[1] < stay[2]:
                        found[stay] = None
        return list(found)

    def _held(self, stays: Iterable[Stay]) -> tuple[tuple[str, str, int | None], ...]:
        """Of each goods, by measure, at most how much was in these: what moved from one to another counts twice."""
        around: dict[str, list[Stay]] = {}
        for stay in stays:
            around.setdefault(stay[0], []).append(stay)
        most: dict[tuple[str, str, str], int | None] = {}
        for part in chunks(around):
            low_us, high_us = _bounds(stay for name in part for stay in around[name])
            query = (
                "SELECT parent, item, measure, from_us, to_us, most_milli FROM quantity_span"  # noqa: S608
                f" WHERE parent IN ({', '.join('?' * len(part))}) AND from_us < ? AND (to_us IS NULL OR to_us > ?)"
            )
            for parent, item, measure, from_us, to_us, milli in fetch(self._connection, query, *part, high_us, low_us):
                end_us = _ALWAYS_US if to_us is None else to_us
                if any(from_us < ended_us and begun_us < end_us for _, begun_us, ended_us in around[parent]):
                    before = most.get((parent, item, measure), 0)
                    most[parent, item, measure] = None if before is None or milli is None else max(before, milli)
        lines: dict[tuple[str, str], int | None] = {}
        for (_, item, measure), milli in most.items():
            before = lines.get((item, measure), 0)
            lines[item, measure] = None if before is None or milli is None else before + milli
        return tuple((item, measure, milli) for (item, measure), milli in sorted(lines.items()) if milli != 0)


def _bounds(stays: Iterable[Stay]) -> tuple[int, int]:
    """The first begin and the last end."""
    known = list(stays)
    return min(stay[1] for stay in known), max(stay[2] for stay in known)
