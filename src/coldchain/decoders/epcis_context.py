"""JSON-LD contexts of EPCIS documents, offline: which prefix stands for which namespace (EPCIS 2.0 §10.1).

No JSON-LD processor: the standard context is known by its address and protects its terms, so only prefixes can be
added to it. Nothing is ever fetched; what a context at another address says stays unknown.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import msgspec

from coldchain.decoders.errors import DocumentError, escaped

OWN = "urn:coldchain:vocabulary:"
"""Namespace of our own extension fields, bound to `coldchain` by those who use it."""

STANDARD: Mapping[str, str] = {
    "epcis": "https://ref.gs1.org/epcis/",
    "cbv": "https://ref.gs1.org/cbv/",
    "cbvmda": "urn:epcglobal:cbv:mda:",
    "gs1": "https://gs1.org/voc/",
    "rdfs": "http://www.w3.org/2000/01/rdf-schema#",
    "owl": "http://www.w3.org/2002/07/owl#",
    "xsd": "http://www.w3.org/2001/XMLSchema#",
    "dcterms": "http://purl.org/dc/terms/",
}
"""Prefixes of the standard context."""
_PROTECTED = ("epcis", "cbv", "gs1")
"""Of these, the ones that words of the vocabulary are spelled with: bound to anything else, they are a fault. The
others are as the document has them; GS1's own examples rebind `cbvmda`."""

_STANDARD_ADDRESS = re.compile(
    r"https?://(?:ref\.gs1\.org/standards/epcis/(?:2(?:\.\d+)*/)?|gs1\.github\.io/EPCIS/)epcis-context\.jsonld"
)
IRI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[^\s<>\"{}|\\^`\x00-\x20\x7f]+")
_PREFIX = re.compile(r"[^\s/]+")
_KEYWORDS = frozenset({"@version", "@protected", "@vocab", "@base", "@language", "@direction", "@propagate", "@import"})
_ABSOLUTE = re.compile(r"(?:https?://|urn:[A-Za-z0-9][A-Za-z0-9-]*:).+")
_REMEMBERED_BYTES = 2_048
"""Longer contexts are not kept: nobody fills the memory by sending them."""


@dataclass(frozen=True, slots=True)
class Context:
    """What the names of a document mean."""

    prefixes: Mapping[str, str]
    ignored: frozenset[str] = field(default=frozenset())
    """Full names of extension fields that the document keeps out of its events' hashes (`…:ignoreFields`)."""

    def full_name(self, key: str) -> str | None:
        """Namespace and local name of an extension key in one; None where its prefix is not declared."""
        prefix, _, local = key.partition(":")
        namespace = self.prefixes.get(prefix)
        if namespace is not None and local:
            return namespace + local
        return key if _ABSOLUTE.fullmatch(key) else None

    def namespaced(self, key: str) -> str | None:
        """The key as CBV 2.0 §8.9 writes it into a pre-hash: `{namespace}local`."""
        prefix, _, local = key.partition(":")
        namespace = self.prefixes.get(prefix)
        if namespace is not None and local:
            return f"{{{namespace}}}{local}"
        if not _ABSOLUTE.fullmatch(key):
            return None
        cut = max(key.rfind(mark) for mark in "/#:") + 1
        return f"{{{key[:cut]}}}{key[cut:]}"

    def with_own(self, value: Any, pointer: str) -> Context:
        """The context of an event that carries one of its own. Raises DocumentError."""
        return Context({**self.prefixes, **_declared(value, pointer)[0]}, self.ignored)


STANDARD_CONTEXT = Context(STANDARD)


def read_context(value: Any) -> Context:
    """The meaning of an `@context`: text, object or array of both, with the standard one among them.

    Raises DocumentError at the part that is none, binds a standard prefix to another namespace or leaves the standard
    context out.
    """
    encoded = msgspec.json.encode(value)
    return _remembered(encoded) if len(encoded) <= _REMEMBERED_BYTES else _read(value)


@lru_cache(1_024)
def _remembered(encoded: bytes) -> Context:
    return _read(msgspec.json.decode(encoded))


def _read(value: Any) -> Context:
    declared, standard = _declared(value, "/@context")
    if not standard:
        expected = "expected the standard context https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld"
        raise DocumentError("/@context", f"{expected}, alone or in an array")
    return Context({**STANDARD, **declared})


def _declared(value: Any, pointer: str) -> tuple[dict[str, str], bool]:
    """The prefixes bound, and whether the standard context is among the parts."""
    parts = value if isinstance(value, list) else [value]
    declared: dict[str, str] = {}
    standard = False
    for place, part in enumerate(parts):
        where = f"{pointer}/{place}" if isinstance(value, list) else pointer
        if isinstance(part, str):
            if not IRI.fullmatch(part):
                raise DocumentError(where, f"expected the address of a context, found {part!r}")
            standard = standard or bool(_STANDARD_ADDRESS.fullmatch(part))
        elif isinstance(part, dict):
            declared |= _bound(part, where)
        else:
            raise DocumentError(where, f"expected the address of a context or an object of prefixes, found {part!r}")
    return declared, standard


def _bound(part: dict[str, Any], pointer: str) -> dict[str, str]:
    bound = {}
    for name, value in part.items():
        where = f"{pointer}/{escaped(name)}"
        if name.startswith("@"):
            if name not in _KEYWORDS:
                raise DocumentError(where, f"expected a keyword of JSON-LD 1.1, found {name!r}")
            continue
        namespace = value.get("@id") if isinstance(value, dict) else value
        if namespace is None or ":" in name:
            continue  # says how to read the values of a name, or that it means nothing: no prefix
        if not isinstance(namespace, str) or not IRI.fullmatch(namespace):
            raise DocumentError(where, f"expected the URI of a namespace, found {namespace!r}")
        if not _PREFIX.fullmatch(name):
            raise DocumentError(where, f"expected a prefix without slash or space, found {name!r}")
        if name in _PROTECTED and namespace != STANDARD[name]:
            raise DocumentError(where, f"expected {STANDARD[name]!r}, which the standard context protects")
        bound[name] = namespace
    return bound
