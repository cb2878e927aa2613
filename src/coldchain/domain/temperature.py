"""Temperature of one probe, judged by one rule: readings in time order to segments (design §7, telemetry §4).

What is known is the time between two readings no further apart than the rule's longest gap with fewer than three fault
values between them; a state holds from the reading that shows it to the next one. All other time is unknown: silence is
neither a breach nor in range. Inside the known time a breach is a run of readings beyond the limit that lasts the
consecutive time; it starts at its first reading and ends at the first that is colder than the limit by the hysteresis,
or at the last reading before the unknown. Warm readings that do not last are in range.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from operator import sub
from typing import NamedTuple

from coldchain.domain.rulepacks import FAULTS_IN_A_ROW, Stage

IN_RANGE = "in_range"
BREACH = "breach"
UNKNOWN = "unknown"

Item = tuple[int, int | None]
"""(time in µs, milli-°C); None where the sensor answered without a usable value."""


class Segment(NamedTuple):
    """One state from one reading to another."""

    from_us: int
    to_us: int | None
    """None while it lasts."""
    state: str
    reason: str = ""
    """Of the unknown: `gap` or `fault`."""
    max_mc: int | None = None
    """Of a breach: its warmest reading."""
    confirmed_us: int | None = None
    """Of a breach: the reading that completed the consecutive time."""


class FoldState(NamedTuple):
    """Where a fold stands after some readings; all that is needed to go on."""

    state: str
    """Of the open segment."""
    since_us: int
    """Where the open segment started."""
    last_us: int | None
    """The newest usable reading."""
    last_mc: int | None
    seen_us: int
    """The newest item, usable or not."""
    beyond_us: int | None = None
    """First of the readings now beyond the limit in a row."""
    confirmed_us: int | None = None
    max_mc: int | None = None
    """The warmest since `beyond_us`."""
    faults: int = 0
    """Fault values since `last_us`."""
    reason: str = ""


def merged(items: Iterable[Item]) -> list[Item]:
    """Items in time order, one a time: of differing readings at one time the warmest counts, a fault only if alone."""
    at: dict[int, int | None] = {}
    for t_us, mc in items:
        known = at.get(t_us)
        at[t_us] = mc if known is None else known if mc is None else max(known, mc)
    return sorted(at.items())


def advance(rule: Stage, state: FoldState | None, items: Iterable[Item]) -> tuple[FoldState | None, list[Segment]]:
    """Fold items that are merged and newer than `state.seen_us`. Returns the state after them and the segments that
    ended; the open one is in the state."""
    run = _Run(rule, state)
    for t_us, mc in items:
        if mc is None:
            run.unusable(t_us)
        else:
            run.reading(t_us, mc)
    return run.state(), run.closed


def advance_quiet(rule: Stage, state: FoldState, times: Sequence[int], values: Sequence[int]) -> FoldState | None:
    """The short way for a message that continues in range without an event: the same state `advance` gives, or None
    where the message needs it. `times` and `values` are of equal, positive length; any order."""
    last_us, first_us = state.last_us, times[0]
    if state.state != IN_RANGE or state.beyond_us is not None or state.faults or last_us is None:
        return None
    if first_us <= last_us or max(values) > rule.limit_mc:
        return None
    if len(times) > 1:
        steps = list(map(sub, times[1:], times))
        if min(steps) <= 0 or max(steps) > rule.max_gap_us:
            return None
    if first_us - last_us > rule.max_gap_us:
        return None
    return FoldState(IN_RANGE, state.since_us, times[-1], values[-1], times[-1])


def under_new_rule(state: FoldState) -> tuple[FoldState, list[Segment]]:
    """The state with which another rule goes on: what the old one saw ends at its last reading."""
    if state.state == UNKNOWN or state.last_us is None:
        return state._replace(beyond_us=None, confirmed_us=None, max_mc=None), []
    closed = Segment(
        state.since_us,
        state.last_us,
        state.state,
        "",
        state.max_mc if state.state == BREACH else None,
        state.confirmed_us,
    )
    return FoldState(UNKNOWN, state.last_us, state.last_us, state.last_mc, state.seen_us, faults=state.faults), [closed]


def open_segments(rule: Stage, state: FoldState, now_us: int, until_us: int | None = None) -> list[Segment]:
    """The segments not yet ended, as far as `now_us`, the newest time the ledger knows: at most two.

    After the longest gap without a usable reading the time since the last one is unknown. until_us: when the device
    stopped being judged.
    """
    if state.last_us is None:
        return [Segment(state.since_us, _ended(now_us, until_us), UNKNOWN, "fault")]
    end_us = max(now_us, state.seen_us) if until_us is None else min(max(now_us, state.seen_us), until_us)
    faulty = state.faults >= FAULTS_IN_A_ROW
    lost = faulty or end_us - state.last_us > rule.max_gap_us
    to_us = state.last_us if lost or (until_us is not None and until_us <= now_us) else None
    if state.state == UNKNOWN:
        if not lost:
            known_again = Segment(state.since_us, state.last_us, UNKNOWN, state.reason)
            return [known_again] if state.since_us < state.last_us else []
        reason = "fault" if faulty or state.reason == "fault" else "gap"
        return [Segment(state.since_us, _ended(now_us, until_us), UNKNOWN, reason)]
    max_mc = state.max_mc if state.state == BREACH else None
    segments = [Segment(state.since_us, to_us, state.state, "", max_mc, state.confirmed_us)]
    if lost:
        segments.append(Segment(state.last_us, _ended(now_us, until_us), UNKNOWN, "fault" if faulty else "gap"))
    return segments


def silent_after_us(rule: Stage, state: FoldState) -> int | None:
    """The ledger time after which the silence is too long; None where the state already is unknown to its end."""
    if state.last_us is None or state.faults >= FAULTS_IN_A_ROW:
        return None
    return state.last_us + rule.max_gap_us


def _ended(now_us: int, until_us: int | None) -> int | None:
    return until_us if until_us is not None and until_us <= now_us else None


class _Run:
    """The fold at work: the fields of FoldState, and the segments that ended."""

    def __init__(self, rule: Stage, start: FoldState | None) -> None:
        self.rule = rule
        self.closed: list[Segment] = []
        self.started = start is not None
        (
            self.now,
            self.since_us,
            self.last_us,
            self.last_mc,
            self.seen_us,
            self.beyond_us,
            self.confirmed_us,
            self.max_mc,
            self.faults,
            self.reason,
        ) = start or FoldState(UNKNOWN, 0, None, None, 0)

    def state(self) -> FoldState | None:
        if not self.started:
            return None
        return FoldState(
            self.now,
            self.since_us,
            self.last_us,
            self.last_mc,
            self.seen_us,
            self.beyond_us,
            self.confirmed_us,
            self.max_mc,
            self.faults,
            self.reason,
        )

    def unusable(self, t_us: int) -> None:
        if not self.started:
            self.started, self.since_us, self.reason = True, t_us, "fault"
        self.faults += 1
        self.seen_us = t_us

    def reading(self, t_us: int, mc: int) -> None:
        if self.last_us is None:
            self.since_us = self.since_us if self.started else t_us
            self.started = True
        else:
            self._join(t_us, self.last_us)
        self._judge(t_us, mc)
        self.last_us, self.last_mc, self.seen_us, self.faults = t_us, mc, t_us, 0

    def _join(self, t_us: int, last_us: int) -> None:
        """The time between two readings: known or not."""
        if t_us - last_us <= self.rule.max_gap_us and self.faults < FAULTS_IN_A_ROW:
            if self.now == UNKNOWN:
                self._turn(IN_RANGE, last_us)
            return
        reason = "fault" if self.faults >= FAULTS_IN_A_ROW else "gap"
        if self.now != UNKNOWN:
            self._turn(UNKNOWN, last_us)
            self.reason = reason
        elif self.reason != "fault":
            self.reason = reason
        self.beyond_us = self.confirmed_us = self.max_mc = None

    def _judge(self, t_us: int, mc: int) -> None:
        if self.now == BREACH:
            if mc <= self.rule.clear_mc:
                self._turn(IN_RANGE, t_us)
                self.beyond_us = self.confirmed_us = self.max_mc = None
            else:
                self.max_mc = mc if self.max_mc is None else max(self.max_mc, mc)
        elif mc <= self.rule.limit_mc:
            self.beyond_us = self.max_mc = None
        else:
            self.beyond_us = t_us if self.beyond_us is None else self.beyond_us
            self.max_mc = mc if self.max_mc is None else max(self.max_mc, mc)
            if self.now == IN_RANGE and t_us - self.beyond_us >= self.rule.consecutive_us:
                self._turn(BREACH, self.beyond_us)
                self.confirmed_us = t_us

    def _turn(self, to: str, at_us: int) -> None:
        if self.since_us < at_us:
            max_mc = self.max_mc if self.now == BREACH else None
            self.closed.append(Segment(self.since_us, at_us, self.now, self.reason, max_mc, self.confirmed_us))
        self.now, self.since_us, self.reason = to, at_us, ""
