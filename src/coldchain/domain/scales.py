"""Scales of vehicles and platforms: a load that became lighter or heavier bears out that goods are missing or too many.

A scale accuses nobody: fuel, passengers and a badly parked axle weigh too. All that counts of it is a step that stays,
at a time when nothing is known to have been put on or taken off.
"""

from __future__ import annotations

from collections.abc import Iterable
from statistics import median
from typing import NamedTuple

NAMES = ("weight", "x/weight")
"""Samples of scales, kilograms; the second of sources that nobody mapped."""
BESIDE = 3
"""Samples on either side that a step is measured by, their medians: one bump weighs nothing."""
WITHIN_US = 3_600_000_000
"""All of them lie within an hour: what drifts slowly is fuel."""


class Step(NamedTuple):
    """What a scale showed before and after, kilograms, and between which samples it changed."""

    from_us: int
    to_us: int
    before: float
    after: float

    @property
    def sign(self) -> int:
        return 1 if self.after > self.before else -1


def steps(samples: Iterable[tuple[int, float]], per_mille: int) -> list[Step]:
    """Every lasting change by more than so many thousandths of the weight before, by time; of samples (time, kg) in any
    order. Several weights of one time are no weight."""
    seen: dict[int, set[float]] = {}
    for t_us, kilograms in samples:
        seen.setdefault(t_us, set()).add(kilograms)
    line = [(t_us, min(values)) for t_us, values in sorted(seen.items()) if len(values) == 1]
    found: list[Step] = []
    for place in range(BESIDE, len(line) - BESIDE + 1):
        around = line[place - BESIDE : place + BESIDE]
        before, after = (median(kg for _, kg in part) for part in (around[:BESIDE], around[BESIDE:]))
        if around[-1][0] - around[0][0] > WITHIN_US or 1_000 * abs(after - before) <= per_mille * abs(before):
            continue
        step = Step(around[BESIDE - 1][0], around[BESIDE][0], before, after)
        if found and found[-1].to_us >= step.from_us and found[-1].sign == step.sign:
            step = Step(found[-1].from_us, step.to_us, found[-1].before, step.after)
            found.pop()
        found.append(step)
    return found
