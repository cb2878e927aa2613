"""Legs: pallet by pallet, loose, or nobody says (domain §3). Pallet codes are about palletised legs only."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from coldchain.domain.continuity.counts import count_of
from coldchain.domain.continuity.model import Opportunity, is_carrier
from coldchain.domain.events import Event

PALLETISED, LOOSE, UNSTATED = "palletised", "loose", "unstated"
ENDING = ("arriving", "unloading", "receiving")
"""Business steps that end a leg."""
LOOSE_REASON = "count kept, pallet not kept"


class Leg(NamedTuple):
    """A stretch that was stated not to be palletised."""

    kind: str
    from_us: int
    to_us: int | None
    counted: bool
    """A count before and the same count after."""


def legs(unit: str, events: Sequence[Event]) -> tuple[Leg, ...]:
    """The unit's loose and unstated legs: from the event that states it to the one that unloads, or states another."""
    found: list[Leg] = []
    begun: tuple[str, int] | None = None
    for event in events:
        if unit not in event.units and event.parent != unit:
            continue
        stated = event.extra("leg")
        if begun and (stated in (PALLETISED, LOOSE, UNSTATED) or _ends(unit, event)):
            found.append(_leg(unit, *begun, event.time_us, events))
            begun = None
        if stated in (LOOSE, UNSTATED):
            begun = (stated, event.time_us)
    if begun:
        found.append(_leg(unit, *begun, None, events))
    return tuple(found)


def palletised_only(found: Iterable[Opportunity], unpalletised: Sequence[Leg]) -> list[Opportunity]:
    """Without what pallet codes see on legs where the pallet was not kept."""
    return [it for it in found if not (it.code.startswith("P") and any(_meets(it, leg) for leg in unpalletised))]


def _ends(unit: str, event: Event) -> bool:
    unloaded = event.action == "DELETE" and unit in event.units and is_carrier(event.parent)
    return unloaded or event.biz_step in ENDING


def _leg(unit: str, kind: str, from_us: int, to_us: int | None, events: Sequence[Event]) -> Leg:
    counts = [(event.time_us, number) for event in events if (number := count_of(event, unit)) is not None]
    before = [number for t_us, number in counts if t_us <= from_us]
    after = [number for t_us, number in counts if to_us is not None and t_us >= to_us]
    return Leg(kind, from_us, to_us, bool(before and after) and before[-1] == after[0])


def _meets(it: Opportunity, leg: Leg) -> bool:
    """Whether the leg lies, in part, between the last time it was whole and the first that it was not."""
    return (leg.to_us is None or it.from_us < leg.to_us) and leg.from_us < max(it.end_us, it.from_us + 1)
