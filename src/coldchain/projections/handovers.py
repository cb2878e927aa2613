"""Handovers, folded anew wherever one of their halves is new or counts otherwise than before."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any, NamedTuple

from sqlalchemy import Connection, delete, insert, select

from coldchain.db.queries_events import chunks, events_by_key, with_copies
from coldchain.db.queries_parties import event_decisions
from coldchain.db.tables.parties import handover, handover_clue, handover_link
from coldchain.domain.entitlement import Statement, place_bar, ruled
from coldchain.domain.events import Event, in_force
from coldchain.domain.handover_legs import fold, things
from coldchain.domain.handovers import STEPS, Half, Handover, raw_parties, read_half
from coldchain.domain.parties import Directory

Clue = tuple[str, str]
"""(taker, thing)"""


def refold(connection: Connection, directory: Directory, events: Mapping[str, Event]) -> Refolded:
    """What has to change for the handovers to agree with these events as they now count, the others being as they were;
    their clues agree already."""
    halves = _halves(connection, directory, (key for key, event in events.items() if event.biz_step in STEPS))
    if not halves:
        return Refolded({}, {})
    clues = _rewrite_clues(connection, halves)
    keys = _connected(connection, clues) | halves.keys()
    belonging = _halves(connection, directory, keys)
    found = {one.id: one for one in fold(half for half, _ in belonging.values() if half is not None)}
    before = _rows(connection, keys)
    after = {name: _row(one) for name, one in found.items()}
    changed = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
    old = {name for name in changed if name in before}
    return Refolded({name: before[name] for name in old}, {name: found[name] for name in changed if name in found})


class Refolded(NamedTuple):
    """Handovers that are others than before: rows to take away, handovers to put in their place."""

    old: Mapping[str, Mapping[str, Any]]
    new: Mapping[str, Handover]

    def goods(self, connection: Connection) -> set[str]:
        """Every unit and lot concerned. To be asked before `write`."""
        link = handover_link.c
        query = select(link.name).where(link.kind == "unit")
        gone = {name for part in chunks(self.old) for name in connection.scalars(query.where(link.handover.in_(part)))}
        return gone | {name for one in self.new.values() for name in one.goods}

    def write(self, connection: Connection) -> None:
        for part in chunks(self.old):
            connection.execute(delete(handover).where(handover.c.id.in_(part)))
            connection.execute(delete(handover_link).where(handover_link.c.handover.in_(part)))
        if self.new:
            connection.execute(insert(handover), [_row(one) for one in self.new.values()])
            connection.execute(insert(handover_link), [link for one in self.new.values() for link in _links(one)])


def _halves(
    connection: Connection, directory: Directory, keys: Iterable[str]
) -> dict[str, tuple[Half | None, tuple[str, ...]]]:
    """The half each event states, None where it does not count, and what it calls the parties."""
    stored = with_copies(connection, events_by_key(connection, keys))
    events = {key: one.event for key, one in stored.items()}
    standing, disputed = in_force(events.values())
    counting = {event.key for event in standing} - disputed
    decisions = event_decisions(connection, events)
    found: dict[str, tuple[Half | None, tuple[str, ...]]] = {}
    for key, event in events.items():
        bar = place_bar(directory, event)
        if bar is not None and ruled(directory, Statement.of(event), bar, decisions) != "confirmed":
            counting.discard(key)
        found[key] = (read_half(event, directory) if key in counting else None), raw_parties(event)
    return found


def _rewrite_clues(connection: Connection, halves: Mapping[str, tuple[Half | None, tuple[str, ...]]]) -> set[Clue]:
    """The clues of these halves are stored as they are; those of before and after, which lead to the others."""
    c = handover_clue.c
    before: set[tuple[str, str, str]] = set()
    for part in chunks(halves):
        before |= {tuple(row) for row in connection.execute(select(handover_clue).where(c.key.in_(part)))}
    after = {("", f"party {name}", key) for key, (_, names) in halves.items() for name in names}
    after |= {
        (half.taker, thing, key) for key, (half, _) in halves.items() if half is not None for thing in things(half)
    }
    for taker, clue, key in sorted(before - after):
        connection.execute(delete(handover_clue).where(c.taker == taker, c.clue == clue, c.key == key))
    if fresh := sorted(after - before):
        connection.execute(
            insert(handover_clue), [dict(zip(("taker", "clue", "key"), row, strict=True)) for row in fresh]
        )
    return {(taker, clue) for taker, clue, _ in before | after if taker}


def _connected(connection: Connection, clues: set[Clue]) -> set[str]:
    """Every half of the same takers that these clues lead to, over any number of halves between."""
    c = handover_clue.c
    known, waiting, keys = set(clues), set(clues), set[str]()
    while waiting:
        fresh: set[str] = set()
        for taker in {taker for taker, _ in waiting}:
            for part in chunks(clue for one, clue in waiting if one == taker):
                fresh.update(connection.scalars(select(c.key).where(c.taker == taker, c.clue.in_(part))))
        fresh -= keys
        keys |= fresh
        waiting = set()
        for part in chunks(fresh):
            rows = connection.execute(select(c.taker, c.clue).where(c.key.in_(part), c.taker != ""))
            waiting |= {(row.taker, row.clue) for row in rows} - known
        known |= waiting
    return keys


def _rows(connection: Connection, keys: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Handovers that any of these events stated until now."""
    link = handover_link.c
    query = select(handover).distinct().join(handover_link, link.handover == handover.c.id).where(link.kind == "event")
    return {
        row.id: dict(row._mapping)
        for part in chunks(keys)
        for row in connection.execute(query.where(link.name.in_(part)))
    }


def _row(one: Handover) -> dict[str, Any]:
    difference = one.difference
    detail = {
        "shipped": [asdict(half) for half in one.shipped],
        "received": [asdict(half) for half in one.received],
        "difference": None if difference is None else difference._asdict(),
    }
    return {
        "id": one.id,
        "giver": one.giver,
        "taker": one.taker,
        "shipped_us": one.shipped_us,
        "received_us": one.received_us,
        "accepted_us": one.accepted_us,
        "state": one.state,
        "detail": json.dumps(detail, sort_keys=True, ensure_ascii=False, separators=(",", ":")),
    }


def _links(one: Handover) -> list[dict[str, str]]:
    names = {("unit", name) for name in one.goods} | {("party", name) for name in one.named}
    names |= {("event", half.key) for half in (*one.shipped, *one.received)}
    return [{"kind": kind, "name": name, "handover": one.id} for kind, name in sorted(names)]
