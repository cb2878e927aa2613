"""The CBV event hash: one name for what an event says, however it is spelled (CBV 2.0 §8.9).

Written from the rules of that section; the numbers below are theirs. Where they leave room, the published vectors
decide: destinations stand before sources, and a type before what it is the type of. `recordTime`, `eventID` and
`errorDeclaration` are not hashed, so an event and its error declaration have one hash.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from coldchain.decoders.epcis_context import Context
from coldchain.decoders.epcis_links import canonical_link
from coldchain.decoders.epcis_times import rfc3339_ms, time_us
from coldchain.decoders.epcis_vocabulary import (
    ALERT,
    BIZ_STEP,
    BIZ_TRANSACTION,
    COMPONENT,
    DISPOSITION,
    MEASUREMENT,
    SOURCE_DESTINATION,
    Vocabulary,
    web_uri,
)

Writer = Callable[[str, Any, Context], str]
"""(key, value, context) -> its part of the pre-hash string."""


def event_hash(event: Mapping[str, Any], context: Context) -> str:
    """`ni:///sha-256;<64 hex digits>?ver=CBV2.0` of a valid event: equal for every spelling and order of keys."""
    return f"ni:///sha-256;{hashlib.sha256(pre_hash(event, context).encode()).hexdigest()}?ver=CBV2.0"


def pre_hash(event: Mapping[str, Any], context: Context) -> str:
    """What is hashed of a valid event: its fields in canonical order, then its extensions sorted (rules 1 to 21)."""
    said = [_EVENT[name](name, event[name], context) for name in _EVENT if name in event]
    return "".join(said) + _extensions(event, context)


def _plain(key: str, value: Any, context: Context) -> str:
    return f"{key}={_scalar(value)}"


def _scalar(value: Any) -> str:
    """Rules 5 to 7: no spaces around a text, no zeros behind a number."""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        text = repr(value)
        if "e" in text:
            text = format(Decimal(text), "f")
        return text.rstrip("0").rstrip(".") if "." in text else text
    return "" if value is None else str(value)


def _type(key: str, value: Any, context: Context) -> str:
    return f"eventType={value}"


def _time(key: str, value: Any, context: Context) -> str:
    return f"{key}={rfc3339_ms(time_us(value))}"


def _uri(key: str, value: Any, context: Context) -> str:
    return f"{key}={_identifier(value, context)}"


def _identifier(value: str, context: Context) -> str:
    """Rules 15, 17 and 18."""
    value = value.strip()
    end = value.find(":")
    namespace = context.prefixes.get(value[:end])
    if namespace is not None and not value.startswith("//", end + 1):
        value = namespace + value[end + 1 :]
    return canonical_link(value)


def _uris(item: str) -> Writer:
    def write(key: str, value: Any, context: Context) -> str:
        return key + "".join(sorted(f"{item}={_identifier(one, context)}" for one in value)) if value else ""

    return write


def _certificates(key: str, value: Any, context: Context) -> str:
    values = value if isinstance(value, list) else [value]
    return "".join(sorted(_uri(key, one, context) for one in values))


def _word(vocabulary: Vocabulary) -> Writer:
    """Rules 14 to 16; a word of others is expanded as every URI is."""

    def write(key: str, value: Any, context: Context) -> str:
        uri = web_uri(vocabulary, value.strip())
        return f"{key}={uri}" if uri.startswith(vocabulary.web) else _uri(key, uri, context)

    return write


def _dispositions(key: str, value: Any, context: Context) -> str:
    word = _word(DISPOSITION)
    parts = (sorted(word(name, one, context) for one in value[name]) for name in ("set", "unset") if name in value)
    return key + "".join("".join(part) for part in parts)


def _members(fields: Mapping[str, Writer], value: Mapping[str, Any], context: Context) -> str:
    """Fields in their order, extensions at the end of their parent's (rule 21)."""
    said = [write(name, value[name], context) for name, write in fields.items() if name in value]
    return "".join(said) + _extensions(value, context)


