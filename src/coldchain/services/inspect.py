"""Everything known about one unit in one document: for a person at the dock and for a program."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Protocol

from coldchain.domain.contacts import Stay, holders
from coldchain.domain.continuity import is_pallet
from coldchain.domain.segments import WORST_LAST
from coldchain.domain.tracing import FOREVER_US
from coldchain.services.moments import rfc3339, rfc3339_or_none
from coldchain.services.trace import TraceSource, canonical_name

HISTORY = 500
"""Events listed, newest first; `history_total` says how many there are."""


class InspectSource(TraceSource, Protocol):
    """What `inspect` reads; rows are mappings, times integer microseconds."""

    def history(self, name: str, limit: int) -> tuple[int, Sequence[Mapping[str, Any]]]:
        """How many events name it, and the newest of them."""
        ...

    def segments(self, units: Collection[str]) -> Sequence[Mapping[str, Any]]:
        """Continuity segments: unit, from_us, to_us, verdict, reason, because."""
        ...

    def verdicts_on(self, subjects: Collection[str]) -> Sequence[Mapping[str, Any]]:
        """Current verdicts with `detail` parsed, ledger indices `entries` and `due_us` while a clock runs."""
        ...

    def findings_on(self, subjects: Collection[str]) -> Sequence[Mapping[str, Any]]:
        """What was published about them, every entry in ledger order."""
        ...

    def temperatures(self, place: str, from_us: int, to_us: int) -> Sequence[Mapping[str, Any]]:
        """Segments of the probes mounted there that overlap [from_us, to_us)."""
        ...


def inspect(source: InspectSource, identifier: str) -> dict[str, Any] | None:
    """The document, or None where no event names the unit. Times are RFC 3339, ledger entries are indices."""
    name = canonical_name(identifier)
    if name is None or not source.named(name):
        return None
    stays = holders({name: -FOREVER_US}, source)
    total, history = source.history(name, HISTORY)
    pallets = {unit for unit in (name, *stays) if is_pallet(unit)}
    segments = [_segment(row, part) for row, part in _own_segments(source.segments(pallets), name, stays)]
    verdicts = [row for row in source.verdicts_on({name, *stays}) if _meets(row, name, stays)]
    return {
        "id": name,
        "kind": name.partition(":")[0],
        "verdict": max((s["verdict"] for s in segments), key=WORST_LAST.index, default=None),
        "history_total": total,
        "history": [_timed(row) for row in history],
        "inside": _inside(stays, name, source),
        "contents": _contents(source, name),
        "segments": segments,
        "verdicts": [_timed(row) for row in verdicts],
        "findings": [_timed(row) for row in source.findings_on({name, *pallets})],
        "temperature": _temperature(source, stays, name),
    }


def _inside(stays: Mapping[str, Sequence[Stay]], name: str, source: InspectSource) -> list[dict[str, Any]]:
    """Where it was, outer units and places included, each with the entries that say so."""
    listed = sorted((stay.from_us, parent, stay) for parent, several in stays.items() for stay in several)
    events = source.events({key for _, _, stay in listed for key in stay.why})
    return [
        {
            "parent": parent,
            "through": stay.carrier if stay.carrier != name else None,
            "from": rfc3339(stay.from_us),
            "to": _end(stay.to_us),
            "entries": sorted(events[key]["entry"] for key in stay.why if key in events),
        }
        for _, parent, stay in listed
    ]


def _contents(source: InspectSource, name: str) -> list[dict[str, Any]]:
    """What was directly in it, earlier first."""
    return [
        {"unit": i.child, "from": rfc3339(i.from_us), "to": rfc3339_or_none(i.to_us)}
        for i in sorted(source.within([name]), key=lambda i: (i.from_us, i.child))
    ]


def _own_segments(
    rows: Iterable[Mapping[str, Any]], name: str, stays: Mapping[str, Sequence[Stay]]
) -> Iterable[tuple[Mapping[str, Any], tuple[int, int]]]:
    """A pallet's own segments; for what was in pallets, their segments as far as it was in them."""
    for row in rows:
        for span in [(row["from_us"], row["to_us"])] if row["unit"] == name else _spans(stays[row["unit"]]):
            part = max(row["from_us"], span[0]), min(row["to_us"], span[1])
            if part[0] < part[1]:
                yield row, part


def _segment(row: Mapping[str, Any], part: tuple[int, int]) -> dict[str, Any]:
    return {
        "unit": row["unit"],
        "from": rfc3339(part[0]),
        "to": rfc3339(part[1]),
        "verdict": row["verdict"],
        "reason": row["reason"],
        "because": row["because"],
    }


def _meets(row: Mapping[str, Any], name: str, stays: Mapping[str, Sequence[Stay]]) -> bool:
    """A verdict on something that held it concerns it while it was there, or when it names it."""
    if row["subject"] == name or any(name in row["detail"].get(what, ()) for what in ("extra", "missing", "suspected")):
        return True
    end_us = FOREVER_US if row["to_us"] is None else row["to_us"]
    return any(from_us < end_us and row["from_us"] < to_us for from_us, to_us in _spans(stays[row["subject"]]))


def _temperature(source: InspectSource, stays: Mapping[str, Sequence[Stay]], name: str) -> list[dict[str, Any]]:
    """Temperature of every vehicle and room it was in, for as long as it was in it. Air, not product."""
    here = {name: [(-FOREVER_US, FOREVER_US)]} | {place: _spans(several) for place, several in stays.items()}
    return [
        {**_timed(_within(row, from_us, to_us)), "place": place}
        for place in sorted(here)
        if place.startswith(("veh:", "room:"))
        for from_us, to_us in here[place]
        for row in source.temperatures(place, from_us, to_us)
    ]


def _within(row: Mapping[str, Any], from_us: int, to_us: int) -> dict[str, Any]:
    """The segment cut to the stay; its warmest reading stays that of the whole segment."""
    ends = [end for end in (row["to_us"], to_us if to_us < FOREVER_US else None) if end is not None]
    return {**row, "from_us": max(row["from_us"], from_us), "to_us": min(ends, default=None)}


def _spans(stays: Iterable[Stay]) -> list[tuple[int, int]]:
    return sorted((stay.from_us, stay.to_us) for stay in stays)


def _end(to_us: int) -> str | None:
    return None if to_us >= FOREVER_US else rfc3339(to_us)


def _timed(row: Mapping[str, Any]) -> dict[str, Any]:
    """Microsecond columns as RFC 3339 under their plain names: `from_us` becomes `from`."""
    return {
        name.removesuffix("_us"): rfc3339_or_none(value) if name.endswith("_us") else value
        for name, value in row.items()
    }
