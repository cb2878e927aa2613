"""Which goods units hold, when, and by which profiles these are judged (docs/rules.md).

A load holds what lies in it, at any depth: cases, by the lot they are of, and counted goods.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import Connection

from coldchain.db.bulk import fetch
from coldchain.db.queries_events import chunks
from coldchain.domain.commodities import (
    ALWAYS,
    BY_DEVICES,
    Commodity,
    Fall,
    GoodsFact,
    Judged,
    Turns,
    classes_of,
    commodity,
    fall,
)
from coldchain.domain.exposure import LOADS, MAX_CLIMB, Span, joined, without
from coldchain.domain.profiles import Profile
from coldchain.domain.tracing import FOREVER_US

CASE = "case:"
GOODS = (CASE, "lot:", "code:")


class _Held(NamedTuple):
    """The unit held an item for some time."""

    unit: str
    item: str
    from_us: int
    to_us: int


class KindsOfGoods:
    """What is asked of the kinds of goods; over one connection, for one batch or one answer."""

    def __init__(self, connection: Connection, profiles: Iterable[Profile]) -> None:
        self._connection = connection
        self._profiles = tuple(profiles)
        self._falls: dict[Commodity, Fall] = {}

    def judged(self, units: Iterable[str]) -> dict[str, tuple[Judged, ...]]:
        """By unit: the profiles its goods fall under, while they are in it. What falls under none is judged by those of
        the devices, as is a load while nobody knows what is in it."""
        wanted = set(units)
        held = self._held(wanted)
        kinds = self._kinds({one.item for one in held})
        by_unit: dict[str, list[_Held]] = {}
        for one in held:
            by_unit.setdefault(one.unit, []).append(one)
        return {unit: self._of(by_unit.get(unit, ()), kinds) for unit in wanted}

    def _of(self, held: Iterable[_Held], kinds: Mapping[str, Commodity]) -> tuple[Judged, ...]:
        spans: dict[Turns, list[Span]] = {}
        why: dict[Turns, set[str]] = {}
        for one in held:
            fallen = self._fall(kinds[one.item])
            spans.setdefault(fallen.turns, []).append((one.from_us, one.to_us))
            why.setdefault(fallen.turns, set()).add(fallen.why)
        reasons = why.pop(BY_DEVICES[0].turns, set(BY_DEVICES[0].why))
        unclaimed = spans.pop(BY_DEVICES[0].turns, [])
        claimed = joined(span for several in spans.values() for span in several)
        others = joined([*unclaimed, *without(ALWAYS, claimed)])
        found = [Judged(turns, tuple(joined(spans[turns])), tuple(sorted(why[turns]))) for turns in sorted(spans)]
        if others:
            found.append(Judged(BY_DEVICES[0].turns, tuple(others), tuple(sorted(reasons))))
        return tuple(found)

    def _fall(self, kind: Commodity) -> Fall:
        found = self._falls.get(kind)
        if found is None:
            found = self._falls[kind] = fall(kind, self._profiles)
        return found

    # Which goods

    def _held(self, units: set[str]) -> list[_Held]:
        """Every item that ever was in one of these units, at any depth; of goods the goods themselves."""
        found = [_Held(unit, unit, *ALWAYS[0]) for unit in units if unit.startswith(GOODS)]
        layer = [_Held(unit, unit, *ALWAYS[0]) for unit in units if unit.startswith(LOADS) and unit[:5] != CASE]
        seen = set(layer)
        for _ in range(MAX_CLIMB):
            found += self._within(
                layer,
                "SELECT parent, item, from_us, to_us FROM quantity_span WHERE parent IN ({})"
                " AND (most_milli IS NULL OR most_milli > 0)",
            )
            inside = self._within(layer, "SELECT parent, child, from_us, to_us FROM containment WHERE parent IN ({})")
            found += [one for one in inside if one.item.startswith(CASE)]
            layer = [one for one in inside if one.item.startswith(LOADS) and one.item[:5] != CASE and one not in seen]
            seen.update(layer)
            if not layer:
                break
        return found

    def _within(self, layer: Sequence[_Held], query: str) -> list[_Held]:
        """What these items held while the units held them."""
        around: dict[str, list[_Held]] = {}
        for one in layer:
            around.setdefault(one.item, []).append(one)
        found: set[_Held] = set()
        for part in chunks(around):
            for parent, item, from_us, to_us in fetch(
                self._connection, query.format(", ".join("?" * len(part))), *part
            ):
                end_us = FOREVER_US if to_us is None else to_us
                for outer in around[parent]:
                    here = _Held(outer.unit, item, max(from_us, outer.from_us), min(end_us, outer.to_us))
                    if here.from_us < here.to_us:
                        found.add(here)
        return sorted(found)

    # Of which kind

    def _kinds(self, items: set[str]) -> dict[str, Commodity]:
        lots = self._lots({item for item in items if item.startswith(CASE)})
        names = {
            item: list(dict.fromkeys(name for own in (item, *lots.get(item, ())) for name in classes_of(own)))
            for item in items
        }
        stated = self._stated({name for several in names.values() for name in several})
        known: dict[tuple[str, ...], Commodity] = {}
        found: dict[str, Commodity] = {}
        for item, several in names.items():
            # Cases of one lot, of which nothing else is stated, are one question.
            telling = tuple(name for name in several if name in stated or name.startswith("lot:"))
            if telling not in known:
                known[telling] = commodity(telling, stated)
            found[item] = known[telling]
        return found

    def _lots(self, cases: set[str]) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        query = "SELECT child, parent FROM containment WHERE child IN ({})"
        for part in chunks(cases):
            for case, parent in fetch(self._connection, query.format(", ".join("?" * len(part))), *part):
                if parent.startswith("lot:"):
                    found.setdefault(case, []).append(parent)
        return {case: sorted(set(several)) for case, several in found.items()}

    def _stated(self, names: set[str]) -> dict[str, list[GoodsFact]]:
        found: dict[str, list[GoodsFact]] = {}
        query = "SELECT item, key, hs, product, time_us, by FROM goods_fact WHERE item IN ({})"
        for part in chunks(names):
            for row in fetch(self._connection, query.format(", ".join("?" * len(part))), *part):
                found.setdefault(row[0], []).append(GoodsFact(*row))
        return found
