"""The timetable behind a scenario: when each truck loads, drives, stops and unloads, and which doors stand open."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from coldchain_devices.config import Config, Site, Trip
from coldchain_devices.doors import Door, Opening
from coldchain_devices.errors import ScenarioError
from coldchain_devices.truck import Route, Waypoint

MOST_PALLETS = 6
"""As many as pass a dock, one a minute, while its door stands open."""
FIRST_READ_S, READ_EVERY_S, NEXT_PORTAL_S = 60, 60, 60
EVENT_AFTER_OPEN_S, LOADED_S, STORED_S = 30, 450, 600
"""Seconds into a loading or unloading: goods leave, goods are in the truck, goods are in the room."""
TRUCK_DOOR_S, ROOM_OUT_DOOR_S, ROOM_IN_DOOR_S = (15, 470), (0, 460), (40, 620)
DOCK_S = 600
MANOEUVRE_S = 300


@dataclass(frozen=True, slots=True)
class Journey:
    """One trip in absolute seconds."""

    trip: Trip
    load_s: int
    depart_s: int
    stop_s: tuple[int, int] | None
    arrive_s: int

    @property
    def unload_s(self) -> int:
        return self.arrive_s + MANOEUVRE_S

    @property
    def stop_door(self) -> Opening | None:
        """The rear door's opening on the way."""
        stop = self.trip.stop
        if stop is None or self.stop_s is None or stop.door_minutes is None:
            return None
        from_min, to_min = stop.door_minutes
        return Opening(self.stop_s[0] + from_min * 60, self.stop_s[0] + to_min * 60, stop.docked)


def timetable(config: Config, start_s: int) -> list[Journey]:
    """All journeys by loading time. Raises ScenarioError where a truck would have to be in two places."""
    journeys = sorted((_journey(trip, start_s) for trip in config.trip), key=lambda journey: journey.load_s)
    for vehicle in config.vehicle:
        at, free_s = vehicle.home, start_s
        for journey in (j for j in journeys if j.trip.vehicle == vehicle.id):
            if journey.trip.origin != at or journey.load_s < free_s:
                raise ScenarioError(
                    f"{config.name}: {vehicle.id} is free at {at} after {(free_s - start_s) / 3600:g} h, "
                    f"its next trip loads at {journey.trip.origin} at {journey.trip.load_h:g} h"
                )
            at, free_s = journey.trip.to, journey.unload_s + DOCK_S
    return journeys


def _journey(trip: Trip, start_s: int) -> Journey:
    if len(trip.pallets) > MOST_PALLETS:
        raise ScenarioError(f"trip at {trip.load_h:g} h: {len(trip.pallets)} pallets, {MOST_PALLETS} is the most")
    load_s = start_s + round(trip.load_h * 3600)
    depart_s = load_s + (DOCK_S if trip.pallets else 0)
    driven_s = depart_s + round(trip.drive_h * 3600)
    if trip.stop is None:
        return Journey(trip, load_s, depart_s, None, driven_s)
    stop_s, minutes = depart_s + round(trip.stop.after_h * 3600), trip.stop.minutes
    return Journey(trip, load_s, depart_s, (stop_s, stop_s + minutes * 60), driven_s + minutes * 60)


def route(vehicle: str, home: Site, sites: dict[str, Site], journeys: Iterable[Journey], start_s: int) -> Route:
    """Where the vehicle is at every moment."""
    points = [Waypoint(start_s, home.lat, home.lon)]
    for journey in (j for j in journeys if j.trip.vehicle == vehicle):
        a, b = sites[journey.trip.origin], sites[journey.trip.to]
        points.append(Waypoint(journey.depart_s, a.lat, a.lon))
        if journey.stop_s and journey.trip.stop:
            share = journey.trip.stop.after_h / journey.trip.drive_h
            lat, lon = a.lat + (b.lat - a.lat) * share, a.lon + (b.lon - a.lon) * share
            points += [Waypoint(t_s, lat, lon) for t_s in journey.stop_s]
        points.append(Waypoint(journey.arrive_s, b.lat, b.lon))
    return Route(points)


def truck_door(vehicle: str, journeys: Iterable[Journey]) -> Door:
    """Open at the dock to load and unload, and wherever a stop says so."""
    openings: list[Opening] = []
    for journey in (j for j in journeys if j.trip.vehicle == vehicle):
        if journey.trip.pallets:
            openings += [_docked(journey.load_s, TRUCK_DOOR_S), _docked(journey.unload_s, TRUCK_DOOR_S)]
        if journey.stop_door:
            openings.append(journey.stop_door)
    return Door(openings)


def room_door(site: str, journeys: Sequence[Journey]) -> Door:
    """Open while goods go out to a truck or come in from one."""
    loaded = [j for j in journeys if j.trip.pallets]
    out = [_docked(j.load_s, ROOM_OUT_DOOR_S) for j in loaded if j.trip.origin == site]
    return Door(out + [_docked(j.unload_s, ROOM_IN_DOOR_S) for j in loaded if j.trip.to == site])


def _docked(start_s: int, span_s: tuple[int, int]) -> Opening:
    return Opening(start_s + span_s[0], start_s + span_s[1], docked=True)
