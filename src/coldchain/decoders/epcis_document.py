"""An EPCIS document as JSON: its context, its master data and its events one by one (EPCIS 2.0 §10)."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from coldchain.decoders.errors import DecodeError
from coldchain.decoders.jws import parse_envelope
from coldchain.decoders.nesting import too_deep
from coldchain_ledger.entry import Entry

SIGNED = "application/jose"


class Document(NamedTuple):
    """The events as they came, and what the document says for all of them."""

    context: Any
    events: list[dict[str, Any]]
    header: dict[str, Any]
    """`epcisHeader`, empty where there is none."""


def document_of(entry: Entry) -> Document | None:
    """What an `event` entry holds, signed or not; None where it is no EPCIS document."""
    try:
        payload = parse_envelope(entry.payload).body if entry.type == SIGNED else entry.payload
    except DecodeError:
        return None
    return parse_document(payload)


def parse_document(payload: bytes) -> Document | None:
    """An EPCISDocument, an EPCISQueryDocument or one bare event; None for anything else."""
    if too_deep(payload):
        return None
    try:
        document = msgspec.json.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    if not isinstance(document, dict):
        return None
    header = document.get("epcisHeader")
    events = _events(document)
    if events is None:
        return None
    return Document(document.get("@context"), events, header if isinstance(header, dict) else {})


def _events(document: dict[str, Any]) -> list[dict[str, Any]] | None:
    body = document.get("epcisBody")
    if body is None:
        return [document]
    for name in ("queryResults", "resultsBody") if document.get("type") == "EPCISQueryDocument" else ():
        body = body.get(name) if isinstance(body, dict) else None
    events = body.get("eventList") if isinstance(body, dict) else None
    if not isinstance(events, list) or not all(isinstance(event, dict) for event in events):
        return None
    return events
