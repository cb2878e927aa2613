"""Mean kinetic temperature (docs/temperature.md 6.3): what a window of time did to goods, as one temperature.

Exceeded is judged in whole numbers, so that the same pieces come to the same however they are cut; what is told is
rounded to a thousandth of a degree.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from math import exp, log
from typing import NamedTuple

from coldchain.domain.exposure import Piece, Verdict
from coldchain.domain.rulepacks import SECOND_US, Mkt

_ZERO_MC = 273_150
_ACTIVATION_MK = 10_000_000.0
"""ΔH / R with ΔH = 83.144 kJ/mol and R = 8.3144 J/(mol K) (USP <1079.2>), in thousandths of a kelvin."""
_PARTS = 10**9
"""What a moment at exactly the limit does to goods."""


class Kinetic(NamedTuple):
    """The warmest mean kinetic temperature of any window; of those that exceed the limit where any does."""

    from_us: int
    mkt_mc: int
    known_us: int
    """How much of the window it is of."""
    exceeded_us: int | None
    """The moment from which any window was more than the pack allows."""
    verdict: Verdict
    """`unknown`: not exceeded, but with the unknown time, or if the window ended now, it might be."""


class Over(NamedTuple):
    """A window that exceeds the limit however cold the rest of it was."""

    from_us: int
    exceeded_us: int


@lru_cache(maxsize=1 << 16)
def _harm(max_mc: int, mc: int) -> int:
    """What a moment does to goods, in parts of what it may do."""
    return round(_PARTS * exp(_ACTIVATION_MK / (max_mc + _ZERO_MC) - _ACTIVATION_MK / (mc + _ZERO_MC)))


def _parts(rule: Mkt, found: Iterable[Piece]) -> Iterator[tuple[int, int, int, int]]:
    """(window, from, to, milli-°C) in time order: of a time told twice the first that tells of it."""
    window_us = rule.window_s * SECOND_US
    told_us = -(2**62)
    for piece in sorted(found):
        from_us = max(piece.from_us, told_us)
        told_us = max(told_us, piece.to_us)
        while from_us < piece.to_us:
            number = from_us // window_us
            to_us = min(piece.to_us, (number + 1) * window_us)
            yield number * window_us, from_us, to_us, piece.mc
            from_us = to_us


def overs(rule: Mkt, found: Iterable[Piece]) -> list[Over]:
    """Every window of which the known time alone is more than the limit allows the whole, in order."""
    allowed = _PARTS * rule.window_s * SECOND_US
    window_us, done = 0, 0
    over: list[Over] = []
    for begin_us, from_us, to_us, mc in _parts(rule, found):
        if begin_us != window_us:
            window_us, done = begin_us, 0
        harm = _harm(rule.max_mc, mc)
        if done <= allowed < done + harm * (to_us - from_us):
            over.append(Over(begin_us, from_us + (allowed - done) // harm))
        done += harm * (to_us - from_us)
    return over


def means(rule: Mkt, found: Iterable[Piece]) -> dict[int, tuple[int, int]]:
    """By the begin of each window of which anything is known: its mean kinetic temperature, and how much is known."""
    sums: dict[int, tuple[float, int]] = {}
    for begin_us, from_us, to_us, mc in _parts(rule, found):
        weighted, known_us = sums.get(begin_us, (0.0, 0))
        rate = exp(-_ACTIVATION_MK / (mc + _ZERO_MC))
        sums[begin_us] = weighted + rate * (to_us - from_us), known_us + to_us - from_us
    return {
        begin_us: (round(_ACTIVATION_MK / -log(weighted / known_us)) - _ZERO_MC, known_us)
        for begin_us, (weighted, known_us) in sums.items()
    }


def kinetic(rule: Mkt, found: Sequence[Piece], unknown_us: int) -> Kinetic | None:
    """Windows begin at multiples of their length. None where nothing is known."""
    told, over = means(rule, found), overs(rule, found)
    if not told:
        return None
    among = [one.from_us for one in over] or list(told)
    mkt_mc, negated_us = max((told[from_us][0], -from_us) for from_us in among)
    exceeded_us = over[0].exceeded_us if over else None
    verdict: Verdict = "exceeded" if over else "unknown" if unknown_us or mkt_mc > rule.max_mc else "kept"
    return Kinetic(-negated_us, mkt_mc, told[-negated_us][1], exceeded_us, verdict)
