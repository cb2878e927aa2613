"""docs/temperature.md 1.4 and 4: what raises a doubt, and that the fast form overlooks nothing the slow one finds."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from coldchain.domain.quality import Row, Sum, Window, drifted, echoes, joined, moved, rows, spikes, window_at, without
from coldchain.domain.rulepacks import Quality, Regime, Stage
from coldchain.domain.temperature import Item, merged
from coldchain.domain.watching import Family
from temperature import reference as plain

MINUTE = 60_000_000
GAP_S = 600
RULE = Stage("case", -18_000, 0, 900, GAP_S)
QUALITY = Quality(stuck_samples=4, stuck_move_mc=1_000, drift_window_s=3_600, echo_samples=5)
SCHEDULE = (Regime(0, "case", 1, "transport", False, RULE, QUALITY),)


def every_minute(*mc: int | None, start: int = 100) -> list[Item]:
    return [((start + place) * MINUTE, value) for place, value in enumerate(mc)]


@pytest.mark.parametrize(
    ("mc", "found"),
    [
        ((-20_000, -60_000, -20_000), [101]),
        ((-20_000, 10_000, -20_000), [101]),
        ((-20_000, -25_000, -20_000), []),  # 5 degrees in a minute is as fast as a pack allows, and no faster
        ((-20_000, -25_001, -20_000), [101]),
        ((-20_000, -25_001, -20_002), []),  # it comes back by less than `spike_mc`
        ((-20_000, -60_000, -60_000, -20_000), []),  # two of them are no single reading
        ((-20_000, None, -60_000, -20_000), []),
        ((-20_000, -60_000, None, -20_000), []),
        ((-20_000, -60_000), []),  # not yet
        ((-20_000, -60_000, 10_000, -20_000), [101, 102]),
    ],
)
def test_a_reading_that_leaves_and_returns_faster_than_goods_can_is_a_spike(
    mc: Sequence[int | None], found: list[int]
) -> None:
    assert [t_us // MINUTE for t_us in spikes(SCHEDULE, every_minute(*mc))] == found


def test_a_slow_excursion_and_one_beyond_a_gap_are_no_spikes() -> None:
    slow = [(0, -20_000), (9 * MINUTE, -60_000), (18 * MINUTE, -20_000)]
    assert spikes(SCHEDULE, slow) == [], "40 degrees in 9 minutes are less than 5 a minute"
    late = [(0, -20_000), (MINUTE, -90_000), (12 * MINUTE, -20_000)]
    assert spikes(SCHEDULE, late) == []
    assert spikes((Regime(0),), every_minute(-20_000, -60_000, -20_000)) == [], "nothing is judged, nothing doubted"


def test_a_row_goes_on_over_faults_and_ends_with_a_gap_another_value_or_another_rule() -> None:
    items = [*every_minute(1, 1, None, 1, 2), (200 * MINUTE, 2), (201 * MINUTE, 2)]
    found = [(row.from_us // MINUTE, row.to_us // MINUTE, row.mc, row.readings) for row in rows(SCHEDULE, items)]
    assert found == [(100, 103, 1, 3), (104, 104, 2, 1), (200, 201, 2, 2)]
    later = (*SCHEDULE, Regime(101 * MINUTE, "case", 2, "transport", False, RULE, QUALITY))
    assert [row.readings for row in rows(later, every_minute(1, 1, 1))] == [1, 2]


def test_a_sensor_is_stuck_only_while_a_sibling_moves() -> None:
    row = Row(100 * MINUTE, 103 * MINUTE, -20_000, 4)
    siblings = {"calm": every_minute(-20, -19, -20, -19), "moving": every_minute(-21_000, -20_000, None, -20_500)}
    assert moved(QUALITY, row, siblings) == ["moving"]
    assert moved(QUALITY, row._replace(readings=3), siblings) == []
    after = {"moving": [*every_minute(-21_000, -21_000, -21_000, -21_000), (104 * MINUTE, 0)]}
    assert moved(QUALITY, row, after) == [], "it moved when the row was over"


def test_a_probe_drifts_away_from_the_middle_of_at_least_two_siblings() -> None:
    near = {"a": Sum(20, -400_000), "b": Sum(30, -630_000), "c": Sum(25, -425_000)}
    assert drifted(QUALITY, near) == {"c": (-17_000, -20_500)}
    assert drifted(QUALITY, {**near, "a": Sum(19, -380_000)}) == {}, "19 readings say nothing"
    assert drifted(QUALITY, {**near, "c": Sum(25, -437_501)}) == {}, "less than 3 degrees"


def test_a_recorder_that_says_what_the_controller_says_is_an_echo() -> None:
    said = every_minute(1, 2, 3, 1, 2, 9, None)
    copied = {t_us: mc for t_us, mc in said[:5] if mc is not None}
    assert echoes(QUALITY, said, copied) == [Window(100 * MINUTE, 104 * MINUTE)]
    assert echoes(QUALITY, said, {**copied, 102 * MINUTE: 4}) == [], "no five in a row"
    calm = every_minute(1, 1, 1, 1, 2, 2)
    assert echoes(QUALITY, calm, {t_us: mc for t_us, mc in calm if mc is not None}) == [], "two values are no proof"


def test_windows_that_follow_each_other_are_told_of_as_one() -> None:
    assert joined([Window(7, 9), Window(1, 3), Window(3, 5)]) == [Window(1, 5), Window(7, 9)]
    assert window_at(SCHEDULE, 3_600_000_001) == Window(3_600_000_000, 7_200_000_000)


values = st.sampled_from([-20_000, -20_000, -20_000, -19_000, -26_000, None])
steps = st.sampled_from([1, 1, 1, 1, 4, 11])
streams = st.lists(st.tuples(steps, values), max_size=40)


def timed(stream: Sequence[tuple[int, int | None]]) -> list[Item]:
    t_min, found = 100, []
    for step, mc in stream:
        t_min += step
        found.append((t_min * MINUTE, mc))
    return found


@given(streams, streams)
def test_spikes_and_stuck_sensors_are_what_the_clauses_say_word_by_word(
    one: Sequence[tuple[int, int | None]], other: Sequence[tuple[int, int | None]]
) -> None:
    items, beside = timed(one), timed(other)
    usable = without(items, spikes(SCHEDULE, items))
    sibling = without(beside, spikes(SCHEDULE, beside))
    assert dict(usable) == plain.without_spikes(plain.items_of(items), RULE, QUALITY)
    found = [(row.from_us, row.to_us) for row in rows(SCHEDULE, usable) if moved(QUALITY, row, {"s": sibling})]
    assert found == plain.stuck_spans(dict(usable), [dict(sibling)], RULE, QUALITY)


def doubts(items: dict[str, list[Item]]) -> tuple[object, ...]:
    """Everything the slow form says; of a stuck sensor only that it is, for it goes on."""
    usable = {name: without(said, spikes(SCHEDULE, said)) for name, said in items.items()}
    stuck = []
    for name, said in usable.items():
        siblings = {other: beside for other, beside in usable.items() if other != name}
        found = list(rows(SCHEDULE, said))
        stuck += [
            (name, row.from_us, None if row is found[-1] else row.to_us)
            for row in found
            if moved(QUALITY, row, siblings)
        ]
    return {name: spikes(SCHEDULE, said) for name, said in items.items()}, stuck


def last_row(said: list[Item]) -> Row | None:
    found = all_rows(said)
    return found[-1] if found else None


def all_rows(said: list[Item]) -> list[Row]:
    return list(rows(SCHEDULE, without(said, spikes(SCHEDULE, said))))


A, B = True, False
LONG = (-20_000, -20_000, -20_000, -19_000)
"""With the one before, a row as long as a stuck sensor's, and its end."""


