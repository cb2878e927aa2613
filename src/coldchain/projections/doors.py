"""Door openings from `door/*` samples, kept current in any order of arrival."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from sqlalchemy import Connection, delete, insert, select

from coldchain.db.bulk import append_rows, fetch, put_rows, remove_rows
from coldchain.db.queries_continuity import sealed_places
from coldchain.db.queries_events import chunks
from coldchain.db.queries_mounts import turns_of
from coldchain.db.tables.continuity import door_position
from coldchain.db.tables.events import door_mount, door_sample, door_window
from coldchain.domain.devices import Enrolment
from coldchain.domain.doors import STOP_NAMES, Window, windows
from coldchain.domain.halts import Position
from coldchain.domain.mounting import Turn
from coldchain.domain.scales import NAMES as WEIGHTS
from coldchain.domain.telemetry import Run
from coldchain.projections.mounts import enrolled, remounted
from coldchain.projections.scales import Scales
from coldchain.projections.transport import Carried
from coldchain.services.recorded import Recorded

ALWAYS_US = 2**62


class Span(NamedTuple):
    """A stretch of time at a place in which what is known of it changed."""

    place: str
    from_us: int
    to_us: int


@dataclass(slots=True)
class _Door:
    """What is known last of a door."""

    t_us: int
    since_us: int | None
    """When the opening that lasts at `t_us` began; None: it is closed."""


Samples = list[tuple[int, bool, int]]
"""(time, open, ledger entry)"""


class Openings:
    """Fills `door_sample`, `door_window`, `door_mount` and `door_position`.

    Each door's newest sample is remembered, so what comes in order costs no query: one insert where a closed door
    stays closed, nearly every sample. Late samples have their stretch of openings made anew.
    """

    def __init__(self) -> None:
        self._newest: dict[tuple[str, str], _Door] = {}
        self._heard: dict[str, int] = {}
        self._where: dict[str, Position] = {}
        self._carried = Carried()
        self._scales = Scales()
        self.weighed: set[str] = set()
        """Places whose weight, or what hangs there, may be another one than before this batch."""
        self._sealed: dict[str, Set[str]] = {}
        """By device: those of its vehicles that, or a container on them, ever wore a seal. Until the next event."""

    def reset(self) -> None:
        self._newest.clear()
        self._heard.clear()
        self._where.clear()
        self._carried = Carried()
        self._scales.reset()
        self._sealed.clear()

    def doubted(self, connection: Connection, places: set[str]) -> set[str]:
        """Units at these places, or at those weighed anew, whose P5 a scale may bear out."""
        return self._scales.doubted(connection, places | self.weighed)

    def apply(self, connection: Connection, batch: Sequence[Recorded], rest: Sequence[Recorded]) -> list[Span]:
        """Fold the batch; where openings, or what they belong to, are others than before. rest: of the batch, what is
        no signed telemetry."""
        spans = [Span(place, -ALWAYS_US, ALWAYS_US) for place in _mount(connection, rest)]
        fresh: list[tuple[str, str, int, bool, int]] = []
        found: list[tuple[str, str, int, int | None, int]] = []
        late: dict[tuple[str, str], Samples] = {}
        noted = _Noted(self._heard, self._where)
        for item in batch:
            if item.telemetry is not None:
                noted.take(item.telemetry.device, item.telemetry.runs, item.index)
        renewed, carried = self._carried.take(connection, rest)
        spans += self._forget(connection, renewed)
        for telemetry, entry in carried:
            noted.take(telemetry.device, telemetry.runs, entry)
        told = {item.telemetry.device for item in batch if item.telemetry is not None}
        told.update(telemetry.device for telemetry, _ in carried)
        self.weighed = {span.place for span in spans} | self._scales.take(connection, told, noted.weighed)
        changed = [(device, t_us, t_us) for device, t_us, _, _ in noted.positions]
        for (device, door), said in noted.doors.items():
            if self._stays_closed(device, door, said):
                fresh += [(device, door, *key, entry) for key, entry in said.items()]
                continue
            samples = sorted((*key, entry) for key, entry in said.items())
            newest = self._newest_of(connection, device, door)
            if newest is not None and samples[0][0] <= newest.t_us:
                samples = late[device, door] = _unknown(connection, device, door, samples)
            else:
                openings = _continued(newest, samples)
                found += [(device, door, *opening) for opening in openings]
                changed += [(device, opening.from_us, samples[-1][0]) for opening in openings[:1]]
                self._remember(device, door, samples, openings)
            fresh += [(device, door, *sample) for sample in samples]
        append_rows(connection, door_sample, fresh)
        put_rows(connection, door_window, found)
        put_rows(connection, door_position, sorted(noted.positions))
        changed += self._rewrite_late(connection, late)
        places = _places(connection, (device for device, _, _ in changed))
        spans += [Span(place, *span) for device, *span in sorted(changed) for place in places.get(device, ())]
        return spans + self._stops(connection, rest, noted.stops)

    def _stays_closed(self, device: str, door: str, said: Mapping[tuple[int, bool], int]) -> bool:
        """Whether one sample more says that a closed door is closed, as nearly all do; it is the newest then."""
        newest = self._newest.get((device, door))
        if len(said) != 1 or newest is None or newest.since_us is not None:
            return False
        ((t_us, is_open),) = said
        if is_open or t_us <= newest.t_us:
            return False
        newest.t_us = t_us
        return True

    def _forget(self, connection: Connection, devices: Set[str]) -> list[Span]:
        """Everything of devices whose messages are told anew goes; where that may change what is known."""
        for device in devices:
            for table in (door_sample, door_window, door_position):
                remove_rows(connection, table, [(device,)], ("device =",))
            self._heard.pop(device, None)
            self._where.pop(device, None)
        self._newest = {door: known for door, known in self._newest.items() if door[0] not in devices}
        places = _places(connection, devices)
        return [Span(place, -ALWAYS_US, ALWAYS_US) for device in sorted(devices) for place in places.get(device, ())]

    def _stops(
        self, connection: Connection, rest: Sequence[Recorded], stops: Sequence[tuple[str, int, int]]
    ) -> list[Span]:
        """Stops of vehicles under seal; of all others, nearly every one, nothing is looked up twice."""
        if any(item.events or item.entry.kind == "identity" for item in rest):
            self._sealed.clear()
        unknown = {device for device, _, _ in stops} - self._sealed.keys()
        if unknown:
            places = _places(connection, unknown)
            sealed = sealed_places(connection, {place for several in places.values() for place in several})
            self._sealed |= {device: places.get(device, set()) & sealed for device in unknown}
        return [
            Span(place, from_us, to_us) for device, from_us, to_us in stops for place in sorted(self._sealed[device])
        ]

    def _remember(self, device: str, door: str, samples: Samples, openings: Sequence[Window]) -> None:
        lasting = openings[-1] if openings and openings[-1].to_us is None else None
        self._newest[device, door] = _Door(samples[-1][0], lasting.from_us if lasting else None)

    def _rewrite_late(
        self, connection: Connection, late: Mapping[tuple[str, str], Samples]
    ) -> list[tuple[str, int, int]]:
        changed = []
        for (device, door), samples in late.items():
            if samples:
                changed.append((device, *_rewrite(connection, device, door, samples[0][0], samples[-1][0])))
                del self._newest[device, door]
        return changed

    def _newest_of(self, connection: Connection, device: str, door: str) -> _Door | None:
        if (device, door) not in self._newest:
            query = "SELECT max(t_us) FROM door_sample WHERE device = ? AND door = ?"
            ((t_us,),) = fetch(connection, query, device, door)
            if t_us is None:
                return None
            query = "SELECT from_us FROM door_window WHERE device = ? AND door = ? AND to_us IS NULL"
            lasting = fetch(connection, query, device, door)
            self._newest[device, door] = _Door(t_us, lasting[0][0] if lasting else None)
        return self._newest[device, door]


@dataclass(slots=True)
class _Noted:
    """What a batch of telemetry says of doors and stops."""

    heard: dict[str, int]
    """By device: the newest time its refrigeration unit was told of. Survives the batch."""
    where: dict[str, Position]
    """By device: its newest position. Survives the batch."""
    doors: dict[tuple[str, str], dict[tuple[int, bool], int]] = field(default_factory=dict)
    """By device and door: (time, open) with the first entry that says it."""
    positions: set[tuple[str, int, int, int]] = field(default_factory=set)
    """(device, time, latitude, longitude) of messages that show a door open."""
    weighed: set[str] = field(default_factory=set)
    """Devices that told of a weight."""
    stops: list[tuple[str, int, int]] = field(default_factory=list)
    """(device, from, to) of messages that show a stop with the unit off, or the vehicle where it was before, or that
    come late and may interrupt one."""

    def take(self, device: str, runs: Sequence[Run], entry: int) -> None:
        lat: Run | None = None
        lon: Run | None = None
        stopping: dict[str, Run] = {}
        opened = False
        for run in runs:
            name, quality = run.name, run.quality
            if name in WEIGHTS:
                self.weighed.add(device)
            elif quality:
                continue
            elif name == "lat":
                lat = run
            elif name == "lon":
                lon = run
            elif name in STOP_NAMES:
                stopping[name] = run
            elif name.startswith("door/"):
                opened = self._take_door(device, run, entry) or opened
        if lat is not None and lon is not None:
            found = _positions(lat, lon)
            if opened:
                self.positions.update((device, *one) for one in found)
            self._take_halt(device, found)
        if stopping:
            self._take_stop(device, list(stopping.values()))

    def _take_door(self, device: str, run: Run, entry: int) -> bool:
        """Whether it was seen open."""
        said = self.doors.setdefault((device, run.name), {})
        opened = False
        for t_us, is_open in zip(run.times, run.values, strict=True):
            if isinstance(is_open, bool):
                said.setdefault((t_us, is_open), entry)
                opened = opened or is_open
        return opened

    def _take_halt(self, device: str, positions: Sequence[Position]) -> None:
        if not positions:
            return
        before, newest = self.where.get(device), positions[-1]
        if before is None or positions[0].t_us <= before.t_us or any(one.is_near(before) for one in positions):
            self.stops.append((device, positions[0].t_us, newest.t_us))
        if before is None or before.t_us < newest.t_us:
            self.where[device] = newest

    def _take_stop(self, device: str, runs: Sequence[Run]) -> None:
        from_us, to_us = min(min(run.times) for run in runs), max(max(run.times) for run in runs)
        newest = self.heard.get(device)
        self.heard[device] = to_us if newest is None else max(newest, to_us)
        values = [value for run in runs if run.name == "compressor" for value in run.values]
        if newest is None or from_us <= newest or False in values:
            self.stops.append((device, from_us, to_us))


def _positions(lat: Run, lon: Run) -> list[Position]:
    """In time order; where only one of the two is told there is none."""
    east = dict(zip(lon.times, lon.values, strict=True))
    return sorted(
        Position(t_us, north, there)
        for t_us, north in zip(lat.times, lat.values, strict=True)
        if isinstance(north, int) and isinstance(there := east.get(t_us), int)
    )


def _continued(newest: _Door | None, samples: Samples) -> list[Window]:
    """Openings that samples newer than all before them begin, prolong or end."""
    said = [(t_us, is_open) for t_us, is_open, _ in samples]
    if newest is not None and newest.since_us is not None:
        said += [(newest.since_us, True), (newest.t_us, True)]
    elif not any(is_open for _, is_open in said):
        return []
    return windows(said)


def _places(connection: Connection, devices: Iterable[str]) -> dict[str, set[str]]:
    """Everywhere each device ever hung."""
    found: dict[str, set[str]] = {}
    for part in chunks(devices):
        for row in connection.execute(
            select(door_mount).where(door_mount.c.device.in_(part), door_mount.c.place != "")
        ):
            found.setdefault(row.device, set()).add(row.place)
    return found


def _unknown(connection: Connection, device: str, door: str, samples: Samples) -> Samples:
    c = door_sample.c
    query = select(c.t_us, c.open).where(c.device == device, c.door == door)
    query = query.where(c.t_us.between(samples[0][0], samples[-1][0]))
    known = {(row.t_us, bool(row.open)) for row in connection.execute(query)}
    return [sample for sample in samples if sample[:2] not in known]


_SHUT = """SELECT t_us FROM door_sample AS said WHERE device = ? AND door = ? AND NOT open AND NOT EXISTS (
SELECT 1 FROM door_sample AS other
WHERE other.device = said.device AND other.door = said.door AND other.t_us = said.t_us AND other.open)"""
"""Times at which the door was seen closed, and by nothing open."""


def _rewrite(connection: Connection, device: str, door: str, from_us: int, to_us: int) -> tuple[int, int]:
    """Make the openings anew from the closed sample before to the closed one after; that stretch."""
    shut_before = fetch(connection, f"{_SHUT} AND t_us < ? ORDER BY t_us DESC LIMIT 1", device, door, from_us)
    shut_after = fetch(connection, f"{_SHUT} AND t_us > ? ORDER BY t_us LIMIT 1", device, door, to_us)
    from_us = shut_before[0][0] if shut_before else -ALWAYS_US
    to_us = shut_after[0][0] if shut_after else ALWAYS_US
    query = "SELECT t_us, open FROM door_sample WHERE device = ? AND door = ? AND t_us BETWEEN ? AND ?"
    found = windows((t_us, bool(is_open)) for t_us, is_open in fetch(connection, query, device, door, from_us, to_us))
    stale = ("device =", "door =", "from_us >=", "from_us <=")
    remove_rows(connection, door_window, [(device, door, from_us, to_us)], stale)
    append_rows(connection, door_window, [(device, door, *window) for window in found])
    return from_us, to_us


def _mount(connection: Connection, batch: Sequence[Recorded]) -> set[str]:
    """Note where devices are mounted, by their newest key, `mount` orders and associations; the places concerned."""
    newest = enrolled(batch)
    devices = newest.keys() | remounted(connection, batch)
    before = _mountings(connection, devices)
    firsts = {name: first for name in devices if (first := _first(before.get(name, ()), newest.get(name)))}
    turns = turns_of(connection, {name: first["place"] for name, first in firsts.items()})
    after = {name: _mounting_rows(name, first, turns[name]) for name, first in firsts.items()}
    changed = {name for name, rows in after.items() if rows != before.get(name, [])}
    for part in chunks(changed):
        connection.execute(delete(door_mount).where(door_mount.c.device.in_(part)))
    if rows := [row for name in sorted(changed) for row in after[name]]:
        connection.execute(insert(door_mount), rows)
    return {row["place"] for name in changed for row in (*before.get(name, ()), *after[name])} - {""}


def _mountings(connection: Connection, devices: Iterable[str]) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    c = door_mount.c
    for part in chunks(devices):
        for row in connection.execute(select(door_mount).where(c.device.in_(part)).order_by(c.device, c.since_us)):
            found.setdefault(row.device, []).append(dict(row._mapping))
    return found


def _first(before: Sequence[Mapping[str, Any]], enrolled: tuple[int, Enrolment] | None) -> dict[str, Any] | None:
    """What its newest key states; None before the device is enrolled."""
    if enrolled is not None and (not before or before[0]["n"] <= enrolled[0]):
        n, order = enrolled
        return {"n": n, "place": order.place, "org": order.org, "grade": order.grade}
    return {name: before[0][name] for name in ("n", "place", "org", "grade")} if before else None


def _mounting_rows(device: str, first: Mapping[str, Any], turns: Sequence[Turn]) -> list[dict[str, Any]]:
    """The enrolment's place since ever, then those it came to hang at."""
    starts = [-ALWAYS_US, *(turn.from_us for turn in turns)]
    places = [first["place"], *(turn.place for turn in turns)]
    return [
        {**first, "device": device, "since_us": since_us, "until_us": until_us, "place": place}
        for since_us, until_us, place in zip(starts, [*starts[1:], None], places, strict=True)
    ]
