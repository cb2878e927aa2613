"""Scenarios: a TOML file and a seed give a plan a driver plays slice by slice against a simulated clock."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import resources
from pathlib import Path

from coldchain_devices.config import Config, read_config
from coldchain_devices.errors import ScenarioError
from coldchain_devices.journeys import timetable
from coldchain_devices.movements import Goods
from coldchain_devices.plan import Action, DeviceSpec, Plan
from coldchain_devices.streams import Streams, check_faults
from coldchain_devices.truck import PRODUCT_PROBE

SECOND = 1_000_000


class Scenario:
    """One scenario file."""

    def __init__(self, config: Config) -> None:
        self.config = config

    def generate(self, seed: int | None = None, start_us: int | None = None) -> Plan:
        """The plan for this seed and start; both as the file says where not given. `start_us` is a whole second.

        Raises ScenarioError where the file's timetable does not work out.
        """
        config = self.config
        seed = config.seed if seed is None else seed
        start_us = config.start_us if start_us is None else start_us
        check_faults(config)
        journeys = timetable(config, start_us // SECOND)
        goods = Goods(config, seed, start_us // SECOND, journeys)
        goods.play()
        streams = Streams(config, seed, start_us // SECOND, journeys)
        actions = _by_time([*goods.actions, *streams.actions()])
        actions = _by_time([*actions, *streams.on_the_way(actions)])
        notes = sorted([*goods.notes, *streams.notes()], key=lambda note: note.from_us)
        return Plan(
            name=config.name,
            seed=seed,
            start_us=start_us,
            end_us=start_us + round(config.hours * 3600) * SECOND,
            orgs=tuple((org.id, org.role, org.name) for org in config.org),
            devices=_devices(config, seed),
            actions=tuple(actions),
            notes=tuple(notes),
            misreads=goods.misreads,
        )


def _by_time(actions: Iterable[Action]) -> list[Action]:
    return sorted(actions, key=lambda action: action.at_us)


def load_scenario(path_or_name: str | Path) -> Scenario:
    """A scenario file, or one of those that come with the package by its bare name (`demo`). Raises ScenarioError."""
    path = Path(path_or_name)
    if path.suffix == ".toml":
        return Scenario(read_config(path))
    with resources.as_file(resources.files(__package__) / "scenarios") as folder:
        names = sorted(file.stem for file in folder.glob("*.toml"))
        if str(path_or_name) not in names:
            raise ScenarioError(f"no scenario {path_or_name}: a .toml file or one of {', '.join(names)}")
        return Scenario(read_config(folder / f"{path_or_name}.toml"))


def _devices(config: Config, seed: int) -> tuple[DeviceSpec, ...]:
    sites = {site.id: site for site in config.site}
    sensors = [
        DeviceSpec(
            id=s.id,
            org=s.org,
            site=s.site,
            place=s.place,
            role="sensor",
            profile=config.profile,
            alg=s.alg,
            key_seed=f"{seed}/{s.id}".encode(),
            product_probes=(PRODUCT_PROBE,) if s.kind == "truck" else (),
        )
        for s in config.sensor
    ]
    portals = [
        DeviceSpec(
            id=p.id,
            org=sites[p.site].org,
            site=p.site,
            place=sites[p.site].room_place if p.inside == "room" else None,
            role="portal",
            profile=None,
            alg=p.alg,
            key_seed=f"{seed}/{p.id}".encode(),
        )
        for p in config.portal
    ]
    return (*sensors, *portals)
