"""P5 borne out by the scale of the vehicle, room or platform the unit stood on (domain §3)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence, Set
from typing import NamedTuple

from sqlalchemy import Connection, select

from coldchain.db import queries_events as q
from coldchain.db.bulk import put_rows
from coldchain.db.tables.continuity import continuity_opportunity, scale
from coldchain.db.tables.events import containment, door_mount
from coldchain.domain.continuity import InForce, Opportunity, Rules
from coldchain.domain.scales import NAMES, Step, steps
from coldchain.projections.series import readings

Evidence = dict[Opportunity, tuple[str, Sequence[int]]]
"""Grade and entries of what is no event."""
_USELESS = ("fault", "bad-time", "bad-type", "not-finite")


class Scales:
    """Fills `scale`; knows at which places the scales hang, and what stands there."""

    def __init__(self) -> None:
        self._devices: set[str] | None = None

    def reset(self) -> None:
        self._devices = None

    def take(self, connection: Connection, heard: Set[str], weighed: Set[str]) -> set[str]:
        """Places whose weight may be another one than was known. heard: devices that said anything; weighed: those of
        them that told of a weight."""
        if self._devices is None:
            self._devices = set(connection.scalars(select(scale.c.device)))
        fresh = weighed - self._devices
        put_rows(connection, scale, [(name,) for name in sorted(fresh)])
        self._devices |= fresh
        spoke = heard & self._devices
        c = door_mount.c
        return {
            place
            for part in q.chunks(spoke)
            for place in connection.scalars(select(c.place).where(c.device.in_(part), c.place != ""))
        }

    def doubted(self, connection: Connection, places: set[str]) -> set[str]:
        """Units with a P5 that ever stood at one of the places, as far as a scale ever hung there."""
        if not self._devices or not places:
            return set()
        m, o, inside = door_mount.c, continuity_opportunity.c, containment.c
        known = {
            place
            for part in q.chunks(self._devices)
            for place in connection.scalars(select(m.place).where(m.device.in_(part)))
        }
        query = select(o.subject).join(containment, inside.child == o.subject).where(o.code == "P5")
        return {
            unit
            for part in q.chunks(places & known)
            for unit in connection.scalars(query.where(inside.parent.in_(part)))
        }


class _Shown(NamedTuple):
    """A step that nothing explains, of a scale and on what evidence."""

    device: str
    grade: str
    step: Step
    entries: tuple[int, ...]


def borne_out(connection: Connection, its: Iterable[Opportunity], rules: InForce) -> Evidence:
    """The opportunities, in order; each P5 that a scale bears out is confirmed, and what shows it comes with it."""
    found: Evidence = {}
    for it in its:
        shown = _shown(connection, it, rules.at(it.from_us)) if it.code == "P5" and not it.confirmed else None
        if shown is None:
            found[it] = "", ()
            continue
        told = f"the scale {shown.device} showed {shown.step.before:.10g} kg, then {shown.step.after:.10g} kg"
        found[it._replace(confirmed=True, askable=True, lacks="", seen=(*it.seen, told))] = shown.grade, shown.entries
    return found


def _shown(connection: Connection, it: Opportunity, rules: Rules) -> _Shown | None:
    """The first step in the same direction where the unit stood, while no event speaks of anything moved there."""
    stays = [stay for stay in q.intervals(connection, containment.c.child, [it.subject]) if _held(stay.parent)]
    for stay in sorted(stays, key=lambda stay: stay.from_us):
        from_us = max(it.from_us, stay.from_us)
        to_us = it.end_us if stay.to_us is None else min(it.end_us, stay.to_us)
        for one in _steps_at(connection, stay.parent, from_us, to_us, rules.drift_per_mille):
            around = one.step.from_us - rules.cover_us, one.step.to_us + rules.cover_us
            if one.step.sign == it.drift and not q.event_times(connection, [stay.parent], *around):
                return one
    return None


def _held(place: str) -> bool:
    return place.startswith(("veh:", "room:"))


def _steps_at(connection: Connection, place: str, from_us: int, to_us: int, per_mille: int) -> Iterator[_Shown]:
    c = door_mount.c
    query = select(c.device, c.grade, c.since_us, c.until_us).join(scale, scale.c.device == c.device)
    for device, grade, since_us, until_us in connection.execute(query.where(c.place == place).order_by(c.device)):
        first_us, last_us = max(from_us, since_us), to_us if until_us is None else min(to_us, until_us - 1)
        for name in NAMES if first_us <= last_us else ():
            samples = [
                reading
                for reading in readings(connection, device, first_us, last_us + 1, name)
                if reading.name == name and reading.quality not in _USELESS and type(reading.value) in (int, float)
            ]
            for step in steps([(one.t_us, float(one.value)) for one in samples], per_mille):  # type: ignore[arg-type]
                entries = {one.entry for one in samples if one.t_us in (step.from_us, step.to_us)}
                yield _Shown(device, grade, step, tuple(sorted(entries)))