def _object(fields: Mapping[str, Writer]) -> Writer:
    return lambda key, value, context: key + _members(fields, value, context)


def _list(item: str, fields: Mapping[str, Writer]) -> Writer:
    """Rules 11 and 12: the name of the list once, its members as sorted texts."""

    def write(key: str, value: Any, context: Context) -> str:
        return key + "".join(sorted(item + _members(fields, one, context) for one in value)) if value else ""

    return write


def _reports(key: str, value: Any, context: Context) -> str:
    return "".join(sorted(key + _members(_REPORT, one, context) for one in value))


def _ilmd(key: str, value: Any, context: Context) -> str:
    return key + _extensions(value, context)


def _extensions(holder: Mapping[str, Any], context: Context) -> str:
    """Rules 19 to 21: `{namespace}name`, `=` and the value or the sorted members; all of them sorted."""
    said = []
    for key, value in holder.items():
        if ":" in key and context.full_name(key) not in context.ignored:
            said += _extension(context.namespaced(key) or key, value, context)
    return "".join(sorted(said)) if said else ""


def _extension(name: str, value: Any, context: Context) -> list[str]:
    if isinstance(value, dict):
        nested = (
            part for key, inner in value.items() for part in _extension(context.namespaced(key) or key, inner, context)
        )
        return [name + "".join(sorted(nested))]
    if isinstance(value, list):
        return [part for one in value for part in _extension(name, one, context)]
    return [f"{name}={_scalar(value)}"]


_QUANTITY = {"epcClass": _uri, "quantity": _plain, "uom": _plain}
_PLACE = {"id": _uri}
_METADATA: Mapping[str, Writer] = {
    **dict.fromkeys(("time", "startTime", "endTime"), _time),
    **dict.fromkeys(("deviceID", "deviceMetadata", "rawData", "dataProcessingMethod", "bizRules"), _uri),
}
_REPORT: Mapping[str, Writer] = {
    "type": _word(MEASUREMENT),
    "exception": _word(ALERT),
    **dict.fromkeys(("deviceID", "deviceMetadata", "rawData", "dataProcessingMethod", "bizRules"), _uri),
    "time": _time,
    **dict.fromkeys(("microorganism", "chemicalSubstance"), _uri),
    "value": _plain,
    "component": _word(COMPONENT),
    **dict.fromkeys(("stringValue", "booleanValue", "hexBinaryValue"), _plain),
    "uriValue": _uri,
    **dict.fromkeys(("minValue", "maxValue", "meanValue", "sDev", "percRank", "percValue", "uom"), _plain),
    "coordinateReferenceSystem": _uri,
}
_EVENT: Mapping[str, Writer] = {
    "type": _type,
    "eventTime": _time,
    "eventTimeZoneOffset": _plain,
    "certificationInfo": _certificates,
    "epcList": _uris("epc"),
    "parentID": _uri,
    "inputEPCList": _uris("epc"),
    "childEPCs": _uris("epc"),
    **dict.fromkeys(("quantityList", "childQuantityList", "inputQuantityList"), _list("quantityElement", _QUANTITY)),
    "outputEPCList": _uris("epc"),
    "outputQuantityList": _list("quantityElement", _QUANTITY),
    "action": _plain,
    "transformationID": _uri,
    "bizStep": _word(BIZ_STEP),
    "disposition": _word(DISPOSITION),
    "persistentDisposition": _dispositions,
    "readPoint": _object(_PLACE),
    "bizLocation": _object(_PLACE),
    "bizTransactionList": _list("", {"type": _word(BIZ_TRANSACTION), "bizTransaction": _uri}),
    "destinationList": _list("", {"type": _word(SOURCE_DESTINATION), "destination": _uri}),
    "sourceList": _list("", {"type": _word(SOURCE_DESTINATION), "source": _uri}),
    "sensorElementList": _list("sensorElement", {"sensorMetadata": _object(_METADATA), "sensorReport": _reports}),
    "ilmd": _ilmd,
}
"""The canonical order of properties (rule 1), and how each is written."""
