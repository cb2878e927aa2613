"""Segments that a person should see, as verdict rows with thresholds and the entries they rest on (telemetry §4)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection

from coldchain.db import lanes
from coldchain.db.bulk import append_rows, fetch, remove_rows
from coldchain.db.tables.verdicts import verdict
from coldchain.domain.pacing import Lane
from coldchain.domain.rulepacks import FAULTS_IN_A_ROW, Regime, Stage, regime_at
from coldchain.domain.temperature import BREACH, IN_RANGE, LOW, Segment
from coldchain.projections.channels import FOREVER_US, Channel, Rewrite
from coldchain.projections.device_state import Device
from coldchain.projections.series import GRADES, PROBES, Reader

SOURCE = "temperature"
KEY = 5
"""Columns of a row's primary key, which come first: source, rule, subject, channel, from_us."""


def write_verdicts(
    connection: Connection, reader: Reader, rewrites: Sequence[Rewrite], changed_us: Mapping[Channel, int]
) -> None:
    """Bring the rows of these stretches to their segments; only those that differ are written, and their lanes marked
    as changed at the time given for the channel."""
    gone: list[tuple[Any, ...]] = []
    fresh: list[tuple[Any, ...]] = []
    touched: dict[Lane, int] = {}
    for rewrite in rewrites:
        before = {row[:KEY]: row for row in _stored(connection, rewrite)}
        after = {row[:KEY]: row for row in _rows(reader, rewrite)}
        differing = [key for key in before.keys() | after.keys() if before.get(key) != after.get(key)]
        gone += [key for key in differing if key in before]
        fresh += [after[key] for key in differing if key in after]
        touched |= {key[1:4]: changed_us[rewrite.channel] for key in differing}
    remove_rows(connection, verdict, gone)
    append_rows(connection, verdict, fresh)
    lanes.mark(connection, touched)


def _stored(connection: Connection, rewrite: Rewrite) -> list[tuple[Any, ...]]:
    query = "SELECT * FROM verdict WHERE subject = ? AND channel = ? AND from_us >= ? AND from_us < ? AND source = ?"
    subject, probe = f"dev:{rewrite.channel.device.name}", rewrite.channel.probe
    rows = fetch(connection, query, subject, probe, rewrite.from_us, rewrite.to_us, SOURCE)
    return [tuple(row) for row in rows]


def _rows(reader: Reader, rewrite: Rewrite) -> Iterator[tuple[Any, ...]]:
    """Breaches and time that is unknown."""
    known, name, schedule = rewrite.channel.device, rewrite.channel.name, rewrite.channel.schedule
    for segment in rewrite.segments:
        found = _told(rewrite.channel, segment)
        if found is None:
            continue
        regime = _regime(schedule, found)
        entries, weakest = _basis(reader, known, name, found)
        yield (
            SOURCE,
            _rule(regime, found),
            f"dev:{known.name}",
            name[len(PROBES) :],
            found.from_us,
            found.to_us,
            found.state,
            "open" if found.to_us is None else "closed",
            _canonical(_detail(regime, found)),
            weakest,
            _canonical(entries),
        )


def _told(probe: Channel, found: Segment) -> Segment | None:
    """The segment as its verdict has it; None where there is none. That a sensor is stuck is a finding of its own
    (`quality stuck`): what is unknown beyond it is told of as missing."""
    if found.reason != "stuck":
        return None if found.state == IN_RANGE else found
    end_us = FOREVER_US if found.to_us is None else found.to_us
    is_stuck = any(from_us <= found.from_us and end_us <= to_us for from_us, to_us in probe.stuck)
    silent = found.to_us is None and probe.lost
    return None if is_stuck and not silent else found._replace(reason="gap")


def _regime(schedule: Sequence[Regime], found: Segment) -> Regime:
    """The rule a segment was judged by. One that starts while nothing was judged was seen by the rule after."""
    place = regime_at(schedule, found.from_us if found.confirmed_us is None else found.confirmed_us)
    return next((regime for regime in schedule[place:] if regime.rule is not None), schedule[place])


def _rule(regime: Regime, found: Segment) -> str:
    if found.state == BREACH:
        return (
            f"{regime.pack} {regime.stage} low limit" if found.limit == LOW else f"{regime.pack} {regime.stage} limit"
        )
    return f"{regime.pack} {_UNKNOWN[found.reason]}"


_UNKNOWN = {"fault": "sensor fault", "gap": "gap"}
_TIMERS = ("tolerance_mc", "tolerance_s", "critical_s", "defrost_cap_s", "door_cap_s")


def _detail(regime: Regime, found: Segment) -> dict[str, Any]:
    """What was applied, and how grave it is. A breach tells its extreme reading once it ended: open verdicts do not
    change by the minute."""
    rule = regime.rule
    assert rule is not None, "only what a rule judged has segments"
    detail: dict[str, Any] = {
        "pack": regime.pack,
        "version": regime.version,
        "stage": regime.stage,
        "clause": rule.clause,
        "verified": regime.verified,
    }
    if found.state == BREACH:
        return detail | _breach(rule, found)
    detail["severity"] = "warning"
    if found.reason == "fault":
        return detail | {"faults_in_a_row": FAULTS_IN_A_ROW}
    return detail | {"max_gap_s": rule.max_gap_s}


def _breach(rule: Stage, found: Segment) -> dict[str, Any]:
    """What is not known yet, and thresholds the rule does not use, are left out."""
    said = {
        "severity": "alarm" if found.critical_us is None else "critical",
        "limit_mc": rule.low_mc if found.limit == LOW else rule.limit_mc,
        "hysteresis_mc": rule.hysteresis_mc,
        "consecutive_s": rule.consecutive_s,
        "confirmed_us": found.confirmed_us,
    }
    known = {"critical_us": found.critical_us, "max_mc": found.max_mc, "min_mc": found.min_mc}
    said |= {name: value for name, value in known.items() if value is not None}
    return said | {name: value for name in _TIMERS if (value := getattr(rule, name))}


def _basis(reader: Reader, known: Device, name: str, found: Segment) -> tuple[list[int], str]:
    """Ledger entries and weakest grade of the readings that confirm a breach, or that bound what is unknown."""
    if found.confirmed_us is not None:
        spans = [(found.from_us, found.confirmed_us)]
    else:
        spans = [(t_us, t_us) for t_us in (found.from_us, found.to_us) if t_us is not None]
    entries: set[int] = set()
    grades: set[int] = set()
    for from_us, to_us in spans:
        more, weaker = reader.evidence(known, name, from_us, to_us)
        entries |= more
        grades |= weaker
    return sorted(entries), GRADES[max(grades)] if grades else known.enrolled.grade


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
