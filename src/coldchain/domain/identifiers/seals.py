"""Seal numbers: who put the seal on and how strong it is belong to its identity (domain §2)."""

from __future__ import annotations

import re
from typing import NamedTuple

from coldchain.domain.identifiers.errors import IdentifierError
from coldchain.domain.identifiers.spelling import compact, normalised

CLASSES = ("H", "S", "I")
"""High security, security, indicative (ISO 17712)."""

UNNUMBERED = "unnumbered"
"""Paper or tape: told apart by its photo alone."""

_NUMBER = re.compile(r"[A-Z0-9]{4,20}")


class Seal(NamedTuple):
    """One seal as a paper states it."""

    number: str
    """`[A-Z0-9]{4,20}` or `unnumbered`."""
    issuer: str
    grade: str
    """`H`, `S` or `I`."""

    @property
    def name(self) -> str | None:
        """`seal:<issuer>/<number>`; None for an unnumbered one, which cannot be recognised elsewhere."""
        return None if self.number == UNNUMBERED else f"seal:{self.issuer}/{self.number}"


def seal(number: str, issuer: str, grade: str) -> Seal:
    """The seal under its compact number. Raises IdentifierError."""
    stated = normalised(issuer)
    if "/" in stated:
        raise IdentifierError(stated, stated.index("/"), "an issuer without /")
    strength = compact(grade)
    if strength not in CLASSES:
        raise IdentifierError(strength, 0, "H (high security), S (security) or I (indicative)")
    return Seal(seal_number(number), stated, strength)


def seal_number(text: str) -> str:
    """The compact number, or `unnumbered`. Raises IdentifierError."""
    value = compact(text)
    if value == UNNUMBERED.upper():
        return UNNUMBERED
    for place, character in enumerate(value[:20]):
        if not _NUMBER.fullmatch(character * 4):
            raise IdentifierError(value, place, "a capital letter or digit")
    if not 4 <= len(value) <= 20:
        raise IdentifierError(value, min(len(value), 20), f"4 to 20 letters and digits, found {len(value)}")
    return value


def one_misread_apart(a: str, b: str) -> bool:
    """Whether one character read wrongly, left out or added makes one number the other.

    Such a difference is asked about and is no B3 (domain §2). Equal numbers, and `unnumbered`, are never one apart.
    """
    if a == b or UNNUMBERED in (a, b) or abs(len(a) - len(b)) > 1:
        return False
    short, long = sorted((a, b), key=len)
    same = next((place for place, pair in enumerate(zip(short, long, strict=False)) if pair[0] != pair[1]), len(short))
    return short[same + (len(short) == len(long)) :] == long[same + 1 :]
