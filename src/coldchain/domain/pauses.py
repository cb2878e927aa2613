"""When the timers of a breach stand still: defrosts and open doors (docs/temperature.md 3.4)."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate

from coldchain.domain.rulepacks import SECOND_US, Regime, Stage

DEFROST = "defrost"
DOORS = "door/"

Samples = Sequence[tuple[int, bool]]
"""(time in µs, whether the defrost runs or the door stands open), in time order."""
Told = Mapping[str, Samples]
"""What a device tells of its defrosts and doors, by the samples' name."""


def tells_of_pause(name: str) -> bool:
    """Whether samples of this name let timers stand still."""
    return name == DEFROST or name.startswith(DOORS)


def can_pause(rule: Stage) -> bool:
    return rule.defrost_cap_s > 0 or rule.door_cap_s > 0


def reach_us(rule: Stage) -> int:
    """A timer stands still at a time by what was told within this long before it, and by nothing else."""
    return max(rule.defrost_cap_s, rule.door_cap_s) * SECOND_US + rule.max_gap_us


def longest_reach_us(schedule: Sequence[Regime]) -> int:
    """The longest `reach_us` of the rules that know pauses; 0 where none does."""
    rules = [regime.rule for regime in schedule if regime.rule is not None]
    return max([reach_us(rule) for rule in rules if can_pause(rule)], default=0)


class Pauses:
    """The times at which the timers of a rule stand still, each counted once however many reasons there are."""

    def __init__(self, rule: Stage, told: Told) -> None:
        self._from: list[int] = []
        self._to: list[int] = []
        for from_us, to_us in sorted(span for name, samples in told.items() for span in _capped(rule, name, samples)):
            if self._to and from_us <= self._to[-1]:
                self._to[-1] = max(to_us, self._to[-1])
            else:
                self._from.append(from_us)
                self._to.append(to_us)
        lengths = [to_us - from_us for from_us, to_us in zip(self._from, self._to, strict=True)]
        self._before = [0, *accumulate(lengths)]

    def between(self, from_us: int, to_us: int) -> int:
        """How long the timers stood still from one time to another, µs."""
        return self._until(to_us) - self._until(from_us)

    def _until(self, t_us: int) -> int:
        place = bisect_right(self._from, t_us)
        return self._before[place] - max(0, self._to[place - 1] - t_us) if place else 0


def _capped(rule: Stage, name: str, samples: Samples) -> Iterator[tuple[int, int]]:
    cap_us = (rule.defrost_cap_s if name == DEFROST else rule.door_cap_s) * SECOND_US
    for from_us, to_us in _windows(samples, rule.max_gap_us):
        yield from_us, min(to_us, from_us + cap_us)


def _windows(samples: Samples, gap_us: int) -> Iterator[tuple[int, int]]:
    """From the first sample of each defrost or opening to the next of the same name; silence ends it, too."""
    begun = last = None
    for t_us, is_on in samples:
        if begun is not None and last is not None and (not is_on or t_us - last > gap_us):
            yield begun, min(t_us, last + gap_us)
            begun = None
        if is_on:
            begun, last = (t_us if begun is None else begun), t_us
    if begun is not None and last is not None:
        yield begun, last + gap_us
