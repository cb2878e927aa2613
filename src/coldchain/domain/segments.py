"""The five verdicts of continuity, stretch by stretch between observations (domain §3)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple

from coldchain.domain.continuity import History, is_pallet
from coldchain.domain.continuity.legs import LOOSE, LOOSE_REASON, Leg

CONTINUOUS = "CONTINUOUS"
BROKEN_AUTHORISED = "BROKEN_AUTHORISED"
UNOBSERVED = "UNOBSERVED"
BROKEN_PENDING = "BROKEN_PENDING"
BROKEN_UNEXPLAINED = "BROKEN_UNEXPLAINED"
WORST_LAST = (CONTINUOUS, BROKEN_AUTHORISED, UNOBSERVED, BROKEN_PENDING, BROKEN_UNEXPLAINED)
"""The five verdicts; the worst of those that touch a segment is the segment's (domain §3)."""


COUNTED_REASON = "counted alike; cases without numbers of their own"
"""One may have been exchanged for another, and no count shows it."""


class Touching(NamedTuple):
    """A judged opportunity as a segment sees it."""

    rule: str
    subject: str
    channel: str
    from_us: int
    to_us: int | None
    verdict: str


class Segment(NamedTuple):
    """The time between two observations of a unit, and what may be said of it."""

    unit: str
    from_us: int
    to_us: int
    verdict: str
    reason: str
    """Why it is not CONTINUOUS for want of observation, or what alone was kept; "" where nothing is wanting."""
    because: tuple[tuple[str, str, str, int], ...]
    """(rule, subject, channel, from_us) of every judged opportunity within it."""


def segments(
    history: History, judged: Iterable[Touching], legs: Sequence[Leg] = (), opened_us: int | None = None
) -> tuple[Segment, ...]:
    """Every stretch between neighbouring observations; none after the last, of which nothing is known.

    legs: those that were not palletised. opened_us: when the site it lay at first counted its stock.
    """
    judged = sorted(judged)
    found = []
    for from_us, to_us in pairwise(history.times):
        least, reason = _by_itself(history, legs, opened_us, from_us, to_us)
        touching = [j for j in judged if _touches(j, from_us, to_us)]
        verdicts = [least, *(j.verdict for j in touching)]
        because = tuple(dict.fromkeys(j[:4] for j in touching))
        found.append(Segment(history.unit, from_us, to_us, max(verdicts, key=WORST_LAST.index), reason, because))
    return tuple(found)


def _by_itself(
    history: History, legs: Sequence[Leg], opened_us: int | None, from_us: int, to_us: int
) -> tuple[str, str]:
    """What observation alone gives: a verdict, and what is to be said of it."""
    if opened_us is not None and from_us < opened_us:
        return UNOBSERVED, "stock of a site before its opening count"
    for leg in legs:
        if from_us < (to_us if leg.to_us is None else leg.to_us) and leg.from_us < to_us:
            if leg.kind == LOOSE and leg.counted:
                return CONTINUOUS, LOOSE_REASON
            return UNOBSERVED, "loose, and not counted alike at both ends" if leg.kind == LOOSE else "a leg unstated"
    if reason := _unseen(history, from_us, to_us):
        return UNOBSERVED, reason
    return CONTINUOUS, COUNTED_REASON if history.counted else ""


def _unseen(history: History, from_us: int, to_us: int) -> str:
    is_load = is_pallet(history.unit)
    if not history.whole or from_us < history.whole[0]:
        return "the contents had not been declared, nor read in full at two read points" if is_load else "no seal yet"
    if to_us <= history.whole[-1]:
        return ""
    if history.counted:
        return "the cases were not counted again"
    return "the contents were not read in full again" if is_load else "the seal was not looked at again"


def _touches(judged: Touching, from_us: int, to_us: int) -> bool:
    """Overlapping for more than an instant; an instant belongs to the segments on both sides of it."""
    if judged.to_us is None:
        return judged.from_us < to_us
    if judged.from_us == judged.to_us:
        return from_us <= judged.from_us <= to_us
    return judged.from_us < to_us and from_us < judged.to_us
