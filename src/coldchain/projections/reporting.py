"""What a report reads: readings from the series, segments, doors and defrosts, findings; over one connection."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, func, or_, select

from coldchain.db.queries_api import devices_at
from coldchain.db.queries_events import chunks
from coldchain.db.queries_fittings import fittings_of
from coldchain.db.queries_inspect import InspectQueries
from coldchain.db.tables import events as t
from coldchain.db.tables import telemetry as m
from coldchain.domain.reports import Stretch
from coldchain.domain.temperature import BREACH
from coldchain.domain.tracing import FOREVER_US
from coldchain.projections.regimes import rules_in_force
from coldchain.projections.series import PROBES, readings
from coldchain.services.report import Mounted, Period

_EVIDENCE = ("", "conflict")
_FAULTS = ("fault", "not-finite", "bad-type")


class ReportQueries(InspectQueries):
    """`services.report.ReportSource`."""

    def __init__(self, connection: Connection, org: str | None = None) -> None:
        """org: whose devices alone are read; everybody's where it is left out."""
        super().__init__(connection)
        self._org = org

    def trips(self, vehicle: str) -> Sequence[Period]:
        c = t.containment.c
        query = select(c.from_us, c.to_us).where(c.parent == vehicle).order_by(c.from_us)
        found: list[list[int]] = []
        newest_us = self.valid_for()[1]
        for from_us, to_us in self._connection.execute(query):
            end_us = newest_us if to_us is None else to_us
            if found and from_us <= found[-1][1]:
                found[-1][1] = max(found[-1][1], end_us)
            else:
                found.append([from_us, end_us])
        return [(from_us, to_us) for from_us, to_us in found]

    def newest_reading(self, name: str) -> int | None:
        devices = [mounted.device for mounted in self.mounted(name, (-FOREVER_US, FOREVER_US))]
        c = m.device_state.c
        query = select(func.max(c.last_us)).join(m.device, m.device.c.device_no == c.device_no)
        newest_us: int | None = self._connection.scalar(query.where(m.device.c.device.in_(devices)))
        return newest_us

    def mounted(self, place: str, period: Period) -> Sequence[Mounted]:
        if place.startswith("dev:"):
            return self._device(place.removeprefix("dev:"), period)
        found: list[Mounted] = []
        for name, profile, from_us, to_us in devices_at(self._connection, place):
            end_us = FOREVER_US if to_us is None else to_us
            if from_us < period[1] and end_us > period[0]:
                found.append(self._fitted(name, profile, place, (from_us, end_us)))
        return found if self._org is None else [one for one in found if self._is_own(one.device)]

    def _is_own(self, device: str) -> bool:
        return self._connection.scalar(select(m.device.c.org).where(m.device.c.device == device)) == self._org

    def _device(self, name: str, period: Period) -> Sequence[Mounted]:
        query = select(m.device.c.profile, m.device.c.place).where(m.device.c.device == name)
        row = self._connection.execute(query).one_or_none()
        return [] if row is None else [self._fitted(name, row.profile, row.place, period)]

    def _fitted(self, name: str, profile: str, place: str, period: Period) -> Mounted:
        no = self._connection.scalar(select(m.device.c.device_no).where(m.device.c.device == name))
        fitted = fittings_of(self._connection, [no] if no is not None else []).get(no or 0, ())
        return Mounted(name, *period, fitted, rules_in_force(self._connection, [(place, profile, *period)]))

    def readings(self, device: str, period: Period) -> Mapping[str, Sequence[tuple[int, int | None]]]:
        found: dict[str, list[tuple[int, int | None]]] = {}
        for one in readings(self._connection, device, *period, PROBES):
            if one.quality in _EVIDENCE or one.quality in _FAULTS:
                value = one.value if one.quality in _EVIDENCE and isinstance(one.value, int) else None
                found.setdefault(one.name.removeprefix(PROBES), []).append((one.t_us, value))
        return found

    def stretches(self, device: str, period: Period) -> Mapping[str, Sequence[Stretch]]:
        s = m.segment.c
        query = (
            select(m.segment, m.channel.c.last_us.label("newest_us"))
            .join(m.device, m.device.c.device_no == s.device_no)
            .outerjoin(m.channel, (m.channel.c.device_no == s.device_no) & (m.channel.c.channel == s.channel))
            .where(m.device.c.device == device, s.from_us < period[1], or_(s.to_us.is_(None), s.to_us > period[0]))
            .order_by(s.from_us)
        )
        found: dict[str, list[Stretch]] = {}
        for row in self._connection.execute(query):
            # What lasts is known as far as the newest reading; an open unknown is unknown to the end.
            open_us = period[1] if row.state == "unknown" else row.newest_us or period[1]
            low, high = max(row.from_us, period[0]), min(row.to_us if row.to_us is not None else open_us, period[1])
            if low < high:
                extreme_mc = row.max_mc if row.state == BREACH else None
                found.setdefault(row.channel, []).append(Stretch(low, high, row.state, row.reason, extreme_mc))
        return found

    def openings(self, device: str, period: Period) -> tuple[Sequence[Period], Sequence[Period]]:
        w = t.door_window.c
        query = select(w.from_us, w.to_us, w.seen_us).where(w.device == device, w.from_us < period[1])
        doors = [
            (row.from_us, row.seen_us if row.to_us is None else row.to_us) for row in self._connection.execute(query)
        ]
        said = [
            (one.t_us, one.value is True)
            for one in readings(self._connection, device, *period, "defrost")
            if one.name == "defrost" and not one.quality
        ]
        return [span for span in doors if span[1] > period[0]], _runs(said)

    def findings_of(self, subjects: Collection[str], period: Period) -> Sequence[Mapping[str, Any]]:
        f = t.finding.c
        columns = (f.finding, f.rule, f.subject, f.channel, f.from_us, f.to_us, f.verdict, f.state, f.entry)
        wanted = (f.current, f.state != "withdrawn", f.from_us < period[1], or_(f.to_us.is_(None), f.to_us > period[0]))
        rows: list[Mapping[str, Any]] = [
            dict(row._mapping)
            for part in chunks(subjects)
            for row in self._connection.execute(select(*columns).where(f.subject.in_(part), *wanted))
        ]
        return sorted(rows, key=lambda row: (row["from_us"], row["rule"], row["subject"], row["channel"]))


def _runs(said: Iterable[tuple[int, bool]]) -> list[Period]:
    """From each first sample that is true to the next that is not; the last one to its last sample."""
    found: list[list[int]] = []
    running = False
    for t_us, is_on in sorted(said):
        if is_on and not running:
            found.append([t_us, t_us])
        elif running:
            found[-1][1] = t_us
        running = is_on
    return [(from_us, to_us) for from_us, to_us in found]
