"""Canonical GS1 Digital Links of EPC URNs and of Digital Links of any host (CBV 2.0 §8.9, rules 17 and 18)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache

from coldchain.domain.identifiers import check_digit

HOST = "https://id.gs1.org/"
_START = len("urn:epc:")


@lru_cache(65_536)
def canonical_link(uri: str) -> str:
    """`https://id.gs1.org/…` with the finest identification only, neither query nor fragment; anything that is no GS1
    key, or none that can be one, unchanged."""
    if uri.startswith("urn:epc:"):
        return _from_urn(uri) or uri
    if uri.startswith(("https://", "http://")):
        return _from_link(uri) or uri
    return uri


# EPC URNs (EPC Tag Data Standard §6.3): company prefix and reference are split by a dot and carry no check digit.

_Maker = Callable[[list[str]], str]


@lru_cache(4_096)
def _checked(body: str) -> str:
    """The key with its check digit; the cases of a lot share theirs."""
    return body + check_digit(body)


def _gtin(parts: list[str]) -> str:
    return "01/" + _checked(parts[1][0] + parts[0] + parts[1][1:])


def _sgln(parts: list[str]) -> str:
    gln = "414/" + _checked(parts[0] + parts[1])
    return gln if parts[2] == "0" else f"{gln}/254/{parts[2]}"


def _serialised(start: str) -> _Maker:
    """Asset type, document type or coupon with an optional serial behind its check digit."""
    return lambda parts: start + _checked(parts[0] + parts[1]) + ("" if parts[2] == "*" else parts[2])


def _cpi(parts: list[str]) -> str:
    return f"8010/{parts[0]}{parts[1]}" + ("" if parts[2] == "*" else f"/8011/{parts[2]}")


def _itip(parts: list[str]) -> str:
    piece = "8006/" + _gtin(parts)[3:] + parts[2] + parts[3]
    return piece if parts[4] == "*" else f"{piece}/21/{parts[4]}"


_URNS: Mapping[str, tuple[int, int, _Maker]] = {
    "id:sgtin": (3, 13, lambda parts: f"{_gtin(parts)}/21/{parts[2]}"),
    "idpat:sgtin": (3, 13, _gtin),
    "class:lgtin": (3, 13, lambda parts: f"{_gtin(parts)}/10/{parts[2]}"),
    "id:upui": (3, 13, lambda parts: f"{_gtin(parts)}/235/{parts[2]}"),
    "id:sscc": (2, 17, lambda parts: "00/" + _checked(parts[1][0] + parts[0] + parts[1][1:])),
    "id:sgln": (3, 12, _sgln),
    "id:pgln": (2, 12, lambda parts: "417/" + _checked(parts[0] + parts[1])),
    "id:grai": (3, 12, _serialised("8003/0")),
    "idpat:grai": (3, 12, _serialised("8003/0")),
    "id:gdti": (3, 12, _serialised("253/")),
    "idpat:gdti": (3, 12, _serialised("253/")),
    "id:sgcn": (3, 12, _serialised("255/")),
    "idpat:sgcn": (3, 12, _serialised("255/")),
    "id:giai": (2, 0, lambda parts: f"8004/{parts[0]}{parts[1]}"),
    "id:ginc": (2, 0, lambda parts: f"401/{parts[0]}{parts[1]}"),
    "id:cpi": (3, 0, _cpi),
    "idpat:cpi": (3, 0, _cpi),
    "id:gsin": (2, 16, lambda parts: "402/" + _checked(parts[0] + parts[1])),
    "id:gsrn": (2, 17, lambda parts: "8018/" + _checked(parts[0] + parts[1])),
    "id:gsrnp": (2, 17, lambda parts: "8017/" + _checked(parts[0] + parts[1])),
    "id:itip": (5, 13, _itip),
    "idpat:itip": (5, 13, _itip),
}
"""Parts, digits of company prefix and reference together (0: no fixed length), and what becomes of them."""


def _from_urn(urn: str) -> str | None:
    end = urn.find(":", urn.find(":", _START) + 1)
    count, length, made = _URNS.get(urn[_START:end], (1, 0, None))
    parts = urn[end + 1 :].split(".", count - 1)
    if made is None or len(parts) != count or not all(parts):
        return None
    if length:
        digits = parts[0] + parts[1]
        if len(digits) != length or not digits.isdecimal() or not digits.isascii():
            return None
    if urn.startswith("idpat:", _START) and (parts[-1] != "*" or "*" in parts[:2]):
        return None
    return HOST + made(parts)


# GS1 Digital Link URI Syntax 1.2, §4.11: primary key and qualifiers are pairs of path segments.

_KEYS: Mapping[str, re.Pattern[str]] = {
    "00": re.compile(r"\d{18}"),
    "01": re.compile(r"\d{8}|\d{12,14}"),
    "253": re.compile(r"\d{13}\S{0,17}"),
    "255": re.compile(r"\d{13,25}"),
    "401": re.compile(r"\S{1,30}"),
    "402": re.compile(r"\d{17}"),
    "414": re.compile(r"\d{13}"),
    "417": re.compile(r"\d{13}"),
    "8003": re.compile(r"\d{14}\S{0,16}"),
    "8004": re.compile(r"\S{1,30}"),
    "8006": re.compile(r"\d{18}"),
    "8010": re.compile(r"\S{1,30}"),
    "8017": re.compile(r"\d{18}"),
    "8018": re.compile(r"\d{18}"),
}
_FINEST: Mapping[str, tuple[str, ...]] = {
    "01": ("21", "10", "235"),
    "414": ("254",),
    "8006": ("21", "10"),
    "8010": ("8011",),
}
"""Qualifiers of a key, the finest first: only one stays."""


def _from_link(link: str) -> str | None:
    path = re.split("[?#]", link.partition("://")[2], maxsplit=1)[0].partition("/")[2]
    segments = path.rstrip("/").split("/")
    for start in range(len(segments) - 1):
        pattern = _KEYS.get(segments[start])
        if pattern is not None and pattern.fullmatch(segments[start + 1]):
            return _constrained(segments[start:])
    return None


def _constrained(segments: list[str]) -> str | None:
    key, value, *rest = segments
    if len(rest) % 2 or not all(rest):
        return None
    qualifiers = dict(zip(rest[::2], rest[1::2], strict=True))
    finest = next((name for name in _FINEST.get(key, ()) if name in qualifiers), None)
    whole = f"{HOST}{key}/{value.zfill(14) if key == '01' else value}"
    return whole if finest is None else f"{whole}/{finest}/{qualifiers[finest]}"
