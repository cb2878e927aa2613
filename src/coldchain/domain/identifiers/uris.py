"""Subject names -> the URIs that other systems read: GS1 Digital Link, EPC URN, or a private one."""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import quote

from coldchain.domain.identifiers.epc import PREFIX_DIGITS
from coldchain.domain.identifiers.errors import IdentifierError
from coldchain.domain.identifiers.names import PRIVATE, subject_name

_EPC_PLAIN = "!'()*+,-.:;=_"
"""Characters of a serial that an EPC URN shows as they are, beside letters and digits (EPC Tag Data Standard §6.3)."""


class _Key(NamedTuple):
    kind: str
    digits: str
    tail: str
    """Serial, lot or extension; "" where there is none."""


def digital_link(name: str) -> str:
    """The canonical GS1 Digital Link of a name with a GS1 key. Raises IdentifierError where it has none."""
    key = _key(subject_name(name))
    if key is None:
        raise IdentifierError(
            name, 0, "a name with a GS1 key (sscc, case, lot with GTIN, loc with GLN, grai, code:gtin)"
        )
    tail = quote(key.tail, safe="")
    path = {
        "sscc": f"00/{key.digits}",
        "case": f"01/{key.digits}/21/{tail}",
        "lot": f"01/{key.digits}/10/{tail}",
        "loc": f"414/{key.digits}" + (f"/254/{tail}" if tail else ""),
        "grai": f"8003/{key.digits}{tail}",
        "code:gtin": f"01/{key.digits}",
        "code:grai": f"8003/{key.digits}",
        "code:giai": f"8004/{tail}",
    }
    return f"https://id.gs1.org/{path[key.kind]}"


def uri(name: str) -> str:
    """A URI that leads back to the name: the Digital Link, or `urn:coldchain:<name>`. Raises IdentifierError."""
    canonical = subject_name(name)
    return PRIVATE + quote(canonical, safe="!*'(),:;/") if _key(canonical) is None else digital_link(canonical)


def epc_urn(name: str, prefix_length: int | None = None) -> str:
    """The EPC URN of a name with a GS1 key, or of a container.

    prefix_length: digits of the GS1 company prefix, which no name and no Digital Link tells. Raises IdentifierError
    without it, and where the name has no EPC.
    """
    canonical = subject_name(name)
    if canonical.startswith("cont:"):
        return f"urn:epc:id:bic:{canonical[5:]}"
    key = _key(canonical)
    if key is None:
        raise IdentifierError(name, 0, "a name with a GS1 key or a container")
    if prefix_length is None or prefix_length not in PREFIX_DIGITS:
        expected = "the length of its company prefix, 6 to 12 digits, which the name does not tell"
        raise IdentifierError(name, 0, f"{expected}, found {prefix_length}")
    return _epc(name, key, prefix_length)


def _epc(name: str, key: _Key, length: int) -> str:
    if key.kind == "code:giai":
        return f"urn:epc:id:giai:{_asset(name, key.tail, length)}"
    digits, tail = key.digits, quote(key.tail, safe=_EPC_PLAIN)
    prefix, rest = digits[1 : 1 + length], digits[1 + length : -1]
    forms = {
        "sscc": f"id:sscc:{prefix}.{digits[0]}{rest}",
        "case": f"id:sgtin:{prefix}.{digits[0]}{rest}.{tail}",
        "lot": f"class:lgtin:{prefix}.{digits[0]}{rest}.{tail}",
        "loc": f"id:sgln:{digits[:length]}.{digits[length:-1]}.{tail or '0'}",
        "grai": f"id:grai:{prefix}.{rest}.{tail}",
        "code:gtin": f"idpat:sgtin:{prefix}.{digits[0]}{rest}.*",
        "code:grai": f"idpat:grai:{prefix}.{rest}.*",
    }
    return f"urn:epc:{forms[key.kind]}"


def _asset(name: str, asset: str, length: int) -> str:
    prefix, reference = asset[:length], asset[length:]
    if not (prefix.isdecimal() and prefix.isascii() and reference):
        raise IdentifierError(name, 0, f"an asset that begins with the {length} digits of its company")
    return f"{prefix}.{quote(reference, safe=_EPC_PLAIN)}"


def _key(name: str) -> _Key | None:
    """The GS1 key in a canonical name, None for one without."""
    kind, _, rest = name.partition(":")
    if kind == "code":
        scheme, _, rest = rest.partition("/")
        if scheme == "giai":
            return _Key("code:giai", "", rest)
        return _Key(f"code:{scheme}", rest, "") if scheme in ("gtin", "grai") else None
    if kind == "grai":
        return _Key(kind, rest[:14], rest[14:])
    digits, _, tail = rest.partition("/")
    length = {"sscc": 18, "case": 14, "lot": 14, "loc": 13}.get(kind)
    return _Key(kind, digits, tail) if len(digits) == length and digits.isdecimal() else None
