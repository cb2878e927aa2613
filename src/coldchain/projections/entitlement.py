"""Whose events count: the bars on events of unentitled parties, and what is told about each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import Connection, delete, insert, select

from coldchain.db.lanes import mark_rows
from coldchain.db.queries_events import Stored, chunks, events_by_key
from coldchain.db.queries_mounts import owners
from coldchain.db.queries_parties import event_decisions, tenures_of
from coldchain.db.tables.events import event as event_table
from coldchain.db.tables.events import event_unit
from coldchain.db.tables.parties import handover_clue, restated, unentitled
from coldchain.db.tables.verdicts import verdict
from coldchain.domain.entitlement import UNITS, Bar, Decisions, Statement, Tenure, place_bar, ruled, unit_bar
from coldchain.domain.events import Event
from coldchain.domain.exceptions import AUTHORITIES
from coldchain.domain.handovers import SLACK_US
from coldchain.domain.mounting import ASSOCIATION, DEVICE
from coldchain.domain.parties import Directory, Registration
from coldchain.domain.segments import UNOBSERVED
from coldchain.services.chores import canonical

SOURCE = "parties"
RULE = "unentitled event"
EVER_US = 2**62
Rows = dict[str, dict[str, Any]]
Tenures = Mapping[str, tuple[Tenure, ...]]


def judge(connection: Connection, directory: Directory, events: Mapping[str, Event], fresh: Iterable[str]) -> None:
    """`unentitled` and its verdicts agree with these events, given with every copy under their ids; those recorded
    earlier that now count otherwise are named in `restated`. fresh: keys of the batch itself."""
    held = {**tenures_of(connection, directory, _units(events.values())), **_devices(connection, events.values())}
    bars: dict[str, tuple[Bar, bool]] = {}
    withdrawn = {(event.by, event.event_id) for event in events.values() if event.error}
    stated = [event for event in events.values() if (event.by, event.event_id) not in withdrawn]
    open_bars = {event.key: bar for event in stated if (bar := _bar(directory, event, held)) is not None}
    decisions = event_decisions(connection, open_bars)
    for key, bar in open_bars.items():
        left = _after_rulings(directory, events[key], bar, held, decisions)
        if left is not None:
            bars[key] = left
    flips = _rewrite_bars(connection, events, bars)
    _rewrite_verdicts(connection, events, bars)
    if older := sorted(flips - set(fresh)):
        connection.execute(insert(restated), [{"key": key} for key in older])


def _units(events: Iterable[Event]) -> set[str]:
    return {name for event in events for name in (event.parent, *event.units, *event.inputs) if name.startswith(UNITS)}


def _devices(connection: Connection, events: Iterable[Event]) -> Tenures:
    """The devices that some of these events mount: each is its owner's, since ever."""
    told = (unit for event in events if event.kind == ASSOCIATION for unit in event.units)
    named = {unit.removeprefix(DEVICE) for unit in told if unit.startswith(DEVICE)}
    return {
        DEVICE + name: (Tenure(org, -EVER_US, None, frozenset()),) for name, org in owners(connection, named).items()
    }


def _bar(directory: Directory, event: Event, held: Tenures) -> Bar | None:
    return place_bar(directory, event) or unit_bar(directory, event, held)


def _after_rulings(
    directory: Directory, event: Event, bar: Bar, held: Tenures, decisions: Decisions
) -> tuple[Bar, bool] | None:
    """The bar that remains, and whether it was ruled to remain. Whoever owns the place does not speak for the unit."""
    ruling = ruled(directory, Statement.of(event), bar, decisions)
    if ruling != "confirmed":
        return bar, ruling == "refused"
    second = unit_bar(directory, event, held) if bar.rule == "place" else None
    if second is None:
        return None
    ruling = ruled(directory, Statement.of(event), second, decisions)
    return None if ruling == "confirmed" else (second, ruling == "refused")


def _rewrite_bars(connection: Connection, events: Iterable[str], bars: Mapping[str, tuple[Bar, bool]]) -> set[str]:
    """The events that came to be barred or free."""
    before: Rows = {}
    for part in chunks(events):
        rows = connection.execute(select(unentitled).where(unentitled.c.key.in_(part)))
        before |= {row.key: dict(row._mapping) for row in rows}
    after: Rows = {key: {"key": key, **bar._asdict(), "refused": refused} for key, (bar, refused) in bars.items()}
    for part in chunks(key for key, row in before.items() if after.get(key) != row):
        connection.execute(delete(unentitled).where(unentitled.c.key.in_(part)))
    if fresh := [row for key, row in after.items() if before.get(key) != row]:
        connection.execute(insert(unentitled), fresh)
    return before.keys() ^ after.keys()


