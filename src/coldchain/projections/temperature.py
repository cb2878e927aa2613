"""Every probe judged: segments, the fold's state, and verdict rows (design §7).

Readings that continue a probe in time order advance the fold held in memory. Anything else, late data above all, marks
the probe, and at the end of the batch its fold is taken up again from the last snapshot before the touched time, from
the stored series, until it meets an unchanged snapshot or the newest reading.
"""

from __future__ import annotations

import heapq
import json
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, select

from coldchain.db.bulk import append_rows, put_rows, remove_rows, update_rows
from coldchain.db.tables.telemetry import channel, channel_snapshot, segment
from coldchain.domain.folding import advance_quiet, judge
from coldchain.domain.pauses import tells_of_pause
from coldchain.domain.rulepacks import first_difference
from coldchain.domain.temperature import FoldState, Item, merged
from coldchain.projections.channels import FOREVER_US, Channel, Rewrite, continued
from coldchain.projections.device_state import Device, Heard, entry_ref
from coldchain.projections.quality import Doubts
from coldchain.projections.refold import refold
from coldchain.projections.rulebook import Rulebook
from coldchain.projections.series import CELL_US, CONTROLLED, PROBES, Reader, Span, names_of, run_items
from coldchain.projections.temperature_verdicts import write_verdicts
from coldchain.services.recorded import Recorded


@lru_cache(4_096)
def _role(name: str) -> str:
    """What samples of this name are to judging; "" for nothing, as most are."""
    if name.startswith(PROBES):
        return "probe"
    if name in CONTROLLED:
        return "controller"
    return "pause" if tells_of_pause(name) else ""


