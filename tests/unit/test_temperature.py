"""The temperature fold against a slow reading of the same rule, and the sentences people rely on."""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coldchain.domain.folding import advance, advance_quiet, judge
from coldchain.domain.rulepacks import Regime, Stage
from coldchain.domain.temperature import (
    BREACH,
    HIGH,
    IN_RANGE,
    UNKNOWN,
    FoldState,
    Item,
    Segment,
    lost_after_us,
    merged,
    open_segments,
)
from temperature import reference as plain

MINUTE = 60_000_000
RULE = Stage("test", limit_mc=-18_000, hysteresis_mc=500, consecutive_s=15 * 60, max_gap_s=10 * 60)
COLD, CLEARING, COOL, LIMIT, WARM, HOT = -20_000, -18_500, -18_300, -18_000, -17_900, -10_000


def reference(rule: Stage, items: Sequence[Item], now_us: int) -> list[Segment]:
    """What the second implementation says; of an open breach the warmest reading is not told."""
    return [
        Segment(*piece[:4], None if piece.to_us is None else piece.extreme, piece.confirmed_us, piece.limit)
        for piece in plain.pieces(dict(items), rule, now_us)
    ]


def fold(items: Sequence[Item], now_us: int, rule: Stage = RULE) -> list[Segment]:
    state, closed = advance(rule, None, items)
    return closed + ([] if state is None else open_segments(rule, state, now_us))


def minutes(*pairs: tuple[float, int | None]) -> list[Item]:
    return [(round(minute * MINUTE), mc) for minute, mc in pairs]


values = st.sampled_from([COLD, COLD, CLEARING, COOL, LIMIT, LIMIT + 1, WARM, HOT, None])
histories = st.lists(st.tuples(st.sampled_from([1, 4, 5, 10, 11, 16]), values), max_size=40).map(
    lambda steps: [(sum(m for m, _ in steps[: i + 1]) * MINUTE, mc) for i, (_, mc) in enumerate(steps)]
)
silences = st.sampled_from([0, 1, 10, 11, 500])


@given(histories, silences)
def test_the_fold_says_what_the_rule_says_interval_by_interval(items: list[Item], silence: int) -> None:
    now_us = (items[-1][0] if items else 0) + silence * MINUTE
    assert fold(items, now_us) == reference(RULE, items, now_us)


@given(histories)
def test_segments_are_contiguous_from_the_first_sample_on(items: list[Item]) -> None:
    segments = fold(items, items[-1][0] if items else 0)
    for before, after in pairwise(segments):
        assert before.to_us == after.from_us
        assert before.state != after.state
    if segments:
        assert segments[0].from_us == items[0][0]


@given(histories, st.randoms(use_true_random=False), st.lists(st.integers(0, 40), max_size=5))
def test_any_order_repetition_and_splitting_gives_the_same_segments(
    items: list[Item], rng: random.Random, cuts: list[int]
) -> None:
    shuffled = items + [item for item in items if rng.random() < 0.3]
    rng.shuffle(shuffled)
    again = merged(shuffled)
    state, closed = None, []
    bounds = [0, *sorted(min(cut, len(again)) for cut in cuts), len(again)]
    for start, stop in pairwise(bounds):
        state, ended = advance(RULE, state, again[start:stop])
        closed += ended
        state = None if state is None else FoldState(*state.fields())
    now_us = items[-1][0] if items else 0
    assert closed + ([] if state is None else open_segments(RULE, state, now_us)) == fold(items, now_us)


@given(histories, st.lists(st.tuples(st.integers(-1, 11), values.filter(bool)), min_size=1, max_size=8))
def test_the_short_way_gives_the_state_of_the_long_one(items: list[Item], message: list[tuple[int, int]]) -> None:
    state, _ = advance(RULE, None, items)
    times = [(items[-1][0] if items else 0) + sum(m for m, _ in message[: i + 1]) * MINUTE for i in range(len(message))]
    short = None if state is None else advance_quiet(RULE, state, times, [mc for _, mc in message])
    if short is not None:
        assert (short, []) == advance(RULE, state, list(zip(times, [mc for _, mc in message], strict=True)))


def test_a_breach_starts_at_the_first_reading_beyond_the_limit_once_it_lasted() -> None:
    items = minutes((0, COLD), (5, WARM), (10, HOT), (15, WARM), (20, WARM), (25, COLD))
    assert fold(items, 25 * MINUTE) == [
        Segment(0, 5 * MINUTE, IN_RANGE),
        Segment(5 * MINUTE, 25 * MINUTE, BREACH, "", HOT, 20 * MINUTE, HIGH),
        Segment(25 * MINUTE, None, IN_RANGE),
    ]


def test_warm_minutes_that_do_not_last_are_in_range() -> None:
    items = minutes((0, COLD), (5, HOT), (10, HOT), (19, HOT), (20, LIMIT), (25, HOT), (30, COLD))
    assert fold(items, 30 * MINUTE) == [Segment(0, None, IN_RANGE)]


