"""Physics of frozen transport: the air, load and refrigeration of a reefer body or a cold room, and one frozen carton.

Pure: the next state is a function of the last one, the surroundings and the time step; probes add seeded noise. Units
are in the names: `_c` °C, `_w` W, `_w_per_k` W/K, `_j_per_k` J/K, `_s` s, `_m` m, `_m2` m². The load's heat capacity is
that of frozen food, so the model holds below about -5 °C only, where nothing thaws.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

AIR_J_PER_M3K = 1.4 * 1005  # at -20 °C: density times heat capacity
GRAVITY_M_PER_S2 = 9.81
DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class Enclosure:
    """An insulated box with a load, a door and a refrigeration unit with its thermostat."""

    wall_w_per_k: float
    air_j_per_k: float
    """Air and what follows it within minutes: lining, racks, evaporator."""
    load_j_per_k: float
    load_w_per_k: float
    """Between the air and the load's surface, fans running."""
    cooling_w: float
    """Taken out of the air while the compressor runs."""
    airflow_w_per_k: float
    """Heat capacity of the fan's air stream: cooling_w over this is how much colder supply is than return."""
    door_m2: float
    door_height_m: float
    band_c: float
    """The thermostat starts this much above the set-point and stops this much below."""
    defrost_every_s: int
    defrost_s: int


REEFER = Enclosure(
    wall_w_per_k=45,
    air_j_per_k=500e3,
    load_j_per_k=15e6,
    load_w_per_k=500,
    cooling_w=5_000,
    airflow_w_per_k=2_500,
    door_m2=5.5,
    door_height_m=2.4,
    band_c=0.4,
    defrost_every_s=6 * 3600,
    defrost_s=5 * 60,
)
"""A 9.6 m truck body, 60 m³, 110 m² at 0.4 W/m²K (ATP class C), eight tonnes of frozen cartons."""

COLD_ROOM = Enclosure(
    wall_w_per_k=750,
    air_j_per_k=24e6,
    load_j_per_k=950e6,
    load_w_per_k=8_000,
    cooling_w=45_000,
    airflow_w_per_k=30_000,
    door_m2=9.0,
    door_height_m=3.0,
    band_c=0.5,
    defrost_every_s=8 * 3600,
    defrost_s=10 * 60,
)
"""A room of 3,000 m³ with 500 tonnes on racks."""


class Surroundings(NamedTuple):
    """What an enclosure stands in at one moment."""

    outside_c: float
    door_open: bool = False
    door_side_c: float = 0.0
    """Air on the other side of the door: the street, or a cooled dock."""
    door_shield: float = 0.0
    """Share of the exchange a dock shelter or a strip curtain holds back, 0..1."""


class State(NamedTuple):
    """An enclosure at one moment."""

    air_c: float
    load_c: float
    cooling: bool = False
    defrost_left_s: float = 0.0
    since_defrost_s: float = 0.0


class Flows(NamedTuple):
    """Heat into the air, in W: positive warms it."""

    wall_w: float
    door_w: float
    load_w: float
    unit_w: float


@dataclass(frozen=True, slots=True)
class Climate:
    """Outside air over the day: a cosine, warmest at 15:00 local time."""

    mean_c: float
    swing_c: float
    utc_offset_s: int = 8 * 3600

    def at(self, t_s: float) -> float:
        """°C at a time in seconds since the epoch."""
        return self.mean_c + self.swing_c * math.cos(2 * math.pi * (t_s + self.utc_offset_s - 15 * 3600) / DAY_S)


def door_w_per_k(enclosure: Enclosure, air_c: float, around: Surroundings) -> float:
    """Heat an open door lets in per kelvin: Gosney and Olama's buoyancy flow, 0.221 A sqrt(g H) (1 - rho_o/rho_i)^½."""
    if not around.door_open or around.door_side_c <= air_c:
        return 0.0
    lightness = 1 - (air_c + 273.15) / (around.door_side_c + 273.15)
    flow_m3_per_s = 0.221 * enclosure.door_m2 * math.sqrt(GRAVITY_M_PER_S2 * enclosure.door_height_m * lightness)
    return flow_m3_per_s * AIR_J_PER_M3K * (1 - around.door_shield)


