"""EPC pure identity patterns, `urn:epc:idpat:sgtin:4012345.044444.*`, as names and beginnings of names (EPCIS 2.0
§8.2.7.1.1, EPC Tag Data Standard §6.4)."""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import unquote

from coldchain.domain.identifiers import IdentifierError, subject_name

PATTERN = "urn:epc:idpat:"
_ANY = ".*"


class Matched(NamedTuple):
    """What a value of a MATCH_ parameter matches."""

    values: tuple[str, ...]
    starts: tuple[str, ...] = ()


class _Scheme(NamedTuple):
    parts: int
    example: str
    """URN of an instance in which the last part is 0."""
    cut: str
    """How the name of that instance ends, to be cut off."""
    company: tuple[str, ...]
    """Beginnings of names of one company; {d} is any indicator or extension digit, {p} the company prefix."""
    classes: str = ""
    """How the name of all instances of a kind begins, in lists of classes."""


_SCHEMES = {
    "sgtin": _Scheme(3, "urn:epc:id:sgtin:{}.0", "0", ("case:{d}{p}", "code:gtin/{d}{p}"), "code:gtin/"),
    "lgtin": _Scheme(3, "urn:epc:class:lgtin:{}.0", "0", ("lot:{d}{p}",)),
    "sgln": _Scheme(3, "urn:epc:id:sgln:{}.1", "1", ("loc:{p}",), "loc:"),
    "grai": _Scheme(3, "urn:epc:id:grai:{}.0", "0", ("grai:0{p}",)),
    "sscc": _Scheme(2, "", "", ("sscc:{d}{p}",)),
    "giai": _Scheme(2, "", "", ("code:giai/{p}",)),
    "pgln": _Scheme(2, "", "", ("loc:{p}",)),
}


def matched(value: str) -> Matched:
    """An identifier in any spelling, or a pattern whose last parts are `*`. Raises IdentifierError."""
    if not value.startswith(PATTERN) or "*" not in value:
        return Matched((subject_name(value.replace(PATTERN, "urn:epc:id:", 1)),))
    scheme, _, rest = value.removeprefix(PATTERN).partition(":")
    if not re.fullmatch(r"[^*\[\]]*?(\.?\*)+", rest):
        raise IdentifierError(value, len(value) - len(rest) + rest.find("*"), "* for the last parts of a pattern only")
    fixed = rest
    while fixed.endswith(_ANY):
        fixed = fixed.removesuffix(_ANY)
    known = _SCHEMES.get(scheme)
    if known is None:
        return Matched((), (f"code:{scheme}/{unquote(rest.partition('*')[0])}",))
    if fixed == "*":
        return Matched((), tuple(start.partition("{")[0] for start in known.company))
    if fixed.count(".") + 2 == known.parts and known.example:
        return _kind(known, fixed)
    if not re.fullmatch(r"[0-9]{6,12}", fixed):
        raise IdentifierError(value, value.index(fixed), "a company prefix of 6 to 12 digits")
    digits = "0123456789" if any("{d}" in start for start in known.company) else "0"
    return Matched((), tuple(start.format(d=digit, p=fixed) for start in known.company for digit in digits))


def _kind(scheme: _Scheme, fixed: str) -> Matched:
    """All instances of one trade item, lot number, place or asset type."""
    name = subject_name(scheme.example.format(fixed))
    start = name.removesuffix(scheme.cut)
    if not scheme.classes:
        return Matched((), (start,))
    key = start.partition(":")[2].removesuffix("/")
    return Matched((scheme.classes + key,), (start,))
