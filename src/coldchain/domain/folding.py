"""Temperature of one probe, judged by one rule: readings in time order to segments (docs/temperature.md 2, 3).

What is known is the time between two readings no further apart than the rule's longest gap, with fewer than three fault
values between them, of a sensor that is not stuck; a state holds from the reading that shows it to the next one. All
other time is unknown: silence is neither a breach nor in range. Inside the known time a breach is a run of readings
beyond one limit that lasts longer than is tolerated; it starts at its first reading and ends at the first that is back
by the hysteresis, or at the last reading before the unknown. Readings beyond that do not last are in range; or unknown,
where they touch unknown time and nobody knows how long they lasted.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from operator import itemgetter

from coldchain.domain.pauses import Pauses, can_pause, reach_us
from coldchain.domain.rulepacks import FAULTS_IN_A_ROW, SECOND_US, Regime, Stage, regime_at
from coldchain.domain.temperature import (
    ALONE,
    BREACH,
    HIGH,
    IN_RANGE,
    LOW,
    UNJUDGED,
    UNKNOWN,
    Beside,
    FoldState,
    Item,
    Segment,
    cut_short,
    graver,
    judged_until,
    known_until,
    open_segments,
    up_to,
)


def advance(
    rule: Stage, state: FoldState | None, items: Sequence[Item], beside: Beside = ALONE
) -> tuple[FoldState | None, list[Segment]]:
    """Fold items that are merged and newer than `state.seen_us`. Returns the state after them and the segments that
    ended; the open one is in the state."""
    run = _Run(rule, state, items[-1][0] if items else 0, beside)
    place = run.calm(items, 0)
    while place < len(items):
        t_us, mc = items[place]
        if mc is None:
            run.unusable(t_us)
        else:
            run.reading(t_us, mc)
        place = run.calm(items, place + 1)
    return run.state(), run.closed


def advance_quiet(rule: Stage, state: FoldState, times: Sequence[int], values: Sequence[int]) -> FoldState | None:
    """The short way for a message that continues in range without an event: the same state `advance` gives, or None
    where the message needs it. `times` and `values` are of equal, positive length; any order."""
    last_us = state.last_us
    if state.state != IN_RANGE or state.beyond_us is not None or state.faults or last_us is None:
        return None
    if max(values) > rule.limit_mc:
        return None
    if rule.low_mc is not None and min(values) < rule.low_mc:
        return None
    gap_us = rule.max_gap_us
    for t_us in times:
        if not 0 < t_us - last_us <= gap_us:
            return None
        last_us = t_us
    return FoldState(IN_RANGE, state.since_us, last_us, values[-1], last_us)


def judge(
    schedule: Sequence[Regime], state: FoldState | None, items: Sequence[Item], beside: Beside = ALONE
) -> tuple[FoldState | None, list[Segment]]:
    """`advance` under whichever rule is in force at each item. A breach ends with the rule it breaks."""
    closed: list[Segment] = []
    while items:
        place = regime_at(schedule, items[0][0])
        stop = len(items)
        if place + 1 < len(schedule):
            stop = bisect_left(items, schedule[place + 1].from_us, key=itemgetter(0))
        if state is not None and regime_at(schedule, state.seen_us) != place:
            state, ended = _hand_over(schedule, state, items[0][0], beside)
            closed += ended
        rule = schedule[place].rule
        state, ended = _keep(state, items[:stop]) if rule is None else advance(rule, state, items[:stop], beside)
        closed += ended
        items = items[stop:]
    return state, closed


def _hand_over(
    schedule: Sequence[Regime], state: FoldState, t_us: int, beside: Beside
) -> tuple[FoldState | None, list[Segment]]:
    """What the rule at a later time goes on with: all that the old one saw ends at its last reading, or with it."""
    rule, until_us = schedule[regime_at(schedule, state.seen_us)].rule, judged_until(schedule, state.seen_us)
    if rule is None:
        return None, []
    if until_us is not None and until_us <= t_us:
        return None, open_segments(rule, state, until_us, until_us, beside)
    last_us = state.last_us
    if last_us is None:
        return state, []
    closed = cut_short(state, last_us)
    start = FoldState(UNKNOWN, last_us, last_us, state.last_mc, state.seen_us, faults=state.faults, stretch_us=last_us)
    return start, closed


def _keep(state: FoldState | None, items: Sequence[Item]) -> tuple[FoldState, list[Segment]]:
    usable = [(t_us, mc) for t_us, mc in items if mc is not None]
    last_us, last_mc = usable[-1] if usable else (state.last_us, state.last_mc) if state else (None, None)
    since_us = state.since_us if state is not None else items[0][0]
    return FoldState(UNJUDGED, since_us, last_us, last_mc, items[-1][0]), []


class _Run:
    """The fold at work: the fields of FoldState, and the segments that ended."""

    def __init__(self, rule: Stage, start: FoldState | None, until_us: int, beside: Beside) -> None:
        self.rule = rule
        self.closed: list[Segment] = []
        self.started = start is not None
        self._until_us = until_us
        self._beside = beside
        self._pauses: Pauses | None = None
        at = start or FoldState(UNKNOWN, 0, None, None, 0)
        self.now, self.since_us, self.reason, self.stretch_us = at.state, at.since_us, at.reason, at.stretch_us
        self.last_us, self.last_mc, self.seen_us, self.faults = at.last_us, at.last_mc, at.seen_us, at.faults
        self.limit, self.beyond_us, self.far_us = at.limit, at.beyond_us, at.far_us
        self.confirmed_us, self.critical_us, self.extreme_mc = at.confirmed_us, at.critical_us, at.extreme_mc

    def state(self) -> FoldState | None:
        return self._state() if self.started else None

    def _state(self) -> FoldState:
        return FoldState(
            self.now,
            self.since_us,
            self.last_us,
            self.last_mc,
            self.seen_us,
            self.beyond_us,
            self.confirmed_us,
            self.extreme_mc,
            self.faults,
            self.reason,
            self.limit,
            self.far_us,
            self.critical_us,
            self.stretch_us,
        )

    def calm(self, items: Sequence[Item], place: int) -> int:
        """Take the readings from this place on that continue in range without an event; the first place that does not.
        What `reading` does with them, in a fifth of the time: late data folds a hundred of them for each new one."""
        stuck = self._beside.stuck
        if self.now != IN_RANGE or self.beyond_us is not None or self.faults or (stuck and stuck[-1][1] > self.seen_us):
            return place
        low_mc, limit_mc, gap_us = self.rule.low_mc, self.rule.limit_mc, self.rule.max_gap_us
        last_us, begun, stop = self.seen_us, place, len(items)
        while place < stop:
            t_us, mc = items[place]
            if mc is None or mc > limit_mc or (low_mc is not None and mc < low_mc) or t_us - last_us > gap_us:
                break
            last_us = t_us
            place += 1
        if place > begun:
            self.last_us = self.seen_us = last_us
            self.last_mc = items[place - 1][1]
        return place

    def unusable(self, t_us: int) -> None:
        if not self.started:
            self.started, self.since_us, self.reason = True, t_us, "fault"
        self.faults += 1
        self.seen_us = t_us

    def reading(self, t_us: int, mc: int) -> None:
        if self.last_us is None:
            self.since_us = self.since_us if self.started else t_us
            self.started, self.stretch_us = True, t_us
        else:
            self._join(t_us, self.last_us)
        self._judge(t_us, mc)
        self.last_us, self.last_mc, self.seen_us, self.faults = t_us, mc, t_us, 0

    def _join(self, t_us: int, last_us: int) -> None:
        """The time between two readings: known or not (2.1)."""
        if self.faults >= FAULTS_IN_A_ROW:
            reason = "fault"
        elif self._beside.stuck and self._is_stuck(last_us, t_us):
            reason = "stuck"
        elif t_us - last_us > self.rule.max_gap_us:
            reason = "gap"
        else:
            if self.now == UNKNOWN and self.beyond_us is None:
                self._turn(IN_RANGE, last_us)
            return
        if self.now != UNKNOWN:
            self._turn(UNKNOWN, known_until(self._state(), last_us))
        self.reason, self.stretch_us = graver(self.reason, reason), t_us
        self._end_run()

    def _is_stuck(self, from_us: int, to_us: int) -> bool:
        stuck = self._beside.stuck
        place = bisect_right(stuck, from_us, key=itemgetter(0))
        return place > 0 and to_us <= stuck[place - 1][1]

    def _judge(self, t_us: int, mc: int) -> None:
        if self.now == BREACH and self._is_back(mc):
            self._turn(IN_RANGE, t_us)
            self._end_run()
        limit = self.limit if self.now == BREACH else self._beyond(mc)
        if limit != self.limit:
            if self.now == UNKNOWN and self.beyond_us is not None and self.beyond_us != self.stretch_us:
                self._turn(IN_RANGE, self.beyond_us)
            self._end_run()
            self.limit, self.beyond_us = limit, t_us if limit else None
        if not limit:
            return
        worse = max if limit == HIGH else min
        self.extreme_mc = mc if self.extreme_mc is None else worse(mc, self.extreme_mc)
        if self.now != BREACH:
            self._confirm(t_us, mc)
        if self.now == BREACH and self.critical_us is None and self.rule.critical_s is not None:
            self.critical_us = t_us if self._lasted(self.beyond_us, t_us, self.rule.critical_s) else None

    def _is_back(self, mc: int) -> bool:
        if self.limit == HIGH or self.rule.low_mc is None:
            return mc <= self.rule.clear_mc
        return mc >= self.rule.low_mc + self.rule.hysteresis_mc

    def _beyond(self, mc: int) -> str:
        if mc > self.rule.limit_mc:
            return HIGH
        return LOW if self.rule.low_mc is not None and mc < self.rule.low_mc else ""

    def _confirm(self, t_us: int, mc: int) -> None:
        """3.3"""
        rule = self.rule
        low_mc = rule.limit_mc if rule.low_mc is None else rule.low_mc
        far = mc - rule.limit_mc if self.limit == HIGH else low_mc - mc
        if far <= rule.tolerance_mc:
            self.far_us = None
        elif self.far_us is None:
            self.far_us = t_us
        tolerated_s = max(rule.consecutive_s, rule.tolerance_s)
        if self._lasted(self.beyond_us, t_us, tolerated_s) or self._lasted(self.far_us, t_us, rule.consecutive_s):
            assert self.beyond_us is not None
            self._turn(BREACH, self.beyond_us)
            self.confirmed_us, self.far_us = t_us, None

    def _lasted(self, from_us: int | None, t_us: int, least_s: int) -> bool:
        """Whether so much time was counted between two readings of the run (3.2). Pauses are looked at only where that
        can change the answer."""
        if from_us is None or t_us - from_us < least_s * SECOND_US:
            return False
        if not can_pause(self.rule):
            return True
        if self._pauses is None:
            begun_us = from_us if self.beyond_us is None else self.beyond_us
            told = self._beside.told(begun_us - reach_us(self.rule), self._until_us)
            self._pauses = Pauses(self.rule, told)
        return t_us - from_us - self._pauses.between(from_us, t_us) >= least_s * SECOND_US

    def _end_run(self) -> None:
        self.limit = ""
        self.beyond_us = self.confirmed_us = self.extreme_mc = self.far_us = self.critical_us = None

    def _turn(self, to: str, at_us: int) -> None:
        self.closed += up_to(self._state(), at_us)
        self.now, self.since_us, self.reason, self.stretch_us = to, at_us, "", None
