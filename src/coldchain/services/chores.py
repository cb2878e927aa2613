"""What the server records by itself: passing time, index roots, tallies of refusals, questions to the parties."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from coldchain_ledger.log import Draft

HOUR_US = 3_600_000_000
DAY_US = 24 * HOUR_US
CLOCK_TOLERANCE_US = 5_000_000
"""A server clock further behind the newest entry than this has stepped back (ledger §3.6)."""
INDEX_EVERY = 100_000
"""Entries between two index roots at most (ledger §5.5)."""


def time_entry(
    origin: str, now_us: int, last_us: int, deadlines_running: bool, awaited_us: int | None = None
) -> Draft | None:
    """A `time` entry when a day, or an hour while a deadline runs, passed since the newest entry; when a ledger time
    that something waits for has come and no entry with it; or when the clock is behind the newest entry, so that the
    step back is on record (ledger §3.6)."""
    came = awaited_us is not None and last_us < awaited_us <= now_us
    if not came and -CLOCK_TOLERANCE_US <= now_us - last_us < (HOUR_US if deadlines_running else DAY_US):
        return None
    return Draft(
        kind="time",
        by=origin,
        type="application/json",
        key=f"time/{now_us}",
        grade="derived",
        subjects=(),
        payload=canonical({"t_us": now_us}),
    )


def index_due(size: int, now_us: int, last_size: int, last_us: int) -> bool:
    """Whether an index root is due: 100,000 entries or a day since the last one (ledger §5.5)."""
    return size > last_size + 1 and (size - last_size > INDEX_EVERY or now_us - last_us >= DAY_US)


@dataclass(frozen=True, slots=True)
class Tally:
    """Refusals of one sender for one reason within one hour."""

    sender: str
    reason: str
    hour_us: int
    count: int
    digest: bytes
    """SHA-256 chain over the SHA-256 of each refused payload, in order of refusal."""


def reject_entries(origin: str, tallies: Iterable[Tally]) -> list[Draft]:
    """One entry per sender, reason and hour, so that a flood of forgeries cannot fill the log (design §4.3)."""
    return [
        Draft(
            kind="reject",
            by=origin,
            type="application/json",
            key=f"reject/{tally.sender}/{tally.reason}/{tally.hour_us}",
            grade="derived",
            subjects=(),
            payload=canonical(
                {
                    "count": tally.count,
                    "hour_us": tally.hour_us,
                    "reason": tally.reason,
                    "sender": tally.sender,
                    "sha256": tally.digest.hex(),
                }
            ),
        )
        for tally in tallies
    ]


@dataclass(frozen=True, slots=True)
class Question:
    """A published finding whose holder has not been asked yet."""

    finding: str
    rule: str
    subject: str
    from_us: int
    to_us: int | None
    asked: str
    """The party that held the unit."""
    channel: str = ""


def ask_entry(by: str, question: Question, deadline_s: int) -> Draft:
    """The question is a fact; the deadline runs from the entry's own `at` (domain §3)."""
    body = {
        "v": 1,
        "order": "ask",
        "finding": question.finding,
        "rule": question.rule,
        "subject": question.subject,
        "channel": question.channel,
        "from_us": question.from_us,
        "to_us": question.to_us if question.to_us is not None else question.from_us,
        "deadline_s": deadline_s,
        "asked": question.asked,
    }
    return Draft(
        kind="order",
        by=by,
        type="application/json",
        key=f"ask/{question.finding}",
        grade="derived",
        subjects=(question.subject,),
        payload=canonical(body),
    )


def rule_entries(by: str, packs: Sequence[Mapping[str, Any]]) -> list[Draft]:
    """One `rules` entry per pack and version; recording a pack again changes nothing."""
    return [
        Draft(
            kind="rules",
            by=by,
            type="application/json",
            key=f"rules/{pack['name']}/{pack['version']}",
            grade="declared",
            subjects=(),
            payload=canonical(pack),
        )
        for pack in packs
    ]


def canonical(body: Mapping[str, Any]) -> bytes:
    """The one spelling of a JSON object whose numbers are integers (RFC 8785 for that subset)."""
    return json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
