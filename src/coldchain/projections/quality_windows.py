"""Windows of a device that ended: drift against siblings, and echoes of the refrigeration's controller."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from sqlalchemy import Connection

from coldchain.db.bulk import fetch
from coldchain.domain.fittings import fitting_at
from coldchain.domain.quality import DRIFT, ECHO, Sum, Window, drifted, echoes, spikes, window_at, without
from coldchain.domain.rulepacks import Quality, Regime, regime_at
from coldchain.domain.temperature import Item
from coldchain.domain.watching import Family
from coldchain.projections.channels import Channel
from coldchain.projections.device_state import Device
from coldchain.projections.quality_rows import Doubt, Ledger, doubt, replace
from coldchain.projections.series import CELL_US, Reader, cell_before, next_cell

_LAST_CELL = 2**40


class Windows:
    """Compares each window of a device once the device has spoken of later time, and again where that changed."""

    def __init__(self) -> None:
        self.controllers: dict[int, Device] = {}

    def refit(self, devices: Iterable[Device]) -> None:
        """Something else is known of these devices' sensors."""
        for known in devices:
            if any(one.controller for one in known.fittings):
                self.controllers[known.no] = known
            else:
                self.controllers.pop(known.no, None)

    def compare(self, at: Ledger, known: Device, family: Family, times: tuple[int, int, bool]) -> set[Doubt]:
        """Rows of drift and echo agree with the series; those that went or came, and those that are newest no more.
        times: from when to when readings are looked at, and whether they are others than before."""
        from_us, to_us, spoilt = times
        newest = _newest(at, known, exact=spoilt)
        if newest is None:
            return replace(at.connection, known.no, _from(at.connection, known.no, 0), ())
        before_us, closed_us = family.closed_us, begun_us(*newest)
        family.closed_us, schedule = closed_us, newest[1]
        changed: set[Doubt] = set()
        if before_us is None or before_us < closed_us:
            from_us, to_us = min(from_us, from_us if before_us is None else before_us), max(to_us, closed_us)
        elif closed_us < before_us:
            changed |= replace(at.connection, known.no, _from(at.connection, known.no, closed_us), ())
        for window in _windows(at.connection, known, schedule, from_us, min(to_us, closed_us - 1)):
            regime = schedule[regime_at(schedule, window.from_us)]
            found = self._found(at, known, family, window, regime.quality) if regime.rule is not None else []
            changed |= replace(at.connection, known.no, _within(at.connection, known.no, window), found)
        if before_us is not None and before_us != closed_us:
            changed |= {*_ending(at.connection, known.no, before_us), *_ending(at.connection, known.no, closed_us)}
        return changed

    def _found(self, at: Ledger, known: Device, family: Family, window: Window, quality: Quality) -> list[Doubt]:
        probes = at.probes[known.no].values()
        sums = {one.probe: None if one.watch is None else one.watch.sum_of(window) for one in probes}
        whole = {name: one for name, one in sums.items() if one is not None}
        if len(whole) == len(sums) and not family.controlled and not self.controllers:
            return _drifts(quality, window, whole)
        items = {one.probe: _usable(at.reader, known, one, window) for one in probes}
        sums_read = {name: Sum(len(said), sum(mc for _, mc in said if mc is not None)) for name, said in items.items()}
        return [*_drifts(quality, window, sums_read), *self._echoes(at, known, window, quality, items)]

    def _echoes(
        self, at: Ledger, known: Device, window: Window, quality: Quality, items: Mapping[str, Sequence[Item]]
    ) -> Iterator[Doubt]:
        if fitting_at(known.fittings, window.from_us).controller:
            return
        stated = at.reader.controller(known, window.from_us, window.to_us)
        for other in self._controllers_beside(at, known, window):
            for one in at.probes.get(other.no, {}).values():
                said = _usable(at.reader, other, one, window)
                stated[f"{other.name} {one.probe}"] = {t_us: mc for t_us, mc in said if mc is not None}
        for name, own in items.items():
            equal = [source for source, values in sorted(stated.items()) if echoes(quality, own, values)]
            if equal:
                yield doubt(name, ECHO, window.from_us, window.to_us, equals=equal)

    def _controllers_beside(self, at: Ledger, known: Device, window: Window) -> list[Device]:
        """Controllers where the device hangs, of which the window has ended as well."""
        if not self.controllers:
            return []
        place = place_at(at.connection, known.no, window.from_us)
        return [
            other
            for other in self.controllers.values()
            if other is not known
            and fitting_at(other.fittings, window.from_us).controller
            and place
            and place_at(at.connection, other.no, window.from_us) == place
            and (newest := _newest(at, other, exact=True)) is not None
            and newest[0] >= window.to_us
        ]


