"""Loading what a pallet's history is folded from; shared by containment and continuity."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy import Connection

from coldchain.db.queries_events import Stored, doubting, events_naming, restated_events, with_copies
from coldchain.domain.continuity import History, Rules, is_pallet, observe
from coldchain.domain.events import Event
from coldchain.projections.events import own_events
from coldchain.services.ports import Recorded

RULES = Rules()
Folded = dict[str, tuple[History, dict[str, Stored]]]
"""By unit: its history and the events it was folded from, by key."""


def bearing(connection: Connection, batch: Sequence[Recorded]) -> list[Event]:
    """The batch's events, those whose standing it changed, and every copy under the same event ids, which they may
    withdraw or dispute. For finding what to fold anew: not all of them count."""
    own = {event.key: Stored(event, item.entry.grade, item.index) for event, item in own_events(batch)}
    own |= restated_events(connection)
    return [stored.event for stored in with_copies(connection, own).values()] if own else []


def touched_pallets(connection: Connection, events: Iterable[Event]) -> set[str]:
    """Pallets whose history these events may change: those they name, and those at whose reads a tag they name ever
    deviated."""
    named = {name for event in events for name in (event.parent, *event.units)}
    return {name for name in named if is_pallet(name)} | doubting(connection, (n for n in named if not is_pallet(n)))


def histories(connection: Connection, units: Iterable[str]) -> Folded:
    """The history of each unit from all events recorded so far."""
    wanted = set(units)
    naming = _by_name(events_naming(connection, wanted, ("parent", "child")), wanted)
    found: Folded = {}
    for unit in sorted(wanted):
        found[unit] = observe(unit, (stored.event for stored in naming[unit].values()), RULES), naming[unit]
    tags = {tag for history, _ in found.values() for tag in history.doubted}
    sightings = _by_name(events_naming(connection, tags, ("child",)), tags)
    for unit, (history, events) in found.items():
        if history.doubted:
            for tag in history.doubted:
                events |= sightings[tag]
            found[unit] = observe(unit, (stored.event for stored in events.values()), RULES), events
    return found


def _by_name(loaded: dict[str, Stored], names: set[str]) -> dict[str, dict[str, Stored]]:
    """By name: the events naming it and every copy under their event ids, by key."""
    copies: dict[str, dict[str, Stored]] = {}
    for key, stored in loaded.items():
        copies.setdefault(stored.event.event_id, {})[key] = stored
    found: dict[str, dict[str, Stored]] = {name: {} for name in names}
    for stored in loaded.values():
        for name in names.intersection((stored.event.parent, *stored.event.units)):
            found[name] |= copies[stored.event.event_id]
    return found
