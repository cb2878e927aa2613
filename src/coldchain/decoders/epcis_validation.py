"""What makes an EPCIS 2.0 event valid, beyond what its JSON schema can say (EPCIS 2.0 §7.4, CBV 2.0).

One table per event type; each check notes every fault with its JSON pointer and goes on, so that a sender is told all
of them. Order of notes: the fields as they stand, then what the event lacks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from coldchain.decoders import epcis_checks as check
from coldchain.decoders.epcis_checks import Check, Findings, shown
from coldchain.decoders.epcis_context import OWN, Context
from coldchain.decoders.epcis_own import FIELDS as OWN_FIELDS
from coldchain.decoders.epcis_sensor import sensor_element
from coldchain.decoders.epcis_vocabulary import (
    BIZ_STEP,
    BIZ_TRANSACTION,
    DISPOSITION,
    ERROR_REASON,
    SOURCE_DESTINATION,
)
from coldchain.decoders.errors import DocumentError, escaped

MDA = "urn:epcglobal:cbv:mda:"
LOT = f"{MDA}lotNumber"


def _context(value: Any, pointer: str, found: Findings) -> None:
    """Read before everything else, by `check_event`."""


def _certificates(value: Any, pointer: str, found: Findings) -> None:
    (check.list_of(check.uri) if isinstance(value, list) else check.uri)(value, pointer, found)


def _quantity(value: Any, pointer: str, found: Findings) -> None:
    """Without a unit it is a count of instances: whole. A unit without a quantity measures nothing (§7.3.3.3)."""
    _QUANTITY(value, pointer, found)
    if not isinstance(value, dict):
        return
    amount = value.get("quantity")
    if "uom" in value and amount is None:
        found.fault(f"{pointer}/quantity", "expected a quantity beside its uom, found nothing")
    elif isinstance(amount, (int, float)) and amount < 0:
        found.fault(f"{pointer}/quantity", f"expected no quantity below zero, found {shown(amount)}")
    elif isinstance(amount, float) and "uom" not in value and not amount.is_integer():
        found.fault(f"{pointer}/quantity", f"expected a whole number where no uom is stated, found {shown(amount)}")


_QUANTITY = check.members(
    "a quantity", {"epcClass": check.identifier, "quantity": check.number, "uom": check.unit}, ("epcClass",),
    extensible=False,
)  # fmt: skip


def _pair(what: str, member: str, kind: Check, target: Check, required: tuple[str, ...]) -> Check:
    return check.list_of(check.members(what, {"type": kind, member: target}, required, extensible=False))


def _persistent(value: Any, pointer: str, found: Findings) -> None:
    _PERSISTENT(value, pointer, found)
    if isinstance(value, dict):
        if not value:
            found.fault(pointer, "expected set, unset or both, found an empty object")
        lists = [one for one in (value.get("set"), value.get("unset")) if isinstance(one, list)]
        both = [word for word in lists[0] if isinstance(word, str) and word in lists[1]] if len(lists) == 2 else []
        if both:
            found.fault(f"{pointer}/unset", f"expected other dispositions than are set, found {shown(both[0])}")


_DISPOSITIONS = check.distinct(check.word(DISPOSITION), least=1)
_PERSISTENT = check.members("persistentDisposition", {"set": _DISPOSITIONS, "unset": _DISPOSITIONS}, extensible=False)


def _ilmd(value: Any, pointer: str, found: Findings) -> None:
    """Master data of instances or lots: every name has a namespace (§7.3.6)."""
    if not isinstance(value, dict):
        found.fault(pointer, f"expected an object, found {shown(value)}")
        return
    for name, one in value.items():
        check.extension(name, one, pointer, found, "a name of cbvmda:")
        if found.context.full_name(name) == LOT:
            check.text(one, f"{pointer}/{escaped(name)}", found)


def _paper(value: Any, pointer: str, found: Findings) -> None:
    """A business transaction is anybody's number; one of ours is a right name."""
    ours = isinstance(value, str) and value.startswith("urn:coldchain:")
    (check.identifier if ours else check.uri)(value, pointer, found)


