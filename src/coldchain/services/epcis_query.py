"""SimpleEventQuery: one table maps each parameter to what it asks of an event (EPCIS 2.0 §8.2.7.1).

Pure: `db/queries_epcis.py` turns the conditions into SQL, `services/epcis_fields.py` says what the index holds.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from coldchain.domain.identifiers import IdentifierError
from coldchain.services.epcis_conditions import (
    Condition,
    Either,
    Exists,
    HasAttribute,
    Numbers,
    Query,
    Texts,
    When,
    Within,
)
from coldchain.services.epcis_fields import (
    MEASURES,
    PREFIXES,
    bare_word,
    canonical,
    expanded,
    indexed,
    measurement_type,
    number,
    prefixes_of,
    spelled,
    time_us,
)
from coldchain.services.epcis_patterns import matched
from coldchain.services.epcis_units import si
from coldchain.services.principals import Principal

MAX_PARAMETERS = 50
MAX_VALUES = 500
"""Of a query, all parameters together: beyond it the database would be asked for too much at once."""
KINDS = ("AggregationEvent", "AssociationEvent", "ObjectEvent", "TransactionEvent", "TransformationEvent")
ACTIONS = ("ADD", "OBSERVE", "DELETE")


class QueryError(ValueError):
    """A query that means nothing; the text names the parameter."""


class QueryTooComplex(ValueError):
    """A query that asks for more than is answered at once; the text says what to leave out."""


class _Asked(NamedTuple):
    """One parameter as asked; `words` are the parts of its name that the table leaves open."""

    name: str
    values: tuple[str, ...]
    prefixes: Mapping[str, str]
    words: tuple[str, ...] = ()

    def one(self) -> str:
        if len(self.values) != 1:
            raise QueryError(f"parameter {self.name}: expected one value, found {len(self.values)}")
        return self.values[0]

    def listed(self) -> tuple[str, ...]:
        """In a URL the values of a list are divided by |."""
        return tuple(part for value in self.values for part in value.split("|"))

    def time(self) -> int:
        text = self.one()
        if (found := time_us(text)) is None:
            raise QueryError(f"parameter {self.name}: expected a time such as 2026-03-02T08:00:00Z, found {text!r}")
        return found

    def number(self, text: str | None = None) -> float:
        text = self.one() if text is None else text
        if (found := number(text)) is None:
            raise QueryError(f"parameter {self.name}: expected a number, found {text!r}")
        return found

    def flag(self) -> bool:
        text = self.one()
        if text not in ("true", "false"):
            raise QueryError(f"parameter {self.name}: expected true or false, found {text!r}")
        return text == "true"


_Rule = Callable[[_Asked], Condition | None]
"""None: the parameter with this value asks nothing."""


def parse_query(parameters: Mapping[str, Any], prefixes: Mapping[str, str] = PREFIXES) -> Query:
    """The query of named parameters: a text, number, truth value, or list of such each (URL or JSON body).

    Raises QueryError naming the parameter that is unknown or has a value of another kind; QueryTooComplex.
    """
    parameters = dict(parameters)
    prefixes = dict(prefixes) | prefixes_of(parameters.pop("@context", None))
    if len(parameters) > MAX_PARAMETERS:
        raise QueryTooComplex(f"{len(parameters)} parameters, at most {MAX_PARAMETERS} are taken")
    asked = [_Asked(name, _values(name, value), prefixes) for name, value in parameters.items()]
    if (count := sum(len(one.listed()) for one in asked)) > MAX_VALUES:
        raise QueryTooComplex(f"{count} values in all parameters, at most {MAX_VALUES} are taken")
    controls = {one.name: one for one in asked if one.name in CONTROLS}
    found = [_condition(one) for one in asked if one.name not in CONTROLS]
    return _controlled(tuple(condition for condition in found if condition is not None), controls)


def seen_by(query: Query, principal: Principal) -> Query:
    """The query over what the principal may see: everything, or what its own organisation recorded."""
    return query if principal.sees_all else replace(query, by=principal.org)


def _values(name: str, value: Any) -> tuple[str, ...]:
    values = value if isinstance(value, list | tuple) else [value]
    if not values or not all(isinstance(one, str | int | float) for one in values):
        raise QueryError(f"parameter {name}: expected a text, a number or a list of them")
    return tuple(spelled(one) for one in values)


def _condition(asked: _Asked) -> Condition | None:
    if asked.name in PARAMETERS:
        return PARAMETERS[asked.name](asked)
    for pattern, rule in FAMILIES:
        if match := pattern.fullmatch(asked.name):
            return rule(asked._replace(words=tuple(word or "" for word in match.groups())))
    raise QueryError(f"unknown parameter {asked.name}: it is none of SimpleEventQuery (EPCIS 2.0 §8.2.7.1)")


# Order and limits

CONTROLS = frozenset({"orderBy", "orderDirection", "eventCountLimit", "maxEventCount"})


def _controlled(conditions: tuple[Condition, ...], controls: Mapping[str, _Asked]) -> Query:
    order = controls["orderBy"].one() if "orderBy" in controls else ""
    if order and order not in ("eventTime", "recordTime"):
        order = _field_names("", order, controls["orderBy"])[0]
    direction = controls["orderDirection"].one() if "orderDirection" in controls else "DESC"
    if direction not in ("ASC", "DESC"):
        raise QueryError(f"parameter orderDirection: expected ASC or DESC, found {direction!r}")
    limit, most = (_count(controls.get(name)) for name in ("eventCountLimit", "maxEventCount"))
    if limit is not None and most is not None:
        raise QueryError("parameter eventCountLimit: excludes maxEventCount")
    if limit is not None and not order:
        raise QueryError("parameter eventCountLimit: needs orderBy")
    return Query(conditions, order, bool(order) and direction == "DESC", limit, most)


def _count(asked: _Asked | None) -> int | None:
    if asked is None:
        return None
    text = asked.one()
    if not re.fullmatch(r"[0-9]{1,9}", text) or int(text) == 0:
        raise QueryError(f"parameter {asked.name}: expected a whole number from 1, found {text!r}")
    return int(text)


# Rules


def _words(*fields: str) -> _Rule:
    """CBV values: bare words, or their URIs."""
    return lambda asked: Texts(fields, tuple(bare_word(value, asked.prefixes) for value in asked.listed()))


def _ids(*fields: str) -> _Rule:
    """Identifiers in any spelling."""
    return lambda asked: Texts(fields, tuple(map(canonical, asked.listed())))


def _plain(*fields: str) -> _Rule:
    return lambda asked: Texts(fields, tuple(map(indexed, asked.listed())))


def _one_of(field: str, allowed: Sequence[str]) -> _Rule:
    def rule(asked: _Asked) -> Condition:
        for value in asked.listed():
            if value not in allowed:
                raise QueryError(f"parameter {asked.name}: expected {', '.join(allowed)}, found {value!r}")
        return Texts((field,), asked.listed())

    return rule


def _match(*fields: str) -> _Rule:
    def rule(asked: _Asked) -> Condition:
        try:
            found = [matched(value) for value in asked.listed()]
        except IdentifierError as error:
            raise QueryError(f"parameter {asked.name}: {error}") from error
        values = tuple(value for one in found for value in one.values)
        return Texts(fields, values, tuple(start for one in found for start in one.starts))

    return rule


def _when(column: str, comparison: str) -> _Rule:
    return lambda asked: When(column, comparison, asked.time())


def _time(field: str, comparison: str) -> _Rule:
    return lambda asked: Numbers((field,), comparison, (float(asked.time()),))


def _amount(field: str, comparison: str) -> _Rule:
    return lambda asked: Numbers((field,), comparison, (asked.number(),))


def _measure(asked: _Asked) -> Condition:
    """`GE_value_KEL`: compared in SI, so that any unit of the dimension is found."""
    comparison, name, uom = asked.words
    found = [si(asked.number(text), uom, difference=name == "sDev") for text in asked.listed()]
    return Numbers((indexed(f"{name}@{found[0][0]}"),), comparison, tuple(value for _, value in found))


def _typed(asked: _Asked) -> Condition:
    """`EQ_source_owning_party`: pairs of that type."""
    field, kind = asked.words
    return Texts((indexed(f"{field}_{bare_word(kind, asked.prefixes)}"),), tuple(map(canonical, asked.listed())))


def _compare(asked: _Asked) -> Condition:
    """An extension field, in whatever the value is: a number, a time or a text."""
    comparison, scope, name = asked.words
    fields = _field_names(scope, name, asked)
    times = tuple(f"{field}@time" for field in fields)
    if comparison != "EQ":
        value = asked.one()
        moment = time_us(value)
        return Numbers(times, comparison, (float(moment),)) if moment is not None else _more(asked, fields, comparison)
    values = asked.listed()
    spellings: tuple[str, ...] = tuple(map(indexed, values))
    if scope.startswith("SENSOR"):  # identifiers among the attributes are found in any spelling
        spellings = tuple({*spellings, *map(canonical, values), *map(measurement_type, values)})
    found: list[Condition] = [Texts(fields, spellings)]
    if amounts := tuple(amount for value in values if (amount := number(value)) is not None):
        found.append(Numbers(fields, "EQ", amounts))
    if moments := tuple(float(moment) for value in values if (moment := time_us(value)) is not None):
        found.append(Numbers(times, "EQ", moments))
    return found[0] if len(found) == 1 else Either(tuple(found))


def _more(asked: _Asked, fields: tuple[str, ...], comparison: str) -> Condition:
    return Numbers(fields, comparison, (asked.number(),))


def _exists(asked: _Asked) -> Condition | None:
    scope, name = asked.words
    fields = _field_names(scope, name, asked)
    return Exists(fields) if asked.values == ("",) or asked.flag() else None


def _exists_error(asked: _Asked) -> Condition | None:
    return Exists(("errorDeclaration",)) if asked.flag() else None


def _within(field: str) -> _Rule:
    return lambda asked: Within(field, tuple(map(canonical, asked.listed())))


def _has_attribute(asked: _Asked) -> Condition:
    return HasAttribute(asked.words[0], tuple(expanded(name, asked.prefixes) for name in asked.listed()))


def _attribute_is(asked: _Asked) -> Condition:
    field, name = asked.words
    return HasAttribute(field, (expanded(name, asked.prefixes),), tuple(map(indexed, asked.listed())))


def _field_names(scope: str, name: str, asked: _Asked) -> tuple[str, ...]:
    """The field as indexed. A namespace and a local name may also be joined by # (EPCIS 2.0 §8.2.7.1)."""
    standard = "ILMD" in scope or scope.startswith(("SENSORMETADATA_", "SENSORREPORT_"))
    if ":" not in name and not standard:
        raise QueryError(f"unknown parameter {asked.name}: it is none of SimpleEventQuery (EPCIS 2.0 §8.2.7.1)")
    iri = expanded(name, asked.prefixes)
    prefix = name.partition(":")[0]
    if iri == name and ":" in name and prefix not in ("http", "https", "urn"):
        raise QueryError(
            f"parameter {asked.name}: prefix {prefix!r} is not bound; bind it in the header"
            f" GS1-Extensions: {prefix}=<namespace>, or write the whole IRI"
        )
    spellings = [iri]
    if "#" in iri:
        namespace, _, local = iri.rpartition("#")
        spellings += [namespace + joint + local for joint in ("", ":", "/")]
    return tuple(indexed(scope + spelling) for spelling in spellings)


