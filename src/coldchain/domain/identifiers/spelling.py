"""What people, spreadsheets and scanners do to a number, undone before anything is checked (domain §2)."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from urllib.parse import unquote

from coldchain.domain.identifiers.errors import IdentifierError


def normalised(text: str) -> str:
    """NFKC (full-width digits become digits), no blanks around it; printable, not empty. Raises IdentifierError.

    Not printable: control characters, invisible ones, and lone surrogates, which JSON carries and UTF-8 cannot.
    """
    plain = (text if text.isascii() else unicodedata.normalize("NFKC", text)).strip()
    if not plain.isprintable() or not plain:
        at = next((place for place, character in enumerate(plain) if not character.isprintable()), 0)
        raise IdentifierError(plain, at, "printable text")
    return plain


def compact(text: str, separators: str = " -") -> str:
    """The value to check and to store: capitals, without what only separates groups for the eye."""
    plain = normalised(text).upper()
    value = plain.translate(dict.fromkeys(map(ord, separators)))
    if not value:
        raise IdentifierError(plain, 0, "letters or digits")
    return value


def digits(value: str, part: str, position: int, length: int) -> str:
    """`part`, which stands in `value` at `position`: exactly `length` ASCII digits. Raises IdentifierError."""
    if len(part) == length and part.isascii() and (part.isdecimal() or not part):
        return part
    for offset, character in enumerate(part[:length]):
        if character not in "0123456789":
            raise IdentifierError(value, position + offset, f"a digit, {length} in all")
    raise IdentifierError(value, position + min(len(part), length), f"{length} digits, found {len(part)}")


def within(check: Callable[[str], str], value: str, part: str, position: int) -> str:
    """A check of `part` by itself, its error telling the place in `value`, exact where the part is compact."""
    try:
        return check(part)
    except IdentifierError as error:
        raise IdentifierError(value, position + error.position, error.expected) from error


def decoded(value: str, part: str, position: int, what: str, longest: int = 20) -> str:
    """A serial, lot or extension with its %-escapes undone: 1 to `longest` characters. Raises IdentifierError."""
    plain = part.strip()
    if "%" in part:
        try:
            plain = normalised(unquote(part, errors="strict"))
        except UnicodeDecodeError as error:
            raise IdentifierError(value, position + part.index("%"), "UTF-8 behind the % signs") from error
        except IdentifierError as error:
            raise IdentifierError(value, position, f"{what} of 1 to {longest} printable characters") from error
    if not 1 <= len(plain) <= longest:
        raise IdentifierError(value, position, f"{what} of 1 to {longest} characters")
    return plain
