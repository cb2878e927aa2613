"""What a reefer truck's gateway streams: air, load, door, position, the unit's state."""

from __future__ import annotations

import math
import random
from bisect import bisect_right
from collections.abc import Sequence
from typing import NamedTuple

from coldchain_devices.doors import Door
from coldchain_devices.senml import Reading
from coldchain_devices.thermal import Moment, Probe

METRES_PER_DEGREE = 111_320.0
GPS_NOISE_DEG = 0.000_02


class Waypoint(NamedTuple):
    """Where the truck is at one moment."""

    t_s: int
    lat: float
    lon: float


PRODUCT_PROBE = "product"
"""Of a truck's probes the one in a carton; the others are in the air."""


class Route:
    """Straight lines between waypoints in order of time; standing still before the first and after the last."""

    def __init__(self, waypoints: Sequence[Waypoint]) -> None:
        self._points = list(waypoints)
        self._times = [point.t_s for point in self._points]

    def at(self, t_s: int) -> tuple[float, float, float]:
        """Latitude, longitude in degrees and speed in m/s."""
        i = bisect_right(self._times, t_s)
        if i == 0 or i == len(self._points):
            point = self._points[max(0, i - 1)]
            return point.lat, point.lon, 0.0
        a, b = self._points[i - 1], self._points[i]
        share = (t_s - a.t_s) / (b.t_s - a.t_s)
        speed_m_per_s = _metres(a, b) / (b.t_s - a.t_s)
        return a.lat + (b.lat - a.lat) * share, a.lon + (b.lon - a.lon) * share, speed_m_per_s


def _metres(a: Waypoint, b: Waypoint) -> float:
    east = (b.lon - a.lon) * math.cos(math.radians((a.lat + b.lat) / 2))
    return math.hypot(east, b.lat - a.lat) * METRES_PER_DEGREE


class TruckGateway:
    """Turns a body's simulated moments into readings. One a minute of each; set-point and battery once a message."""

    def __init__(self, seed: str, route: Route, door: Door, setpoint_c: float) -> None:
        self._random = random.Random(seed)
        self._probes = {name: Probe(f"{seed}/{name}") for name in ("supply", "return", "box", PRODUCT_PROBE)}
        self._route, self._door, self._setpoint_c = route, door, setpoint_c

    def readings(self, moments: Sequence[Moment]) -> list[Reading]:
        """The readings of one message, by time."""
        first_s = moments[0].t_s
        listed = [
            Reading("setpoint", "Cel", first_s, self._setpoint_c),
            Reading("battery", "%EL", first_s, round(97 + self._random.random() * 3, 1)),
        ]
        for moment in moments:
            listed += self._temperatures(moment)
            listed += self._states(moment)
            listed += self._position(moment.t_s)
        return listed

    def _temperatures(self, moment: Moment) -> list[Reading]:
        air = {"supply": moment.supply_c, "return": moment.air_c, "box": moment.air_c, PRODUCT_PROBE: moment.carton_c}
        return [Reading(f"temp/{n}", "Cel", moment.t_s, self._probes[n].read(true_c)) for n, true_c in air.items()]

    def _states(self, moment: Moment) -> list[Reading]:
        return [
            Reading("door/rear", "", moment.t_s, self._door.at(moment.t_s) is not None),
            Reading("compressor", "", moment.t_s, moment.cooling),
            Reading("defrost", "", moment.t_s, moment.defrosting),
        ]

    def _position(self, t_s: int) -> list[Reading]:
        lat, lon, speed_m_per_s = self._route.at(t_s)
        if speed_m_per_s > 0:
            speed_m_per_s = max(0.0, speed_m_per_s + self._random.gauss(0, 0.8))
        return [
            Reading("lat", "lat", t_s, round(lat + self._random.gauss(0, GPS_NOISE_DEG), 6)),
            Reading("lon", "lon", t_s, round(lon + self._random.gauss(0, GPS_NOISE_DEG), 6)),
            Reading("speed", "m/s", t_s, round(speed_m_per_s, 1)),
        ]
