"""EPC URNs -> subject names (EPC Tag Data Standard §6.3).

Company prefix and reference are split by a dot and carry no check digit; the check digit of the name is computed.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from coldchain.domain.identifiers.checkdigits import gs1_digit
from coldchain.domain.identifiers.errors import IdentifierError
from coldchain.domain.identifiers.gs1 import location
from coldchain.domain.identifiers.papers import check_container
from coldchain.domain.identifiers.spelling import decoded, digits, within

PREFIX_DIGITS = range(6, 13)
"""Lengths a GS1 company prefix has in an EPC."""

_URN = re.compile(r"(?i:urn:epc):(id|class|idpat):([a-z]+):(.*)")


def from_epc_urn(value: str) -> str:
    """The name; an EPC of a scheme without one is kept as `code:<scheme>/…`. Raises IdentifierError."""
    match = _URN.fullmatch(value)
    if match is None:
        raise IdentifierError(value, 8, "id:, class: or idpat: and a scheme in small letters")
    sort, scheme, rest = match.groups()
    position = match.start(3)
    if (sort, scheme) == ("id", "bic"):
        return f"cont:{within(check_container, value, rest, position)}"
    form = _FORMS.get((sort, scheme))
    if form is None and scheme in ("gtin", "grai"):  # names of ours, with check digits
        raise IdentifierError(value, 8, "a scheme of EPC: sgtin, lgtin or grai with a serial or a *")
    if form is None:
        return f"code:{scheme}/{decoded(value, rest, position, 'an EPC', len(value))}"
    parts = rest.split(".", 2 if form.digits else 1)
    if len(parts) < form.parts:
        raise IdentifierError(value, position + len(rest), f"{form.parts} parts divided by dots")
    prefix, item, tail = parts[0], parts[1], parts[2] if len(parts) > 2 else ""
    digits(value, prefix, position, len(prefix))
    if len(prefix) not in PREFIX_DIGITS:
        raise IdentifierError(value, position, f"a company prefix of 6 to 12 digits, found {len(prefix)}")
    position += len(prefix) + 1
    if form.digits:
        digits(value, item, position, form.digits - len(prefix))
    return form.name(value, prefix, item, tail, position + len(item) + 1)


def _leading(prefix: str, reference: str) -> str:
    """The indicator or extension digit stands first in the key and first in the reference."""
    body = reference[0] + prefix + reference[1:]
    return body + gs1_digit(body)


def _trailing(prefix: str, reference: str) -> str:
    return prefix + reference + gs1_digit(prefix + reference)


def _sscc(value: str, prefix: str, reference: str, tail: str, position: int) -> str:
    if tail:
        raise IdentifierError(value, position, "nothing after the serial reference")
    return f"sscc:{_leading(prefix, reference)}"


def _sgtin(value: str, prefix: str, reference: str, tail: str, position: int) -> str:
    return f"case:{_leading(prefix, reference)}/{decoded(value, tail, position, 'a serial')}"


def _lgtin(value: str, prefix: str, reference: str, tail: str, position: int) -> str:
    return f"lot:{_leading(prefix, reference)}/{decoded(value, tail, position, 'a lot')}"


def _gtin(value: str, prefix: str, reference: str, tail: str, position: int) -> str:
    return f"code:gtin/{_leading(prefix, reference)}{_any_serial(value, tail, position)}"


def _sgln(value: str, prefix: str, reference: str, tail: str, position: int) -> str:
    return location(_trailing(prefix, reference), decoded(value, tail, position, "an extension"))


def _pgln(value: str, prefix: str, reference: str, tail: str, position: int) -> str:
    if tail:
        raise IdentifierError(value, position, "nothing after the party reference")
    return location(_trailing(prefix, reference), "")


def _grai(value: str, prefix: str, reference: str, tail: str, position: int) -> str:
    return f"grai:0{_trailing(prefix, reference)}{decoded(value, tail, position, 'a serial', 16)}"


def _asset_type(value: str, prefix: str, reference: str, tail: str, position: int) -> str:
    return f"code:grai/0{_trailing(prefix, reference)}{_any_serial(value, tail, position)}"


def _giai(value: str, prefix: str, reference: str, tail: str, position: int) -> str:
    start = position - len(reference) - 1
    return f"code:giai/{prefix}{decoded(value, reference, start, 'an asset reference', 30 - len(prefix))}"


def _any_serial(value: str, tail: str, position: int) -> str:
    if tail != "*":
        raise IdentifierError(value, position, "* in place of the serial")
    return ""


class _Form(NamedTuple):
    parts: int
    digits: int
    """Of company prefix and reference together; 0 where the reference is text."""
    name: Callable[[str, str, str, str, int], str]


_FORMS = {
    ("id", "sscc"): _Form(2, 17, _sscc),
    ("id", "sgtin"): _Form(3, 13, _sgtin),
    ("idpat", "sgtin"): _Form(3, 13, _gtin),
    ("class", "lgtin"): _Form(3, 13, _lgtin),
    ("id", "sgln"): _Form(3, 12, _sgln),
    ("id", "pgln"): _Form(2, 12, _pgln),
    ("id", "grai"): _Form(3, 12, _grai),
    ("idpat", "grai"): _Form(3, 12, _asset_type),
    ("id", "giai"): _Form(2, 0, _giai),
}
