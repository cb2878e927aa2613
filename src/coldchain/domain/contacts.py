"""What suspect goods met, graded G1 to G4 (domain §5)."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, NamedTuple

from coldchain.domain.tracing import FOREVER_US, Hop, Movements

Grade = Literal["G1", "G2", "G3", "G4"]
"""G1 same case or pallet; G2 same container or lot; G3 same vehicle, or same room with both handled there meanwhile;
G4 same room only."""

_OF_HOLDER: Mapping[str, Grade] = {
    **dict.fromkeys(("case", "sscc", "hu", "grai"), "G1"),
    **dict.fromkeys(("cont", "lot"), "G2"),
    "veh": "G3",
    **dict.fromkeys(("room", "loc"), "G4"),
}


class Contact(NamedTuple):
    """`unit` was together with suspect goods in `via` during [from_us, to_us)."""

    grade: Grade
    unit: str
    via: str
    from_us: int
    to_us: int | None
    why: tuple[str, ...]


class Stay(NamedTuple):
    """`unit` is in the holder during [from_us, to_us), `carrier` being the holder's own child it is in."""

    from_us: int
    to_us: int
    unit: str
    carrier: str
    why: tuple[str, ...]


def contacts(start: str, reached: Mapping[str, Hop], movements: Movements, at_us: int | None = None) -> list[Contact]:
    """The closest contact of every unit that met `start` or what `forward` reached of it whole, closest grade first."""
    since = -FOREVER_US if at_us is None else at_us
    suspect = {start: since} | {unit: hop.from_us for unit, hop in reached.items() if hop.whole}
    best: dict[str, Contact] = {}
    for holder, stays in sorted(holders(suspect, movements).items()):
        grade = _OF_HOLDER.get(holder.partition(":")[0], "G2")
        met = [stay for stay in _met(holder, stays, movements) if stay.unit not in suspect and stay.unit not in reached]
        closer = _both_handled(holder, stays, met, movements) if grade == "G4" else set()
        for stay in met:
            to_us = None if stay.to_us >= FOREVER_US else stay.to_us
            contact = Contact("G3" if stay in closer else grade, stay.unit, holder, stay.from_us, to_us, stay.why)
            best[stay.unit] = min(best.get(stay.unit, contact), contact, key=_closest)
    return sorted(best.values(), key=_closest)


def _closest(contact: Contact) -> tuple[str, int, str, str]:
    return contact.grade, contact.from_us, contact.unit, contact.via


def holders(units: Mapping[str, int], movements: Movements) -> dict[str, list[Stay]]:
    """Everything that held one of the units, each from its time on, at any height: pallet, vehicle, room."""
    found: dict[str, list[Stay]] = {}
    first = True
    layer = {Stay(since, FOREVER_US, unit, unit, ()) for unit, since in units.items()}
    seen: set[tuple[str, Stay]] = set()
    while layer:
        at: dict[str, list[Stay]] = {}
        for stay in layer:
            at.setdefault(stay.carrier, []).append(stay)
        portions = movements.portions_of(units) if first else ()
        first = False
        layer = set()
        for i in (*movements.above(at), *portions):
            for stay in at[i.child]:
                from_us, to_us = max(stay.from_us, i.from_us), min(stay.to_us, _end(i.to_us))
                here = Stay(from_us, to_us, stay.unit, i.child, i.why)
                if from_us < to_us and (i.parent, here) not in seen:
                    seen.add((i.parent, here))
                    found.setdefault(i.parent, []).append(here)
                    layer.add(Stay(from_us, to_us, stay.unit, i.parent, i.why))
    return found


def _met(holder: str, stays: Iterable[Stay], movements: Movements) -> list[Stay]:
    """Everything inside the holder, at any depth, while suspect goods were; of counted goods their lot."""
    spans = _union((stay.from_us, stay.to_us) for stay in stays)
    layer = [Stay(from_us, to_us, holder, "", ()) for from_us, to_us in spans]
    seen: set[Stay] = set()
    while layer:
        at: dict[str, list[Stay]] = {}
        for stay in layer:
            at.setdefault(stay.unit, []).append(stay)
        layer = []
        for i in movements.within(at):
            for outer in at[i.parent]:
                from_us, to_us = max(outer.from_us, i.from_us), min(outer.to_us, _end(i.to_us))
                stay = Stay(from_us, to_us, i.child, outer.carrier or i.child, i.why)
                if from_us < to_us and stay not in seen:
                    seen.add(stay)
                    layer.append(stay)
        for i in movements.portions_in(at):
            for outer in at[i.parent]:
                from_us, to_us = max(outer.from_us, i.from_us), min(outer.to_us, _end(i.to_us))
                if from_us < to_us:  # the rest of the lot was elsewhere: nothing further inside it
                    seen.add(Stay(from_us, to_us, i.child, outer.carrier or i.child, i.why))
    return sorted(seen)


def _both_handled(place: str, stays: Iterable[Stay], met: Sequence[Stay], movements: Movements) -> set[Stay]:
    """Those stays in the room during which both they, or what carried them, and suspect goods were handled there."""
    suspect_units = {name for stay in stays for name in (stay.unit, stay.carrier)}
    units = suspect_units | {name for stay in met for name in (stay.unit, stay.carrier)}
    times: dict[str, list[int]] = {}
    for handling in movements.handlings(units, [place]):
        times.setdefault(handling.unit, []).append(handling.time_us)
    ours = sorted(t for unit in suspect_units for t in times.get(unit, ()))
    theirs = {unit: sorted(found) for unit, found in times.items()}
    return {
        stay
        for stay in met
        if _any_in(ours, stay)
        and (_any_in(theirs.get(stay.unit, ()), stay) or _any_in(theirs.get(stay.carrier, ()), stay))
    }


def _any_in(times: Sequence[int], stay: Stay) -> bool:
    place = bisect_left(times, stay.from_us)
    return place < len(times) and times[place] < stay.to_us


def _union(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for from_us, to_us in sorted(spans):
        if merged and from_us <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], to_us))
        else:
            merged.append((from_us, to_us))
    return merged


def _end(to_us: int | None) -> int:
    return FOREVER_US if to_us is None else to_us
