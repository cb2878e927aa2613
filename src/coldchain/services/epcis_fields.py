"""What can be asked of an EPCIS event: its values under the names of the query language (EPCIS 2.0 §8.2.7.1).

A field is named as in a query parameter without its comparison: `epc`, `bizTransaction_po`, `ILMD_<IRI>`,
`SENSORREPORT_type`. Extension fields go by IRI, whatever prefix a document gives them.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, NamedTuple

from coldchain.domain.events import Event
from coldchain.domain.identifiers import IdentifierError, subject_name
from coldchain.services.epcis_units import si

MAX_INDEXED = 256
"""Bytes of an indexed text; PostgreSQL indexes 2,704 of a row. Longer ones go by their hash, equal if the texts are."""
MEASURES = ("value", "minValue", "maxValue", "meanValue", "percValue", "sDev")
"""Attributes of a sensor report that are in its unit."""
PREFIXES = {
    "epcis": "https://ref.gs1.org/epcis/",
    "cbv": "https://ref.gs1.org/cbv/",
    "cbvmda": "urn:epcglobal:cbv:mda:",
    "gs1": "https://gs1.org/voc/",
    "coldchain": "urn:coldchain:vocabulary:",
}
"""Bound in every document, by the standard's context and by ours."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", re.ASCII)
_NUMBER = re.compile(r"[+-]?\d{1,18}(\.\d{1,18})?", re.ASCII)
_CBV = re.compile(r"(?:urn:epcglobal:cbv:[a-z_]+:|https?://(?:ref\.)?gs1\.org/cbv/[A-Za-z]+-|cbv:[A-Za-z]+-)(.+)")
_GS1_VOC = re.compile(r"(?:https?://(?:www\.)?gs1\.org/voc/|gs1:)(.+)")

_EPCS = {"epcList": "epc", "childEPCs": "epc", "inputEPCList": "inputEPC", "outputEPCList": "outputEPC"}
_CLASSES = {
    "quantityList": "epcClass",
    "childQuantityList": "epcClass",
    "inputQuantityList": "inputEPCClass",
    "outputQuantityList": "outputEPCClass",
}
_TYPED = {"bizTransactionList": "bizTransaction", "sourceList": "source", "destinationList": "destination"}


class Indexed(NamedTuple):
    """An event's values: (field, text) and (field, number). Measures are in SI; times are µs, as `<field>@time`."""

    texts: set[tuple[str, str]]
    numbers: set[tuple[str, float]]


def prefixes_of(context: Any) -> dict[str, str]:
    """The prefixes that a JSON-LD `@context` binds, beside those bound everywhere. Nothing is fetched."""
    found = dict(PREFIXES)
    for part in context if isinstance(context, list) else [context]:
        for prefix, target in part.items() if isinstance(part, dict) else ():
            iri = target.get("@id") if isinstance(target, dict) else target
            if isinstance(iri, str):
                found[prefix] = iri
    return found


def expanded(name: str, prefixes: Mapping[str, str]) -> str:
    """The IRI of a compact one; any other name is its own."""
    prefix, colon, local = name.partition(":")
    return prefixes[prefix] + local if colon and prefix in prefixes else name


def indexed(text: str) -> str:
    """The text as the index holds it."""
    try:
        plain = text.encode()
    except UnicodeEncodeError:
        plain = text.encode("utf-8", "surrogatepass")
        return f"sha256:{hashlib.sha256(plain).hexdigest()}"
    if len(plain) <= MAX_INDEXED and "\0" not in text:
        return text
    return f"sha256:{hashlib.sha256(plain).hexdigest()}"


@lru_cache(maxsize=65_536)
def canonical(identifier: str) -> str:
    """The subject name of an identifier; a text that is none stays what it is, so that it is found as spelled."""
    try:
        return subject_name(identifier)
    except IdentifierError:
        return indexed(identifier)


def bare_word(value: str, prefixes: Mapping[str, str] = PREFIXES) -> str:
    """A CBV value in its bare form, whatever its spelling (CBV 2.0 §7); a value of somebody else's as IRI."""
    if match := _CBV.fullmatch(value):
        return match[1]
    return indexed(expanded(value, prefixes))


def measurement_type(value: str, prefixes: Mapping[str, str] = PREFIXES) -> str:
    """`Temperature` for any spelling of gs1:MeasurementType."""
    match = _GS1_VOC.fullmatch(value)
    return re.sub(r"^MeasurementType-", "", match[1]) if match else indexed(expanded(value, prefixes))


def time_us(text: str) -> int | None:
    """Microseconds since the epoch of an RFC 3339 time, None for any other text."""
    if not _TIME.fullmatch(text):
        return None
    try:
        return (datetime.fromisoformat(text).astimezone(UTC) - _EPOCH) // timedelta(microseconds=1)
    except (ValueError, OverflowError):
        return None


def number(value: Any) -> float | None:
    """A JSON number, or a text that spells one, as extensions taken from XML do; None for anything else."""
    if isinstance(value, str):
        return float(value) + 0.0 if _NUMBER.fullmatch(value) else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        found = float(value) + 0.0  # no -0.0: one number, one row
    except OverflowError:
        return None
    return found if math.isfinite(found) else None


def index_event(item: Mapping[str, Any], event: Event, context: Any) -> Indexed:
    """Everything that a query can ask of one event.

    item: its JSON; event: the same decoded; context: the `@context` of its document.
    """
    bound = prefixes_of(context)
    if "@context" in item:
        bound |= prefixes_of(item["@context"])
    index = _Index(bound)
    index.plain(event)
    index.things(item)
    index.corrections(item)
    for element in _objects(item.get("sensorElementList")):
        index.sensors(element)
    index.extensions(item)
    return Indexed(index.texts, index.numbers)


