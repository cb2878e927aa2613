"""What was inside what, when. Follows `Events`: run it after that on the same batch."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from sqlalchemy import Connection, delete, insert, select

from coldchain.db.exposure_touches import MOVED, touch, widen
from coldchain.db.queries_containment import conflicts
from coldchain.db.queries_events import chunks, intervals, moves, moves_of
from coldchain.db.tables.containment import containment_conflict
from coldchain.db.tables.events import containment, containment_doubt, containment_move
from coldchain.domain.containment import Conflict, Interval, Move, relation, takes_all
from coldchain.domain.continuity import History
from coldchain.domain.events import Event
from coldchain.domain.exposure import LOADS
from coldchain.domain.tracing import FOREVER_US
from coldchain.projections.amounts import record_amounts
from coldchain.projections.contradictions import judge_contradictions
from coldchain.projections.pallets import bearing, histories, touched_pallets
from coldchain.services.recorded import Recorded


class Containment:
    """Fills `containment` for every unit the batch may have moved, from all events that ever moved it, and the amounts,
    seals, boards and contradictions of what the batch names."""

    name = "containment"
    tables: Sequence[str] = (
        "containment",
        "containment_move",
        "containment_doubt",
        "containment_conflict",
        "quantity_step",
        "quantity_span",
        "seal_fact",
        "board_fact",
        "goods_fact",
        "verdict",
    )
    takes_telemetry = False

    def apply(self, connection: Connection, batch: Sequence[Recorded], ledger_time_us: int) -> None:
        events = bearing(connection, batch)
        if not events:
            return
        children = _moved_by(connection, events)
        pallets = histories(connection, touched_pallets(connection, events))
        children |= _rewrite_moves(connection, [history for history, _ in pallets.values()])
        parents = record_amounts(connection, events)
        judge_contradictions(connection, _rewrite(connection, children), parents)

    def reset(self) -> None:
        return None


def _moved_by(connection: Connection, events: Iterable[Event]) -> set[str]:
    children: set[str] = set()
    emptied: set[str] = set()
    for event in events:
        if event.action != "OBSERVE" or event.error or event.lot:
            children.update(event.units, event.inputs, event.outputs)
        if takes_all(event):
            emptied.add(event.parent)
    return children | {interval.child for interval in intervals(connection, containment.c.parent, emptied)}


def _rewrite_moves(connection: Connection, folded: Sequence[History]) -> set[str]:
    """Units whose confirmed moves are others than before."""
    units = [history.unit for history in folded]
    before = set(moves(connection, containment_move.c.source, units))
    after = {move for history in folded for move in history.moves}
    if before != after:
        for part in chunks(units):
            connection.execute(delete(containment_move).where(containment_move.c.source.in_(part)))
        if after:
            connection.execute(insert(containment_move), [_move_row(move) for move in sorted(after)])
    _rewrite_doubts(connection, folded)
    return {move.unit for move in before ^ after}


def _rewrite_doubts(connection: Connection, folded: Sequence[History]) -> None:
    c = containment_doubt.c
    for part in chunks(history.unit for history in folded):
        wanted = {(tag, history.unit) for history in folded if history.unit in part for tag in history.doubted}
        query = select(c.tag, c.unit).where(c.unit.in_(part))
        if wanted != {(tag, unit) for tag, unit in connection.execute(query)}:
            connection.execute(delete(containment_doubt).where(c.unit.in_(part)))
            if wanted:
                rows = [{"tag": tag, "unit": unit} for tag, unit in sorted(wanted)]
                connection.execute(insert(containment_doubt), rows)


def _rewrite(connection: Connection, children: set[str]) -> set[str]:
    """Intervals and contradictions of these units; those whose contradictions are others than before."""
    contradicted: set[str] = set()
    for part in chunks(children):
        before = set(intervals(connection, containment.c.child, part))
        facts = moves_of(connection, part)
        confirmed = moves(connection, containment_move.c.unit, part)
        wanted = set(part)
        found, at_odds = relation((s.event for s in facts.values()), confirmed)
        after = {i for i in found if i.child in wanted}
        changed = {interval.child for interval in before ^ after}
        for some in chunks(changed):
            connection.execute(delete(containment).where(containment.c.child.in_(some)))
        rows = [_interval_row(interval) for interval in after if interval.child in changed]
        if rows:
            connection.execute(insert(containment), rows)
        touch(connection, MOVED, _moved_about(before | after, before ^ after))
        contradicted |= _rewrite_conflicts(connection, part, {one for one in at_odds if one.unit in wanted})
    return contradicted


def _moved_about(known: Iterable[Interval], changed: Iterable[Interval]) -> dict[str, tuple[int, int]]:
    """Holders of which something else is known, and what was ever in more than one load or in a place: what is in one
    load from first to last is judged with that. And cases in them of which another lot is stated than before."""
    holders: dict[str, set[str]] = {}
    for one in known:
        if not one.parent.startswith("lot:"):
            holders.setdefault(one.child, set()).add(one.parent)
    found: dict[str, tuple[int, int]] = {}
    for one in changed:
        to_us = FOREVER_US if one.to_us is None else one.to_us
        if one.parent.startswith("lot:") and one.child in holders:
            widen(found, one.child, one.from_us, to_us)
        for name in (one.parent, one.child):
            alone = name == one.child and len(holders.get(name, ())) == 1 and one.parent.startswith(LOADS)
            if not alone and not one.parent.startswith("lot:"):
                widen(found, name, one.from_us, to_us)
    return found


def _rewrite_conflicts(connection: Connection, units: Sequence[str], after: set[Conflict]) -> set[str]:
    c = containment_conflict.c
    before = {
        Conflict(row["rule"], row["item"], *(row[name] for name in ("parent", "other", "from_us", "to_us", "why")))
        for row in conflicts(connection, c.item, units)
        if row["stated_milli"] is None
    }
    changed = {one.unit for one in before ^ after}
    for some in chunks(changed):
        connection.execute(delete(containment_conflict).where(c.item.in_(some), c.stated_milli.is_(None)))
    rows = [_conflict_row(one) for one in sorted(after) if one.unit in changed]
    if rows:
        connection.execute(insert(containment_conflict), rows)
    return changed


def _conflict_row(one: Conflict) -> dict[str, object]:
    amounts = dict.fromkeys(("stated_milli", "least_milli", "most_milli"))
    row = {**one._asdict(), **amounts, "item": one.unit, "measure": "", "why": json.dumps(one.why)}
    del row["unit"]
    return row


def _move_row(move: Move) -> dict[str, object]:
    return {**move._asdict(), "why": json.dumps(move.why)}


def _interval_row(interval: Interval) -> dict[str, object]:
    return {**interval._asdict(), "why": json.dumps(interval.why)}
