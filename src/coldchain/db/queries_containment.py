"""What is read of amounts, seals, boards and contradictions, and of what was in what at one moment."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, literal, select

from coldchain.db.bulk import fetch
from coldchain.db.queries_events import Stored, chunks, events_by_key
from coldchain.db.tables import containment as t
from coldchain.domain.boards import BoardFact
from coldchain.domain.containment import Interval
from coldchain.domain.events import Event
from coldchain.domain.quantities import Amount, Step
from coldchain.domain.seals import SealFact

MAX_CLIMB = 64
"""Levels of packing followed: case, pallet, container, truck, ferry … nothing real comes near, and units that contain
each other would otherwise be followed for ever."""


# One moment


def inside_at(connection: Connection, parents: Iterable[str], t_us: int, limit: int | None = None) -> list[Interval]:
    """What was directly in one of the parents at that moment, sorted; of many any `limit`."""
    found: list[Interval] = []
    for part in chunks(parents):
        left = None if limit is None else limit - len(found)
        if left == 0:
            break
        found += [_interval(row) for row in _at(connection, _STAYS, "parent", part, t_us, left)]
    return sorted(found)


def contents_at(connection: Connection, parent: str, t_us: int, limit: int | None = None) -> list[Interval]:
    """Everything in `parent` at that moment, at any depth, outer before inner, each unit once; of many any `limit`."""
    found: list[Interval] = []
    seen, layer = {parent}, [parent]
    while layer and (limit is None or len(found) < limit):
        left = None if limit is None else limit - len(found)
        fresh = [one for one in inside_at(connection, layer, t_us, left) if one.child not in seen]
        found += fresh
        layer = [interval.child for interval in fresh]
        seen.update(layer)
    return found


def parents_at(connection: Connection, unit: str, t_us: int) -> list[Interval]:
    """The chain around `unit` at that moment, inner before outer; lots, which are no place, are left out."""
    chain: list[Interval] = []
    seen = {unit}
    for _ in range(MAX_CLIMB):
        around = (_interval(row) for row in _at(connection, _STAYS, "child", [unit], t_us))
        at = [one for one in around if not one.parent.startswith("lot:")]
        if not at or at[0].parent in seen:
            break
        chain.append(at[0])
        unit = at[0].parent
        seen.add(unit)
    return chain


def amounts_at(connection: Connection, parents: Iterable[str], t_us: int) -> list[Amount]:
    """The lines directly in one of the parents at that moment, those of nothing left included."""
    return sorted(_amount(row) for part in chunks(parents) for row in _at(connection, _AMOUNTS, "parent", part, t_us))


def holding_at(connection: Connection, item: str, t_us: int) -> list[Amount]:
    """The lines of these goods, wherever they were at that moment, those of nothing left included."""
    return sorted(_amount(row) for row in _at(connection, _AMOUNTS, "item", [item], t_us))


_STAYS = "SELECT child, parent, from_us, to_us, why FROM containment"
_AMOUNTS = "SELECT parent, item, measure, from_us, to_us, least_milli, most_milli, why FROM quantity_span"


def _at(
    connection: Connection, table: str, column: str, names: Sequence[str], t_us: int, limit: int | None = None
) -> list[Any]:
    """Rows of these names in force at the moment, as the driver gives them.

    Two queries, because an index serves `IS NULL` and `>` each but not both at once: what once was in a room may be a
    hundred times what is.
    """
    begun = f"{table} WHERE {column} IN ({', '.join('?' * len(names))}) AND from_us <= ?"
    query = f"{begun} AND to_us IS NULL UNION ALL {begun} AND to_us > ?"
    if limit is not None:
        query += f" LIMIT {limit:d}"
    return fetch(connection, query, *names, t_us, *names, t_us, t_us)


def twins(connection: Connection, events: Sequence[Event]) -> dict[str, Stored]:
    """Events that may be these under other ids, by key: of one content only one counts (`domain.events.in_force`).

    They name the same subjects at the same time, so one of the names finds them.
    """
    wanted = {(names[0], event.time_us) for event in events if event.content and (names := event.names)}
    keys: set[str] = set()
    for part in chunks(wanted):
        same = " OR ".join(["unit = ? AND time_us = ?"] * len(part))
        query = f"SELECT key FROM event_unit WHERE {same}"  # noqa: S608 (no values in it)
        keys.update(key for (key,) in fetch(connection, query, *(value for pair in part for value in pair)))
    contents = {(event.by, event.content) for event in events}
    found = events_by_key(connection, keys)
    return {key: one for key, one in found.items() if (one.event.by, one.event.content) in contents}


# All time


def amounts(connection: Connection, column: Any, names: Iterable[str]) -> list[Amount]:
    """Lines where `column` of `quantity_span` is one of the names, by line and time."""
    query = select(t.quantity_span)
    return sorted(one for part in chunks(names) for one in _amounts(connection, query.where(column.in_(part))))


def portions(connection: Connection, column: Any, names: Iterable[str]) -> list[Interval]:
    """When what may have held some of which goods, by whatever measure: the goods are the child. Spans that follow each
    other without a gap are one, for what began it and what ended it."""
    by_holding: dict[tuple[str, str], list[Amount]] = {}
    for one in amounts(connection, column, names):
        by_holding.setdefault((one.item, one.parent), []).append(one)
    found: list[Interval] = []
    for (item, parent), lines in by_holding.items():
        last: Interval | None = None
        for one in sorted(lines, key=lambda one: one.from_us):
            some = one.most_milli is None or one.most_milli > 0
            if last is not None and some and last.to_us is not None and one.from_us <= last.to_us:
                last = last._replace(to_us=one.to_us and max(last.to_us, one.to_us))
            elif last is not None and not some and one.from_us == last.to_us:
                last = last._replace(why=tuple(dict.fromkeys((*last.why, *one.why))))
            elif some and (last is None or last.to_us is not None):
                found += [last] if last else []
                last = Interval(item, parent, one.from_us, one.to_us, one.why)
        found += [last] if last else []
    return sorted(found)


def steps_of_lines(connection: Connection, parent: str, items: Iterable[str] | None) -> list[Step]:
    """Steps of the parent's lines of these goods, and what emptied it; None: of all its lines."""
    c = t.quantity_step.c
    query = select(t.quantity_step).where(c.parent == parent)
    parts: Iterable[Any] = [literal(True)] if items is None else [c.item.in_(part) for part in chunks([*items, ""])]
    columns = [c[name] for name in Step._fields]
    return [
        Step._make(row)._replace(maybe=bool(row.maybe))
        for part in parts
        for row in connection.execute(query.with_only_columns(*columns).where(part))
    ]


