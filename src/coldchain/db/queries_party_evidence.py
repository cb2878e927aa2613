"""Which entries a dossier carries that a party is given: those of `evidence_about` that it may see, and nothing more.

A party is given what it stated itself, rules, and who is registered; of others' statements those about a unit that it
may ask for (`queries_parties.sees`) as long as the unit was its concern, and none that name other parties' goods.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Set
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select

from coldchain.db.queries_events import events_recorded, intervals
from coldchain.db.queries_evidence import MAX_CLIMB, evidence_about, subjects_of
from coldchain.db.queries_parties import concern_of, sees, visible_findings
from coldchain.db.tables import events, telemetry
from coldchain.domain.events import Event
from coldchain.domain.tracing import FOREVER_US
from coldchain_ledger.entry import Entry, parse_entry
from coldchain_ledger.store import Snapshot

_PUBLIC = ("identity", "rules")
"""Kinds of entries that whoever has a token may read of anyway."""


@dataclass(frozen=True, slots=True)
class _Party:
    """What one party may see of something."""

    connection: Connection
    org: str
    units: Mapping[str, int]
    """Units it asks about, and until when each was its concern."""
    within: Set[str]
    """What was ever in them."""

    def knows(self, names: Collection[str]) -> bool:
        """Whether all of these goods are its own to know of."""
        others = [name for name in names if name not in self.within and name not in self.units]
        return sees(self.connection, self.org, others) == set(others)

    def may_read(self, event: Event) -> bool:
        """What was read on or in its unit is about its unit; what names several goods is about each."""
        if event.by == self.org:
            return True
        if event.time_us > max(self.units.values(), default=-1):
            return False
        if event.parent in self.units or event.parent in self.within:
            return True
        return not event.quantities and self.knows({*event.units, *event.inputs, *event.outputs})


def evidence_for(connection: Connection, snapshot: Snapshot, about: str, org: str) -> set[int]:
    """Ledger indices; empty where nothing is known of it, or the party may not ask about it: the two look alike."""
    subjects = subjects_of(connection, about)
    mine = sees(connection, org, subjects)
    units = dict.fromkeys(mine, FOREVER_US) | concern_of(connection, org, mine)
    told = _findings(connection, org, about, units)
    is_finding = about not in subjects
    if about not in told and (is_finding or not (units or _is_own_device(connection, org, about))):
        return set()
    party = _Party(connection, org, units, _contents(connection, units))
    indices = evidence_about(connection, snapshot, about)
    stated = events_recorded(connection, indices)
    kept = {entry for entry, several in stated.items() if all(party.may_read(event) for event in several)}
    kept |= {entry for several in told.values() for entry in several}
    rest = ((index, parse_entry(snapshot.entry(index))) for index in sorted(indices - stated.keys() - kept))
    return kept | set(_others(party, told.keys(), rest))


def _is_own_device(connection: Connection, org: str, about: str) -> bool:
    device = telemetry.device.c
    query = select(device.device_no).where(device.device == about.removeprefix("dev:"), device.org == org)
    return about.startswith("dev:") and connection.scalar(query) is not None


def _findings(connection: Connection, org: str, about: str, units: Collection[str]) -> dict[str, list[int]]:
    """Entries by finding, of those it may see on its units, and of the one asked about."""
    f, only = events.finding.c, visible_findings(org)
    query = select(events.finding).where(only.where, (f.subject.in_(units)) | (f.finding == about))
    found: dict[str, list[int]] = {}
    for row in only.shown(connection, connection.execute(query).all()):
        found.setdefault(row.finding, []).append(row.entry)
    return found


def _contents(connection: Connection, units: Iterable[str]) -> set[str]:
    """Whatever was ever in one of them, at any depth."""
    found: set[str] = set()
    layer = set(units)
    for _ in range(MAX_CLIMB):
        layer = {one.child for one in intervals(connection, events.containment.c.parent, layer)} - found
        if not layer:
            break
        found |= layer
    return found


def _others(party: _Party, findings: Collection[str], rest: Iterable[tuple[int, Entry]]) -> Iterator[int]:
    """Of entries that state no event: its own, public ones, questions on its findings and who took note of them, and
    claims about its goods alone."""
    for index, entry in rest:
        first, _, tail = entry.key.partition("/")
        on_finding = first in ("ask", "ack") and tail.partition("/")[0] in findings
        if entry.by == party.org or entry.kind in _PUBLIC or on_finding or _is_claim(party, entry):
            yield index


def _is_claim(party: _Party, entry: Entry) -> bool:
    if not entry.key.startswith("doc/claim/") or FOREVER_US not in party.units.values():
        return False
    body: Mapping[str, Any] = json.loads(entry.payload)
    return bool(body["units"]) and party.knows(body["units"])
