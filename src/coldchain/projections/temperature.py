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
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, select

from coldchain.db.bulk import append_rows, fetch, put_rows, remove_rows, update_rows
from coldchain.db.tables.telemetry import channel, channel_snapshot, rule_pack, segment
from coldchain.db.tables.verdicts import verdict
from coldchain.domain.rulepacks import (
    Mounting,
    Regime,
    RulePack,
    RulePackError,
    Stage,
    first_difference,
    parse_pack,
    regime_at,
    regimes,
)
from coldchain.domain.temperature import (
    UNKNOWN,
    FoldState,
    Item,
    Segment,
    advance_quiet,
    judge,
    judged_until,
    lost_after_us,
    merged,
    open_segments,
)
from coldchain.projections.device_state import Device, Heard, entry_ref
from coldchain.projections.series import CELL_US, PROBES, Span, cell_items, next_cell, probes_of, run_items
from coldchain.projections.temperature_verdicts import SOURCE, verdict_rows
from coldchain.rules import shipped_packs
from coldchain.services.ports import Recorded

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
    queued: bool = False
    """Whether the heap of silences holds it."""
    closed: list[Segment] = field(default_factory=list)
    snapshots: list[tuple[int, FoldState | None]] = field(default_factory=list)
    """(cell, state before its first item) of the cells this batch began."""
    late: tuple[int, int] | None = None
    """First and last time whose items the stored fold did not see as they are."""
    rule: Stage | None = None
    """In force at the newest item."""
    quiet_until_us: int = 0
    """Until then the same rule is in force and the same cell goes on."""
    judged_until_us: int | None = None
    """When, after the newest item, no rule is in force any more."""

    def find_rule(self) -> None:
        seen_us = self.state.seen_us if self.state is not None else 0
        place = regime_at(self.schedule, seen_us)
        self.rule = self.schedule[place].rule
        rule_until_us = self.schedule[place + 1].from_us if place + 1 < len(self.schedule) else FOREVER_US
        self.quiet_until_us = min(rule_until_us, (seen_us // CELL_US + 1) * CELL_US)
        self.judged_until_us = judged_until(self.schedule, seen_us)

    def touch(self, from_us: int, to_us: int) -> None:
        """Mark times as changed. What this batch advanced is given up: it will be read again with them."""
        if self.late is not None:
            from_us, to_us = min(from_us, self.late[0]), max(to_us, self.late[1])
        elif self.state is not None and self.state is not self.stored:
            began_us = self.snapshots[0][0] * CELL_US if self.stored is None else self.stored.seen_us
            from_us, to_us = min(from_us, began_us), max(to_us, self.state.seen_us)
        self.late = (from_us, to_us)

    def lost_after_us(self) -> int:
        """The newest ledger time at which the open segment stands; for ever where nothing is judged."""
        if self.state is None or self.rule is None:
            return FOREVER_US
        return lost_after_us(self.rule, self.state, self.judged_until_us)

    def open_now(self, ledger_time_us: int) -> list[Segment]:
        if self.state is None or self.rule is None:
            return []
        return open_segments(self.rule, self.state, ledger_time_us, self.judged_until_us)


@dataclass(slots=True)
class Rewrite:
    """The rows of one probe between two times, anew."""

    channel: Channel
    from_us: int
    to_us: int
    segments: list[Segment]


class Temperature:
    """Folds what devices say of their probes. `load` first; then `apply`, batch by batch."""

    def __init__(self) -> None:
        self._channels: dict[int, dict[str, Channel]] = {}
        self._packs = {(pack.name, pack.version): pack for pack in shipped_packs()}
        self._schedules: dict[tuple[Mounting, ...], Sequence[Regime]] = {}
        self._silences: list[tuple[int, int, str]] = []
        """(lost after, device number, name): a heap with at most one item per channel, perhaps out of date."""
        self._touched: dict[Channel, None] = {}
        self._quiet: dict[Channel, None] = {}
        """Channels that this batch advanced within their open segment; nothing else is new unless they are touched."""

    def load(self, connection: Connection, devices: Iterable[Device]) -> None:
        """Everything the tables hold, so that no batch reads them again."""
        for row in connection.execute(select(rule_pack)):
            self._take_pack(parse_pack(json.loads(row.body)))
        by_no = {known.no: known for known in devices}
        for row in connection.execute(select(channel)):
            loaded = self._channel(by_no[row.device_no], PROBES + row.channel)
            loaded.state = loaded.stored = FoldState(*row[3:])
            loaded.lost = bool(row.lost)
            loaded.find_rule()
            self._await_silence(loaded)

    def apply(
        self,
        connection: Connection,
        batch: Iterable[Recorded],
        heard: Iterable[Heard],
        moved: Iterable[Device],
        turned: Iterable[tuple[Device, Sequence[Span]]],
        ledger_time_us: int,
    ) -> None:
        """Fold the batch. The series holds it already. turned: earlier messages that are evidence no more, or now."""
        for recorded in batch:
            if recorded.entry.kind == "rules":
                self._record_pack(connection, recorded)
        for known in moved:
            self._reschedule(self._channels.get(known.no, {}).values())
        for message in heard:
            if message.is_evidence:
                self._hear(message)
        for known, spans in turned:
            for span in spans:
                self._turn(connection, known, span)
        self._end_silences(ledger_time_us)
        self._write(connection, ledger_time_us)

    def _record_pack(self, connection: Connection, recorded: Recorded) -> None:
        """A `rules` entry that is no rule pack stays a fact without effect."""
        try:
            pack = parse_pack(recorded.body) if isinstance(recorded.body, dict) else None
        except RulePackError:
            pack = None
        if pack is None:
            return
        body = json.dumps(recorded.body, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        put_rows(connection, rule_pack, [(pack.name, pack.version, body, entry_ref(recorded.log, recorded.index))])
        self._take_pack(pack)
        for channels in self._channels.values():
            self._reschedule(channels.values())

    def _take_pack(self, pack: RulePack) -> None:
        self._packs[pack.name, pack.version] = pack
        self._schedules.clear()

    def _schedule(self, known: Device) -> Sequence[Regime]:
        """Devices that were never moved share theirs."""
        mountings = tuple(known.mountings)
        if mountings:
            mountings = (mountings[0]._replace(from_us=0), *mountings[1:])
        schedule = self._schedules.get(mountings)
        if schedule is None:
            schedule = self._schedules[mountings] = regimes(self._packs.values(), mountings)
        return schedule

    def _reschedule(self, probes: Iterable[Channel]) -> None:
        for probe in probes:
            old, probe.schedule = probe.schedule, self._schedule(probe.device)
            differs_us = first_difference(old, probe.schedule)
            if differs_us is not None and probe.state is not None:
                probe.touch(min(differs_us, probe.state.seen_us), FOREVER_US)
                self._touched[probe] = None

    def _channel(self, known: Device, name: str) -> Channel:
        channels = self._channels.setdefault(known.no, {})
        found = channels.get(name)
        if found is None:
            found = channels[name] = Channel(known, name, name.removeprefix(PROBES), self._schedule(known))
            found.find_rule()
        return found

    def _hear(self, message: Heard) -> None:
        probes = [run for run in message.runs if run.name.startswith(PROBES) and run.quality != "bad-time"]
        mixed = {run.name for run in probes if run.quality}
        for run in probes:
            name, _, times, values = run
            if name in mixed:
                continue
            probe = self._channel(message.device, name)
            rule, state = probe.rule, probe.state
            if rule is not None and state is not None and probe.late is None and times[-1] < probe.quiet_until_us:
                quiet = advance_quiet(rule, state, times, values)  # type: ignore[arg-type]
                if quiet is not None:
                    probe.state = quiet
                    self._quiet[probe] = None
                    continue
            self._take(probe, merged(run_items(run)))
        for name in mixed:
            items = [item for run in probes if run.name == name for item in run_items(run)]
            self._take(self._channel(message.device, name), merged(items))

    def _take(self, probe: Channel, items: Sequence[Item]) -> None:
        self._touched[probe] = None
        state = probe.state
        if probe.late is not None or (state is not None and items[0][0] <= state.seen_us):
            probe.touch(items[0][0], items[-1][0])
            return
        while items:
            cell = items[0][0] // CELL_US
            stop = bisect_left(items, (cell + 1) * CELL_US, key=lambda item: item[0])
            if state is None or state.seen_us // CELL_US != cell:
                probe.snapshots.append((cell, state))
            state, ended = judge(probe.schedule, state, items[:stop])
            probe.closed += ended
            items = items[stop:]
        probe.state = state
        probe.find_rule()

    def _turn(self, connection: Connection, known: Device, span: Span) -> None:
        if span.first_us is None or span.last_us is None:
            return
        for name in probes_of(connection, known.no, span.entry, span.first_us, span.last_us):
            probe = self._channel(known, name)
            probe.touch(span.first_us, span.last_us)
            self._touched[probe] = None

    def _await_silence(self, probe: Channel) -> None:
        if not probe.queued and not probe.lost and probe.rule is not None:
            probe.queued = True
            heapq.heappush(self._silences, (probe.lost_after_us(), probe.device.no, probe.name))

    def _end_silences(self, ledger_time_us: int) -> None:
        """Channels that fell silent, found without looking at the others."""
        while self._silences and self._silences[0][0] < ledger_time_us:
            _, device_no, name = heapq.heappop(self._silences)
            probe = self._channels[device_no].get(name)
            if probe is None:
                continue
            probe.queued = False
            if probe.lost_after_us() < ledger_time_us:
                self._touched[probe] = None
            else:
                self._await_silence(probe)

    def _write_quiet(self, connection: Connection, ledger_time_us: int) -> None:
        """The newest reading of channels that just go on; those that turn out to be lost are touched."""
        rows = []
        for probe in self._quiet:
            state = probe.state
            if probe in self._touched or state is None:
                continue
            if probe.lost or probe.lost_after_us() < ledger_time_us:
                self._touched[probe] = None
                continue
            rows.append((probe.device.no, probe.probe, state.last_us, state.last_mc, state.seen_us))
            probe.stored = state
            self._await_silence(probe)
        self._quiet = {}
        update_rows(connection, channel, ("last_us", "last_mc", "seen_us"), rows)

    def _write(self, connection: Connection, ledger_time_us: int) -> None:
        rewrites: list[Rewrite] = []
        gone: list[tuple[int, str]] = []
        rows: list[tuple[Any, ...]] = []
        snapshots: list[tuple[Any, ...]] = []
        self._write_quiet(connection, ledger_time_us)
        for probe in self._touched:
            if probe.late is None:
                rewrites += _continued(probe, ledger_time_us)
            else:
                rewrites += _refold(connection, probe, probe.late, ledger_time_us)
                probe.queued = False  # its silence may begin earlier than the heap has it
            no, name = probe.device.no, probe.probe
            snapshots += [(no, name, cell, json.dumps(state)) for cell, state in probe.snapshots]
            probe.lost = probe.lost_after_us() < ledger_time_us
            probe.closed, probe.snapshots, probe.late, probe.stored = [], [], None, probe.state
            if probe.state is None:
                gone.append((no, name))
                del self._channels[no][probe.name]
            else:
                rows.append((no, name, int(probe.lost), *probe.state))
                self._await_silence(probe)
        self._touched = {}
        put_rows(connection, channel, rows)
        remove_rows(connection, channel, gone)
        append_rows(connection, channel_snapshot, snapshots)
        _write_rewrites(connection, rewrites)


def _refold(connection: Connection, probe: Channel, late: tuple[int, int], ledger_time_us: int) -> list[Rewrite]:
    """Fold again from the snapshot before the first late time. A stored snapshot that comes out the same ends it: what
    follows is as it was."""
    no, name = probe.device.no, probe.probe
    closed: list[Segment] = []
    probe.closed, probe.snapshots = [], []
    start, begin = _snapshot_before(connection, no, name, late[0] // CELL_US)
    state, met, cell = begin, FOREVER_US, next_cell(connection, no, start)
    while cell is not None:
        if cell > late[1] // CELL_US and _stored_fold(connection, no, name, cell) == json.dumps(state):
            met = cell
            break
        items = cell_items(connection, probe.device, probe.name, cell)
        if items:
            probe.snapshots.append((cell, state))
            state, ended = judge(probe.schedule, state, items)
            closed += ended
        cell = next_cell(connection, no, cell + 1)
    remove_rows(
        connection, channel_snapshot, [(no, name, start, met)], ("device_no =", "channel =", "cell >=", "cell <")
    )
    from_us = begin.since_us if begin is not None else 0
    if met == FOREVER_US:
        probe.state = state
        probe.find_rule()
        return [Rewrite(probe, from_us, FOREVER_US, closed + probe.open_now(ledger_time_us))]
    probe.state = probe.stored
    probe.find_rule()
    further = _continued(probe, ledger_time_us)
    to_us = from_us
    if state is not None:
        # Segments that start up to the newest reading before the meeting point are the same, but what they rest on may
        # lie in the times that changed.
        to_us = min([max(state.since_us, state.last_us or 0) + 1, *(rewrite.from_us for rewrite in further)])
        closed += _stored_segments(connection, no, name, state.since_us, to_us)
    return [Rewrite(probe, from_us, to_us, closed), *further]


def _continued(probe: Channel, ledger_time_us: int) -> list[Rewrite]:
    """Rows that change though everything came in order; none for a probe that just goes on."""
    old, new = probe.stored, probe.state
    lost = probe.lost_after_us() < ledger_time_us
    goes_on = old is not None and new is not None and (old.state, old.since_us) == (new.state, new.since_us)
    if goes_on and not (probe.closed or lost or probe.lost) and new is not None and new.state != UNKNOWN:
        return []
    from_us = old.since_us if old is not None else 0
    return [Rewrite(probe, from_us, FOREVER_US, probe.closed + probe.open_now(ledger_time_us))]


def _snapshot_before(connection: Connection, device_no: int, name: str, cell: int) -> tuple[int, FoldState | None]:
    query = (
        "SELECT cell, fold FROM channel_snapshot WHERE device_no = ? AND channel = ? AND cell <= ?"
        " ORDER BY cell DESC LIMIT 1"
    )
    found = fetch(connection, query, device_no, name, cell)
    if not found:
        return cell, None
    fold = json.loads(found[0][1])
    return found[0][0], None if fold is None else FoldState(*fold)


def _stored_fold(connection: Connection, device_no: int, name: str, cell: int) -> str | None:
    query = "SELECT fold FROM channel_snapshot WHERE device_no = ? AND channel = ? AND cell = ?"
    found = fetch(connection, query, device_no, name, cell)
    return found[0][0] if found else None


def _stored_segments(connection: Connection, device_no: int, name: str, from_us: int, to_us: int) -> list[Segment]:
    query = "SELECT * FROM segment WHERE device_no = ? AND channel = ? AND from_us >= ? AND from_us < ?"
    return [Segment(*row[2:]) for row in fetch(connection, query, device_no, name, from_us, to_us)]


def _write_rewrites(connection: Connection, rewrites: Sequence[Rewrite]) -> None:
    spans = [(r.channel.device.no, r.channel.probe, r.from_us, r.to_us) for r in rewrites]
    remove_rows(connection, segment, spans, ("device_no =", "channel =", "from_us >=", "from_us <"))
    rows = [(r.channel.device.no, r.channel.probe, *ended) for r in rewrites for ended in r.segments]
    append_rows(connection, segment, rows)
    subjects = [(SOURCE, f"dev:{r.channel.device.name}", r.channel.probe, r.from_us, r.to_us) for r in rewrites]
    where = ("source =", "subject =", "channel =", "from_us >=", "from_us <")
    remove_rows(connection, verdict, subjects, where)
    found = [
        row
        for r in rewrites
        for row in verdict_rows(connection, r.channel.device, r.channel.name, r.channel.schedule, r.segments)
    ]
    append_rows(connection, verdict, found)
