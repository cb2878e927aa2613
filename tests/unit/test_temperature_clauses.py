"""What a rule may say besides one limit, clause by clause of docs/temperature.md."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coldchain.domain.folding import advance, advance_quiet, judge
from coldchain.domain.pauses import Pauses
from coldchain.domain.rulepacks import Regime, Stage
from coldchain.domain.temperature import (
    BREACH,
    HIGH,
    IN_RANGE,
    LOW,
    UNKNOWN,
    Beside,
    FoldState,
    Item,
    Segment,
    open_segments,
)
from temperature import reference as plain

MINUTE = 60_000_000
CHILLED = Stage("test", limit_mc=8_000, hysteresis_mc=500, consecutive_s=900, max_gap_s=600, low_mc=2_000)
TOLERANT = replace(CHILLED, tolerance_mc=2_000, tolerance_s=1_800)
CAPPED = replace(CHILLED, critical_s=3_600, defrost_cap_s=1_800, door_cap_s=600)
Windows = Mapping[str, Sequence[tuple[int, bool]]]


def steady(first: int, last: int, mc: int | None, step: int = 5) -> list[Item]:
    return [(minute * MINUTE, mc) for minute in range(first, last + 1, step)]


def samples(*pairs: tuple[int, bool]) -> list[tuple[int, bool]]:
    return [(minute * MINUTE, on) for minute, on in pairs]


def beside(windows: Windows, stuck: Sequence[tuple[int, int]] = ()) -> Beside:
    def told(from_us: int, to_us: int) -> Windows:
        return {name: [one for one in said if from_us <= one[0] <= to_us] for name, said in windows.items()}

    return Beside(told, [(a * MINUTE, b * MINUTE) for a, b in stuck])


def fold(rule: Stage, items: Sequence[Item], beside_it: Beside | None = None, silence: int = 0) -> list[Segment]:
    known = beside_it or Beside()
    state, closed = advance(rule, None, items, known)
    assert state is not None
    return closed + open_segments(rule, state, items[-1][0] + silence * MINUTE, beside=known)


def breach(rule: Stage, items: Sequence[Item], beside_it: Beside | None = None) -> Segment | None:
    """The only one, in minutes."""
    found = [segment for segment in fold(rule, items, beside_it) if segment.state == BREACH]
    assert len(found) <= 1
    return found[0] if found else None


def confirmed(rule: Stage, items: Sequence[Item], windows: Windows | None = None) -> float | None:
    found = breach(rule, items, beside(windows or {}))
    return None if found is None or found.confirmed_us is None else found.confirmed_us / MINUTE


def critical(items: Sequence[Item], windows: Windows | None = None) -> float | None:
    found = breach(CAPPED, items, beside(windows or {}))
    assert found is not None
    return None if found.critical_us is None else found.critical_us / MINUTE


def test_goods_that_freeze_breach_the_low_limit_and_the_coldest_reading_is_told() -> None:
    items = [*steady(0, 5, 4_000), *steady(10, 30, 1_000), (35 * MINUTE, -500), (40 * MINUTE, 2_500)]
    assert fold(CHILLED, items) == [
        Segment(0, 10 * MINUTE, IN_RANGE),
        Segment(10 * MINUTE, 40 * MINUTE, BREACH, "", None, 25 * MINUTE, LOW, -500),
        Segment(40 * MINUTE, None, IN_RANGE),
    ]


@pytest.mark.parametrize(("mc", "state"), [(2_499, BREACH), (2_500, IN_RANGE)])
def test_a_low_breach_ends_above_the_limit_by_the_hysteresis(mc: int, state: str) -> None:
    assert fold(CHILLED, [*steady(0, 15, 1_000), (20 * MINUTE, mc)])[-1].state == state


def test_minutes_beyond_the_other_limit_are_another_run() -> None:
    items = [(0, 4_000), *steady(5, 15, 9_000), *steady(20, 30, 1_000)]
    assert fold(CHILLED, items) == [Segment(0, None, IN_RANGE)]


def test_a_reading_that_falls_through_both_limits_ends_one_breach_and_may_begin_the_other() -> None:
    items = [*steady(0, 15, 9_000), *steady(20, 35, 1_000)]
    assert fold(CHILLED, items) == [
        Segment(0, 20 * MINUTE, BREACH, "", 9_000, 15 * MINUTE, HIGH),
        Segment(20 * MINUTE, None, BREACH, "", None, 35 * MINUTE, LOW),
    ]


def test_a_message_below_the_low_limit_does_not_take_the_short_way() -> None:
    state, _ = advance(CHILLED, None, steady(0, 5, 4_000))
    assert state is not None
    assert advance_quiet(CHILLED, state, [10 * MINUTE], [2_000]) is not None
    assert advance_quiet(CHILLED, state, [10 * MINUTE], [1_999]) is None


def test_what_is_tolerated_is_a_breach_only_after_the_longer_time() -> None:
    assert confirmed(TOLERANT, steady(0, 60, 10_000)) == 30
    assert confirmed(TOLERANT, steady(0, 60, 10_001)) == 15
    assert confirmed(TOLERANT, steady(0, 60, 0)) == 30
    assert confirmed(TOLERANT, steady(0, 60, -1)) == 15


def test_the_shorter_time_counts_from_the_first_of_the_readings_beyond_the_tolerance_in_a_row() -> None:
    items = [*steady(0, 5, 12_000), (10 * MINUTE, 9_000), *steady(15, 60, 12_000)]
    found = breach(TOLERANT, items)
    assert found is not None
    assert (found.from_us, found.confirmed_us) == (0, 30 * MINUTE)
    uneven = [(0, 9_000), *steady(5, 60, 12_000)]
    assert confirmed(TOLERANT, uneven) == 20


def test_without_a_tolerance_only_the_consecutive_time_matters() -> None:
    assert confirmed(replace(CHILLED, tolerance_s=600), steady(0, 60, 8_001)) == 15


def test_timers_stand_still_while_a_defrost_runs() -> None:
    defrost = {"defrost": samples((0, False), (5, True), (10, True), (15, False))}
    assert confirmed(CAPPED, steady(0, 60, 9_000), defrost) == 25


def test_each_defrost_and_each_opening_stops_the_timers_for_its_own_cap_at_most() -> None:
    door = [(minute, True) for minute in range(0, 61, 5)]
    assert confirmed(CAPPED, steady(0, 90, 9_000), {"door/rear": samples(*door)}) == 25
    twice = [(0, True), (10, True), (20, False), (25, True), (35, True), (40, False)]
    assert confirmed(CAPPED, steady(0, 90, 9_000), {"door/rear": samples(*twice)}) == 25
    thrice = [(0, True), (10, False), (15, True), (20, False), (25, True), (35, True), (40, False)]
    assert confirmed(CAPPED, steady(0, 90, 9_000), {"door/rear": samples(*thrice)}) == 40


def test_a_cap_counts_from_the_beginning_though_that_lies_before_the_run() -> None:
    door = {"door/rear": samples((0, True), (5, True), (10, True), (15, False))}
    assert confirmed(CAPPED, [*steady(0, 0, 4_000), *steady(5, 60, 9_000)], door) == 25


def test_where_a_defrost_and_an_opening_overlap_the_time_stands_still_once() -> None:
    both = {"defrost": samples((0, True), (8, False)), "door/rear": samples((4, True), (10, False))}
    assert confirmed(CAPPED, steady(0, 60, 9_000), both) == 25


def test_silence_ends_a_defrost_and_what_comes_after_is_another() -> None:
    assert confirmed(CAPPED, steady(0, 60, 9_000), {"defrost": samples((0, True))}) == 25
    again = {"defrost": samples((0, True), (11, True), (21, False))}
    assert confirmed(CAPPED, steady(0, 60, 9_000, step=1), again) == 35


def test_a_rule_without_caps_asks_for_no_windows() -> None:
    def told(_from_us: int, _to_us: int) -> Windows:
        raise AssertionError

    assert fold(CHILLED, steady(0, 60, 9_000), Beside(told))[0].confirmed_us == 15 * MINUTE
    assert fold(CAPPED, steady(0, 14, 9_000, step=2), Beside(told)) == [Segment(0, None, UNKNOWN, "gap")]


def test_a_breach_is_critical_from_the_reading_at_which_it_lasted_long_enough() -> None:
    assert critical(steady(0, 55, 9_000)) is None
    assert critical(steady(0, 200, 9_000)) == 60
    assert critical([*steady(0, 15, 9_000), *steady(20, 90, 8_000)]) == 60
    assert critical(steady(0, 200, 9_000), {"defrost": samples((30, True), (35, True), (40, False))}) == 70


def test_a_breach_that_was_critical_stays_so_when_it_ends() -> None:
    (found, _) = fold(CAPPED, [*steady(0, 60, 9_000), (65 * MINUTE, 4_000)])
    assert (found.to_us, found.critical_us) == (65 * MINUTE, 60 * MINUTE)


def test_time_in_which_the_sensor_is_stuck_is_unknown() -> None:
    items = [*steady(0, 5, 4_000), *steady(10, 40, 9_000), *steady(45, 50, 4_000)]
    assert fold(CHILLED, items, beside({}, [(10, 35)])) == [
        Segment(0, 10 * MINUTE, IN_RANGE),
        Segment(10 * MINUTE, 45 * MINUTE, UNKNOWN, "stuck"),
        Segment(45 * MINUTE, None, IN_RANGE),
    ]


def test_a_run_that_begins_or_ends_with_the_known_time_is_of_unknown_length() -> None:
    items = [*steady(0, 5, 9_000), *steady(10, 20, 1_000), *steady(25, 30, 4_000), *steady(35, 40, 9_000)]
    known = [Segment(0, 10 * MINUTE, UNKNOWN, "gap"), Segment(10 * MINUTE, None, IN_RANGE)]
    assert fold(CHILLED, items) == known
    assert fold(CHILLED, items, silence=11) == [
        known[0],
        Segment(10 * MINUTE, 35 * MINUTE, IN_RANGE),
        Segment(35 * MINUTE, None, UNKNOWN, "gap"),
    ]


def test_a_run_that_a_new_rule_cuts_short_is_of_unknown_length() -> None:
    schedule = (Regime(0, rule=CHILLED), Regime(20 * MINUTE, rule=TOLERANT))
    _, closed = judge(schedule, None, [*steady(0, 5, 4_000), *steady(10, 30, 9_000), *steady(35, 40, 4_000)])
    assert closed == [
        Segment(0, 10 * MINUTE, IN_RANGE),
        Segment(10 * MINUTE, 15 * MINUTE, UNKNOWN, "gap"),
    ]


def test_a_sensor_stuck_at_its_newest_reading_is_unknown_until_it_moves() -> None:
    items, stuck = steady(0, 40, 4_000), beside({}, [(10, 40)])
    open_one = Segment(10 * MINUTE, None, UNKNOWN, "stuck")
    assert fold(CHILLED, items, stuck)[1:] == [open_one]
    assert fold(CHILLED, items, stuck, silence=600)[1:] == [open_one]


def test_the_gravest_reason_of_unknown_time_is_told() -> None:
    faulty = [*steady(0, 20, 4_000), *[((20 + n) * MINUTE, None) for n in (1, 2, 3)], *steady(24, 30, 4_000, step=3)]
    assert [s.reason for s in fold(CHILLED, faulty, beside({}, [(5, 20)]))] == ["", "fault", ""]
    gap = [*steady(0, 20, 4_000), *steady(40, 45, 4_000)]
    assert [s.reason for s in fold(CHILLED, gap, beside({}, [(5, 20)]))] == ["", "stuck", ""]


NAMES = ("defrost", "door/rear", "door/side")
told_samples = st.dictionaries(
    st.sampled_from(NAMES),
    st.dictionaries(st.integers(0, 150), st.booleans(), max_size=40).map(lambda said: sorted(said.items())),
)


@given(told_samples, st.integers(0, 150), st.integers(0, 150))
def test_pauses_are_what_the_clause_says_minute_by_minute(
    told: dict[str, list[tuple[int, bool]]], one: int, other: int
) -> None:
    first, last = sorted((one, other))
    pauses = Pauses(CAPPED, {name: samples(*said) for name, said in told.items()})
    still = sum(
        any(_stands_still(name, dict(said), minute) for name, said in told.items()) for minute in range(first, last)
    )
    assert pauses.between(first * MINUTE, last * MINUTE) == still * MINUTE


def _stands_still(name: str, said: dict[int, bool], minute: int) -> bool:
    begun = None
    for now in range(minute + 1):
        newest = max((t for t in said if t <= now), default=None)
        on = newest is not None and said[newest] and now < newest + 10
        begun = None if not on else now if begun is None else begun
    return begun is not None and minute < begun + (30 if name == "defrost" else 10)


values = st.sampled_from([4_000, 4_000, 8_400, 9_000, 9_000, 12_000, 1_000, -1_000, None])
histories = st.lists(st.tuples(st.sampled_from([1, 4, 5, 5, 11]), values), min_size=1, max_size=40).map(
    lambda steps: [(sum(m for m, _ in steps[: i + 1]) * MINUTE, mc) for i, (_, mc) in enumerate(steps)]
)
rules = st.sampled_from([CHILLED, TOLERANT, CAPPED, replace(CAPPED, tolerance_mc=500, tolerance_s=1_200)])


@given(rules, histories, told_samples, st.sets(st.integers(0, 40), max_size=6))
def test_cut_anywhere_the_fold_goes_on_as_if_it_had_not_been(
    rule: Stage, items: list[Item], told: dict[str, list[tuple[int, bool]]], cuts: set[int]
) -> None:
    """Of defrosts and doors no more is known at a cut than was told until then."""
    windows = {name: samples(*said) for name, said in told.items()}
    state, closed = None, []
    for part in _parts(items, cuts):
        until_us = part[-1][0]
        known = beside({name: [one for one in said if one[0] <= until_us] for name, said in windows.items()})
        state, ended = advance(rule, state, part, known)
        closed += ended
        state = FoldState(*state.fields())
    assert closed + open_segments(rule, state, items[-1][0]) == fold(rule, items, beside(windows))


@given(rules, histories, told_samples, st.sampled_from([0, 1, 10, 11, 500]), st.data())
def test_the_fold_says_what_the_second_implementation_says(
    rule: Stage, items: list[Item], told: dict[str, list[tuple[int, bool]]], silence: int, data: st.DataObject
) -> None:
    times = [t_us // MINUTE for t_us, mc in items if mc is not None]
    some = data.draw(st.lists(st.sampled_from(times), max_size=4, unique=True)) if times else []
    stuck = [(a, b) for a, b in list(pairwise(sorted(some)))[::2]]
    now_us = items[-1][0] + silence * MINUTE
    windows = {name: samples(*said) for name, said in told.items()}
    caps = {name: rule.defrost_cap_s if name == "defrost" else rule.door_cap_s for name in windows}
    still = [span for name, said in windows.items() for span in plain.openings(dict(said), caps[name], rule.max_gap_s)]
    spans = [(a * MINUTE, b * MINUTE) for a, b in stuck]
    pieces = plain.pieces(dict(items), rule, now_us, still=still, stuck=spans)
    assert fold(rule, items, beside(windows, stuck), silence) == list(map(as_segment, pieces))


def as_segment(piece: plain.Piece) -> Segment:
    """The extreme of a breach is told once it ended."""
    extreme = None if piece.to_us is None else piece.extreme
    warmest, coldest = (None, extreme) if piece.limit == LOW else (extreme, None)
    return Segment(*piece[:4], warmest, piece.confirmed_us, piece.limit, coldest, piece.critical_us)


def _parts(items: Sequence[Item], cuts: Iterable[int]) -> list[Sequence[Item]]:
    bounds = [0, *sorted(cut for cut in cuts if 0 < cut < len(items)), len(items)]
    return [items[a:b] for a, b in pairwise(bounds)]


@given(rules, histories, told_samples)
def test_severity_and_extremes_follow_the_readings(
    rule: Stage, items: list[Item], told: dict[str, list[tuple[int, bool]]]
) -> None:
    windows = {name: samples(*said) for name, said in told.items()}
    for found in fold(rule, items, beside(windows)):
        if found.state != BREACH:
            assert found[4:] == (None, None, "", None, None)
            continue
        assert found.confirmed_us is not None
        assert found.confirmed_us - found.from_us >= rule.consecutive_s * 1_000_000
        assert found.critical_us is None or found.critical_us >= found.confirmed_us
        within = [mc for t, mc in items if mc is not None and found.from_us <= t < (found.to_us or 2**62)]
        if found.to_us is not None:
            extremes = (max(within), None) if found.limit == HIGH else (None, min(within))
            last = dict(items)[found.to_us]
            if found.limit == HIGH and last is not None and last > rule.clear_mc:
                extremes = (max(*within, last), None)
            if found.limit == LOW and last is not None and last < 2_500:
                extremes = (None, min(*within, last))
            assert (found.max_mc, found.min_mc) == extremes


def test_a_pause_is_judged_by_the_rule_whose_run_it_stops() -> None:
    strict = replace(CAPPED, defrost_cap_s=0, door_cap_s=0)
    schedule = (Regime(0, rule=strict), Regime(20 * MINUTE, rule=CAPPED))
    items = [*steady(0, 15, 4_000), *steady(20, 60, 9_000)]
    state, closed = judge(schedule, None, items, beside({"defrost": samples((15, True), (22, True), (30, False))}))
    assert state is not None
    assert state.confirmed_us == 45 * MINUTE
    assert [(s.from_us, s.to_us) for s in closed] == [(0, 15 * MINUTE), (15 * MINUTE, 20 * MINUTE)]
