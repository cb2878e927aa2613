"""GS1 keys: the digits of each and their check digit (GS1 General Specifications §3)."""

from __future__ import annotations

from coldchain.domain.identifiers.checkdigits import gs1_digit
from coldchain.domain.identifiers.errors import IdentifierError
from coldchain.domain.identifiers.spelling import digits

SSCC, GLN = 18, 13
_GTINS = (8, 12, 13)


def key(value: str, part: str, position: int, length: int) -> str:
    """`part`, which stands in `value` at `position`: digits, the last one right. Raises IdentifierError."""
    digits(value, part, position, length)
    right = gs1_digit(part[:-1])
    if part[-1] != right:
        raise IdentifierError(value, position + length - 1, f"check digit {right} (GS1 modulo 10)")
    return part


def gtin14(value: str, part: str, position: int) -> str:
    """GTIN-8, -12 and -13 are the same number with zeros before it."""
    if len(part) in _GTINS:
        return key(value, part, position, len(part)).zfill(14)
    return key(value, part, position, 14)


def asset_type(value: str, part: str, position: int) -> str:
    """The first 14 digits of a GRAI: 0, then 13 with their check digit."""
    if part[:1] != "0":
        raise IdentifierError(value, position, "0 before the 13 digits of the asset type")
    key(value, part[1:14], position + 1, 13)
    return part[:14]


def returnable(value: str, part: str, position: int) -> str:
    """A GRAI: its serial tells this board from the others of its type."""
    asset_type(value, part, position)
    if not 15 <= len(part) <= 30:
        at = position + min(len(part), 30)
        raise IdentifierError(value, at, f"a serial of 1 to 16 characters, found {len(part) - 14}")
    return part


def location(gln: str, extension: str) -> str:
    """`loc:` name of a GLN; the extension 0 says that there is none (EPC Tag Data Standard, SGLN)."""
    return f"loc:{gln}" if extension in ("", "0") else f"loc:{gln}/{extension}"
