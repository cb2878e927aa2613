"""Numbers on papers, doors and licences (domain §2): each function takes any spelling and gives the compact value.

All raise IdentifierError, whose value is the compact one.
"""

from __future__ import annotations

import itertools
import re
from typing import NamedTuple

from coldchain.domain.identifiers.checkdigits import (
    CREDIT_CODE_ALPHABET,
    container_digit,
    credit_character,
    licence_digit,
)
from coldchain.domain.identifiers.errors import IdentifierError
from coldchain.domain.identifiers.spelling import compact, digits

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def check_container(text: str) -> str:
    """ISO 6346, with a right check digit."""
    value = compact(text)
    for place, character in enumerate(f"{value[:3]:3}"):
        if character not in _LETTERS:
            raise IdentifierError(value, place, "three capital letters (owner, ISO 6346)")
    if value[3:4] not in tuple("UJZ"):
        raise IdentifierError(value, 3, "U, J or Z (ISO 6346 category)")
    digits(value, value[4:], 4, 7)
    right = container_digit(value[:10])
    if value[10] != right:
        raise IdentifierError(value, 10, f"check digit {right} (ISO 6346)")
    return value


def declaration(text: str, year: int | None = None) -> str:
    """A customs declaration: office, year, 1 import or 0 export, serial. `year`: the current one; none is later."""
    value = compact(text)
    digits(value, value, 0, 18)
    if value[4:6] != "20":
        raise IdentifierError(value, 4, "a year from 2000 to 2099")
    if year is not None and int(value[4:8]) > year:
        raise IdentifierError(value, 4, f"a year not after {year}")
    if value[8] not in "01":
        raise IdentifierError(value, 8, "1 (import) or 0 (export)")
    return value


def hs_code(text: str) -> str:
    """A commodity code of the Chinese tariff: 10 digits, or 13 with those of the inspection."""
    value = compact(text, " -.")
    return digits(value, value, 0, 13 if len(value) > 10 else 10)


class PlantNumber(NamedTuple):
    """The number of an overseas plant, and why it may be mistyped."""

    value: str
    warning: str | None
    """None for a GACC registration, else a sentence: plants registered before 2022 have numbers of their own."""


_GACC = "a GACC registration (C, 3 letters of the country, 14 digits) or the plant's own earlier number"


def plant_number(text: str) -> PlantNumber:
    """GACC registration number of an overseas plant, or a legacy one. Raises IdentifierError for no text at all."""
    value = compact(text)
    if re.fullmatch(r"C[A-Z]{3}[0-9]{14}", value):
        return PlantNumber(value, None)
    shape = ("C", *[_LETTERS] * 3, *["0123456789"] * 14)
    fitting = itertools.takewhile(lambda pair: pair[0] in pair[1], zip(value, shape, strict=False))
    at = len(list(fitting))
    return PlantNumber(value, str(IdentifierError(value, at, f"{_GACC}; it is kept as written")))


def credit_code(text: str) -> str:
    """Unified social credit code (USCC, GB 32100)."""
    value = compact(text)
    for place, character in enumerate(value[:18]):
        if character not in CREDIT_CODE_ALPHABET:
            raise IdentifierError(value, place, "a digit or a capital letter other than I, O, S, V, Z")
    if len(value) != 18:
        raise IdentifierError(value, min(len(value), 18), f"18 characters, found {len(value)}")
    right = credit_character(value[:17])
    if value[17] != right:
        raise IdentifierError(value, 17, f"check character {right} (modulo 31)")
    return value


def food_licence(text: str) -> str:
    """Food production licence: SC, 1 food or 2 additives, and 13 digits with the check digit."""
    value = compact(text)
    if value[:2] != "SC":
        raise IdentifierError(value, 0, "SC")
    if value[2:3] not in ("1", "2"):
        raise IdentifierError(value, 2, "1 (food) or 2 (food additive)")
    digits(value, value[2:], 2, 14)
    right = licence_digit(value[2:15])
    if value[15] != right:
        raise IdentifierError(value, 15, f"check digit {right} (ISO 7064 MOD 11,10)")
    return value


PROVINCES = "京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼"
_PLATE_CHARACTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ0123456789"
"""GA 36: no I and no O in the serial."""


def plate(text: str) -> str:
    """A Chinese number plate: province, letter, then 5; 6 for new energy; 4 and 挂 for trailers.

    Cross-border trucks of Hong Kong and Macau end in 港 and 澳. A plate is personal data: never part of a subject name.
    """
    value = compact(text, " -·•.")
    if value[0] not in PROVINCES:
        raise IdentifierError(value, 0, f"a province, one of {PROVINCES}")
    if value[1:2] not in tuple(_LETTERS):
        raise IdentifierError(value, 1, "the letter of the office")
    last = value[-1] if value[-1] in "挂港澳" else ""
    serial = value[2 : len(value) - len(last)]
    if len(serial) not in ((4,) if last else (5, 6)):
        expected = f"4 characters before {last}" if last else "5 characters, or 6 for new energy"
        raise IdentifierError(value, min(len(value) - len(last), 6 if last else 8), f"{expected}, found {len(serial)}")
    for place, character in enumerate(serial, 2):
        if character not in _PLATE_CHARACTERS:
            raise IdentifierError(value, place, "a digit or a capital letter other than I and O")
    if len(serial) == 6 and not re.fullmatch(r"[A-Z][A-Z0-9][0-9]{4}|[0-9]{5}[A-Z]", serial):
        raise IdentifierError(value, 2, "a letter before 4 digits (light) or after 5 (heavy), for new energy")
    return value
