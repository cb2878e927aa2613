"""How deep JSON from outside may nest: a fixed depth, for a reader's own limit depends on how deep it was called.

A message read in one thread and refused in another would be two facts of one entry.
"""

from __future__ import annotations

import re

MAX_DEPTH = 64
"""EPCIS with all its extensions takes a dozen."""

_TEXT = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_BRACKET = re.compile(rb"[\[\]{}]")


def without_texts(data: bytes) -> bytes:
    """The brackets, colons, commas and numbers of JSON: what stands outside of its texts."""
    return _TEXT.sub(b"", data)


def too_deep(data: bytes) -> bool:
    """Whether arrays and objects nest beyond MAX_DEPTH. Of bytes that are no JSON the answer means nothing."""
    if data.count(b"[") + data.count(b"{") <= MAX_DEPTH:
        return False
    depth = 0
    for bracket in _BRACKET.findall(without_texts(data)):
        depth += 1 if bracket in (b"[", b"{") else -1
        if depth > MAX_DEPTH:
            return True
    return False
