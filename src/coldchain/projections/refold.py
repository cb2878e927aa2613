"""Late readings: a probe's fold taken up again before them, until it is as the stored one was."""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Iterator
from operator import itemgetter

from sqlalchemy import Connection

from coldchain.db.bulk import fetch, remove_rows
from coldchain.db.tables.telemetry import channel_snapshot
from coldchain.domain.folding import judge
from coldchain.domain.quality import without
from coldchain.domain.temperature import BREACH, IN_RANGE, FoldState, Item, Segment
from coldchain.projections.channels import FOREVER_US, Channel, Rewrite, continued
from coldchain.projections.quality_rows import spiked
from coldchain.projections.series import CELL_US, Reader


def refold(connection: Connection, reader: Reader, probe: Channel, ledger_time_us: int) -> list[Rewrite]:
    """Fold again from the last known state before the late times. Where the fold comes to be what it was, what follows
    is as it was: neither read nor written."""
    assert probe.late is not None
    (no, name), (from_us, to_us) = (probe.device.no, probe.probe), probe.late
    begin = probe.resume
    if begin is not None and begin.seen_us < from_us:
        after_us = begin.seen_us
        stale_cell = after_us // CELL_US + 1
    else:
        stale_cell, begin = _snapshot_before(connection, probe, from_us // CELL_US)
        after_us = stale_cell * CELL_US - 1
    run = _Run(connection, reader, probe, begin)
    met = run.fold(after_us, to_us)
    last_cell = run.state.seen_us // CELL_US + 1 if met and run.state is not None else FOREVER_US
    spans = [(no, name, stale_cell, last_cell)]
    remove_rows(connection, channel_snapshot, spans, ("device_no =", "channel =", "cell >=", "cell <"))
    probe.resume = run.resume
    since_us = begin.since_us if begin is not None else 0
    if met:
        probe.snapshots = run.snapshots + probe.snapshots
        return _as_far_as_it_met(connection, probe, run, since_us, ledger_time_us)
    probe.state, probe.closed, probe.snapshots = run.state, [], run.snapshots
    probe.find_rule()
    return [Rewrite(probe, since_us, FOREVER_US, run.closed + probe.open_now(ledger_time_us))]


def _as_far_as_it_met(
    connection: Connection, probe: Channel, run: _Run, from_us: int, ledger_time_us: int
) -> list[Rewrite]:
    """Segments that start after the newest reading looked at are the same; of those before, what they rest on may lie
    in the times that changed."""
    assert run.state is not None
    further = continued(probe, ledger_time_us)
    to_us = min([run.state.seen_us + 1, *(rewrite.from_us for rewrite in further)])
    same = _stored_segments(connection, probe, run.state.since_us, to_us)
    return [Rewrite(probe, from_us, to_us, run.closed + same), *further]


class _Run:
    """The fold at work."""

    def __init__(self, connection: Connection, reader: Reader, probe: Channel, begin: FoldState | None) -> None:
        self._connection = connection
        self._reader = reader
        self._probe = probe
        self._beside = probe.beside(reader)
        self._spiked = spiked(connection, probe.device.no, probe.probe, begin.seen_us if begin is not None else 0)
        self._before: Segment | None = None
        """The stored segment looked at last."""
        self.state = self.resume = begin
        self.closed: list[Segment] = []
        self.snapshots: list[tuple[int, FoldState | None]] = []

    def fold(self, after_us: int, late_us: int) -> bool:
        """Take the items after a time. True where the fold met the stored one after the late times."""
        step = 1
        for cell, items in self._cells(after_us):
            if self.state is None or self.state.seen_us // CELL_US != cell:
                self.snapshots.append((cell, self.state))
            place = bisect_right(items, late_us, key=itemgetter(0))
            self._take(items[:place])
            if place:
                self.resume = self.state
            while place < len(items):
                self._take(items[place : place + step])
                place, step = place + step, 2 * step
                if self._met(late_us):
                    return True
        return False

    def _cells(self, after_us: int) -> Iterator[tuple[int, list[Item]]]:
        known = self._probe.device
        cell = self._reader.next_cell(known, (after_us + 1) // CELL_US)
        while cell is not None:
            items = without(self._reader.items(known, self._probe.name, cell, after_us), self._spiked)
            if items:
                yield cell, items
            cell = self._reader.next_cell(known, cell + 1)

    def _take(self, items: list[Item]) -> None:
        self.state, ended = judge(self._probe.schedule, self.state, items, self._beside)
        self.closed += ended

    def _met(self, late_us: int) -> bool:
        """Whether the stored fold was the same after the newest item.

        A fold within a segment whose state is known depends on nothing before that segment; and one in range whose
        newest item is a reading within the limit on nothing but where the segment began.
        """
        now, old = self.state, self._probe.stored
        if now is None or old is None or now.seen_us > old.seen_us or now.state not in (IN_RANGE, BREACH):
            return False
        calm = now.state == IN_RANGE and now.beyond_us is None and now.faults == 0
        if now.since_us <= late_us and not calm:
            return False
        if self._before is None or self._before.from_us != now.since_us:
            stored = _stored_segments(self._connection, self._probe, now.since_us, now.since_us + 1)
            self._before = stored[0] if stored else None
        before = self._before
        if before is None or before.state != now.state:
            return False
        return before.to_us is None or before.to_us > now.seen_us


def _snapshot_before(connection: Connection, probe: Channel, cell: int) -> tuple[int, FoldState | None]:
    """Where to begin: the newest snapshot up to the cell, or what this batch began before anything was stored."""
    query = (
        "SELECT cell, fold FROM channel_snapshot WHERE device_no = ? AND channel = ? AND cell <= ?"
        " ORDER BY cell DESC LIMIT 1"
    )
    found = fetch(connection, query, probe.device.no, probe.probe, cell)
    if not found:
        return min([cell, *(begun for begun, _ in probe.snapshots)]), None
    fold = json.loads(found[0][1])
    return found[0][0], None if fold is None else FoldState(*fold)


def _stored_segments(connection: Connection, probe: Channel, from_us: int, to_us: int) -> list[Segment]:
    query = "SELECT * FROM segment WHERE device_no = ? AND channel = ? AND from_us >= ? AND from_us < ?"
    return [Segment(*row[2:]) for row in fetch(connection, query, probe.device.no, probe.probe, from_us, to_us)]
