"""Claims, rulings on them and questions to holders, as recorded."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, Table, insert, select

from coldchain.db.queries_events import chunks
from coldchain.db.tables.events import ask, claim, claim_decision
from coldchain.domain.exceptions import Claim, ClaimError, Decision, parse_claim, parse_decision
from coldchain.services.ports import Recorded


class Papers(NamedTuple):
    """What a batch of papers speaks about."""

    subjects: set[str]
    """Subjects asked about."""
    spans: list[tuple[int, int]]
    """Times that claims, or claims ruled on, speak about."""


def record_papers(connection: Connection, batch: Sequence[Recorded]) -> Papers:
    """Fill `claim`, `claim_decision` and `ask`.

    A paper whose content contradicts its ledger key, or lacks a field, explains and asks nothing: it stays what it is,
    an entry. Keys being unique in the log, order does not matter and a repetition finds its row already there.
    """
    claims: dict[str, Claim] = {}
    decisions: dict[tuple[str, int], Decision] = {}
    asks: dict[str, dict[str, Any]] = {}
    for item in batch:
        if not isinstance(item.body, Mapping):
            continue
        try:
            if item.body.get("doc") == "exception-claim":
                one = parse_claim(item.body, item.entry.by, item.entry.at_us, item.index)
                if item.entry.key == f"doc/claim/{one.claim_id}":
                    claims[one.claim_id] = one
            elif item.body.get("order") == "claim-decision":
                ruled = parse_decision(item.body, item.entry.key, item.entry.by, item.entry.at_us, item.index)
                if item.entry.key == f"order/claim-decision/{ruled.claim_id}/{ruled.n}":
                    decisions[ruled.claim_id, ruled.n] = ruled
        except ClaimError:
            continue
        if item.body.get("order") == "ask" and (row := _ask_row(item)):
            asks[row["finding"]] = row
    _insert_new(connection, claim, {(key,): _claim_row(one) for key, one in claims.items()})
    _insert_new(connection, claim_decision, {key: _decision_row(one) for key, one in decisions.items()})
    _insert_new(connection, ask, {(key,): row for key, row in asks.items()})
    ruled_on = {claim_id for claim_id, _ in decisions}
    return Papers({row["subject"] for row in asks.values()}, _spans(connection, ruled_on | claims.keys()))


def _spans(connection: Connection, claims: set[str]) -> list[tuple[int, int]]:
    c = claim.c
    return [
        (row.from_us, row.to_us)
        for part in chunks(claims)
        for row in connection.execute(select(c.from_us, c.to_us).where(c.claim.in_(part)))
    ]


def _insert_new(connection: Connection, table: Table, rows: dict[tuple[Any, ...], dict[str, Any]]) -> None:
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
        "at_us": one.at_us,
        "entry": one.entry,
    }


def _decision_row(one: Decision) -> dict[str, Any]:
    return {
        "claim": one.claim_id,
        "n": one.n,
        "confirmed": one.confirmed,
        "by": one.by,
        "role": one.role,
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
    return {**stated, "at_us": item.entry.at_us, "entry": item.index}
