"""What is said of the temperature of one probe, and where its fold stands (docs/temperature.md 2, 3).

`coldchain.domain.folding` folds readings to this.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from coldchain.domain.pauses import Told
from coldchain.domain.rulepacks import FAULTS_IN_A_ROW, Regime, Stage, regime_at

IN_RANGE = "in_range"
BREACH = "breach"
UNKNOWN = "unknown"
UNJUDGED = "unjudged"
"""No rule is in force: the newest reading is kept, and there are no segments."""

HIGH = "high"
LOW = "low"

Item = tuple[int, int | None]
"""(time in µs, milli-°C); None where the sensor answered without a usable value."""


class Beside(NamedTuple):
    """What the fold of a probe looks at beside its readings."""

    told: Callable[[int, int], Told] = lambda _from_us, _to_us: {}
    """What its device tells of defrosts and doors from one time to another, both included. Asked only about readings
    that have been beyond a limit for long enough to matter, of what lies before them."""
    stuck: Sequence[tuple[int, int]] = ()
    """First and last reading of each stretch in which the sensor is stuck, ascending, apart from each other."""


ALONE = Beside()


class Segment(NamedTuple):
    """One state from one reading to another."""

    from_us: int
    to_us: int | None
    """None while it lasts."""
    state: str
    reason: str = ""
    """Of the unknown: `fault`, `stuck` or `gap`."""
    max_mc: int | None = None
    """Of a breach of the high limit that ended: its warmest reading."""
    confirmed_us: int | None = None
    """Of a breach: the reading that completed the consecutive time."""
    limit: str = ""
    """Of a breach: `high` or `low`."""
    min_mc: int | None = None
    """Of a breach of the low limit that ended: its coldest reading."""
    critical_us: int | None = None
    """Of a breach: the reading from which it is critical."""


@dataclass(slots=True, init=False)
class FoldState:
    """Where a fold stands after some readings; all that is needed to go on. Nobody changes one."""

    state: str
    """Of the open segment."""
    since_us: int
    """Where the open segment started."""
    last_us: int | None
    """The newest usable reading."""
    last_mc: int | None
    seen_us: int
    """The newest item, usable or not."""
    beyond_us: int | None
    """First of the readings now beyond a limit in a row: where the run began."""
    confirmed_us: int | None
    extreme_mc: int | None
    """Of the run: the warmest or, at the low limit, coldest since `beyond_us`."""
    faults: int
    """Fault values since `last_us`."""
    reason: str
    limit: str
    """Which one the run is beyond."""
    far_us: int | None
    """First of the readings of an unconfirmed run that lie beyond the tolerance in a row."""
    critical_us: int | None
    stretch_us: int | None
    """While unknown: the first of the readings that join each other without a break up to now."""

    def __init__(
        self,
        state: str,
        since_us: int,
        last_us: int | None,
        last_mc: int | None,
        seen_us: int,
        beyond_us: int | None = None,
        confirmed_us: int | None = None,
        extreme_mc: int | None = None,
        faults: int = 0,
        reason: str = "",
        limit: str = "",
        far_us: int | None = None,
        critical_us: int | None = None,
        stretch_us: int | None = None,
    ) -> None:
        self.state, self.since_us, self.last_us, self.last_mc = state, since_us, last_us, last_mc
        self.seen_us, self.beyond_us, self.confirmed_us = seen_us, beyond_us, confirmed_us
        self.extreme_mc, self.faults, self.reason, self.limit = extreme_mc, faults, reason, limit
        self.far_us, self.critical_us, self.stretch_us = far_us, critical_us, stretch_us

    def fields(self) -> tuple[str | int | None, ...]:
        """In their order, as the tables hold them."""
        return (
            self.state,
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


def merged(items: Iterable[Item]) -> list[Item]:
    """Items in time order, one a time: of differing readings at one time the warmest counts, a fault only if alone."""
    at: dict[int, int | None] = {}
    for t_us, mc in items:
        known = at.get(t_us)
        at[t_us] = mc if known is None else known if mc is None else max(known, mc)
    return sorted(at.items())


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


def open_segments(
    rule: Stage, state: FoldState, now_us: int, until_us: int | None = None, beside: Beside = ALONE
) -> list[Segment]:
    """The segments not yet ended, as far as `now_us`, the newest time the ledger knows: at most two.

    After the longest gap without a usable reading the time since the last one is unknown; a sensor that is stuck stays
    so until it is not. until_us: when the device stopped being judged.
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
        if lost or (not ended and _ends_stuck(beside.stuck, state.last_us)):
            return [Segment(state.since_us, to_us, UNKNOWN, graver(state.reason, reason if lost else ""))]
        return up_to(state, state.last_us) if ended else _coming_to_know(state, state.last_us)
    if not lost and not ended:
        return [_lasting(state)]
    if lost:
        known_us = known_until(state, state.last_us)
        return [*up_to(state, known_us), Segment(known_us, to_us, UNKNOWN, reason)]
    return cut_short(state, state.last_us)


def _coming_to_know(state: FoldState, last_us: int) -> list[Segment]:
    """Of a segment that is unknown, while readings come; a run that began with them is of unknown length (3.3)."""
    if state.stretch_us == last_us:
        return up_to(state, last_us)
    if state.beyond_us == state.stretch_us:
        return [Segment(state.since_us, None, UNKNOWN, state.reason or "gap")]
    known_us = last_us if state.beyond_us is None else state.beyond_us
    return [*up_to(state, known_us), Segment(known_us, None, IN_RANGE)]


def graver(reason: str, other: str) -> str:
    """Of two reasons of time that is unknown throughout, the one to tell (2.4)."""
    return next((one for one in ("fault", "stuck") if one in (reason, other)), "gap")


def _ends_stuck(stuck: Sequence[tuple[int, int]], last_us: int) -> bool:
    return bool(stuck) and stuck[-1][0] < last_us <= stuck[-1][1]


def _lasting(state: FoldState) -> Segment:
    """Its extreme is told once it ended: what is open does not change by the minute."""
    if state.state != BREACH:
        return Segment(state.since_us, None, state.state)
    return Segment(state.since_us, None, BREACH, "", None, state.confirmed_us, state.limit, None, state.critical_us)


def known_until(state: FoldState, last_us: int) -> int:
    """Where the open segment ends if nothing known follows its newest reading: nobody knows how long a run lasted that
    is not confirmed (3.3)."""
    return state.beyond_us if state.state == IN_RANGE and state.beyond_us is not None else last_us


def cut_short(state: FoldState, last_us: int) -> list[Segment]:
    """The open segment, ended at its newest reading though that is followed by no unknown time."""
    known_us = known_until(state, last_us)
    run = [Segment(known_us, last_us, UNKNOWN, "gap")] if known_us < last_us else []
    return up_to(state, known_us) + run


def up_to(state: FoldState, to_us: int) -> list[Segment]:
    """The open segment up to a time; none where it began then."""
    if state.since_us >= to_us:
        return []
    if state.state == IN_RANGE:
        return [Segment(state.since_us, to_us, IN_RANGE)]
    if state.state == UNKNOWN:
        return [Segment(state.since_us, to_us, UNKNOWN, state.reason or "gap")]
    warmest, coldest = (state.extreme_mc, None) if state.limit == HIGH else (None, state.extreme_mc)
    told = warmest, state.confirmed_us, state.limit, coldest, state.critical_us
    return [Segment(state.since_us, to_us, BREACH, "", *told)]
