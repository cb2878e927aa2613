"""Element strings: application identifier and value, again and again (GS1 General Specifications §3, §7.8).

biip brings the table of application identifiers, its patterns and nothing else. Its message parser makes two elements
of a batch number of more than 20 characters, drops what follows a bracket inside a value, takes the century from the
wall clock and tells a wrong check digit only on the side.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from coldchain.domain.identifiers import IdentifierError
from coldchain.domain.identifiers.spelling import digits

if TYPE_CHECKING:
    from biip.gs1_application_identifiers import GS1ApplicationIdentifier

FNC1 = "\x1d"
"""What scanners send for the function character that ends a value of variable length."""

MAX_SCAN = 7_089
"""Characters in the largest QR code there is."""

_BRACKETED = re.compile(r"\(([0-9]{2,4})\)")


class Element(NamedTuple):
    """One application identifier with its value, and where the value begins in the scanned text."""

    ai: str
    value: str
    position: int


def scanned(text: str) -> str:
    """The text as scanned, full-width characters made plain. Raises IdentifierError for characters no code carries."""
    plain = unicodedata.normalize("NFKC", text).strip()
    if len(plain) > MAX_SCAN:
        raise IdentifierError(
            f"{plain[:40]}…", MAX_SCAN, f"at most {MAX_SCAN:,} characters, what the largest code holds"
        )
    for place, character in enumerate(plain):
        if not (character.isascii() and character.isprintable()) and character != FNC1:
            raise IdentifierError(plain, place, "a printable ASCII character or FNC1")
    return plain


def elements(text: str, start: int = 0) -> dict[str, Element]:
    """The elements of `text[start:]` by identifier, in order; brackets around identifiers, or FNC1 behind values.

    Raises IdentifierError; the same identifier twice must say the same.
    """
    found: dict[str, Element] = {}
    for element in (_bracketed if text.startswith("(", start) else _raw)(text, start):
        first = found.setdefault(element.ai, element)
        if first.value != element.value:
            raise IdentifierError(text, element.position, f"({element.ai}) to say {first.value!r}, as before")
    return found


def _bracketed(text: str, start: int) -> Iterator[Element]:
    """As printed below the bars, blanks between groups of digits allowed. Brackets in a value are no identifiers."""
    heads = list(_BRACKETED.finditer(text, start))
    if not heads or heads[0].start() != start:
        raise IdentifierError(text, start, "an application identifier in brackets, such as (00)")
    for head, end in zip(heads, [*(head.start() for head in heads[1:]), len(text)], strict=True):
        known = _identifier(text, head[1], head.start() + 1)
        if known.ai != head[1]:
            raise IdentifierError(text, head.start() + 1, f"an application identifier, such as {known.ai}")
        value = re.sub(rf"[ {FNC1}]", "", text[head.end() : end])
        if not re.fullmatch(known.pattern, known.ai + value):
            raise _misfit(text, known, value, head.end())
        yield Element(known.ai, value, head.end())


def _raw(text: str, start: int) -> Iterator[Element]:
    """As a scanner sends it: FNC1 behind every value of variable length but the last."""
    position = start
    while position < len(text):
        if text[position] == FNC1:  # General Specifications §7.8.6: allowed behind any element
            position += 1
            continue
        known = _identifier(text, text[position : position + 4], position)
        value_at = position + len(known.ai)
        end = text.find(FNC1, value_at)
        end = len(text) if end < 0 else end
        match = re.match(known.pattern.removesuffix("$"), text[position:end])
        if match is None:
            raise _misfit(text, known, text[value_at:end], value_at)
        position += match.end()
        if known.separator_required and position < end:
            raise IdentifierError(text, position, f"FNC1 or the end behind ({known.ai}), format {known.format}")
        yield Element(known.ai, text[value_at:position], value_at)


def _identifier(text: str, head: str, position: int) -> GS1ApplicationIdentifier:
    """The one that `head` begins with; no identifier begins another."""
    from biip import ParseError
    from biip.gs1_application_identifiers import GS1ApplicationIdentifier

    try:
        return GS1ApplicationIdentifier.extract(head)
    except ParseError as error:
        raise IdentifierError(text, position, "an application identifier") from error


def _misfit(text: str, known: GS1ApplicationIdentifier, value: str, position: int) -> IdentifierError:
    """Where a value of so many digits goes wrong; of others, where it begins."""
    fixed = re.fullmatch(r"N\d\+N(\d+)", known.format)
    if fixed is not None:
        try:
            digits(text, value, position, int(fixed[1]))
        except IdentifierError as error:
            return error
    return IdentifierError(text, position, f"{known.description} ({known.ai}), format {known.format}")
