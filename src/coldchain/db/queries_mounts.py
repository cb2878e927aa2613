"""What is read of mountings: orders, associations, and who hangs where."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

import msgspec
from sqlalchemy import Connection, or_, select

from coldchain.db.queries_events import chunks, entitled, events_by_key, with_copies
from coldchain.db.tables.events import event as event_table
from coldchain.db.tables.events import event_unit
from coldchain.db.tables.parties import device_owner, party, restated
from coldchain.db.tables.telemetry import device, device_mounting
from coldchain.domain.events import Event
from coldchain.domain.mounting import ASSOCIATION, DEVICE, Turn, turns
from coldchain.domain.parties import Registration

_event = msgspec.json.Decoder(Event).decode


def turns_of(connection: Connection, firsts: Mapping[str, str]) -> dict[str, list[Turn]]:
    """By device: how it came to hang elsewhere, by every order and every association that counts. firsts: by device,
    where its enrolment says that it hangs."""
    orders = _orders(connection, firsts)
    named = associating(connection, firsts)
    told = {key: one.event for key, one in events_by_key(connection, named).items()}
    places = {*firsts.values(), *(order.stated["place"] for several in orders.values() for order in several)}
    emptied = _keys(connection, places | {event.parent for event in told.values()}, "parent")
    counting = entitled(connection, with_copies(connection, events_by_key(connection, named | emptied)))
    copies: dict[str, list[Event]] = {}
    for one in counting.values():
        copies.setdefault(one.event.event_id, []).append(one.event)
    bearing: dict[str, set[str]] = {name: set() for name in firsts}
    for event in told.values():
        for unit in event.units:
            if (name := unit.removeprefix(DEVICE)) in bearing:
                bearing[name].add(event.event_id)
    emptying = {counting[key].event.event_id for key in emptied & counting.keys()}
    return {
        name: turns(name, first, orders.get(name, ()), (e for i in bearing[name] | emptying for e in copies.get(i, ())))
        for name, first in firsts.items()
    }


def _orders(connection: Connection, devices: Iterable[str]) -> dict[str, list[Registration]]:
    found: dict[str, list[Registration]] = {}
    c = party.c
    query = select(c.op, c.id, c.n, c.from_us, c.body).where(c.op == "mount")
    for part in chunks(devices):
        for row in connection.execute(query.where(c.id.in_(part))):
            version = Registration(row.op, row.id, row.n, row.from_us, json.loads(row.body))
            found.setdefault(row.id, []).append(version)
    return found


def _keys(connection: Connection, names: Iterable[str], role: str) -> set[str]:
    """Associations that name one of these as a child; or, as the parent, take all from it."""
    c, e = event_unit.c, event_table.c
    query = select(c.key).join(event_table, e.key == c.key).where(c.role == role, e.kind == ASSOCIATION)
    if role == "parent":
        query = query.where(e.takes_all)
    return {key for part in chunks(names) for key in connection.scalars(query.where(c.unit.in_(part)))}


def associating(connection: Connection, devices: Iterable[str]) -> set[str]:
    """Associations that name one of the devices, by key, whether they count or not."""
    return _keys(connection, (DEVICE + name for name in devices), "child")


def associations(connection: Connection, event_ids: Iterable[str]) -> list[Event]:
    """Those recorded under these ids, or under the id of an event that the newest batch barred or freed."""
    c = event_table.c
    changed = connection.scalars(select(c.event_id).join(restated, restated.c.key == c.key))
    query = select(c.data).where(c.kind == ASSOCIATION)
    return [
        _event(data)
        for part in chunks({*event_ids, *changed})
        for data in connection.scalars(query.where(c.event_id.in_(part)))
    ]


def owners(connection: Connection, devices: Iterable[str]) -> dict[str, str]:
    """By device: the organisation that enrolled it."""
    c = device_owner.c
    query = select(c.device, c.org)
    rows = (row for part in chunks(devices) for row in connection.execute(query.where(c.device.in_(part))))
    return {row.device: row.org for row in rows}


def posted_at(connection: Connection, places: Iterable[str]) -> set[str]:
    """Devices that ever hung at one of them."""
    c = device_mounting.c
    query = select(device.c.device).outerjoin(device_mounting, c.device_no == device.c.device_no)
    return {
        name
        for part in chunks(places)
        for name in connection.scalars(query.where(or_(c.place.in_(part), device.c.place.in_(part))))
    }


def posted_at_sites(connection: Connection, sites: Iterable[str]) -> set[str]:
    """Devices that ever hung in a room of one of them."""
    query = select(device.c.device).join(device_mounting, device_mounting.c.device_no == device.c.device_no)
    rooms = [device_mounting.c.place.startswith(f"room:{site}/", autoescape=True) for site in sites]
    return set(connection.scalars(query.where(or_(*rooms)))) if rooms else set()
