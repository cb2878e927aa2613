"""EPCIS 2.0 JSON-LD documents -> events (EPCIS 2.0 §10, CBV 2.0)."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec

from coldchain.decoders.errors import DecodeError
from coldchain.decoders.nesting import MAX_DEPTH, too_deep
from coldchain.domain.events import Event, Quantity
from coldchain.domain.identifiers import IdentifierError, subject_name

KINDS = ("AggregationEvent", "AssociationEvent", "ObjectEvent", "TransactionEvent", "TransformationEvent")
PREFIX = "coldchain:"
"""Of our own extension fields, bound in `@context` to `urn:coldchain:vocabulary:`."""
ACTIONS = ("ADD", "OBSERVE", "DELETE")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
_LIMIT = 2**43
"""Of quantities: their thousandths stay below 2^53, where every JSON reader agrees."""

_MAX_INDEXED = 256
"""Bytes of an event id or a lot number; GS1 lots have 20 characters at most."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class DocumentError(DecodeError):
    """No EPCIS document: the JSON pointer (RFC 6901) of the fault, what is expected there and what was found."""

    def __init__(self, pointer: str, problem: str) -> None:
        super().__init__(f"{pointer or '/'}: {problem}")
        self.pointer = pointer


def decode_epcis(data: bytes, by: str = "") -> tuple[Event, ...]:
    """The document's events in document order, sent by `by`, under canonical names. Raises DocumentError.

    Takes an EPCISDocument, an EPCISQueryDocument or one bare event. Times are integer microseconds; further digits of a
    fraction are cut. An event without eventID is named by the SHA-256 of its canonical JSON.
    """
    if too_deep(data):
        raise DocumentError("", f"expected JSON nested at most {MAX_DEPTH} deep")
    try:
        document = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise DocumentError("", f"expected a JSON document: {error}") from error
    pointer, events = _event_list(document)
    return tuple(_event(item, f"{pointer}/{place}", by) for place, item in enumerate(events))


def _event_list(document: Any) -> tuple[str, list[Any]]:
    if not isinstance(document, dict):
        raise DocumentError("", f"expected an object, found {_kind(document)}")
    if document.get("type") in KINDS:
        return "", [document]
    body = _object(document, "epcisBody", "")
    pointer = "/epcisBody"
    if document.get("type") == "EPCISQueryDocument":
        body = _object(_object(body, "queryResults", pointer), "resultsBody", f"{pointer}/queryResults")
        pointer = "/epcisBody/queryResults/resultsBody"
    events = body.get("eventList")
    if not isinstance(events, list):
        raise DocumentError(f"{pointer}/eventList", f"expected an array of events, found {_kind(events)}")
    return f"{pointer}/eventList", events


def _event(item: Any, pointer: str, by: str) -> Event:
    if not isinstance(item, dict):
        raise DocumentError(pointer, f"expected an event object, found {_kind(item)}")
    kind = _text(item, "type", pointer)
    if kind not in KINDS:
        raise DocumentError(f"{pointer}/type", f"expected one of {', '.join(KINDS)}, found {kind!r}")
    event_id = _text(item, "eventID", pointer, default="")
    quantities = _quantities(item, pointer)
    return Event(
        event_id=_short(event_id) or _digest(msgspec.json.encode(item, order="sorted")),
        kind=kind,
        time_us=_time(_text(item, "eventTime", pointer), f"{pointer}/eventTime"),
        action=_action(item, kind, pointer),
        biz_step=_bare_word(_text(item, "bizStep", pointer, default="")),
        parent=_name(_text(item, "parentID", pointer, default=""), f"{pointer}/parentID"),
        units=_names(item, ("epcList", "childEPCs"), pointer),
        inputs=_names(item, ("inputEPCList",), pointer, quantities, "input"),
        outputs=_names(item, ("outputEPCList",), pointer, quantities, "output"),
        read_point=_place(item, "readPoint", pointer),
        location=_place(item, "bizLocation", pointer),
        disposition=_bare_word(_text(item, "disposition", pointer, default="")),
        by=by,
        quantities=quantities,
        lot=_lot(item, pointer),
        sources=_pairs(item, "sourceList", "source", pointer),
        destinations=_pairs(item, "destinationList", "destination", pointer),
        transactions=_pairs(item, "bizTransactionList", "bizTransaction", pointer),
        extras=_extras(item),
        error=_error(item, pointer),
    )


def _action(item: dict[str, Any], kind: str, pointer: str) -> str:
    if kind == "TransformationEvent":
        return ""
    action = _text(item, "action", pointer)
    if action not in ACTIONS:
        raise DocumentError(f"{pointer}/action", f"expected ADD, OBSERVE or DELETE, found {action!r}")
    return action


def _names(
    item: dict[str, Any], fields: Iterable[str], pointer: str, quantities: Iterable[Quantity] = (), role: str = "-"
) -> tuple[str, ...]:
    """Lots that go into or come out of a transformation are links of a trace as cases are."""
    names = {quantity.item for quantity in quantities if quantity.role == role}
    for name in fields:
        for place, value in enumerate(_array(item, name, pointer)):
            where = f"{pointer}/{name}/{place}"
            if not isinstance(value, str):
                raise DocumentError(where, f"expected an EPC URI, found {_kind(value)}")
            names.add(_name(value, where))
    return tuple(sorted(names))


_QUANTITY_LISTS = (
    ("quantityList", ""),
    ("childQuantityList", ""),
    ("inputQuantityList", "input"),
    ("outputQuantityList", "output"),
)


