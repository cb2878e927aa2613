"""What a cold store's devices stream: the room's controller, and battery nodes on the racks."""

from __future__ import annotations

import random
from collections.abc import Sequence

from coldchain_devices.doors import Door
from coldchain_devices.senml import Reading
from coldchain_devices.thermal import Moment, Probe


class RoomController:
    """The fixed controller: its probes, the dock door, the unit's state; one of each a minute."""

    def __init__(self, seed: str, probes: Sequence[str], door: Door, setpoint_c: float) -> None:
        self._probes = {name: Probe(f"{seed}/{name}") for name in probes}
        self._door, self._setpoint_c = door, setpoint_c

    def readings(self, moments: Sequence[Moment]) -> list[Reading]:
        """The readings of one message, by time."""
        listed = [Reading("setpoint", "Cel", moments[0].t_s, self._setpoint_c)]
        for moment in moments:
            listed += _temperatures(self._probes, moment)
            listed += [
                Reading("door/dock", "", moment.t_s, self._door.at(moment.t_s) is not None),
                Reading("compressor", "", moment.t_s, moment.cooling),
                Reading("defrost", "", moment.t_s, moment.defrosting),
            ]
        return listed


class RackNode:
    """A radio node on a rack: its probes and the humidity there each minute, its battery once a message."""

    def __init__(self, seed: str, probes: Sequence[str]) -> None:
        self._random = random.Random(seed)
        self._probes = {name: Probe(f"{seed}/{name}") for name in probes}
        self._battery_percent = self._random.uniform(70, 100)

    def readings(self, moments: Sequence[Moment]) -> list[Reading]:
        """The readings of one message, by time."""
        self._battery_percent -= 0.001
        listed = [Reading("battery", "%EL", moments[0].t_s, round(self._battery_percent, 1))]
        for moment in moments:
            listed += _temperatures(self._probes, moment)
            listed.append(Reading("rh/rack", "%RH", moment.t_s, round(88 + self._random.gauss(0, 0.8), 1)))
        return listed


def _temperatures(probes: dict[str, Probe], moment: Moment) -> list[Reading]:
    return [Reading(f"temp/{name}", "Cel", moment.t_s, probe.read(moment.air_c)) for name, probe in probes.items()]
