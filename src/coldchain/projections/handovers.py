"""Handovers, folded anew wherever one of their halves is new or counts otherwise than before."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
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
    once, _ = in_force(one.event for one in belonging.values() if one.half is not None)
    halves_once = (belonging[event.key].half for event in once)
    found = {one.id: one for one in fold(half for half in halves_once if half is not None)}
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


class Stated(NamedTuple):
    """An event of a handover's step."""

    event: Event
    half: Half | None
    """None where it does not count: withdrawn, disputed, of an unentitled or a third party."""

    @property
    def clues(self) -> set[tuple[str, str]]:
        """(taker, thing) by which it may be found; with "" for the taker what it calls the parties, be they known or
        not."""
        names = {("", f"party {name}") for name in raw_parties(self.event)}
        return names if self.half is None else names | {(self.half.taker, thing) for thing in things(self.half)}


def _halves(connection: Connection, directory: Directory, keys: Iterable[str]) -> dict[str, Stated]:
    """These events and their copies, each for itself: one content sent under two ids is known for that in the fold."""
    events = [one.event for one in with_copies(connection, events_by_key(connection, keys)).values()]
    copies: dict[tuple[str, str], list[Event]] = {}
    for event in events:
        copies.setdefault((event.by, event.event_id), []).append(event)
    counting = {event.key for same in copies.values() for event in _of_one_id(same)}
    decisions = event_decisions(connection, (event.key for event in events))
    found = {}
    for event in events:
        bar = place_bar(directory, event)
        stands = bar is None or ruled(directory, Statement.of(event), bar, decisions) == "confirmed"
        found[event.key] = Stated(event, read_half(event, directory) if stands and event.key in counting else None)
    return found


def _of_one_id(copies: Sequence[Event]) -> Sequence[Event]:
    """Those that count: none where one withdraws them or they contradict each other."""
    contents = {event.content or event.key for event in copies}
    return () if any(event.error for event in copies) or len(contents) > 1 else copies


def _rewrite_clues(connection: Connection, halves: Mapping[str, Stated]) -> set[Clue]:
    """The clues of these halves are stored as they are; those of before and after, which lead to the others."""
    c = handover_clue.c
    before: set[tuple[str, str, str]] = set()
    for part in chunks(halves):
        before |= {tuple(row) for row in connection.execute(select(handover_clue).where(c.key.in_(part)))}
    after = {(*clue, key) for key, one in halves.items() for clue in one.clues}
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
