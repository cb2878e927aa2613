"""What a device tells of itself: its battery, and when its clock was not to be believed (telemetry §2)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from coldchain.domain.blocks import block_of
from coldchain.domain.telemetry import Block, Run

DAY_US = 86_400_000_000
HOUR_US = 3_600_000_000
FAST_US = 300_000_000
"""A clock further ahead of the ledger's than that is told of; up to a day its times are believed all the same."""


class Condition(NamedTuple):
    """What messages told. That of several is what `joined` makes of each one's, in whatever order."""

    battery_us: int | None = None
    battery: float | None = None
    """The newest level, in the unit the device states; of several at one time the lowest."""
    ahead_from_us: int | None = None
    ahead_to_us: int | None = None
    """Span of the times more than a day after their receipt."""
    early_from_us: int | None = None
    early_to_us: int | None = None
    """Span of the times before the device's floor."""
    fast_from_us: int | None = None
    fast_to_us: int | None = None
    """Whole hours with times more than `FAST_US` after their receipt: so that a device that is always ahead is not told
    of anew with every message."""

    def joined(self, other: Condition) -> Condition:
        """Itself, the very object, where the other tells nothing new."""
        result = self if other.battery_us is None else self.charged(other.battery_us, other.battery or 0.0)
        spans: list[int | None] = []
        for at in (0, 2, 4):
            spans += _widened(self.clock[at : at + 2] + other.clock[at : at + 2])
        return result if result.clock == tuple(spans) else Condition(*result[:2], *spans)

    def charged(self, t_us: int, level: float) -> Condition:
        """Of one more level of the battery."""
        if self.battery_us is not None and (self.battery_us, -(self.battery or 0)) >= (t_us, -level):
            return self
        return self._replace(battery_us=t_us, battery=level)

    @property
    def clock(self) -> tuple[int | None, ...]:
        """The part that is about the clock."""
        return self[2:]

    def is_fast(self, t_us: int) -> bool:
        """Whether the time lies in the hours that are known to be ahead."""
        return (
            self.fast_from_us is not None
            and self.fast_to_us is not None
            and self.fast_from_us <= t_us < self.fast_to_us
        )


UNTOLD = Condition()


def told(
    before: Condition, runs: Sequence[Run], block: Block, floor_us: int, at_us: int
) -> tuple[Condition, Sequence[Run], Block]:
    """What was told before and by a message received at a time; and its readings, those set apart whose time cannot be
    believed: before the device's floor, or more than a day after their receipt (telemetry §2)."""
    condition, first_us, last_us = before, block.first_us, block.last_us
    if first_us is not None and last_us is not None and (first_us < floor_us or last_us > at_us + DAY_US):
        runs, ahead, early = _disbelieve(runs, floor_us, at_us + DAY_US)
        block = block_of(runs)
        last_us = block.last_us
        condition = condition.joined(Condition(None, None, *_widened(ahead), *_widened(early)))
    if last_us is not None and last_us > at_us + FAST_US and not condition.is_fast(last_us):
        hour_us = last_us // HOUR_US * HOUR_US
        condition = condition.joined(Condition(fast_from_us=hour_us, fast_to_us=hour_us + HOUR_US))
    for run in runs:
        if run.name == "battery" and run.quality == "":
            t_us, negated = max((t_us, -float(value or 0)) for t_us, value in zip(run.times, run.values, strict=True))
            condition = condition.charged(t_us, 0.0 - negated)
    return condition, runs, block


def _disbelieve(runs: Sequence[Run], floor_us: int, latest_us: int) -> tuple[Sequence[Run], list[int], list[int]]:
    """The runs, and the times set apart by it: those ahead and those too early."""
    result: list[Run] = []
    ahead: list[int] = []
    early: list[int] = []
    for run in runs:
        if run.quality == "bad-time":
            result.append(run)
            continue
        good, bad = Run(run.name, run.quality, [], []), Run(run.name, "bad-time", [], [])
        for t_us, value in zip(run.times, run.values, strict=True):
            part = good if floor_us <= t_us <= latest_us else bad
            part.times.append(t_us)
            part.values.append(value)
        result += [part for part in (good, bad) if part.times]
        ahead += [t_us for t_us in bad.times if t_us > latest_us]
        early += [t_us for t_us in bad.times if t_us < floor_us]
    return result, ahead, early


def _widened(times: Sequence[int | None]) -> tuple[int | None, int | None]:
    known = [t_us for t_us in times if t_us is not None]
    return (min(known), max(known)) if known else (None, None)
