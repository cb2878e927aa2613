"""What is read of events, containment, continuity and findings: plain SQL in one place."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator
from typing import Any, NamedTuple, TypeVar

import msgspec
from sqlalchemy import ColumnElement, Connection, Select, and_, select

from coldchain.db.bulk import fetch
from coldchain.db.tables import events as t
from coldchain.db.tables.parties import restated, unentitled
from coldchain.db.tables.verdicts import verdict
from coldchain.domain.containment import Interval, Move
from coldchain.domain.events import Event
from coldchain.domain.exceptions import Claim, Decision
from coldchain.domain.findings import Ask, Current, Published
from coldchain.services.chores import Question

T = TypeVar("T")
_MANY = 400
"""Values in one IN list: SQLite's planner and PostgreSQL's parser are both quick there."""

_event = msgspec.json.Decoder(Event).decode


class Stored(NamedTuple):
    """An event as recorded: on which evidence, and where first."""

    event: Event
    grade: str
    entry: int


def chunks(values: Iterable[T]) -> Iterator[list[T]]:
    """The values, each once and sorted, in lists short enough for an IN."""
    ordered = sorted(set(values))  # type: ignore[type-var]
    for start in range(0, len(ordered), _MANY):
        yield ordered[start : start + _MANY]


# Events


_EVENT_COLUMNS = (t.event.c.data, t.event.c.grade, t.event.c.entry)


def events_naming(connection: Connection, units: Iterable[str], roles: Collection[str]) -> dict[str, Stored]:
    """Events that count and name one of `units` in one of the roles, and every other copy under the same event ids, by
    key."""
    keys: set[str] = set()
    for part in chunks(units):
        query = select(t.event_unit.c.key).where(t.event_unit.c.unit.in_(part), t.event_unit.c.role.in_(roles))
        keys.update(connection.scalars(query))
    return entitled(connection, with_copies(connection, events_by_key(connection, keys)))


def moves_of(connection: Connection, units: Iterable[str]) -> dict[str, Stored]:
    """`events_naming` without mere observations, and with what emptied a whole parent of one of the units."""
    found: dict[str, Stored] = {}
    for part in chunks(units):
        query = (
            select(*_EVENT_COLUMNS)
            .distinct()
            .join(t.event_unit, t.event_unit.c.key == t.event.c.key)
            .where(t.event_unit.c.unit.in_(part), t.event_unit.c.role.in_(("child", "input", "output")))
            .where(t.event.c.action != "OBSERVE")
        )
        found |= _stored(connection, query)
    parents = {stored.event.parent for stored in found.values()} - {""}
    for part in chunks(parents):
        query = (
            select(*_EVENT_COLUMNS)
            .join(t.event_unit, t.event_unit.c.key == t.event.c.key)
            .where(t.event_unit.c.unit.in_(part), t.event_unit.c.role == "parent", t.event.c.takes_all)
        )
        found |= _stored(connection, query)
    return entitled(connection, with_copies(connection, found))


def events_by_key(connection: Connection, keys: Iterable[str]) -> dict[str, Stored]:
    found: dict[str, Stored] = {}
    for part in chunks(keys):
        found |= _stored(connection, select(*_EVENT_COLUMNS).where(t.event.c.key.in_(part)))
    return found


def events_recorded(connection: Connection, entries: Iterable[int]) -> dict[int, list[Event]]:
    """Events by the first ledger entry that holds them, of those entries that state any."""
    found: dict[int, list[Event]] = {}
    for part in chunks(entries):
        for one in _stored(connection, select(*_EVENT_COLUMNS).where(t.event.c.entry.in_(part))).values():
            found.setdefault(one.entry, []).append(one.event)
    return found


def every_event(connection: Connection) -> dict[str, Stored]:
    """All of them, for when what they are judged by changes."""
    return _stored(connection, select(*_EVENT_COLUMNS))


def with_copies(connection: Connection, found: dict[str, Stored]) -> dict[str, Stored]:
    """Added: events of the same ids, which may withdraw or dispute these."""
    for part in chunks(stored.event.event_id for stored in found.values()):
        found = _stored(connection, select(*_EVENT_COLUMNS).where(t.event.c.event_id.in_(part))) | found
    return found


def barred(connection: Connection, keys: Iterable[str]) -> set[str]:
    """Those of the events that are recorded and move nothing: an unentitled party sent them (design §6)."""
    c = unentitled.c
    return {key for part in chunks(keys) for key in connection.scalars(select(c.key).where(c.key.in_(part)))}


def entitled(connection: Connection, found: dict[str, Stored]) -> dict[str, Stored]:
    """Without the barred ones: what conclusions may be drawn from. Whoever loads events to fold them passes them
    through this."""
    without = barred(connection, found)
    return {key: stored for key, stored in found.items() if key not in without} if without else found


def restated_events(connection: Connection) -> dict[str, Stored]:
    """Events recorded earlier that the newest batch barred or freed: what was folded from them is to be folded anew."""
    return events_by_key(connection, connection.scalars(select(restated.c.key)))


def _stored(connection: Connection, query: Select[Any]) -> dict[str, Stored]:
    rows = (Stored(_event(data), grade, entry) for data, grade, entry in connection.execute(query))
    return {stored.event.key: stored for stored in rows}


# Containment


def intervals(connection: Connection, column: Any, units: Iterable[str]) -> list[Interval]:
    """Containment rows where `column` is one of the units."""
    found = []
    for part in chunks(units):
        found += [_interval(row) for row in connection.execute(select(t.containment).where(column.in_(part)))]
    return found


def aboard(connection: Connection, place: str, from_us: int, to_us: int) -> list[Interval]:
    """What was directly in `place` at some moment of [from_us, to_us]."""
    query = (
        "SELECT child, parent, from_us, to_us, why FROM containment"
        " WHERE parent = ? AND from_us <= ? AND (to_us IS NULL OR to_us > ?)"
    )
    return [
        Interval(child, parent, begin_us, end_us, tuple(json.loads(why)))
        for child, parent, begin_us, end_us, why in fetch(connection, query, place, to_us, from_us)
    ]


def event_times(connection: Connection, units: Iterable[str], from_us: int, to_us: int) -> set[int]:
    """When events named one of the units within [from_us, to_us]."""
    c = t.event_unit.c
    return {
        time_us
        for part in chunks(units)
        for time_us in connection.scalars(select(c.time_us).where(c.unit.in_(part), c.time_us.between(from_us, to_us)))
    }


def _interval(row: Any) -> Interval:
    return Interval(row.child, row.parent, row.from_us, row.to_us, tuple(json.loads(row.why)))


def moves(connection: Connection, column: Any, units: Iterable[str]) -> list[Move]:
    found = []
    for part in chunks(units):
        for row in connection.execute(select(t.containment_move).where(column.in_(part))):
            found.append(Move(row.unit, row.time_us, row.source, bool(row.entered), tuple(json.loads(row.why))))
    return found


def doubting(connection: Connection, tags: Iterable[str]) -> set[str]:
    """Pallets at whose reads one of the tags ever deviated."""
    c = t.containment_doubt.c
    return {unit for part in chunks(tags) for unit in connection.scalars(select(c.unit).where(c.tag.in_(part)))}


# Continuity


def claims_between(connection: Connection, from_us: int, to_us: int) -> list[Claim]:
    """Claims about some moment of [from_us, to_us]."""
    query = select(t.claim).where(t.claim.c.from_us <= to_us, t.claim.c.to_us >= from_us)
    return [
        Claim(
            row.claim,
            row.code,
            row.by,
            tuple(json.loads(row.units)),
            tuple(json.loads(row.places)),
            row.from_us,
            row.to_us,
            json.loads(row.evidence),
            row.at_us,
            row.entry,
            row.grade,
        )
        for row in connection.execute(query)
    ]


def decisions_on(connection: Connection, claims: Iterable[str]) -> list[Decision]:
    c = t.claim_decision.c
    return [
        Decision(row.claim, row.n, bool(row.confirmed), row.by, row.role, row.at_us, row.entry, row.grade)
        for part in chunks(claims)
        for row in connection.execute(select(t.claim_decision).where(c.claim.in_(part)))
    ]


def asks_about(connection: Connection, subjects: Iterable[str]) -> dict[str, list[Ask]]:
    """Questions by subject."""
    found: dict[str, list[Ask]] = {}
    for part in chunks(subjects):
        for row in connection.execute(select(t.ask).where(t.ask.c.subject.in_(part))):
            span = row.from_us, row.to_us, row.deadline_s
            ask = Ask(row.rule, row.subject, *span, row.asked, row.at_us, row.entry, row.channel)
            found.setdefault(row.subject, []).append(ask)
    return found


def verdicts(connection: Connection, subjects: Iterable[str], source: str | None = None) -> list[dict[str, Any]]:
    """Verdict rows of the subjects, by time; of every source, or of one."""
    names = [column.name for column in verdict.columns]
    sources = () if source is None else (source,)
    rows: list[dict[str, Any]] = []
    for part in chunks(subjects):
        query = f"SELECT {', '.join(names)} FROM verdict WHERE subject IN ({', '.join('?' * len(part))})"  # noqa: S608
        found = fetch(connection, query + " AND source = ?" * len(sources), *part, *sources)
        rows += [dict(zip(names, row, strict=True)) for row in found]
    return sorted(rows, key=lambda row: (row["from_us"], row["rule"], row["subject"], row["channel"]))


def pending_deadline(connection: Connection) -> int | None:
    """The next moment, ledger time, at which a verdict changes by itself; None where no clock runs."""
    return connection.scalar(select(t.continuity_deadline.c.due_us).order_by(t.continuity_deadline.c.due_us).limit(1))


# Findings


def current_verdicts(connection: Connection) -> list[Current]:
    """Every row of the verdict table, as the emitter compares it."""
    return [as_current(row) for row in connection.execute(select(verdict))]


def as_current(row: Any) -> Current:
    return Current(
        row.rule,
        row.subject,
        row.channel,
        row.from_us,
        row.to_us,
        row.verdict,
        row.state,
        row.detail,
        row.weakest_grade,
        tuple(json.loads(row.basis_index)),
    )


def published(connection: Connection) -> list[Published]:
    """The newest entry of every finding."""
    return [as_published(row) for row in connection.execute(select(t.finding).where(t.finding.c.current))]


def as_published(row: Any) -> Published:
    return Published(
        row.finding,
        row.n,
        row.rule,
        row.subject,
        row.channel,
        row.from_us,
        row.to_us,
        row.verdict,
        row.state,
        row.entry,
        row.first_entry,
        row.at_us,
        row.severity,
    )


def open_questions(connection: Connection, subjects: Iterable[str] | None = None) -> list[tuple[Question, int]]:
    """Findings whose holder is to be asked and has not been, each with the current ledger index of the finding; of all
    subjects, or of some."""
    f = t.finding.c
    if subjects is None:
        return _questions(connection, f.current)
    # Said as `current`, SQLite would begin with the index of all current findings.
    parts = (and_(f.current.is_not(False), f.subject.in_(part)) for part in chunks(subjects))
    return [question for part in parts for question in _questions(connection, part)]


def _questions(connection: Connection, about: ColumnElement[bool]) -> list[tuple[Question, int]]:
    c, f = verdict.c, t.finding.c
    query = (
        select(f.finding, f.entry, c.rule, c.subject, c.channel, c.from_us, c.to_us, c.detail)
        .join(verdict, and_(f.rule == c.rule, f.subject == c.subject, f.channel == c.channel, f.from_us == c.from_us))
        .where(about, c.source == "continuity", c.state == "suspected")
        .outerjoin(t.ask, t.ask.c.finding == f.finding)
        .where(t.ask.c.finding.is_(None))
    )
    found = []
    for row in connection.execute(query.order_by(f.first_entry)):
        detail = json.loads(row.detail)
        if detail["ask"]:
            span = row.from_us, row.to_us
            question = Question(row.finding, row.rule, row.subject, *span, detail["holder"], row.channel)
            found.append((question, row.entry))
    return found
