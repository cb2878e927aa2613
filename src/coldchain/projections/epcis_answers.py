"""Events of an EPCIS answer, read from the ledger entries that hold them."""

from __future__ import annotations

from collections.abc import Sequence

from coldchain.db.queries_epcis import Found
from coldchain.decoders.epcis_document import Document, document_of
from coldchain.services.epcis_results import Answer
from coldchain_ledger.entry import parse_entry
from coldchain_ledger.store import Snapshot


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