@given(st.lists(st.tuples(st.booleans(), st.lists(st.tuples(st.just(1), values), min_size=1, max_size=9)), max_size=14))
@example([(A, [(1, -20_000)]), (B, [(1, -20_000)]), (A, [(1, mc) for mc in LONG]), (B, [(1, -19_000)])])
def test_where_the_fast_form_has_no_doubt_the_slow_one_finds_nothing_new(
    messages: Sequence[tuple[bool, Sequence[tuple[int, int | None]]]],
) -> None:
    """Two probes; each message is one stretch of one of them, in order and without gaps."""
    family, items, minute = Family(moved_mc=QUALITY.stuck_move_mc), {"a": list[Item](), "b": list[Item]()}, 100
    for is_a, stretch in messages:
        name = "a" if is_a else "b"
        said = [((minute + place) * MINUTE, mc) for place, (_, mc) in enumerate(stretch) if mc is not None]
        minute += 1
        known, watch = items[name], family.watch(name)
        said = [item for item in said if not known or item[0] > known[-1][0]]
        if not said:
            continue
        before = doubts(items)
        calm = False
        if known and said[0][0] - known[-1][0] <= GAP_S * 1_000_000:
            assert known[-1][1] is not None
            calm = watch.goes_on(known[-1][1], *zip(*said, strict=True))  # type: ignore[arg-type]
        known += said
        items[name] = merged(known)
        if calm:
            assert doubts(items) == before
            continue
        for each in items:
            row = last_row(items[each])
            long = [one.to_us for one in all_rows(items[each]) if one != row and one.readings >= QUALITY.stuck_samples]
            family.long_until_us = max([family.long_until_us, *long])
            if row is not None:
                is_stuck = (each, row.from_us, None) in doubts(items)[1]  # type: ignore[operator]
                family.watch(each).seen(SCHEDULE, items[each][-1][0], row, is_stuck)
                if row.readings >= QUALITY.stuck_samples and not is_stuck:
                    other = "b" if each == "a" else "a"
                    usable = without(items[other], spikes(SCHEDULE, items[other]))
                    since = [mc for t_us, mc in usable if t_us >= row.from_us and mc]
                    ranges = {other: [min(since), max(since)]} if since else {}
                    family.long[family.watch(each)] = ranges
        assert watch.sum_of(window_at(SCHEDULE, known[-1][0])) is None or watch.whole


@given(st.lists(st.lists(st.integers(-21_000, -19_000), min_size=1, max_size=20), min_size=1, max_size=12))
def test_sums_of_windows_are_those_of_their_readings(messages: Sequence[Sequence[int]]) -> None:
    family, said = Family(), list[Item]()
    watch = family.watch("a")
    t_us = 3_600_000_000 * 5
    watch.seen(SCHEDULE, t_us, None, False)
    watch.whole = True
    said.append((t_us, -20_000))
    watch.readings, watch.total_mc = 1, -20_000
    for message in messages:
        times = [said[-1][0] + (place + 1) * MINUTE for place in range(len(message))]
        if not watch.goes_on(-20_000, times, list(message)):
            watch.seen(SCHEDULE, times[-1], None, False)
        said += list(zip(times, message, strict=True))
    for window in {window_at(SCHEDULE, t_us) for t_us, _ in said}:
        known = watch.sum_of(window)
        inside = [mc for t_us, mc in said if window.from_us <= t_us < window.to_us and mc is not None]
        assert known is None or known == Sum(len(inside), sum(inside))
    assert watch.sum_of(watch.window) is not None