def _each(make: Callable[[str, str], _Rule], field: str, name: str, comparisons: Iterable[str]) -> dict[str, _Rule]:
    return {f"{comparison}_{name}": make(field, comparison) for comparison in comparisons}


_COMPARISONS = ("EQ", "GT", "GE", "LT", "LE")
_RANGE = ("GE", "LT")
_ANY_EPC = ("epc", "parentID", "inputEPC", "outputEPC")
_ANY_CLASS = ("epcClass", "inputEPCClass", "outputEPCClass")


def _sensor(name: str) -> tuple[str, ...]:
    """An attribute that may stand in a sensor's metadata as well as in its reports."""
    return (f"SENSORMETADATA_{name}", f"SENSORREPORT_{name}")


PARAMETERS: dict[str, _Rule] = {
    "eventType": _one_of("eventType", KINDS),
    **_each(_when, "event_time_us", "eventTime", _RANGE),
    **_each(_when, "at_us", "recordTime", _RANGE),
    "EQ_action": _one_of("action", ACTIONS),
    "EQ_bizStep": _words("bizStep"),
    "EQ_disposition": _words("disposition"),
    "EQ_persistentDisposition_set": _words("persistentDisposition_set"),
    "EQ_persistentDisposition_unset": _words("persistentDisposition_unset"),
    "EQ_readPoint": _ids("readPoint"),
    "WD_readPoint": _within("readPoint"),
    "EQ_bizLocation": _ids("bizLocation"),
    "WD_bizLocation": _within("bizLocation"),
    "EQ_transformationID": _ids("transformationID"),
    "MATCH_epc": _match("epc"),
    "MATCH_parentID": _match("parentID"),
    "MATCH_inputEPC": _match("inputEPC"),
    "MATCH_outputEPC": _match("outputEPC"),
    "MATCH_anyEPC": _match(*_ANY_EPC),
    "MATCH_epcClass": _match("epcClass"),
    "MATCH_inputEPCClass": _match("inputEPCClass"),
    "MATCH_outputEPCClass": _match("outputEPCClass"),
    "MATCH_anyEPCClass": _match(*_ANY_CLASS),
    **_each(_amount, "quantity", "quantity", _COMPARISONS),
    "EQ_eventID": _plain("eventID"),
    "EXISTS_errorDeclaration": _exists_error,
    **_each(_time, "errorDeclarationTime", "errorDeclarationTime", _RANGE),
    "EQ_errorReason": _words("errorReason"),
    "EQ_correctiveEventID": _plain("correctiveEventID"),
    **_each(_time, "SENSORMETADATA_startTime@time", "startTime", _RANGE),
    **_each(_time, "SENSORMETADATA_endTime@time", "endTime", _RANGE),
    "EQ_type": lambda asked: Texts(
        ("SENSORREPORT_type",), tuple(measurement_type(value, asked.prefixes) for value in asked.listed())
    ),
    "EQ_deviceID": _ids(*_sensor("deviceID")),
    "EQ_dataProcessingMethod": _ids(*_sensor("dataProcessingMethod")),
    "EQ_microorganism": _ids("SENSORREPORT_microorganism"),
    "EQ_chemicalSubstance": _ids("SENSORREPORT_chemicalSubstance"),
    "EQ_bizRules": _ids(*_sensor("bizRules")),
    "EQ_stringValue": _ids("SENSORREPORT_stringValue"),
    "EQ_booleanValue": _one_of("SENSORREPORT_booleanValue", ("true", "false")),
    "EQ_hexBinaryValue": _ids("SENSORREPORT_hexBinaryValue"),
    "EQ_uriValue": _ids("SENSORREPORT_uriValue"),
    **_each(_amount, "SENSORREPORT_percRank", "percRank", _RANGE),
}
"""Every parameter with a fixed name."""

_SCOPE = (
    r"((?:INNER_)?(?:ILMD|ERROR_DECLARATION|SENSORELEMENT|SENSORMETADATA|SENSORREPORT|readPoint|bizLocation)_|INNER_)?"
)

FAMILIES: tuple[tuple[re.Pattern[str], _Rule], ...] = (
    (re.compile(r"EQ_(bizTransaction|source|destination)_(.+)"), _typed),
    (re.compile(rf"(EQ|GT|GE|LT|LE)_({'|'.join(MEASURES)})_(.+)"), _measure),
    (re.compile(r"HASATTR_(readPoint|bizLocation)"), _has_attribute),
    (re.compile(r"EQATTR_(readPoint|bizLocation)_(.+)"), _attribute_is),
    (re.compile(rf"EXISTS_{_SCOPE}(.+)"), _exists),
    (re.compile(rf"(EQ|GT|GE|LT|LE)_{_SCOPE}(.+)"), _compare),
)
"""Parameters whose names go on with a type, a unit, an attribute or a field; the first that fits."""
