"""Which subjects of continuity a batch touches, and everything that bears on each: the same for any order of arrival.

An event bears on a subject by naming it, in the standard's fields or in ours, or by naming something the subject is
tied to. Ties are written with the subject's verdicts, so whichever of two events comes second finds the first.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import Connection, delete, insert, select

from coldchain.db import queries_continuity as q
from coldchain.db.bulk import put_rows
from coldchain.db.queries_events import Stored, chunks, doubting
from coldchain.db.tables.continuity import continuity_opportunity, continuity_tie, event_fact
from coldchain.domain.continuity import Opportunity, is_pallet
from coldchain.domain.continuity.cartons import issued_cases
from coldchain.domain.continuity.facts import names_beside, opening_name
from coldchain.domain.continuity.model import point_of
from coldchain.domain.continuity.subjects import (
    Found,
    World,
    bears_on_tied_case,
    followed_cases,
    found_on,
    is_case_tie,
    ties,
)
from coldchain.domain.events import Event
from coldchain.domain.parties import site_of
from coldchain.domain.seals import seals_in
from coldchain.projections.events import own_events
from coldchain.services.recorded import Recorded


class Judged(NamedTuple):
    """A subject as found now, and the events that say so."""

    found: Found
    events: Mapping[str, Stored]


def record_facts(connection: Connection, batch: Sequence[Recorded]) -> None:
    """Fill `event_fact`. The same event again adds nothing."""
    rows = {(name, one.time_us, one.key) for one, _ in own_events(batch) for name in names_beside(one)}
    put_rows(connection, event_fact, sorted(rows))


def touched_subjects(connection: Connection, events: Iterable[Event]) -> set[str]:
    """Subjects whose opportunities these events may change."""
    listed: set[str] = set()
    subjects: set[str] = set()
    issued: set[str] = set()
    for event in events:
        beside = names_beside(event)
        listed |= {*event.units, *event.inputs, *event.outputs, event.parent, *beside} - {""}
        subjects |= {fact.unit for fact in seals_in(event)}
        subjects |= followed_cases(event)
        issued.update(issued_cases(event))
        if event.extra("openingCount"):
            subjects |= _subjects_in(q.units_at(connection, site_of(point_of(event))))
    subjects |= _subjects_in(listed) | q.tied_to(connection, listed) | doubting(connection, listed)
    return (subjects | q.issued_again(connection, issued)) - {""}


def _subjects_in(names: Iterable[str]) -> set[str]:
    return {name for name in names if is_pallet(name) or name.startswith("cont:")}


def find(connection: Connection, subjects: Iterable[str], world: World) -> dict[str, Judged]:
    """What is found on each subject from everything recorded so far; its ties are recorded."""
    wanted = set(subjects)
    if not wanted:
        return {}
    keys = q.keys_naming(connection, wanted, ("parent", "child", "input", "output")) | q.keys_beside(connection, wanted)
    loaded = _Loaded(q.stored_events(connection, keys))
    direct = {subject: loaded.naming({subject}) for subject in wanted}
    tied = {subject: ties(subject, (one.event for one in direct[subject].values())) for subject in wanted}
    _rewrite_ties(connection, tied)
    _load_tied(connection, loaded, {name for names in tied.values() for name in names})
    events = {subject: direct[subject] | loaded.bearing(tied[subject]) for subject in wanted}
    world = _with_openings(connection, world, events)
    first = {subject: found_on(subject, _events(events[subject]), world) for subject in sorted(wanted)}
    astray = {subject: found.history.doubted | found.strayed for subject, found in first.items()}
    sightings = q.keys_naming(connection, set().union(*astray.values()), ("child", "input"))
    loaded.add(q.stored_events(connection, loaded.new(sightings)))
    result = {}
    for subject, found in first.items():
        if astray[subject]:
            events[subject] |= loaded.sighting(astray[subject])
            found = found_on(subject, _events(events[subject]), world)
        result[subject] = Judged(found, events[subject])
    return result


class _Loaded:
    """Events read so far, by key and by every name they bear."""

    def __init__(self, stored: Mapping[str, Stored]) -> None:
        self._stored: dict[str, Stored] = {}
        self._named: dict[str, set[str]] = {}
        self._copies: dict[str, set[str]] = {}
        self._beside: dict[str, frozenset[str]] = {}
        self.add(stored)

    def add(self, stored: Mapping[str, Stored]) -> None:
        for key, one in stored.items():
            if key not in self._stored:
                self._stored[key] = one
                event = one.event
                self._copies.setdefault(event.event_id, set()).add(key)
                self._beside[key] = names_beside(event)
                for name in {event.parent, *event.units, *event.inputs, *event.outputs, *self._beside[key]}:
                    self._named.setdefault(name, set()).add(key)

    def new(self, keys: Iterable[str]) -> set[str]:
        return {key for key in keys if key not in self._stored}

    def naming(self, names: Iterable[str]) -> dict[str, Stored]:
        """With every copy under their event ids."""
        return self._with_copies({key for name in names for key in self._named.get(name, ())})

    def sighting(self, tags: Iterable[str]) -> dict[str, Stored]:
        """Those that list one of the tags, whatever else is loaded."""
        keys = {(key, tag) for tag in tags for key in self._named.get(tag, ())}
        return self._with_copies({key for key, tag in keys if self._lists(key, tag)})

    def _lists(self, key: str, tag: str) -> bool:
        event = self._stored[key].event
        return tag in event.units or tag in event.inputs

    def bearing(self, tied: Iterable[str]) -> dict[str, Stored]:
        keys: set[str] = set()
        for name in tied:
            some = self._named.get(name, set())
            if is_case_tie(name):
                some = {key for key in some if self._bears(key, name)}
            keys |= some
        return self._with_copies(keys)

    def _bears(self, key: str, name: str) -> bool:
        return bears_on_tied_case(self._stored[key].event) or name in self._beside[key]

    def _with_copies(self, keys: Iterable[str]) -> dict[str, Stored]:
        ids = {self._stored[key].event.event_id for key in keys}
        return {key: self._stored[key] for one in ids for key in self._copies[one]}


def _load_tied(connection: Connection, loaded: _Loaded, tied: set[str]) -> None:
    cases = {name for name in tied if is_case_tie(name)}
    keys = q.keys_beside(connection, tied)
    keys |= q.keys_naming(connection, tied - cases, ("parent", "child", "input", "output"))
    listed = loaded.new(q.keys_naming(connection, cases, ("child", "input")))
    loaded.add(q.stored_events(connection, loaded.new(keys) | q.moving(connection, listed)))


def _events(stored: Mapping[str, Stored]) -> list[Event]:
    return [one.event for one in stored.values()]


def _with_openings(connection: Connection, world: World, events: Mapping[str, Mapping[str, Stored]]) -> World:
    names = {opening_name(point) for some in events.values() for e in _events(some) if site_of(point := point_of(e))}
    times = q.opening_times(connection, names)
    return World(world.rules, world.sites, lambda place: times.get(opening_name(place)))


def _rewrite_ties(connection: Connection, tied: Mapping[str, frozenset[str]]) -> None:
    c = continuity_tie.c
    for part in chunks(tied):
        query = select(c.name, c.subject).where(c.subject.in_(part))
        known = {(row.name, row.subject) for row in connection.execute(query)}
        wanted = {(name, subject) for subject in part for name in tied[subject]}
        for name, subject in sorted(known - wanted):
            connection.execute(delete(continuity_tie).where(c.name == name, c.subject == subject))
        put_rows(connection, continuity_tie, sorted(wanted - known))


def record_opportunities(connection: Connection, judged: Mapping[str, Judged]) -> list[Opportunity]:
    """Fill `continuity_opportunity`; the opportunities that are new, gone or other than before."""
    c = continuity_opportunity.c
    before = q.opportunities(connection, judged)
    changed: set[Opportunity] = set()
    for subject, one in judged.items():
        known = before.get(subject, [])
        if tuple(known) != one.found.opportunities:
            changed |= set(known) ^ set(one.found.opportunities)
            connection.execute(delete(continuity_opportunity).where(c.subject == subject))
            if one.found.opportunities:
                connection.execute(insert(continuity_opportunity), [_row(it) for it in one.found.opportunities])
    return sorted(changed)


def _row(it: Opportunity) -> dict[str, object]:
    return {
        "subject": it.subject,
        "code": it.code,
        "channel": it.channel,
        "from_us": it.from_us,
        "to_us": it.to_us,
        "data": q.encode_opportunity(it).decode(),
    }
