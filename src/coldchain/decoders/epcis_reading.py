"""Bytes into an EPCIS document: its head, its context and its events, none of them looked into yet (EPCIS 2.0 §10)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from coldchain.decoders import epcis_checks as check
from coldchain.decoders.epcis_checks import Check, Findings, shown
from coldchain.decoders.epcis_context import Context, read_context
from coldchain.decoders.epcis_times import rfc3339_ms
from coldchain.decoders.epcis_validation import KINDS
from coldchain.decoders.errors import DocumentError
from coldchain.decoders.nesting import MAX_DEPTH, too_deep, without_texts

SCHEMA_VERSION = "2.0"
KEY_TWICE = "key-twice"
"""An object names a key twice: the last counts, as in every common reader of JSON."""

_VERSION = re.compile(r"2(\.\d+)*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Document:
    """A document taken apart; `write_document` puts it together again."""

    head: Mapping[str, Any]
    """Every member but `@context` and the list of events; of a bare event nothing."""
    context_value: Any
    """`@context` as it stands."""
    context: Context
    pointer: str
    """JSON pointer of the list of events; of a bare event "" (see `event_pointer`)."""
    events: Sequence[Any]
    marks: tuple[tuple[str, str], ...] = ()
    """(JSON pointer, quality word) of the document as a whole."""

    def event_pointer(self, place: int) -> str:
        return f"{self.pointer}/{place}" if self.pointer else ""


def read_document(data: bytes) -> Document:
    """An EPCISDocument, an EPCISQueryDocument or one bare event. Raises DocumentError at the first fault outside of its
    events."""
    if too_deep(data):
        raise DocumentError("", f"expected JSON nested at most {MAX_DEPTH} deep")
    try:
        document = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise DocumentError("", f"expected a JSON document in UTF-8: {error}") from error
    if not isinstance(document, dict):
        raise DocumentError("", f"expected an object, found {shown(document)}")
    marks = (("", KEY_TWICE),) if without_texts(data).count(b":") != _keys(document) else ()
    if "@context" not in document:
        raise DocumentError("/@context", "expected the standard EPCIS context, found nothing")
    context = read_context(document["@context"])
    if document.get("type") in KINDS:
        return Document({}, document["@context"], context, "", [document], marks)
    checked = _DOCUMENTS.get(document["type"]) if isinstance(document.get("type"), str) else None
    if checked is None:
        expected = f"EPCISDocument, EPCISQueryDocument or one of {', '.join(KINDS)}"
        raise DocumentError("/type", f"expected {expected}, found {shown(document.get('type'))}")
    context = Context(context.prefixes, _ignored(document, context))
    found = Findings(context)
    checked(document, "", found)
    if found.faults:
        raise DocumentError(*found.faults[0])
    return _apart(document, context, marks)


def _apart(document: dict[str, Any], context: Context, marks: tuple[tuple[str, str], ...]) -> Document:
    head = {name: value for name, value in document.items() if name != "@context"}
    body = head["epcisBody"] = dict(document["epcisBody"])
    pointer = "/epcisBody"
    if document["type"] == "EPCISQueryDocument":
        results = body["queryResults"] = dict(body["queryResults"])
        body = results["resultsBody"] = dict(results["resultsBody"])
        pointer = "/epcisBody/queryResults/resultsBody"
    return Document(head, document["@context"], context, f"{pointer}/eventList", body.pop("eventList"), marks)


def write_document(
    events: Sequence[Mapping[str, Any]], context: Any, creation_date_us: int, head: Mapping[str, Any] | None = None
) -> bytes:
    """A document of these events under this `@context`, in their order, each as it stands.

    head: of a document read before, with its own date and everything else it said; without one the result is an
    EPCISDocument of EPCIS 2.0 created at creation_date_us. `read_document` of the result gives the same back.
    """
    if head is None:
        created = rfc3339_ms(creation_date_us)
        head = {"type": "EPCISDocument", "schemaVersion": SCHEMA_VERSION, "creationDate": created, "epcisBody": {}}
    document = {"@context": context, **head}
    body = document["epcisBody"] = dict(head["epcisBody"])
    if "queryResults" in body:
        results = body["queryResults"] = dict(body["queryResults"])
        body = results["resultsBody"] = dict(results["resultsBody"])
    body["eventList"] = list(events)
    return msgspec.json.encode(document)


def _keys(value: Any) -> int:
    """Members of all objects within; outside of texts there is one colon to each."""
    if isinstance(value, dict):
        return len(value) + sum(map(_keys, value.values()))
    return sum(map(_keys, value)) if isinstance(value, list) else 0


def _ignored(document: Mapping[str, Any], context: Context) -> frozenset[str]:
    names = [one for key, value in document.items() if key.endswith(":ignoreFields") for one in _texts(value)]
    return frozenset(full for name in names if (full := context.full_name(name)))


def _texts(value: Any) -> list[str]:
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []


def _version(value: Any, pointer: str, found: Findings) -> None:
    if not isinstance(value, str) or not _VERSION.fullmatch(value):
        found.fault(pointer, f"expected schema version 2.0, found {shown(value)}")


def _events(value: Any, pointer: str, found: Findings) -> None:
    if not isinstance(value, list):
        found.fault(pointer, f"expected an array of events, found {shown(value)}")


def _left(value: Any, pointer: str, found: Findings) -> None:
    """Master data: kept, not looked into."""


_HEAD: Mapping[str, Check] = {
    "@context": _left,
    "id": check.uri,
    "type": _left,
    "schemaVersion": _version,
    "creationDate": check.time,
}
_DOCUMENTS: Mapping[str, Check] = {
    "EPCISDocument": check.members(
        "an EPCISDocument",
        {
            **_HEAD,
            **dict.fromkeys(("instanceIdentifier", "sender", "receiver"), check.text),
            "epcisHeader": _left,
            "epcisBody": check.members("epcisBody", {"eventList": _events}, ("eventList",)),
        },
        ("schemaVersion", "creationDate", "epcisBody"),
    ),
    "EPCISQueryDocument": check.members(
        "an EPCISQueryDocument",
        {
            **_HEAD,
            "epcisBody": check.members(
                "epcisBody",
                {
                    "queryResults": check.members(
                        "queryResults",
                        {
                            "queryName": check.text,
                            "subscriptionID": check.text,
                            "resultsBody": check.members(
                                "resultsBody", {"eventList": _events, "vocabularyList": _left}, ("eventList",)
                            ),
                        },
                        ("queryName", "resultsBody"),
                    )
                },
                ("queryResults",),
            ),
        },
        ("epcisBody",),
    ),
}
