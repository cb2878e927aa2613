"""What goods were exposed to (docs/temperature.md §6): each clause with numbers reckoned by hand, and by the minute."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from math import exp, log

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coldchain.domain.exposure import (
    Interval,
    Piece,
    Probe,
    Span,
    Stay,
    above,
    climb,
    common,
    figures,
    innermost,
    joined,
    length,
    pieces,
    spend,
    without,
)
from coldchain.domain.kinetics import kinetic
from coldchain.domain.rulepacks import Budget, Mkt
from coldchain.domain.temperature import Item
from coldchain.domain.tracing import FOREVER_US

MINUTE = 60_000_000
HOUR = 60 * MINUTE
GAP = 10
AT_MOST_30 = Budget(-15_000, 30 * 60, "half an hour above -15 °C in all")
SINGLE_30 = Budget(-15_000, 30 * 60, "half an hour above -15 °C at once", single=True)


def probe(
    readings: Iterable[tuple[int, float | None]], kind: str = "air", from_: int = 0, to: int = 10_000, gap: int = GAP
) -> Probe:
    """readings: (minute, °C), None for a fault."""
    items: list[Item] = [(minute * MINUTE, None if c is None else round(c * 1000)) for minute, c in readings]
    return Probe(kind, from_ * MINUTE, to * MINUTE, gap * MINUTE, items)


def every(step: int, from_: int, to: int, c: float) -> list[tuple[int, float | None]]:
    return [(minute, c) for minute in range(from_, to + 1, step)]


def told(found: Sequence[Piece]) -> list[tuple[int, int, float, str]]:
    """(from, to, °C, kind), in minutes."""
    return [(a // MINUTE, b // MINUTE, mc / 1000, kind) for a, b, mc, kind in found]


def minutes(spans: Iterable[Span]) -> list[Span]:
    return [(a // MINUTE, b // MINUTE) for a, b in spans]


def of(*spans: Span) -> list[Span]:
    return [(a * MINUTE, b * MINUTE) for a, b in spans]


DAY = (0, 24 * HOUR)


def test_a_value_holds_from_its_reading_to_the_next_and_the_newest_says_nothing_yet() -> None:
    assert told(pieces([probe([(0, -20), (5, -14), (9, -20)])], DAY)) == [(0, 5, -20, "air"), (5, 9, -14, "air")]


def test_time_between_readings_too_far_apart_is_unknown_from_the_first_of_them() -> None:
    found = pieces([probe([(0, -20), (10, -14), (21, -14), (25, -20)])], DAY)
    assert told(found) == [(0, 10, -20, "air"), (21, 25, -14, "air")]


def test_three_faults_in_a_row_are_unknown_and_two_are_not() -> None:
    two = probe([(0, -20), (1, None), (2, None), (3, -20)])
    three = probe([(0, -20), (1, None), (2, None), (3, None), (4, -20)])
    assert told(pieces([two], DAY)) == [(0, 3, -20, "air")]
    assert pieces([three], DAY) == []


def test_time_in_which_a_sensor_was_stuck_is_unknown_and_another_probe_decides() -> None:
    stuck = probe(every(5, 0, 40, -10))._replace(stuck=of((10, 30)))
    assert told(pieces([stuck], DAY)) == [(0, 10, -10, "air"), (30, 40, -10, "air")]
    other = probe(every(5, 0, 40, -20))
    assert told(pieces([stuck, other], DAY)) == [(0, 10, -10, "air"), (10, 30, -20, "air"), (30, 40, -10, "air")]


def test_product_decides_where_it_is_known_and_of_several_the_warmest() -> None:
    air = [probe(every(5, 0, 40, -10)), probe(every(5, 0, 40, -12))]
    product = [probe(every(5, 10, 20, -19), "product"), probe(every(5, 10, 20, -18.5), "product")]
    assert told(pieces([*air, *product], DAY)) == [
        (0, 10, -10, "air"), (10, 20, -18.5, "product"), (20, 40, -10, "air"),
    ]  # fmt: skip


def test_a_probe_counts_only_while_its_device_hung_there_and_only_within_the_stay() -> None:
    moved = probe(every(5, 0, 60, -10), from_=12, to=33)
    assert told(pieces([moved], (20 * MINUTE, 24 * HOUR))) == [(20, 33, -10, "air")]


def test_goods_are_in_the_nearest_of_what_is_around_them_that_is_watched() -> None:
    around = [
        Interval("sscc:P", 0, 100, 1),
        Interval("cont:C", 0, 60, 2),
        Interval("veh:T", 0, 50, 3),
        Interval("room:s/a", 60, 100, 2),
    ]
    watched = {"veh:T": [(0, 1000)], "cont:C": [(20, 30)], "room:s/a": [(70, 80), (90, 1000)]}
    assert innermost(around, watched) == [
        Stay("veh:T", 0, 20), Stay("cont:C", 20, 30), Stay("veh:T", 30, 50),
        Stay("room:s/a", 70, 80), Stay("room:s/a", 90, 100),
    ]  # fmt: skip


def test_a_case_is_wherever_its_pallets_were_while_it_was_on_them() -> None:
    inside = {
        "case:1": [("case:1", "sscc:P", 0, 50), ("case:1", "sscc:Q", 50, FOREVER_US), ("case:1", "lot:L", 0, 10**9)],
        "sscc:P": [("sscc:P", "veh:A", 10, 90)],
        "sscc:Q": [("sscc:Q", "veh:A", 20, 60), ("sscc:Q", "room:s/b", 60, FOREVER_US)],
        "veh:A": [],
        "room:s/b": [],
    }
    found = climb(["case:1"], lambda units: [i for unit in units for i in inside[unit]])["case:1"]
    assert sorted(found) == [
        Interval("room:s/b", 60, FOREVER_US, 2), Interval("sscc:P", 0, 50, 1), Interval("sscc:Q", 50, FOREVER_US, 1),
        Interval("veh:A", 10, 50, 2), Interval("veh:A", 50, 60, 2),
    ]  # fmt: skip


def test_units_that_contain_each_other_end_the_climb() -> None:
    inside = {"sscc:P": [("sscc:P", "sscc:Q", 0, 9)], "sscc:Q": [("sscc:Q", "sscc:P", 0, 9)]}
    found = climb(["sscc:P"], lambda units: [i for unit in units for i in inside[unit]])["sscc:P"]
    assert {one.place for one in found} == {"sscc:Q"}


def test_a_budget_spent_in_a_truck_a_room_and_another_truck_is_exceeded_in_the_last() -> None:
    """12 minutes in A, 10 in B, 15 in C: at 8 minutes into the last of them the half hour is over."""
    truck_a = pieces([probe([*every(4, 0, 12, -14), *every(4, 16, 60, -20)])], (0, 60 * MINUTE))
    room_b = pieces(
        [probe([*every(5, 60, 95, -20), *every(5, 100, 105, -12), *every(5, 110, 180, -20)])],
        (60 * MINUTE, 180 * MINUTE),
    )
    truck_c = pieces(
        [probe([*every(5, 180, 195, -20), *every(5, 200, 210, -10), *every(5, 215, 300, -20)])],
        (180 * MINUTE, 300 * MINUTE),
    )
    warm = above([*truck_a, *room_b, *truck_c], -15_000)
    assert minutes(warm) == [(0, 16), (100, 110), (200, 215)]
    spent = spend(AT_MOST_30, warm, [])
    assert (spent.spent_us, spent.exceeded_us, spent.verdict, spent.remaining_us) == (
        41 * MINUTE,
        204 * MINUTE,
        "exceeded",
        0,
    )
    assert spend(SINGLE_30, warm, []).verdict == "kept"
    assert spend(SINGLE_30, warm, []).remaining_us == 14 * MINUTE


def test_a_change_of_trucks_within_an_excursion_does_not_end_the_stretch() -> None:
    truck_a = pieces([probe(every(5, 0, 100, -10))], (80 * MINUTE, 100 * MINUTE))
    truck_b = pieces([probe(every(5, 0, 200, -12))], (100 * MINUTE, 120 * MINUTE))
    warm = above([*truck_a, *truck_b], -15_000)
    assert minutes(warm) == [(80, 120)]
    assert spend(SINGLE_30, warm, []).exceeded_us == 110 * MINUTE


def test_as_much_as_the_budget_has_is_kept_and_a_microsecond_more_is_not() -> None:
    exactly = [(0, 30 * MINUTE)]
    assert spend(AT_MOST_30, exactly, []).verdict == "kept"
    assert spend(AT_MOST_30, exactly, []).remaining_us == 0
    more = spend(AT_MOST_30, [*exactly, (HOUR, HOUR + 1)], [])
    assert (more.verdict, more.exceeded_us) == ("exceeded", HOUR)
    assert spend(AT_MOST_30, [(0, 30 * MINUTE + 1)], []).exceeded_us == 30 * MINUTE


def test_a_reading_at_the_threshold_is_not_above_it() -> None:
    assert minutes(above(pieces([probe([(0, -15), (5, -14.999), (9, -15)])], DAY), -15_000)) == [(5, 9)]


@pytest.mark.parametrize(
    ("unknown", "verdict"), [(of((40, 49)), "kept"), (of((40, 50)), "kept"), (of((40, 51)), "unknown")]
)
def test_unknown_time_that_could_have_exceeded_it_is_never_kept(unknown: list[Span], verdict: str) -> None:
    assert spend(AT_MOST_30, of((0, 20)), unknown).verdict == verdict


def test_for_a_stretch_only_unknown_time_beside_it_could_have_prolonged_it() -> None:
    assert spend(SINGLE_30, of((0, 25)), of((100, 125))).verdict == "kept"
    assert spend(SINGLE_30, of((0, 25)), of((25, 31))).verdict == "unknown"
    assert spend(SINGLE_30, of((0, 16), (18, 32)), of((16, 18))).verdict == "unknown"


def test_a_defrost_spends_the_budget_like_anything_else() -> None:
    """6.2: a defrost of 25 minutes stops the timers of a breach; the goods are warm all the same."""
    cycle = [*every(5, 0, 55, -20), *every(5, 60, 80, -11), *every(5, 85, 235, -20), *every(5, 240, 260, -11)]
    warm = above(pieces([probe([*cycle, (265, -20)])], DAY), -15_000)
    assert length(warm) == 50 * MINUTE
    assert spend(AT_MOST_30, warm, []).exceeded_us == 245 * MINUTE


def test_figures_are_weighted_by_time_over_what_is_known() -> None:
    found = pieces([probe([(0, -20), (9, -10), (10, -10), (25, -5), (27, -5)])], DAY)
    told = figures(found)
    assert told is not None
    assert (told.known_us, told.min_mc, told.max_mc) == (12 * MINUTE, -20_000, -5_000)
    assert told.mean_mc == round((9 * -20_000 + 1 * -10_000 + 2 * -5_000) / 12)
    assert figures([]) is None


def test_mean_kinetic_temperature_is_that_of_the_warmest_window() -> None:
    """Half the second day at 5 °C, half at 15 °C: by hand, 10,000 K / -ln(mean of exp(-10,000 K / T)) - 273.15."""
    rule = Mkt(8_000, 86_400, "MKT of 24 h")
    day = 24 * HOUR
    found = [
        Piece(0, day, 5_000, "air"),
        Piece(day, day + day // 2, 5_000, "air"),
        Piece(day + day // 2, 2 * day, 15_000, "air"),
    ]
    by_hand = 10_000 / -log((exp(-10_000 / 278.15) + exp(-10_000 / 288.15)) / 2) - 273.15
    warmest = kinetic(rule, found, 0)
    assert warmest is not None
    assert warmest.from_us == day
    assert warmest.mkt_mc == round(by_hand * 1000)
    assert 10_000 < warmest.mkt_mc < 15_000
    assert (warmest.known_us, warmest.verdict) == (day, "exceeded")
    cold = kinetic(rule, found[:2], 0)
    assert cold is not None
    assert (cold.mkt_mc, cold.verdict) == (5_000, "kept")
    gappy = kinetic(rule, found[:1], 1)
    assert gappy is not None
    assert gappy.verdict == "unknown"
    assert kinetic(rule, [], 1) is None


# Against the slow way: minute by minute

HORIZON = 60
spans = st.lists(st.tuples(st.integers(0, HORIZON), st.integers(0, HORIZON)), max_size=6).map(joined)


def minute_set(found: Iterable[Span]) -> set[int]:
    return {minute for a, b in found for minute in range(a, b)}


@given(spans, spans)
def test_spans_are_sets_of_time(some: list[Span], others: list[Span]) -> None:
    assert minute_set(common(some, others)) == minute_set(some) & minute_set(others)
    assert minute_set(without(some, others)) == minute_set(some) - minute_set(others)
    assert minute_set(joined([*some, *others])) == minute_set(some) | minute_set(others)
    assert length(some) == len(minute_set(some))


items = st.dictionaries(st.integers(0, HORIZON), st.none() | st.sampled_from([-20, -16, -14, -10]), max_size=20)
probes = st.lists(
    st.tuples(
        items, st.sampled_from(["air", "product"]), st.integers(0, 30), st.integers(30, HORIZON), st.integers(1, 8)
    ),
    max_size=4,
).map(lambda several: [probe(sorted(said.items()), kind, a, b, gap) for said, kind, a, b, gap in several])


def slow_value(one: Probe, minute: int) -> int | None:
    """What the probe said in that minute, looked for reading by reading."""
    t_us = minute * MINUTE
    if not one.from_us <= t_us < one.to_us:
        return None
    usable = [item for item in one.items if item[1] is not None]
    before = [item for item in usable if item[0] <= t_us]
    after = [item for item in usable if item[0] > t_us]
    if not before or not after or after[0][0] - before[-1][0] > one.max_gap_us:
        return None
    faults = [item for item in one.items if item[1] is None and before[-1][0] < item[0] < after[0][0]]
    return before[-1][1] if len(faults) < 3 else None


@given(probes, st.integers(0, HORIZON), st.integers(0, HORIZON))
def test_what_is_known_is_what_each_minute_says(given_probes: list[Probe], a: int, b: int) -> None:
    span = min(a, b) * MINUTE, max(a, b) * MINUTE
    found = pieces(given_probes, span)
    assert all(one.from_us < one.to_us for one in found)
    assert all(one.to_us <= other.from_us for one, other in pairwise(found))
    fast = {minute: (p.mc, p.kind) for p in found for minute in range(p.from_us // MINUTE, p.to_us // MINUTE)}
    slow = {}
    for minute in range(min(a, b), max(a, b)):
        said = [(one.kind, slow_value(one, minute)) for one in given_probes]
        for kind in ("air", "product"):
            values = [mc for which, mc in said if which == kind and mc is not None]
            if values:
                slow[minute] = max(values), kind
    assert fast == slow


@given(spans, spans, st.integers(0, 20), st.booleans())
def test_a_budget_is_what_each_minute_spends(warm: list[Span], unknown: list[Span], most: int, single: bool) -> None:
    unknown = without(unknown, warm)
    spent = spend(Budget(0, most * 60, "some", single), of(*warm), of(*unknown))
    run, best, possible, longest, exceeded = 0, 0, 0, 0, None
    hot, dark = minute_set(warm), minute_set(unknown)
    for minute in range(HORIZON + 1):
        run = run + 1 if minute in hot else 0 if single else run
        possible = possible + 1 if minute in hot | dark else 0 if single else possible
        best, longest = max(best, run), max(longest, possible)
        if run > most and exceeded is None:
            exceeded = minute
    assert spent.spent_us == best * MINUTE
    assert spent.exceeded_us == (None if exceeded is None else exceeded * MINUTE)
    assert spent.verdict == ("exceeded" if exceeded is not None else "unknown" if longest > most else "kept")