_PLACE = check.members("a place", {"id": check.identifier}, ("id",))
_EPCS = check.list_of(check.identifier)
_EPCS_ONCE = check.distinct(check.identifier)
"""The schema asks it of what an event is about, of inputs and outputs; not of children and transactions."""
_QUANTITIES = check.list_of(_quantity)
_ACTION = check.one_of("ADD", "OBSERVE", "DELETE")
_TRANSACTIONS = _pair(
    "a business transaction", "bizTransaction", check.word(BIZ_TRANSACTION), _paper, ("bizTransaction",)
)

_COMMON: Mapping[str, Check] = {
    "@context": _context,
    "type": lambda value, pointer, found: None,
    "eventTime": check.time,
    "recordTime": check.time,
    "eventTimeZoneOffset": check.offset,
    "eventID": check.uri,
    "certificationInfo": _certificates,
    "errorDeclaration": check.members(
        "errorDeclaration",
        {
            "declarationTime": check.time,
            "reason": check.word(ERROR_REASON),
            "correctiveEventIDs": check.list_of(check.uri),
        },
        ("declarationTime",),
    ),
    "bizStep": check.word(BIZ_STEP),
    "disposition": check.word(DISPOSITION),
    "readPoint": _PLACE,
    "bizLocation": _PLACE,
    "bizTransactionList": _TRANSACTIONS,
    "sourceList": _pair("a source", "source", check.word(SOURCE_DESTINATION), check.identifier, ("type", "source")),
    "destinationList": _pair(
        "a destination", "destination", check.word(SOURCE_DESTINATION), check.identifier, ("type", "destination")
    ),
    "sensorElementList": check.list_of(sensor_element),
}
_FAMILY: Mapping[str, Check] = {
    **_COMMON,
    "action": _ACTION,
    "parentID": check.identifier,
    "childEPCs": _EPCS,
    "childQuantityList": _QUANTITIES,
}

Rule = Callable[[Mapping[str, Any], str, Findings], None]
"""What the fields of an event must be together: (event, its pointer, where to note)."""


class _Type(NamedTuple):
    fields: Mapping[str, Check]
    rule: Rule


def _any(event: Mapping[str, Any], *names: str) -> bool:
    """Whether one of these lists has something in it; a value that is no list is a fault already."""
    return any(name in event and event[name] != [] for name in names)


def _object_event(event: Mapping[str, Any], pointer: str, found: Findings) -> None:
    """§7.4.2: what it is about is named, or sensed at a read point; ILMD stands where something comes into being."""
    if not _any(event, "epcList", "quantityList"):
        if not _any(event, "sensorElementList"):
            found.fault(f"{pointer}/epcList", "expected EPCs, quantities or sensor elements, found none of them")
        elif "readPoint" not in event:
            found.fault(f"{pointer}/readPoint", "expected where sensor elements stand without EPCs, found nothing")
    if "ilmd" in event and event.get("action") in ("OBSERVE", "DELETE"):
        found.fault(f"{pointer}/ilmd", f"expected with action ADD only, found {shown(event['action'])}")


def _aggregation(event: Mapping[str, Any], pointer: str, found: Findings) -> None:
    """§7.4.3: who puts in or takes out says of what; only taking out everything needs no children."""
    action = event.get("action")
    if "parentID" not in event and action in ("ADD", "DELETE"):
        found.fault(f"{pointer}/parentID", f"expected with action {action}, found nothing")
    _children(event, pointer, found)


def _association(event: Mapping[str, Any], pointer: str, found: Findings) -> None:
    """§7.4.6: the parent is stated whatever is done."""
    if "parentID" not in event:
        found.fault(f"{pointer}/parentID", "expected in every AssociationEvent, found nothing")
    _children(event, pointer, found)


def _children(event: Mapping[str, Any], pointer: str, found: Findings) -> None:
    action = event.get("action")
    if action in ("ADD", "OBSERVE") and not _any(event, "childEPCs", "childQuantityList"):
        found.fault(f"{pointer}/childEPCs", f"expected children with action {action}, found none")


