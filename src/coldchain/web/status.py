"""How each status looks: a tone and a shape beside its word, never colour alone."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple


class Look(NamedTuple):
    tone: str
    shape: str


GOOD = Look("good", "disc")
EXPLAINED = Look("info", "diamond")
UNKNOWN = Look("mute", "ring")
PENDING = Look("warn", "triangle")
BAD = Look("bad", "square")

LOOKS = {
    # continuity of a unit (domain §3)
    "CONTINUOUS": GOOD,
    "BROKEN_AUTHORISED": EXPLAINED,
    "UNOBSERVED": UNKNOWN,
    "BROKEN_PENDING": PENDING,
    "BROKEN_UNEXPLAINED": BAD,
    # temperature (design §7)
    "in_range": GOOD,
    "unknown": UNKNOWN,
    "breach": BAD,
    # what goods spent of a budget (docs/temperature.md 6.2)
    "kept": GOOD,
    "exceeded": BAD,
    # the life of a finding (domain §3)
    "suspected": UNKNOWN,
    "asked": PENDING,
    "explained": EXPLAINED,
    "disputed": PENDING,
    "standing": BAD,
    "open": PENDING,
    "closed": Look("mute", "diamond"),
    "withdrawn": Look("mute", "disc"),
    # how serious it is, and whether somebody took note
    "warning": Look("warn", "ring"),
    "alarm": Look("warn", "triangle"),
    "critical": Look("bad", "square"),
    "acknowledged": Look("info", "disc"),
    "acknowledged before it escalated": Look("warn", "diamond"),
}
_WEIGHT = (GOOD, EXPLAINED, UNKNOWN, PENDING, BAD)


def look_of(word: str) -> Look:
    """Unknown is never green."""
    return LOOKS.get(word, UNKNOWN)


def weight(word: str | None) -> int:
    """How serious a verdict is (domain §3: worst wins); nothing known weighs less than anything."""
    return -1 if word is None else _WEIGHT.index(look_of(word))


def worst(words: Iterable[str]) -> str | None:
    """The most serious verdict; None of none."""
    return max(words, key=weight, default=None)