def seals_of(connection: Connection, units: Iterable[str]) -> list[SealFact]:
    """What was said of seals on these units, by time."""
    return _facts(connection, SealFact, t.seal_fact, t.seal_fact.c.unit, units)


def seals_numbered(connection: Connection, numbers: Iterable[str]) -> list[SealFact]:
    """What was said of these seals on any unit, by time."""
    return _facts(connection, SealFact, t.seal_fact, t.seal_fact.c.seal, numbers)


def boards_of(connection: Connection, loads: Iterable[str]) -> list[BoardFact]:
    """What was said of the boards of these loads, by time."""
    return _facts(connection, BoardFact, t.board_fact, t.board_fact.c.load, loads)


def loads_on(connection: Connection, boards: Iterable[str]) -> list[BoardFact]:
    """What was said of what these boards carried, by time."""
    return _facts(connection, BoardFact, t.board_fact, t.board_fact.c.board, boards)


def conflicts(connection: Connection, column: Any, names: Iterable[str]) -> list[dict[str, Any]]:
    """Contradictions where `column` of `containment_conflict` is one of the names, by time, `why` parsed."""
    query = select(t.containment_conflict)
    rows = [
        {**row._mapping, "why": tuple(json.loads(row.why))}
        for part in chunks(names)
        for row in connection.execute(query.where(column.in_(part)))
    ]
    return sorted(rows, key=lambda row: (row["to_us"], row["rule"], row["item"], row["parent"], row["other"]))


def _facts(connection: Connection, kind: Any, table: Any, column: Any, names: Iterable[str]) -> list[Any]:
    query = select(*(table.c[name] for name in kind._fields))
    found = [kind._make(row) for part in chunks(names) for row in connection.execute(query.where(column.in_(part)))]
    return sorted(found, key=lambda fact: (fact.time_us, fact))


def intervals(connection: Connection, query: Any) -> list[Interval]:
    """Rows of `containment` as they come."""
    return [_interval(row) for row in connection.execute(query)]


def _interval(row: Sequence[Any]) -> Interval:
    child, parent, from_us, to_us, why = row
    return Interval(child, parent, from_us, to_us, tuple(json.loads(why)))


def _amounts(connection: Connection, query: Any) -> list[Amount]:
    return [_amount(row) for row in connection.execute(query)]


def _amount(row: Sequence[Any]) -> Amount:
    return Amount._make((*row[:-1], tuple(json.loads(row[-1]))))
