"""Goods by number and weight, seals and boards: what each event states of them, and the lines folded from that."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Table, delete, func, insert, select

from coldchain.db import queries_containment as q
from coldchain.db.exposure_touches import COUNTED, MOVED, touch
from coldchain.db.queries_events import barred, chunks, with_copies
from coldchain.db.tables import containment as t
from coldchain.domain.boards import boards_in
from coldchain.domain.commodities import goods_in
from coldchain.domain.events import Event, in_force
from coldchain.domain.exposure import LOADS
from coldchain.domain.quantities import EMPTIED, Amount, Fault, beginning, fold, steps_of
from coldchain.domain.seals import seals_in
from coldchain.domain.tracing import FOREVER_US

Row = Mapping[str, Any]


def record_amounts(connection: Connection, events: Sequence[Event]) -> set[str]:
    """Fill `quantity_step`, `quantity_span`, `seal_fact`, `board_fact` and `goods_fact` for these events, copies under
    their ids included; the parents whose contradictions changed. Loads in which other goods are counted than before,
    and goods of whose kind something else is stated, are touched: they may be judged by other rules. So are goods of
    which something else is counted in a place."""
    twins = with_copies(connection, q.twins(connection, events))
    by_key = {event.key: event for event in events} | {key: one.event for key, one in twins.items()}
    without = barred(connection, by_key)
    counting = [event for event in by_key.values() if event.key not in without]
    keys = set(by_key)
    standing, disputed = in_force(counting)
    sure = [event for event in standing if event.key not in disputed]
    _replace_by_key(connection, t.seal_fact, keys, (fact._asdict() for one in sure for fact in seals_in(one)))
    _replace_by_key(connection, t.board_fact, keys, (fact._asdict() for one in sure for fact in boards_in(one)))
    stated = _replace_by_key(connection, t.goods_fact, keys, (fact._asdict() for one in sure for fact in goods_in(one)))
    steps = (step._asdict() for step in steps_of(counting))
    changed = _replace_by_key(connection, t.quantity_step, keys, steps)
    of_parent: dict[str, list[Row]] = {}
    for row in changed:
        of_parent.setdefault(row["parent"], []).append(row)
    loads = {parent for parent in of_parent if parent.startswith(LOADS)}
    moved = loads | {row["item"] for row in stated}
    touch(connection, MOVED, dict.fromkeys(moved, (-FOREVER_US, FOREVER_US)))
    faulty = {parent for parent, rows in of_parent.items() if _refold(connection, parent, rows)}
    places = ((parent, rows) for parent, rows in of_parent.items() if parent not in loads)
    counted = {item for parent, rows in places for item in _concerned(connection, parent, rows)}
    touch(connection, COUNTED, dict.fromkeys(counted, (-FOREVER_US, FOREVER_US)))
    return faulty


def _concerned(connection: Connection, parent: str, changed: Sequence[Row]) -> set[str]:
    """The goods whose lines in the parent these steps may have changed."""
    named = {row["item"] for row in changed} - {""}
    if _meant(changed, _since(connection, parent)) is not None:
        return named
    c = t.quantity_span.c
    return named | set(connection.scalars(select(c.item).where(c.parent == parent).distinct()))


def _meant(changed: Sequence[Row], since_us: int | None) -> set[str] | None:
    """The goods whose lines steps that are there now, or gone, may change; None: all of the parent's, because one
    empties it or moves the time from which its contents are on record."""
    for row in changed:
        starts = row["act"] == beginning(row["parent"]) and (since_us is None or since_us >= row["time_us"])
        if starts or row["act"] == EMPTIED:
            return None
    return {row["item"] for row in changed}


def _since(connection: Connection, parent: str) -> int | None:
    """`domain.quantities.recorded_since` of one parent."""
    c = t.quantity_step.c
    query = select(func.min(c.time_us)).where(c.parent == parent, c.act == beginning(parent), c.maybe.is_(False))
    found: int | None = connection.scalar(query)
    return found


def _refold(connection: Connection, parent: str, changed: Sequence[Row]) -> bool:
    """Bring the parent's lines to their steps; True where contradictions changed."""
    since = _since(connection, parent)
    items = _meant(changed, since)
    steps = q.steps_of_lines(connection, parent, items)
    amounts, faults = fold(steps, {} if since is None else {parent: since})
    c = t.quantity_span.c
    before = [one for one in q.amounts(connection, c.parent, [parent]) if items is None or one.item in items]
    if before != list(amounts):
        _delete_lines(connection, t.quantity_span, parent, {one.item for one in before})
        if amounts:
            connection.execute(insert(t.quantity_span), [_amount_row(one) for one in amounts])
    return _replace_faults(connection, parent, items, faults)


def _replace_faults(connection: Connection, parent: str, items: set[str] | None, faults: Iterable[Fault]) -> bool:
    known = {
        json.dumps({**row, "why": list(row["why"])}, sort_keys=True): row["item"]
        for row in q.conflicts(connection, t.containment_conflict.c.parent, [parent])
        if row["stated_milli"] is not None and (items is None or row["item"] in items)
    }
    wanted = {json.dumps(row := _fault_row(one), sort_keys=True): row for one in faults}
    if known.keys() == wanted.keys():
        return False
    c = t.containment_conflict.c
    for part in chunks(known.values()):
        mine = (c.parent == parent) & c.item.in_(part) & c.stated_milli.is_not(None)
        connection.execute(delete(t.containment_conflict).where(mine))
    if wanted:
        rows = [{**row, "why": json.dumps(row["why"])} for row in wanted.values()]
        connection.execute(insert(t.containment_conflict), rows)
    return True


def _delete_lines(connection: Connection, table: Table, parent: str, items: Iterable[str]) -> None:
    for part in chunks(items):
        connection.execute(delete(table).where(table.c.parent == parent, table.c.item.in_(part)))


def _replace_by_key(connection: Connection, table: Table, keys: set[str], rows: Iterable[Row]) -> list[Row]:
    """The rows of these events, and no others, are in the table afterwards; those that were not or are no more."""
    wanted: dict[str, set[tuple[Any, ...]]] = {}
    names = [column.name for column in table.columns]
    for row in rows:
        wanted.setdefault(row["key"], set()).add(tuple(row[name] for name in names))
    changed: list[Row] = []
    for part in chunks(keys):
        before: dict[str, set[tuple[Any, ...]]] = {}
        for stored in connection.execute(select(table).where(table.c.key.in_(part))):
            before.setdefault(stored.key, set()).add(tuple(stored))
        differing = [key for key in part if before.get(key, set()) != wanted.get(key, set())]
        if not differing:
            continue
        if stale := [key for key in differing if key in before]:
            connection.execute(delete(table).where(table.c.key.in_(stale)))
        fresh = [dict(zip(names, row, strict=True)) for key in differing for row in sorted(wanted.get(key, ()))]
        if fresh:
            connection.execute(insert(table), fresh)
        for key in differing:
            rows_of = before.get(key, set()) ^ wanted.get(key, set())
            changed += [dict(zip(names, row, strict=True)) for row in rows_of]
    return changed


def _amount_row(one: Amount) -> dict[str, Any]:
    return {**one._asdict(), "why": json.dumps(one.why)}


def _fault_row(one: Fault) -> dict[str, Any]:
    return {**one._asdict(), "other": "", "why": list(one.why)}
