"""An EPCIS document apart: its events as the bytes they came in, and documents made of some of them.

A document that exceeds an entry is recorded as several, each a document of its own with the same type, context and
header; an event's bytes stay what they were.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec

from coldchain.decoders.epcis import KINDS, decode_marked, validate_document
from coldchain.decoders.errors import DocumentError
from coldchain.decoders.nesting import MAX_DEPTH, too_deep
from coldchain.services.capture import captured
from coldchain.services.epcis_capture import Behaviour, Fault, Judgement
from coldchain_ledger.entry import MAX_PAYLOAD
from coldchain_ledger.log import Draft

_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_items = msgspec.json.Decoder(list[msgspec.Raw]).decode
_TYPES = ("EPCISDocument", "EPCISQueryDocument")
_BODIES = {
    "EPCISDocument": ("epcisBody",),
    "EPCISQueryDocument": ("epcisBody", "queryResults", "resultsBody"),
}
"""Where each type has its eventList."""


class Parts(NamedTuple):
    """A document's members beside its events, and its events."""

    head: Mapping[str, bytes]
    events: Sequence[bytes]
    pointer: str
    """JSON pointer of the event list."""
    query: Mapping[str, bytes]
    """What an EPCISQueryDocument says of its query; empty for an EPCISDocument."""


def take_apart(data: bytes) -> Parts:
    """Raises DocumentError unless it is an EPCISDocument or EPCISQueryDocument with a list of events."""
    if too_deep(data):
        raise DocumentError("", f"expected JSON nested at most {MAX_DEPTH} deep")
    head = _object(data, "")
    kind = head.get("type", b"nothing").strip()
    document = next((name for name in _TYPES if kind == f'"{name}"'.encode()), None)
    if document is None:
        found = kind[:40].decode(errors="replace")
        raise DocumentError("/type", f"expected {' or '.join(_TYPES)}, found {found}")
    pointer, body, query = "", head, {}
    for name in _BODIES[document]:
        pointer += f"/{name}"
        body = _object(body.get(name, b"null"), pointer)
        if name == "queryResults":
            query = {member: value for member, value in body.items() if member != "resultsBody"}
    pointer += "/eventList"
    try:
        events = [bytes(item) for item in _items(body.get("eventList", b"null"))]
    except msgspec.DecodeError as error:
        raise DocumentError(pointer, "expected an array of events") from error
    return Parts({name: value for name, value in head.items() if name != "epcisBody"}, events, pointer, query)


def is_event(data: bytes) -> bool:
    """Whether it says that it is one event, not a document of them."""
    try:
        kind = bytes(_members(data).get("type", b""))
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False
    return kind.strip() in {f'"{name}"'.encode() for name in KINDS}


def put_together(parts: Parts, events: Sequence[bytes]) -> bytes:
    """A document like the one taken apart, of these events instead."""
    body = {"eventList": b"[" + b",".join(events) + b"]"}
    if parts.query:
        body = {"queryResults": _joined({**parts.query, "resultsBody": _joined(body)})}
    return _joined({**parts.head, "epcisBody": _joined(body)})


def _joined(members: Mapping[str, bytes]) -> bytes:
    return b"{" + b",".join(msgspec.json.encode(name) + b":" + value for name, value in members.items()) + b"}"


def judge(org: str, data: bytes, behaviour: Behaviour) -> Judgement:
    """What of a document is recorded in the name of the organisation, and every fault of every event.

    A document without fault that fits an entry is recorded as it came. Of others `proceed` records the good events, and
    `rollback` nothing. What exceeds an entry becomes several.
    """
    try:
        events, quality = decode_marked(data, org)
    except DocumentError as error:
        return _faults_of_event(org, data) if is_event(data) else _judge_apart(org, data, behaviour, whole=error)
    if len(data) <= MAX_PAYLOAD:
        return Judgement([captured(org, data, events, quality=quality)], [])
    if is_event(data):
        return Judgement([], [Fault("", f"expected an event of at most {MAX_PAYLOAD} bytes, found {len(data)}")])
    return _judge_apart(org, data, behaviour)


def _faults_of_event(org: str, data: bytes) -> Judgement:
    try:
        (checked,) = validate_document(data, org).events
    except DocumentError as error:
        return Judgement([], [Fault(error.pointer, error.problem)])
    return Judgement([], [Fault(*problem) for problem in checked.problems])


def _judge_apart(org: str, data: bytes, behaviour: Behaviour, whole: DocumentError | None = None) -> Judgement:
    """whole: why it cannot be taken as it is, if it cannot."""
    try:
        parts = take_apart(data)
        checked = validate_document(data, org)
        spare = MAX_PAYLOAD - len(put_together(parts, []))
        if spare <= 0:
            raise DocumentError(
                "", f"expected at most {MAX_PAYLOAD} bytes beside the events, found {MAX_PAYLOAD - spare}"
            )
    except DocumentError as error:
        return Judgement([], [Fault(error.pointer, error.problem)])
    faults = [Fault(*problem) for one in checked.events for problem in one.problems] + [
        Fault(one.pointer, f"expected an event of at most {spare} bytes, found {len(data)}")
        for one, data in zip(checked.events, parts.events, strict=True)
        if len(data) > spare
    ]
    if whole is not None and not faults:  # what is wrong is none of the events'
        return Judgement([], [Fault(whole.pointer, whole.problem)])
    if faults and behaviour == "rollback":
        return Judgement([], faults)
    good = [
        data for one, data in zip(checked.events, parts.events, strict=True) if not one.problems and len(data) <= spare
    ]
    return Judgement([_draft(org, document) for document in packed(parts, good)], faults)


def _draft(org: str, document: bytes) -> Draft:
    events, quality = decode_marked(document, org)
    return captured(org, document, events, quality=quality)


def packed(parts: Parts, events: Sequence[bytes]) -> list[bytes]:
    """Documents with these events in order, none larger than an entry's payload; the same events packed the same."""
    spare = MAX_PAYLOAD - len(put_together(parts, []))
    documents: list[list[bytes]] = [[]]
    size = 0
    for event in events:
        if documents[-1] and size + len(event) + 1 > spare:
            documents.append([])
            size = 0
        documents[-1].append(event)
        size += len(event) + 1
    return [put_together(parts, events) for events in documents if events]


def _object(data: bytes, pointer: str) -> dict[str, bytes]:
    try:
        return {name: bytes(value) for name, value in _members(data).items()}
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise DocumentError(pointer, f"expected a JSON object: {error}") from error
