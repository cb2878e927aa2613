"""EPCIS documents as answers: events as they were recorded, under one context (EPCIS 2.0 §8.2.7, §10)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from coldchain.domain.identifiers import IdentifierError, digital_link, subject_name
from coldchain.services.moments import rfc3339

CONTEXT = "https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld"
STANDARD_CONTEXTS = frozenset(
    {
        CONTEXT,
        "https://ref.gs1.org/standards/epcis/epcis-context.jsonld",
        "https://gs1.github.io/EPCIS/epcis-context.jsonld",
    }
)
OWN_CONTEXT = {"coldchain": "urn:coldchain:vocabulary:"}
MISSING = "coldchain:missingCorrectiveEventIDs"
"""In an error declaration of an answer: corrective events it names that nobody has recorded yet."""


class Answer(NamedTuple):
    """One event on its way out."""

    item: Mapping[str, Any]
    """Its JSON as recorded."""
    context: Any
    """`@context` of its document."""
    event_id: str
    at_us: int


def corrective_ids(answers: Iterable[Answer]) -> set[str]:
    """Event ids that error declarations name as putting things right."""
    return {one for answer in answers for one in _named(answer.item)}


def query_document(
    answers: Sequence[Answer], name: str, now_us: int, known_ids: Iterable[str], subscription: str = ""
) -> dict[str, Any]:
    """An EPCISQueryDocument. Each event has the id it goes by and its recordTime; a context that contradicts another
    stays with its event.

    known_ids: those of `corrective_ids` that are recorded.
    """
    known = set(known_ids)
    merged: dict[str, Any] = {}
    others: list[Any] = []
    events = []
    for answer in answers:
        item = _finished(answer, known)
        bound, foreign = _split(answer.context)
        if any(merged.get(prefix, target) != target for prefix, target in bound.items()):
            item["@context"] = [*foreign, bound, *_listed(item.get("@context"))]
        else:
            merged |= bound
            others += [one for one in foreign if one not in others]
        if MISSING in item.get("errorDeclaration", ()):
            merged = OWN_CONTEXT | merged
        events.append(item)
    results: dict[str, Any] = {"queryName": name, "resultsBody": {"eventList": events}}
    if subscription:
        results["subscriptionID"] = subscription
    return {
        "@context": [CONTEXT, *others, *([merged] if merged else [])],
        "type": "EPCISQueryDocument",
        "schemaVersion": "2.0",
        "creationDate": rfc3339(now_us),
        "epcisBody": {"queryResults": results},
    }


def linked(document: Mapping[str, Any]) -> dict[str, Any]:
    """The same answer with GS1 Digital Links for all identifiers that have one (`Always_GS1_Digital_Link`)."""
    results = document["epcisBody"]["queryResults"]
    events = [_linked_event(one) for one in results["resultsBody"]["eventList"]]
    return {**document, "epcisBody": {"queryResults": {**results, "resultsBody": {"eventList": events}}}}


_LISTS = ("epcList", "childEPCs", "inputEPCList", "outputEPCList", "parentID")
_WITHIN = {
    "quantityList": "epcClass",
    "childQuantityList": "epcClass",
    "inputQuantityList": "epcClass",
    "outputQuantityList": "epcClass",
    "readPoint": "id",
    "bizLocation": "id",
    "sourceList": "source",
    "destinationList": "destination",
}


def _linked_event(item: Mapping[str, Any]) -> dict[str, Any]:
    found = {name: _linked(item[name]) for name in _LISTS if name in item}
    found |= {name: _linked_within(item[name], member) for name, member in _WITHIN.items() if name in item}
    return {**item, **found}


def _linked_within(value: Any, member: str) -> Any:
    if isinstance(value, list):
        return [_linked_within(one, member) for one in value]
    return {**value, member: _linked(value[member])} if isinstance(value, dict) and member in value else value


def _linked(value: Any) -> Any:
    if isinstance(value, list):
        return [_linked(one) for one in value]
    try:
        return digital_link(subject_name(value))
    except IdentifierError:
        return value


def _finished(answer: Answer, known: set[str]) -> dict[str, Any]:
    item = {name: value for name, value in answer.item.items() if not _of_document(name, answer)}
    item |= {"eventID": answer.event_id, "recordTime": rfc3339(answer.at_us)}
    if missing := [one for one in _named(item) if one not in known]:
        item["errorDeclaration"] = {**item["errorDeclaration"], MISSING: missing}
    return item


def _of_document(name: str, answer: Answer) -> bool:
    """A bare event is its own document: its context becomes that of the answer."""
    return name == "@context" and answer.item.get(name) == answer.context


def _named(item: Mapping[str, Any]) -> list[str]:
    declaration = item.get("errorDeclaration")
    ids = declaration.get("correctiveEventIDs") if isinstance(declaration, dict) else None
    return [one for one in _listed(ids) if isinstance(one, str)]


def _split(context: Any) -> tuple[dict[str, Any], list[Any]]:
    """The prefixes a context binds itself, and the contexts it refers to beside the standard's."""
    bound: dict[str, Any] = {}
    foreign: list[Any] = []
    for part in _listed(context):
        if isinstance(part, dict):
            bound |= part
        elif part not in STANDARD_CONTEXTS:
            foreign.append(part)
    return bound, foreign


def _listed(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]