class _Index:
    """Values of one event as they are collected."""

    def __init__(self, prefixes: Mapping[str, str]) -> None:
        self.texts: set[tuple[str, str]] = set()
        self.numbers: set[tuple[str, float]] = set()
        self._prefixes = prefixes

    def text(self, field: str, value: str) -> None:
        if value:
            self.texts.add((field, value))

    def plain(self, event: Event) -> None:
        self.text("eventType", event.kind)
        self.text("eventID", indexed(event.event_id))
        self.text("action", event.action)
        self.text("bizStep", bare_word(event.biz_step, self._prefixes))
        self.text("disposition", bare_word(event.disposition, self._prefixes))
        self.text("readPoint", event.read_point)
        self.text("bizLocation", event.location)
        self.text("parentID", event.parent)

    def things(self, item: Mapping[str, Any]) -> None:
        for name, field in _EPCS.items():
            for value in _texts(item.get(name)):
                self.text(field, canonical(value))
        for name, field in _CLASSES.items():
            for quantity in _objects(item.get(name)):
                self.text(field, canonical(str(quantity.get("epcClass", ""))))
                if (amount := number(quantity.get("quantity"))) is not None:
                    self.numbers.add(("quantity", amount))
        for name, field in _TYPED.items():
            for pair in _objects(item.get(name)):
                kind = bare_word(str(pair.get("type", "")), self._prefixes)
                self.text(indexed(f"{field}_{kind}"), canonical(str(pair.get(field, ""))))
        for value in _texts([item.get("transformationID")]):
            self.text("transformationID", canonical(value))

    def corrections(self, item: Mapping[str, Any]) -> None:
        for lasting in _objects([item.get("persistentDisposition")]):
            for change in ("set", "unset"):
                for value in _texts(lasting.get(change)):
                    self.text(f"persistentDisposition_{change}", bare_word(value, self._prefixes))
        for declaration in _objects([item.get("errorDeclaration")]):
            self.texts.add(("errorDeclaration", ""))
            self.text("errorReason", bare_word(str(declaration.get("reason", "")), self._prefixes))
            for value in _texts(declaration.get("correctiveEventIDs")):
                self.text("correctiveEventID", indexed(value))
            if (declared_us := time_us(str(declaration.get("declarationTime")))) is not None:
                self.numbers.add(("errorDeclarationTime", float(declared_us)))
            self.nested("ERROR_DECLARATION_", declaration)

    def sensors(self, element: Mapping[str, Any]) -> None:
        for metadata in _objects([element.get("sensorMetadata")]):
            self.attributes("SENSORMETADATA_", metadata)
        for report in _objects(element.get("sensorReport")):
            uom = str(report.get("uom", ""))
            self.attributes("SENSORREPORT_", {name: report[name] for name in report if name not in MEASURES})
            for name in MEASURES:
                if (amount := number(report.get(name))) is not None:
                    dimension, value = si(amount, uom, difference=name == "sDev")
                    self.numbers.add((indexed(f"{name}@{dimension}"), value))
        self.nested("SENSORELEMENT_", element)

    def attributes(self, scope: str, holder: Mapping[str, Any]) -> None:
        """Standard attributes of a sensor's metadata or report, and extensions beside them."""
        for name, value in holder.items():
            if name == "type" and isinstance(value, str):
                self.text(scope + name, measurement_type(value, self._prefixes))
            elif isinstance(value, str) and ":" not in name:
                self.scalar(scope + name, value, canonical(value))
            else:
                self.value(scope, name, value)

    def extensions(self, item: Mapping[str, Any]) -> None:
        self.nested("", item)
        for ilmd in _objects([item.get("ilmd")]):
            self.nested("ILMD_", ilmd, every=True)
        for place in ("readPoint", "bizLocation"):
            for holder in _objects([item.get(place)]):
                self.nested(f"{place}_", holder)

    def nested(self, scope: str, holder: Mapping[str, Any], *, every: bool = False) -> None:
        """Extension fields of an object: those with a prefix or an IRI for a name, or every one."""
        for name, value in holder.items():
            if every or ":" in name:
                self.value(scope, name, value)

    def value(self, scope: str, name: str, value: Any) -> None:
        """A field and, below `INNER_`, every field within it however deep."""
        field = indexed(scope + expanded(name, self._prefixes))
        inner = scope if scope.startswith("INNER_") else f"INNER_{scope}"
        for one in value if isinstance(value, list) else [value]:
            if isinstance(one, dict):
                self.texts.add((field, ""))
                for deeper, within in one.items():
                    self.value(inner, deeper, within)
            elif isinstance(one, list):
                self.value(scope, name, one)
            elif one is not None:
                self.scalar(field, one, indexed(spelled(one)))

    def scalar(self, field: str, value: Any, text: str) -> None:
        self.texts.add((field, text))
        if (amount := number(value)) is not None:
            self.numbers.add((field, amount))
        if isinstance(value, str) and (moment_us := time_us(value)) is not None:
            self.numbers.add((f"{field}@time", float(moment_us)))


def spelled(value: Any) -> str:
    """A JSON scalar as a query spells it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else str(value)


def _texts(values: Any) -> Iterator[str]:
    yield from (value for value in _each(values) if isinstance(value, str) and value)


def _objects(values: Any) -> Iterator[dict[str, Any]]:
    yield from (value for value in _each(values) if isinstance(value, dict))


def _each(values: Any) -> Iterable[Any]:
    return values if isinstance(values, list) else ()
