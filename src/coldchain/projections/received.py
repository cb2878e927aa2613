"""Temperatures measured when goods were received, against what their pack allows (docs/temperature.md 6.5)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence

from sqlalchemy import Connection, select

from coldchain.db.bulk import put_rows
from coldchain.db.queries_containment import contents_at
from coldchain.db.queries_events import Stored, chunks, entitled, events_by_key, restated_events, with_copies
from coldchain.db.tables.exposure import handover_measurement
from coldchain.domain.events import Event, in_force
from coldchain.domain.exposure import LOADS, Interval, Watch, innermost, watched
from coldchain.domain.rulepacks import RulePack
from coldchain.projections.consignment_rows import SOURCE, Row, replace_rows
from coldchain.projections.events import own_events
from coldchain.projections.exposures import Exposures
from coldchain.services.chores import canonical
from coldchain.services.recorded import Recorded

HANDOVER = " handover temperature"
STEPS = ("receiving", "accepting", "arriving")
"""In which goods are received (CBV 2.0 §7.1)."""
AFFECTED = 200
MEASURED = 50
"""Measurements that a verdict tells, the warmest; `measured_total` says of how many."""


def record_measurements(connection: Connection, batch: Sequence[Recorded]) -> set[str]:
    """Fill `handover_measurement`; the units of whose measurements something else is known now."""
    told = {event.key: Stored(event, item.entry.grade, item.index) for event, item in own_events(batch)}
    rows = [(unit, key) for key, one in told.items() for unit in _measured(one.event)]
    put_rows(connection, handover_measurement, rows)
    told |= restated_events(connection)
    copies = with_copies(connection, told) if told else {}
    return {unit for one in copies.values() for unit in _measured(one.event)}


def measured_units(connection: Connection, among: Iterable[str] | None = None) -> set[str]:
    """Units that were ever measured so; of some, or of all."""
    c = handover_measurement.c
    if among is None:
        return set(connection.scalars(select(c.unit).distinct()))
    return {
        unit for part in chunks(among) for unit in connection.scalars(select(c.unit).distinct().where(c.unit.in_(part)))
    }


def judge_received(connection: Connection, exposures: Exposures, units: set[str]) -> None:
    """The rows of these units are those of the measurements that count."""
    c = handover_measurement.c
    keys = {key for part in chunks(units) for key in connection.scalars(select(c.key).where(c.unit.in_(part)))}
    stored = entitled(connection, with_copies(connection, events_by_key(connection, keys)))
    standing, disputed = in_force(one.event for one in stored.values())
    counting = [event for event in standing if event.key not in disputed]
    around = exposures.around(units)
    places = {one.place for several in around.values() for one in several}
    places |= {place for event in counting for place in (event.location, event.read_point)}
    judged = exposures.judged(units)
    watches = {
        turns: exposures.at(places, turns) for turns in {one.turns for several in judged.values() for one in several}
    }
    warmest: dict[tuple[str, str, int], Row] = {}
    for event in counting:
        for unit in sorted(units & _measured(event)):
            falling = [one for one in judged[unit] if any(a <= event.time_us < b for a, b in one.spans)]
            rows = (
                row
                for one in falling
                for row in _rows(connection, exposures, unit, around[unit], watches[one.turns], stored[event.key])
            )
            for row in rows:
                key = row["rule"], unit, event.time_us
                if (
                    key not in warmest
                    or json.loads(warmest[key]["detail"])["max_mc"] < json.loads(row["detail"])["max_mc"]
                ):
                    warmest[key] = row
    replace_rows(connection, units, lambda row: row["rule"].endswith(HANDOVER), warmest.values())


def _measured(event: Event) -> set[str]:
    """The units of which an event says how warm they were when they were received."""
    if not event.temperatures or event.biz_step not in STEPS:
        return set()
    named = [event.parent] if event.parent.startswith(LOADS) else event.units
    return {unit for unit in named if unit.startswith(LOADS)}


def _rows(
    connection: Connection,
    exposures: Exposures,
    unit: str,
    around: Sequence[Interval],
    watches: Mapping[str, Sequence[Watch]],
    stored: Stored,
) -> Iterator[Row]:
    event = stored.event
    max_mc = max(one.mc for one in event.temperatures)
    for pack in _packs(exposures, around, watches, event):
        stage = next((stage for stage in pack.stages.values() if stage.handover_mc is not None), None)
        if stage is None or stage.handover_mc is None or max_mc <= stage.handover_mc:
            continue
        inside = sorted({interval.child for interval in contents_at(connection, unit, event.time_us)})
        detail = {
            "pack": pack.name,
            "version": pack.version,
            "clause": stage.clause,
            "verified": pack.verified,
            "handover_mc": stage.handover_mc,
            "max_mc": max_mc,
            "measured": [one._asdict() for one in event.temperatures[-MEASURED:]],
            "measured_total": len(event.temperatures),
            "by": event.by,
            "step": event.biz_step,
            "affected": [unit, *inside[: AFFECTED - 1]],
            "affected_total": 1 + len(inside),
            "severity": "alarm",
        }
        yield {
            "source": SOURCE,
            "rule": pack.name + HANDOVER,
            "subject": unit,
            "channel": "",
            "from_us": event.time_us,
            "to_us": event.time_us,
            "verdict": "breach",
            "state": "closed",
            "detail": canonical(detail).decode(),
            "weakest_grade": stored.grade,
            "basis_index": json.dumps([stored.entry]),
        }


def _packs(
    exposures: Exposures, around: Sequence[Interval], watches: Mapping[str, Sequence[Watch]], event: Event
) -> list[RulePack]:
    """Those that judged the goods where they came from; else where they came to."""
    for t_us, here in ((event.time_us - 1, ()), (event.time_us, (event.location, event.read_point))):
        found = {
            (watch.pack, watch.version)
            for name in {watch.pack for several in watches.values() for watch in several}
            for place in (
                *(
                    stay.place
                    for stay in innermost(around, watched(watches, name))
                    if stay.from_us <= t_us < stay.to_us
                ),
                *here,
            )
            for watch in watches.get(place, ())
            if watch.pack == name and watch.from_us <= t_us < watch.to_us
        }
        if found:
            return [exposures.packs[key] for key in sorted(found)]
    return []
