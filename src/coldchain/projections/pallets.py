"""Loading what a pallet's history is folded from; shared by containment and continuity."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy import Connection

from coldchain.db.queries_events import Stored, doubting, events_naming, with_copies
from coldchain.domain.continuity import History, Rules, observe
from coldchain.domain.events import Event
from coldchain.projections.events import own_events
from coldchain.services.ports import Recorded

RULES = Rules()
Folded = dict[str, tuple[History, dict[str, Stored]]]
"""By unit: its history and the events it was folded from, by key."""


def is_pallet(name: str) -> bool:
    """A load whose case set is watched: with an SSCC, or a handling unit without one."""
    return name.startswith(("sscc:", "hu:"))


def bearing(connection: Connection, batch: Sequence[Recorded]) -> list[Event]:
    """The batch's events and every copy under the same event ids, which they may withdraw or dispute."""
    own = {event.key: Stored(event, item.entry.grade, item.index) for event, item in own_events(batch)}
    return [stored.event for stored in with_copies(connection, own).values()] if own else []


def touched_pallets(connection: Connection, events: Iterable[Event]) -> set[str]:
    """Pallets whose history these events may change: those they name, and those at whose reads a tag they name ever
    deviated."""
    named = {name for event in events for name in (event.parent, *event.units)}
    return {name for name in named if is_pallet(name)} | doubting(connection, (n for n in named if not is_pallet(n)))


def histories(connection: Connection, units: Iterable[str]) -> Folded:
    """The history of each unit from all events recorded so far."""
    wanted = sorted(set(units))
    loaded = events_naming(connection, wanted, ("parent", "child"))
    by_unit: dict[str, dict[str, Stored]] = {unit: {} for unit in wanted}
    ids: dict[str, set[str]] = {}
    for key, stored in loaded.items():
        ids.setdefault(stored.event.event_id, set()).add(key)
    for stored in loaded.values():
        for name in (stored.event.parent, *stored.event.units):
            if name in by_unit:
                by_unit[name].update((key, loaded[key]) for key in ids[stored.event.event_id])
    found: Folded = {}
    for unit, events in by_unit.items():
        history = observe(unit, (stored.event for stored in events.values()), RULES)
        if history.doubted:
            events |= events_naming(connection, history.doubted, ("child",))
            history = observe(unit, (stored.event for stored in events.values()), RULES)
        found[unit] = (history, events)
    return found
