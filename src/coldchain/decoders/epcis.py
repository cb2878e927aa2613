"""EPCIS 2.0 JSON-LD documents -> events (EPCIS 2.0 §10, CBV 2.0): read, validated, reduced to canonical form."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import msgspec

from coldchain.decoders import epcis_own
from coldchain.decoders.epcis_context import OWN, Context
from coldchain.decoders.epcis_hash import event_hash
from coldchain.decoders.epcis_reading import Document, read_document, write_document
from coldchain.decoders.epcis_sensor import temperatures
from coldchain.decoders.epcis_times import time_us
from coldchain.decoders.epcis_validation import KINDS, LOT, MDA, check_event
from coldchain.decoders.epcis_vocabulary import (
    BIZ_STEP,
    BIZ_TRANSACTION,
    DISPOSITION,
    ERROR_REASON,
    SOURCE_DESTINATION,
    Vocabulary,
    word_of,
)
from coldchain.decoders.errors import DocumentError
from coldchain.domain.commodities import MAX_PRODUCT
from coldchain.domain.events import Event, Quantity
from coldchain.domain.identifiers import IdentifierError, hs_code, subject_name

__all__ = [
    "INVALID", "KINDS", "Checked", "CheckedEvent", "DocumentError", "decode_epcis", "decode_marked", "event_hash",
    "invalid", "read_document", "validate_document", "write_document",
]  # fmt: skip

INVALID = "invalid-epcis"
_MAX_TOLD = 300
"""Characters of a pointer or a problem in an entry's quality: its header has 16,382 bytes."""
_MAX_INDEXED = 256
"""Bytes of an event id or a lot number; GS1 lots have 20 characters at most."""


@dataclass(frozen=True, slots=True)
class CheckedEvent:
    """One event of a document, good or not."""

    pointer: str
    """JSON pointer in its document, `/epcisBody/eventList/0`; "" of a bare event."""
    json: Any
    """As it stands in the document; an object wherever there are no problems."""
    context: Context
    """The document's, with what the event adds to it: what `event_hash` needs."""
    problems: tuple[tuple[str, str], ...]
    """(JSON pointer in the document, what is expected there and what was found): none for a valid event."""
    marks: tuple[tuple[str, str], ...]
    """(JSON pointer in the document, quality word): odd, and accepted."""
    event: Event | None
    """In canonical form; None where there are problems."""


@dataclass(frozen=True, slots=True)
class Checked:
    """A document that is one, and each of its events checked for itself."""

    document: Document
    events: tuple[CheckedEvent, ...]

    @property
    def marks(self) -> tuple[tuple[str, str], ...]:
        """(JSON pointer, quality word) of the document and of all its events."""
        return self.document.marks + tuple(mark for one in self.events for mark in one.marks)


def validate_document(data: bytes, by: str = "") -> Checked:
    """Every event of the document with its problems, if it has any. Raises DocumentError where it is no document."""
    document = read_document(data)
    return Checked(document, tuple(_checked(document, place, one, by) for place, one in enumerate(document.events)))


def decode_epcis(data: bytes, by: str = "") -> tuple[Event, ...]:
    """The document's events, as `decode_marked` has them, without the quality."""
    return decode_marked(data, by)[0]


def decode_marked(data: bytes, by: str = "") -> tuple[tuple[Event, ...], dict[str, Any] | None]:
    """The document's events in document order, sent by `by`, under canonical names, and the quality of their entry:
    None, or `marks`, what is odd about the document, each word with the JSON pointer where it is first met.

    Raises DocumentError at the first problem of any of them: a document is taken whole. Takes an EPCISDocument, an
    EPCISQueryDocument or one bare event. Times are integer microseconds; further digits of a fraction are cut. An event
    without eventID is named by its CBV hash.
    """
    document = read_document(data)
    events, marks = [], list(document.marks)
    for place, item in enumerate(document.events):
        checked = _checked(document, place, item, by)
        if checked.event is None:
            raise DocumentError(*checked.problems[0])
        events.append(checked.event)
        marks += checked.marks
    return tuple(events), {"marks": _first(marks)} if marks else None


def invalid(error: DocumentError) -> dict[str, str]:
    """The quality of a signed message that is recorded and moves nothing."""
    return {"message": INVALID, "pointer": error.pointer[:_MAX_TOLD], "problem": error.problem[:_MAX_TOLD]}


def _first(marks: Iterable[tuple[str, str]]) -> dict[str, str]:
    first: dict[str, str] = {}
    for pointer, word in marks:
        first.setdefault(word, pointer[:_MAX_TOLD])
    return first


def _checked(document: Document, place: int, item: Any, by: str) -> CheckedEvent:
    pointer = document.event_pointer(place)
    found = check_event(item, pointer, document.context)
    event = None if found.faults else _event(item, found.context, by)
    return CheckedEvent(pointer, item, found.context, tuple(found.faults), tuple(found.marks), event)


# Reduction: only of valid events, so nothing here looks for faults.


