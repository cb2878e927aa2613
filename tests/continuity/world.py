"""A ledger of stories, followed by the real projections."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any, ClassVar, NamedTuple

from sqlalchemy import Connection, Engine

from coldchain.db import queries_events as q
from coldchain.db.tables import metadata
from coldchain.projections.containment import Containment
from coldchain.projections.continuity import Continuity
from coldchain.projections.events import Events
from coldchain.projections.findings import Findings
from coldchain.projections.follow import _digest, _rows
from coldchain.projections.parties import Parties
from coldchain.projections.telemetry import TelemetryViews
from coldchain.services.recorded import Recorded
from continuity.facts import hours
from continuity.followed import Followed

DEADLINE_H = 72


class Verdict(NamedTuple):
    """A row of the verdict table, as far as stories speak of it."""

    code: str
    subject: str
    channel: str
    state: str
    verdict: str
    lacks: str
    detail: dict[str, Any]
    grade: str
    from_us: int
    to_us: int | None


class World(Followed):
    """In a transaction that is rolled back: one database serves every story."""

    engine: ClassVar[Engine]
    _open: ClassVar[list[Connection]] = []

    def __init__(self) -> None:
        self.close()
        projections = (Events(), Parties(), TelemetryViews(), Containment(), Continuity(), Findings())
        super().__init__(lambda: nullcontext(self.connection), projections, hours(200), DEADLINE_H * 3600)
        self.connection = self.engine.connect()
        self._open.append(self.connection)
        self.connection.begin()

    @classmethod
    def close(cls) -> None:
        while cls._open:
            connection = cls._open.pop()
            connection.rollback()
            connection.close()

    def verdicts(self, code: str = "", subject: str = "") -> list[Verdict]:
        """Continuity's verdicts, of one code and subject or of all."""
        found = []
        for row in sorted(q.current_verdicts(self.connection)):
            name = row.rule.partition(" ")[0]
            if (code in ("", name)) and subject in ("", row.subject) and name[0] in "PB" and name[1:].isdigit():
                detail = json.loads(row.detail)
                state = row.state, row.verdict, detail["lacks"], detail, row.weakest_grade, row.from_us, row.to_us
                found.append(Verdict(name, row.subject, row.channel, *state))
        return sorted(found, key=lambda one: one[:3])

    def segments(self, unit: str) -> list[tuple[str, str]]:
        """(verdict, reason) stretch by stretch."""
        table = metadata.tables["unit_segment"]
        query = table.select().where(table.c.unit == unit).order_by(table.c.from_us)
        return [(row.verdict, row.reason) for row in self.connection.execute(query)]

    def tables(self) -> dict[str, str]:
        """A digest of the facts of every table that says what is concluded."""
        names = ("verdict", "unit_segment", "containment", "continuity_tie", "continuity_opportunity", "event_fact")
        return {name: _digest(_rows(self.connection, metadata.tables[name], True)) for name in names}


def in_batches(world: World, facts: Sequence[Recorded], sizes: Sequence[int]) -> None:
    """Record them in batches of these sizes, repeated as often as needed."""
    rest, turn = list(facts), 0
    while rest:
        size = sizes[turn % len(sizes)]
        world.record(*rest[:size])
        del rest[:size]
        turn += 1
