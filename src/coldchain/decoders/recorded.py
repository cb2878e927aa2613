"""Ledger entries as projections see them: read from the log, or as the way in just recorded them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from coldchain.decoders.content import Content, decode
from coldchain.decoders.errors import DecodeError
from coldchain.decoders.formats import read_recorded
from coldchain.decoders.jws import parse_envelope
from coldchain.decoders.nesting import too_deep
from coldchain.domain.events import Event
from coldchain.domain.uplinks import Uplink
from coldchain.services.recorded import Recorded
from coldchain_ledger.entry import Entry, parse_entry

if TYPE_CHECKING:
    from coldchain_ledger.log import Draft

SIGNED = "application/jose"
"""Media type of a compact JWS."""
_JSON_KINDS = frozenset({"identity", "master", "rules", "document", "order", "finding", "time"})


def decode_recorded(log: int, index: int, entry_bytes: bytes) -> Recorded:
    """One stored entry as projections see it. What its payload does not say stays empty; raises EntryError only where
    the bytes are no entry at all."""
    return _recorded(log, index, parse_entry(entry_bytes))


def recorded_of(log: int, index: int, at_us: int, draft: Draft, content: Content | Uplink) -> Recorded:
    """The same of a message just appended, from what the way in already holds."""
    entry = Entry(
        kind=draft.kind,
        by=draft.by,
        at_us=at_us,
        type=draft.type,
        key=draft.key,
        grade=draft.grade,
        subjects=tuple(draft.subjects),
        payload=draft.payload,
        quality=draft.quality,
    )
    if isinstance(content, Uplink):
        return Recorded(log, index, entry, uplink=content)
    return _said(log, index, entry, content)


def _recorded(log: int, index: int, entry: Entry) -> Recorded:
    if entry.kind in _JSON_KINDS:
        return Recorded(log, index, entry, body=_json(entry.payload))
    if entry.kind not in ("telemetry", "event"):
        return Recorded(log, index, entry)
    if entry.type != SIGNED and entry.kind == "event":
        return Recorded(log, index, entry, events=_events(entry.payload, entry.by))
    if entry.type != SIGNED:
        return Recorded(log, index, entry, uplink=_uplink(entry))
    try:
        envelope = parse_envelope(entry.payload)
    except DecodeError:
        return Recorded(log, index, entry)
    return _said(log, index, entry, decode(envelope))


def _said(log: int, index: int, entry: Entry, content: Content) -> Recorded:
    telemetry, block = content.said()
    events = _events(content.document, entry.by) if content.document else ()
    return Recorded(log, index, entry, telemetry, block, content.kid, content.prev, events)


def _events(body: bytes, by: str) -> tuple[Event, ...]:
    from coldchain.decoders.epcis import decode_epcis  # the larger half of the import time, for the rarer messages

    try:
        return decode_epcis(body, by)
    except DecodeError:
        return ()


def _uplink(entry: Entry) -> Uplink | None:
    try:
        return read_recorded(entry.type, entry.payload)
    except DecodeError:
        return None


def _json(payload: bytes) -> Any:
    try:
        return None if too_deep(payload) else json.loads(payload)
    except ValueError:
        return None