def _event(item: Mapping[str, Any], context: Context, by: str) -> Event:
    quantities = _quantities(item)
    content = event_hash(item, context)
    return Event(
        event_id=_short(item.get("eventID", content)),
        kind=item["type"],
        time_us=time_us(item["eventTime"]),
        action=item.get("action", ""),
        biz_step=_word(BIZ_STEP, item.get("bizStep")),
        parent=_name(item.get("parentID")),
        units=_names((*item.get("epcList", ()), *item.get("childEPCs", ()))),
        inputs=_names(item.get("inputEPCList", ()), quantities, "input"),
        outputs=_names(item.get("outputEPCList", ()), quantities, "output"),
        read_point=_name(item.get("readPoint", {}).get("id")),
        location=_name(item.get("bizLocation", {}).get("id")),
        disposition=_word(DISPOSITION, item.get("disposition")),
        by=by,
        quantities=quantities,
        lot=_lot(item.get("ilmd", {}), context),
        sources=_parties(item.get("sourceList", ()), "source"),
        destinations=_parties(item.get("destinationList", ()), "destination"),
        transactions=_transactions(item.get("bizTransactionList", ())),
        extras=_extras(item, context),
        error=_error(item.get("errorDeclaration")),
        content=content,
        temperatures=temperatures(item),
    )


def _name(identifier: str | None) -> str:
    return "" if identifier is None else subject_name(identifier)


def _word(vocabulary: Vocabulary, value: str | None) -> str:
    return "" if value is None else word_of(vocabulary, value)


def _names(identifiers: Iterable[str], quantities: Iterable[Quantity] = (), role: str = "-") -> tuple[str, ...]:
    """Lots that go into or come out of a transformation are links of a trace as cases are."""
    names = {subject_name(one) for one in identifiers}
    names |= {quantity.item for quantity in quantities if quantity.role == role}
    return tuple(sorted(names))


_QUANTITY_LISTS = (
    ("quantityList", ""),
    ("childQuantityList", ""),
    ("inputQuantityList", "input"),
    ("outputQuantityList", "output"),
)


def _quantities(item: Mapping[str, Any]) -> tuple[Quantity, ...]:
    return tuple(
        sorted(
            Quantity(subject_name(one["epcClass"]), _milli(one.get("quantity")), one.get("uom", ""), role)
            for name, role in _QUANTITY_LISTS
            for one in item.get(name, ())
        )
    )


def _milli(amount: float | None) -> int:
    return -1 if amount is None else int((Decimal(str(amount)) * 1000).to_integral_value())


def _parties(pairs: Iterable[Mapping[str, str]], member: str) -> tuple[tuple[str, str], ...]:
    """Parties and places under their canonical names."""
    return tuple(sorted({(word_of(SOURCE_DESTINATION, one["type"]), subject_name(one[member])) for one in pairs}))


def _transactions(pairs: Iterable[Mapping[str, str]]) -> tuple[tuple[str, str], ...]:
    """Business transactions as they are spelled; our own papers, `urn:coldchain:decl:…`, under their names."""
    return tuple(sorted({(_word(BIZ_TRANSACTION, one.get("type")), _paper(one["bizTransaction"])) for one in pairs}))


def _paper(spelled: str) -> str:
    return subject_name(spelled) if spelled.startswith("urn:coldchain:") else _short(spelled)


def _extras(item: Mapping[str, Any], context: Context) -> tuple[tuple[str, str], ...]:
    own = []
    for key, value in item.items():
        if ":" in key and (full := context.full_name(key)) and full.startswith(OWN):
            name = full.removeprefix(OWN)
            own.append((name, _json(epcis_own.canonical(name, value))))
    if (kind := _kind_of_goods(item.get("ilmd", {}), context)) and not any(name == "ilmd" for name, _ in own):
        own.append(("ilmd", _json(kind)))
    return tuple(sorted(own))


def _json(value: Any) -> str:
    return msgspec.json.encode(value, order="sorted").decode()


_PRODUCTS = (
    f"{OWN}product",
    *(f"{MDA}{name}" for name in ("regulatedProductName", "descriptionShort", "functionalName")),
)
"""Which attribute names the product, where there are several."""


def _kind_of_goods(ilmd: Mapping[str, Any], context: Context) -> dict[str, str]:
    """`hs` and `product` as master data states them; what is no customs code and no text says nothing."""
    said = {context.full_name(key): value for key, value in ilmd.items()}
    product = next((text for name in _PRODUCTS if (text := _plain(said.get(name)))), "")
    hs = ""
    with suppress(IdentifierError):
        hs = hs_code(_plain(said.get(f"{OWN}hs")))
    return {name: text for name, text in (("hs", hs), ("product", product[:MAX_PRODUCT])) if text}


def _plain(value: Any) -> str:
    """A text, or the texts of several languages one after the other."""
    if isinstance(value, list):
        return " · ".join(filter(None, (_plain(one) for one in value)))
    if isinstance(value, dict):
        value = value.get("@value", value.get("value"))
    return value if isinstance(value, str) else ""


def _lot(ilmd: Mapping[str, Any], context: Context) -> str:
    return next((_short(value) for key, value in ilmd.items() if context.full_name(key) == LOT), "")


def _error(declaration: Mapping[str, Any] | None) -> str:
    return "" if declaration is None else _word(ERROR_REASON, declaration.get("reason")) or "unstated"


def _short(text: str) -> str:
    """The text, or its hash where it is longer than a database indexes (PostgreSQL: 2,704 bytes of a row)."""
    return text if len(text.encode()) <= _MAX_INDEXED else f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
