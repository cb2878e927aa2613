"""Our own extension fields, `urn:coldchain:vocabulary:`: what each holds (docs/epcis-validation.md)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from coldchain.decoders import epcis_checks as check
from coldchain.decoders.epcis_checks import Check, Findings, shown
from coldchain.decoders.epcis_vocabulary import UNITS
from coldchain.domain.identifiers import IdentifierError, hs_code, subject_name

_MAX_TEXT = 256


def _text(value: Any, pointer: str, found: Findings) -> None:
    check.text(value, pointer, found)
    if isinstance(value, str) and len(value) > _MAX_TEXT:
        found.fault(pointer, f"expected at most {_MAX_TEXT} characters, found {len(value)}")


def _hs(value: Any, pointer: str, found: Findings) -> None:
    try:
        if isinstance(value, str) and hs_code(value):
            return
    except IdentifierError as error:
        found.fault(pointer, str(error))
        return
    found.fault(pointer, f"expected a customs code, found {shown(value)}")


def _board(value: Any, pointer: str, found: Findings) -> None:
    try:
        if isinstance(value, str) and subject_name(value).startswith("grai:"):
            return
    except IdentifierError as error:
        found.fault(pointer, str(error))
        return
    found.fault(pointer, f"expected the GRAI of a pallet board, found {shown(value)}")


def _count(value: Any, pointer: str, found: Findings) -> None:
    if type(value) is not int or not 0 <= value < check.LIMIT:
        found.fault(pointer, f"expected a whole number of cases, found {shown(value)}")


def _weight(value: Any, pointer: str, found: Findings) -> None:
    _WEIGHT(value, pointer, found)
    if isinstance(value, dict):
        if check.is_number(value.get("value")) and value["value"] < 0:
            found.fault(f"{pointer}/value", f"expected no weight below zero, found {shown(value['value'])}")
        if isinstance(value.get("uom"), str) and value["uom"] not in UNITS["Mass"]:
            found.fault(f"{pointer}/uom", f"expected a unit of Mass such as KGM, found {shown(value['uom'])}")


def _object(what: str, fields: Mapping[str, Check], required: tuple[str, ...]) -> Check:
    """Members beyond these are whoever's, and left alone."""

    def checked(value: Any, pointer: str, found: Findings) -> None:
        if not isinstance(value, dict):
            found.fault(pointer, f"expected an object, found {shown(value)}")
            return
        for name, one in fields.items():
            if name in value:
                one(value[name], f"{pointer}/{name}", found)
            elif name in required:
                found.fault(f"{pointer}/{name}", f"expected in {what}, found nothing")

    return checked


_WEIGHT = _object("a weight", {"value": check.number, "uom": check.any_text}, ("value", "uom"))
_SEAL = _object(
    "a seal",
    {
        "seal": _text,
        "issuer": _text,
        "class": check.one_of("H", "S", "I"),
        "act": check.one_of("applied", "checked", "removed"),
        "state": check.one_of("intact", "broken", "absent", "duplicate"),
        "unit": check.identifier,
    },
    ("seal", "act"),
)
_CARTON = _object(
    "a carton",
    {
        "case": check.identifier,
        "state": check.one_of("intact", "opened", "tape-broken", "inner-missing", "re-taped"),
        "inner": check.list_of(check.identifier),
    },
    ("case", "state"),
)
_GOODS = _object("goods", {"item": check.identifier, "hs": _hs, "product": _text}, ("item",))
FIELDS: Mapping[str, Check] = {
    "goods": check.list_of(_GOODS),
    "hs": _hs,
    "product": _text,
    "seals": check.list_of(_SEAL),
    "leg": check.one_of("palletised", "loose", "unstated"),
    "board": _board,
    "count": _count,
    "grossWeight": _weight,
    "cartons": check.list_of(_CARTON),
    "linkedFrom": check.list_of(check.identifier),
    **dict.fromkeys(("contractingCarrier", "actualCarrier", "vehicle", "trailer", "driver"), _text),
}
"""By local name; a field that is not among them is kept and not looked into."""


def _names(value: Any) -> Any:
    return [subject_name(one) for one in value]


def _seals(value: Any) -> Any:
    return [{**one, "unit": subject_name(one["unit"])} if "unit" in one else one for one in value]


def _cartons(value: Any) -> Any:
    return [
        {**one, "case": subject_name(one["case"]), **({"inner": _names(one["inner"])} if "inner" in one else {})}
        for one in value
    ]


def _goods(value: Any) -> Any:
    return [
        {**one, "item": subject_name(one["item"]), **({"hs": hs_code(one["hs"])} if "hs" in one else {})}
        for one in value
    ]


_CANONICAL: Mapping[str, Callable[[Any], Any]] = {
    "board": subject_name,
    "goods": _goods,
    "hs": hs_code,
    "seals": _seals,
    "cartons": _cartons,
    "linkedFrom": _names,
}


def canonical(name: str, value: Any) -> Any:
    """A valid field's value with every identifier under its canonical name."""
    return _CANONICAL[name](value) if name in _CANONICAL else value
