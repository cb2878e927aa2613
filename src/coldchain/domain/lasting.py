"""When some of the goods that are counted, not named, surely lay in one place all the while (docs/temperature.md 6.2).

Which of them were taken out nobody knows: it may have been the ones that lay there longest, or not.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from coldchain.domain.quantities import COUNTS, FROM, OUT, Amount, Step
from coldchain.domain.tracing import FOREVER_US

_ALL_MILLI = 2**80
"""More than there ever is of anything: nobody knows what left."""


class Lasting(NamedTuple):
    """Of `least_milli` that were there from the first moment, some were until the last."""

    from_us: int
    to_us: int
    least_milli: int


def lasting(amounts: Sequence[Amount], steps: Iterable[Step]) -> list[Lasting]:
    """The longest such stretches of one line, in order, none within another. amounts: all of the line, by time. steps:
    all of the line, and whatever emptied its parent."""
    leaving: dict[int, int] = {}
    for step in steps:
        leaving[step.time_us] = leaving.get(step.time_us, 0) + _leaves(step, amounts)
    found: list[Lasting] = []
    for one in amounts:
        if one.least_milli <= 0:
            continue
        to_us, left = FOREVER_US, one.least_milli
        for t_us in sorted(t_us for t_us, milli in leaving.items() if t_us > one.from_us and milli):
            left -= leaving[t_us]
            if left <= 0:
                to_us = t_us
                break
        if not found or to_us > found[-1].to_us:
            found.append(Lasting(one.from_us, to_us, one.least_milli))
    return found


def _leaves(step: Step, amounts: Sequence[Amount]) -> int:
    """How much may have left with it."""
    if step.act in (OUT, FROM):
        return step.amount_milli or _ALL_MILLI
    if step.act in COUNTS:
        before = next((one for one in reversed(amounts) if one.from_us < step.time_us), None)
        if before is None:
            return 0
        return _ALL_MILLI if before.most_milli is None else max(0, before.most_milli - step.amount_milli)
    return 0 if step.item else _ALL_MILLI
