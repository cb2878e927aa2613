"""A ledger in a list; time passes when a test says so."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace

from sqlalchemy import Connection

from coldchain.db import queries_events as q
from coldchain.services.chores import ask_entry
from coldchain.services.emit import finding_entries
from coldchain.services.ports import Projection
from coldchain.services.recorded import Recorded
from coldchain_ledger.log import Draft
from continuity.facts import HOUR, fact

Transaction = Callable[[], AbstractContextManager[Connection]]


class Followed:
    """The projections given follow it.

    `record` is a batch, `settle` what the server does after it: publish what is concluded, ask whom it must.
    """

    def __init__(
        self, transaction: Transaction, projections: Sequence[Projection], now_us: int, deadline_s: int
    ) -> None:
        """now_us: when the first batch is recorded. deadline_s: how long who is asked may take."""
        self.projections = projections
        self.size = 0
        self.now = now_us
        self.log: list[Recorded] = []
        self._transaction, self._deadline_s = transaction, deadline_s

    def record(self, *facts: Recorded) -> None:
        """One batch, one second later than the last."""
        self.now += 1_000_000
        batch = [
            replace(item, index=self.size + i, entry=replace(item.entry, at_us=self.now))
            for i, item in enumerate(facts)
        ]
        self.size += len(batch)
        self.log += batch
        with self._transaction() as connection:
            for projection in self.projections:
                projection.apply(connection, batch, self.now)

    def pass_time(self, time_h: float) -> None:
        self.now += round(time_h * HOUR)
        self.record(fact("time", f"time/{self.now}", body={"t_us": self.now}))

    def settle(self) -> list[Draft]:
        """Publish and ask until nothing is new; everything appended."""
        appended: list[Draft] = []
        while drafts := self._due():
            self.record(*(fact(d.kind, d.key, d.by, d.grade, body=json.loads(d.payload)) for d in drafts))
            appended += drafts
        return appended

    def _due(self) -> list[Draft]:
        with self._transaction() as connection:
            drafts = finding_entries("log", q.current_verdicts(connection), q.published(connection), self.size)
            return drafts + [ask_entry("log", asked, self._deadline_s) for asked, _ in q.open_questions(connection)]
