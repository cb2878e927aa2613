"""Events of an EPCIS answer, read from the ledger entries that hold them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Engine

from coldchain.db.queries_epcis import Found, known_texts, newest_seq, query_after
from coldchain.decoders.epcis_document import Document, document_of
from coldchain.services.epcis_results import Answer, corrective_ids, query_document
from coldchain.services.epcis_subscriptions import AT_ONCE, Look, NamedQuery
from coldchain.services.ports import Clock
from coldchain_ledger.entry import parse_entry
from coldchain_ledger.store import Snapshot, Store


def read_answers(snapshot: Snapshot, found: Sequence[Found]) -> list[Answer]:
    """The events found, in order; each document is read once."""
    documents: dict[int, Document | None] = {}
    answers = []
    for one in found:
        if one.entry not in documents:
            documents[one.entry] = document_of(parse_entry(snapshot.entry(one.entry)))
        document = documents[one.entry]
        assert document is not None, f"entry {one.entry} was folded as an EPCIS document"
        item = document.events[one.place]
        stated = item.get("eventID")
        event_id = stated if isinstance(stated, str) and stated else one.event_id
        answers.append(Answer(item, document.context, event_id, one.at_us))
    return answers


def answer_document(
    engine: Engine, store: Store, found: Sequence[Found], name: str, now_us: int, subscription: str = ""
) -> dict[str, Any]:
    """The EPCISQueryDocument of these events, as the ledger has them."""
    with store.snapshot() as snapshot:
        answers = read_answers(snapshot, found)
    with engine.connect() as connection:
        known = known_texts(connection, "eventID", corrective_ids(answers))
    return query_document(answers, name, now_us, known, subscription)


def look_beyond(
    engine: Engine, store: Store, clock: Clock, query: NamedQuery, cursor: int, subscription: str = ""
) -> Look:
    """What a named query finds beyond a position, up to what one message holds."""
    with engine.connect() as connection:
        newest = max(cursor, newest_seq(connection))
        found = query_after(connection, query.query, cursor, newest, AT_ONCE + 1)
    told, is_all = found[:AT_ONCE], len(found) <= AT_ONCE
    document = answer_document(engine, store, told, query.name, clock(), subscription)
    return Look(document, len(told), newest if is_all else told[-1].seq, is_all)
