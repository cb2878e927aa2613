"""One-time links, as the database keeps them: by the hash of their secret."""

from __future__ import annotations

import json

from sqlalchemy import Engine, delete, insert, select, update

from coldchain.db.engine import writing
from coldchain.db.tables.access import answer_link
from coldchain.services.links import Link

KEEP_US = 90 * 86_400_000_000
"""Links are forgotten so long after they expired; their answers are in the ledger."""


class SqlLinks:
    """Keeps, finds and spends."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def keep(self, link: Link) -> None:
        row = {
            "digest": link.digest,
            "org": link.org,
            "question": json.dumps(link.question, sort_keys=True, ensure_ascii=False),
            "created_us": link.created_us,
            "expires_us": link.expires_us,
        }
        with writing(self._engine) as connection:
            connection.execute(delete(answer_link).where(answer_link.c.expires_us < link.created_us - KEEP_US))
            connection.execute(insert(answer_link).values(row))

    def find(self, digest: bytes) -> Link | None:
        with self._engine.connect() as connection:
            row = connection.execute(select(answer_link).where(answer_link.c.digest == digest)).one_or_none()
        if row is None:
            return None
        return Link(digest, row.org, json.loads(row.question), row.created_us, row.expires_us, row.used_us)

    def spend(self, digest: bytes, now_us: int) -> None:
        with writing(self._engine) as connection:
            connection.execute(update(answer_link).where(answer_link.c.digest == digest).values(used_us=now_us))
