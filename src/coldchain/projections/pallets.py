"""Loading what a pallet's history is folded from; shared by containment and continuity."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress

from sqlalchemy import Connection

from coldchain.db.bulk import put_rows
from coldchain.db.queries_continuity import recorded_rules
from coldchain.db.queries_events import Stored, doubting, events_naming, every_event, restated_events, with_copies
from coldchain.db.tables.continuity import continuity_rule
from coldchain.domain.continuity import History, InForce, RulesError, is_pallet, observe, parse_rules
from coldchain.domain.events import Event
from coldchain.projections.events import own_events
from coldchain.rules import shipped_rules
from coldchain.services.chores import canonical
from coldchain.services.recorded import Recorded

Folded = dict[str, tuple[History, dict[str, Stored]]]
"""By unit: its history and the events it was folded from, by key."""


def bearing(connection: Connection, batch: Sequence[Recorded]) -> list[Event]:
    """The batch's events, those whose standing it changed, and every copy under the same event ids, which they may
    withdraw or dispute. For finding what to fold anew: not all of them count."""
    own = {event.key: Stored(event, item.entry.grade, item.index) for event, item in own_events(batch)}
    own |= restated_events(connection)
    if record_rules(connection, batch):
        own |= every_event(connection)
    return [stored.event for stored in with_copies(connection, own).values()] if own else []


def record_rules(connection: Connection, batch: Sequence[Recorded]) -> bool:
    """Fill `continuity_rule`; whether the batch brings a version other than the shipped ones, after which everything is
    judged anew. An entry that states no continuity rules stays a fact without effect."""
    rows: dict[tuple[str, int], tuple[str, int, str, int]] = {}
    fresh = False
    for item in batch:
        if item.entry.kind == "rules" and isinstance(item.body, dict):
            with suppress(RulesError):
                fresh |= parse_rules(item.body) not in shipped_rules()
                name, version = item.body["name"], item.body["version"]
                rows[name, version] = (name, version, canonical(item.body).decode(), item.index)
    put_rows(connection, continuity_rule, list(rows.values()))
    return fresh


def rules_in_force(connection: Connection) -> InForce:
    """The recorded versions, and the shipped ones where the ledger has none of that name."""
    versions = {one.version: one for one in shipped_rules()}
    versions |= {one.version: one for one in map(parse_rules, recorded_rules(connection))}
    return InForce(versions.values())


def touched_pallets(connection: Connection, events: Iterable[Event]) -> set[str]:
    """Pallets whose history these events may change: those they name, and those at whose reads a tag they name ever
    deviated."""
    named = {name for event in events for name in (event.parent, *event.units)}
    return {name for name in named if is_pallet(name)} | doubting(connection, (n for n in named if not is_pallet(n)))


def histories(connection: Connection, units: Iterable[str]) -> Folded:
    """The history of each unit from all events recorded so far."""
    wanted = set(units)
    rules = rules_in_force(connection)
    naming = _by_name(events_naming(connection, wanted, ("parent", "child")), wanted)
    found: Folded = {}
    for unit in sorted(wanted):
        found[unit] = _observed(unit, naming[unit], rules), naming[unit]
    tags = {tag for history, _ in found.values() for tag in history.doubted}
    sightings = _by_name(events_naming(connection, tags, ("child",)), tags)
    for unit, (history, events) in found.items():
        if history.doubted:
            for tag in history.doubted:
                events |= sightings[tag]
            found[unit] = _observed(unit, events, rules), events
    return found


def _observed(unit: str, stored: Mapping[str, Stored], rules: InForce) -> History:
    """By the rules of the day the unit was first recorded."""
    events = [one.event for one in stored.values()]
    first_us = min((event.time_us for event in events if unit in (event.parent, *event.units)), default=0)
    return observe(unit, events, rules.at(first_us))


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
