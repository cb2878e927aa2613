"""Continuity verdicts of every pallet and every vehicle's doors (domain §3).

Follows `Events` and `Containment`: run it after them on the same batch.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy import Connection, or_, select

from coldchain.db.queries_events import containments_within
from coldchain.db.tables.events import continuity_deadline
from coldchain.db.tables.verdicts import verdict
from coldchain.domain.continuity import is_pallet
from coldchain.domain.events import Event
from coldchain.projections.doors import ALWAYS_US, Openings, Span
from coldchain.projections.judging import SOURCE, judge_doors, judge_pallets
from coldchain.projections.pallets import RULES, Folded, bearing, histories, touched_pallets
from coldchain.projections.papers import record_papers
from coldchain.services.ports import Recorded


class Continuity:
    """Fills `verdict` (source `continuity`) and `unit_segment` for what the batch touched and what time decided."""

    name = "continuity"
    tables: Sequence[str] = (
        "verdict",
        "unit_segment",
        "claim",
        "claim_decision",
        "ask",
        "continuity_deadline",
        "door_mount",
        "door_sample",
        "door_window",
    )

    def __init__(self) -> None:
        self._openings = Openings()

    def reset(self) -> None:
        self._openings.reset()

    def apply(self, connection: Connection, batch: Sequence[Recorded], ledger_time_us: int) -> None:
        spans = self._openings.apply(connection, batch)
        papers = record_papers(connection, batch)
        events = bearing(connection, batch)
        folded = histories(connection, touched_pallets(connection, events)) if events else {}
        spans += _event_spans(connection, events, folded)
        pallets = papers.subjects | _due(connection, ledger_time_us)
        for subject, from_us, to_us in _spoken_of(connection, papers.spans):
            pallets.add(subject)
            spans.append(Span(subject, from_us, to_us))
        pallets |= judge_doors(connection, _by_vehicle(spans), ledger_time_us)
        folded |= histories(connection, {name for name in pallets - folded.keys() if is_pallet(name)})
        judge_pallets(connection, folded, ledger_time_us)


def _due(connection: Connection, ledger_time_us: int) -> set[str]:
    """Subjects whose deadline ledger time has passed: no new fact names them, time alone changes their verdict."""
    c = continuity_deadline.c
    return set(connection.scalars(select(c.subject).where(c.due_us < ledger_time_us)))


def _spoken_of(connection: Connection, spans: Iterable[tuple[int, int]]) -> set[tuple[str, int, int]]:
    """Verdicts at a time that a claim speaks of."""
    c = verdict.c
    found: set[tuple[str, int, int]] = set()
    for from_us, to_us in spans:
        query = select(c.subject, c.from_us, c.to_us).where(c.source == SOURCE, c.from_us <= to_us + RULES.cover_us)
        query = query.where(or_(c.to_us.is_(None), c.to_us >= from_us - RULES.cover_us))
        found.update((row.subject, row.from_us, row.from_us) for row in connection.execute(query))
    return found


def _event_spans(connection: Connection, events: Iterable[Event], folded: Folded) -> list[Span]:
    """Where and when these events may cover an opening, or change what was aboard."""
    spans = [Span(name, event.time_us, event.time_us) for event in events for name in event.names]
    rides = containments_within(connection, folded, "veh:")
    for event in events:
        for unit in {event.parent, *event.units} & folded.keys():
            spans += [
                Span(ride.parent, event.time_us, event.time_us)
                for ride in rides.get(unit, ())
                if ride.from_us <= event.time_us + RULES.cover_us
                and (ride.to_us is None or event.time_us - RULES.cover_us <= ride.to_us)
            ]
            if event.action != "OBSERVE" or event.error:
                vehicles = {stored.event.parent for stored in folded[unit][1].values()}
                spans += [Span(vehicle, event.time_us, ALWAYS_US) for vehicle in vehicles]
    return spans


def _by_vehicle(spans: Iterable[Span]) -> list[Span]:
    """One span for each vehicle, from the first to the last moment concerned."""
    merged: dict[str, Span] = {}
    for span in spans:
        if span.place.startswith("veh:"):
            known = merged.get(span.place, span)
            merged[span.place] = Span(span.place, min(known.from_us, span.from_us), max(known.to_us, span.to_us))
    return [merged[place] for place in sorted(merged)]
