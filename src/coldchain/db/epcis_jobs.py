"""Capture jobs and their outcomes in the side tables."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from itertools import accumulate, takewhile
from typing import Any, cast

from sqlalchemy import Connection, Engine, Row, bindparam, delete, func, insert, select, update

from coldchain.db.engine import writing
from coldchain.db.queries_api import NotKnown, decode_cursor, encode_cursor
from coldchain.db.tables.side import epcis_job
from coldchain.services.chores import DAY_US
from coldchain.services.epcis_capture import KEEP_DAYS, MAX_WAITING, Behaviour, Done, Job, TooManyJobs

_job = epcis_job.c
_STATED = [column for column in epcis_job.columns if column.name != "data"]


class SqlJobs:
    """Jobs wait in the database, so that a restart loses none."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def add(self, org: str, behaviour: Behaviour, data: bytes, now_us: int) -> int:
        """The number of a new job, durable when it returns. Raises TooManyJobs."""
        row = {
            "org": org,
            "behaviour": behaviour,
            "created_us": now_us,
            "faults": "[]",
            "entries": "[]",
            "sha256": hashlib.sha256(data).digest(),
            "data": data,
        }
        with writing(self._engine) as connection:
            waiting = connection.scalar(select(func.count()).where(_job.finished_us.is_(None))) or 0
            if waiting >= MAX_WAITING:
                raise TooManyJobs(f"{waiting} capture jobs wait already, at most {MAX_WAITING} may")
            return int(connection.execute(insert(epcis_job).values(row).returning(_job.no)).scalar_one())

    def waiting(self, limit: int, most_bytes: int) -> list[Job]:
        """The oldest jobs not done: one, and more as long as their documents are not larger together."""
        sizes = select(_job.no, func.length(_job.data)).where(_job.finished_us.is_(None)).order_by(_job.no).limit(limit)
        with self._engine.connect() as connection:
            found = connection.execute(sizes).all()
            totals = accumulate(size for _, size in found)
            fitting = takewhile(lambda one: one[1] <= most_bytes, zip(found, totals, strict=True))
            numbers = [no for (no, _), _ in fitting] or [no for no, _ in found[:1]]
            query = select(_job.no, _job.org, _job.behaviour, _job.data).where(_job.no.in_(numbers))
            rows = connection.execute(query.order_by(_job.no)).all()
        return [Job(row.no, row.org, cast(Behaviour, row.behaviour), bytes(row.data)) for row in rows]

    def finish(self, done: Sequence[Done]) -> None:
        """Durable when it returns; the documents themselves are let go, and outcomes of KEEP_DAYS ago forgotten."""
        outcome = update(epcis_job).where(_job.no == bindparam("job"))
        rows = [
            {
                "job": one.no,
                "finished_us": one.finished_us,
                "faults": json.dumps(one.faults, ensure_ascii=False),
                "entries": json.dumps(list(one.entries)),
                "data": None,
            }
            for one in done
        ]
        with writing(self._engine) as connection:
            connection.execute(outcome, rows)
            oldest_us = max(one.finished_us for one in done) - KEEP_DAYS * DAY_US
            connection.execute(delete(epcis_job).where(_job.finished_us < oldest_us))


def job(connection: Connection, no: int, org: str | None) -> Row[Any]:
    """A job as it stands. org: whose it has to be; None: anybody's. Raises NotKnown."""
    query = select(*_STATED).where(_job.no == no)
    row = connection.execute(query if org is None else query.where(_job.org == org)).one_or_none()
    if row is None:
        raise NotKnown(f"no capture job {no}, or its outcome is older than {KEEP_DAYS} days")
    return row


def jobs(
    connection: Connection, org: str | None, after: str | None, limit: int
) -> tuple[Sequence[Row[Any]], str | None]:
    """Jobs, the newest first, a page of them."""
    query = select(*_STATED).order_by(_job.no.desc())
    if org is not None:
        query = query.where(_job.org == org)
    if after is not None:
        query = query.where(_job.no < decode_cursor(after, int)[0])
    rows = connection.execute(query.limit(limit + 1)).all()
    return rows[:limit], encode_cursor(rows[limit - 1].no) if len(rows) > limit else None
