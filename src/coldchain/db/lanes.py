"""Lanes of verdicts that may differ from what was published: marked where a verdict changes, read by the emitter."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import Connection, and_, bindparam, delete, select, update

from coldchain.db.bulk import put_rows
from coldchain.db.queries_events import as_current, as_published
from coldchain.db.tables.events import finding
from coldchain.db.tables.verdicts import verdict, verdict_touched
from coldchain.domain.findings import Current, Published
from coldchain.domain.pacing import LONGEST_US, SETTLE_US, Lane, Touched, rests_on_absence

_AGAIN = f"""ON CONFLICT (rule, subject, channel) DO UPDATE SET changed_us = excluded.changed_us,
 due_us = CASE WHEN excluded.due_us > verdict_touched.since_us + {LONGEST_US}
 THEN verdict_touched.since_us + {LONGEST_US} ELSE excluded.due_us END"""


def mark(connection: Connection, lanes: Mapping[Lane, int]) -> None:
    """Verdicts of these lanes changed at these ledger times; 0 where changes of a lane never have to settle.

    Belongs into the transaction that changes them: a crash then loses neither or both.
    """
    rows = [(*lane, at_us, at_us, at_us + SETTLE_US * rests_on_absence(lane[0])) for lane, at_us in lanes.items()]
    put_rows(connection, verdict_touched, rows, _AGAIN)


def mark_rows(connection: Connection, rows: Iterable[Mapping[str, Any]]) -> None:
    """`mark` for rows of `verdict` that went or came, of rules whose findings never have to settle."""
    mark(connection, {(row["rule"], row["subject"], row["channel"]): 0 for row in rows})


def mark_missing(connection: Connection, lanes: Iterable[Lane], at_us: int) -> None:
    """Have these lanes looked at now, but for those that are marked already: they keep their pace."""
    put_rows(connection, verdict_touched, [(*lane, at_us, at_us, at_us) for lane in lanes], "ON CONFLICT DO NOTHING")


def due(connection: Connection, upto_us: int) -> dict[Lane, Touched]:
    """Lanes to look at when ledger time is `upto_us`."""
    c = verdict_touched.c
    rows = connection.execute(select(c.rule, c.subject, c.channel, c.since_us, c.changed_us).where(c.due_us <= upto_us))
    return {(row.rule, row.subject, row.channel): Touched(row.since_us, row.changed_us) for row in rows}


def next_due_us(connection: Connection) -> int | None:
    """The earliest ledger time at which a lane is to be looked at."""
    c = verdict_touched.c
    return connection.scalar(select(c.due_us).order_by(c.due_us).limit(1))


def current(connection: Connection, upto_us: int) -> list[Current]:
    """Verdicts of the lanes that are due."""
    query = select(verdict).select_from(verdict_touched.join(verdict, _same_lane(verdict.c)))
    return [as_current(row) for row in connection.execute(query.where(verdict_touched.c.due_us <= upto_us))]


def published(connection: Connection, upto_us: int) -> list[Published]:
    """The newest entry of every finding in the lanes that are due."""
    query = select(finding).select_from(verdict_touched.join(finding, _same_lane(finding.c)))
    # Said as `current`, SQLite would begin with the index of all current findings.
    query = query.where(verdict_touched.c.due_us <= upto_us, finding.c.current.is_not(False))
    return [as_published(row) for row in connection.execute(query)]


def hold(connection: Connection, lanes: Mapping[Lane, int]) -> None:
    """Look at these lanes again when ledger time gets there, or when they change."""
    _update(connection, "due_us", lanes)


def restart(connection: Connection, lanes: Mapping[Lane, int]) -> None:
    """Something of these lanes was published at these ledger times."""
    _update(connection, "since_us", lanes)


def forget(connection: Connection, lanes: Iterable[Lane]) -> None:
    """These lanes are published as they are."""
    keys = [dict(zip(("a", "b", "c"), lane, strict=True)) for lane in lanes]
    if keys:
        connection.execute(delete(verdict_touched).where(_lane_given()), keys)


def _update(connection: Connection, column: str, lanes: Mapping[Lane, int]) -> None:
    rows = [{"a": rule, "b": subject, "c": channel, "d": t_us} for (rule, subject, channel), t_us in lanes.items()]
    if rows:
        connection.execute(update(verdict_touched).where(_lane_given()).values({column: bindparam("d")}), rows)


def _lane_given() -> Any:
    c = verdict_touched.c
    return and_(c.rule == bindparam("a"), c.subject == bindparam("b"), c.channel == bindparam("c"))


def _same_lane(other: Any) -> Any:
    c = verdict_touched.c
    return and_(c.rule == other.rule, c.subject == other.subject, c.channel == other.channel)
