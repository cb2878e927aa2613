"""One probe as the fold holds it in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from coldchain.domain.pauses import longest_reach_us
from coldchain.domain.rulepacks import Regime, Stage, regime_at
from coldchain.domain.temperature import (
    UNKNOWN,
    Beside,
    FoldState,
    Segment,
    judged_until,
    lost_after_us,
    open_segments,
)
from coldchain.domain.watching import Watch
from coldchain.projections.device_state import Device
from coldchain.projections.series import CELL_US, Reader

FOREVER_US = 2**62


@dataclass(slots=True, eq=False)
class Channel:
    """One probe in memory: its fold as stored, and as this batch has advanced it."""

    device: Device
    name: str
    """With the `temp/` of its samples."""
    probe: str
    """Without it."""
    schedule: Sequence[Regime]
    state: FoldState | None = None
    stored: FoldState | None = None
    """The state the tables hold."""
    lost: bool = False
    """Whether the stored rows end in time that is unknown because nothing usable followed."""
    queued_us: int = FOREVER_US
    """When the heap of silences looks at it; FOREVER_US: never."""
    closed: list[Segment] = field(default_factory=list)
    snapshots: list[tuple[int, FoldState | None]] = field(default_factory=list)
    """(cell, state before its first item) of the cells this batch began."""
    late: tuple[int, int] | None = None
    """First and last time whose items the stored fold did not see as they are. What this batch advanced in order stands
    on the stored fold: it holds if the refold of these times meets that."""
    resume: FoldState | None = None
    """The fold after the late times of the last refold: a backlog that drains in order goes on from there."""
    rule: Stage | None = None
    """In force at the newest item."""
    quiet_until_us: int = 0
    """Until then the same rule is in force and the same cell goes on."""
    judged_until_us: int | None = None
    """When, after the newest item, no rule is in force any more."""
    stuck: list[tuple[int, int]] = field(default_factory=list)
    """Stretches in which the sensor is stuck, as `Beside.stuck`. Whoever changes one touches its times."""

    watch: Watch | None = None
    """What is remembered to know that most messages raise no doubt; None until somebody looked."""

    def find_rule(self) -> None:
        seen_us = self.state.seen_us if self.state is not None else 0
        place = regime_at(self.schedule, seen_us)
        self.rule = self.schedule[place].rule
        rule_until_us = self.schedule[place + 1].from_us if place + 1 < len(self.schedule) else FOREVER_US
        self.quiet_until_us = min(rule_until_us, (seen_us // CELL_US + 1) * CELL_US)
        self.judged_until_us = judged_until(self.schedule, seen_us)

    def touch(self, from_us: int, to_us: int) -> None:
        """Mark times as changed."""
        if self.late is not None:
            from_us, to_us = min(from_us, self.late[0]), max(to_us, self.late[1])
        self.late = (from_us, to_us)

    def touch_pauses(self, from_us: int, to_us: int) -> bool:
        """Mark what samples of the device between these times may change: where the timers stand still. True where that
        is anything."""
        reach_us = longest_reach_us(self.schedule)
        if reach_us:
            self.touch(from_us, to_us + reach_us)
        return reach_us > 0

    def beside(self, reader: Reader) -> Beside:
        return Beside(lambda from_us, to_us: reader.told(self.device, from_us, to_us), self.stuck)

    def lost_after_us(self) -> int:
        """The newest ledger time at which the open segment stands; for ever where nothing is judged."""
        if self.state is None or self.rule is None:
            return FOREVER_US
        return lost_after_us(self.rule, self.state, self.judged_until_us)

    def open_now(self, ledger_time_us: int) -> list[Segment]:
        if self.state is None or self.rule is None:
            return []
        return open_segments(self.rule, self.state, ledger_time_us, self.judged_until_us, Beside(stuck=self.stuck))


@dataclass(slots=True)
class Rewrite:
    """The rows of one probe between two times, anew."""

    channel: Channel
    from_us: int
    to_us: int
    segments: list[Segment]


def continued(probe: Channel, ledger_time_us: int) -> list[Rewrite]:
    """Rows that change though everything came in order; none for a probe that just goes on."""
    old, new = probe.stored, probe.state
    lost = probe.lost_after_us() < ledger_time_us
    goes_on = old is not None and new is not None and _told_of(old) == _told_of(new)
    if goes_on and not (probe.closed or lost or probe.lost) and new is not None and new.state != UNKNOWN:
        return []
    from_us = old.since_us if old is not None else 0
    return [Rewrite(probe, from_us, FOREVER_US, probe.closed + probe.open_now(ledger_time_us))]


def _told_of(state: FoldState) -> tuple[str, int, int | None]:
    """What the row of an open segment says that may change while it lasts: a breach becomes critical."""
    return state.state, state.since_us, state.critical_us
