"""Every spelling of an identifier -> its one subject name (ledger §5.1, domain §2)."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from functools import lru_cache

from coldchain.domain.identifiers import gs1
from coldchain.domain.identifiers.epc import from_epc_urn
from coldchain.domain.identifiers.errors import IdentifierError
from coldchain.domain.identifiers.goods import MAX_NAME_BYTES, lot_of_plant
from coldchain.domain.identifiers.links import from_digital_link
from coldchain.domain.identifiers.papers import check_container, declaration
from coldchain.domain.identifiers.seals import seal_number
from coldchain.domain.identifiers.spelling import decoded, normalised, within

PRIVATE = "urn:coldchain:"
"""The URI of a name without GS1 number is this and the name."""

_NAME = re.compile(r"(?i)(dev|sscc|hu|grai|lot|case|code|cont|decl|bl|wb|plant|seal|veh|room|loc|doc|hold):(.+)")
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:.+")

_REMEMBERED = 16_384
"""Parents, places and lots recur within one document."""
_REMEMBERED_LENGTH = 128
"""Longer texts are not kept: nobody fills the memory by sending them."""


def subject_name(identifier: str) -> str:
    """The canonical name, at most 128 bytes. Raises IdentifierError.

    Accepted: EPC URNs, GS1 Digital Links of any host, `urn:coldchain:<name>` and plain names. A URI of another kind is
    kept as `code:<scheme>/…`, one too long for a name as `code:sha256/…`.
    """
    return _remembered(identifier) if len(identifier) <= _REMEMBERED_LENGTH else _canonical(identifier)


def _canonical(identifier: str) -> str:
    text = normalised(identifier)
    name = _read(text)
    if len(name) * 4 <= MAX_NAME_BYTES or len(name.encode()) <= MAX_NAME_BYTES:
        return name
    return f"code:sha256/{hashlib.sha256(name.encode()).hexdigest()}"


_remembered = lru_cache(maxsize=_REMEMBERED)(_canonical)


def _read(text: str) -> str:
    scheme = text[:8].lower()  # RFC 3986 §3.1: in either case
    if scheme == "urn:epc:":
        return from_epc_urn(text)
    if scheme.startswith(("https://", "http://")):
        return from_digital_link(text)
    if text[: len(PRIVATE)].lower() == PRIVATE:
        rest = text[len(PRIVATE) :]
        return _checked(decoded(text, rest, len(PRIVATE), "a subject name", len(text)), text, len(PRIVATE))
    if _NAME.fullmatch(text):
        return _checked(text, text, 0)
    if _URI.fullmatch(text):
        return f"code:uri/{text}"
    raise IdentifierError(text, 0, "a URI or a subject name such as sscc:169012345000000025")


def _checked(name: str, value: str, offset: int) -> str:
    """A name already spelled as ledger §5.1 has it, its check digits verified; `offset`: where it begins in `value`."""
    match = _NAME.fullmatch(name)
    if match is None:
        raise IdentifierError(value, offset, "a subject name such as veh:TRUCK-1 or room:w1/a")
    kind, rest = match[1].lower(), match[2].strip()
    position = offset + match.start(2)
    check = _CHECKS.get(kind)
    if not rest:
        raise IdentifierError(value, position, f"what {kind}: names")
    return f"{kind}:{rest}" if check is None else check(value, rest, position)


def _sscc(value: str, rest: str, position: int) -> str:
    return f"sscc:{gs1.key(value, rest, position, gs1.SSCC)}"


def _grai(value: str, rest: str, position: int) -> str:
    return f"grai:{gs1.returnable(value, rest, position)}"


def _case(value: str, rest: str, position: int) -> str:
    gtin, serial = _halves(value, rest, position, "a GTIN of 14 digits, / and a serial")
    return f"case:{gs1.key(value, gtin, position, 14)}/{serial}"


def _lot(value: str, rest: str, position: int) -> str:
    """A first part of 14 digits is a GTIN: no plant has such a number."""
    first, others = _halves(value, rest, position, "/ and a lot")
    if len(first) == 14 and first.isdecimal():
        return f"lot:{gs1.key(value, first, position, 14)}/{others}"
    if "/" not in others:
        expected = "a GTIN of 14 digits and a lot, or plant/product/lot or date as printed"
        raise IdentifierError(value, position, expected)
    product, printed = _halves(value, others, position + len(first) + 1, "plant/product/lot or date as printed")
    return lot_of_plant(first, product, printed)


def _loc(value: str, rest: str, position: int) -> str:
    gln, _, extension = rest.partition("/")
    if len(gln) != gs1.GLN or not gln.isdecimal():
        return f"loc:{rest}"
    return gs1.location(gs1.key(value, gln, position, gs1.GLN), extension.strip())


def _code(value: str, rest: str, position: int) -> str:
    scheme, code = _halves(value, rest, position, "a scheme, / and a code")
    if scheme == "gtin":
        gs1.key(value, code, position + 5, 14)
    elif scheme == "grai":
        gs1.asset_type(value, code, position + 5)
    return f"code:{scheme}/{code}"


def _hu(value: str, rest: str, position: int) -> str:
    return "hu:{}/{}".format(*_halves(value, rest, position, "an organisation, / and its own number"))


def _seal(value: str, rest: str, position: int) -> str:
    issuer, number = _halves(value, rest, position, "an issuer, / and a seal number")
    return f"seal:{issuer}/{within(seal_number, value, number, position + len(issuer) + 1)}"


def _cont(value: str, rest: str, position: int) -> str:
    return f"cont:{within(check_container, value, rest, position)}"


def _decl(value: str, rest: str, position: int) -> str:
    return f"decl:{within(declaration, value, rest, position)}"


def _halves(value: str, rest: str, position: int, expected: str) -> tuple[str, str]:
    first, slash, second = (part.strip() for part in rest.partition("/"))
    if not (first and second):
        raise IdentifierError(value, position + (len(first) if not slash or first else 0), expected)
    return first, second


_CHECKS: dict[str, Callable[[str, str, int], str]] = {
    "sscc": _sscc,
    "grai": _grai,
    "case": _case,
    "lot": _lot,
    "loc": _loc,
    "code": _code,
    "hu": _hu,
    "seal": _seal,
    "cont": _cont,
    "decl": _decl,
}
