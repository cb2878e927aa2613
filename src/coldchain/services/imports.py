"""Spreadsheets into the ledger: what a file would record, and the entries that record it (design §2.6)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from coldchain.domain.events import Event, identified
from coldchain.domain.imports.facts import facts
from coldchain.domain.imports.mapping import Mapping as ColumnMap
from coldchain.domain.imports.reading import Reading, read_sheet
from coldchain.domain.imports.statement import Fact
from coldchain.domain.imports.table import Table, column_name
from coldchain.services.capture import captured, document_entry
from coldchain.services.chores import canonical
from coldchain_ledger.log import Draft

DecodeEvents = Callable[[bytes, str], tuple[Event, ...]]
Grade = str
"""`declared`: an authenticated person states it. `transcribed`: copied from paper or from a non-member (design §6)."""


class KnownEvents(Protocol):
    """What is recorded already."""

    def contents_of(self, by: str, event_ids: Sequence[str]) -> Mapping[str, set[str]]:
        """The keys recorded by that organisation, by event id."""
        ...


@dataclass(frozen=True, slots=True)
class Contradiction:
    """A paper that was recorded before with other content; both would stand, and neither would count."""

    rows: tuple[int, ...]
    what: str


@dataclass(frozen=True, slots=True)
class Prepared:
    """What a file says and what it would record."""

    sender: str
    mapping: ColumnMap
    sha256: str
    bytes: int
    reading: Reading
    facts: tuple[Fact, ...]
    drafts: tuple[Draft, ...]
    contradictions: tuple[Contradiction, ...] = field(default=())

    def report(self, table: Table) -> dict[str, Any]:
        """For the person who sent it: columns as understood, faults by cell, what is held back and why."""
        found = self.reading.layout
        return {
            "kind": self.mapping.kind.name,
            "sheet": table.sheet,
            "sha256": self.sha256,
            "heading_row": found.heading_row,
            "columns": {name: column_name(place) for name, place in sorted(found.places.items(), key=lambda i: i[1])},
            "ignored": list(found.ignored),
            "rows": self.reading.rows,
            "good": len(self.reading.records),
            "held": [record.row for record in self.reading.held],
            "faults": [fault._asdict() for fault in self.reading.faults],
            "contradictions": [{"rows": list(one.rows), "what": one.what} for one in self.contradictions],
            "facts": len(self.facts),
        }


def prepare(
    sender: str,
    data: bytes,
    table: Table,
    mapping: ColumnMap,
    decode: DecodeEvents,
    known: KnownEvents,
    grade: Grade = "declared",
) -> Prepared:
    """Reads the whole sheet; records nothing. Raises MappingError where the map does not fit it."""
    reading = read_sheet(mapping, table)
    stated = facts(sender, mapping, reading.records)
    drafts: list[Draft] = []
    events: dict[str, tuple[Fact, str]] = {}
    for fact in stated:
        if fact.event is None:
            drafts.append(replace(document_entry(sender, fact.body), grade=grade))
            continue
        payload = canonical(fact.body)
        decoded = decode(payload, sender)
        drafts.append(replace(captured(sender, payload, decoded), grade=grade))
        events |= {event.event_id: (fact, identified(event, sender).key) for event in decoded}
    recorded = known.contents_of(sender, sorted(events))
    contradictions = [
        Contradiction(fact.rows, f"recorded before with other content under {event_id}")
        for event_id, (fact, key) in events.items()
        if recorded.get(event_id, {key}) != {key}
    ]
    return Prepared(
        sender,
        mapping,
        hashlib.sha256(data).hexdigest(),
        len(data),
        reading,
        tuple(stated),
        tuple(drafts),
        tuple(contradictions),
    )


def original_entry(prepared: Prepared) -> Draft:
    """That this file was handed in, by its hash, and how it was read. The same file read the same way is one entry."""
    body = {
        "v": 1,
        "doc": "import",
        "kind": prepared.mapping.kind.name,
        "sha256": prepared.sha256,
        "bytes": prepared.bytes,
        "rows": prepared.reading.rows,
        "recorded_rows": len(prepared.reading.records),
        "facts": len(prepared.facts),
        "map": prepared.mapping.stated(),
    }
    name = hashlib.sha256(canonical(body)).hexdigest()
    return _document(prepared.sender, f"doc/import/{name}", f"doc:import/{prepared.sha256[:32]}", body)


def map_subject(sender: str, kind: str) -> str:
    """The subject whose chain is the history of a sender's map for a kind of sheet."""
    return f"doc:import-map/{sender}/{kind}"


def map_entry(sender: str, mapping: ColumnMap, n: int) -> Draft:
    """The sender's map from now on; n counts its versions from 1."""
    body = {"v": 1, "doc": "import-map", "n": n, "map": mapping.stated()}
    kind = mapping.kind.name
    return _document(sender, f"doc/import-map/{sender}/{kind}/{n}", map_subject(sender, kind), body)


def _document(sender: str, key: str, subject: str, body: dict[str, Any]) -> Draft:
    return Draft(
        kind="document",
        by=sender,
        type="application/json",
        key=key,
        grade="declared",
        subjects=(subject,),
        payload=canonical(body),
    )
