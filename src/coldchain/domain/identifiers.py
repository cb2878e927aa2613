"""Every spelling of an identifier -> its one subject name (ledger §5.1, domain §2).

Accepted: EPC URNs, GS1 Digital Links of any host, `urn:coldchain:<subject name>` and plain subject names. A URI of
another kind is kept as `code:<scheme>/…`: goods without GS1 numbers are first-class (design §9).
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Callable
from urllib.parse import unquote

MAX_NAME_BYTES = 128
"""Ledger §5.1."""

_NAME = re.compile(r"(dev|sscc|hu|grai|lot|case|code|cont|decl|bl|wb|plant|seal|veh|room|loc|doc|hold):(.+)", re.DOTALL)


class IdentifierError(ValueError):
    """A malformed identifier: the whole value, the 0-based character position at fault, and what was expected there."""

    def __init__(self, value: str, position: int, expected: str) -> None:
        super().__init__(f"{value!r} at character {position}: expected {expected}")
        self.value = value
        self.position = position
        self.expected = expected


def check_digit(body: str) -> str:
    """GS1 modulo 10 over digits without their check digit (GS1 General Specifications §7.9)."""
    total = sum(int(digit) * (3 if place % 2 == 0 else 1) for place, digit in enumerate(reversed(body)))
    return str(-total % 10)


def subject_name(identifier: str) -> str:
    """The canonical name, at most 128 bytes. Raises IdentifierError."""
    text = unicodedata.normalize("NFKC", identifier).strip()
    _printable(text)
    if text.startswith("urn:epc:"):
        name = _from_epc_urn(text)
    elif text.startswith("urn:coldchain:"):
        name = _checked_name(unquote(text[14:]), text, 14)
    elif text.startswith(("http://", "https://")):
        name = _from_digital_link(text)
    elif _NAME.fullmatch(text):
        name = _checked_name(text, text, 0)
    elif ":" in text:
        name = f"code:uri/{text}"
    else:
        raise IdentifierError(identifier, 0, "a URI or a subject name such as sscc:169012345000000025")
    _printable(name)  # %-escapes may hide what the text itself does not show
    return name if len(name.encode()) <= MAX_NAME_BYTES else f"code:sha256/{hashlib.sha256(name.encode()).hexdigest()}"


def _printable(text: str) -> None:
    """Neither empty, nor with control characters, nor with lone surrogates, which JSON carries and UTF-8 cannot."""
    if not text.isprintable() or not text:
        at = next((place for place, character in enumerate(text) if not character.isprintable()), 0)
        raise IdentifierError(text, at, "printable text")


def check_container(value: str) -> str:
    """The container number, unchanged. Raises IdentifierError unless it is ISO 6346 with a right check digit."""
    if not (found := re.match(r"[A-Z]{0,3}", value)) or found.end() < 3:
        raise IdentifierError(value, found.end() if found else 0, "three capital letters (owner, ISO 6346)")
    if value[3:4] not in tuple("UJZ"):
        raise IdentifierError(value, 3, "U, J or Z (ISO 6346 category)")
    _digits(value, value[4:], 4, 7)
    # Letters count 10, 12, 13 … with the multiples of 11 left out; each place weighs twice the one before.
    values = [int(c) if c.isdigit() else (n := ord(c) - 55) + (n - 1) // 10 for c in value[:10]]
    right = sum(worth << place for place, worth in enumerate(values)) % 11 % 10
    if int(value[10]) != right:
        raise IdentifierError(value, 10, f"check digit {right} (ISO 6346)")
    return value


def _digits(value: str, digits: str, position: int, length: int) -> None:
    for offset, character in enumerate(digits[:length]):
        if character not in "0123456789":
            raise IdentifierError(value, position + offset, f"a digit, {length} in all")
    if len(digits) != length:
        raise IdentifierError(value, position + min(len(digits), length), f"{length} digits, found {len(digits)}")


def _gs1(value: str, digits: str, position: int, length: int) -> str:
    _digits(value, digits, position, length)
    right = check_digit(digits[:-1])
    if digits[-1] != right:
        raise IdentifierError(value, position + length - 1, f"check digit {right} (GS1 modulo 10)")
    return digits


def _gtin14(value: str, digits: str, position: int) -> str:
    """GTIN-8, -12 and -13 are the same number with zeros before it."""
    if len(digits) in (8, 12, 13):
        _gs1(value, digits, position, len(digits))
        return digits.zfill(14)
    return _gs1(value, digits, position, 14)


def _text(value: str, part: str, position: int, what: str) -> str:
    """A serial, lot or extension: 1 to 20 characters after %-decoding."""
    decoded = unquote(part)
    if not 1 <= len(decoded) <= 20:
        raise IdentifierError(value, position, f"{what} of 1 to 20 characters")
    return decoded


# EPC URNs (EPC Tag Data Standard §6.3): company prefix and reference are split by a dot and carry no check digit.


def _from_epc_urn(value: str) -> str:
    match = re.fullmatch(r"urn:epc:(id|class|idpat):([a-z]+):(.*)", value)
    if match is None:
        raise IdentifierError(value, 8, "id:, class: or idpat: and a scheme in small letters")
    scheme, rest, position = match[2], match[3], match.start(3)
    reader = _EPC_SCHEMES.get((match[1], scheme))
    if reader is None:
        return f"code:{scheme}/{unquote(rest)}"
    reference, length, made = reader
    parts = rest.split(".", 2)
    if len(parts) < reference:
        raise IdentifierError(value, position + len(rest), f"{reference} parts divided by dots")
    prefix, item = parts[0], parts[1]
    _digits(value, prefix, position, len(prefix))
    if not 6 <= len(prefix) <= 12:
        raise IdentifierError(value, position, f"a company prefix of 6 to 12 digits, found {len(prefix)}")
    _digits(value, item, position + len(prefix) + 1, length - len(prefix))
    return made(value, prefix, item, parts[2] if len(parts) > 2 else "", position + len(prefix) + len(item) + 2)


def _sscc(value: str, prefix: str, reference: str, tail: str, position: int) -> str:
    if tail:
        raise IdentifierError(value, position, "nothing after the serial reference")
    body = reference[0] + prefix + reference[1:]
    return f"sscc:{body}{check_digit(body)}"


def _trade_item(prefix: str, reference: str) -> str:
    body = reference[0] + prefix + reference[1:]
    return body + check_digit(body)


def _sgtin(value: str, prefix: str, reference: str, serial: str, position: int) -> str:
    return f"case:{_trade_item(prefix, reference)}/{_text(value, serial, position, 'a serial')}"


def _gtin_class(value: str, prefix: str, reference: str, serial: str, position: int) -> str:
    if serial != "*":
        raise IdentifierError(value, position, "* in place of the serial")
    return f"code:gtin/{_trade_item(prefix, reference)}"


def _lgtin(value: str, prefix: str, reference: str, lot: str, position: int) -> str:
    return f"lot:{_trade_item(prefix, reference)}/{_text(value, lot, position, 'a lot')}"


def _sgln(value: str, prefix: str, reference: str, extension: str, position: int) -> str:
    gln = prefix + reference + check_digit(prefix + reference)
    return f"loc:{gln}" if extension == "0" else f"loc:{gln}/{_text(value, extension, position, 'an extension')}"


def _grai(value: str, prefix: str, reference: str, serial: str, position: int) -> str:
    asset = prefix + reference + check_digit(prefix + reference)
    return f"grai:0{asset}{_text(value, serial, position, 'a serial')}"


_Maker = Callable[[str, str, str, str, int], str]
_EPC_SCHEMES: dict[tuple[str, str], tuple[int, int, _Maker]] = {
    ("id", "sscc"): (2, 17, _sscc),
    ("id", "sgtin"): (3, 13, _sgtin),
    ("idpat", "sgtin"): (3, 13, _gtin_class),
    ("class", "lgtin"): (3, 13, _lgtin),
    ("id", "sgln"): (3, 12, _sgln),
    ("id", "grai"): (3, 12, _grai),
}
"""Parts, digits of company prefix and reference together, and how the name is made of them."""


# GS1 Digital Link URI syntax §4: the primary key and its qualifiers are pairs of path segments, in a fixed order.

_PRIMARY = {"00", "01", "414", "8003"}
_ORDER = ("22", "10", "21")


def _from_digital_link(value: str) -> str:
    # By hand: urlsplit raises ValueError for some hosts and drops tabs from what it returns.
    path = re.split("[?#]", value.partition("://")[2])[0].partition("/")[2]
    segments = path.strip("/").split("/")
    start = next((i for i in range(len(segments) - 1) if segments[i] in _PRIMARY), None)
    if start is None:
        return f"code:uri/{value}"
    ai, key = segments[start], unquote(segments[start + 1])
    position = value.index(f"/{ai}/{segments[start + 1]}") + len(ai) + 2
    qualifiers = _qualifiers(value, segments[start + 2 :], position + len(segments[start + 1]))
    if ai == "00":
        return f"sscc:{_gs1(value, key, position, 18)}"
    if ai == "414":
        extension = qualifiers.get("254", "")
        return f"loc:{_gs1(value, key, position, 13)}" + (f"/{extension}" if extension else "")
    if ai == "8003":
        return f"grai:{_returnable(value, key, position)}"
    gtin = _gtin14(value, key, position)
    if "21" in qualifiers:
        return f"case:{gtin}/{qualifiers['21']}"
    return f"lot:{gtin}/{qualifiers['10']}" if "10" in qualifiers else f"code:gtin/{gtin}"


def _qualifiers(value: str, segments: list[str], position: int) -> dict[str, str]:
    if len(segments) % 2:
        raise IdentifierError(value, len(value), "a value after each application identifier")
    found: dict[str, str] = {}
    last = -1
    for ai, text in zip(segments[::2], segments[1::2], strict=True):
        rank = _ORDER.index(ai) if ai in _ORDER else last
        if ai in found or rank < last:
            raise IdentifierError(value, position + 1, "qualifiers in the order 22, 10, 21, each once")
        found[ai] = _text(value, text, position + len(ai) + 2, f"({ai})")
        last, position = rank, position + len(ai) + len(text) + 2
    return found


def _returnable(value: str, key: str, position: int) -> str:
    if key[:1] != "0":
        raise IdentifierError(value, position, "0 before the 13 digits of the asset type")
    _gs1(value, key[1:14], position + 1, 13)
    if len(key) > 30:
        raise IdentifierError(value, position + 30, "a serial of at most 16 characters")
    return key


def _checked_name(name: str, value: str, offset: int) -> str:
    """A name already spelled as ledger §5.1 has it, its check digits verified."""
    match = _NAME.fullmatch(name)
    if match is None:
        raise IdentifierError(value, offset, "a subject name such as veh:TRUCK-1 or room:w1/a")
    kind, rest, position = match[1], match[2], offset + match.start(2)
    if kind == "sscc":
        _gs1(value, rest, position, 18)
    elif kind == "cont":
        try:
            check_container(rest)
        except IdentifierError as error:
            raise IdentifierError(value, position + error.position, error.expected) from error
    elif kind == "grai":
        _returnable(value, rest, position)
    elif kind == "case" or (kind == "lot" and rest.count("/") == 1):
        _gs1(value, rest.partition("/")[0], position, 14)
        if not rest.partition("/")[2]:
            raise IdentifierError(value, position + min(len(rest), 14), "/ and a serial or lot")
    elif kind == "loc" and re.fullmatch(r"[0-9]{13}(/.*)?", rest):
        _gs1(value, rest[:13], position, 13)
    return name
