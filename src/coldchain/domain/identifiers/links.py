"""GS1 Digital Links of any host -> subject names (GS1 Digital Link URI syntax §4).

The primary key and its qualifiers are pairs of path segments, the qualifiers in a fixed order.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from coldchain.domain.identifiers import gs1
from coldchain.domain.identifiers.checkdigits import gs1_digit
from coldchain.domain.identifiers.errors import IdentifierError
from coldchain.domain.identifiers.spelling import decoded

_LINK = re.compile(r"(?i:https?)://([^/?#]*)([^?#]*)")
"""By hand: urlsplit raises ValueError for some hosts."""

_PLAIN = re.compile(r"https://[^/?#]*/(?:00/([0-9]{18})|01/([0-9]{14})/(10|21)/([^/?#% ]{1,20}))")
"""The links that nearly all events carry, read at once."""

_QUALIFIERS = {
    "00": (),
    "01": ("22", "10", "21", "235"),
    "414": ("254",),
    "417": ("7040",),
    "8003": (),
    "8004": (),
}
"""Of each primary key, in their order."""


def from_digital_link(value: str) -> str:
    """The name; a web address that is no Digital Link is kept as `code:uri/…`. Raises IdentifierError."""
    if plain := _PLAIN.fullmatch(value):
        sscc, gtin, ai, tail = plain.groups()
        key = sscc or gtin
        if key[-1] == gs1_digit(key[:-1]):
            return f"sscc:{sscc}" if sscc else f"{'case' if ai == '21' else 'lot'}:{gtin}/{tail}"
    match = _LINK.match(value)
    if match is None:
        raise IdentifierError(value, 0, "an address that begins http:// or https://")
    segments = match[2].rstrip("/").split("/")
    start = _key_at(match[1], segments)
    if start is None:
        return f"code:uri/{value}"
    ai, part = segments[start], segments[start + 1]
    position = match.start(2) + sum(map(len, segments[: start + 1])) + start + 1
    key = decoded(value, part, position, f"({ai})", 30)
    said = _qualifiers(value, ai, segments[start + 2 :], position + len(part))
    return keyed_name(value, ai, key, position, said)


def _key_at(host: str, segments: Sequence[str]) -> int | None:
    """On GS1's own host a segment 01 is a key; elsewhere /2026/01/report is no GTIN until it looks like one."""
    at_gs1 = host.lower() == "id.gs1.org"
    for place, segment in enumerate(segments[:-1]):
        if segment in _QUALIFIERS:
            head = segments[place + 1][: 6 if segment == "8004" else 8]
            if at_gs1 or (head.isdecimal() and len(head) >= 6 + 2 * (segment != "8004")):
                return place
    return None


def _qualifiers(value: str, key_ai: str, segments: Sequence[str], position: int) -> dict[str, str]:
    order = _QUALIFIERS[key_ai]
    found: dict[str, str] = {}
    least = 0
    for ai, text in zip(segments[::2], segments[1::2], strict=False):
        if ai not in order[least:]:
            wanted = f"qualifiers in the order {', '.join(order)}, each once" if order else f"nothing after ({key_ai})"
            raise IdentifierError(value, position + 1, wanted)
        found[ai] = decoded(value, text, position + len(ai) + 2, f"({ai})", 28 if ai == "235" else 20)
        least = order.index(ai) + 1
        position += len(ai) + len(text) + 2
    if len(segments) % 2:
        raise IdentifierError(value, len(value), "a value after each application identifier")
    return found


def keyed_name(value: str, ai: str, key: str, position: int, said: Mapping[str, str]) -> str:
    """The name of a primary key, which stands in `value` at `position`, with what its qualifiers say by identifier."""
    if ai == "00":
        return f"sscc:{gs1.key(value, key, position, gs1.SSCC)}"
    if ai in ("414", "417"):
        return gs1.location(gs1.key(value, key, position, gs1.GLN), said.get("254", ""))
    if ai == "8003":
        bare = len(key) == 14
        return (
            f"code:grai/{gs1.asset_type(value, key, position)}"
            if bare
            else f"grai:{gs1.returnable(value, key, position)}"
        )
    if ai == "8004":
        return f"code:giai/{key}"
    return trade_item(gs1.gtin14(value, key, position), said.get("21", ""), said.get("10", ""))


def trade_item(gtin: str, serial: str, lot: str) -> str:
    """The narrowest name there is: the case, else the lot, else what is traded under the GTIN."""
    if serial:
        return f"case:{gtin}/{serial}"
    return f"lot:{gtin}/{lot}" if lot else f"code:gtin/{gtin}"
