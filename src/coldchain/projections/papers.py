"""Claims, rulings on them and questions to holders, as recorded."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from sqlalchemy import Connection, Table, insert, select

from coldchain.db.queries_events import chunks
from coldchain.db.tables.continuity import supervision_act
from coldchain.db.tables.events import ask, claim, claim_decision
from coldchain.domain.continuity.supervision import ORDER, parse_supervision
from coldchain.domain.exceptions import Claim, ClaimError, Decision, parse_claim, parse_decision, parse_paper
from coldchain.services.recorded import Recorded


class Papers(NamedTuple):
    """What a batch of papers speaks about."""

    asked: list[tuple[str, int]]
    """Subjects asked about, and from which time."""
    spans: list[tuple[int, int]]
    """Times that claims, or claims ruled on, speak about."""
    supervised: set[str]
    """Units whose supervision began or ended."""


@dataclass(slots=True)
class _Batch:
    claims: dict[str, Claim] = field(default_factory=dict)
    decisions: dict[tuple[str, int, str], Decision] = field(default_factory=dict)
    asks: dict[str, dict[str, Any]] = field(default_factory=dict)
    acts: dict[tuple[str, int, str], dict[str, Any]] = field(default_factory=dict)


def record_papers(connection: Connection, batch: Sequence[Recorded]) -> Papers:
    """Fill `claim`, `claim_decision`, `ask` and `supervision_act`.

    A paper whose content contradicts its ledger key, or lacks a field, explains and asks nothing: it stays what it is,
    an entry. Keys being unique in the log, order does not matter and a repetition finds its row already there.
    """
    taken = _Batch()
    for item in batch:
        reader = _READERS.get(_sort(item.body)) if isinstance(item.body, Mapping) else None
        if reader is not None:
            with suppress(ClaimError):
                reader(taken, item)
    _insert_new(connection, claim, {(key,): _claim_row(one) for key, one in taken.claims.items()})
    _insert_new(connection, claim_decision, {key: _decision_row(one, key[2]) for key, one in taken.decisions.items()})
    _insert_new(connection, ask, {(key,): row for key, row in taken.asks.items()})
    _insert_new(connection, supervision_act, dict(taken.acts))
    spoken = {claim_id for claim_id, _, _ in taken.decisions} | taken.claims.keys()
    asked = [(row["subject"], row["from_us"]) for row in taken.asks.values()]
    return Papers(asked, _spans(connection, spoken), {unit for unit, _, _ in taken.acts})


def _sort(body: Mapping[str, Any]) -> tuple[str | None, str | None]:
    doc, order = body.get("doc"), body.get("order")
    return (doc if isinstance(doc, str) else None), (order if isinstance(order, str) else None)


def _read_claim(taken: _Batch, item: Recorded) -> None:
    entry = item.entry
    one = parse_claim(item.body, entry.by, entry.at_us, item.index, entry.grade)
    if entry.key == f"doc/claim/{one.claim_id}":
        taken.claims[one.claim_id] = one


def _read_paper(taken: _Batch, item: Recorded) -> None:
    digest, one = parse_paper(item.body, item.entry.by, item.entry.at_us, item.index)
    if item.entry.key == f"doc/paper/{one.claim_id}/{digest}":
        taken.decisions[one.claim_id, one.n, digest] = one


def _read_decision(taken: _Batch, item: Recorded) -> None:
    entry = item.entry
    one = parse_decision(item.body, entry.key, entry.by, entry.at_us, item.index, entry.grade)
    if entry.key == f"order/claim-decision/{one.claim_id}/{one.n}":
        taken.decisions[one.claim_id, one.n, ""] = one


def _read_ask(taken: _Batch, item: Recorded) -> None:
    if row := _ask_row(item):
        taken.asks[row["finding"]] = row


def _read_supervision(taken: _Batch, item: Recorded) -> None:
    for act in parse_supervision(item.body, item.entry.key, item.entry.by):
        taken.acts[act.unit, act.time_us, act.key] = {**act._asdict(), "entry": item.index}


_READERS: Mapping[tuple[str | None, str | None], Callable[[_Batch, Recorded], None]] = {
    ("exception-claim", None): _read_claim,
    ("exception-paper", None): _read_paper,
    (None, "claim-decision"): _read_decision,
    (None, "ask"): _read_ask,
    (None, ORDER): _read_supervision,
}


def _spans(connection: Connection, claims: set[str]) -> list[tuple[int, int]]:
    c = claim.c
    return [
        (row.from_us, row.to_us)
        for part in chunks(claims)
        for row in connection.execute(select(c.from_us, c.to_us).where(c.claim.in_(part)))
    ]


def _insert_new(connection: Connection, table: Table, rows: dict[Any, dict[str, Any]]) -> None:
    columns = list(table.primary_key.columns)
    for part in chunks(key[0] for key in rows):
        for known in connection.execute(select(*columns).where(columns[0].in_(part))):
            rows.pop(tuple(known), None)
    if rows:
        connection.execute(insert(table), list(rows.values()))


def _claim_row(one: Claim) -> dict[str, Any]:
    return {
        "claim": one.claim_id,
        "code": one.code,
        "by": one.by,
        "from_us": one.from_us,
        "to_us": one.to_us,
        "units": json.dumps(one.units),
        "places": json.dumps(one.places),
        "evidence": json.dumps(one.evidence, sort_keys=True, ensure_ascii=False),
        "grade": one.grade,
        "at_us": one.at_us,
        "entry": one.entry,
    }


def _decision_row(one: Decision, paper: str) -> dict[str, Any]:
    return {
        "claim": one.claim_id,
        "n": one.n,
        "paper": paper,
        "confirmed": one.confirmed,
        "by": one.by,
        "role": one.role,
        "grade": one.grade,
        "at_us": one.at_us,
        "entry": one.entry,
    }


_ASK_FIELDS = {
    **dict.fromkeys(("finding", "rule", "subject", "asked"), str),
    **dict.fromkeys(("from_us", "to_us", "deadline_s"), int),
}


def _ask_row(item: Recorded) -> dict[str, Any] | None:
    stated = {name: item.body.get(name) for name in _ASK_FIELDS}
    if any(type(stated[name]) is not kind for name, kind in _ASK_FIELDS.items()):
        return None
    if item.entry.key != f"ask/{stated['finding']}":
        return None
    channel = item.body.get("channel")
    stated["channel"] = channel if isinstance(channel, str) else None
    return {**stated, "at_us": item.entry.at_us, "entry": item.index}
