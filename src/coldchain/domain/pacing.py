"""When a difference between what is concluded and what was published is published (decision 10).

By ledger time alone. The tables of verdicts are exact at every moment, so a backlog that drains moves some of their
rows with every message. What late data may yet refute is published once it has come to rest; an alarm at once.
"""

from __future__ import annotations

from typing import NamedTuple

from coldchain.domain.findings import WITHDRAWN, Change, Current, Published
from coldchain.domain.temperature import BREACH, UNKNOWN

Lane = tuple[str, str, str]
"""(rule, subject, channel): verdicts and findings are compared within it."""
SETTLE_US = 30 * 60 * 1_000_000
"""How long a conclusion that late data moves stands before it is published. A tracker that reports every half hour is
never published as silent."""
LONGEST_US = 4 * SETTLE_US
"""What never comes to rest is published this often; of an absence, what has lasted so long."""


class Touched(NamedTuple):
    """A lane that changed and was not found to be published as it is since. Ledger times."""

    since_us: int
    """Of the first change that waits, or of the newest publication where that is later."""
    changed_us: int
    """Of the newest change."""


def lane_of(change: Change) -> Lane:
    said = _about(change)
    return said.rule, said.subject, said.channel


def _about(change: Change) -> Current | Published:
    said = change.row or change.before
    assert said is not None
    return said


def rests_on_absence(rule: str) -> bool:
    """Whether findings of the rule say that something is missing, which may be on its way: a sensor's silence, messages
    missing from a device's chain."""
    return rule.endswith(" gap")


def settled_us(touched: Touched, from_us: int = 0) -> int:
    """Ledger time from which something that waits for rest is published.

    from_us: since when something is missing. A lane that one short silence after another keeps moving has waited for
    none of them so long.
    """
    return min(touched.changed_us + SETTLE_US, max(touched.since_us, from_us) + LONGEST_US)


def publishable_us(change: Change, touched: Touched) -> int:
    """Ledger time from which the change is published; 0 for at once.

    At once: what is new, or came back, or escalated, and rests on evidence; and every change of a continuity verdict.
    What opens, closes or withdraws a telemetry finding: SETTLE_US after that finding's last entry. What rests on
    absence, and bounds that merely move: `settled_us`.
    """
    row, before, said = change.row, change.before, _about(change)
    if rests_on_absence(said.rule):
        return settled_us(touched, said.from_us)
    if before is None or before.verdict not in (BREACH, UNKNOWN):
        return 0
    if before.state == WITHDRAWN or change.event == "escalated":
        return 0
    if row is None or row.state != before.state:
        return before.at_us + SETTLE_US
    return settled_us(touched)