def _rewrite_verdicts(connection: Connection, events: Iterable[str], bars: Mapping[str, tuple[Bar, bool]]) -> None:
    """So that whoever owns the place or holds the unit sees it among the findings."""
    c = verdict.c
    mine = (c.source == SOURCE) & (c.rule == RULE)
    before: Rows = {}
    for part in chunks(events):
        rows = connection.execute(select(verdict).where(mine, c.channel.in_(part)))
        before |= {row.channel: dict(row._mapping) for row in rows}
    stored = events_by_key(connection, bars)
    after: Rows = {key: _verdict(stored[key], *bar) for key, bar in bars.items()}
    gone = {key: row for key, row in before.items() if after.get(key) != row}
    for part in chunks(gone):
        connection.execute(delete(verdict).where(mine, c.channel.in_(part)))
    if fresh := [row for key, row in after.items() if before.get(key) != row]:
        connection.execute(insert(verdict), fresh)
    mark_rows(connection, [*gone.values(), *fresh])


def _verdict(stored: Stored, bar: Bar, refused: bool) -> dict[str, Any]:
    event = stored.event
    detail = {
        "action": event.action,
        "bar": bar.rule,
        "by": event.by,
        "event": event.key,
        "owner": bar.owner,
        "refused": refused,
        "step": event.biz_step,
        "units": sorted({event.parent, *event.units, *event.inputs} - {""}),
    }
    return {
        "source": SOURCE,
        "rule": RULE,
        "subject": bar.name,
        "channel": event.key,
        "from_us": event.time_us,
        "to_us": event.time_us,
        "verdict": UNOBSERVED,
        "state": "closed" if refused else "open",
        "detail": canonical(detail).decode(),
        "weakest_grade": stored.grade,
        "basis_index": f"[{stored.entry}]",
    }


# Which earlier events may count otherwise than before


def touched_by(connection: Connection, directory: Directory, version: Registration) -> set[str]:
    """Events whose standing a new version of a registration may change."""
    if version.op == "site":
        return _at_places(connection, (f"loc:{version.id}", f"room:{version.id}"), version.from_us)
    if version.op == "vehicle":
        return _at_places(connection, (f"veh:{version.id}",), version.from_us)
    if version.op == "agent":
        return _stated_by(connection, version.stated["agent"], version.from_us)
    if version.op == "org":
        names = {*version.stated.get("names", ()), f"code:uscc/{version.stated.get('uscc')}"}
        may_rule = any(_is_authority(one) for one in directory.versions("org", version.id))
        return _calling(connection, names) | (
            _stated_by(connection, version.id, version.from_us) if may_rule else set()
        )
    return set()


def _at_places(connection: Connection, places: Iterable[str], from_us: int) -> set[str]:
    c = event_unit.c
    roles = ("parent", "read_point", "location")
    query = select(c.key).where(c.role.in_(roles), c.time_us >= from_us)
    found: set[str] = set()
    for place in places:
        found.update(connection.scalars(query.where(c.unit == place)))
        found.update(connection.scalars(query.where(c.unit.startswith(f"{place}/", autoescape=True))))
    return found


def _stated_by(connection: Connection, org: str, from_us: int) -> set[str]:
    c = event_table.c
    return set(connection.scalars(select(c.key).where(c.by == org, c.time_us >= from_us)))


def _calling(connection: Connection, names: Iterable[str]) -> set[str]:
    c = handover_clue.c
    clues = [f"party {name}" for name in names]
    return {
        key
        for part in chunks(clues)
        for key in connection.scalars(select(c.key).where(c.taker == "", c.clue.in_(part)))
    }


def touched_by_halves(connection: Connection, events: Iterable[Event]) -> set[str]:
    """Events naming the units of shipments that count otherwise than before, from then on."""
    since: dict[str, int] = {}
    for event in events:
        for unit in _units([event]):
            since[unit] = min(event.time_us - SLACK_US, since.get(unit, event.time_us))
    return _naming(connection, since)


def touched_by_tenures(connection: Connection, before: Tenures, after: Tenures) -> set[str]:
    """Events naming units that others hold, or name, than was known."""
    since: dict[str, int] = {}
    for unit in before.keys() | after.keys():
        old, new = before.get(unit, ()), after.get(unit, ())
        if old != new:
            since[unit] = min(turn.from_us for turn in {*old, *new} - ({*old} & {*new})) - SLACK_US
    return _naming(connection, since)


def _naming(connection: Connection, since: Mapping[str, int]) -> set[str]:
    c = event_unit.c
    query = select(c.unit, c.time_us, c.key).where(c.role.in_(("parent", "child", "input")))
    return {
        row.key
        for part in chunks(since)
        for row in connection.execute(query.where(c.unit.in_(part)))
        if row.time_us >= since[row.unit]
    }


def _is_authority(version: Registration) -> bool:
    return not AUTHORITIES.isdisjoint(version.stated["roles"])
