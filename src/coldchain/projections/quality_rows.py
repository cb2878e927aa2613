"""Rows of doubted sensors, and verdicts on them: one of each stuck stretch, one of a probe's spikes of a day, one of
windows that follow each other."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, select

from coldchain.db import lanes
from coldchain.db.bulk import append_rows, fetch, put_rows, remove_rows
from coldchain.db.tables.telemetry import quality
from coldchain.db.tables.verdicts import verdict
from coldchain.domain.quality import DAY_US, DRIFT, ECHO, SPIKE, STUCK, Window, joined
from coldchain.domain.rulepacks import Regime, regime_at
from coldchain.projections.channels import Channel
from coldchain.projections.device_state import Device
from coldchain.projections.series import GRADES, PROBES, Reader

SOURCE = "quality"
PARAMETERS = {
    SPIKE: ("spike_mc", "spike_mc_per_min"),
    STUCK: ("stuck_samples", "stuck_move_mc"),
    DRIFT: ("drift_mc", "drift_window_s"),
    ECHO: ("echo_samples",),
}
"""What each kind is judged by: fields of a pack's `quality`."""
FOREVER_US = 2**62
_KEY = 5
"""Columns of a verdict's primary key, which come first."""


Probes = Mapping[int, Mapping[str, Channel]]
"""By device number and name."""


class Doubt(NamedTuple):
    """One row of `quality`, without the device."""

    channel: str
    kind: str
    from_us: int
    to_us: int | None
    detail: str


def doubt(channel: str, kind: str, from_us: int, to_us: int | None, **detail: Any) -> Doubt:
    return Doubt(channel, kind, from_us, to_us, _canonical(detail))


def stored(connection: Connection, device_no: int, channel: str, kind: str, from_us: int, to_us: int) -> list[Doubt]:
    """Of one probe and kind, whatever touches the times, both included; those of windows as far as they begin there."""
    query = (
        "SELECT channel, kind, from_us, to_us, detail FROM quality WHERE device_no = ? AND channel = ? AND kind = ?"
        " AND from_us <= ? AND (to_us IS NULL OR to_us >= ?) ORDER BY from_us"
    )
    return [Doubt(*row) for row in fetch(connection, query, device_no, channel, kind, to_us, from_us)]


def stuck_stretches(connection: Connection) -> list[tuple[int, str, int, int | None]]:
    """Every one there is, by time: device number, probe, from and to."""
    c = quality.c
    query = select(c.device_no, c.channel, c.from_us, c.to_us).where(c.kind == STUCK).order_by(c.from_us)
    return [tuple(row) for row in connection.execute(query)]


def spiked(connection: Connection, device_no: int, channel: str, from_us: int) -> set[int]:
    """Times of the probe's spikes from a time on."""
    query = "SELECT from_us FROM quality WHERE device_no = ? AND channel = ? AND kind = ? AND from_us >= ?"
    return {row[0] for row in fetch(connection, query, device_no, channel, SPIKE, from_us)}


def replace(connection: Connection, device_no: int, before: Iterable[Doubt], after: Iterable[Doubt]) -> set[Doubt]:
    """Bring these rows to those; the rows that went or came."""
    old, new = set(before), set(after)
    keys = [(device_no, *one[:3]) for one in old - new]
    remove_rows(connection, quality, keys, ("device_no =", "channel =", "kind =", "from_us ="))
    put_rows(connection, quality, [(device_no, *one) for one in new - old])
    return old ^ new


class Ledger(NamedTuple):
    """Where readings are read and rows written, and the probes as they are in memory."""

    connection: Connection
    reader: Reader
    probes: Probes


class Said(NamedTuple):
    """What is needed to say what was found of a device."""

    at: Ledger
    known: Device
    schedule: Sequence[Regime]
    newest_us: int
    """From then on windows were not compared yet."""


