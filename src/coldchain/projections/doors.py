"""Door openings from `door/*` samples, kept current in any order of arrival."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from sqlalchemy import Connection, and_, delete, exists, func, insert, select

from coldchain.db.queries_events import chunks
from coldchain.db.tables.events import door_mount, door_sample, door_window
from coldchain.domain.devices import Enrolment, parse_identity
from coldchain.domain.doors import windows
from coldchain.services.ports import Recorded

ALWAYS_US = 2**62


class Span(NamedTuple):
    """A stretch of time at a place in which what is known of it changed."""

    place: str
    from_us: int
    to_us: int


class Openings:
    """Fills `door_sample`, `door_window` and `door_mount`.

    A closed door that stays closed, nearly every sample, costs one insert: each door's newest sample is remembered.
    """

    def __init__(self) -> None:
        self._newest: dict[tuple[str, str], tuple[int, bool]] = {}

    def reset(self) -> None:
        self._newest.clear()

    def apply(self, connection: Connection, batch: Sequence[Recorded]) -> list[Span]:
        """Fold the batch; where openings, or what they belong to, are others than before."""
        moved = _mount(connection, batch)
        rows = {
            (item.telemetry.device, sample.name, sample.t_us, sample.value): item.index
            for item in reversed(batch)
            if item.telemetry is not None
            for sample in item.telemetry.samples
            if sample.name.startswith("door/") and isinstance(sample.value, bool) and not sample.quality
        }
        spans = [Span(place, -ALWAYS_US, ALWAYS_US) for place in moved]
        if not rows:
            return spans
        changed = self._insert(connection, rows)
        places = _places(connection, (device for device, _ in changed))
        for (device, door), (from_us, to_us) in sorted(changed.items()):
            from_us, to_us = _rewrite(connection, device, door, from_us, to_us)
            if device in places:
                spans.append(Span(places[device], from_us, to_us))
        return spans

    def _insert(
        self, connection: Connection, rows: dict[tuple[str, str, int, bool], int]
    ) -> dict[tuple[str, str], tuple[int, int]]:
        """Add samples; by door, the stretch of time of those that may change an opening."""
        by_door: dict[tuple[str, str], list[tuple[int, bool, int]]] = {}
        for (device, door, t_us, is_open), entry in rows.items():
            by_door.setdefault((device, door), []).append((t_us, is_open, entry))
        changed: dict[tuple[str, str], tuple[int, int]] = {}
        fresh: list[dict[str, object]] = []
        for (device, door), samples in by_door.items():
            samples.sort()
            newest = self._newest_of(connection, device, door)
            if newest is not None and samples[0][0] <= newest[0]:
                samples = _unknown(connection, device, door, samples)
            if not samples:
                continue
            fresh += [
                {"device": device, "door": door, "t_us": t_us, "open": is_open, "entry": entry}
                for t_us, is_open, entry in samples
            ]
            stays_shut = not any(is_open for _, is_open, _ in samples)
            if not (stays_shut and (newest is None or (newest[0] < samples[0][0] and not newest[1]))):
                changed[device, door] = samples[0][0], samples[-1][0]
            last = samples[-1][:2]
            self._newest[device, door] = last if newest is None else max(newest, last)
        if fresh:
            connection.execute(insert(door_sample), fresh)
        return changed

    def _newest_of(self, connection: Connection, device: str, door: str) -> tuple[int, bool] | None:
        if (device, door) not in self._newest:
            c = door_sample.c
            query = select(c.t_us, c.open).where(c.device == device, c.door == door)
            row = connection.execute(query.order_by(c.t_us.desc(), c.open.desc()).limit(1)).first()
            if row is None:
                return None
            self._newest[device, door] = (row.t_us, bool(row.open))
        return self._newest[device, door]


def _places(connection: Connection, devices: Iterable[str]) -> dict[str, str]:
    rows = (
        connection.execute(select(door_mount).where(door_mount.c.device.in_(part))).all() for part in chunks(devices)
    )
    return {row.device: row.place for some in rows for row in some if row.place}


def _unknown(
    connection: Connection, device: str, door: str, samples: list[tuple[int, bool, int]]
) -> list[tuple[int, bool, int]]:
    c = door_sample.c
    query = select(c.t_us, c.open).where(c.device == device, c.door == door)
    query = query.where(c.t_us.between(samples[0][0], samples[-1][0]))
    known = {(row.t_us, bool(row.open)) for row in connection.execute(query)}
    return [sample for sample in samples if sample[:2] not in known]


def _rewrite(connection: Connection, device: str, door: str, from_us: int, to_us: int) -> tuple[int, int]:
    """Make the openings anew from the closed sample before to the closed one after; that stretch."""
    c, other = door_sample.c, door_sample.alias()
    here = and_(c.device == device, c.door == door)
    also_open = exists().where(other.c.device == device, other.c.door == door, other.c.t_us == c.t_us, other.c.open)
    shut = select(func.max(c.t_us)).where(here, ~c.open, ~also_open)
    before = connection.scalar(shut.where(c.t_us < from_us))
    after = connection.scalar(shut.with_only_columns(func.min(c.t_us)).where(c.t_us > to_us))
    from_us, to_us = -ALWAYS_US if before is None else before, ALWAYS_US if after is None else after
    samples = connection.execute(select(c.t_us, c.open).where(here, c.t_us.between(from_us, to_us)))
    found = windows((t_us, bool(is_open)) for t_us, is_open in samples)
    w = door_window.c
    connection.execute(delete(door_window).where(w.device == device, w.door == door, w.from_us.between(from_us, to_us)))
    if found:
        connection.execute(
            insert(door_window), [{"device": device, "door": door, **window._asdict()} for window in found]
        )
    return from_us, to_us


def _mount(connection: Connection, batch: Sequence[Recorded]) -> set[str]:
    """Note where devices are mounted, by their newest key; the places concerned."""
    newest: dict[str, tuple[int, Enrolment]] = {}
    for item in batch:
        if item.entry.kind == "identity" and isinstance(order := parse_identity(item.body), Enrolment):
            number = order.kid.rpartition("#")[2]
            n = int(number) if number.isdecimal() else 0
            if order.device not in newest or newest[order.device][0] < n:
                newest[order.device] = (n, order)
    places: set[str] = set()
    for part in chunks(newest):
        for row in connection.execute(select(door_mount).where(door_mount.c.device.in_(part))).all():
            if row.n > newest[row.device][0]:
                del newest[row.device]
            else:
                places.add(row.place)
                connection.execute(delete(door_mount).where(door_mount.c.device == row.device))
    if newest:
        rows = [
            {"device": device, "n": n, "place": order.place, "org": order.org, "grade": order.grade}
            for device, (n, order) in newest.items()
        ]
        connection.execute(insert(door_mount), rows)
    return (places | {order.place for _, order in newest.values()}) - {""}