class Temperature:
    """Folds what devices say of their probes. `load` first; then `apply`, batch by batch."""

    def __init__(self) -> None:
        self._channels: dict[int, dict[str, Channel]] = {}
        self._rules = Rulebook()
        self._silences: list[tuple[int, int, str]] = []
        """(lost after, device number, name): a heap with at most one item per channel, perhaps out of date."""
        self._doubts = Doubts()
        self._touched: dict[Channel, None] = {}
        self._silent: dict[Channel, int] = {}
        """Channels touched by passing time alone, and since when they are lost."""
        self._quiet: dict[Channel, None] = {}
        """Channels that this batch advanced within their open segment; nothing else is new unless they are touched."""
        self.rejudged: dict[int, int] = {}
        """Devices of which this batch judges anew what was heard from a time on, by number."""

    @property
    def left_out(self) -> Sequence[tuple[Device, int, int | None]]:
        """`Doubts.left_out` of the newest batch."""
        return self._doubts.left_out

    def load(self, connection: Connection, devices: Iterable[Device]) -> None:
        """Everything the tables hold, so that no batch reads them again."""
        self._rules.load(connection)
        by_no = {known.no: known for known in devices}
        for row in connection.execute(select(channel)):
            loaded = self._channel(by_no[row.device_no], PROBES + row.channel)
            loaded.state = loaded.stored = FoldState(*row[3:])
            loaded.lost = bool(row.lost)
            loaded.find_rule()
            self._await_silence(loaded, loaded.lost_after_us())
        self._doubts.load(connection, by_no.values(), self._channels)

    def forget(self, gone: Iterable[tuple[Device, Iterable[tuple[str, int, int]]]]) -> None:
        """Readings of these probes between these times are in the series no more; the next `apply` folds without."""
        for known, spans in gone:
            for name, from_us, to_us in spans:
                self._touch(known, name, from_us, to_us)

    def apply(
        self,
        connection: Connection,
        rest: Iterable[Recorded],
        heard: Iterable[Heard],
        moved: Iterable[Device],
        refitted: Iterable[Device],
        turned: Iterable[tuple[Device, Sequence[Span]]],
        ledger_time_us: int,
    ) -> None:
        """Fold the batch. The series holds it already. rest: of the batch, what is no signed telemetry. turned: earlier
        messages that are evidence no more, or now."""
        self.rejudged = {}
        reader = Reader(connection)
        self._record_rules(connection, [recorded for recorded in rest if recorded.entry.kind == "rules"])
        for known in moved:
            self._reschedule(self._channels.get(known.no, {}).values())
        self._doubts.refit(connection, refitted, moved)
        for message in heard:
            if message.is_evidence:
                self._hear(message, reader)
        for known, spans in turned:
            for span in spans:
                self._turn(connection, known, span)
        self._touched |= dict.fromkeys(self._doubts.apply(connection, reader, self._channels, ledger_time_us))
        self._end_silences(ledger_time_us)
        self._write(connection, reader, ledger_time_us)

    def _record_rules(self, connection: Connection, batch: Iterable[Recorded]) -> None:
        fresh = [self._rules.record(connection, one.body, entry_ref(one.log, one.index)) for one in batch]
        if any(fresh):
            for channels in self._channels.values():
                self._reschedule(channels.values())

    def _reschedule(self, probes: Iterable[Channel]) -> None:
        for probe in probes:
            old, probe.schedule = probe.schedule, self._rules.schedule(probe.device.mountings)
            differs_us = first_difference(old, probe.schedule)
            if differs_us is not None and probe.state is not None:
                probe.touch(min(differs_us, probe.state.seen_us), FOREVER_US)
                no = probe.device.no
                self.rejudged[no] = min(differs_us, self.rejudged.get(no, FOREVER_US))
                self._doubts.touch(probe.device, min(differs_us, probe.state.seen_us), FOREVER_US)
                self._touched[probe] = None

    def _channel(self, known: Device, name: str) -> Channel:
        channels = self._channels.setdefault(known.no, {})
        found = channels.get(name)
        if found is None:
            found = channels[name] = Channel(
                known, name, name.removeprefix(PROBES), self._rules.schedule(known.mountings)
            )
            found.find_rule()
        return found

    def _hear(self, message: Heard, reader: Reader) -> None:
        device, probes, mixed = message.device, [], set()
        for run in message.runs:
            name, quality, times, _ = run
            role = _role(name)
            if not role or quality == "bad-time":
                continue
            if role == "probe":
                probes.append(run)
                if quality:
                    mixed.add(name)
            elif role == "controller":
                self._doubts.hear_controller(device, min(times), max(times))
            else:
                self._pause(device, min(times), max(times))
        channels = self._channels.get(device.no, {})
        for run in probes:
            name, _, times, values = run
            if name in mixed:
                continue
            probe = channels.get(name) or self._channel(device, name)
            rule, state = probe.rule, probe.state
            if rule is not None and state is not None and times[-1] < probe.quiet_until_us:
                quiet = advance_quiet(rule, state, times, values)  # type: ignore[arg-type]
                if quiet is not None:
                    probe.state = quiet
                    self._quiet[probe] = None
                    self._doubts.hear_readings(probe, state.last_mc, times, values)  # type: ignore[arg-type]
                    continue
            self._take(probe, merged(run_items(run)), reader)
        for name in mixed:
            items = [item for run in probes if run.name == name for item in run_items(run)]
            self._take(self._channel(device, name), merged(items), reader)

    def _take(self, probe: Channel, items: Sequence[Item], reader: Reader) -> None:
        self._touched[probe] = None
        state = probe.state
        if state is not None and items[0][0] <= state.seen_us:
            probe.touch(items[0][0], items[-1][0])
            self._doubts.touch(probe.device, items[0][0], items[-1][0])
            return
        known = (None, None) if state is None else (state.last_us, state.last_mc)
        self._doubts.hear(probe, *known, items)
        beside = probe.beside(reader)
        while items:
            cell = items[0][0] // CELL_US
            stop = bisect_left(items, (cell + 1) * CELL_US, key=lambda item: item[0])
            if state is None or state.seen_us // CELL_US != cell:
                probe.snapshots.append((cell, state))
            state, ended = judge(probe.schedule, state, items[:stop], beside)
            probe.closed += ended
            items = items[stop:]
        probe.state = state
        probe.find_rule()

    def _turn(self, connection: Connection, known: Device, span: Span) -> None:
        if span.first_us is None or span.last_us is None:
            return
        self._doubts.touch(known, span.first_us, span.last_us)
        for name in names_of(connection, known.no, span.entry, span.first_us, span.last_us):
            self._touch(known, name, span.first_us, span.last_us)

    def _touch(self, known: Device, name: str, from_us: int, to_us: int) -> None:
        """Samples of this name between these times are others than before."""
        if tells_of_pause(name):
            self._pause(known, from_us, to_us)
            return
        probe = self._channel(known, name)
        probe.touch(from_us, to_us)
        self._doubts.touch(known, from_us, to_us)
        self._touched[probe] = None

    def _pause(self, known: Device, from_us: int, to_us: int) -> None:
        """The device tells of its defrosts or doors anew: what is folded already may rest on that (3.4)."""
        for probe in self._channels.get(known.no, {}).values():
            stored = probe.stored
            if stored is not None and from_us < stored.seen_us and probe.touch_pauses(from_us, to_us):
                self._touched[probe] = None

    def _await_silence(self, probe: Channel, lost_after_us: int) -> None:
        if lost_after_us < probe.queued_us and not probe.lost and probe.rule is not None:
            probe.queued_us = lost_after_us
            heapq.heappush(self._silences, (lost_after_us, probe.device.no, probe.name))

    def _end_silences(self, ledger_time_us: int) -> None:
        """Channels that fell silent, found without looking at the others."""
        self._silent = {}
        while self._silences and self._silences[0][0] < ledger_time_us:
            looked_us, device_no, name = heapq.heappop(self._silences)
            probe = self._channels[device_no].get(name)
            if probe is None or probe.queued_us != looked_us:
                continue
            probe.queued_us = FOREVER_US
            lost_after_us = probe.lost_after_us()
            if lost_after_us >= ledger_time_us:
                self._await_silence(probe, lost_after_us)
            elif probe not in self._touched and probe not in self._quiet:
                self._silent[probe] = lost_after_us
                self._touched[probe] = None

    def _write_quiet(self, connection: Connection, ledger_time_us: int) -> None:
        """The newest reading of channels that just go on; those that turn out to be lost are touched."""
        rows = []
        for probe in self._quiet:
            state = probe.state
            if probe in self._touched or state is None:
                continue
            lost_after_us = probe.lost_after_us()
            if probe.lost or lost_after_us < ledger_time_us:
                self._touched[probe] = None
                continue
            rows.append((probe.device.no, probe.probe, state.last_us, state.last_mc, state.seen_us))
            probe.stored = state
            self._await_silence(probe, lost_after_us)
        self._quiet = {}
        update_rows(connection, channel, ("last_us", "last_mc", "seen_us"), rows)

    def _write(self, connection: Connection, reader: Reader, ledger_time_us: int) -> None:
        rewrites: list[Rewrite] = []
        gone: list[tuple[int, str]] = []
        rows: list[tuple[Any, ...]] = []
        snapshots: list[tuple[Any, ...]] = []
        self._write_quiet(connection, ledger_time_us)
        for probe in self._touched:
            if probe.late is None:
                rewrites += continued(probe, ledger_time_us)
            else:
                rewrites += refold(connection, reader, probe, ledger_time_us)
            no, name = probe.device.no, probe.probe
            snapshots += [(no, name, cell, json.dumps(state and state.fields())) for cell, state in probe.snapshots]
            lost_after_us = probe.lost_after_us()
            probe.lost = lost_after_us < ledger_time_us
            probe.closed, probe.snapshots, probe.late, probe.stored = [], [], None, probe.state
            if probe.state is None:
                gone.append((no, name))
                del self._channels[no][probe.name]
            else:
                rows.append((no, name, int(probe.lost), *probe.state.fields()))
                self._await_silence(probe, lost_after_us)
        changed_us = {probe: self._silent.get(probe, ledger_time_us) for probe in self._touched}
        self._touched = {}
        put_rows(connection, channel, rows)
        remove_rows(connection, channel, gone)
        append_rows(connection, channel_snapshot, snapshots)
        _write_segments(connection, rewrites)
        write_verdicts(connection, reader, rewrites, changed_us)


def _write_segments(connection: Connection, rewrites: Sequence[Rewrite]) -> None:
    spans = [(r.channel.device.no, r.channel.probe, r.from_us, r.to_us) for r in rewrites]
    remove_rows(connection, segment, spans, ("device_no =", "channel =", "from_us >=", "from_us <"))
    rows = [(r.channel.device.no, r.channel.probe, *ended) for r in rewrites for ended in r.segments]
    append_rows(connection, segment, rows)