def write_verdicts(said: Said, changed: Iterable[Doubt], ledger_time_us: int) -> None:
    """Bring the verdicts that rest on these rows to what the table says; only those that differ are written."""
    spans: dict[tuple[str, str], tuple[int, int]] = {}
    for one in changed:
        from_us, to_us = _span(one)
        known = spans.get(one[:2], (from_us, to_us))
        spans[one[:2]] = (min(from_us, known[0]), max(to_us, known[1]))
    subject = f"dev:{said.known.name}"
    gone: list[tuple[Any, ...]] = []
    fresh: list[tuple[Any, ...]] = []
    for (channel, kind), (from_us, to_us) in spans.items():
        query = (
            "SELECT * FROM verdict WHERE subject = ? AND channel = ? AND from_us >= ? AND from_us <= ?"
            " AND source = ? AND rule = ?"
        )
        found = fetch(said.at.connection, query, subject, channel, from_us, to_us, SOURCE, f"quality {kind}")
        before = {tuple(row[:_KEY]): tuple(row) for row in found}
        doubts = stored(said.at.connection, said.known.no, channel, kind, from_us, to_us)
        after = {row[:_KEY]: row for row in _verdicts(said, channel, kind, doubts)}
        gone += [key for key, row in before.items() if after.get(key) != row]
        fresh += [row for key, row in after.items() if before.get(key) != row]
    remove_rows(said.at.connection, verdict, gone)
    append_rows(said.at.connection, verdict, fresh)
    lanes.mark(said.at.connection, {(row[1], row[2], row[3]): ledger_time_us for row in (*gone, *fresh)})


def _span(one: Doubt) -> tuple[int, int]:
    """In which time the verdicts begin that rest on a row."""
    if one.kind == SPIKE:
        day_us = one.from_us // DAY_US * DAY_US
        return day_us, day_us + DAY_US - 1
    if one.kind == STUCK:
        return one.from_us, one.from_us
    return 0, FOREVER_US


def _verdicts(said: Said, channel: str, kind: str, doubts: Sequence[Doubt]) -> Iterator[tuple[Any, ...]]:
    if kind == SPIKE:
        by_day: dict[int, list[int]] = {}
        for one in doubts:
            by_day.setdefault(one.from_us // DAY_US, []).append(one.from_us)
        for times in by_day.values():
            yield _verdict(said, channel, kind, (times[0], times[-1]), {"spikes": len(times)})
    elif kind == STUCK:
        for one in doubts:
            yield _verdict(said, channel, kind, (one.from_us, one.to_us), json.loads(one.detail))
    else:
        details = {one.from_us: json.loads(one.detail) for one in doubts}
        for window in joined(Window(one.from_us, one.to_us or one.from_us) for one in doubts):
            last = max(from_us for from_us in details if window.from_us <= from_us < window.to_us)
            yield _verdict(said, channel, kind, window, details[last])


def _verdict(
    said: Said, channel: str, kind: str, span: tuple[int, int | None], detail: Mapping[str, Any]
) -> tuple[Any, ...]:
    from_us, to_us = span
    regime = said.schedule[regime_at(said.schedule, from_us)]
    judged_by = {
        "severity": "warning",
        "pack": regime.pack,
        "version": regime.version,
        "verified": regime.verified,
        **{name: getattr(regime.quality, name) for name in PARAMETERS[kind]},
    }
    lasts = to_us is None or (kind in (DRIFT, ECHO) and to_us >= said.newest_us)
    entries, grade = _basis(said, channel, kind, span)
    return (
        SOURCE,
        f"quality {kind}",
        f"dev:{said.known.name}",
        channel,
        from_us,
        to_us,
        "unknown",
        "open" if lasts else "closed",
        _canonical(judged_by | dict(detail)),
        grade,
        _canonical(entries),
    )


def _basis(said: Said, channel: str, kind: str, span: tuple[int, int | None]) -> tuple[list[int], str]:
    """Entries and weakest grade of the readings that bound it; windows rest on everything in them."""
    entries: set[int] = set()
    grades: set[int] = set()
    for t_us in set(span) if kind in (SPIKE, STUCK) else ():
        if t_us is not None:
            more, weaker = said.at.reader.evidence(said.known, PROBES + channel, t_us, t_us)
            entries |= more
            grades |= weaker
    return sorted(entries), GRADES[max(grades)] if grades else said.known.enrolled.grade


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