def test_a_breach_ends_only_below_the_hysteresis() -> None:
    warm = minutes((0, HOT), (8, HOT), (16, HOT), (20, LIMIT), (25, COOL))
    assert fold(warm, 25 * MINUTE)[-1].state == BREACH
    assert fold([*warm, (30 * MINUTE, CLEARING)], 30 * MINUTE)[-1] == Segment(30 * MINUTE, None, IN_RANGE)


def test_silence_never_extends_a_breach() -> None:
    items = minutes((0, HOT), (8, HOT), (16, HOT))
    assert fold(items, 26 * MINUTE)[-1].state == BREACH
    assert fold(items, 26 * MINUTE + 1) == [
        Segment(0, 16 * MINUTE, BREACH, "", HOT, 16 * MINUTE, HIGH),
        Segment(16 * MINUTE, None, UNKNOWN, "gap"),
    ]


def test_a_gap_is_unknown_even_between_two_cold_readings() -> None:
    items = minutes((0, COLD), (5, COLD), (15.1, COLD), (20, COLD))
    assert fold(items, 20 * MINUTE) == [
        Segment(0, 5 * MINUTE, IN_RANGE),
        Segment(5 * MINUTE, 15 * MINUTE + 6_000_000, UNKNOWN, "gap"),
        Segment(15 * MINUTE + 6_000_000, None, IN_RANGE),
    ]


def test_minutes_before_a_gap_do_not_count_towards_a_breach_after_it() -> None:
    items = minutes((0, HOT), (10, HOT), (21, HOT), (30, HOT), (35, HOT))
    assert [segment.state for segment in fold(items, 35 * MINUTE)] == [UNKNOWN]
    later = fold([*items, (36 * MINUTE, HOT)], 36 * MINUTE)
    assert later[1:] == [Segment(21 * MINUTE, None, BREACH, "", None, 36 * MINUTE, HIGH)]


def test_lone_readings_between_gaps_do_not_split_the_unknown() -> None:
    items = minutes(*((minute, COLD) for minute in range(0, 121, 12)))
    assert fold(items, 120 * MINUTE) == [Segment(0, 120 * MINUTE, UNKNOWN, "gap")]


def test_three_faults_in_a_row_make_the_sensor_unreadable_however_short_the_time() -> None:
    items = minutes((0, COLD), (1, COLD), (2, None), (3, None), (4, None), (5, COLD), (6, COLD))
    assert fold(items, 6 * MINUTE) == [
        Segment(0, 1 * MINUTE, IN_RANGE),
        Segment(1 * MINUTE, 5 * MINUTE, UNKNOWN, "fault"),
        Segment(5 * MINUTE, None, IN_RANGE),
    ]


def test_two_faults_between_readings_close_by_change_nothing() -> None:
    items = minutes((0, COLD), (1, COLD), (2, None), (3, None), (5, COLD))
    assert fold(items, 5 * MINUTE) == [Segment(0, None, IN_RANGE)]


@pytest.mark.parametrize("order", [[-19_000, -17_000], [-17_000, -19_000]])
def test_of_two_values_at_one_time_the_warmest_is_judged(order: list[int]) -> None:
    assert merged([(7, mc) for mc in order]) == [(7, -17_000)]


@pytest.mark.parametrize("order", [[None, -19_000], [-19_000, None]])
def test_a_usable_value_outweighs_a_fault_at_the_same_time(order: list[int | None]) -> None:
    assert merged([(7, mc) for mc in order]) == [(7, -19_000)]


def test_the_moment_a_silence_is_lost_is_known_in_advance() -> None:
    state, _ = advance(RULE, None, minutes((0, COLD), (5, COLD)))
    assert state is not None
    moment = lost_after_us(RULE, state, None)
    assert [len(open_segments(RULE, state, now)) for now in (moment, moment + 1)] == [1, 2]


STORE = Stage("store", limit_mc=-15_000, hysteresis_mc=500, consecutive_s=60, max_gap_s=30 * 60)
MOVED = (Regime(0, "p", 1, "transport", False, RULE), Regime(20 * MINUTE, "p", 1, "storage", False, STORE))
TAKEN_OFF = (*MOVED[:1], Regime(20 * MINUTE), Regime(60 * MINUTE, "p", 1, "transport", False, RULE))


def judged(schedule: Sequence[Regime], items: Sequence[Item]) -> list[Segment]:
    """Item by item, as data trickles in."""
    state, closed = None, []
    for item in items:
        state, ended = judge(schedule, state, [item])
        closed += ended
    assert (state, closed) == judge(schedule, None, items)
    return closed


def test_history_is_judged_by_the_rule_of_its_day() -> None:
    items = minutes((0, HOT), (8, HOT), (16, HOT), (24, -16_000), (50, -16_000), (80, -16_000))
    assert judged(MOVED, items) == [Segment(0, 16 * MINUTE, BREACH, "", HOT, 16 * MINUTE, HIGH)]


def test_a_device_that_is_taken_off_is_unknown_only_until_then() -> None:
    items = minutes((0, COLD), (5, COLD), (65, COLD), (70, COLD))
    assert judged(TAKEN_OFF, items) == [
        Segment(0, 5 * MINUTE, IN_RANGE),
        Segment(5 * MINUTE, 20 * MINUTE, UNKNOWN, "gap"),
    ]
