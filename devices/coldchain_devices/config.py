"""A scenario file (TOML), read strictly: a misspelt field is an error, not a default."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from coldchain_devices.errors import ScenarioError
from coldchain_devices.signer import Alg

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Org:
    id: str
    role: str
    name: str


@dataclass(frozen=True, slots=True)
class Site:
    """A cold store with one dock and one room."""

    id: str
    org: str
    lat: float
    lon: float
    room: str

    @property
    def place(self) -> str:
        return f"loc:{self.id}"

    @property
    def room_place(self) -> str:
        return f"room:{self.id}/{self.room}"


@dataclass(frozen=True, slots=True)
class Vehicle:
    id: str
    home: str
    """The site it stands at in the beginning."""


@dataclass(frozen=True, slots=True)
class Sensor:
    """A device that streams: `truck` (the gateway of a vehicle), `room` (a controller), `node` (a battery node)."""

    id: str
    org: str
    site: str
    place: str
    kind: Literal["truck", "room", "node"]
    probes: tuple[str, ...] = ()
    alg: Alg = "EdDSA"


@dataclass(frozen=True, slots=True)
class PortalSpec:
    """A portal at the dock of a site, or inside its room; `point` is its name there."""

    id: str
    site: str
    point: str
    inside: Literal["dock", "room"]
    alg: Alg = "EdDSA"


@dataclass(frozen=True, slots=True)
class ProductSpec:
    id: str
    company: str
    item: str
    lot: str
    name: str


@dataclass(frozen=True, slots=True)
class Batch:
    """Pallets first..last, coded and packed in the room of a site, some minutes apart."""

    product: str
    site: str
    at_h: float
    first: int
    last: int
    cases: int


@dataclass(frozen=True, slots=True)
class Stop:
    """A halt on the way, `after_h` hours of driving into the trip; the rear door may be opened from..to minutes in."""

    after_h: float
    minutes: int
    door_minutes: tuple[int, int] | None = None
    docked: bool = False


@dataclass(frozen=True, slots=True)
class Inspection:
    """Customs open the vehicle at the trip's only stop and take cases out (exception E1)."""

    pallet: int
    cases: int
    office: str
    order: str
    officer: str
    old_seal: str
    new_seal: str
    customs: str
    """The organisation that confirms."""
    claim_after_h: float
    decision_after_h: float


@dataclass(frozen=True, slots=True)
class Swap:
    """`cases` of each pallet change places with as many of the other, right after loading; nobody records it."""

    pallets: tuple[int, int]
    cases: int


@dataclass(frozen=True, slots=True)
class Trip:
    """One drive between two sites. Loading begins at `load_h`; without pallets the truck leaves then, doors shut."""

    vehicle: str
    origin: str
    to: str
    load_h: float
    drive_h: float
    pallets: tuple[int, ...] = ()
    stop: Stop | None = None
    inspection: Inspection | None = None
    swap: Swap | None = None


@dataclass(frozen=True, slots=True)
class Count:
    """Someone scans every case of every pallet in the site's room by hand."""

    site: str
    at_h: float


@dataclass(frozen=True, slots=True)
class FaultSpec:
    """Something that goes wrong with one device in [from_h, to_h)."""

    kind: Literal["offline", "stuck", "sentinel", "skew", "duplicates", "shuffled", "replayed", "forged"]
    device: str
    from_h: float
    to_h: float
    channel: str = ""
    """stuck, sentinel: the one that shows it."""
    value: float = 0.0
    """sentinel: what the channel shows. skew: seconds the device's clock is ahead. duplicates: the share of messages
    that arrives twice. shuffled: most seconds that a message is late."""


@dataclass(frozen=True, slots=True)
class Climates:
    """Outside air over the day, and the air of the cooled docks, °C."""

    mean_c: float
    swing_c: float
    dock_c: float


@dataclass(frozen=True, slots=True)
class Rates:
    """Per tag and passage."""

    missed: float
    stray: float


@dataclass(frozen=True, slots=True)
class Config:
    """One scenario file. `*_h` are hours from the start."""

    name: str
    seed: int
    start: datetime
    hours: float
    zone: str
    message_s: int
    sample_s: int
    setpoint_c: float
    profile: str
    carrier: str
    climate: Climates
    reads: Rates
    org: tuple[Org, ...]
    site: tuple[Site, ...]
    vehicle: tuple[Vehicle, ...]
    sensor: tuple[Sensor, ...]
    portal: tuple[PortalSpec, ...]
    product: tuple[ProductSpec, ...]
    batch: tuple[Batch, ...]
    trip: tuple[Trip, ...]
    count: tuple[Count, ...] = ()
    fault: tuple[FaultSpec, ...] = ()

    @property
    def start_us(self) -> int:
        return int(self.start.timestamp()) * 1_000_000


LISTS: Mapping[str, type[Any]] = MappingProxyType(
    {
        "org": Org,
        "site": Site,
        "vehicle": Vehicle,
        "sensor": Sensor,
        "portal": PortalSpec,
        "product": ProductSpec,
        "batch": Batch,
        "trip": Trip,
        "count": Count,
        "fault": FaultSpec,
    }
)
TABLES: Mapping[str, type[Any]] = MappingProxyType(
    {"climate": Climates, "reads": Rates, "stop": Stop, "inspection": Inspection, "swap": Swap}
)


def read_config(path: Path) -> Config:
    """The scenario in the file. Raises ScenarioError naming the table and field that is wrong."""
    try:
        table = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ScenarioError(f"cannot read scenario {path}: {error}") from error
    config = _build(Config, table, path.name)
    if config.start.tzinfo is None:
        raise ScenarioError(f"{path.name}: start {config.start} has no offset, write 2026-03-02T00:00:00Z")
    return config


def _build(cls: type[T], table: dict[str, Any], where: str) -> T:
    known = {field.name for field in fields(cls)}  # type: ignore[arg-type]
    if unknown := table.keys() - known:
        raise ScenarioError(f"{where}: unknown field {', '.join(sorted(unknown))}")
    for name, kind in get_type_hints(cls).items():
        if get_origin(kind) is Literal and table.get(name, get_args(kind)[0]) not in get_args(kind):
            raise ScenarioError(f"{where} {name}: {table[name]!r} is none of {', '.join(get_args(kind))}")
    try:
        return cls(**{name: _value(name, value, f"{where} {name}") for name, value in table.items()})
    except TypeError as error:
        raise ScenarioError(f"{where}: {error}") from error


def _value(name: str, value: Any, where: str) -> Any:
    if isinstance(value, dict) and name in TABLES:
        return _build(TABLES[name], value, where)
    if isinstance(value, list) and name in LISTS:
        return tuple(_build(LISTS[name], row, f"{where}[{i}]") for i, row in enumerate(value))
    return tuple(value) if isinstance(value, list) else value
