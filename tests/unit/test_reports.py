"""Figures of a report: by hand, and that every microsecond of the period has its place."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from coldchain.domain.fittings import Mark
from coldchain.domain.reports import Above, Figures, Openings, Stretch, figures, overlap, worst

MINUTE = 60_000_000
SHOWN = Mark("valid", "C-1", 10**15)


def told(
    readings: list[tuple[int, int | None]], *stretches: tuple[int, int, str], to: int = 60, levels: tuple[int, ...] = ()
) -> Figures:
    """Minutes and milli-°C."""
    cut = [Stretch(a * MINUTE, b * MINUTE, state) for a, b, state in stretches]
    items = [(t * MINUTE, mc) for t, mc in readings]
    return figures("d", "box", "air", SHOWN, items, cut, (0, to * MINUTE), levels)


def minutes(one: Figures) -> tuple[float, ...]:
    return tuple(us / MINUTE for us in (one.in_range_us, one.breach_us, one.unknown_us, one.unjudged_us))


def test_statistics_are_of_the_readings_one_a_time_the_warmest() -> None:
    one = told([(0, -20_000), (10, -18_000), (10, -30_000), (20, -16_000), (30, None)], (0, 60, "in_range"))
    assert (one.readings, one.faults) == (3, 1)
    assert (one.min_mc, one.max_mc, one.mean_mc) == (-20_000, -16_000, -18_000)
    assert one.sd_mc == 1_633  # of -20, -18, -16: the root of 8/3


def test_without_readings_there_are_no_statistics_and_nothing_is_in_range() -> None:
    one = told([], to=60)
    assert (one.min_mc, one.max_mc, one.mean_mc, one.sd_mc) == (None, None, None, None)
    assert minutes(one) == (0, 0, 0, 60)
    assert one.verdict == "unjudged"


def test_what_the_segments_leave_of_the_period_is_unknown() -> None:
    one = told([(10, -20_000)], (10, 20, "in_range"), (40, 50, "in_range"))
    assert minutes(one) == (20, 0, 40, 0)
    assert (one.gaps, one.longest_gap_us) == (3, 20 * MINUTE)
    assert one.verdict == "unknown"


def test_a_breach_is_the_verdict_whatever_else_there_was() -> None:
    one = told([], (0, 10, "unknown"), (10, 20, "breach"), (20, 60, "in_range"))
    assert one.verdict == "breach"
    assert [(a.from_us // MINUTE, a.to_us // MINUTE) for a in one.excursions] == [(10, 20)]


def test_time_above_a_temperature_is_known_time_only() -> None:
    readings = [(0, -20_000), (10, -15_000), (20, -15_000), (30, -20_000), (50, -10_000), (60, -10_000)]
    one = told(readings, (0, 30, "in_range"), (30, 50, "unknown"), (50, 60, "breach"), levels=(-18_000, -12_000))
    assert one.above == (
        Above(-18_000, 30 * MINUTE, 20 * MINUTE),
        Above(-12_000, 10 * MINUTE, 10 * MINUTE),
    )


def test_overlapping_doors_are_counted_each_and_timed_once() -> None:
    windows = [(-5, 10), (5, 15), (40, 50), (70, 80)]
    found = overlap([(a * MINUTE, b * MINUTE) for a, b in windows], (0, 60 * MINUTE))
    assert found == Openings(3, 25 * MINUTE)


def test_nothing_measured_is_unknown_and_never_green() -> None:
    assert worst([]) == "unknown"
    assert worst(["in_range", "unjudged"]) == "unjudged"


states = st.sampled_from(["in_range", "breach", "unknown"])


@given(
    st.lists(st.integers(0, 60), min_size=2, max_size=12, unique=True).map(sorted),
    st.lists(states, min_size=12, max_size=12),
    st.lists(st.tuples(st.integers(0, 60), st.none() | st.integers(-30_000, 0)), max_size=30),
)
def test_the_times_of_all_states_are_the_period(
    cuts: list[int], drawn: list[str], readings: list[tuple[int, int | None]]
) -> None:
    pieces = [(a, b, state) for a, b, state in zip(cuts, cuts[1:], drawn, strict=False)]
    one = told(readings, *pieces, levels=(-18_000, -10_000))
    assert sum(minutes(one)) == 60
    assert all(0 <= above.longest_us <= above.total_us <= one.in_range_us + one.breach_us for above in one.above)
    assert one.longest_gap_us <= one.unknown_us
