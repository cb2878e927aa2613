"""Who is who, what passed from whom to whom, and whose events count: folded together, for each decides the others.

Follows `Events`; whatever is concluded from events follows this on the same batch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, delete, insert, select

from coldchain.db.bulk import put_rows
from coldchain.db.queries_events import chunks, events_by_key, with_copies
from coldchain.db.queries_mounts import associating
from coldchain.db.queries_parties import directory, tenures_of
from coldchain.db.tables import parties as t
from coldchain.domain.entitlement import DecisionError, EventDecision, decision_key, read_decision
from coldchain.domain.events import Event
from coldchain.domain.handovers import STEPS
from coldchain.domain.parties import OPS, Directory, PartyError, Registration, read_registration
from coldchain.projections.entitlement import SOURCE, judge, touched_by, touched_by_halves, touched_by_tenures
from coldchain.projections.events import own_events
from coldchain.projections.handovers import refold
from coldchain.projections.mounts import enrolled
from coldchain.services.chores import canonical
from coldchain.services.recorded import Recorded


class Parties:
    """Fills `party`, `device_owner`, `event_decision`, `handover` with its links, `unentitled`, and verdicts of source
    `parties`."""

    name = SOURCE
    tables: Sequence[str] = (
        "party",
        "device_owner",
        "event_decision",
        "handover",
        "handover_clue",
        "handover_link",
        "unentitled",
        "verdict",
    )
    takes_telemetry = False

    def __init__(self) -> None:
        self._directory: Directory | None = None

    def reset(self) -> None:
        self._directory = None

    def apply(self, connection: Connection, batch: Sequence[Recorded], ledger_time_us: int) -> None:
        if self._directory is None:
            self._directory = directory(connection)
        connection.execute(delete(t.restated))
        fresh = {event.key for event, _ in own_events(batch)}
        touched = _record_decisions(connection, batch)
        for version in _record_registrations(connection, self._directory, batch):
            touched |= touched_by(connection, self._directory, version)
        touched |= associating(connection, _record_owners(connection, batch))
        events = _load(connection, touched | fresh)
        events |= self._handed_over(connection, events, touched)
        judge(connection, self._directory, events, fresh)

    def _handed_over(self, connection: Connection, events: Mapping[str, Event], touched: set[str]) -> dict[str, Event]:
        """Handovers agree with these events; the further events whose standing depends on who holds the goods."""
        assert self._directory is not None
        halves = {key: event for key, event in events.items() if event.biz_step in STEPS}
        if not halves:
            return {}
        refolded = refold(connection, self._directory, halves)
        goods = refolded.goods(connection)
        before = tenures_of(connection, self._directory, goods)
        refolded.write(connection)
        after = tenures_of(connection, self._directory, goods)
        further = touched_by_tenures(connection, before, after)
        further |= touched_by_halves(connection, (event for key, event in halves.items() if key in touched))
        return _load(connection, further - events.keys())


def _load(connection: Connection, keys: set[str]) -> dict[str, Event]:
    """The events and every copy under their ids, which withdraw or dispute them."""
    found = with_copies(connection, events_by_key(connection, keys))
    return {key: stored.event for key, stored in found.items()}


def _record_registrations(connection: Connection, known: Directory, batch: Sequence[Recorded]) -> list[Registration]:
    """Rows of the versions not known yet."""
    found = [(version, item) for item in batch if (version := _registration(item)) is not None and known.add(version)]
    if found:
        connection.execute(insert(t.party), [_party_row(version, item) for version, item in found])
    return [version for version, _ in found]


def _record_owners(connection: Connection, batch: Sequence[Recorded]) -> set[str]:
    """Rows of the newest enrolments; the devices that are somebody else's than was known."""
    found = {name: (n, order.org) for name, (n, order) in enrolled(batch).items()}
    c = t.device_owner.c
    known = {
        row.device: (row.n, row.org)
        for part in chunks(found)
        for row in connection.execute(select(t.device_owner).where(c.device.in_(part)))
    }
    newer = {name: one for name, one in found.items() if name not in known or known[name][0] <= one[0]}
    put_rows(connection, t.device_owner, [(name, *one) for name, one in newer.items() if known.get(name) != one])
    return {name for name, (_, org) in newer.items() if name not in known or known[name][1] != org}


def _registration(item: Recorded) -> Registration | None:
    """None for every other entry, and for one whose key and content disagree: it registers nothing."""
    if item.entry.kind != "identity" or not isinstance(item.body, Mapping) or item.body.get("op") not in OPS:
        return None
    try:
        version = read_registration(item.body)
    except PartyError:
        return None
    return version if version.key == item.entry.key else None


def _party_row(version: Registration, item: Recorded) -> dict[str, Any]:
    return {
        "op": version.op,
        "id": version.id,
        "n": version.n,
        "from_us": version.from_us,
        "body": canonical(version.stated).decode(),
        "at_us": item.entry.at_us,
        "entry": item.index,
    }


def _record_decisions(connection: Connection, batch: Sequence[Recorded]) -> set[str]:
    """Rows of the rulings not known yet; the events they are about."""
    rows = {(ruling.event, ruling.n): _decision_row(ruling, item) for item in batch if (ruling := _decision(item))}
    c = t.event_decision.c
    for part in chunks(event for event, _ in rows):
        for known in connection.execute(select(c.event, c.n).where(c.event.in_(part))):
            rows.pop(tuple(known), None)
    if rows:
        connection.execute(insert(t.event_decision), list(rows.values()))
    return {event for event, _ in rows}


def _decision(item: Recorded) -> EventDecision | None:
    if item.entry.kind != "order" or not isinstance(item.body, Mapping) or item.body.get("order") != "event-decision":
        return None
    try:
        ruling = read_decision(item.body, item.entry.by)
    except DecisionError:
        return None
    return ruling if item.entry.key == decision_key(ruling.event, ruling.n) else None


def _decision_row(ruling: EventDecision, item: Recorded) -> dict[str, Any]:
    return {**ruling._asdict(), "at_us": item.entry.at_us, "entry": item.index}
