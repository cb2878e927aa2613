"""Every EPCIS event once, and its values under the names of the query language."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Connection, Table, select
from sqlalchemy.dialects import postgresql, sqlite

from coldchain.db.bulk import append_rows
from coldchain.db.queries_events import chunks
from coldchain.db.tables.epcis import PLACES, epcis_attribute, epcis_child, epcis_event, epcis_number, epcis_text
from coldchain.decoders.epcis_document import document_of
from coldchain.domain.events import Event
from coldchain.services.epcis_fields import canonical, expanded, index_event, indexed, prefixes_of, spelled
from coldchain.services.recorded import Recorded


class _Found(NamedTuple):
    """One event of a batch."""

    seq: int
    at_us: int
    by: str
    item: Mapping[str, Any]
    event: Event
    context: Any


class EpcisEvents:
    """Fills the tables that EPCIS queries search. An event recorded again by the same sender adds no row.

    An event that withdraws another, under the same id, says something else than it did and is a row of its own.
    """

    name = "epcis"
    tables: Sequence[str] = ("epcis_event", "epcis_text", "epcis_number", "epcis_child", "epcis_attribute")
    takes_telemetry = False

    def apply(self, connection: Connection, batch: Sequence[Recorded], ledger_time_us: int) -> None:
        found: dict[str, _Found] = {}
        for item in batch:
            if item.entry.kind == "event" and (document := document_of(item.entry)) is not None:
                _put_master_data(connection, document.header, document.context)
                if len(document.events) == len(item.events):
                    for place, (json, event) in enumerate(zip(document.events, item.events, strict=True)):
                        seq = item.index * PLACES + place
                        one = _Found(seq, item.entry.at_us, item.entry.by, json, event, document.context)
                        found.setdefault(event_key(one.by, json), one)
        _put_events(connection, found)

    def reset(self) -> None:
        return None


def event_key(by: str, item: Mapping[str, Any]) -> str:
    """32 hex digits over what an event says and who sent it. recordTime is not the sender's to say."""
    said = {name: value for name, value in item.items() if name != "recordTime"}
    return hashlib.sha256(by.encode() + b"\n" + msgspec.json.encode(said, order="sorted")).hexdigest()[:32]


def _put_events(connection: Connection, found: Mapping[str, _Found]) -> None:
    known: set[str] = set()
    for part in chunks(found):
        known.update(connection.scalars(select(epcis_event.c.key).where(epcis_event.c.key.in_(part))))
    events: list[tuple[Any, ...]] = []
    texts: list[tuple[Any, ...]] = []
    numbers: list[tuple[Any, ...]] = []
    for key, one in found.items():
        if key not in known:
            index = index_event(one.item, one.event, one.context)
            events.append((one.seq, key, one.event.event_id, one.event.time_us, one.at_us, one.by))
            texts += [(field, text, one.seq) for field, text in index.texts]
            numbers += [(field, value, one.seq) for field, value in index.numbers]
    append_rows(connection, epcis_event, events)
    append_rows(connection, epcis_text, sorted(texts))
    append_rows(connection, epcis_number, sorted(numbers))


def _put_master_data(connection: Connection, header: Mapping[str, Any], context: Any) -> None:
    if not header:
        return
    attributes: set[tuple[str, str, str]] = set()
    children: set[tuple[str, str]] = set()
    prefixes = prefixes_of(context)
    for element in _vocabulary(header):
        name = canonical(str(element.get("id", "")))
        children |= {(name, canonical(child)) for child in _each(element.get("children")) if isinstance(child, str)}
        for attribute in _each(element.get("attributes")):
            if isinstance(attribute, dict) and "id" in attribute:
                value = attribute.get("attribute", "")
                text = spelled(value) if isinstance(value, str | int | float) else msgspec.json.encode(value).decode()
                attributes.add((name, indexed(expanded(str(attribute["id"]), prefixes)), indexed(text)))
    _put_all(connection, epcis_child, children)
    _put_all(connection, epcis_attribute, attributes)


def _put_all(connection: Connection, table: Table, rows: set[Any]) -> None:
    if rows:
        make = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
        names = [column.name for column in table.columns]
        values = [dict(zip(names, row, strict=True)) for row in sorted(rows)]
        connection.execute(make(table).on_conflict_do_nothing(), values)


def _vocabulary(header: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """EPCIS 2.0 §10: epcisMasterData.vocabularyList[].vocabularyElementList[]."""
    master = header.get("epcisMasterData")
    for vocabulary in _each(master.get("vocabularyList") if isinstance(master, dict) else None):
        if isinstance(vocabulary, dict):
            for element in _each(vocabulary.get("vocabularyElementList")):
                if isinstance(element, dict):
                    yield element


def _each(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