def flows(enclosure: Enclosure, state: State, around: Surroundings) -> Flows:
    """Where the air's heat comes from and goes to now."""
    return Flows(
        wall_w=enclosure.wall_w_per_k * (around.outside_c - state.air_c),
        door_w=door_w_per_k(enclosure, state.air_c, around) * (around.door_side_c - state.air_c),
        load_w=enclosure.load_w_per_k * (state.load_c - state.air_c),
        unit_w=-enclosure.cooling_w if state.cooling else 0.0,
    )


def step(enclosure: Enclosure, state: State, around: Surroundings, setpoint_c: float, dt_s: float) -> State:
    """The state `dt_s` later (explicit Euler: keep it at 10 s or below); then the thermostat decides."""
    heat = flows(enclosure, state, around)
    air_c = state.air_c + sum(heat) * dt_s / enclosure.air_j_per_k
    load_c = state.load_c - heat.load_w * dt_s / enclosure.load_j_per_k
    return _control(enclosure, state._replace(air_c=air_c, load_c=load_c), around, setpoint_c, dt_s)


def _control(enclosure: Enclosure, state: State, around: Surroundings, setpoint_c: float, dt_s: float) -> State:
    """The thermostat, and the defrost that stops the unit.

    Defrost begins only while the compressor runs, so that two pauses never add up; an open door puts it off or ends it.
    """
    since_s = state.since_defrost_s + dt_s
    if state.defrost_left_s > 0:
        left_s = 0.0 if around.door_open else max(0.0, state.defrost_left_s - dt_s)
        return state._replace(cooling=left_s == 0, defrost_left_s=left_s, since_defrost_s=since_s)
    if state.cooling and not around.door_open and since_s >= enclosure.defrost_every_s:
        return state._replace(cooling=False, defrost_left_s=float(enclosure.defrost_s), since_defrost_s=0.0)
    threshold_c = setpoint_c + (-enclosure.band_c if state.cooling else enclosure.band_c)
    return state._replace(cooling=state.air_c > threshold_c, since_defrost_s=since_s)


class Moment(NamedTuple):
    """One point of a simulated series. supply_c is the air leaving the unit, carton_c the core of a carton within."""

    t_s: int
    air_c: float
    supply_c: float
    load_c: float
    carton_c: float
    cooling: bool
    defrosting: bool


def carton_step(core_c: float, air_c: float, tau_s: float, dt_s: float) -> float:
    """The core of a frozen carton follows the air around it with time constant `tau_s`."""
    return air_c + (core_c - air_c) * math.exp(-dt_s / tau_s)


CARTON_IN_PALLET_S = 10 * 3600.0
"""Time constant of a 15 kg carton inside a stack."""


def simulate(
    enclosure: Enclosure,
    surroundings: Callable[[int], Surroundings],
    *,
    start_s: int,
    end_s: int,
    setpoint_c: float = -20.0,
    phase_s: float = 0.0,
    dt_s: int = 10,
    sample_s: int = 60,
) -> Iterator[Moment]:
    """Moments every `sample_s` in [start_s, end_s). `phase_s`: time since the last defrost at the start."""
    state = State(setpoint_c, setpoint_c, since_defrost_s=phase_s)
    carton_c = setpoint_c
    for t_s in range(start_s, end_s, dt_s):
        if (t_s - start_s) % sample_s == 0:
            supply_c = state.air_c - (enclosure.cooling_w / enclosure.airflow_w_per_k if state.cooling else 0.0)
            defrosting = state.defrost_left_s > 0
            yield Moment(t_s, state.air_c, supply_c, state.load_c, carton_c, state.cooling, defrosting)
        carton_c = carton_step(carton_c, state.air_c, CARTON_IN_PALLET_S, dt_s)
        state = step(enclosure, state, surroundings(t_s), setpoint_c, dt_s)


class Probe:
    """A thermometer: a fixed offset of its own, Gaussian noise, hundredths of a degree."""

    def __init__(self, seed: str, offset_c: float = 0.1, noise_c: float = 0.03) -> None:
        """offset_c: the standard deviation its own fixed offset is drawn from."""
        self._random = random.Random(seed)
        self._offset_c = self._random.gauss(0, offset_c)
        self._noise_c = noise_c

    def read(self, true_c: float) -> float:
        """What it shows, °C."""
        return round(true_c + self._offset_c + self._random.gauss(0, self._noise_c), 2)
