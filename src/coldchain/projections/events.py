"""Every event once, and which subjects it names."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from sqlalchemy import Connection, insert, select, update

from coldchain.db.queries_events import chunks
from coldchain.db.tables.events import event, event_unit
from coldchain.domain.containment import takes_all
from coldchain.domain.events import Event, identified
from coldchain.services.recorded import Recorded

GRADES = ("signed", "transport", "declared", "transcribed", "derived")
"""Evidence, strongest first (design §6)."""


def weakest(grades: Sequence[str]) -> str:
    """The grade a conclusion from all of these stands on."""
    return max(grades, key=GRADES.index, default="derived")


def own_events(batch: Sequence[Recorded]) -> list[tuple[Event, Recorded]]:
    """The batch's events under their keys, sent by whoever recorded them."""
    return [(identified(one, item.entry.by), item) for item in batch for one in item.events]


class Events:
    """Fills `event` and `event_unit`. The same event recorded again adds no row, and at most a stronger grade."""

    name = "events"
    tables: Sequence[str] = ("event", "event_unit")
    takes_telemetry = False

    def apply(self, connection: Connection, batch: Sequence[Recorded], ledger_time_us: int) -> None:
        strongest: dict[str, tuple[Event, str, int]] = {}
        for one, item in own_events(batch):
            kept = strongest.get(one.key)
            grade = item.entry.grade if kept is None else min(kept[1], item.entry.grade, key=GRADES.index)
            strongest[one.key] = (one, grade, kept[2] if kept else item.index)
        if not strongest:
            return
        known: dict[str, str] = {}
        for part in chunks(strongest):
            query = select(event.c.key, event.c.grade).where(event.c.key.in_(part))
            known |= {row.key: row.grade for row in connection.execute(query)}
        self._strengthen(connection, known, strongest)
        fresh = [row for key, row in strongest.items() if key not in known]
        if fresh:
            connection.execute(insert(event), [_row(*row) for row in fresh])
            if named := [row for one, _, _ in fresh for row in _unit_rows(one)]:
                connection.execute(insert(event_unit), named)

    def reset(self) -> None:
        return None

    def _strengthen(
        self, connection: Connection, known: dict[str, str], strongest: dict[str, tuple[Event, str, int]]
    ) -> None:
        for key, grade in known.items():
            better = strongest[key][1]
            if GRADES.index(better) < GRADES.index(grade):
                connection.execute(update(event).where(event.c.key == key).values(grade=better))


def _row(one: Event, grade: str, entry: int) -> dict[str, object]:
    return {
        "key": one.key,
        "event_id": one.event_id,
        "kind": one.kind,
        "time_us": one.time_us,
        "action": one.action,
        "biz_step": one.biz_step,
        "by": one.by,
        "takes_all": takes_all(one),
        "data": msgspec.json.encode(one).decode(),
        "grade": grade,
        "entry": entry,
    }


def _unit_rows(one: Event) -> list[dict[str, object]]:
    named = {(one.parent, "parent"), (one.read_point, "read_point"), (one.location, "location")}
    named |= {(unit, "child") for unit in one.units}
    named |= {(unit, "input") for unit in one.inputs}
    named |= {(unit, "output") for unit in one.outputs}
    named |= {(quantity.item, "quantity") for quantity in one.quantities}
    named |= {(paper, "paper") for paper in one.papers}
    return [
        {"unit": unit, "time_us": one.time_us, "key": one.key, "role": role} for unit, role in sorted(named) if unit
    ]
