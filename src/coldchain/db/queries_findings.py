"""What is read of one finding: its life, who acknowledged it, and what its newest entry says beside the table."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, func, select

from coldchain.db.queries_api import Only, finding_life
from coldchain.db.queries_events import chunks
from coldchain.db.tables.events import finding, finding_ack
from coldchain.domain.acknowledgements import Standing, standing
from coldchain_ledger.entry import parse_entry
from coldchain_ledger.store import Store


class Life(NamedTuple):
    """Everything about one finding."""

    published: Sequence[Row[Any]]
    """Oldest first."""
    acks: Sequence[Row[Any]]
    """In the order in which they were recorded."""

    @property
    def newest(self) -> Row[Any]:
        return self.published[-1]

    @property
    def standing(self) -> Standing:
        return standing([(row.event, row.entry) for row in self.published], [row.seen for row in self.acks])


def life_of(connection: Connection, finding_id: str, only: Only | None = None) -> Life:
    """Raises NotKnown. only: where whoever asks may see it."""
    published = finding_life(connection, finding_id, only)
    c = finding_ack.c
    acks = connection.execute(select(finding_ack).where(c.finding == finding_id).order_by(c.n)).all()
    return Life(published, acks)


def next_ack(connection: Connection, finding_id: str) -> int:
    """The number of the next acknowledgement."""
    c = finding_ack.c
    return (connection.scalar(select(func.max(c.n)).where(c.finding == finding_id)) or 0) + 1


def standings(connection: Connection, findings: Iterable[str]) -> Mapping[str, Standing]:
    """Of each of these findings whether it is acknowledged; two queries however many they are."""
    lives: dict[str, list[tuple[str, int]]] = {}
    seen: dict[str, list[int]] = {}
    wanted = list(findings)
    for part in chunks(wanted):
        f, a = finding.c, finding_ack.c
        for row in connection.execute(select(f.finding, f.event, f.entry).where(f.finding.in_(part))):
            lives.setdefault(row.finding, []).append((row.event, row.entry))
        for one, entry in connection.execute(select(a.finding, a.seen).where(a.finding.in_(part))):
            seen.setdefault(one, []).append(entry)
    return {one: standing(lives.get(one, ()), seen.get(one, ())) for one in wanted}


class Named(NamedTuple):
    """What a published entry says that the table does not repeat."""

    entries: list[int]
    affected: Mapping[str, Any] | None
    """What was in the places it is about; None where it is about none, or of entries of the first version."""


def named_in(store: Store, index: int) -> Named:
    with store.snapshot() as snapshot:
        body = json.loads(parse_entry(snapshot.entry(index)).payload)
    return Named(body["entries"], body.get("affected"))
