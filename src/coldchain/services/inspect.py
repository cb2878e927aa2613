"""Everything known about one unit in one document: for a person at the dock and for a program."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Protocol

from coldchain.domain.contacts import Stay, holders
from coldchain.domain.containment import Interval
from coldchain.domain.continuity import is_pallet
from coldchain.domain.segments import WORST_LAST
from coldchain.domain.tracing import FOREVER_US
from coldchain.services import inspect_parts as parts
from coldchain.services.exposure import ExposureSource, exposures
from coldchain.services.inspect_parts import NOW_US, PartsSource
from coldchain.services.moments import rfc3339, rfc3339_or_none
from coldchain.services.trace import TraceSource, canonical_name

HISTORY = 500
"""Events listed, newest first; `history_total` says how many there are."""
CONTENTS = 1_000
"""Stays of other units in it that are listed, the newest; `contents_total` says how many there are."""
GRADES = ("signed", "transport", "declared", "transcribed", "derived")
"""Evidence, strongest first (design §6)."""
LOTS_PALLETS = 500
"""Pallets of a lot whose continuity is told."""


class InspectSource(TraceSource, PartsSource, Protocol):
    """What `inspect` reads; rows are mappings, times integer microseconds."""

    def valid_for(self) -> tuple[int, int]:
        """Entries of the ledger the answers come from, and the newest time recorded among them."""
        ...

    def grades(self, name: str) -> Collection[str]:
        """The grades of the events that name it."""
        ...

    def history(self, name: str, limit: int, until_us: int) -> tuple[int, Sequence[Mapping[str, Any]]]:
        """How many events up to then name it, and the newest of them."""
        ...

    def contents(self, name: str, t_us: int | None, limit: int) -> tuple[int, Sequence[Interval]]:
        """How many stays in it there were, and the newest by time; with t_us only those of that moment."""
        ...

    def held_by(self, item: str) -> Collection[str]:
        """Whatever ever held a counted amount of these goods."""
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


def inspect(
    source: InspectSource, telemetry: ExposureSource, identifier: str, at_us: int | None = None
) -> dict[str, Any] | None:
    """The document, or None where no event names the unit. Times are RFC 3339, ledger entries are indices.

    at_us: as of that moment in the goods' own time: what had begun by then, where it was then, what was in it then.
    """
    name = canonical_name(identifier)
    if name is None or not source.named(name):
        return None
    t_us = NOW_US if at_us is None else at_us
    stays = holders({name: -FOREVER_US}, source)
    stays = {holder: began for holder, all_ in stays.items() if (began := [s for s in all_ if s.from_us <= t_us])}
    total, history = source.history(name, HISTORY, t_us)
    contents_total, contents = source.contents(name, at_us, CONTENTS)
    holders_total, listed = parts.holders_of(source, name, t_us) if name.startswith(("lot:", "code:")) else (0, [])
    segments = _begun(_segments(source, name, stays), t_us)
    verdicts = _begun([row for row in source.verdicts_on({name, *stays}) if _meets(row, name, stays)], t_us)
    pallets = {unit for unit in (name, *stays) if is_pallet(unit)}
    size, ledger_us = source.valid_for()
    why = {key for several in stays.values() for stay in several for key in stay.why}
    stated = source.entries_of(why.union(*(stay.why for stay in contents)))
    grades = {*source.grades(name), *(grade for _, grade in stated.values())}
    document: dict[str, Any] = {
        "id": name,
        "kind": name.partition(":")[0],
        "ledger": {"size": size, "time": rfc3339(ledger_us)},
        "at": rfc3339_or_none(at_us),
        "verdict": max((s["verdict"] for s in segments), key=WORST_LAST.index, default=None),
        "weakest_grade": _weakest([*grades, *(row["weakest_grade"] for row in verdicts)]),
        "identity": parts.identity(source, name),
        "position": parts.position(source, name, t_us),
        "history_total": total,
        "history": [_timed(row) for row in history],
        "inside": _inside(stays, name, stated),
        "contents_total": contents_total,
        "contents": [_content(stay, stated) for stay in contents],
        "goods": [] if name.startswith(("case:", "lot:", "code:gtin/")) else parts.goods_inside(source, name, t_us),
        "holders_total": holders_total,
        "holders": listed,
        "balance": parts.balance(source, name, t_us) if name.startswith(("lot:", "code:")) else [],
        "handovers": parts.handovers(source, name, t_us),
        "seals": parts.seals(source, name, t_us),
        "boards": parts.boards(source, name, t_us),
        "contradictions": parts.contradictions(source, name, t_us),
        "segments": [_timed(row) for row in segments],
        "verdicts": [_timed(row) for row in verdicts],
        "findings": [_timed(row) for row in _begun(source.findings_on({name, *pallets}), t_us)],
        "temperature": [_timed(row) for row in _begun(_temperature(source, stays, name), t_us)],
        "exposure": exposures(telemetry, source, name, t_us, ledger_us),
    }
    return {**document, "limits": parts.limits(name, document)}


def _begun(rows: Iterable[Mapping[str, Any]], t_us: int) -> list[Mapping[str, Any]]:
    return [row for row in rows if row["from_us"] <= t_us]


def _weakest(grades: Iterable[str]) -> str | None:
    return max(grades, key=GRADES.index, default=None)


def _segments(source: InspectSource, name: str, stays: Mapping[str, Sequence[Stay]]) -> list[Mapping[str, Any]]:
    """Its own segments, and those of what it was in for as long; of a lot, those of the pallets it was on."""
    if not name.startswith("lot:"):
        found = _own_segments(source.segments({name, *stays}), name, stays)
        return [{**row, "from_us": part[0], "to_us": part[1]} for row, part in found]
    held = {*source.cases_by_holder(name, None), *source.held_by(name)}
    return list(source.segments(sorted(filter(is_pallet, held))[:LOTS_PALLETS]))


Stated = Mapping[str, tuple[int, str]]
"""By event key: ledger entry and grade."""


def _inside(stays: Mapping[str, Sequence[Stay]], name: str, stated: Stated) -> list[dict[str, Any]]:
    """Where it was, outer units and places included, each with the entries that say so."""
    listed = sorted((stay.from_us, parent, stay) for parent, several in stays.items() for stay in several)
    return [
        {
            "parent": parent,
            "through": stay.carrier if stay.carrier != name else None,
            "from": rfc3339(stay.from_us),
            "to": _end(stay.to_us),
            "entries": _entries(stay.why, stated),
        }
        for _, parent, stay in listed
    ]


def _content(stay: Interval, stated: Stated) -> dict[str, Any]:
    ends = {"from": rfc3339(stay.from_us), "to": rfc3339_or_none(stay.to_us)}
    return {"unit": stay.child, **ends, "entries": _entries(stay.why, stated)}


def _entries(why: Iterable[str], stated: Stated) -> list[int]:
    return sorted({stated[key][0] for key in why if key in stated})


def _own_segments(
    rows: Iterable[Mapping[str, Any]], name: str, stays: Mapping[str, Sequence[Stay]]
) -> Iterable[tuple[Mapping[str, Any], tuple[int, int]]]:
    """Its own segments; for what was in pallets, their segments as far as it was in them, and for what lay in a
    container on no pallet the container's: until a pallet is formed there is nothing else (domain §3)."""
    for row in rows:
        within = stays.get(row["unit"], ())
        if not is_pallet(row["unit"]):
            within = [] if is_pallet(name) else [stay for stay in within if stay.carrier == name]
        for span in [(row["from_us"], row["to_us"])] if row["unit"] == name else _spans(within):
            part = max(row["from_us"], span[0]), min(row["to_us"], span[1])
            if part[0] < part[1]:
                yield row, part


def _meets(row: Mapping[str, Any], name: str, stays: Mapping[str, Sequence[Stay]]) -> bool:
    """A verdict on something that held it concerns it while it was there, or when it names it."""
    if row["subject"] == name or any(name in row["detail"].get(what, ()) for what in ("extra", "missing", "suspected")):
        return True
    end_us = FOREVER_US if row["to_us"] is None else row["to_us"]
    return any(from_us < end_us and row["from_us"] < to_us for from_us, to_us in _spans(stays[row["subject"]]))


def _temperature(source: InspectSource, stays: Mapping[str, Sequence[Stay]], name: str) -> list[Mapping[str, Any]]:
    """Temperature of every vehicle and room it was in, for as long as it was in it. Air, not product."""
    here = {name: [(-FOREVER_US, FOREVER_US)]} | {place: _spans(several) for place, several in stays.items()}
    return [
        {**_within(row, from_us, to_us), "place": place}
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
