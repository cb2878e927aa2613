"""The physics makes sense: signs, lags, balance, and what a person at the truck would expect."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coldchain_devices.doors import Door, Opening
from coldchain_devices.thermal import (
    COLD_ROOM,
    REEFER,
    Climate,
    Enclosure,
    Moment,
    Probe,
    State,
    Surroundings,
    carton_step,
    flows,
    simulate,
    step,
)

HOUR = 3600
SHUT = Surroundings(outside_c=8.0)
STREET = Surroundings(outside_c=8.0, door_open=True, door_side_c=8.0)
DOCK = Surroundings(outside_c=8.0, door_open=True, door_side_c=4.0, door_shield=0.95)

temperature = st.floats(-30, -5)
outside = st.floats(-4, 40)


def run(enclosure: Enclosure, hours: float, open_from_s: int = 0, open_to_s: int = 0) -> list[Moment]:
    def around(t_s: int) -> Surroundings:
        return STREET if open_from_s <= t_s < open_to_s else SHUT

    return list(simulate(enclosure, around, start_s=0, end_s=int(hours * HOUR)))


@pytest.mark.parametrize("enclosure", [REEFER, COLD_ROOM])
def test_a_shut_box_stays_within_a_degree_of_its_setpoint_for_two_days(enclosure: Enclosure) -> None:
    series = run(enclosure, 52)
    assert all(-21.0 < moment.air_c < -19.0 for moment in series)
    assert any(moment.cooling for moment in series)
    assert any(not moment.cooling and not moment.defrosting for moment in series)


def test_defrosts_come_on_schedule_and_stop_the_unit_briefly() -> None:
    series = run(REEFER, 52)
    starts = [b for a, b in pairwise(series) if b.defrosting and not a.defrosting]
    assert len(starts) == 8
    assert sum(moment.defrosting for moment in series) == pytest.approx(8 * 5, abs=8)
    assert not any(moment.cooling and moment.defrosting for moment in series)


def test_the_unit_of_a_truck_never_rests_for_a_quarter_of_an_hour() -> None:
    last_on = 0
    for moment in run(REEFER, 52):
        assert moment.t_s - last_on < 15 * 60
        last_on = moment.t_s if moment.cooling else last_on


def test_a_door_onto_the_street_warms_the_air_above_minus_15_within_minutes_and_the_carton_lags() -> None:
    series = run(REEFER, 6, open_from_s=HOUR, open_to_s=HOUR + 50 * 60)
    warm = next(moment for moment in series if moment.air_c > -15)
    assert HOUR < warm.t_s <= HOUR + 3 * 60
    closed = next(moment for moment in series if moment.t_s == HOUR + 50 * 60)
    assert closed.air_c > -3
    assert closed.load_c < -17.5
    assert closed.carton_c < -18.2
    assert next(m.t_s for m in series if m.t_s > closed.t_s and m.air_c < -18) < closed.t_s + HOUR
    assert series[-1].air_c < -19


def test_ten_minutes_at_a_dock_shelter_keep_the_air_frozen() -> None:
    series = list(simulate(REEFER, lambda t_s: DOCK if t_s < 600 else SHUT, start_s=0, end_s=1200))
    assert max(moment.air_c for moment in series) < -18.5


@given(temperature, temperature, outside)
def test_heat_flows_from_warm_to_cold(air_c: float, load_c: float, outside_c: float) -> None:
    heat = flows(REEFER, State(air_c, load_c, cooling=True), Surroundings(outside_c, True, outside_c))
    assert heat.wall_w > 0
    assert heat.door_w > 0
    assert heat.unit_w < 0
    assert heat.load_w * (load_c - air_c) >= 0


@given(temperature, temperature, outside, st.booleans(), st.booleans())
def test_what_goes_in_is_what_warms(
    air_c: float, load_c: float, outside_c: float, cooling: bool, door_open: bool
) -> None:
    state, around = State(air_c, load_c, cooling), Surroundings(outside_c, door_open, outside_c)
    heat, after = flows(REEFER, state, around), step(REEFER, state, around, -20.0, 10)
    stored_j = (after.air_c - air_c) * REEFER.air_j_per_k + (after.load_c - load_c) * REEFER.load_j_per_k
    assert stored_j == pytest.approx((heat.wall_w + heat.door_w + heat.unit_w) * 10, abs=1e-3)


@given(st.floats(0, 1), st.floats(0, 1))
def test_a_better_shield_lets_less_heat_in(one: float, other: float) -> None:
    low, high = sorted((one, other))
    inside = State(-20.0, -20.0)
    through = [
        flows(REEFER, inside, Surroundings(20.0, True, 20.0, door_shield=shield)).door_w for shield in (low, high)
    ]
    assert through[0] >= through[1] >= 0


@given(st.floats(-25, 0), st.floats(-25, 0))
def test_a_carton_ends_where_its_air_is_and_never_overshoots(core_c: float, air_c: float) -> None:
    later = carton_step(core_c, air_c, tau_s=10 * HOUR, dt_s=HOUR)
    assert min(core_c, air_c) - 1e-9 <= later <= max(core_c, air_c) + 1e-9
    assert carton_step(core_c, air_c, tau_s=10 * HOUR, dt_s=1000 * HOUR) == pytest.approx(air_c, abs=1e-6)


def test_the_day_is_warmest_in_the_afternoon_local_time() -> None:
    climate = Climate(mean_c=7, swing_c=5)
    by_hour = {hour: climate.at((hour - 8) * HOUR) for hour in range(24)}
    assert max(by_hour, key=by_hour.__getitem__) == 15
    assert by_hour[15] == pytest.approx(12)
    assert by_hour[3] == pytest.approx(2)


def test_the_same_seed_gives_the_same_series() -> None:
    assert run(REEFER, 2) == run(REEFER, 2)
    one, same, other = Probe("1/box"), Probe("1/box"), Probe("2/box")
    shown = [[probe.read(-20.0) for _ in range(50)] for probe in (one, same, other)]
    assert shown[0] == shown[1] != shown[2]
    assert max(abs(value + 20.0) for value in shown[0]) < 0.5


def test_a_door_two_trucks_use_at_once_is_open_until_the_last_one_left() -> None:
    door = Door([Opening(60, 200, True), Opening(0, 100, True), Opening(300, 400, True), Opening(70, 80, True)])
    assert [bool(door.at(t_s)) for t_s in (0, 90, 150, 199, 200, 299, 300, 400)] == [1, 1, 1, 1, 0, 0, 1, 0]
    assert door.at(-1) is None