def _quantities(item: dict[str, Any], pointer: str) -> tuple[Quantity, ...]:
    found = []
    for name, role in _QUANTITY_LISTS:
        for place, value in enumerate(_array(item, name, pointer)):
            where = f"{pointer}/{name}/{place}"
            if not isinstance(value, dict):
                raise DocumentError(where, f"expected a quantity object, found {_kind(value)}")
            goods = _name(_text(value, "epcClass", where), f"{where}/epcClass")
            amount = _milli(value.get("quantity", 0), f"{where}/quantity")
            found.append(Quantity(goods, amount, _text(value, "uom", where, default=""), role))
    return tuple(sorted(found))


def _milli(value: Any, pointer: str) -> int:
    if type(value) not in (int, float) or not abs(value) < _LIMIT:
        raise DocumentError(pointer, f"expected a number below 2^43, found {value!r}")
    return int((Decimal(str(value)) * 1000).to_integral_value())


def _pairs(item: dict[str, Any], name: str, member: str, pointer: str) -> tuple[tuple[str, str], ...]:
    """Typed references; parties and places under their canonical names, business transactions as they are spelled."""
    found = set()
    for place, value in enumerate(_array(item, name, pointer)):
        where = f"{pointer}/{name}/{place}"
        if not isinstance(value, dict):
            raise DocumentError(where, f"expected an object with type and {member}, found {_kind(value)}")
        text = _text(value, member, where)
        reference = _short(text) if member == "bizTransaction" else _name(text, f"{where}/{member}")
        found.add((_bare_word(_text(value, "type", where, default="")), reference))
    return tuple(sorted(found))


def _extras(item: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    own = {name.removeprefix(PREFIX): value for name, value in item.items() if name.startswith(PREFIX)}
    return tuple((name, msgspec.json.encode(value, order="sorted").decode()) for name, value in sorted(own.items()))


def _lot(item: dict[str, Any], pointer: str) -> str:
    ilmd = item.get("ilmd", {})
    if not isinstance(ilmd, dict):
        raise DocumentError(f"{pointer}/ilmd", f"expected an object, found {_kind(ilmd)}")
    return next(
        (_short(_text(ilmd, name, f"{pointer}/ilmd")) for name in ("cbvmda:lotNumber", "lotNumber") if name in ilmd), ""
    )


def _error(item: dict[str, Any], pointer: str) -> str:
    if "errorDeclaration" not in item:
        return ""
    declaration = _object(item, "errorDeclaration", pointer)
    return _bare_word(_text(declaration, "reason", f"{pointer}/errorDeclaration", default="")) or "unstated"


def _place(item: dict[str, Any], name: str, pointer: str) -> str:
    if name not in item:
        return ""
    value, where = item[name], f"{pointer}/{name}"
    if isinstance(value, str):
        return _name(value, where)
    return _name(_text(_object(item, name, pointer), "id", where), f"{where}/id")


def _name(identifier: str, pointer: str) -> str:
    if not identifier:
        return ""
    try:
        return subject_name(identifier)
    except IdentifierError as error:
        raise DocumentError(pointer, str(error)) from error


def _bare_word(value: str) -> str:
    """CBV 2.0 §7: bare word, URN, web URI and CURIE spell the same value; values of others stay URIs."""
    match = re.fullmatch(
        r"(?:urn:epcglobal:cbv:[a-z_]+:|https?://(?:ref\.)?gs1\.org/cbv/[A-Za-z]+-|cbv:[A-Za-z]+-)(.+)", value
    )
    return match[1] if match else value


def _time(text: str, pointer: str) -> int:
    expected = f"expected a date and time with offset such as 2024-05-01T08:00:00.000+08:00, found {text!r}"
    if not _TIME.fullmatch(text):
        raise DocumentError(pointer, expected)
    try:
        moment = datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError) as error:  # OverflowError: a year before 1 or after 9999 in UTC
        raise DocumentError(pointer, f"{expected} ({error})") from error
    return (moment - _EPOCH) // timedelta(microseconds=1)


def _short(text: str) -> str:
    """The text, or its hash where it is longer than a database indexes (PostgreSQL: 2,704 bytes of a row)."""
    return text if len(text.encode()) <= _MAX_INDEXED else _digest(text.encode())


def _digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def _object(holder: dict[str, Any], name: str, pointer: str) -> dict[str, Any]:
    value = holder.get(name)
    if not isinstance(value, dict):
        raise DocumentError(f"{pointer}/{name}", f"expected an object, found {_kind(value)}")
    return value


def _array(holder: dict[str, Any], name: str, pointer: str) -> list[Any]:
    value = holder.get(name, [])
    if not isinstance(value, list):
        raise DocumentError(f"{pointer}/{name}", f"expected an array, found {_kind(value)}")
    return value


def _text(holder: dict[str, Any], name: str, pointer: str, default: str | None = None) -> str:
    value = holder.get(name, default)
    if not isinstance(value, str):
        raise DocumentError(f"{pointer}/{name}", f"expected text, found {_kind(value)}")
    if _CONTROL.search(value):  # PostgreSQL keeps no NUL, and no name or word of EPCIS has any of the others
        raise DocumentError(f"{pointer}/{name}", f"expected text without control characters, found {value!r}")
    return value


def _kind(value: Any) -> str:
    if value is None:
        return "nothing"
    return {dict: "an object", list: "an array", str: "text", bool: "true or false"}.get(type(value), "a number")