def _transaction(event: Mapping[str, Any], pointer: str, found: Findings) -> None:
    """§7.4.4: a transaction with goods; only DELETE may end all of it at once."""
    if not _any(event, "bizTransactionList"):
        found.fault(f"{pointer}/bizTransactionList", "expected at least one business transaction, found none")
    if event.get("action") in ("ADD", "OBSERVE") and not _any(event, "epcList", "quantityList", "parentID"):
        found.fault(f"{pointer}/epcList", "expected EPCs, quantities or a parent, found none of them")


def _transformation(event: Mapping[str, Any], pointer: str, found: Findings) -> None:
    """§7.4.5: inputs and outputs, or one of them under a transformationID that others share."""
    inputs = _any(event, "inputEPCList", "inputQuantityList")
    outputs = _any(event, "outputEPCList", "outputQuantityList")
    if "transformationID" in event:
        if not inputs and not outputs:
            found.fault(f"{pointer}/inputEPCList", "expected inputs or outputs, found neither")
        return
    if not inputs:
        found.fault(f"{pointer}/inputEPCList", "expected inputs or a transformationID, found neither")
    if not outputs:
        found.fault(f"{pointer}/outputEPCList", "expected outputs or a transformationID, found neither")


_TYPES: Mapping[str, _Type] = {
    "ObjectEvent": _Type(
        {
            **_COMMON,
            "action": _ACTION,
            "epcList": _EPCS_ONCE,
            "quantityList": _QUANTITIES,
            "persistentDisposition": _persistent,
            "ilmd": _ilmd,
        },
        _object_event,
    ),
    "AggregationEvent": _Type(_FAMILY, _aggregation),
    "AssociationEvent": _Type(_FAMILY, _association),
    "TransactionEvent": _Type(
        {**_COMMON, "action": _ACTION, "parentID": check.identifier, "epcList": _EPCS, "quantityList": _QUANTITIES},
        _transaction,
    ),
    "TransformationEvent": _Type(
        {
            **_COMMON,
            **dict.fromkeys(("inputEPCList", "outputEPCList"), _EPCS_ONCE),
            **dict.fromkeys(("inputQuantityList", "outputQuantityList"), _QUANTITIES),
            "transformationID": check.uri,
            "persistentDisposition": _persistent,
            "ilmd": _ilmd,
        },
        _transformation,
    ),
}
KINDS = tuple(_TYPES)


def check_event(event: Any, pointer: str, context: Context) -> Findings:
    """Everything wrong or odd about one event of a document; its own `@context` adds to the document's."""
    found = Findings(context)
    if not isinstance(event, dict):
        found.fault(pointer, f"expected an event object, found {shown(event)}")
        return found
    if "@context" in event:
        try:
            found.context = context.with_own(event["@context"], f"{pointer}/@context")
        except DocumentError as error:
            found.fault(error.pointer, error.problem)
    kind = event.get("type")
    if not isinstance(kind, str) or kind not in _TYPES:
        found.fault(f"{pointer}/type", f"expected one of {', '.join(KINDS)}, found {shown(kind)}")
        return found
    fields, rule = _TYPES[kind]
    for name, value in event.items():
        if checked := fields.get(name):
            checked(value, f"{pointer}/{name}", found)
        else:
            _extension(name, value, pointer, found, kind)
    for name in ("eventTime", "eventTimeZoneOffset", *(("action",) if "action" in fields else ())):
        if name not in event:
            found.fault(f"{pointer}/{name}", f"expected in every {kind}, found nothing")
    rule(event, pointer, found)
    return found


def _extension(name: str, value: Any, pointer: str, found: Findings, kind: str) -> None:
    check.extension(name, value, pointer, found, f"a field of {kind}")
    full = found.context.full_name(name) or ""
    if full.startswith(OWN) and (checked := OWN_FIELDS.get(full.removeprefix(OWN))):
        checked(value, f"{pointer}/{escaped(name)}", found)
