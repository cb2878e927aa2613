"""What is wrong with a device's chain or clock, as verdict rows: gaps, broken links, differing copies, absurd times."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection

from coldchain.db import lanes
from coldchain.db.bulk import append_rows, remove_rows
from coldchain.db.tables.verdicts import verdict
from coldchain.domain.condition import FAST_US
from coldchain.domain.devices import DISPUTED, Changes, Finding
from coldchain.domain.lateness import STEADY_US, Behind
from coldchain.domain.rulepacks import SECOND_US
from coldchain.projections.device_state import Device
from coldchain.projections.series import Span

SOURCE = "device"
CLOCK = "device clock"
FAST = "device clock-fast"
BEHIND = "device clock-behind"
_SPARE = json.dumps({"ahead_s": FAST_US // 1_000_000}, separators=(",", ":"))
REVOKED = "device revoked-key"
_ROW = ("source =", "rule =", "subject =", "channel =")


def write_chain_findings(
    connection: Connection,
    chains: Iterable[tuple[Device, Changes]],
    copies: Mapping[int, Sequence[Span]],
    ledger_time_us: int,
) -> None:
    """Make the rows of these chains agree with what changed. copies: by device number, of its disputed messages."""
    stale, rows = [], []
    for known, changes in chains:
        for (kind, boot, seq), finding in changes.findings.items():
            key = (SOURCE, f"device {kind}", f"dev:{known.name}", _channel(boot, seq))
            stale.append(key)
            if finding is not None:
                rows.append((*key, *_chain_columns(known, finding, copies.get(known.no, ()))))
    _replace(connection, stale, rows, ledger_time_us)


def write_clock_findings(connection: Connection, devices: Iterable[Device], ledger_time_us: int) -> None:
    """One row per device and direction: the whole span of times that were not believed; and one of those that were far
    ahead of the ledger's (docs/temperature.md 4.5)."""
    stale, rows = [], []
    for known in devices:
        told = known.condition
        spans = {"ahead": (told.ahead_from_us, told.ahead_to_us), "early": (told.early_from_us, told.early_to_us)}
        for channel, (from_us, to_us) in spans.items():
            if from_us is not None:
                key = (SOURCE, CLOCK, f"dev:{known.name}", channel)
                stale.append(key)
                rows.append((*key, from_us, to_us, "unknown", "open", "{}", known.enrolled.grade, "[]"))
        if told.fast_from_us is not None:
            key = (SOURCE, FAST, f"dev:{known.name}", "")
            stale.append(key)
            span = told.fast_from_us, told.fast_to_us
            rows.append((*key, *span, "unknown", "open", _SPARE, known.enrolled.grade, "[]"))
    _replace(connection, stale, rows, ledger_time_us)


def write_behind_findings(connection: Connection, told: Mapping[Device, Sequence[Behind]], ledger_time_us: int) -> None:
    """Make the rows of these devices those given: one for each stretch of days, in ledger time."""
    stale, rows = [], []
    for known, stretches in told.items():
        key = (SOURCE, BEHIND, f"dev:{known.name}", "")
        stale.append(key)
        for one in stretches:
            stated = {"behind_s": one.least_us // SECOND_US, "days": one.days, "steady_s": STEADY_US // SECOND_US}
            detail, state = json.dumps(stated, separators=(",", ":")), "open" if one.to_us is None else "closed"
            rows.append((*key, one.from_us, one.to_us, "unknown", state, detail, known.enrolled.grade, "[]"))
    _replace(connection, stale, rows, ledger_time_us)


def write_revoked_findings(
    connection: Connection, chains: Iterable[tuple[Device, Changes]], ledger_time_us: int
) -> None:
    """One row per device with messages of a revoked key that do not count (design §6): somebody may hold that key."""
    stale, rows = [], []
    for known, changes in chains:
        if not changes.held:
            continue
        key = (SOURCE, REVOKED, f"dev:{known.name}", "")
        stale.append(key)
        held = known.chain.held.values()
        if held:
            times = [t_us for message in held for t_us in (message.first_us, message.last_us) if t_us is not None]
            from_us, to_us = (min(times), max(times)) if times else (0, None)
            detail = json.dumps({"messages": len(held)}, separators=(",", ":"))
            entries = json.dumps(sorted(message.ref for message in held), separators=(",", ":"))
            rows.append((*key, from_us, to_us, "unknown", "open", detail, known.enrolled.grade, entries))
    _replace(connection, stale, rows, ledger_time_us)


def _replace(
    connection: Connection, stale: Sequence[tuple[str, ...]], rows: Sequence[tuple[Any, ...]], ledger_time_us: int
) -> None:
    remove_rows(connection, verdict, stale, _ROW)
    append_rows(connection, verdict, rows)
    lanes.mark(connection, {(rule, subject, channel): ledger_time_us for _, rule, subject, channel in stale})


def _channel(boot: int, seq: int) -> str:
    return f"{boot}/start" if seq < 0 else f"{boot}/{seq}"


def _chain_columns(known: Device, finding: Finding, copies: Sequence[Span]) -> tuple[Any, ...]:
    from_us, to_us, entries = finding.from_us, finding.to_us, []
    detail = {"boot": finding.boot, "seq": finding.seq, "upto": finding.upto}
    if finding.kind == DISPUTED:
        mine = [span for span in copies if (span.boot, span.seq) == (finding.boot, finding.seq)]
        times = [t_us for span in mine for t_us in (span.first_us, span.last_us) if t_us is not None]
        from_us, to_us = (min(times), max(times)) if times else (None, None)
        entries = sorted({span.entry for span in mine})
        detail["copies"] = len(entries)
    stated = json.dumps(
        {name: value for name, value in sorted(detail.items()) if value is not None}, separators=(",", ":")
    )
    return (
        from_us or 0,
        to_us,
        "unknown",
        "open",
        stated,
        known.enrolled.grade,
        json.dumps(entries, separators=(",", ":")),
    )
