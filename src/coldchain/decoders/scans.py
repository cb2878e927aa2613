"""What a scanner sends or a person types -> subject names, and what else a label carries."""

from __future__ import annotations

import calendar
import datetime
import re
import unicodedata
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal

from coldchain.decoders.elements import FNC1, Element, elements, scanned
from coldchain.domain.identifiers import IdentifierError, check_container, subject_name
from coldchain.domain.identifiers.gs1 import gtin14
from coldchain.domain.identifiers.links import keyed_name
from coldchain.domain.identifiers.spelling import normalised

_MESSAGES = ("]C1", "]e0", "]e1", "]e2", "]d2", "]Q3", "]J1")
"""Symbology identifiers (ISO/IEC 15424) before an element string: GS1-128, DataBar, DataMatrix, QR Code, DotCode."""
_PRODUCTS = ("]E0", "]E4", "]I1")
"""Before a bare GTIN: EAN-13 and UPC, EAN-8, ITF-14."""
_UNMARKED = re.compile(r"00[0-9]{18}|0[12][0-9]{14}|41[47][0-9]{13}|80030[0-9]{13}")
"""How an element string begins that a scanner sends without symbology identifier."""
_FINDING = re.compile(r"[0-9a-f]{32}")
_EIGHTEEN = re.compile(r"[0-9]{18}")
_CONTAINER = re.compile(r"[A-Z]{4}[0-9]{7}")
_KEYS = ("00", "8003", "01", "414", "417", "8004")
"""Application identifiers of what the label is on, the outermost first."""


@dataclass(frozen=True, slots=True)
class Scan:
    """One element string. Texts are "" and the others None where the label does not say."""

    names: tuple[str, ...]
    """Subject names: first of what the label is on, then its lot or the lot it says is inside."""
    lot: str
    serial: str
    produced: str
    """(11), as 2026-01-05; 2026-01 where the label leaves the day open."""
    packed: str
    """(13), likewise."""
    best_before: str
    """(15), as 2026-01-05; the last day of the month where the label leaves the day open."""
    expires: str
    """(17), likewise."""
    net_kg: Decimal | None
    """(310n)"""
    count: int | None
    """(37) trade items inside, or (30) pieces."""
    elements: Mapping[str, str]
    """Everything, by application identifier, in order."""


def read_scan(text: str, year: int) -> Scan:
    """An element string: in brackets, or as scanned with FNC1 and with or without symbology identifier.

    year: the present one; the century of a date is the one that brings it nearest (General Specifications §7.12).
    Raises IdentifierError.
    """
    found = _message(text)
    if found is None:
        raise IdentifierError(text, 0, "an element string, such as (00)169012345000000025")
    plain, said = found
    count = said.get("37") or said.get("30")
    return Scan(
        names=_names(plain, said),
        lot=_value(said, "10"),
        serial=_value(said, "21"),
        produced=_date(plain, said, "11", year),
        packed=_date(plain, said, "13", year),
        best_before=_date(plain, said, "15", year),
        expires=_date(plain, said, "17", year),
        net_kg=_net_kg(plain, said),
        count=int(count.value) if count is not None and count.value else None,
        elements={ai: element.value for ai, element in said.items()},
    )


def named(text: str) -> str:
    """The subject name of whatever was typed or scanned. Raises IdentifierError.

    Beside all that `subject_name` takes: element strings, scans with a symbology identifier, and by themselves the
    numbers of containers, of pallets (SSCC) and of declarations.
    """
    found = _message(text)
    if found is not None:
        return _names(*found)[0]
    plain = normalised(text)
    if plain.startswith(_PRODUCTS):
        return f"code:gtin/{gtin14(plain, plain[3:], 3)}"
    if re.match(r"\][A-Za-z][0-9A-Za-z]", plain):  # a code with other contents, such as a QR Code with a Digital Link
        plain = normalised(plain[3:])
    return _number(plain) or subject_name(plain)


def subject_of(text: str) -> str:
    """The same, but the id of a finding stays what it is. Raises IdentifierError."""
    return text if _FINDING.fullmatch(text) else named(text)


def _message(text: str) -> tuple[str, dict[str, Element]] | None:
    """The text as scanned and its elements; None for what is no element string."""
    plain = unicodedata.normalize("NFKC", text).strip()
    start = 3 if plain.startswith(_MESSAGES) else 0
    unmarked = _UNMARKED.match(plain) and not _EIGHTEEN.fullmatch(plain)
    if not (start or unmarked or FNC1 in plain or plain.startswith("(")):
        return None
    plain = scanned(plain)
    return plain, elements(plain, start)


def _names(text: str, said: Mapping[str, Element]) -> tuple[str, ...]:
    values = {ai: element.value for ai, element in said.items()}
    names = [keyed_name(text, ai, values[ai], said[ai].position, values) for ai in _KEYS if ai in said]
    own_lot = {ai: values[ai] for ai in ("10",) if ai in values}
    if "01" in said and "21" in said and own_lot:
        names.append(keyed_name(text, "01", values["01"], said["01"].position, own_lot))
    if "02" in said:
        inside = {} if "01" in said else own_lot
        names.append(keyed_name(text, "01", values["02"], said["02"].position, inside))
    if not names:
        raise IdentifierError(text, 0, f"one of the keys {', '.join(f'({ai})' for ai in (*_KEYS, '02'))}")
    return tuple(names)


def _number(plain: str) -> str:
    """A number that tells by itself what it names; "" for any other text."""
    value = plain.upper().replace(" ", "").replace("-", "")
    if _CONTAINER.fullmatch(value):
        return f"cont:{check_container(value)}"
    if not _EIGHTEEN.fullmatch(value):
        return ""
    fits = []
    for form in (f"decl:{value}", f"sscc:{value}"):
        with suppress(IdentifierError):
            fits.append(subject_name(form))
    if len(fits) != 1:
        forms = (
            "decl: or sscc: before it, for both fit" if fits else "the number of a declaration, or of a pallet (SSCC)"
        )
        raise IdentifierError(value, 0, forms)
    return fits[0]


def _value(said: Mapping[str, Element], ai: str) -> str:
    return said[ai].value if ai in said else ""


def _net_kg(text: str, said: Mapping[str, Element]) -> Decimal | None:
    """The last digit of the identifier says how many digits stand behind the point."""
    weights = [element for ai, element in said.items() if ai.startswith("310")]
    if len(weights) > 1:
        raise IdentifierError(text, weights[1].position, "one net weight")
    return Decimal(weights[0].value).scaleb(-int(weights[0].ai[3])) if weights else None


def _date(text: str, said: Mapping[str, Element], ai: str, year: int) -> str:
    """ISO 8601 of a YYMMDD; day 00 is the last of the month for (15) and (17), and left out for (11) and (13)."""
    if ai not in said:
        return ""
    value, position = said[ai].value, said[ai].position
    short, month, day = int(value[:2]), int(value[2:4]), int(value[4:])
    full = year - 49 + (short - (year - 49)) % 100
    try:
        last = calendar.monthrange(full, month)[1]
        if day == 0 and ai in ("11", "13"):
            return f"{full:04d}-{month:02d}"
        return datetime.date(full, month, day or last).isoformat()
    except ValueError as error:
        raise IdentifierError(text, position, f"a date as YYMMDD ({error})") from error
