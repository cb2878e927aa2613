"""What an inspection reads beyond a trace: amounts, seals, boards, contradictions, handovers, at one moment or ever."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, func, literal, or_, select

from coldchain.db import queries_containment as qc
from coldchain.db.queries_continuity import keys_beside
from coldchain.db.queries_events import chunks, entitled, events_by_key, events_naming, with_copies
from coldchain.db.queries_parties import handovers_of
from coldchain.db.queries_units import UnitQueries
from coldchain.db.tables import containment as tc
from coldchain.db.tables import events as t
from coldchain.db.tables.cursor import cursor
from coldchain.domain.boards import BoardFact
from coldchain.domain.containment import Interval
from coldchain.domain.continuity.links import linked_from
from coldchain.domain.events import Event, in_force
from coldchain.domain.quantities import Amount
from coldchain.domain.seals import SealFact

LINKING = 200
"""Oldest events of a unit that are searched for what it was linked from."""
LOOKED_AT = 50
"""Newest events of a unit that are searched for one that says where it was."""


class InspectQueries(UnitQueries):
    """`services.inspect.InspectSource` over one connection."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self._connection = connection

    def named(self, name: str) -> bool:
        """By an event, in what it says of seals and boards too, or as the place of a device."""
        return super().named(name) or bool(self.seals(name)) or bool(self.boards(name))

    def valid_for(self) -> tuple[int, int]:
        """Entries every projection has folded, and the newest time recorded in the ledger up to there."""
        c = cursor.c
        row = self._connection.execute(select(func.min(c.next_index), func.max(c.ledger_time_us))).one()
        return row[0] or 0, row[1] or 0

    def grades(self, name: str) -> Collection[str]:
        """The grades of the events that name it."""
        u, e = t.event_unit.c, t.event.c
        query = select(e.grade).distinct().join(t.event_unit, u.key == e.key).where(u.unit == name)
        return set(self._connection.scalars(query))

    def contents(self, name: str, t_us: int | None, limit: int) -> tuple[int, Sequence[Interval]]:
        """How many stays in it there were, and the newest of them by time; with t_us only those of that moment."""
        c = t.containment.c
        mine = c.parent == name
        if t_us is not None:
            mine = mine & (c.from_us <= t_us) & or_(c.to_us.is_(None), c.to_us > t_us)
        total = self._connection.scalar(select(func.count()).select_from(t.containment).where(mine)) or 0
        rows = select(t.containment).where(mine).order_by(c.from_us.desc(), c.child).limit(limit)
        return total, sorted(qc.intervals(self._connection, rows), key=lambda one: (one.from_us, one.child))

    def inside(self, name: str, t_us: int, limit: int) -> Sequence[str]:
        """The units in it at that moment, at any depth; at most `limit`."""
        return [one.child for one in qc.contents_at(self._connection, name, t_us, limit)]

    def around(self, name: str, t_us: int) -> Sequence[Interval]:
        """What it was in at that moment, inner before outer."""
        return qc.parents_at(self._connection, name, t_us)

    def amounts_in(self, parents: Iterable[str], t_us: int) -> Sequence[Amount]:
        return qc.amounts_at(self._connection, parents, t_us)

    def amounts_of(self, item: str, t_us: int) -> Sequence[Amount]:
        return qc.holding_at(self._connection, item, t_us)

    def lots_of(self, units: Iterable[str]) -> Mapping[str, str]:
        """The lot each of the units was commissioned with, where somebody said so."""
        c = t.containment.c
        return {
            row.child: row.parent
            for part in chunks(units)
            for row in self._connection.execute(
                select(c.child, c.parent).where(c.child.in_(part), c.parent.like("lot:%"))
            )
        }

    def events_of(self, item: str) -> Sequence[Event]:
        found = events_naming(self._connection, [item], ("quantity", "input", "output"))
        return [stored.event for stored in found.values()]

    def links(self, name: str) -> tuple[Collection[str], Collection[str]]:
        c = t.event_unit.c
        mine = select(c.key, c.time_us).distinct().where(c.unit == name, c.role.in_(("parent", "child", "output")))
        keys = {row.key for row in self._connection.execute(mine.order_by(c.time_us, c.key).limit(LINKING))}
        told = events_by_key(self._connection, keys | keys_beside(self._connection, [name]))
        counting = entitled(self._connection, with_copies(self._connection, told))
        standing, disputed = in_force(stored.event for stored in counting.values())
        earlier: set[str] = set()
        later: set[str] = set()
        for event in standing:
            old = frozenset() if event.key in disputed else linked_from(event)
            new = event.outputs or ((event.parent,) if event.parent else event.units)
            if name in new:
                earlier |= old - {name}
            elif name in old:
                later.update(new)
        return earlier, later

    def cases_by_holder(self, lot: str, t_us: int | None) -> Mapping[str, int]:
        """How many named cases of the lot were directly in what, "" for nothing; with t_us None at any time."""
        c, holder = t.containment.c, t.containment.alias()
        joined = (holder.c.child == c.child) & holder.c.parent.not_like("lot:%")
        if t_us is not None:
            joined &= (holder.c.from_us <= t_us) & or_(holder.c.to_us.is_(None), holder.c.to_us > t_us)
        parent = func.coalesce(holder.c.parent, literal(""))
        query = select(parent, func.count(c.child.distinct())).select_from(t.containment)
        query = query.outerjoin(holder, joined).where(c.parent == lot).group_by(parent)
        if t_us is not None:
            query = query.where(c.from_us <= t_us)
        return {row[0]: row[1] for row in self._connection.execute(query)}

    def held_by(self, item: str) -> Collection[str]:
        """Whatever ever held a counted amount of these goods."""
        c = tc.quantity_span.c
        return set(self._connection.scalars(select(c.parent).distinct().where(c.item == item)))

    def last_seen(self, name: str, t_us: int) -> Mapping[str, Any] | None:
        """The newest event up to then that counts and says where it was, among the newest that name it."""
        c = t.event_unit.c
        newest = select(c.time_us, c.key).distinct().where(c.unit == name, c.time_us <= t_us)
        keys = self._connection.execute(newest.order_by(c.time_us.desc(), c.key).limit(LOOKED_AT)).all()
        events = self.events(row.key for row in keys)
        told = (events[row.key] for row in keys if not events[row.key]["unentitled"])
        return next((one for one in told if one["read_point"] or one["location"]), None)

    def seals(self, name: str) -> Sequence[SealFact]:
        """Of a unit; of a seal, `seal:<issuer>/<number>`, on whatever it was."""
        if not name.startswith("seal:"):
            return qc.seals_of(self._connection, [name])
        issuer, _, number = name.removeprefix("seal:").rpartition("/")
        found = qc.seals_numbered(self._connection, [number])
        return [fact for fact in found if not fact.issuer or fact.issuer.casefold() == issuer.casefold()]

    def boards(self, name: str) -> Sequence[BoardFact]:
        """Of a load; of a board, what it carried."""
        read = qc.loads_on if name.startswith("grai:") else qc.boards_of
        return read(self._connection, [name])

    def conflicts(self, name: str) -> Sequence[Mapping[str, Any]]:
        """Contradictions about where it was, and about what was in it."""
        c = tc.containment_conflict.c
        found = [*qc.conflicts(self._connection, c.item, [name]), *qc.conflicts(self._connection, c.parent, [name])]
        return [one for place, one in enumerate(found) if one not in found[:place]]

    def handovers(self, name: str) -> Sequence[Mapping[str, Any]]:
        return handovers_of(self._connection, name)

    def entries_of(self, keys: Iterable[str]) -> Mapping[str, tuple[int, str]]:
        """By event key: the ledger entry that holds it first, and its grade."""
        return {key: (one.entry, one.grade) for key, one in events_by_key(self._connection, keys).items()}
