"""What devices say: their state, their readings and the judgement of their probes, folded together.

One projection of three parts under one cursor, because they speak of the same messages: whether a message counts is the
chain's to say, late data is read back from the series, and both must be as new as the fold that asks.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection

from coldchain.db.tables import telemetry as tables
from coldchain.db.tables.exposure import warm_hour
from coldchain.db.tables.verdicts import verdict
from coldchain.domain.devices import Changes
from coldchain.projections import series
from coldchain.projections.device_findings import (
    write_behind_findings,
    write_chain_findings,
    write_clock_findings,
    write_revoked_findings,
)
from coldchain.projections.device_state import Device, DeviceState
from coldchain.projections.history import Marks
from coldchain.projections.lateness import Lateness
from coldchain.projections.series import CELL_US, Span
from coldchain.projections.temperature import Temperature
from coldchain.projections.warmth import Warmth
from coldchain.services.ports import Projection
from coldchain.services.recorded import Recorded, beside_telemetry


class TelemetryViews(Projection):
    """Devices, series, channels, segments, doubts, and the verdicts of sources `device`, `temperature`, `quality`."""

    name = "telemetry"
    tables = (
        tables.device.name,
        tables.device_key.name,
        tables.device_map.name,
        tables.device_birth.name,
        tables.device_posting.name,
        tables.device_mounting.name,
        tables.device_fitting.name,
        tables.device_state.name,
        tables.device_delay.name,
        tables.device_range.name,
        tables.device_disputed.name,
        tables.device_held.name,
        tables.series.name,
        tables.series_packed.name,
        tables.series_due.name,
        tables.rollup_due.name,
        tables.rollup_hour.name,
        tables.rollup_day.name,
        tables.channel.name,
        tables.segment.name,
        tables.channel_snapshot.name,
        tables.quality.name,
        tables.rule_pack.name,
        tables.rule_profile.name,
        warm_hour.name,
        verdict.name,
    )
    takes_telemetry = True

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self._devices = DeviceState()
        self._lateness = Lateness()
        self._temperature = Temperature()
        self._marks = Marks()
        self._warmth = Warmth()
        self._loaded = False

    def apply(self, connection: Connection, batch: Sequence[Recorded], ledger_time_us: int) -> None:
        """Fold the batch. A crash before the caller's commit leaves nothing of it; `reset` forgets it too."""
        if not self._loaded:
            self._devices.load(connection)
            self._temperature.load(connection, self._devices.devices())
            self._warmth.load(connection)
            self._loaded = True
        rest = beside_telemetry(batch)
        heard = self._devices.take(connection, batch)
        gone = [(known, series.remove_loose(connection, known)) for known in self._devices.remapped.values()]
        touched = series.append(connection, heard)
        chains = self._devices.write(connection)
        turned = [(known, _turned(connection, known, changes)) for known, changes in chains]
        write_chain_findings(connection, chains, {known.no: spans for known, spans in turned}, ledger_time_us)
        write_revoked_findings(connection, chains, ledger_time_us)
        write_clock_findings(connection, self._devices.misclocked.values(), ledger_time_us)
        behind = self._lateness.apply(connection, self._devices.arrivals)
        write_behind_findings(connection, behind, ledger_time_us)
        moved, refitted = self._devices.moved.values(), self._devices.refitted.values()
        self._temperature.forget(gone)
        self._temperature.apply(connection, rest, heard, moved, refitted, turned, ledger_time_us)
        touched |= {pair for known, spans in turned for span in spans for pair in _cells(known, span)}
        self._marks.mark(connection, touched, ledger_time_us)
        self._marks.rejudged(connection, self._temperature.rejudged)
        told_anew = [(known, [Span(0, 0, 0, *span) for _, *span in spans]) for known, spans in gone]
        for known, from_us, to_us in self._temperature.left_out:
            told_anew.append((known, [Span(0, 0, 0, from_us, known.last_us if to_us is None else to_us)]))
        changed = {**self._devices.moved, **self._devices.refitted}.values()
        self._warmth.apply(connection, rest, heard, [*turned, *told_anew], changed)


def _cells(known: Device, span: Span) -> list[tuple[int, int]]:
    if span.first_us is None or span.last_us is None:
        return []
    return [(known.no, cell) for cell in range(span.first_us // CELL_US, span.last_us // CELL_US + 1)]


def _turned(connection: Connection, known: Device, changes: Changes) -> list[Span]:
    """Messages whose worth changed: every copy at a disputed place, and messages reached at last."""
    reached = [Span(m.boot, m.seq, m.ref, m.first_us, m.last_us) for m in changes.reached]
    return reached + (series.spans(connection, known.no, changes.disputed) if changes.disputed else [])
