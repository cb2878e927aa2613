"""What the server appends by itself once its projections are at the tip: findings, questions, time, index roots."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection, Engine

from coldchain.db import lanes, queries_events
from coldchain.db.engine import writing
from coldchain.db.queries_affected import AffectedQueries
from coldchain.db.queries_ledger import newest_index_root
from coldchain.db.queries_silence import probe_expected
from coldchain.db.rejects import SqlRejects
from coldchain.domain.findings import changes
from coldchain.domain.pacing import lane_of
from coldchain.projections.follow import Follower
from coldchain.services.chores import (
    CLOCK_TOLERANCE_US,
    DAY_US,
    Question,
    ask_entry,
    index_due,
    reject_entries,
    time_entry,
)
from coldchain.services.emit import paced_entries
from coldchain.services.ports import Clock
from coldchain.settings import Settings
from coldchain_ledger.entry import parse_entry
from coldchain_ledger.log import Draft, Log
from coldchain_ledger.store import Store

FOREVER_US = 2**62
LISTEN_US = 10 * 60 * 1_000_000
"""How long the ledger may hear nothing while a probe is expected to speak: the shortest silence any shipped rule pack
calls one. Silence is judged by ledger time, and a whole site that falls silent moves no time."""


class Conclusions:
    """The one emitter of a ledger (design §4.10), and the chores that need a clock.

    A crash anywhere leaves entries under their idempotency keys: the next step finds them there and goes on.
    """

    def __init__(
        self,
        engine: Engine,
        store: Store,
        log: Log,
        follower: Follower,
        rejects: SqlRejects,
        clock: Clock,
        settings: Settings,
    ) -> None:
        self._engine = engine
        self._store = store
        self._log = log
        self._follower = follower
        self._rejects = rejects
        self._clock = clock
        self._settings = settings
        self._behind = False
        self._compared = False
        self._indexed: tuple[int, int] | None = None

    def step(self, *, everything: bool = False) -> bool:
        """Append what is due; True where anything was. The caller has brought the projections to the tip.

        everything: also what would have to settle first (`domain.pacing`), because nothing follows.
        """
        if not self._compared:
            self._compare_all()
        drafts = self._conclusions(everything) + self._passing_time()
        tallies = self._rejects.due(self._clock())
        drafts += reject_entries(self._log.origin, tallies)
        added = any(outcome.status == "added" for outcome in self._log.append(drafts)) if drafts else False
        if tallies:
            self._rejects.settle(tallies)
        return self._index() or added

    def _compare_all(self) -> None:
        """Once in a process everything is compared: whatever was not marked for any reason is found here."""
        _, now_us = self._follower.position()
        with writing(self._engine) as connection:
            differing = changes(queries_events.current_verdicts(connection), queries_events.published(connection))
            missing = {lane_of(change) for change in differing}
            if self._settings.ask_parties:
                missing |= {(one.rule, one.subject, "") for one, _ in queries_events.open_questions(connection)}
            lanes.mark_missing(connection, missing, now_us)
        self._compared = True

    def _conclusions(self, everything: bool) -> list[Draft]:
        """Findings and questions of the lanes that changed or have settled; without any, one look at an index."""
        basis, now_us = self._follower.position()
        upto_us = FOREVER_US if everything else now_us
        with self._engine.connect() as connection:
            touched = lanes.due(connection, upto_us)
            if not touched:
                return []
            current, published = lanes.current(connection, upto_us), lanes.published(connection, upto_us)
            questions = self._questions(connection, {row.subject for row in current if row.state == "suspected"})
            affected = AffectedQueries(connection)
            found = paced_entries(self._log.origin, current, published, basis, touched, upto_us, affected)
        asked = {question.subject for question in questions}
        # A crash from here on leaves lanes marked that need not be, never the other way round: a lane of which
        # something is said or asked stays due until the fold of that shows that it agrees.
        with writing(self._engine) as connection:
            lanes.restart(connection, dict.fromkeys(found.spoken, now_us))
            lanes.hold(connection, found.held)
            lanes.forget(connection, [lane for lane in found.agreed if lane[1] not in asked])
        return found.drafts + [self.ask(question) for question in questions]

    def _questions(self, connection: Connection, suspected: Iterable[str]) -> list[Question]:
        if not self._settings.ask_parties:
            return []
        return [question for question, _ in queries_events.open_questions(connection, suspected)]

    def ask(self, question: Question, hours: float | None = None) -> Draft:
        """The question to the holder, with the deadline given or that of the settings."""
        deadline_s = round((hours or self._settings.ask_deadline_h) * 3600)
        return ask_entry(self._log.origin, question, deadline_s)

    def _passing_time(self) -> list[Draft]:
        with self._engine.connect() as connection:
            running = queries_events.pending_deadline(connection) is not None
            awaited_us = lanes.next_due_us(connection)
            now_us, last_us = self._clock(), self._log.edge().at_us
            if last_us + LISTEN_US <= now_us and probe_expected(connection, last_us - DAY_US):
                awaited_us = min(last_us + LISTEN_US, FOREVER_US if awaited_us is None else awaited_us)
        draft = time_entry(self._log.origin, now_us, last_us, running, awaited_us)
        # Behind by less is no step back: a batch may be recorded between our look at the clock and that at the edge.
        told, self._behind = self._behind, last_us - now_us > CLOCK_TOLERANCE_US
        if draft is None or (told and self._behind):  # told once, not until the clock has caught up
            return []
        return [draft]

    def _index(self) -> bool:
        """An index root covers everything before it, so it goes last."""
        if self._indexed is None:
            self._indexed = self._newest_index()
        now_us, edge = self._clock(), self._log.edge()
        if not index_due(edge.size, now_us, *self._indexed):
            return False
        outcome = self._log.append_index()
        self._indexed = (outcome.index, outcome.at_us)
        return True

    def _newest_index(self) -> tuple[int, int]:
        """Where and when the newest index root stands; the ledger's first entry where there is none yet."""
        with self._store.snapshot() as snapshot, self._engine.connect() as connection:
            newest = newest_index_root(connection)
            index = newest if newest is not None else 0
            edge = snapshot.edge()
            if edge is None or edge.size == 0:
                return 0, self._clock()
            return index, parse_entry(snapshot.entry(index)).at_us
