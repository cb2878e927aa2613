"""Temperature of one probe, judged by one rule: readings in time order to segments (design §7, telemetry §4).

What is known is the time between two readings no further apart than the rule's longest gap with fewer than three fault
values between them; a state holds from the reading that shows it to the next one. All other time is unknown: silence is
neither a breach nor in range. Inside the known time a breach is a run of readings beyond the limit that lasts the
consecutive time; it starts at its first reading and ends at the first that is colder than the limit by the hysteresis,
or at the last reading before the unknown. Warm readings that do not last are in range.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from coldchain.domain.rulepacks import FAULTS_IN_A_ROW, Regime, Stage, regime_at

IN_RANGE = "in_range"
BREACH = "breach"
UNKNOWN = "unknown"
UNJUDGED = "unjudged"
"""No rule is in force: the newest reading is kept, and there are no segments."""

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
    now, since_us, last_us, _, _, beyond_us, _, _, faults, _ = state
    if now != IN_RANGE or beyond_us is not None or faults or last_us is None or max(values) > rule.limit_mc:
        return None
    gap_us = rule.max_gap_us
    for t_us in times:
        if not 0 < t_us - last_us <= gap_us:
            return None
        last_us = t_us
    return FoldState(IN_RANGE, since_us, last_us, values[-1], last_us)


def judge(
    schedule: Sequence[Regime], state: FoldState | None, items: Sequence[Item]
) -> tuple[FoldState | None, list[Segment]]:
    """`advance` under whichever rule is in force at each item. A breach ends with the rule it breaks."""
    closed: list[Segment] = []
    while items:
        place = regime_at(schedule, items[0][0])
        stop = len(items)
        if place + 1 < len(schedule):
            stop = bisect_left(items, schedule[place + 1].from_us, key=lambda item: item[0])
        if state is not None and regime_at(schedule, state.seen_us) != place:
            state, ended = _hand_over(schedule, state, items[0][0])
            closed += ended
        rule = schedule[place].rule
        state, ended = _keep(state, items[:stop]) if rule is None else advance(rule, state, items[:stop])
        closed += ended
        items = items[stop:]
    return state, closed


def judged_until(schedule: Sequence[Regime], t_us: int) -> int | None:
    """When, after a time at which a rule is in force, none is any more."""
    later = schedule[regime_at(schedule, t_us) + 1 :]
    return next((regime.from_us for regime in later if regime.rule is None), None)


def lost_after_us(rule: Stage, state: FoldState, until_us: int | None) -> int:
    """The newest ledger time at which the open segment still stands as it is; 0 where its end is lost already."""
    if state.last_us is None or state.faults >= FAULTS_IN_A_ROW or state.seen_us - state.last_us > rule.max_gap_us:
        return 0
    silent_us = state.last_us + rule.max_gap_us
    return silent_us if until_us is None else min(silent_us, until_us - 1)


def open_segments(rule: Stage, state: FoldState, now_us: int, until_us: int | None = None) -> list[Segment]:
    """The segments not yet ended, as far as `now_us`, the newest time the ledger knows: at most two.

    After the longest gap without a usable reading the time since the last one is unknown. until_us: when the device
    stopped being judged.
    """
    ended = until_us is not None and until_us <= now_us
    to_us = until_us if ended else None
    faulty = state.last_us is None or state.faults >= FAULTS_IN_A_ROW
    reason = "fault" if faulty else "gap"
    if state.last_us is None:
        return [Segment(state.since_us, to_us, UNKNOWN, reason)]
    end_us = max(now_us, state.seen_us) if to_us is None else to_us
    lost = faulty or end_us - state.last_us > rule.max_gap_us
    if state.state == UNKNOWN:
        if lost:
            return [Segment(state.since_us, to_us, UNKNOWN, "fault" if state.reason == "fault" else reason)]
        past = Segment(state.since_us, state.last_us, UNKNOWN, state.reason)
        return [past] if state.since_us < state.last_us else []
    if not lost and not ended:
        return [Segment(state.since_us, None, state.state, "", None, state.confirmed_us)]
    segments = [_ending_at(state, state.last_us)] if state.since_us < state.last_us else []
    return [*segments, Segment(state.last_us, to_us, UNKNOWN, reason)] if lost else segments


def _ending_at(state: FoldState, to_us: int) -> Segment:
    max_mc = state.max_mc if state.state == BREACH else None
    return Segment(state.since_us, to_us, state.state, state.reason, max_mc, state.confirmed_us)


def _hand_over(schedule: Sequence[Regime], state: FoldState, t_us: int) -> tuple[FoldState | None, list[Segment]]:
    """What the rule at a later time goes on with: all that the old one saw ends at its last reading, or with it."""
    rule, until_us = schedule[regime_at(schedule, state.seen_us)].rule, judged_until(schedule, state.seen_us)
    if rule is None:
        return None, []
    if until_us is not None and until_us <= t_us:
        return None, open_segments(rule, state, until_us, until_us)
    last_us = state.last_us
    if last_us is None:
        return state, []
    closed = [_ending_at(state, last_us)] if state.since_us < last_us else []
    return FoldState(UNKNOWN, last_us, last_us, state.last_mc, state.seen_us, faults=state.faults), closed


def _keep(state: FoldState | None, items: Sequence[Item]) -> tuple[FoldState, list[Segment]]:
    usable = [(t_us, mc) for t_us, mc in items if mc is not None]
    last_us, last_mc = usable[-1] if usable else (state.last_us, state.last_mc) if state else (None, None)
    since_us = state.since_us if state is not None else items[0][0]
    return FoldState(UNJUDGED, since_us, last_us, last_mc, items[-1][0]), []


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
