"""The telemetry of a scenario: one simulated series per truck body and room, packed per device and message interval."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence, Set
from typing import Protocol

from coldchain_devices import faults
from coldchain_devices.config import Config, FaultSpec, Sensor
from coldchain_devices.doors import Door
from coldchain_devices.errors import ScenarioError
from coldchain_devices.journeys import Journey, room_door, route, truck_door
from coldchain_devices.plan import Action, Note, Publish
from coldchain_devices.senml import Reading, pack
from coldchain_devices.thermal import COLD_ROOM, REEFER, Climate, Moment, Surroundings, simulate
from coldchain_devices.truck import TruckGateway
from coldchain_devices.warehouse import RackNode, RoomController

SECOND = 1_000_000
DOCK_SHIELD = 0.95
"""What a dock shelter with its strip curtain holds back of an open door's air exchange."""
PUBLISH_WITHIN_S = 20
"""Devices publish within this time after their interval, each at its own moment."""


class Feed(Protocol):
    """A device: simulated moments in, the readings of one message out."""

    def readings(self, moments: Sequence[Moment]) -> list[Reading]: ...


class Streams:
    """All sensors of a scenario."""

    def __init__(self, config: Config, seed: int, start_s: int, journeys: Sequence[Journey]) -> None:
        self._config, self._seed, self._journeys = config, seed, journeys
        self._start_s, self._end_s = start_s, start_s + round(config.hours * 3600)
        self._sites = {site.id: site for site in config.site}
        self._homes = {f"veh:{vehicle.id}": self._sites[vehicle.home] for vehicle in config.vehicle}
        self._climate = Climate(config.climate.mean_c, config.climate.swing_c)

    def actions(self) -> Iterator[Action]:
        """Every message of every sensor; in no promised order."""
        series: dict[str, list[Moment]] = {}
        for sensor in self._config.sensor:
            door = self._door(sensor)
            if sensor.place not in series:
                series[sensor.place] = self._moments(sensor, door)
            yield from self._messages(sensor, self._feed(sensor, door), series[sensor.place])

    def on_the_way(self, actions: Sequence[Action]) -> Iterator[Action]:
        """What faults do to the messages among the actions, which are by time."""
        for n, fault in enumerate(self._config.fault):
            own = [one for one in actions if isinstance(one, Publish) and one.device == fault.device]
            span = self._at(fault.from_h) * SECOND, self._at(fault.to_h) * SECOND
            yield from faults.on_the_way(fault, own, *span, f"{self._seed}/fault/{n}")

    def notes(self) -> Iterator[Note]:
        """Doors opened on the way without a reason, and the faults."""
        for journey in self._journeys:
            if journey.stop_door and journey.trip.inspection is None:
                span = journey.stop_door.from_s * SECOND, journey.stop_door.to_s * SECOND
                yield Note("door-open", *span, (f"veh:{journey.trip.vehicle}",))
        for fault in self._config.fault:
            span = self._at(fault.from_h) * SECOND, self._at(fault.to_h) * SECOND
            yield Note(fault.kind, *span, (f"dev:{fault.device}",))

    def _at(self, hours: float) -> int:
        return self._start_s + round(hours * 3600)

    def _door(self, sensor: Sensor) -> Door:
        kind, _, name = sensor.place.partition(":")
        return truck_door(name, self._journeys) if kind == "veh" else room_door(name.split("/")[0], self._journeys)

    def _moments(self, sensor: Sensor, door: Door) -> list[Moment]:
        enclosure = REEFER if sensor.kind == "truck" else COLD_ROOM
        phase_s = random.Random(f"{self._seed}/{sensor.place}").uniform(0, enclosure.defrost_every_s)

        def surroundings(t_s: int) -> Surroundings:
            outside_c, opening = self._climate.at(t_s), door.at(t_s)
            if opening is None:
                return Surroundings(outside_c)
            if opening.docked:
                return Surroundings(outside_c, True, self._config.climate.dock_c, DOCK_SHIELD)
            return Surroundings(outside_c, True, outside_c)

        return list(
            simulate(
                enclosure,
                surroundings,
                start_s=self._start_s,
                end_s=self._end_s,
                setpoint_c=self._config.setpoint_c,
                phase_s=phase_s,
                sample_s=self._config.sample_s,
            )
        )

    def _feed(self, sensor: Sensor, door: Door) -> Feed:
        seed, setpoint_c = f"{self._seed}/{sensor.id}", self._config.setpoint_c
        if sensor.kind == "truck":
            vehicle = sensor.place.removeprefix("veh:")
            way = route(vehicle, self._homes[sensor.place], self._sites, self._journeys, self._start_s)
            return TruckGateway(seed, way, door, setpoint_c)
        if sensor.kind == "room":
            return RoomController(seed, sensor.probes, door, setpoint_c)
        return RackNode(seed, sensor.probes)

    def _messages(self, sensor: Sensor, feed: Feed, moments: Sequence[Moment]) -> Iterator[Publish]:
        per_message = self._config.message_s // self._config.sample_s
        phase_us = random.Random(f"{self._seed}/{sensor.id}/phase").randrange(PUBLISH_WITHIN_S * SECOND)
        own = [fault for fault in self._config.fault if fault.device == sensor.id]
        bends = [self._bend(fault) for fault in own]
        shown: set[str] = set()
        for i in range(0, len(moments), per_message):
            batch = moments[i : i + per_message]
            readings = feed.readings(batch)
            shown.update(reading.name for reading in readings)
            for bend in bends:
                readings = bend(readings)
            sent_us = (batch[0].t_s + self._config.message_s) * SECOND + phase_us
            yield Publish(sent_us, sensor.id, "senml+json", pack(readings), batch[0].t_s * SECOND)
        _check_channels(own, shown)

    def _bend(self, fault: FaultSpec) -> faults.ReadingFault:
        span = self._at(fault.from_h), self._at(fault.to_h)
        if fault.kind == "sentinel":
            return faults.sentinel(fault.channel, fault.value, *span)
        if fault.kind == "stuck":
            return faults.stuck(fault.channel, *span)
        if fault.kind == "skew":
            return faults.skewed_clock(round(fault.value), *span)
        return list  # what is measured is right; something happens to it on the way


def check_faults(config: Config) -> None:
    """Raises ScenarioError for a fault of a device that is not there or cannot have it."""
    sensors = {sensor.id for sensor in config.sensor}
    devices = sensors | {portal.id for portal in config.portal}
    for fault in config.fault:
        if fault.device not in devices:
            raise ScenarioError(f"{config.name}: fault {fault.kind} names the unknown device {fault.device}")
        if fault.kind in ("sentinel", "stuck", "skew") and fault.device not in sensors:
            raise ScenarioError(f"{config.name}: fault {fault.kind} names {fault.device}, which is no sensor")


def _check_channels(bends: Sequence[FaultSpec], shown: Set[str]) -> None:
    for fault in bends:
        if fault.kind in ("sentinel", "stuck") and fault.channel not in shown:
            told = f"fault {fault.kind} of {fault.device} names the channel {fault.channel!r}"
            raise ScenarioError(f"{told}, it has {', '.join(sorted(shown))}")