def begun_us(newest_us: int, schedule: Sequence[Regime]) -> int:
    """Where the window begins that the newest item of a device is in: those before have ended."""
    return window_at(schedule, newest_us).from_us


def beside(connection: Connection, device_no: int) -> set[int]:
    """Numbers of the devices that ever hung where this one did."""
    query = (
        "SELECT DISTINCT b.device_no FROM device_mounting a JOIN device_mounting b ON b.place = a.place"
        " WHERE a.device_no = ? AND a.place <> ''"
    )
    return {row[0] for row in fetch(connection, query, device_no)} - {device_no}


def place_at(connection: Connection, device_no: int, t_us: int) -> str:
    """Where a device hung; its first mounting also holds before."""
    query = "SELECT at_us, place FROM device_mounting WHERE device_no = ? ORDER BY at_us"
    found = fetch(connection, query, device_no)
    return next((place for at_us, place in reversed(found) if at_us <= t_us), found[0][1] if found else "")


def _newest(at: Ledger, known: Device, *, exact: bool) -> tuple[int, Sequence[Regime]] | None:
    """Time of the newest item of any probe, and what judges then. exact: by the series, where what the fold saw may be
    gone or more may have come late."""
    probes = at.probes.get(known.no, {})
    if not probes:
        return None
    schedule = next(iter(probes.values())).schedule
    if not exact:
        seen = [one.state.seen_us for one in probes.values() if one.state is not None]
        return (max(seen), schedule) if seen else None
    cell = cell_before(at.connection, known.no, _LAST_CELL)
    while cell is not None:
        said = [items[-1][0] for name in probes if (items := at.reader.items(known, name, cell, -1))]
        if said:
            return max(said), schedule
        cell = cell_before(at.connection, known.no, cell)
    return None


def _windows(
    connection: Connection, known: Device, schedule: Sequence[Regime], from_us: int, to_us: int
) -> Iterator[Window]:
    """Those that touch the times and of which anything was or is said, in order."""
    window = window_at(schedule, max(1, from_us))
    while window.from_us <= to_us:
        if window_at(schedule, window.from_us) == window:
            yield window
        said = next_cell(connection, known.no, window.to_us // CELL_US)
        told = fetch(
            connection,
            "SELECT min(from_us) FROM quality WHERE device_no = ? AND kind IN ('drift', 'echo') AND from_us >= ?",
            known.no,
            window.to_us,
        )[0][0]
        following = [t_us for t_us in (None if said is None else said * CELL_US, told) if t_us is not None]
        if not following:
            return
        window = window_at(schedule, max(window.to_us, min(following)))


def _usable(reader: Reader, known: Device, probe: Channel, window: Window) -> list[Item]:
    """Readings of the window, without faults and spikes."""
    gap_us = max((regime.rule.max_gap_us for regime in probe.schedule if regime.rule is not None), default=0)
    cells = range((window.from_us - gap_us) // CELL_US, (window.to_us + gap_us) // CELL_US + 1)
    items = [item for cell in cells for item in reader.items(known, probe.name, cell, -1)]
    said = without(items, spikes(probe.schedule, items))
    return [(t_us, mc) for t_us, mc in said if window.from_us <= t_us < window.to_us and mc is not None]


def _drifts(quality: Quality, window: Window, sums: Mapping[str, Sum]) -> list[Doubt]:
    return [
        doubt(name, DRIFT, window.from_us, window.to_us, mean_mc=mean_mc, siblings_mc=siblings_mc)
        for name, (mean_mc, siblings_mc) in drifted(quality, sums).items()
    ]


_COLUMNS = "SELECT channel, kind, from_us, to_us, detail FROM quality WHERE device_no = ?"


def _within(connection: Connection, device_no: int, window: Window) -> list[Doubt]:
    query = f"{_COLUMNS} AND kind IN ('drift', 'echo') AND from_us = ?"
    return [Doubt(*row) for row in fetch(connection, query, device_no, window.from_us)]


def _from(connection: Connection, device_no: int, from_us: int) -> list[Doubt]:
    query = f"{_COLUMNS} AND kind IN ('drift', 'echo') AND from_us >= ?"
    return [Doubt(*row) for row in fetch(connection, query, device_no, from_us)]


def _ending(connection: Connection, device_no: int, to_us: int) -> list[Doubt]:
    """Rows whose verdicts may last or not last any more."""
    query = f"{_COLUMNS} AND kind IN ('drift', 'echo') AND to_us = ?"
    return [Doubt(*row) for row in fetch(connection, query, device_no, to_us)]
